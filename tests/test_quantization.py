"""N-gram models in eight bits a probability."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ngram_data import alice, held_out, sum_error, trained

import langmodels
from langmodels.errors import UsageError
from langmodels.ngram import NGramModel, QuantizedNGramModel, quantize
from langmodels.ngram.quantization import LEVELS, _levels
from langmodels.ngram.restriction import close


@pytest.mark.parametrize("smoothing", ["modified_kneser_ney", "katz", "witten_bell", "mle"])
def test_distributions_still_sum_to_one(smoothing: str) -> None:
    model = quantize(NGramModel(3, smoothing).fit(alice()))
    assert sum_error(model, held_out()) < 1e-5
    assert sum_error(model, alice(), 3) < 1e-5
    for log_prob in model.tables.log_prob[1:]:
        assert len(np.unique(log_prob)) <= LEVELS


def test_the_perplexity_hardly_changes() -> None:
    exact = trained(5).perplexity(held_out())
    assert quantize(trained(5)).perplexity(held_out()) == pytest.approx(exact, rel=0.005)


def test_a_file_is_smaller_and_exact(tmp_path: Path) -> None:
    model = quantize(trained(5))
    trained(5).save(tmp_path / "whole.lm")
    model.save(tmp_path / "small.lm")
    n = sum(model.ngram_counts[1:])
    saved = (tmp_path / "whole.lm").stat().st_size - (tmp_path / "small.lm").stat().st_size
    assert saved > 2.9 * n - 4 * 4 * LEVELS
    again = langmodels.load(tmp_path / "small.lm")
    assert isinstance(again, QuantizedNGramModel)
    assert np.array_equal(again.score_corpus(held_out()), model.score_corpus(held_out()))
    again.save(tmp_path / "again.lm")
    assert (tmp_path / "again.lm").read_bytes() == (tmp_path / "small.lm").read_bytes()
    assert again.discounts == trained(5).discounts


def test_quantizing_twice_changes_nothing() -> None:
    once = quantize(trained(3))
    twice = quantize(once)
    for k in range(3):
        assert np.array_equal(once.tables.log_prob[k], twice.tables.log_prob[k])


def test_a_closed_vocabulary_stays_closed(tmp_path: Path) -> None:
    closed = close(NGramModel(3).fit(alice()))
    model = quantize(closed)
    model.save(tmp_path / "closed.lm")
    want = closed.score_corpus(held_out())
    assert np.isneginf(want).sum() == 55
    assert sum_error(model, held_out()) < 1e-5
    for found in (model, quantize(model), langmodels.load(tmp_path / "closed.lm")):
        scores = found.score_corpus(held_out())
        assert np.array_equal(np.isneginf(scores), np.isneginf(want))
    possible = np.isfinite(want)
    assert scores[possible].mean() == pytest.approx(want[possible].mean(), rel=0.002)


def test_scores_that_are_no_probabilities_are_refused() -> None:
    model = NGramModel(2, "stupid_backoff").fit(alice().head(300))
    if model.is_distribution:
        pytest.skip("the model is normalised")
    with pytest.raises(UsageError, match="probabilities"):
        quantize(model)


@settings(max_examples=40)
@given(st.integers(1, 3000), st.integers(0, 2**32 - 1), st.booleans())
def test_levels_cover_the_values(n: int, seed: int, outliers: bool) -> None:
    values = -np.random.default_rng(seed).gamma(2, 2, n).astype(np.float32)
    if outliers:
        values[:: max(1, n // 3)] = -200
    levels = _levels(values)
    assert len(levels) <= LEVELS
    assert (np.diff(levels) > 0).all()
    assert levels[0] == values.min()
    assert levels[-1] <= 0
    nearest = np.abs(values[:, None] - levels[None]).min(axis=1)
    assert np.sqrt((nearest**2).mean()) < 0.02
