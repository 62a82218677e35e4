"""Katz's back-off with Good-Turing discounts. Notation as in `smoothing`."""

from collections.abc import Sequence

import numpy as np

from langmodels.arrays import Array, FloatArray, IndexArray, IntArray
from langmodels.errors import UsageError
from langmodels.ngram.counting import NGramCounts
from langmodels.ngram.discounts import good_turing_factors, half_a_count
from langmodels.ngram.smoothing import Discounting, context_starts, spread
from langmodels.ngram.trie import BOS_ID, run_sums


class Katz(Discounting):
    """p(w | h) = d c(hw) / n(h) where hw was seen, else alpha(h) p(w | h'); Katz (1987).

    The factor d depends on c(hw): Good-Turing up to `cutoff`, 1 above. alpha(h) normalises.

    If all counts of a context lie above the cutoff, nothing would be left for other words: its n(h)
    is raised by one. If every word was seen after a context, there is nothing to back off to: its
    discounted probabilities are scaled up to sum to one. Words that never occur share what the
    discounts take from the unigrams.

    Args:
        cutoff: highest count that is discounted, at least 2.
    """

    name = "katz"
    summary = "Katz with Good-Turing"

    def __init__(self, cutoff: int = 5) -> None:
        if cutoff < 2:
            raise UsageError(f"Katz smoothing needs a cutoff of at least 2, not {cutoff}.")
        super().__init__()
        self.cutoff = cutoff

    @property
    def highest(self) -> int:  # type: ignore[override]
        """See `good_turing_factors`."""
        return self.cutoff + 1

    @property
    def default(self) -> Sequence[float]:
        """See `Discounting`."""
        return list(map(float, half_a_count(self.cutoff)))

    @property
    def default_in_words(self) -> tuple[str, str]:
        """See `Discounting`."""
        return "the Good-Turing discounts", "half a count"

    def order_discounts(self, census: IndexArray) -> Sequence[float] | None:
        """The factors d_1, d_2, ..."""
        found = good_turing_factors(census, self.cutoff)
        return None if found is None else list(map(float, found))

    def smooth(
        self, counts: NGramCounts, order: int, c: IntArray, lower: Array
    ) -> tuple[FloatArray, FloatArray]:
        """The discounted probabilities, and alpha as the back-off weights."""
        n_words = counts.vocabulary_size - 1
        starts = context_starts(counts, order)
        p, left = self._discounted(c, starts, order)
        if order == 1:
            unseen = p == 0
            unseen[BOS_ID] = False
            if unseen.any():
                p[unseen] = left / unseen.sum()
            else:
                p /= 1 - left
            return p, left
        n_children = np.diff(starts)
        # The probability under the shorter context of the words not seen after this one.
        rest = 1 - run_sums(starts, lower[counts.suffixes[order - 1]])
        full = (n_children == n_words) | (rest < 1e-9)
        p /= spread(starts, np.where(full, 1 - left, 1.0))
        left[full] = rest[full] = 1.0
        return p, left / rest

    def _discounted(
        self, c: IntArray, starts: IntArray, order: int
    ) -> tuple[FloatArray, FloatArray]:
        """The shares d c(hw) / n(h), (n_k,), and 1 minus their sum in each context, (M,)."""
        factors = self.discounts[order - 1]
        kept = c * np.array([0.0, *factors, 1.0])[np.minimum(c, len(factors) + 1)]
        total = run_sums(starts, c)
        taken = run_sums(starts, c - kept)
        none = taken == 0
        total[none] += 1
        taken[none] = 1
        return kept / spread(starts, total), taken / total
