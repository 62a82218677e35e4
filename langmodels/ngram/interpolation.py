"""Smoothing by interpolation of every order with the next lower one.

Notation as in `smoothing`.
"""

from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import numpy as np

from langmodels.arrays import Array, FloatArray, IndexArray, IntArray
from langmodels.errors import UsageError
from langmodels.ngram.counting import NGramCounts
from langmodels.ngram.discounts import modified_discounts, single_discount
from langmodels.ngram.smoothing import (
    Discounting,
    Smoothing,
    context_starts,
    predicted_counts,
    spread,
)
from langmodels.ngram.tables import Float32Array
from langmodels.ngram.trie import BOS_ID, run_sums
from langmodels.threads import parallel_map

_PIECE = 1 << 17
"""N-grams smoothed at a time, so that their arrays stay in the cache."""


class Interpolated(Smoothing):
    """p(w | h) = share(hw) + gamma(h) p(w | h'), starting from the uniform distribution 1 / V.

    A method defines the share of each n-gram; gamma(h) is 1 minus the shares of all n-grams of a
    context, and 1 for a context without successors. N-grams that occur less often than `min_counts`
    are dropped, and their shares are added to gamma, as in KenLM.
    """

    can_cut = True

    @abstractmethod
    def shares(self, c: IntArray, starts: IntArray, order: int) -> tuple[Array, Array]:
        """The share of each of n n-grams, (n,), and gamma of each of M contexts, (M,).

        `c` (n,) are the counts of all n-grams of these contexts; those of context i are
        `c[starts[i]:starts[i+1]]`, with `starts` (M + 1,).
        """

    def smooth(
        self, counts: NGramCounts, order: int, c: IntArray, lower: Array
    ) -> tuple[Float32Array, Float32Array]:
        """p(w | h) of the seen n-grams, and gamma as the back-off weight of their contexts.

        Contexts are independent of each other: chunks of them are smoothed in parallel.
        """
        starts = context_starts(counts, order)
        p = np.empty(len(c), np.float32)
        gammas = np.empty(len(starts) - 1, np.float32)

        def run(contexts: slice) -> None:
            begin, end = int(starts[contexts.start]), int(starts[contexts.stop])
            here = starts[contexts.start : contexts.stop + 1] - np.int32(begin)
            share, gamma = self.shares(c[begin:end], here, order)
            if self.min_count(order) > 1:
                rare = counts.counts[order - 1][begin:end] < self.min_count(order)
                gamma = gamma + run_sums(here, np.where(rare, share, 0.0))
                share = np.where(rare, 0.0, share)
            gammas[contexts] = gamma
            part = p[begin:end]
            if order == 1:
                part[:] = lower
            else:
                lower.take(counts.suffixes[order - 1][begin:end], out=part, mode="clip")
            part *= spread(here, gammas[contexts])
            part += share

        cuts = np.searchsorted(starts, np.arange(0, len(c), _PIECE)[1:])
        bounds = np.unique([0, *cuts.tolist(), len(starts) - 1]).tolist()
        parallel_map(run, [slice(a, b) for a, b in pairwise(bounds)])
        if order == 1:
            p[BOS_ID] = 0.0
        return p, gammas


class WittenBell(Interpolated):
    """share = c(hw) / (n(h) + t(h)), gamma = t(h) / (n(h) + t(h)), t(h) the number of distinct
    successors.

    Witten and Bell (1991), method C, interpolated.
    """

    name = "witten_bell"
    summary = "Witten-Bell"

    def shares(self, c: IntArray, starts: IntArray, order: int) -> tuple[Array, Array]:
        """See the class."""
        total = run_sums(starts, c)
        types = run_sums(starts, c > 0)
        gamma = types / np.maximum(total + types, 1)
        gamma[types == 0] = 1.0
        return c / spread(starts, np.maximum(total + types, 1)), gamma


class AbsoluteDiscounting(Discounting, Interpolated):
    """share = (c(hw) - D) / n(h), gamma = D t(h) / n(h), with one D per order.

    Ney, Essen and Kneser (1994).

    Args:
        discount: D of all orders, between 0 and 1; none: n1 / (n1 + 2 n2), estimated for each
            order.
    """

    name = "absolute"
    summary = "absolute discounting"
    default: ClassVar[tuple[float, ...]] = (0.75,)
    highest = 2

    def __init__(self, discount: float | None = None) -> None:
        if discount is not None and not 0 < discount < 1:
            raise UsageError(f"A discount must lie between 0 and 1, not be {discount}.")
        super().__init__()
        self.discount = discount

    @property
    def default_in_words(self) -> tuple[str, str]:
        """See `Discounting`."""
        what = "the discount" if len(self.default) == 1 else "the three discounts"
        return what, ", ".join(map("{:g}".format, self.default))

    def order_discounts(self, census: IndexArray) -> Sequence[float] | None:
        """The discounts of the counts 1, 2, ...; the last one applies to all higher counts."""
        discount = single_discount(census) if self.discount is None else self.discount
        return None if discount is None else [discount]

    def shares(self, c: IntArray, starts: IntArray, order: int) -> tuple[Array, Array]:
        """See the class."""
        discounts = np.array([0.0, *self.discounts[order - 1]], np.float32)
        taken = discounts.take(c, mode="clip")
        total = run_sums(starts, c)
        gamma = run_sums(starts, taken)
        empty = total == 0
        gamma[empty] = 1.0
        total[empty] = 1
        gamma /= total
        share = c - taken
        share /= spread(starts, total.astype(np.float32))
        return share, gamma


class KneserNey(AbsoluteDiscounting):
    """Absolute discounting of continuation counts below the highest order.

    The continuation count of an n-gram is the number of distinct words that precede it; n-grams
    that begin with `<s>`, which nothing precedes, keep their plain counts. Kneser and Ney (1995),
    interpolated as in Chen and Goodman (1998).
    """

    name = "kneser_ney"
    summary = "interpolated Kneser-Ney"

    def order_counts(self, counts: NGramCounts, order: int) -> IntArray:
        """Continuation counts; for the highest order, plain counts."""
        if order == counts.order:
            return predicted_counts(counts, order)
        c = counts.continuation_counts(order)
        if order > 1:
            begin, end = counts.initial_range(order)
            c[begin:end] = counts.counts[order - 1][begin:end]
        return c


class ModifiedKneserNey(KneserNey):
    """Kneser-Ney with three discounts per order, D1, D2 and D3+; Chen and Goodman (1998).

    With the conventions of KenLM, Heafield et al. (2013), so that probabilities agree with it.
    """

    name = "modified_kneser_ney"
    summary = "modified Kneser-Ney, three discounts an order"
    default = (0.5, 1.0, 1.5)  # those of `lmplz --discount_fallback`
    highest = 4

    def __init__(self) -> None:
        super().__init__()

    def order_discounts(self, census: IndexArray) -> Sequence[float] | None:
        """D1, D2, D3+."""
        return modified_discounts(census)


class JelinekMercer(Interpolated):
    """share = weight c(hw) / n(h), gamma = 1 - weight; Jelinek and Mercer (1980).

    Contexts of an order whose n(h) has the same number of binary digits form a bucket, which has
    one weight. Weights are fitted to held-out text by EM, with a pseudo-count of one token for and
    one against each order, which keeps them inside (0, 1). A bucket without held-out tokens has the
    weight of the next lower bucket with some, or 1/2.

    Args:
        weight: weight of every order against the lower ones, between 0 and 1; none: fitted to
            held-out text.
        max_iterations: maximal number of EM iterations.
    """

    name = "jelinek_mercer"
    summary = "interpolation, weights by EM on held-out text"

    _BUCKETS = 32

    def __init__(self, weight: float | None = None, max_iterations: int = 50) -> None:
        if weight is not None and not 0 < weight < 1:
            raise UsageError(f"An interpolation weight lies between 0 and 1, not at {weight}.")
        if max_iterations < 1:
            raise UsageError("EM needs at least one iteration; give max_iterations of 1 or more.")
        self.weight = weight
        self.max_iterations = max_iterations
        self.weights: FloatArray | None = None
        """(N, buckets): of contexts of k-1 words (row k-1) with that many binary digits in n(h)."""

    @property
    def uses_held_out(self) -> bool:  # type: ignore[override]
        """True unless a weight is given."""
        return self.weight is None

    def fitted(self) -> dict[str, list[list[float]]]:
        """The weights: a list per order, indexed by the number of binary digits of n(h)."""
        return {} if self.weights is None else {"weights": self.weights.tolist()}

    def tune(self, counts: NGramCounts, held_out: IntArray) -> None:
        """Fit the weights to `held_out` by EM."""
        if self.weight is not None:
            return
        n_words = counts.vocabulary_size - 1
        frequency, bucket = self._evidence(counts, held_out)
        weights = np.full((counts.order, self._BUCKETS), 0.5)
        weights[:, 0] = 0.0  # unseen contexts
        rows = np.arange(counts.order)[:, None]
        for _ in range(self.max_iterations):
            w = weights[rows, bucket]
            p = [np.full(frequency.shape[1], 1 / n_words)]
            for k in range(counts.order):
                p.append(w[k] * frequency[k] + (1 - w[k]) * p[-1])
            old = weights.copy()
            reached = np.ones(frequency.shape[1])
            for k in range(counts.order - 1, -1, -1):
                # Of the expected tokens that reach this order, the share that it accounts for
                # itself.
                taken = reached * w[k] * frequency[k] / p[k + 1]
                came = np.bincount(bucket[k], reached, self._BUCKETS)
                stay = np.bincount(bucket[k], taken, self._BUCKETS)
                weights[k, 1:] = (stay[1:] + 1) / (came[1:] + 2)
                reached = reached - taken
            if np.abs(weights - old).max() < 1e-4:
                break
        reached_at = np.stack([np.bincount(row, minlength=self._BUCKETS) > 0 for row in bucket])
        nearest = np.maximum.accumulate(np.where(reached_at, np.arange(self._BUCKETS), 0), axis=1)
        self.weights = np.where(nearest > 0, np.take_along_axis(weights, nearest, axis=1), weights)

    def _evidence(self, counts: NGramCounts, held_out: IntArray) -> tuple[FloatArray, IntArray]:
        """c(hw) / n(h) and the bucket of h for each order and each predicted token: (N, M) each."""
        frequency = np.zeros((counts.order, len(held_out)))
        bucket = np.zeros((counts.order, len(held_out)), np.int32)
        at: Array = np.arange(len(held_out))
        parents: Array = np.zeros(len(held_out), np.int64)
        for k in range(1, counts.order + 1):
            c = predicted_counts(counts, k)
            total = run_sums(context_starts(counts, k), c)
            bucket[k - 1, at] = self._bucket(total)[parents]
            nodes = held_out[at] if k == 1 else counts.find(k, parents, held_out[at])
            found = nodes >= 0
            at, parents, nodes = at[found], parents[found], nodes[found]
            frequency[k - 1, at] = c[nodes] / np.maximum(total[parents], 1)
            inside = at + 1 < len(held_out)
            at, parents = at[inside] + 1, nodes[inside]
        predicted = held_out != BOS_ID
        return frequency[:, predicted], bucket[:, predicted]

    def _bucket(self, total: Array) -> IntArray:
        """The bucket of each context: the number of binary digits of n(h); 0 for 0."""
        return np.minimum(np.frexp(total.astype(np.float64))[1], self._BUCKETS - 1)

    def shares(self, c: IntArray, starts: IntArray, order: int) -> tuple[Array, Array]:
        """See the class."""
        total = run_sums(starts, c)
        if self.weights is None:
            weight = np.full(len(total), 0.5 if self.weight is None else self.weight)
        else:
            weight = self.weights[order - 1][self._bucket(total)]
        weight[total == 0] = 0.0
        return c * spread(starts, weight / np.maximum(total, 1)), 1 - weight
