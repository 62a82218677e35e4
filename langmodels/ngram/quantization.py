"""Quantization: n-gram models in smaller files, with eight bits per probability."""

from collections.abc import Mapping

import numpy as np

from langmodels.arguments import checked
from langmodels.arrays import Array
from langmodels.checks import LOG_PROB, Expected, check_arrays
from langmodels.errors import UsageError
from langmodels.ngram.model import NGramModel
from langmodels.ngram.pruning import normalizing_backoff
from langmodels.ngram.tables import Float32Array, NGramTables
from langmodels.ngram.trie import child_sums, next_suffixes

LEVELS = 256
_ROUNDS = 20
_PROBES = 65_536  # values sampled for their density
_WIDEST_GAP = 1.0  # nats
_LOWEST = np.float32(-99 * np.log(10))


class QuantizedNGramModel(NGramModel):
    """An n-gram model made by `quantize`, stored with one byte per probability.

    The bytes are decoded to float32 when the file is opened; it behaves like any n-gram model.
    """

    kind = "ngram-quantized"

    def arrays(self) -> dict[str, Array]:
        arrays = super().arrays()
        for k in range(2, self.tables.order + 1):
            name = f"ngram.{k}.log_prob"
            levels = np.unique(arrays[name])
            arrays[f"{name}.levels"] = levels
            arrays[name] = np.searchsorted(levels, arrays[name]).astype(np.uint8)
        return arrays

    @classmethod
    def _whole(cls, order: int, arrays: Mapping[str, Array]) -> Mapping[str, Array]:
        whole = dict(arrays)
        for k in range(2, order + 1):
            name = f"ngram.{k}.log_prob"
            levels = Expected("float32", ("levels",), **LOG_PROB)
            places = Expected("uint8", ("n",), below="levels")
            check_arrays(arrays, {f"{name}.levels": levels, name: places})
            whole[name] = arrays[f"{name}.levels"][arrays[name]]
        return whole


@checked
def quantize(model: NGramModel) -> QuantizedNGramModel:
    """The model with 256 distinct probabilities in each order above the unigrams.

    Log probabilities are rounded to the nearest of 256 levels that nearly minimise the squared
    error (Lloyd 1982, "Least Squares Quantization in PCM", method I). Where that would leave a
    context too little probability to back off with, those after it are rounded down. Back-off
    weights are recomputed and not rounded, so that distributions still sum to one.

    Raises UsageError for a model whose scores are not probabilities.
    """
    if not model.is_distribution or model.tables.unseen_backoff:
        raise UsageError("Stupid backoff cannot be quantized: its scores are not probabilities.")
    tables = model.tables
    log_prob, backoff = [tables.log_prob[0]], list(tables.backoff)
    rounded = NGramTables(tables.words, tables.child_start, log_prob, backoff)
    suffixes = np.empty(0, np.int32)
    for k in range(2, tables.order + 1):
        log_prob.append(_round(tables, k))
        suffixes = next_suffixes(tables, k, suffixes)
        backoff[k - 2] = normalizing_backoff(rounded, k, suffixes).astype(np.float32)
    result = QuantizedNGramModel.from_tables(rounded, model.reading, smoothing=model.smoothing)
    result.fitted = model.fitted
    return result


def _round(tables: NGramTables, order: int) -> Float32Array:
    """The log probabilities of an order, (n_k,), rounded to 256 levels such that every context
    keeps some probability to back off with.
    """
    every = tables.log_prob[order - 1]
    # p = 0, such as that of <unk> in a closed vocabulary, is a level of its own.
    possible = every > -np.inf
    if not possible.any():
        return every
    levels = _levels(every[possible], LEVELS - int(not possible.all()))
    exact = np.maximum(every, levels[0])
    above = np.minimum(np.searchsorted(levels, exact), len(levels) - 1)
    below = np.maximum(np.searchsorted(levels, exact, side="right") - 1, 0)
    nearest = np.where(exact - levels[below] <= levels[above] - exact, below, above)
    left = 1 - child_sums(tables, order, np.exp(every.astype(np.float64)))
    p = np.where(possible, np.exp(levels.astype(np.float64))[nearest], 0.0)
    used = child_sums(tables, order, p)
    crowded = used > 1 - left / 2
    chosen = np.where(np.repeat(crowded, np.diff(tables.child_start[order - 2])), below, nearest)
    rounded: Float32Array = np.where(possible, levels[chosen], -np.float32(np.inf))
    return rounded


def _levels(values: Float32Array, most: int = LEVELS) -> Float32Array:
    """At most `most` levels for rounding values, ascending; the first is the smallest value."""
    ordered = np.sort(np.maximum(values, _LOWEST))
    different = np.unique(ordered)
    if len(different) <= most:
        return different
    # The error is least if the density of levels is the cube root of that of the values (Panter and
    # Dite 1951): start from that, with wide gaps clipped, then iterate moving each level to the
    # mean of the values nearest to it. The first level stays, for rounding down.
    probes = ordered[np.linspace(0, len(ordered) - 1, min(len(ordered), _PROBES)).astype(np.int64)]
    share = np.minimum(np.diff(probes.astype(np.float64)), _WIDEST_GAP) ** (2 / 3)
    position = np.append(0.0, np.cumsum(share))
    levels = np.interp(np.linspace(0, position[-1], most), position, probes.astype(np.float64))
    sums = np.append(0.0, np.cumsum(ordered, dtype=np.float64))
    for _ in range(_ROUNDS):
        inner = np.searchsorted(ordered, (levels[1:] + levels[:-1]) / 2)
        edges = np.concatenate([[0], inner, [len(ordered)]])
        n = np.diff(edges)
        levels = np.where(n > 0, np.diff(sums[edges]) / np.maximum(n, 1), levels)
        levels[0] = ordered[0]
    return np.unique(levels.astype(np.float32))
