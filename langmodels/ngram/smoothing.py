"""From counts to probabilities: what smoothing methods have in common, and the simple ones.

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
    """A way of estimating n-gram probabilities. Hyper-parameters are constructor arguments.

    What an order needs of all its n-grams is how many of them have which count (`census`), from
    which `prepare` estimates discounts; the rest is done context by context (`smooth`). So n-grams
    may come all at once, as `estimate` has them, or in parts that hold whole contexts.
    """

    name: ClassVar[str]
    summary: ClassVar[str] = ""
    """What it is, in a clause."""
    compared: ClassVar[bool] = True
    """Whether it stands in a comparison where no models are named."""
    is_distribution: ClassVar[bool] = True
    uses_held_out: ClassVar[bool] = False
    """Whether `tune` sets something from text that was not counted."""
    can_cut: ClassVar[bool] = False
    """Whether `smooth` heeds `min_counts`."""
    whole_contexts: ClassVar[bool] = False
    """Whether a context counts as a whole or not at all, so that no part of it is backed off to."""
    caveat: ClassVar[str] = ""
    """What has to be said wherever its figures stand."""
    implied: ClassVar[dict[str, Any]] = {}
    """Options that model files did not name before there was a choice."""
    min_counts: tuple[int, ...] = ()
    """How often k-grams must occur to be stored, by order; the last holds for all higher orders."""
    unseen_backoff: float = 0.0
    """See `NGramTables`."""

    def tune(self, counts: NGramCounts, held_out: IntArray) -> None:
        """Set free parameters to suit `held_out`, ids with `<s>` before each sequence."""

    def estimate(self, counts: NGramCounts) -> NGramTables:
        """The tables of a model with these counts."""
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
        """(1,) what stands below the unigrams: every word but `<s>` alike."""
        return np.full(1, 1 / (vocabulary_size - 1), np.float32)

    def begin(self) -> None:
        """Forget what was estimated from other counts."""

    def order_counts(self, counts: NGramCounts, order: int) -> IntArray:
        """(n_k,) the counts c that probabilities are computed from."""
        return predicted_counts(counts, order)

    def census(self, c: IntArray) -> IndexArray:
        """How many n-grams have the counts 0, 1, 2, ..., as far as `prepare` asks."""
        return np.zeros(1, np.int64)

    def prepare(self, order: int, census: IndexArray) -> None:
        """Estimate what all n-grams of an order have in common. Orders come one after another."""

    def smooth(
        self, counts: NGramCounts, order: int, c: IntArray, lower: Array
    ) -> tuple[Array, Array]:
        """The probabilities (or scores) of the k-grams, (n_k,), and the factors of their contexts
        on those of words that are not stored after them, (M,).

        `c` are their `order_counts`, `lower`, (n_{k-1},), the probabilities of (k-1)-grams. A
        method has this, or an `estimate` of its own, which takes all counts at once.
        """
        raise NotImplementedError(f"{type(self).__name__} has neither `smooth` nor `estimate`")

    @property
    def in_parts(self) -> bool:
        """Whether it is estimated context by context, from parts of the counts as well."""
        return type(self).estimate is Smoothing.estimate and not self.uses_held_out

    def complete(self) -> None:
        """All orders are estimated: say what has to be said."""

    @property
    def cuts(self) -> bool:
        """Whether n-grams are left out by count."""
        return max(self.min_counts, default=1) > 1

    def min_count(self, order: int) -> int:
        """How often k-grams must occur to be stored."""
        return self.min_counts[min(order, len(self.min_counts)) - 1] if self.min_counts else 1

    def fitted(self) -> dict[str, list[list[float]]]:
        """What was estimated beside the tables (discounts, weights): by name, a list an order."""
        return {}


class Discounting(Smoothing):
    """A method that takes something off the counts: what, it finds out for each order."""

    highest: ClassVar[int]
    """The highest count whose number of n-grams the discounts depend on."""

    def __init__(self) -> None:
        self.discounts: list[list[float]] = []
        """What was taken in each order."""
        self._by_default: list[int] = []

    def begin(self) -> None:
        """See `Smoothing`."""
        self.discounts, self._by_default = [], []

    def census(self, c: IntArray) -> IndexArray:
        """See `Smoothing`; (highest + 1,)."""
        return counts_of_counts(c, self.highest)

    def prepare(self, order: int, census: IndexArray) -> None:
        """Find the discounts: the default where the data allows no estimate."""
        found = self.order_discounts(census)
        if found is None:
            self._by_default.append(order)
        self.discounts.append(list(map(float, self.default if found is None else found)))

    def complete(self) -> None:
        """Warns of the orders that took a default."""
        warn_of_defaults(self._by_default, *self.default_in_words)

    @property
    @abstractmethod
    def default(self) -> Sequence[float]:
        """The discounts where the counts do not allow an estimate."""

    @property
    @abstractmethod
    def default_in_words(self) -> tuple[str, str]:
        """What cannot be estimated where the default is taken, and what the default is."""

    @abstractmethod
    def order_discounts(self, census: IndexArray) -> Sequence[float] | None:
        """The discounts of an order; None where its counts do not allow an estimate."""

    def fitted(self) -> dict[str, list[list[float]]]:
        """The discounts of each order."""
        return {"discounts": self.discounts}


def context_starts(counts: NGramCounts, order: int) -> IntArray:
    """(M + 1,) where the k-grams of each of the M contexts begin; unigrams have one context."""
    if order == 1:
        return np.array([0, counts.vocabulary_size], np.int32)
    return counts.child_start[order - 2]


def spread(starts: IntArray, values: Array) -> Array:
    """Give every n-gram the value of its context: (M,) to (n,)."""
    return np.repeat(values, np.diff(starts))


def predicted_counts(counts: NGramCounts, order: int) -> IntArray:
    """(n_k,) how often each k-gram ends in a prediction: its count, but 0 for `<s>` itself."""
    if order > 1:
        return counts.counts[order - 1]
    unigrams = counts.counts[0].copy()
    unigrams[BOS_ID] = 0
    return unigrams


def log(values: Array) -> NDArray[np.float32]:
    """Natural logarithm, float32; -inf for zero, without a complaint."""
    with np.errstate(divide="ignore"):
        result: NDArray[np.float32] = np.log(values).astype(np.float32)
    return result


class MaximumLikelihood(Smoothing):
    """p(w | h) = c(hw) / n(h): relative frequencies, and zero for what was never seen.

    h is the whole context (N-1 words, or back to `<s>`). After one that was never seen this is
    0 / 0, and the uniform distribution 1 / V stands in.

    Args:
        backoff: let h be the longest end of the context that was seen instead.
    """

    name = "mle"
    summary = "relative frequency, no smoothing"
    implied: ClassVar[dict[str, Any]] = {"backoff": True}

    def __init__(self, *, backoff: bool = False) -> None:
        self.backoff = backoff

    @property
    def whole_contexts(self) -> bool:  # type: ignore[override]
        """Unless it backs off."""
        return not self.backoff

    @property
    def caveat(self) -> str:  # type: ignore[override]
        """What is zero, and what stands in for 0 / 0."""
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
        """Relative frequencies; the back-off weight is zero after every seen context."""
        if not self.backoff:
            return in_whole_contexts(counts, order, c, 0.0)
        starts = context_starts(counts, order)
        total = run_sums(starts, c)
        return c / spread(starts, total), np.where(total > 0, 0.0, 1.0)


class Additive(Smoothing):
    """p(w | h) = (c(hw) + alpha) / (n(h) + alpha V): Lidstone's rule; Laplace's with alpha 1.

    h is always the whole context (N-1 words, or back to `<s>`), so that every word has probability
    1 / V after a context that was never seen.

    Args:
        alpha: what is added to every count, above 0.
    """

    name = "lidstone"
    summary = "add a little"
    whole_contexts = True

    def __init__(self, alpha: float = 0.1) -> None:
        if not 0 < alpha <= 1e100:  # sums of more would be infinite
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
    """(c(hw) + alpha) / (n(h) + alpha V) after whole contexts h, 1 / V after others.

    Contexts too short to count back off to 1 / V at no cost.
    """
    n_words = counts.vocabulary_size - 1
    starts = context_starts(counts, order)
    total = run_sums(starts, c) + alpha * n_words
    p = np.full(len(c), 1 / n_words)
    weight = np.ones(len(total))
    # Whole contexts: all of the longest, and of the others those that begin with <s>.
    part = slice(None) if order == counts.order else slice(*counts.initial_range(order))
    p[part] = (c[part] + alpha) / spread(starts, total)[part]
    if order == 1:
        p[BOS_ID] = 0.0
    else:
        some = slice(None) if order == counts.order else slice(*counts.initial_contexts(order))
        # 0 / 0 where nothing follows and nothing is added: 1 / V is left.
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

    Scores, which do not sum to one; `normalization.normalized` makes the distribution
    proportional to them. The recursion ends with factor / V for words that never occur.

    Args:
        factor: what a score is multiplied by at every step of backing off, above 0 and at most 1.
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
        """Contexts that are not stored are charged for as others."""
        return math.log(self.factor)

    def smooth(
        self, counts: NGramCounts, order: int, c: IntArray, lower: Array
    ) -> tuple[Array, Array]:
        """Relative frequencies, and the factor for every step of backing off."""
        starts = context_starts(counts, order)
        score = c / spread(starts, run_sums(starts, c))
        if order == 1:
            score[c == 0] = self.factor / (counts.vocabulary_size - 1)
            score[BOS_ID] = 0.0
        return score, np.full(len(starts) - 1, self.factor)


class Given(Smoothing):
    """Probabilities as they were given; there is nothing to estimate."""

    name = "given"

    def smooth(
        self, counts: NGramCounts, order: int, c: IntArray, lower: Array
    ) -> tuple[Array, Array]:
        """Raises UsageError: name a method to fit a model with."""
        raise UsageError(
            "This model was made from given tables and cannot be fitted; make a new one with a "
            "smoothing method."
        )
