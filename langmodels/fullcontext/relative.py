"""Relative frequencies after the whole history: the unsmoothed full-context model."""

import numpy as np

from langmodels.arrays import BoolArray, FloatArray, IndexArray, IntArray
from langmodels.fullcontext.counts import ContextCounts
from langmodels.fullcontext.matching import Match, targets_of

UNKNOWN = Match(0, 0, 0, 0)
"""The match of any history that does not occur in the training text."""


class RelativeFrequencies:
    """p(x | history) = n(history, x) / n(history); uniform where the history is unknown (0 / 0)."""

    def __init__(self, counts: ContextCounts, base: FloatArray) -> None:
        """``base`` (V,): log p after an unknown history."""
        self.counts = counts
        self.base = base

    def advance(self, state: Match, symbol: int) -> Match:
        return self.counts.matcher.extend(state, symbol) or UNKNOWN

    def log_distribution(self, state: Match) -> FloatArray:
        tree = self.counts.tree
        following = np.bincount(tree.following[state.low : state.high], minlength=len(self.base))
        following = following[: len(self.base)]
        total = int(following.sum())
        if total == 0:
            return self.base.copy()
        with np.errstate(divide="ignore"):
            log_p: FloatArray = np.log(following / total)
        return log_p

    def log_prob(self, state: Match, symbol: int) -> float:
        low, high = np.array([state.low]), np.array([state.high])
        return float(self._log_prob(low, high, np.array([symbol]))[0])

    def score(self, ids: IntArray, offsets: IndexArray) -> tuple[FloatArray, BoolArray]:
        """Log p of every target, and whether its history was known, both (targets,).

        All sequences advance in parallel, one token per step, until their history is unknown.
        """
        scores, known = self.base[ids].copy(), np.zeros(len(ids), dtype=bool)
        start = self.counts.matcher.start
        at, end = offsets[:-1] + 1, offsets[1:]
        low, high = np.full(len(at), start.low), np.full(len(at), start.high)
        while True:
            alive = np.flatnonzero((at < end) & (low < high))
            if not len(alive):
                break
            at, end, low, high = at[alive], end[alive], low[alive], high[alive]
            known[at] = self.counts.following(low, high) > 0
            scores[at] = self._log_prob(low, high, ids[at])
            low, high = self.counts.matcher.extend_all(low, high, ids[at])
            at = at + 1
        is_target = targets_of(ids, offsets)
        return scores[is_target], known[is_target]

    def _log_prob(self, low: IndexArray, high: IndexArray, symbol: IntArray) -> FloatArray:
        total = self.counts.following(low, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            log_p = np.log(self.counts.matcher.count(low, high, symbol) / total)
        return np.where(total > 0, log_p, self.base[symbol])
