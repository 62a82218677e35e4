"""Documents scored and written again: nothing of them changes, and a bad one costs itself alone."""

import gzip
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import langmodels
from langmodels.cli import documents
from langmodels.cli.main import main
from langmodels.datasets.documents import Request
from langmodels.datasets.shards import stretches
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.texts import FIGURES, score_texts

LINES = (
    b'{"text": "red fox ran\\nand a fox ran", "n": 1.50, "n": 2}',
    b'{"text": "a \\u00e9l\xc3\xa9phant", "perplexity": 7, "tags": []}  ',
    b"nonsense",
    b"",
    b'["a list"]',
    b'{"body": "no text"}',
    b'{"text": 3}',
    b'{"text": "bad \xff bytes"}',
    b'{"text": "", "n": 0}',
    b'{"text": "a hen sat\\n\\n \\nred hen ran\\n"}',
)
GOOD = (0, 1, 8, 9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    (folder / "text.txt").write_text("red fox ran\nred hen ran\na fox sat\n")
    train = ["train", "-q", "--level", "whitespace", "--order", "2"]
    assert main([*train, "--corpus", str(folder / "text.txt"), "-o", str(folder / "m.lm")]) == 0
    (folder / "docs.jsonl.gz").write_bytes(gzip.compress(b"\n".join(LINES)))
    return folder


@pytest.fixture(autouse=True)
def in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    def call(*arguments: Any) -> tuple[str, str]:
        status = main([str(a) for a in arguments])
        printed = capsys.readouterr()
        assert status == 0, printed.err
        return printed.out, printed.err

    return call


@pytest.mark.parametrize("form", [(), ("--json", "--fields", "n"), ("--summary", "--json")])
def test_a_large_file_is_read_by_those_who_score_it(
    run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: tuple[str, ...]
) -> None:
    source = tmp_path / "large.jsonl"
    source.write_bytes(b"\n".join(LINES * 30))
    assert stretches(Request(str(source)), 10**9, 1_000)
    monkeypatch.setattr(documents, "SMALLEST", 1_000)
    one, others = (run("score", "m.lm", "--file", source, "--jobs", jobs, *form) for jobs in (1, 3))
    assert one == others
    assert "line 3 is no JSON value" in " ".join(one[1].split())
    if "--summary" in form:
        assert json.loads(one[0])["documents"] == 30 * len(GOOD)
    else:
        assert len(one[0].splitlines()) == 30 * len(GOOD)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_json_lines_keep_their_bytes(run: Any, jobs: str) -> None:
    run("score", "m.lm", "--file", "docs.jsonl.gz", "-o", "out.jsonl.gz", "--jobs", jobs)
    with gzip.open("out.jsonl.gz") as file:
        written = file.read().splitlines()
    assert len(written) == len(GOOD)
    for line, number in zip(written, GOOD, strict=True):
        record, before = json.loads(line), json.loads(LINES[number])
        assert {k: v for k, v in record.items() if k not in FIGURES} == {
            k: v for k, v in before.items() if k not in FIGURES
        }
        if "perplexity" not in before:  # which is replaced, in an object written anew
            assert line.startswith(LINES[number].rstrip()[:-1])
    model = langmodels.load("m.lm")
    first, last = json.loads(written[0]), json.loads(written[-1])
    log10 = np.log(10)
    assert first["log_prob"] * log10 == pytest.approx(
        model.score("red fox ran") + model.score("and a fox ran")
    )
    assert (first["tokens"], first["oov"]) == (9, 1)
    assert last["log_prob"] * log10 == pytest.approx(
        model.score("a hen sat") + model.score("red hen ran")
    )
    assert json.loads(written[2])["perplexity"] is None


def test_bad_documents_are_named(run: Any) -> None:
    printed, errors = run("score", "m.lm", "--file", "docs.jsonl.gz", "--json", "--fields", "n")
    found = list(map(json.loads, printed.splitlines()))
    assert [entry["id"] for entry in found] == [f"docs.jsonl.gz:{i + 1}" for i in GOOD]
    assert [entry["n"] for entry in found] == [2, None, 0, None]
    assert "5 that cannot be read" in errors
    assert "line 3 is no JSON value; line 5 is no JSON object" in errors


def test_parquet_comes_back_as_parquet(run: Any) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow
    import pyarrow.parquet

    rows: dict[str, Any] = {
        "text": ["red fox ran", None, "a hen sat"],
        "n": [1, 2, 3],
        "oov": ["x", "y", "z"],
    }
    pyarrow.parquet.write_table(pyarrow.table(rows), "docs.parquet", compression="gzip")
    run("score", "m.lm", "--file", "docs.parquet", "-o", "out.parquet", "--unit", "nats")
    table = pyarrow.parquet.read_table("out.parquet")
    assert table["n"].to_pylist() == [1, 3]
    assert table.column_names == ["text", "n", *FIGURES]
    expected = langmodels.load("m.lm").score_many(["red fox ran", "a hen sat"])
    assert table["log_prob"].to_pylist() == pytest.approx(expected)
    assert pyarrow.parquet.ParquetFile("out.parquet").metadata.row_group(0).column(0).compression
    assert main(["score", "m.lm", "--file", "docs.parquet"]) == 2
    assert main(["score", "m.lm", "--file", "docs.parquet", "-o", "out.jsonl"]) == 2


@pytest.mark.parametrize("level", ["whitespace", "char"])
def test_scores_of_documents_in_python(level: str) -> None:
    texts = ["red fox\nran", "", "\n \n", "a fox sat\n", "hen"] * 3
    model = langmodels.make_model("witten-bell:order=2").fit(
        langmodels.Corpus.from_text("red fox ran\nred hen ran\n", level)
    )
    scores = list(langmodels.score_documents(iter(texts), model))
    again = langmodels.score_documents([{"body": t} for t in texts], model, jobs=2, text="body")
    assert list(again) == scores
    for text, score in zip(texts, scores, strict=True):
        parts = text.split("\n") if level == "whitespace" else [text]
        parts = [part for part in parts if part.strip() or level == "char"]
        assert score.log_prob == pytest.approx(sum(map(model.score, parts)))
    column = langmodels.score_column([*texts, None], model)
    assert np.isnan(column[[1, -1]]).all()
    assert column[0] == pytest.approx(scores[0].perplexity)
    with pytest.raises(LangmodelsError, match="Document 2 has no text"):
        list(langmodels.score_documents(["a", {"txt": "b"}], model))
    with pytest.raises(UsageError, match="no figure"):
        langmodels.score_column(texts, model, "entropy")
    arrow = [SimpleNamespace(as_py=lambda value=value: value) for value in (texts[0], None)]
    column = langmodels.score_column([*arrow, math.nan], model)
    assert column[0] == pytest.approx(scores[0].perplexity)
    assert np.isnan(column[1:]).all()
    for foreign in (3, b"red fox", 2.5):  # which are texts that were not read, and not missing
        with pytest.raises(UsageError, match="holds strings"):
            langmodels.score_column([texts[0], foreign], model)
    for one in ("red fox ran", {"text": texts}):  # which would be its characters, or its keys
        with pytest.raises(UsageError, match="column"):
            langmodels.score_column(one, model)
        with pytest.raises(UsageError, match="list or a stream"):
            list(langmodels.score_documents(one, model))


def test_documents_are_taken_as_they_are_asked_for() -> None:
    """An iterable without end."""

    def endless() -> Iterator[str]:
        while True:
            yield "red fox ran " * 5000

    model = langmodels.load("m.lm")
    first = next(langmodels.score_documents(endless(), model))
    assert first.tokens == 15001


def test_state_goes_over_the_lines_of_a_document_where_asked() -> None:
    model = langmodels.make_model("cache:order=2").fit("red fox ran\nred hen ran\na fox sat")
    texts = ["hen hen\nhen hen", "a\n\nhen"]
    carried = score_texts(model, texts, carry=True)
    for text, score in zip(texts, carried, strict=True):
        corpus = langmodels.Corpus.read_by(model.reading, text).carried()
        assert score.log_prob == pytest.approx(model.score_corpus(corpus).sum())
    assert score_texts(model, texts).log_prob[0] != pytest.approx(carried.log_prob[0])
