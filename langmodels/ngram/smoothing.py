"""Smoothing: the interface that turns counts into probabilities, and the simple methods.

Every method turns the counts of a text into the same back-off tables. Notation in the docstrings: c
is how often an n-gram occurs, h its context (all words but the last), h' the context without its
first word, n(h) the sum of c over the words that follow h, V the number of words that can be
predicted (all but `<s>`). The survey behind most of this is Chen and Goodman, "An empirical study
of smoothing techniques for language modeling" (1998).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from langmodels.arrays import Array, FloatArray, IndexArray, IntArray
from langmodels.errors import UsageError
from langmodels.ngram.building import select
from langmodels.ngram.counting import NGramCounts
from langmodels.ngram.discounts import counts_of_counts, warn_of_defaults
from langmodels.ngram.tables import NGramTables
from langmodels.ngram.trie import BOS_ID, run_sums
from langmodels.progress import track
from langmodels.settings import Configurable


class Smoothing(Configurable, ABC):
    """A method of estimating n-gram probabilities; its hyper-parameters are constructor arguments.

    Orders are estimated from the lowest to the highest. Only the counts-of-counts of an order
    (`census`), from which `prepare` estimates discounts, concern all of its n-grams; the rest is
    computed context by context (`smooth`). So the counts may be given at once, to `estimate`, or in
    parts that hold whole contexts (`partitions`).
    """

    name: ClassVar[str]
    summary: ClassVar[str] = ""
    """A description in a few words, for lists of models."""
    compared: ClassVar[bool] = True
    """Whether `compare` includes it by default."""
    is_distribution: ClassVar[bool] = True
    uses_held_out: ClassVar[bool] = False
    """Whether `tune` fits parameters to held-out text."""
    can_cut: ClassVar[bool] = False
    """Whether the method supports `min_counts`."""
    whole_contexts: ClassVar[bool] = False
    """Whether p depends on the whole context or not at all, without backing off to a part of it."""
    caveat: ClassVar[str] = ""
    """A sentence to print beside the figures of its models."""
    implied: ClassVar[dict[str, Any]] = {}
    """Values of options that older model files do not state."""
    min_counts: tuple[int, ...] = ()
    """By order, how often an n-gram must occur to be stored; the last applies to higher orders."""
    unseen_backoff: float = 0.0
    """See `NGramTables`."""

    def tune(self, counts: NGramCounts, held_out: IntArray) -> None:
        """Fit free parameters to `held_out`, (T,) ids with `<s>` before each sequence."""

    def estimate(self, counts: NGramCounts) -> NGramTables:
        """The back-off tables estimated from counts."""
        log_prob, backoff = [], []
        values: Array = self.uniform(counts.vocabulary_size)
        self.begin()
        with track("Smoothing", total=counts.order) as meter:
            for k in range(1, counts.order + 1):
                c = self.order_counts(counts, k)
                self.prepare(k, self.census(c))
                values, weights = self.smooth(counts, k, c, values)
                log_prob.append(log(values))
                if k > 1:
                    backoff.append(log(weights))
                meter.advance(note=f"{k}-grams")
        self.complete()
        tables = NGramTables(
            counts.words, counts.child_start, log_prob, backoff, self.unseen_backoff
        )
        if not self.cuts:
            return tables
        return select(tables, [c >= self.min_count(k) for k, c in enumerate(counts.counts, 1)])

    def uniform(self, vocabulary_size: int) -> Array:
        """(1,) the probability of a word in the distribution below the unigrams, uniform without
        `<s>`.
        """
        return np.full(1, 1 / (vocabulary_size - 1), np.float32)

    def begin(self) -> None:
        """Reset what was estimated from other counts; called before the first order."""

    def order_counts(self, counts: NGramCounts, order: int) -> IntArray:
        """(n_k,) the counts c of k-grams that the method uses: plain, or continuation counts."""
        return predicted_counts(counts, order)

    def census(self, c: IntArray) -> IndexArray:
        """The counts-of-counts that `prepare` needs: how many n-grams have the counts 0, 1, 2,
        ...
        """
        return np.zeros(1, np.int64)

    def prepare(self, order: int, census: IndexArray) -> None:
        """Estimate the parameters of an order, such as discounts; called for orders 1, 2, ... in
        turn.
        """

    def smooth(
        self, counts: NGramCounts, order: int, c: IntArray, lower: Array
    ) -> tuple[Array, Array]:
        """The probabilities (or scores) of the k-grams, (n_k,), and the back-off weights of their M
        contexts, (M,); neither are logs.

        `c` (n_k,) are their `order_counts`, `lower` (n_{k-1},) the probabilities of (k-1)-grams. A
        method implements this, or overrides `estimate`, which needs all counts at once.
        """
        raise NotImplementedError(f"{type(self).__name__} has neither `smooth` nor `estimate`")

    @property
    def in_parts(self) -> bool:
        """Whether the method can be estimated from partitions of the counts."""
        return type(self).estimate is Smoothing.estimate and not self.uses_held_out

    def complete(self) -> None:
        """Called after the last order, for warnings."""

    @property
    def cuts(self) -> bool:
        """Whether `min_counts` leave out any n-grams."""
        return max(self.min_counts, default=1) > 1

    def min_count(self, order: int) -> int:
        """How often n-grams of an order must occur to be stored."""
        return self.min_counts[min(order, len(self.min_counts)) - 1] if self.min_counts else 1

    def fitted(self) -> dict[str, list[list[float]]]:
        """The estimated parameters (discounts, weights) by name, with a list for each order."""
        return {}


class Discounting(Smoothing):
    """A method with discounts, which it estimates for each order."""

    highest: ClassVar[int]
    """The highest count whose count-of-counts the discounts depend on."""

    def __init__(self) -> None:
        self.discounts: list[list[float]] = []
        """The discounts of each order estimated so far."""
        self._by_default: list[int] = []

    def begin(self) -> None:
        """See `Smoothing`."""
        self.discounts, self._by_default = [], []

    def census(self, c: IntArray) -> IndexArray:
        """See `Smoothing`; (highest + 1,)."""
        return counts_of_counts(c, self.highest)

    def prepare(self, order: int, census: IndexArray) -> None:
        """Estimate the discounts of an order, or take the default if its counts allow no
        estimate.
        """
        found = self.order_discounts(census)
        if found is None:
            self._by_default.append(order)
        self.discounts.append(list(map(float, self.default if found is None else found)))

    def complete(self) -> None:
        """Warn of the orders that use the default."""
        warn_of_defaults(self._by_default, *self.default_in_words)

    @property
    @abstractmethod
    def default(self) -> Sequence[float]:
        """The discounts used if the counts allow no estimate."""

    @property
    @abstractmethod
    def default_in_words(self) -> tuple[str, str]:
        """Two phrases for the warning: what could not be estimated, and the default used."""

    @abstractmethod
    def order_discounts(self, census: IndexArray) -> Sequence[float] | None:
        """The discounts of an order from its `census`; None if it allows no estimate."""

    def fitted(self) -> dict[str, list[list[float]]]:
        """The discounts of each order."""
        return {"discounts": self.discounts}


def context_starts(counts: NGramCounts, order: int) -> IntArray:
    """(M + 1,) index of the first k-gram of each of the M contexts; unigrams have one context."""
    if order == 1:
        return np.array([0, counts.vocabulary_size], np.int32)
    return counts.child_start[order - 2]


def spread(starts: IntArray, values: Array) -> Array:
    """Repeat the value of each context for each of its n-grams: (M,) to (n,)."""
    return np.repeat(values, np.diff(starts))


def predicted_counts(counts: NGramCounts, order: int) -> IntArray:
    """(n_k,) how often the last word of each k-gram was predicted: its count, but 0 for `<s>`."""
    if order > 1:
        return counts.counts[order - 1]
    unigrams = counts.counts[0].copy()
    unigrams[BOS_ID] = 0
    return unigrams


def log(values: Array) -> NDArray[np.float32]:
    """Natural logarithm as float32; -inf for zero, without a warning."""
    with np.errstate(divide="ignore"):
        result: NDArray[np.float32] = np.log(values).astype(np.float32)
    return result


class MaximumLikelihood(Smoothing):
    """p(w | h) = c(hw) / n(h), the relative frequency; zero for unseen n-grams.

    h is the whole context (N-1 words, or back to `<s>`). After an unseen context this is 0 / 0, and
    the uniform distribution 1 / V is used.

    Args:
        backoff: let h be the longest suffix of the context that was seen.
    """

    name = "mle"
    summary = "relative frequency, no smoothing"
    implied: ClassVar[dict[str, Any]] = {"backoff": True}

    def __init__(self, *, backoff: bool = False) -> None:
        self.backoff = backoff

    @property
    def whole_contexts(self) -> bool:  # type: ignore[override]
        """True unless `backoff`."""
        return not self.backoff

    @property
    def caveat(self) -> str:  # type: ignore[override]
        """What is zero, and what is used for 0 / 0."""
        unseen = "it is 0/0, and the uniform distribution stands in"
        if self.backoff:
            unseen = "the longest end of it that was seen stands in"
        return (
            "Not smoothed: what never followed a known context has probability zero; after a "
            f"context never seen {unseen}."
        )

    def smooth(
        self, counts: NGramCounts, order: int, c: IntArray, lower: Array
    ) -> tuple[Array, Array]:
        """Relative frequencies; the back-off weights of seen contexts are zero."""
        if not self.backoff:
            return in_whole_contexts(counts, order, c, 0.0)
        starts = context_starts(counts, order)
        total = run_sums(starts, c)
        return c / spread(starts, total), np.where(total > 0, 0.0, 1.0)


class Additive(Smoothing):
    """p(w | h) = (c(hw) + alpha) / (n(h) + alpha V): Lidstone's rule; Laplace's with alpha 1.

    h is always the whole context (N-1 words, or back to `<s>`), so that every word has probability
    1 / V after an unseen context.

    Args:
        alpha: added to every count, above 0.
    """

    name = "lidstone"
    summary = "add a little"
    whole_contexts = True

    def __init__(self, alpha: float = 0.1) -> None:
        if not 0 < alpha <= 1e100:  # beyond, sums could overflow
            raise UsageError(f"Additive smoothing needs an alpha from 0 to 1e100, not {alpha}.")
        self.alpha = alpha

    def smooth(
        self, counts: NGramCounts, order: int, c: IntArray, lower: Array
    ) -> tuple[Array, Array]:
        """See `in_whole_contexts`."""
        return in_whole_contexts(counts, order, c, self.alpha)


def in_whole_contexts(
    counts: NGramCounts, order: int, c: IntArray, alpha: float
) -> tuple[FloatArray, FloatArray]:
    """Additive smoothing after whole contexts h, and the uniform distribution after others.

    Returns p(w | h) = (c(hw) + alpha) / (n(h) + alpha V), (n_k,), which is 1 / V for shorter
    contexts, and the back-off weights, (M,): 1 for contexts that are not whole.
    """
    n_words = counts.vocabulary_size - 1
    starts = context_starts(counts, order)
    total = run_sums(starts, c) + alpha * n_words
    p = np.full(len(c), 1 / n_words)
    weight = np.ones(len(total))
    # Whole contexts: all of the highest order, and of lower orders those that begin with <s>.
    part = slice(None) if order == counts.order else slice(*counts.initial_range(order))
    p[part] = (c[part] + alpha) / spread(starts, total)[part]
    if order == 1:
        p[BOS_ID] = 0.0
    else:
        some = slice(None) if order == counts.order else slice(*counts.initial_contexts(order))
        # With alpha 0 and no successors it is 0 / 0: the weight stays 1.
        np.divide(alpha * n_words, total[some], out=weight[some], where=total[some] > 0)
    return p, weight


class Laplace(Additive):
    """Add one: p(w | h) = (c(hw) + 1) / (n(h) + V)."""

    name = "laplace"
    summary = "add one"
    compared = False

    def __init__(self) -> None:
        super().__init__(1.0)


class StupidBackoff(Smoothing):
    """S(w | h) = c(hw) / n(h) where hw was seen, else factor * S(w | h'): Brants et al. (2007).

    The scores do not sum to one; `normalization.normalized` renormalises them. The recursion ends
    with factor / V for words that never occur.

    Args:
        factor: multiplies the score at every back-off step, above 0 and at most 1.
    """

    name = "stupid_backoff"
    summary = "stupid backoff: scores, not probabilities (renormalised for perplexities)"
    compared = False
    is_distribution = False

    def __init__(self, factor: float = 0.4) -> None:
        if not 0 < factor <= 1:
            raise UsageError(f"Stupid backoff needs a factor between 0 and 1, not {factor}.")
        self.factor = factor

    @property
    def unseen_backoff(self) -> float:  # type: ignore[override]
        """Unseen contexts cost a factor like seen ones."""
        return math.log(self.factor)

    def smooth(
        self, counts: NGramCounts, order: int, c: IntArray, lower: Array
    ) -> tuple[Array, Array]:
        """Relative frequencies, and `factor` as the weight of every context."""
        starts = context_starts(counts, order)
        score = c / spread(starts, run_sums(starts, c))
        if order == 1:
            score[c == 0] = self.factor / (counts.vocabulary_size - 1)
            score[BOS_ID] = 0.0
        return score, np.full(len(starts) - 1, self.factor)


class Given(Smoothing):
    """The placeholder method of models made from given tables, which cannot be fitted."""

    name = "given"

    def smooth(
        self, counts: NGramCounts, order: int, c: IntArray, lower: Array
    ) -> tuple[Array, Array]:
        """Raises UsageError, as there is nothing to estimate."""
        raise UsageError(
            "This model was made from given tables and cannot be fitted; make a new one with a "
            "smoothing method."
        )
