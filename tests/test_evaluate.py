"""`evaluate`: finished models on a text, alone and against one another."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from langmodels import evaluation
from langmodels.datasets import find_source
from langmodels.errors import LangmodelsError, UsageError
from langmodels.evaluation.comparison import compare
from langmodels.evaluation.finished import evaluate, measure
from langmodels.evaluation.measuring import Plan
from langmodels.evaluation.statistics import block_edges, block_sums, bootstrap_interval
from langmodels.models.unigram import UnigramModel
from langmodels.neural import RNNModel
from langmodels.registry import load, make_model
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.sequences import Sequences
from langmodels.text.splits import Splits
from langmodels.text.vocabulary import Vocabulary

TEXT = find_source("wonderland.txt").read()[:12_000]
TRAIN, NEW = TEXT[:9000], TEXT[9000:]
PLAN = Plan(growth=(), contexts=(1,), calibration=10, sample=10)


def trained(name: str, level: str = "word", **options: Any) -> Any:
    return make_model(name).fit(Corpus.from_text(TRAIN, make_tokenizer(level), **options))


def test_models_with_the_same_tokens_are_ranked_by_them() -> None:
    models = {"one": trained("unigram"), "three": trained("witten-bell:order=3")}
    found = evaluate(models, NEW)
    assert (found.per, [m.model for m in found.models]) == ("token", ["three", "one"])
    corpus = Corpus.from_text(NEW, models["one"].tokenizer, vocabulary=models["one"].vocabulary)
    for figures in found.models:
        model = models[figures.model]
        assert figures.perplexity == model.perplexity(corpus)
        assert figures.bits == pytest.approx(math.log2(figures.perplexity))
        assert figures.bits == pytest.approx(figures.bits_per_token)
        low, high = figures.interval or (0, 0)
        assert low < figures.bits < high
    (test,) = found.tests
    assert (test.better, test.worse) == ("three", "one")
    better, worse = found.models
    assert test.difference == pytest.approx(worse.bits - better.bits)


def test_against_chooses_the_pairs_that_are_tested(tmp_path: Path, run: Callable[..., str]) -> None:
    models = {name: trained(name) for name in ("unigram", "witten-bell:order=2", "mle:order=1")}
    pairs = {
        against: [(t.better, t.worse) for t in evaluate(models, TRAIN, against=against).tests]
        for against in (None, "unigram", "all")
    }
    assert len(pairs[None]) == len(pairs["unigram"]) == 2
    assert all("unigram" in pair for pair in pairs["unigram"])
    assert len(pairs["all"]) == 3
    files = []
    for name, model in models.items():
        files.append(str(tmp_path / f"{name.partition(':')[0]}.lm"))
        model.save(files[-1])
    (tmp_path / "new.txt").write_text(TRAIN)
    command = ["evaluate", *files, "--corpus", str(tmp_path / "new.txt")]
    assert "All pairs" in run(*command, "--against", "all")
    shown = run(*command, "--against", files[0])
    assert "All pairs" not in shown
    assert shown.count("unigram.lm") == 3  # in the table, and in two sentences,
    assert str(tmp_path) not in shown.partition("\n\n")[2]  # by the same name
    assert "no model nosuch" in run(*command, "--against", "nosuch", status=2)
    alone = ("evaluate", files[0], *command[1 + len(files) :], "--against", files[0])
    assert "name several" in run(*alone, status=2)


def test_blocks_of_characters_are_those_of_the_text() -> None:
    model = trained("unigram", "char")
    (figures,) = evaluate({"a": model}, NEW).models
    corpus = Corpus.from_text(NEW, model.tokenizer, vocabulary=model.vocabulary)
    bits = -model.score_corpus(corpus) / math.log(2)
    edges = block_edges(len(NEW))
    blocks = block_sums(bits, np.arange(1, len(NEW) + 1), edges)
    assert figures.interval == pytest.approx(bootstrap_interval(blocks, np.diff(edges)))


def test_models_with_different_tokens_compare_by_bits_per_character() -> None:
    """With a training text, figures are those of `compare`."""
    models = {"words": trained("unigram", min_count=2), "chars": trained("mkn:order=4", "char")}
    found = evaluate(models, NEW, training_text=TRAIN)
    splits = Splits.from_parts((TRAIN, NEW, NEW), "word", min_count=2)
    compared = compare(models, splits, plan=PLAN).results
    assert found.per == "char"
    assert {m.model: m.bits for m in found.models} == pytest.approx(
        {m.label: m.bits_per_character for m in compared.models}
    )
    assert [m.interval for m in found.models] == [
        pytest.approx(m.interval) for m in compared.models
    ]
    assert found.tests[0].p == compared.tests[0].p
    with pytest.raises(LangmodelsError, match="training text"):
        evaluate(models, NEW)
    # Characters and bytes leave nothing out that must be learnt.
    streams = {"chars": models["chars"], "bytes": trained("mkn:order=4", "byte")}
    assert evaluate(streams, NEW).per == "char"


def test_a_score_that_is_no_number_names_model_and_token() -> None:
    class Broken(UnigramModel):
        kind = "test-broken-unigram"

        def score_sequences(self, sequences: Sequences) -> Any:
            return np.where(np.arange(sequences.n_tokens) < 3, -1.0, np.nan)

    corpus = Corpus.from_text("the cat sat on the mat", make_tokenizer("word"))
    with pytest.raises(LangmodelsError, match=r"b\.lm: log p of 'on', token 4 of the text, is nan"):
        measure("b.lm", Broken().fit(corpus), corpus)


def test_the_command_ranks_models_and_refuses_those_that_do_not_compare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT)
    divided = ["--corpus", "text.txt", "--split", "contiguous"]
    run("train", *divided, "--model", "witten-bell:order=3", "--output", "a.lm")
    run("train", *divided, "--model", "unigram", "--output", "b.lm")
    run("train", *divided, "--level", "char", "--model", "mkn:order=4", "--output", "c.lm")
    on_test = ["--corpus", "text.txt", "--part", "test"]
    alone = json.loads(run("evaluate", "a.lm", *on_test, "--json"))
    both = json.loads(run("evaluate", "a.lm", "b.lm", *on_test, "--json"))
    assert (both["part"], both["per"]) == ("test", "token")
    assert both["models"][0]["perplexity"] == alone["perplexity"]
    assert both["tests"][0]["better"] == "a.lm"
    shown = run("evaluate", "a.lm", "b.lm", *on_test)
    assert "a.lm is better than b.lm" in shown
    assert "Not in the bits, and the same for all: spelling, spacing." in shown
    assert "bits/char" in run("evaluate", "a.lm", "c.lm", *on_test)
    refused = run("evaluate", "a.lm", "c.lm", "--corpus", "text.txt", status=1)
    assert "langmodels compare" in refused
    assert "twice" in run("evaluate", "a.lm", "a.lm", "--corpus", "text.txt", status=2)
    Path("old").mkdir()
    Path("old/b.lm").write_bytes(Path("a.lm").read_bytes())
    rows = run("evaluate", "old/b.lm", "b.lm", *on_test).splitlines()[4:6]
    assert [row.split()[0] for row in rows] == ["old/b.lm", "b.lm"]
    run("train", *divided, "--clean", "lower", "--model", "unigram", "--output", "d.lm")
    assert "cleaned in different ways" in run("evaluate", "a.lm", "d.lm", *on_test, status=1)


def test_files_and_models_from_python(tmp_path: Path) -> None:
    model = trained("unigram")
    model.save(tmp_path / "a.lm")
    found = evaluation.evaluate([tmp_path / "a.lm", model], NEW)
    assert [m.model for m in found.models] == sorted([str(tmp_path / "a.lm"), "UnigramModel"])
    assert found.models[0].bits == found.models[1].bits
    assert not found.tests[0].significant
    with pytest.raises(UsageError, match="same label"):
        evaluate([model, model], NEW)
    with pytest.raises(UsageError, match="nothing to evaluate"):
        evaluate([], NEW)


def test_the_same_model_in_other_files_is_the_same(tmp_path: Path) -> None:
    """Ids may be others and digits fewer: tokens are alike, and no test finds a difference."""
    model = trained("witten-bell:order=2")
    model.save_arpa(tmp_path / "m.arpa")
    turned = Vocabulary(reversed(model.vocabulary.tokens[3:]))
    other = make_model("witten-bell:order=2").fit(Corpus.from_text(TRAIN, vocabulary=turned))
    found = evaluate({"m": model, "arpa": tmp_path / "m.arpa", "turned": other}, NEW)
    assert found.per == "token"
    assert len({figures.perplexity for figures in found.models}) > 1
    assert [test.corrected for test in found.tests] == [1.0, 1.0]


@pytest.fixture
def growing(tmp_path: Path) -> str:
    """A network whose state grows from step to step, so that a long text overflows it."""
    network = RNNModel(relu=True, hidden=2, epochs=1, steps=4, batch_size=2)
    network.fit(Corpus.from_text("abab" * 20, "char"))
    network.network.parameters.flat[:] = 2.0
    network.save(tmp_path / "growing.lm")
    (tmp_path / "long.txt").write_text("ab" * 100)
    return str(tmp_path / "growing.lm")


@pytest.mark.filterwarnings("ignore:.* encountered in :RuntimeWarning")
@pytest.mark.parametrize(
    ("command", "rest"),
    [
        ("evaluate", ["--corpus", "long.txt"]),
        ("score", ["--file", "long.txt"]),
        ("score", ["--file", "long.txt", "--summary", "--json"]),
        ("score", ["ab" * 100]),
        ("explain", ["ab" * 100]),
        ("predict", ["ab" * 100]),
        ("sample", ["--max-tokens", "300"]),
        ("rescore", ["--nbest", "long.txt"]),
        ("fill", ["___" + "ab" * 100]),
        ("compare", ["--corpus", "long.txt", "--level", "char", "--jobs", "1", "--no-cache"]),
    ],
)
def test_a_network_that_overflows_gives_no_figure(
    command: str,
    rest: list[str],
    growing: str,
    run: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(Path(growing).parent)
    name = ["--models", growing] if command == "compare" else [growing]
    said = run(command, *name, *rest, status=1)
    assert "cannot be used" in said
    if command in ("evaluate", "compare"):
        assert "growing" in said.rpartition("error:")[2].partition("cannot be used")[0]
    if command not in ("predict", "sample", "fill", "compare"):
        assert "log p of '" in said


def test_a_network_that_overflows_has_no_score_in_python(growing: str) -> None:
    model = load(growing)
    assert np.isfinite(model.token_scores("abab")).all()
    long = "ab" * 100
    for work in (
        lambda: model.score(long),
        lambda: model.score_many([long]),
        lambda: model.perplexity(Corpus.read_by(model.reading, long)),
    ):
        with pytest.raises(LangmodelsError, match=r"log p of '.', token \d+ of the text"):
            work()
