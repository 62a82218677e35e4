"""The table of surprisal: rows are the words of the text, and columns add up to its score."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import langmodels
from langmodels.cli.main import main
from langmodels.datasets.documents import Document
from langmodels.errors import LangmodelsError, UsageError
from langmodels.evaluation import surprisal_table
from langmodels.evaluation.word_table import RowOptions, Surprisals
from langmodels.registry import make_model
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.lines import in_parts

TRAIN = "the hen sat, and the heron sat;\nthe naïve heron ate the hen.\n" * 6
TEXT = "  The hen\u00a0sat;\n\nthe ostrich ate?\nthe hen"

pytestmark = pytest.mark.filterwarnings("ignore::langmodels.ngram.SmoothingWarning")


def fitted(level: str, name: str = "mkn:order=3") -> Any:
    return make_model(name).fit(Corpus.from_text(TRAIN, make_tokenizer(level)))


@pytest.mark.parametrize("unit", ["word", "token"])
@pytest.mark.parametrize("level", ["word", "whitespace", "char", "byte", "bpe:vocab=300"])
@pytest.mark.parametrize("carry", [False, True])
def test_columns_add_up_to_the_score(unit: str, level: str, carry: bool) -> None:
    if level.startswith("bpe"):
        pytest.importorskip("tokenizers")
    model = fitted(level, "cache:order=2")
    corpus = Corpus.read_by(model.reading, TEXT)
    table = surprisal_table({"m": model}, [TEXT], unit=unit, carry=carry)
    bits = -model.score_corpus(corpus.carried() if carry else corpus).sum() / math.log(2)
    assert sum(filter(None, table.columns["surprisal"])) == pytest.approx(bits, abs=1e-6)
    assert table.totals == {"m": pytest.approx(bits, abs=1e-6)}
    assert sum(table.columns["tokens"]) == corpus.n_tokens
    whole = [row for row in table.records() if row["word"] != "</s>"]
    assert [TEXT[row["start"] : row["end"]] for row in whole] == [row["word"] for row in whole]
    if unit == "word":
        assert [row["word"] for row in whole] == TEXT.split()
        assert [row["sentence"] for row in whole] == [1, 1, 1, 2, 2, 2, 3, 3]
        assert [row["position"] for row in whole] == [1, 2, 3, 1, 2, 3, 1, 2]
        ends = [row["end"] for row in table.records() if row["word"] == "</s>"]
        assert ends == ([14, 32, 40] if model.vocabulary.ends else [])
        without = surprisal_table({"m": model}, [TEXT], ends=False, carry=carry)
        assert without.records() == whole
        assert without.totals == table.totals


def test_what_is_said_of_a_word_is_what_the_model_says_there() -> None:
    model = fitted("word")
    rows = surprisal_table({"m": model}, ["the naïve ostrich sat;"]).records()
    contexts = ["", "the", "the naïve", "the naïve ostrich", "the naïve ostrich sat ;"]
    for row, context in zip(rows, contexts, strict=True):
        p = model.distribution(context)
        assert row["entropy"] == pytest.approx(-(p[p > 0] * np.log2(p[p > 0])).sum())
        assert row["context"] == model.context_used(context)
    assert [row["unknown"] for row in rows] == [False, False, True, False, False]
    assert [row["tokens"] for row in rows] == [1, 1, 1, 2, 1]
    p = model.distribution("the naïve")
    assert rows[2]["rank"] == 1 + (p > p[model.vocabulary.unk_id]).sum() > 1
    two = -math.log2(model.prob("sat", "the naïve ostrich"))
    two -= math.log2(model.prob(";", "the naïve ostrich sat"))
    assert rows[3]["surprisal"] == pytest.approx(two)


def test_scores_that_are_no_probabilities_are_said_to_be_that() -> None:
    model = fitted("word", "stupid-backoff:order=2")
    with pytest.warns(UserWarning, match="The scores of sb do not sum to one"):
        Surprisals({"sb": model}, {})


def test_several_models_stand_side_by_side() -> None:
    models = {"words": fitted("word"), "letters": fitted("char"), "odd": fitted("word", "mle")}
    table = surprisal_table(models, [TEXT, "the hen"], measures=["surprisal", "rank"])
    assert list(table.columns)[6:] == [
        f"{measure}.{label}" for label in models for measure in ("surprisal", "rank")
    ]
    assert table.columns["document"] == ["1"] * 11 + ["2"] * 3
    at_end = table.records()[3]
    assert at_end["word"] == "</s>"
    assert at_end["surprisal.words"] > 0
    assert at_end["surprisal.letters"] is None
    assert math.inf in table.columns["surprisal.odd"]
    assert "Infinity" in table.text()
    with pytest.raises(UsageError, match="no rows in common"):
        surprisal_table(models, [TEXT], unit="token")


def test_stimuli_keep_their_columns_and_regions() -> None:
    fields = [{"item": 1, "word": "x"}, {"item": 2, "condition": "b"}]
    texts = ["the hen | sat, and| ate", "the | hen"]
    documents = [
        Document(t, f"d{i}", f) for i, (t, f) in enumerate(zip(texts, fields, strict=True))
    ]
    rows = surprisal_table({"m": fitted("word")}, documents, regions="|", ends=False).records()
    assert [row["word"] for row in rows] == ["the", "hen", "sat,", "and", "ate", "the", "hen"]
    assert [row["region"] for row in rows] == [1, 1, 2, 2, 3, 1, 2]
    assert [row["start"] for row in rows] == [0, 4, 8, 13, 17, 0, 4]
    assert [row["item"] for row in rows] == [1] * 5 + [2] * 2
    assert [row["condition"] for row in rows] == [None] * 5 + ["b"] * 2
    assert [row["word_given"] for row in rows] == ["x"] * 5 + [None] * 2
    plain = surprisal_table({"m": fitted("word")}, ["the hen sat, and ate"], ends=False)
    assert [row["surprisal"] for row in rows[:5]] == plain.columns["surprisal"]


def test_the_command_writes_every_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, stimuli = str(tmp_path / "m.lm"), tmp_path / "items.csv"
    fitted("word").save(model)
    stimuli.write_text('item,sentence\n1,"the hen | sat, so"\n2,the | hen\n')
    corpus = ["--corpus", f"{stimuli}?text=sentence", "--regions", "|"]
    assert main(["surprisal", model, *corpus]) == 0
    printed = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(printed.out)))
    assert [row["item"] for row in rows] == ["1"] * 5 + ["2"] * 3
    plain = tmp_path / "plain.txt"
    plain.write_text("the hen sat, so\nthe hen\n")
    assert (
        main(["score", model, "--file", str(plain), "--summary", "--unit", "bits", "--json"]) == 0
    )
    total = -json.loads(capsys.readouterr().out)["log_prob"]
    assert sum(float(row["surprisal"]) for row in rows) == pytest.approx(total, abs=1e-6)
    assert f"{total:.4f} bits" in printed.err
    for ending in (".csv", ".tsv", ".jsonl", ".parquet"):
        if ending == ".parquet":
            parquet = pytest.importorskip("pyarrow.parquet")
        out = tmp_path / f"table{ending}"
        assert main(["surprisal", model, *corpus, "--output", str(out)]) == 0
        if ending == ".parquet":
            found = parquet.read_table(out).to_pylist()
        elif ending == ".jsonl":
            found = [json.loads(line) for line in out.read_text().splitlines()]
        else:
            found = list(csv.DictReader(out.open(), delimiter="\t" if ending == ".tsv" else ","))
        assert [float(row["surprisal"]) for row in found] == [float(r["surprisal"]) for r in rows]
        assert [row["word"] for row in found] == [row["word"] for row in rows]


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("model", ["mkn:order=3", "cache:order=2:weight=0.3"])
def test_rows_come_while_a_text_is_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model: str,
    ending: str,
) -> None:
    """The file is the same however the text comes, and nothing is kept of what was written."""
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    monkeypatch.chdir(tmp_path)
    fitted("word", model).save("m.lm")
    Path("a.txt").write_text(
        TEXT.rstrip() + "  \n \n\tthe hen sat\n\nso it ate" * 30 + " \n\n \n", "utf-8"
    )
    Path("b.txt").write_text("\n")
    Path("c.txt").write_text("the hen")
    command = ["surprisal", "m.lm", "--corpus", "a.txt,b.txt,c.txt", "--unit", "token"]
    written = []
    for size in (1 << 18, 50):
        monkeypatch.setattr(langmodels.datasets.documents, "PART", size)
        for carry in ([], ["--carry"]):
            assert main([*command, *carry, "--output", f"t{ending}"]) == 0
            assert "1 documents have no words" in capsys.readouterr().err
            written.append(Path(f"t{ending}").read_bytes())
    assert written[:2] == written[2:]
    assert (written[0] == written[1]) == model.startswith("mkn")


def test_parts_of_a_text_are_read_as_they_are_asked_for() -> None:
    text = "the hen sat\nthe heron ate\n" * 10
    read = []

    def documents() -> Any:
        for k in range(10):
            read.append(k)
            yield Document(text, "a"), k == 0

    surprisals = Surprisals({"m": fitted("word")}, {}, RowOptions(measures=["surprisal"]))
    assert surprisals.in_parts
    parts = surprisals.parts(documents())
    first, second = next(parts), next(parts)
    assert read == [0, 1]
    assert second["sentence"][0] == first["sentence"][-1] + 1 == 21
    assert second["start"] == [place + len(text) for place in first["start"]]
    assert second["surprisal"] == first["surprisal"]
    for level, mark in (("char", None), ("word", "\n\n")):
        assert not Surprisals({"m": fitted(level)}, {}, RowOptions(regions=mark)).in_parts


def test_regions_go_on_over_the_parts_of_a_text() -> None:
    text = "the | hen\n| sat |\n |the| heron|\nsat\n\n|| ate\n"
    model = fitted("word")
    whole = surprisal_table({"m": model}, [text], regions="|")
    assert whole.columns["region"][-1] == 9
    for size in (1, 5, 12):
        surprisals = Surprisals({"m": model}, {}, RowOptions(regions="|"))
        table: dict[str, list[Any]] = {}
        for i, part in enumerate(in_parts([text], size)):
            for columns in surprisals.parts([(Document(part, "1"), i == 0)]):
                for name, column in columns.items():
                    table.setdefault(name, []).extend(column)
        assert table == whole.columns


def test_where_long_texts_are_cut() -> None:
    text = "ab\ncd \n\n ef\n\ngh\n \n\n"
    assert list(in_parts(text, 1)) == ["ab\n", "cd \n\n ef\n", "\ngh\n \n\n"]
    assert list(in_parts([text], 1)) == list(in_parts(text, 1))
    for size in (5, 10, 1000):
        parts = list(in_parts([text, text, text], size))
        assert "".join(parts) == text * 3
        assert all(size <= len(part) < size + len(text) for part in parts[:-1])


def test_what_makes_no_sense_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = fitted("word")
    for wrong in ({"unit": "letter"}, {"measures": ["surprise"]}, {"regions": ""}, {"row": "word"}):
        with pytest.raises(UsageError):
            surprisal_table({"m": model}, ["the hen"], **wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="at least one model"):
        surprisal_table({}, ["the hen"])
    with pytest.warns(UserWarning, match="1 documents have no words.*the first is 2"):
        table = surprisal_table({"m": model}, ["the hen", " \n", "hen"], ends=False)
    assert table.columns["document"] == ["1", "1", "3"]
    for nothing in ([], ["", " \n"]):
        with pytest.raises(LangmodelsError, match="no words"):
            surprisal_table({"m": model}, nothing)
    model.save(tmp_path / "m.lm")
    (tmp_path / "a.txt").write_text("the hen\n")
    names = [str(tmp_path / "m.lm"), "--corpus", str(tmp_path / "a.txt")]
    assert main(["surprisal", *names, "--output", str(tmp_path / "a.doc")]) == 2
    assert main(["surprisal", names[0], *names]) == 2
    assert "given twice" in capsys.readouterr().err
