"""Documents as units: of splits, of carried state, of what is resampled."""

import json
import math
from collections.abc import Callable
from itertools import chain, islice, pairwise
from pathlib import Path

import numpy as np
import pytest

from langmodels.datasets import find_source
from langmodels.errors import LangmodelsError, UsageError
from langmodels.evaluation.comparison import compare
from langmodels.evaluation.finished import evaluate
from langmodels.evaluation.measuring import Plan
from langmodels.evaluation.statistics import bootstrap_interval, document_edges, paired_p_value
from langmodels.registry import make_model
from langmodels.text.corpus import Corpus
from langmodels.text.lines import split_lines
from langmodels.text.splits import Splits, divide
from langmodels.text.streams import TextStream

PLAN = Plan(growth=(), contexts=(1,), calibration=10, sample=10)
WORDS = ["the", "old", "heron", "stood", "in", "water", "and", "a", "hen", "under", "some", "tree"]


def document(i: int) -> str:
    """Some lines of words, one of them this document's own."""
    rng = np.random.default_rng(i)
    lines = [" ".join(rng.choice(WORDS, size=rng.integers(3, 9))) for _ in range(1 + i % 4)]
    return "\n".join([*lines, f"number n{i} n{i}"])


DOCUMENTS = [document(i) for i in range(60)]


@pytest.fixture
def jsonl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    records = [json.dumps({"id": i, "text": text}) for i, text in enumerate(DOCUMENTS)]
    Path("docs.jsonl").write_text("\n".join(records), encoding="utf-8")
    return "docs.jsonl"


def test_whole_documents_are_drawn(jsonl: str) -> None:
    parts = divide(find_source(jsonl).open(), by="documents", seed=3)
    held = ["".join(part) for part in parts]
    for i, text in enumerate(DOCUMENTS):
        assert [f"{text}\n" in part for part in held].count(True) == 1, i
        assert sum(part.count(f"n{i} ") for part in held) == 1
    assert [len(part.lines) for part in parts] == [48, 6, 6]
    again = ["".join(part) for part in divide(find_source(jsonl).open(), by="documents", seed=3)]
    assert again == held
    twice = TextStream.of_documents([*DOCUMENTS, *DOCUMENTS])
    assert sorted(len(part.lines) for part in divide(twice, by="documents")) == [12, 12, 96]
    three = TextStream.of_documents(DOCUMENTS[:3])
    assert [len(part.lines) for part in divide(three, by="documents")] == [1, 1, 1]
    with pytest.raises(UsageError, match="this is one"):
        divide("one\ntext\n", by="documents")
    with pytest.raises(LangmodelsError, match="too small"):
        divide(TextStream.of_documents(DOCUMENTS[:2]), by="documents")


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_where_documents_begin_is_known_while_they_are_read(size: int) -> None:
    texts = ["a\nb", "c\n", "", "d\n\ne\n", "f"]
    parts = TextStream.joined(TextStream.of_one(list(text)) for text in texts)
    whole = TextStream.joined([TextStream.of_documents(texts[:3]), TextStream.of_one(texts[3:])])
    lines = TextStream.joined([parts, whole])
    read = chain.from_iterable(split_lines(lines))
    found, n = [], 0
    for batch, begins in lines.batches(iter(lambda: list(islice(read, size)), [])):
        found += (n + begins).tolist()
        n += len(batch)
    # In `whole` the empty text is a document of one line, and the last one has what follows it.
    assert found == [0, 2, 3, 6, 7, 9, 10, 11]
    assert n == 15


def test_corpora_know_their_documents() -> None:
    """Through blank lines, cleaning and stretches; state is carried over each of them alone."""
    texts = ["The Fox\n\nran\n", "\n", "a hen\n", "the fox", "\n\n"]
    corpus = Corpus.from_text(TextStream.of_documents(texts), cleaning="lower", keep_text=True)
    assert corpus.lines is not None
    assert corpus.lines.tolist() == [0, 3, 4, 5, 6, 8]
    assert corpus.document_starts is not None
    assert corpus.text is not None
    starts = corpus.document_starts.tolist()
    assert [corpus.text[a:b] for a, b in pairwise(starts)] == [
        "the fox\n\nran\n", "\n", "a hen\n", "the fox\n", "\n\n"
    ]  # fmt: skip
    assert corpus.documents is not None
    assert corpus.documents.tolist() == [0, 2, 3, 4]
    assert not corpus.carry
    carried = corpus.carried()
    begins = carried.begins_afresh[carried.offsets[:-1]]
    assert begins.tolist() == [True, False, True, True]
    model = make_model("cache").fit(["fox hen ran the a", "fox"])
    read = Corpus.read_by(model.reading, TextStream.of_documents(["fox\nfox\n", "fox"]))
    first, second, third = read.sums(model.score_corpus(read.carried())).tolist()
    assert second > first
    assert third == first
    # A document that is cut is one in either part.
    parts = divide(TextStream.of_documents(["a b\nc d\n"] * 5), at_breaks=True)
    assert [part.lines for part in parts] == [[2, 2, 2, 2], [1], [1]]


def test_intervals_and_tests_are_over_documents(jsonl: str) -> None:
    """Words and characters share them; the figures are those computed directly."""
    stream = find_source(jsonl).open()
    splits = Splits.from_text(stream, by="documents", fractions=(0.4, 0.2, 0.4))
    found = compare(["unigram", "mkn:level=char:order=3"], splits, plan=PLAN, levels=["word"])
    results = found.results
    assert results.text.documents == (24, 12, 24)
    assert (results.text.resampled, results.text.units) == ("documents", 24)
    (test,) = results.tests
    chars = next(m for m in results.models if m.level == "char")
    train, held = splits.train.text, splits.test.text
    assert train is not None
    assert held is not None
    model = make_model("mkn:order=3").fit(Corpus.from_text(train, "char"))
    starts = splits.test.document_starts
    assert starts is not None
    bits = model.score_corpus(Corpus.read_by(model.reading, held)) / -math.log(2)
    sums = np.add.reduceat(bits, starts[:-1])
    assert chars.interval == pytest.approx(bootstrap_interval(sums, np.diff(starts)))
    assert test.p >= 1e-4


def test_larger_documents_count_for_more() -> None:
    sums, sizes = np.tile([2.0, 30.0, 4.0, 20.0], 4), np.tile([1.0, 10.0, 2.0, 10.0], 4)
    drawn = np.random.default_rng([0, 16]).multinomial(16, np.full(16, 1 / 16), size=2000)
    ratios = (drawn @ sums) / (drawn @ sizes)
    low, high = bootstrap_interval(sums, sizes)
    assert ratios.min() <= low < sums.sum() / sizes.sum() < high <= ratios.max()
    assert paired_p_value(np.ones(12)) < 0.01
    assert document_edges(np.arange(20)) is None  # nineteen are too few
    edges = document_edges(np.arange(0, 10_001, 2))
    assert edges is not None
    assert len(edges) == 401
    assert set(np.diff(edges).tolist()) <= {24.0, 26.0}


def test_the_command_line_says_so(jsonl: str, run: Callable[..., str]) -> None:
    split = ("--split", "documents", "--fractions", "0.4,0.2,0.4")
    run("train", "--corpus", jsonl, *split, "--model", "mkn:order=2", "-o", "a.lm")
    run("train", "--corpus", jsonl, *split, "--model", "unigram", "-o", "b.lm")
    part = ("--corpus", jsonl, *split, "--part", "test")
    alone = json.loads(run("evaluate", "a.lm", *part, "--json"))
    several = json.loads(run("evaluate", "a.lm", "b.lm", *part, "--json"))
    assert (several["resampled"], several["units"]) == ("documents", 24)
    assert alone["perplexity"] in {model["perplexity"] for model in several["models"]}
    assert "over 24 documents" in run("evaluate", "a.lm", "b.lm", *part)
    options = ("--models", "unigram,mkn:order=2", "--budget", "quick", "--no-cache", "--carry")
    said = run("compare", "--corpus", jsonl, *split, *options)
    assert "over the 24 documents of the test text" in " ".join(said.split())
    assert "lines of each document" in " ".join(said.split())
    Path("one.txt").write_text("a hen\n" * 40, encoding="utf-8")
    assert "this is one" in run("train", "--corpus", "one.txt", *split, "-o", "c.lm", status=2)


def test_finished_models_over_documents() -> None:
    models = {name: make_model(name).fit(" ".join(DOCUMENTS[:20])) for name in ("unigram", "mkn")}
    found = evaluate(models, TextStream.of_documents(DOCUMENTS[20:]))
    assert (found.resampled, found.units) == ("documents", 40)
    blocks = evaluate(models, "\n".join(DOCUMENTS[20:]))
    assert (blocks.resampled, blocks.units) == ("blocks", 20)
    assert [m.bits for m in found.models] == pytest.approx([m.bits for m in blocks.models])
    assert found.models[0].interval != blocks.models[0].interval
