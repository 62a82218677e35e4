"""FASTA, events and columns of tables as corpora, through the names that --corpus takes."""

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langmodels.cli.main import main
from langmodels.datasets import find_source
from langmodels.datasets.documents import Fasta, format_by_name
from langmodels.datasets.fasta import fasta_lines
from langmodels.errors import LangmodelsError, UsageError
from langmodels.ngram import NGramModel
from langmodels.registry import load
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.splits import Splits

FASTA = """>first record | human
ACGTacgt
NNA
; a comment
CG

>second
>third, the one before is empty
TT GA
"""
LOG = """case,activity,cost
a,Register,3
b,Register,4
a,"Check, twice",1
b,Reject,
a,Pay,2
"""


# FASTA -------------------------------------------------------------------------------------


def test_records_are_lines_without_headers() -> None:
    assert "".join(fasta_lines([FASTA])) == "ACGTACGTNNACG\nTTGA\n"
    assert "".join(fasta_lines(["acgt\nac"])) == "ACGTAC\n"
    assert "".join(fasta_lines([">only a header"])) == ""
    assert "".join(fasta_lines([])) == ""


@given(st.lists(st.sampled_from([">", ";", "a", "C", "\n", " ", ">h\n"]), max_size=40).map("".join))
def test_pieces_of_a_fasta_file_change_nothing(text: str) -> None:
    whole = "".join(fasta_lines([text]))
    assert "".join(fasta_lines(text)) == whole
    records: list[str] = [""]  # the plain way
    for line in text.split("\n"):
        if line.startswith(">"):
            records.append("")
        elif not line.startswith(";"):
            records[-1] += "".join(line.split()).upper()
    assert whole == "".join(f"{record}\n" for record in records if record)


@pytest.mark.parametrize("name", ["x.fa", "X.FASTA", "a/b.fna.gz", "p.faa.xz"])
def test_fasta_files_are_known_by_name(name: str) -> None:
    assert isinstance(format_by_name(name), Fasta)
    assert not isinstance(format_by_name(name + ".txt"), Fasta)
    assert not isinstance(format_by_name(name.partition(".")[0]), Fasta)


def test_a_fasta_corpus_has_a_sequence_for_each_record(tmp_path: Path) -> None:
    path = tmp_path / "dna.fa.gz"
    path.write_bytes(gzip.compress(FASTA.encode()))
    source = find_source(str(path))
    assert source.level == "symbols"
    bases = Corpus.from_text(source.open(), make_tokenizer("symbols", **source.options))
    assert (bases.n_sequences, bases.n_tokens) == (2, 13 + 4 + 2)
    codons = make_tokenizer("symbols", **{**source.options, "width": 3})
    corpus = Corpus.from_text(source.open(), codons)
    assert [corpus.vocabulary.decode(ids) for ids in corpus.sequences()] == [
        ["ACG", "TAC", "GTN", "NAC", "G"],
        ["TTG", "A"],
    ]
    assert codons.detokenize(["TTG", "A"]) == "TTGA"


def test_one_long_record_can_be_divided(tmp_path: Path) -> None:
    path = tmp_path / "genome.fa"
    path.write_text(">chr\n" + "ACGGT\n" * 2000)
    source = find_source(str(path))
    splits = Splits.from_text(source.open(), make_tokenizer("symbols", **source.options))
    assert [c.n_tokens for c in (splits.train, splits.validation, splits.test)] == pytest.approx(
        [8000, 1000, 1000], abs=3
    )


# Columns of tables -------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path: Path) -> str:
    path = tmp_path / "log.csv"
    path.write_text(LOG)
    return str(path)


@pytest.mark.parametrize(
    ("query", "text", "level"),
    [
        ("events=activity", "Register\nRegister\nCheck,_twice\nReject\nPay\n", "symbols"),
        ("events=activity&case=case", "Register Check,_twice Pay\nRegister Reject\n", "whitespace"),
        ("events=2,case=1,header=true", "Register Check,_twice Pay\nRegister Reject\n", None),
        ("events=2,header=yes", "Register\nRegister\nCheck,_twice\nReject\nPay\n", None),
        ("events=2", "activity\nRegister\nRegister\nCheck,_twice\nReject\nPay\n", None),
    ],
)
def test_event_logs_are_read_as_sequences(
    log: str, query: str, text: str, level: str | None
) -> None:
    source = find_source(f"{log}?{query}")
    assert source.read() == text
    assert level in (None, source.level)


def test_a_cell_may_go_on_over_the_end_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text('case,activity\n1,"Check\nagain"\n1,Pay\n', newline="")
    assert find_source(f"{path}?events=activity").read() == "Check_again\nPay\n"


def test_a_series_leaves_out_what_is_missing(log: str) -> None:
    for query in ("series=cost", "series=3"):
        source = find_source(f"{log}?{query},bins=4,binning=uniform,differences=no")
        with pytest.warns(UserWarning, match="1 entries of column"):
            assert source.read() == "3\n4\n1\n2\n"
        assert source.level == "series"
        assert source.options == {"bins": 4, "binning": "uniform", "differences": False}


@pytest.mark.parametrize(
    ("text", "query", "found"),
    [
        ("t;x\n1;2.5\n2;3.5\n", "series=x", "2.5\n3.5\n"),
        ("t\tx\n1\t2.5\n2\t3.5\n", "series=x", "2.5\n3.5\n"),
        ("1.5\n2.5\n", "series=1", "1.5\n2.5\n"),
        ("x\n1.5\n2.5\n", "series=x", "1.5\n2.5\n"),
        ("a b\n1 2\n3 4\n", "series=b&delimiter=space", "2\n4\n"),
        ("a, b\n1, 2\n\n3, 4\n", "series=b", "2\n4\n"),
        ('"x, y",z\n1,2\n', "series=x%2C y", "1\n"),
        ("log in\nlog in\nlog  out\n", "events=1", "log_in\nlog_in\nlog_out\n"),
    ],
)
def test_delimiters_and_headers(tmp_path: Path, text: str, query: str, found: str) -> None:
    path = tmp_path / "data.txt"
    path.write_text(text)
    assert find_source(f"{path}?{query}").read() == found


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("series=price", "no column 'price'.*case, activity, cost"),
        ("series=activity", "Row 2 .* 'Register' .* not a number"),
        ("series=9", "Row 1 .* 3 columns; there is no column 9"),
    ],
)
def test_tables_that_do_not_fit(log: str, query: str, words: str) -> None:
    with pytest.raises(LangmodelsError, match=words):
        find_source(f"{log}?{query}").read()


@pytest.mark.parametrize(
    "query",
    [
        "",
        "bins=3",
        "series",
        "series=",
        "series=0",
        "series=1,events=2",
        "series=1,series=2",
        "series=1,case=2",
        "series=1,bins=x",
        "series=1,header=perhaps",
        "series=1,delimiter=dot",
        "series=1,colour=red",
        "events=1,bins=3",
    ],
)
def test_queries_that_make_no_sense(log: str, query: str) -> None:
    with pytest.raises(UsageError):
        find_source(f"{log}?{query}")


def test_missing_files_are_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(LangmodelsError, match="no file"):
        find_source(f"{tmp_path}/absent.csv?series=1").read()


def test_options_of_series_are_for_series_only() -> None:
    source = find_source("synthetic:seasonal?period=6,bins=8")
    assert (source.options, source.name) == ({"bins": 8}, "synthetic:seasonal?period=6.0")
    with pytest.raises(UsageError, match="no series"):
        find_source("synthetic:markov?bins=8")


# Commands ----------------------------------------------------------------------------------


def test_a_series_is_trained_and_sampled_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    path, model = tmp_path / "prices.csv", str(tmp_path / "prices.lm")
    rows = "".join(f"{i},{x:.2f}\n" for i, x in enumerate(rng.normal(100, 5, 500).cumsum()))
    path.write_text("day,price\n" + rows)
    corpus = f"{path}?series=price,bins=8,differences=true"
    train = ["train", "--corpus", corpus, "--model", "witten-bell:order=2", "--output", model]
    assert main([*train, "--split", "contiguous"]) == 0
    evaluate = ["evaluate", model, "--corpus", corpus, "--part", "test"]
    assert main(evaluate) == 0
    assert main(["predict", model, "1000 1100"]) == 0
    capsys.readouterr()
    assert main(["sample", model, "--max-tokens", "5"]) == 0
    assert len(list(map(float, capsys.readouterr().out.split()))) == 6
    assert load(model).tokenizer.config()["bins"] == 8


def test_an_event_log_keeps_from_ngrams_how_a_case_began() -> None:
    source = find_source("synthetic:process?length=300000")
    splits = Splits.from_text(source.open(), make_tokenizer("whitespace"))
    costs = {}
    for order in (2, 4, 8):
        model = NGramModel(order=order, smoothing="witten_bell").fit(splits.train)
        nats = -model.score_corpus(splits.test).sum()
        costs[order] = nats / math.log(2) / splits.test.characters
    limit = source.entropy_bits
    assert limit is not None
    # Up to order 4, the last event costs a bit; longer ones see the first event of short cases.
    assert costs[4] > costs[2] * 0.99 > limit * 1.1
    assert limit * 1.02 < costs[8] < costs[4] * 0.95
