"""From counts to probabilities: what smoothing methods have in common, and the simple ones.

Every method turns the counts of a text into the same back-off tables. Notation in the docstrings: c
is how often an n-gram occurs, h its context (all words but the last), h' the context without its
first word, n(h) the sum of c over the words that follow h, V the number of words that can be
predicted (all but `<s>`). The survey behind most of this is Chen and Goodman, "An empirical study
of smoothing techniques for language modeling" (1998).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from langmodels.arrays import Array, IntArray
from langmodels.errors import UsageError
from langmodels.ngram.counting import NGramCounts
from langmodels.ngram.discounts import warn_of_defaults
from langmodels.ngram.tables import NGramTables
from langmodels.ngram.trie import BOS_ID, run_sums
from langmodels.settings import Configurable


class Smoothing(Configurable, ABC):
    """A way of estimating n-gram probabilities. Hyper-parameters are constructor arguments."""

    name: ClassVar[str]
    summary: ClassVar[str] = ""
    """What it is, in a clause."""
    compared: ClassVar[bool] = True
    """Whether it stands in a comparison where no models are named."""
    is_distribution: ClassVar[bool] = True
    uses_held_out: ClassVar[bool] = False
    """Whether `tune` sets something from text that was not counted."""
    can_cut: ClassVar[bool] = False
    """Whether `estimate` heeds `min_counts`."""
    whole_contexts: ClassVar[bool] = False
    """Whether a context counts as a whole or not at all, so that no part of it is backed off to."""
    caveat: ClassVar[str] = ""
    """What has to be said wherever its figures stand."""
    implied: ClassVar[dict[str, Any]] = {}
    """Options that model files did not name before there was a choice."""
    min_counts: tuple[int, ...] = ()
    """How often k-grams must occur to be stored, by order; the last holds for all higher orders."""

    def tune(self, counts: NGramCounts, held_out: IntArray) -> None:
        """Set free parameters to suit `held_out`, ids with `<s>` before each sequence."""

    @abstractmethod
    def estimate(self, counts: NGramCounts) -> NGramTables:
        """The tables of a model with these counts."""

    def min_count(self, order: int) -> int:
        """How often k-grams must occur to be stored."""
        return self.min_counts[min(order, len(self.min_counts)) - 1] if self.min_counts else 1

    def fitted(self) -> dict[str, list[list[float]]]:
        """What was estimated beside the tables (discounts, weights): by name, a list an order."""
        return {}


class Discounting(Smoothing):
    """A method that takes something off the counts: what, it finds out for each order."""

    def __init__(self) -> None:
        self.discounts: list[list[float]] = []
        self._by_default: list[int] = []

    def estimate(self, counts: NGramCounts) -> NGramTables:
        """See the class. Warns of the orders that took a default."""
        self.discounts, self._by_default = [], []
        tables = self.discounted(counts)
        warn_of_defaults(self._by_default, *self.default_in_words)
        return tables

    @property
    @abstractmethod
    def default_in_words(self) -> tuple[str, str]:
        """What cannot be estimated where a default is taken, and what the default is."""

    @abstractmethod
    def discounted(self, counts: NGramCounts) -> NGramTables:
        """The tables; adds to `discounts` what was taken in each order."""

    def found(
        self, order: int, discounts: Iterable[float] | None, default: Iterable[float]
    ) -> list[float]:
        """Note the discounts of the next order: the default where the data allows no estimate."""
        if discounts is None:
            self._by_default.append(order)
        self.discounts.append(list(map(float, default if discounts is None else discounts)))
        return self.discounts[-1]

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
        """What stands in for 0 / 0."""
        if self.backoff:
            return ""
        return "After a context never seen it is 0/0; the uniform distribution stands in."

    def estimate(self, counts: NGramCounts) -> NGramTables:
        """Tables whose back-off weight is zero after every seen context."""
        if not self.backoff:
            return whole_context_tables(counts, 0.0)
        log_prob, backoff = [], []
        for k in range(1, counts.order + 1):
            c = predicted_counts(counts, k)
            starts = context_starts(counts, k)
            total = run_sums(starts, c)
            log_prob.append(log(c / spread(starts, total)))
            if k > 1:
                backoff.append(np.where(total > 0, -np.inf, 0.0).astype(np.float32))
        return NGramTables(counts.words, counts.child_start, log_prob, backoff)


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

    def estimate(self, counts: NGramCounts) -> NGramTables:
        """See `whole_context_tables`."""
        return whole_context_tables(counts, self.alpha)


def whole_context_tables(counts: NGramCounts, alpha: float) -> NGramTables:
    """Tables with (c(hw) + alpha) / (n(h) + alpha V) after whole contexts h, 1 / V after others.

    Contexts too short to count back off to 1 / V at no cost.
    """
    n_words = counts.vocabulary_size - 1
    log_prob, backoff = [], []
    for k in range(1, counts.order + 1):
        c = predicted_counts(counts, k)
        starts = context_starts(counts, k)
        total = run_sums(starts, c) + alpha * n_words
        p = np.full(len(c), 1 / n_words)
        weight = np.ones(len(total))
        # Whole contexts: all of the longest, and of the others those that begin with <s>.
        part = slice(None) if k == counts.order else slice(*counts.initial_range(k))
        p[part] = (c[part] + alpha) / spread(starts, total)[part]
        if k > 1:
            before = slice(None) if k == counts.order else slice(*counts.initial_range(k - 1))
            # 0 / 0 where nothing follows and nothing is added: 1 / V is left.
            np.divide(alpha * n_words, total[before], out=weight[before], where=total[before] > 0)
            backoff.append(log(weight))
        if k == 1:
            p[BOS_ID] = 0.0
        log_prob.append(log(p))
    return NGramTables(counts.words, counts.child_start, log_prob, backoff)


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

    def estimate(self, counts: NGramCounts) -> NGramTables:
        """Tables that charge the factor for every step of backing off, unseen contexts included."""
        charge = math.log(self.factor)
        log_prob, backoff = [], []
        for k in range(1, counts.order + 1):
            c = predicted_counts(counts, k)
            starts = context_starts(counts, k)
            score = c / spread(starts, run_sums(starts, c))
            if k == 1:
                score[c == 0] = self.factor / (counts.vocabulary_size - 1)
                score[BOS_ID] = 0.0
            else:
                backoff.append(np.full(len(counts.words[k - 2]), charge, np.float32))
            log_prob.append(log(score))
        return NGramTables(counts.words, counts.child_start, log_prob, backoff, charge)


class Given(Smoothing):
    """Probabilities as they were given; there is nothing to estimate."""

    name = "given"

    def estimate(self, counts: NGramCounts) -> NGramTables:
        """Raises UsageError: name a method to fit a model with."""
        raise UsageError(
            "This model was made from given tables and cannot be fitted; make a new one with a "
            "smoothing method."
        )
