"""Models that go on from finished ones: counts that add up, networks trained further."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ngram_data import unpacked

from langmodels.cli.main import main
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.base import LanguageModel
from langmodels.neural.base import NetworkModel
from langmodels.neural.dynamic import RATES, DynamicModel
from langmodels.ngram import NGramModel
from langmodels.ngram.text_counts import TextCounts
from langmodels.registry import load, make_model
from langmodels.text.corpus import Corpus

LINES = unpacked("alice.train.txt.xz").splitlines(keepends=True)
FIRST, SECOND, HELD_OUT = ("".join(LINES[a:b]) for a, b in ((0, 300), (300, 500), (500, 560)))


def read(text: str, **options: Any) -> Corpus:
    return Corpus.from_text(text, "whitespace", **options)


def scores(model: LanguageModel[Any]) -> Any:
    return model.score_corpus(Corpus.read_by(model.reading, HELD_OUT))


@pytest.mark.parametrize("smoothing", ["modified_kneser_ney", "witten_bell", "jelinek_mercer"])
def test_added_counts_give_the_model_of_all_text_at_once(smoothing: str, tmp_path: Path) -> None:
    validation = "".join(LINES[560:600])
    counts = TextCounts.of(read(FIRST), 3, min_count=2)
    held_out = Corpus.read_by(counts.reading, validation)
    first = NGramModel(3, smoothing).fit_counts(counts, held_out, keep_counts=True)
    first.save(tmp_path / "first.lm")
    first = NGramModel.load(tmp_path / "first.lm")
    both = NGramModel(3, smoothing).fit(SECOND, validation, init=first)
    whole = read(FIRST + SECOND, min_count=2)
    expected = NGramModel(3, smoothing).fit(whole, Corpus.read_by(whole.reading, validation))
    assert sorted(both.vocabulary.tokens) == sorted(expected.vocabulary.tokens)
    # Some words were too rare in either text to be known.
    assert len(both.vocabulary) > len(
        set(first.vocabulary.tokens) | set(read(SECOND, min_count=2).vocabulary.tokens)
    )
    assert both.ngram_counts == expected.ngram_counts
    assert scores(both) == pytest.approx(scores(expected), abs=1e-5)


@pytest.mark.filterwarnings("ignore:The")
def test_counts_are_kept_from_text_to_text(tmp_path: Path) -> None:
    model = NGramModel(2).fit(read(LINES[0]), keep_counts=True)
    for line in LINES[1:6]:
        model = NGramModel(2).fit(line, init=model)
    expected = NGramModel(2).fit(read("".join(LINES[:6])))
    assert scores(model) == pytest.approx(scores(expected), abs=1e-5)
    assert NGramModel(2).fit(read(FIRST)).counts is None


def test_tokens_that_never_occur_stay_known_where_all_are() -> None:
    """As the pieces of subwords are, bytes among them."""
    vocabulary = read(FIRST).vocabulary.extended(["never", "seen"])
    corpus = Corpus.from_text(FIRST, "whitespace", vocabulary=vocabulary)
    model = NGramModel(2).fit(corpus, keep_counts=True)
    assert model.vocabulary == vocabulary
    assert "never" in NGramModel(2).fit(SECOND, init=model).vocabulary


def test_what_counts_cannot_be_added_to() -> None:
    kept = NGramModel(2).fit(read(FIRST), keep_counts=True)
    with pytest.raises(UsageError, match="did not keep its counts"):
        NGramModel(2).fit(SECOND, init=NGramModel(2).fit(read(FIRST)))
    with pytest.raises(UsageError, match="up to order 2 only"):
        NGramModel(3).fit(SECOND, init=kept)
    with pytest.raises(UsageError, match="cut differently"):
        NGramModel(2).fit(Corpus.from_text(SECOND, "word"), init=kept)
    with pytest.raises(UsageError, match="give a validation text"):
        NGramModel(2, "jelinek_mercer").fit(SECOND, init=kept)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("2.words", lambda a: a[::-1].copy(), "'counts.2.words' is damaged"),
        ("3.words", lambda a: np.full_like(a, 2), "damaged"),
        ("2.count", lambda a: -a, "'2.count' is damaged"),
        ("1.child_start", lambda a: a + 1, "damaged"),
        ("3.count", lambda a: a[1:], "'3.words' is damaged"),
    ],
)
def test_damaged_counts_are_refused(name: str, change: Callable[[Any], Any], message: str) -> None:
    counts = TextCounts.of(read(FIRST), 3)
    arrays, config = counts.arrays(), counts.config()
    again = TextCounts.restore(config, arrays, counts.reading)
    assert all(map(np.array_equal, again.counts.suffixes, counts.counts.suffixes))
    arrays[f"counts.{name}"] = change(np.array(arrays[f"counts.{name}"]))
    with pytest.raises(LangmodelsError, match=message):
        TextCounts.restore(config, arrays, counts.reading)


NETWORKS = {
    "lstm": "lstm:hidden=8",
    "adaptive": "gru:hidden=8:cutoffs=20",
    "one-hot": "rnn:hidden=8:one_hot=true",
    "feed-forward": "feed-forward:hidden=8:embedding=8",
    "transformer": "transformer:width=8:heads=2:layers=1",
    "adaptive transformer": "transformer:width=8:heads=2:layers=1:cutoffs=20",
    "convolution": "crnn:hidden=8:channels=4",
}


@pytest.mark.parametrize("name", NETWORKS.values(), ids=NETWORKS)
def test_networks_begin_where_others_ended(name: str) -> None:
    """With steps of nothing they are where they were, with new words like `<unk>`."""

    def network(**training: Any) -> Any:
        return make_model(name, epochs=1, optimizer="sgd", l2=0.0, **training)

    text = "".join(LINES[:12])
    trained = network(learning_rate=0.3).fit(read(text))
    same = network(learning_rate=1e-12).fit(text, init=trained)
    assert scores(same) == pytest.approx(scores(trained), abs=1e-5)
    assert scores(network(learning_rate=0.3).fit(text, init=trained)).mean() > scores(same).mean()

    more = network(learning_rate=1e-12).fit("the brandnew words words", init=trained)
    size = len(trained.vocabulary)
    assert more.vocabulary.tokens[size:] == ["words", "brandnew"]
    ids = trained.encode("the the a")
    before, after = (m.distribution(ids) for m in (trained, more))
    if "cutoffs" not in name:
        assert after[size:] == pytest.approx([after[0]] * 2, rel=1e-4)
        assert after[:size] / after[:size].sum() == pytest.approx(before, rel=1e-4)
    else:
        assert after[:20] == pytest.approx(before[:20], rel=1e-4)


def test_networks_that_do_not_fit(tmp_path: Path) -> None:
    text = "".join(LINES[:6])
    trained = make_model("lstm:hidden=8:epochs=1").fit(read(text))
    assert isinstance(trained, NetworkModel)
    for name, other, message in (
        ("lstm:hidden=9", text, "hidden=8, not 9"),
        ("gru:hidden=8", text, "it is a LSTMModel, not a GRUModel"),
        ("lstm:hidden=8", read("other words"), "not read with its vocabulary"),
        ("lstm:hidden=8", Corpus.from_text(text, "char"), "tokenized in another way"),
    ):
        model: Any = make_model(f"{name}:epochs=1")
        with pytest.raises(UsageError, match=message):
            model.fit(other, init=trained)
        assert not model.is_fitted
    spelled = make_model("char-cnn-lstm:hidden=4:filters=1:epochs=1").fit(read("ab abc abc"))
    again: Any = make_model("char-cnn-lstm:hidden=4:filters=1:epochs=1")
    with pytest.raises(UsageError, match="characters that it does not know"):
        again.fit("ab abx", init=spelled)
    assert "bca" in again.fit("ab bca", init=spelled).vocabulary


def test_a_checkpoint_belongs_to_what_training_began_from(tmp_path: Path) -> None:
    text, file = "".join(LINES[:6]), str(tmp_path / "ck")

    def network(**training: Any) -> Any:
        return make_model("rnn:hidden=4", epochs=1, **training)

    one, two = network().fit(read(text)), network(seed=1).fit(read(text))
    network().fit(text, init=one, checkpoint=file)
    network().fit(text, init=one, checkpoint=file)
    with pytest.raises(LangmodelsError, match="first weights"):
        network().fit(text, init=two, checkpoint=file)


def test_text_added_by_the_command_gives_the_model_of_all_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text(FIRST)
    Path("b.txt").write_text(SECOND)
    Path("all.txt").write_text(FIRST + SECOND)
    Path("c.txt").write_text(LINES[0])
    level = ["--level", "whitespace", "--min-count", "2"]
    train = ["train", "--corpus"]
    assert main([*train, "a.txt", *level, "--order", "3", "--keep-counts", "-o", "a.lm"]) == 0
    assert main([*train, "b.txt", "--init", "a.lm", "-o", "both.lm"]) == 0
    assert "tokens are new" in capsys.readouterr().out
    assert main([*train, "all.txt", *level, "--order", "3", "-o", "all.lm"]) == 0
    assert scores(load("both.lm")) == pytest.approx(scores(load("all.lm")), abs=1e-5)
    assert main([*train, "b.txt", "--init", "a.lm", "--order", "2", "-o", "two.lm"]) == 0
    assert load("two.lm").context_length == 1

    dynamic = ["--model", "dynamic:hidden=4:epochs=1:rate=0.001"]
    assert main([*train, "c.txt", "--level", "whitespace", *dynamic, "-o", "d.lm"]) == 0
    assert main([*train, "c.txt", "--init", "d.lm", "--validation", "c.txt", "-o", "e.lm"]) == 0
    assert load("e.lm").get_params()["rate"] == 0.001
    small = ["--model", "transformer:width=8:layers=1:heads=2:window=4:epochs=1"]
    assert main([*train, "c.txt", "--level", "whitespace", *small, "-o", "t.lm"]) == 0
    as_it_is = ["--init", "t.lm", "--validation", "c.txt"]
    # New words stay unknown: there is no training to learn them in.
    assert main([*train, "b.txt", *as_it_is, "--model", "dynamic:every=4", "-o", "l.lm"]) == 0
    learning, network = load("l.lm"), load("t.lm")
    assert isinstance(learning, DynamicModel)
    assert (learning.every, learning.vocabulary) == (4, network.vocabulary)
    assert learning.rate in RATES
    np.testing.assert_array_equal(
        learning.base.network.parameters.flat, network.network.parameters.flat
    )
    expected = DynamicModel(network, every=4, rate=learning.rate)
    expected.fit(Corpus.read_by(network.reading, SECOND))
    np.testing.assert_array_equal(scores(learning), scores(expected))
    capsys.readouterr()
    for wrong, message in (
        ([*as_it_is, "--model", "dynamic:epochs=2"], "leave out option epochs"),
        ([*as_it_is, "--model", "dynamic", "--sample", "9"], "leave out --sample"),
        ([*as_it_is, "--model", "dynamic", "--min-count", "1"], "leave out --min-count"),
        (["--init", "a.lm", "--model", "dynamic"], "does not become a DynamicModel"),
        (["--init", "all.lm"], "did not keep its counts"),
        (["--init", "a.lm", "--level", "word"], "leave out --level"),
        (["--init", "a.lm", "--min-count", "1"], "leave out --min-count"),
        (["--init", "a.lm", "--lower"], "leave out --clean"),
        (["--init", "a.lm", "--model", "lstm"], "does not become a LSTMModel"),
        (["--init", "d.lm", "--model", "gru"], "does not become a GRUModel"),
        (["--keep-counts", "--quantize"], "no place for counts"),
        (["--keep-counts", "--model", "unigram"], "no place for counts"),
        (["--keep-counts", "--vocab-size", "9"], "leave out --vocabulary"),
    ):
        assert main([*train, "b.txt", *wrong, "-o", "x.lm"]) == 2
        assert message in " ".join(capsys.readouterr().err.split())
    assert main([*train, "b.txt", "--init", "a.lm", "-o", "a.lm"]) == 2
    assert not Path("x.lm").exists()
