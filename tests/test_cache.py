"""The cache model: decay, the vectorised scores, what is learnt from held-out text."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_mixture import ScoresOnly, ToyModel

from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.cache import DECAYS, CacheModel, cache_scores
from langmodels.models.files import pack, unpack
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer

BURSTY = "x x x x y\ny y y z\nz z z z z x\nx x y y\n"


def corpus(text: str = BURSTY, level: str = "word") -> Corpus:
    return Corpus.from_text(text, make_tokenizer(level))


def test_known_probabilities() -> None:
    train = corpus()
    base = ToyModel().fit(train)
    model = CacheModel(base, decay=0.5, weight=0.2)
    assert model.distribution() == pytest.approx(base.distribution())
    # After "x y x": x has 1 + 1/4, y 1/2, of 7/4 in all.
    found = model.prob("x", "x y x")
    assert found == pytest.approx(0.8 * base.prob("x", "x y x") + 0.2 * 1.25 / 1.75)
    found = model.prob("z", "x y x")
    assert found == pytest.approx(0.8 * base.prob("z", "x y x"))
    assert model.distribution("x y x").sum() == pytest.approx(1)


@settings(max_examples=30)
@given(st.text("ab c\n", min_size=1, max_size=60), st.sampled_from([0.3, 0.9, 0.999, 1.0]))
def test_scoring_a_corpus_equals_the_loop(text: str, decay: float) -> None:
    for level in ("word", "char"):
        held_out = corpus(f"a {text}", level)
        model = CacheModel(ToyModel(), decay, 0.4).fit(held_out)
        slow = LanguageModel.score_sequences(model, held_out)
        assert model.score_corpus(held_out) == pytest.approx(slow)


def test_a_long_stream_neither_overflows_nor_forgets() -> None:
    text = "ab" * 20_000
    stream = corpus(text, "char")
    for decay in (0.5, 0.999, 1.0):
        scores = cache_scores(stream, decay)
        assert math.isnan(scores[0])
        assert np.isneginf(scores[1:3]).tolist() == [True, False]
        limit = 0.5 if decay == 1 else decay / (1 + decay)
        assert math.exp(scores[-1]) == pytest.approx(limit, rel=1e-3)


def test_a_document_carries_the_cache_over() -> None:
    lines = corpus("x y\nx y\n")
    alone, carried = cache_scores(lines, 1.0), cache_scores(lines.carried(), 1.0)
    assert np.isnan(alone[[0, 3]]).all()
    assert math.exp(carried[3]) == pytest.approx(1 / 3)
    assert math.exp(carried[5]) == pytest.approx(1 / 5)  # </s> is remembered too
    model = CacheModel(ToyModel(), 0.9, 0.5).fit(lines)
    assert model.score_document(lines)[:3] == pytest.approx(model.score_corpus(lines)[:3])
    assert model.score_document(lines).sum() > model.score_corpus(lines).sum()


def test_decay_and_weight_are_learnt() -> None:
    train, held_out = corpus("x y z\nz y x\n"), corpus("x x x x x x\ny y y y y y\n")
    held_out = Corpus.from_text("x x x x\ny y y y\n", train.tokenizer, vocabulary=train.vocabulary)
    model = CacheModel(ToyModel()).fit(train, held_out)
    assert model.decay in DECAYS
    best = model.cross_entropy(held_out)
    for decay in DECAYS:
        for weight in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9):
            assert best <= CacheModel(model.base, decay, weight).cross_entropy(held_out) + 1e-6
    fixed = CacheModel(ToyModel(), 0.7, 0.1).fit(train, held_out)
    assert (fixed.decay, fixed.weight) == (0.7, 0.1)


def test_states_are_values_and_storage_is_exact() -> None:
    train = corpus()
    model = CacheModel(ToyModel()).fit(train, train)
    state = model.state("x y")
    before = model.log_distribution(state)
    model.advance(state, 3)
    assert np.array_equal(model.log_distribution(state), before)
    again = unpack(*pack(model))
    assert np.array_equal(again.score_corpus(train), model.score_corpus(train))
    assert pack(again)[0] == pack(model)[0]
    assert again.n_parameters == model.n_parameters
    assert again.context_length is None


def test_no_weight_is_the_base() -> None:
    train = corpus()
    model = CacheModel(ToyModel(), 0.9, 0.0).fit(train)
    assert np.array_equal(model.score_corpus(train), model.base.score_corpus(train))
    assert np.array_equal(model.distribution("x x"), model.base.distribution("x x"))
    assert model.log_prob("x", "x") == model.base.log_prob("x", "x")


def test_bad_caches_are_refused() -> None:
    for decay in (0.0, 1.5, math.nan):
        with pytest.raises(UsageError, match="decay"):
            CacheModel(ToyModel(), decay)
    for weight in (-0.1, 1.0, math.nan):
        with pytest.raises(UsageError, match="weight"):
            CacheModel(ToyModel(), 0.9, weight)
    with pytest.raises(UsageError, match="not probabilities"):
        CacheModel(ScoresOnly())
    with pytest.raises(UsageError, match="another vocabulary"):
        CacheModel(ToyModel().fit(corpus())).fit(corpus("p q"))
