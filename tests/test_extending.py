"""What is added with one class and one registration is everywhere: commands, tables, listings."""

import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from langmodels.cli.main import command_parser, main
from langmodels.datasets import documents, find_source
from langmodels.datasets.documents import Document, DocumentFormat, Request
from langmodels.evaluation.candidates import make_candidates
from langmodels.evaluation.report import FORMATS
from langmodels.evaluation.results import Results
from langmodels.models.unigram import UnigramModel
from langmodels.neural.layers.cells import CELLS, Elman
from langmodels.ngram import SMOOTHINGS, NGramTables
from langmodels.ngram.smoothing import Smoothing, log, predicted_counts
from langmodels.presets import Setting
from langmodels.registry import CLOZE_MODELS, MODELS, load, make_model
from langmodels.text.levels import TOKENIZERS
from langmodels.text.tokenization import Tokenizer
from langmodels.text.vocabulary import Vocabulary

TEXT = "the cat sat on the mat .\nthe dog sat on the log .\na cat ran .\n" * 30

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """What a command line prints, in a folder with a text."""
    (tmp_path / "text.txt").write_text(TEXT)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> str:
        status = main(list(arguments))
        out, err = capsys.readouterr()
        assert status == 0, err
        return out

    return call


def compared(run: Run, *models: str) -> dict[str, float]:
    """The perplexities of a comparison."""
    names = ",".join(models)
    out = run("compare", "--corpus", "text.txt", "--models", names, "--report", "found.json")
    assert all(model.partition(":")[0] in out for model in models)
    found = json.loads(Path("found.json").read_text())
    return {model["name"]: model["perplexity"] for model in found["models"]}


def listed(run: Run) -> dict[str, str]:
    """Names and summaries of `langmodels models`."""
    return {entry["name"]: entry["summary"] for entry in json.loads(run("models", "--json"))}


# A smoothing method ------------------------------------------------------------------------------


class Flat(Smoothing):
    """Every word is as probable as any other, but for a share of its relative frequency.

    Args:
        share: of the relative frequency, above 0 and below 1.
    """

    name = "flat_mixture"

    def __init__(self, share: float = 0.5) -> None:
        self.share = share

    def estimate(self, counts) -> NGramTables:
        """Tables of unigrams."""
        c = predicted_counts(counts, 1)
        p = self.share * c / c.sum() + (1 - self.share) / (len(c) - 1)
        p[Vocabulary.bos_id] = 0.0
        none = [np.zeros(len(words), np.float32) for words in counts.words[:-1]]
        scores = [log(p)]
        for k in range(2, counts.order + 1):
            scores.append(log(p[counts.words[k - 1]]))
        return NGramTables(counts.words, counts.child_start, scores, none)


@pytest.fixture
def smoothing() -> Iterator[None]:
    SMOOTHINGS.register(Flat.name, Flat)
    yield
    SMOOTHINGS.unregister(Flat.name)


def test_a_registered_smoothing_method_is_listed_trained_and_compared(
    run: Run, smoothing: None
) -> None:
    assert listed(run)["flat-mixture"].startswith("Every word is as probable")
    assert "share" in run("models", "flat-mixture")
    run("train", "--corpus", "text.txt", "--smoothing", "flat_mixture", "-o", "a.lm")
    run("train", "--corpus", "text.txt", "--model", "flat-mixture:share=0.9", "-o", "b.lm")
    assert load("b.lm").get_params() == {
        "order": 4, "smoothing": "flat_mixture", "min_counts": (), "share": 0.9
    }  # fmt: skip
    assert float(np.exp(load("b.lm").log_distribution(load("b.lm").start())).sum()) == (
        pytest.approx(1)
    )
    found = compared(run, "flat-mixture", "flat-mixture:order=2", "unigram")
    assert found["unigram"] < found["flat-mixture"] < 20


# A recurrent cell --------------------------------------------------------------------------------


class Rectified(Elman):
    """Rectified linear units that begin as the identity."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden, relu=True)


@pytest.fixture
def cell() -> Iterator[None]:
    CELLS.register("rectified", Rectified)
    yield
    CELLS.unregister("rectified")


def test_a_recurrent_cell_is_a_model_of_its_own(run: Run, cell: None) -> None:
    names = listed(run)
    assert names["rectified"] == "Rectified linear units that begin as the identity"
    assert "bidirectional-rectified" in names
    assert "bidirectional-rectified" in CLOZE_MODELS
    assert "hidden" in run("models", "rectified")
    assert repr(make_model("rectified:hidden=3")) == "RecurrentModel(cell='rectified', hidden=3)"
    model = "rectified:hidden=8:epochs=1"
    run("train", "--corpus", "text.txt", "--model", model, "-o", "r.lm")
    assert load("r.lm").get_params()["cell"] == "rectified"
    run("train", "--corpus", "text.txt", "--model", "crnn:cell=rectified:epochs=1", "-o", "c.lm")
    assert compared(run, model, "unigram").keys() == {"rectified", "unigram"}
    assert "p(" in run("explain", "r.lm", "the cat sat")


def test_runs_with_code_from_elsewhere_are_not_kept(smoothing: None, cell: None) -> None:
    names = ["flat-mixture", "rectified", "crnn:cell=rectified", "bidirectional-rectified"]
    made = make_candidates([*names, "unigram", "crnn"], ["word"], Setting())
    assert [c.name for c in made if c.repeatable] == ["unigram", "crnn"]


def test_what_is_not_registered_any_more_is_gone() -> None:
    for name in ("rectified", "flat-mixture", "bidirectional-rectified"):
        assert name not in MODELS
        assert name not in CLOZE_MODELS


# A model ------------------------------------------------------------------------------------------


class Constant(UnigramModel):
    """Every word that is known is as probable as any other."""

    kind = "constant"

    def __init__(self, alpha: float = 1e9, **options) -> None:
        super().__init__(alpha, **options)


def test_a_registered_model_works_in_every_command(run: Run) -> None:
    MODELS.register("constant", Constant)
    try:
        assert listed(run)["constant"] == "Every word that is known is as probable as any other"
        run("train", "--corpus", "text.txt", "--model", "constant", "-o", "c.lm")
        assert "product" in run("explain", "c.lm,constant", "the cat sat", "--corpus", "text.txt")
        found = compared(run, "constant", "unigram")
        assert found["unigram"] < found["constant"]
    finally:
        MODELS.unregister("constant")


# A tokenizer --------------------------------------------------------------------------------------


class Twos(Tokenizer):
    """Every two characters are a token."""

    level = "twos"
    separator = ""
    reversible = True

    def tokenize(self, text: str) -> Sequence[str]:
        """Two by two."""
        return [text[i : i + 2] for i in range(0, len(text), 2)]

    def detokenize(self, tokens: Iterable[str]) -> str:
        """The text itself."""
        return "".join(tokens)


def test_a_registered_tokenizer_works_in_every_command(run: Run) -> None:
    TOKENIZERS.register("twos", Twos)
    try:
        assert "twos" in command_parser("train").format_help()
        run("train", "--corpus", "text.txt", "--level", "twos", "--model", "mkn", "-o", "t.lm")
        assert run("sample", "t.lm", "the cat ", "--max-tokens", "4", "--seed", "1")
        line = ("compare", "--corpus", "text.txt", "--models", "mkn:order=2")
        run(*line, "--level", "twos,char", "--report", "found.json")
        bits = {m["level"]: m for m in json.loads(Path("found.json").read_text())["models"]}
        assert bits["twos"]["bits_per_character"] < bits["char"]["bits_per_character"]
    finally:
        TOKENIZERS.unregister("twos")


# A report format ---------------------------------------------------------------------------------


def test_a_registered_report_format_is_written(run: Run) -> None:
    def render(results: Results) -> str:
        return "".join(f"{model.label}\t{model.perplexity:.3f}\n" for model in results.models)

    FORMATS.register(".tsv", render)
    try:
        assert ".tsv" in command_parser("compare").format_help()
        run(
            "compare", "--corpus", "text.txt", "--models", "unigram,mkn", "--report", "found.tsv"
        )  # fmt: skip
        lines = Path("found.tsv").read_text().splitlines()
        assert [line.split("\t")[0] for line in lines] == ["modified-kneser-ney", "unigram"]
    finally:
        FORMATS.unregister(".tsv")


# A document format -------------------------------------------------------------------------------


class Verses(DocumentFormat):
    """Paragraphs with empty lines between them."""

    endings: ClassVar[tuple[str, ...]] = (".verses",)

    def documents(self, request: Request) -> Iterator[Document]:
        """One a paragraph."""
        for i, text in enumerate("".join(request.chunks()).split("\n\n"), start=1):
            yield Document(text, f"{request.path}#{i}")


def test_a_registered_document_format_is_read(run: Run) -> None:
    Path("a.verses.gz").write_bytes(gzip.compress(b"red fox\nran\n\na hen sat"))
    documents.FORMATS.register("verses", Verses)
    try:
        source = find_source("a.verses.gz")
        assert source.read() == "red fox\nran\na hen sat\n"
        assert [d.id for d in source.documents()] == ["a.verses.gz#1", "a.verses.gz#2"]
        found = json.loads(run("train", "--corpus", "a.verses.gz", "-o", "a.lm", "--json"))
        assert found["tokens"] == 6 + 3
    finally:
        documents.FORMATS.unregister("verses")
