"""Mixtures: interpolation, EM weights, storage."""

import itertools
from typing import Any, Self

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.files import pack, unpack
from langmodels.models.mixture import MixtureModel
from langmodels.models.mixture_weights import em_weights, log_mean
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.vocabulary import Vocabulary


class ToyModel(LanguageModel[int]):
    """A smoothed bigram model whose strength of smoothing makes one differ from the next."""

    kind = "toy-bigram-of-the-mixture-tests"

    def __init__(self, added: float = 1.0) -> None:
        self.added = added

    def fit(self, corpus: Corpus, validation: Corpus | None = None) -> Self:
        self.adopt(corpus, validation)
        size = len(self.vocabulary)
        self.p = np.full((size, size), self.added)
        for a, b in itertools.pairwise(corpus.ids.tolist()):
            self.p[a, b] += 1
        self.p[:, 1] = 0
        self.p /= self.p.sum(axis=1, keepdims=True)
        return self

    def start(self) -> int:
        return Vocabulary.bos_id

    def advance(self, state: int, token: int) -> int:
        return token

    def log_distribution(self, state: int) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(self.p[state])

    @property
    def n_parameters(self) -> int:
        return self.p.size

    @property
    def context_length(self) -> int | None:
        return 1

    def config(self) -> dict[str, Any]:
        return {"added": self.added}

    def arrays(self) -> dict[str, Any]:
        return {"p": self.p}

    @classmethod
    def restore(cls, config: Any, arrays: Any, reading: Any) -> "ToyModel":
        model = cls(**config)
        model.p = arrays["p"]
        return model


class ScoresOnly(ToyModel):
    kind = "toy-scores-of-the-mixture-tests"
    is_distribution = False


def corpora() -> tuple[Corpus, Corpus]:
    train = Corpus.from_text("a b a c\nb a b a\nc a b\n", make_tokenizer("word"))
    held_out = Corpus.from_text("a b c\nb a z\n", train.tokenizer, vocabulary=train.vocabulary)
    return train, held_out


def test_the_distribution_is_the_weighted_mean() -> None:
    train, _ = corpora()
    one, two = ToyModel(0.1).fit(train), ToyModel(5.0).fit(train)
    mixture = MixtureModel([one, two], [3, 1])
    for context in ("", "a", "a b c"):
        expected = 0.75 * one.distribution(context) + 0.25 * two.distribution(context)
        assert mixture.distribution(context) == pytest.approx(expected)
        assert mixture.distribution(context).sum() == pytest.approx(1)
    assert mixture.log_prob("b", "a") == pytest.approx(np.log(mixture.distribution("a")[4]))
    assert mixture.n_parameters == one.n_parameters + two.n_parameters + 1
    assert mixture.context_length == 1
    assert mixture.context_used("a b c") == 1


def test_scoring_a_corpus_equals_the_loop() -> None:
    train, held_out = corpora()
    mixture = MixtureModel([ToyModel(0.1), ToyModel(5.0)]).fit(train, held_out)
    slow = LanguageModel.score_sequences(mixture, held_out)
    assert mixture.score_corpus(held_out) == pytest.approx(slow)


def test_em_finds_the_best_weights_and_keeps_fixed_ones() -> None:
    train, held_out = corpora()
    learnt = MixtureModel([ToyModel(0.01), ToyModel(5.0)]).fit(train, held_out)
    assert learnt.weights.sum() == pytest.approx(1)
    best = learnt.cross_entropy(held_out)
    for weight in np.linspace(0, 1, 21):
        other = MixtureModel(learnt.models, [weight, 1 - weight])
        assert best <= other.cross_entropy(held_out) + 1e-6
    fixed = MixtureModel([ToyModel(0.01), ToyModel(5.0)], [0.3, 0.7]).fit(train, held_out)
    assert fixed.weights.tolist() == [0.3, 0.7]
    unweighted = MixtureModel([ToyModel(0.01), ToyModel(5.0)]).fit(train)
    assert unweighted.weights.tolist() == [0.5, 0.5]


def test_known_em_weights() -> None:
    # Two disjoint models: the weights are the shares of tokens that each can predict.
    with np.errstate(divide="ignore"):
        log_p = np.log([[0.5, 0.5, 0.5, 0.0], [0.0, 0.0, 0.0, 0.001]])
    assert em_weights(log_p) == pytest.approx([0.75, 0.25])
    # What nobody predicts, and probabilities beyond the range of a float, change nothing.
    log_p = np.column_stack([log_p - 5000, np.full(2, -np.inf)])
    assert em_weights(log_p) == pytest.approx([0.75, 0.25])
    assert em_weights(np.full((2, 3), -np.inf)).tolist() == [0.5, 0.5]
    assert em_weights(log_p, np.array([1.0, 0.0])).tolist() == [1.0, 0.0]


@settings(max_examples=40)
@given(st.integers(2, 4), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_em_never_makes_the_text_less_probable(k: int, n: int, seed: int) -> None:
    log_p = np.random.default_rng(seed).normal(-3, 4, (k, n))
    weights = em_weights(log_p)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    equal = np.full(k, 1 / k)
    assert log_mean(log_p, weights).sum() >= log_mean(log_p, equal).sum() - 1e-9


def test_storage_is_exact_also_when_nested() -> None:
    train, held_out = corpora()
    inner = MixtureModel([ToyModel(0.1), ToyModel(1.0)]).fit(train, held_out)
    outer = MixtureModel([inner, ToyModel(5.0)]).fit(train, held_out)
    again = unpack(*pack(outer))
    assert isinstance(again, MixtureModel)
    assert again.weights.tolist() == outer.weights.tolist()
    assert np.array_equal(again.score_corpus(held_out), outer.score_corpus(held_out))
    metadata, arrays = pack(outer)
    assert sum(name.endswith("vocabulary.text") for name in arrays) == 1
    assert pack(again)[0] == metadata


def test_bad_mixtures_are_refused() -> None:
    train, _ = corpora()
    other = Corpus.from_text("x y", make_tokenizer("word"))
    with pytest.raises(UsageError, match="at least one model"):
        MixtureModel([])
    for weights in ([1.0], [1.0, -1.0], [np.nan, 1.0], [0.0, 0.0]):
        with pytest.raises(UsageError, match="weight"):
            MixtureModel([ToyModel(), ToyModel()], weights)
    with pytest.raises(UsageError, match="one vocabulary"):
        MixtureModel([ToyModel().fit(train), ToyModel().fit(other)])
    with pytest.raises(UsageError, match="another vocabulary"):
        MixtureModel([ToyModel().fit(train), ToyModel()]).fit(other)
    with pytest.raises(UsageError, match="not probabilities"):
        MixtureModel([ToyModel(), ScoresOnly()])
