"""Katz's back-off with Good-Turing discounts. Notation as in `smoothing`."""

import numpy as np

from langmodels.arrays import FloatArray
from langmodels.errors import UsageError, check_whole
from langmodels.ngram.counting import NGramCounts
from langmodels.ngram.discounts import good_turing_factors, half_a_count
from langmodels.ngram.smoothing import (
    Discounting,
    context_starts,
    log,
    predicted_counts,
    spread,
)
from langmodels.ngram.tables import NGramTables
from langmodels.ngram.trie import BOS_ID, run_sums


class Katz(Discounting):
    """p(w | h) = d c(hw) / n(h) where hw was seen, else alpha(h) p(w | h'); Katz (1987).

    d depends on the count c(hw): Good-Turing up to `cutoff`, 1 above. alpha(h) makes the sum one.

    A context all of whose counts lie above the cutoff would leave nothing for other words: its n(h)
    is raised by one. A context that has seen every word has nothing to back off to: what the
    discounts took is given back in proportion. Words that never occur share what the discounts
    take from the unigrams.

    Args:
        cutoff: counts up to this one are discounted, at least 2.
    """

    name = "katz"
    summary = "Katz with Good-Turing"

    def __init__(self, cutoff: int = 5) -> None:
        check_whole(cutoff=cutoff)
        if cutoff < 2:
            raise UsageError(f"Katz smoothing needs a cutoff of at least 2, not {cutoff}.")
        super().__init__()
        self.cutoff = cutoff

    @property
    def default_in_words(self) -> tuple[str, str]:
        """See `Discounting`."""
        return "the Good-Turing discounts", "half a count"

    def discounted(self, counts: NGramCounts) -> NGramTables:
        """Tables with alpha as the back-off weight; the discounts are the factors d_1, d_2, ..."""
        n_words = counts.vocabulary_size - 1
        p, left = self._discounted(counts, 1)
        unseen = p == 0
        unseen[BOS_ID] = False
        if unseen.any():
            p[unseen] = left / unseen.sum()
        else:
            p /= 1 - left
        log_prob, backoff = [log(p)], []
        for k in range(2, counts.order + 1):
            lower = p[counts.suffixes[k - 1]]
            p, left = self._discounted(counts, k)
            starts = context_starts(counts, k)
            n_children = np.diff(starts)
            # What the shorter context gives to the words not seen here.
            rest = 1 - run_sums(starts, lower)
            full = (n_children == n_words) | (rest < 1e-9)
            p /= spread(starts, np.where(full, 1 - left, 1.0))
            left[full] = rest[full] = 1.0
            backoff.append(log(left / rest))
            log_prob.append(log(p))
        return NGramTables(counts.words, counts.child_start, log_prob, backoff)

    def _discounted(self, counts: NGramCounts, order: int) -> tuple[FloatArray, FloatArray]:
        """The values d c(hw) / n(h), (n_k,), and what is left of 1 in each context, (n_{k-1},)."""
        c, starts = predicted_counts(counts, order), context_starts(counts, order)
        found = good_turing_factors(c, self.cutoff)
        factors = self.found(order, found, half_a_count(self.cutoff))
        kept = c * np.array([0.0, *factors, 1.0])[np.minimum(c, len(factors) + 1)]
        total = run_sums(starts, c)
        taken = run_sums(starts, c - kept)
        none = taken == 0
        total[none] += 1
        taken[none] = 1
        return kept / spread(starts, total), taken / total
