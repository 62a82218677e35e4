"""Merging the tables of partitions into lexicographic order, without comparing n-grams.

The (k-1)-grams of the whole text, in order, are the contexts of its k-grams. Each is a context of
one partition, which stores its contexts in the same order: so the next k-grams are always those of
the next context of some partition. The same pass assigns the back-off weights, which partitions
store with contexts, to the (k-1)-grams.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from langmodels.arrays import Array, IntArray
from langmodels.columns import Column, ColumnWriter, Cursor
from langmodels.ngram.partitions.plan import Plan
from langmodels.ngram.tables import NGramTables
from langmodels.progress import track

_CONTEXTS = 1 << 18
_NGRAMS = 1 << 20
"""Contexts, and n-grams, reordered at a time; the n-grams of one context stay together."""

Parts = Mapping[int, Mapping[str, Column]]
"""The tables of each partition and branch, by number. For order k they have `k.words` and
`k.log_prob` of its n-grams, and `k.sizes` (the number of k-grams) and `k.backoff` of its contexts.
"""


def merge_partitions(
    plan: Plan, parts: Parts, unigrams: Array, folder: Path, unseen_backoff: float = 0.0
) -> NGramTables:
    """The tables of the whole text, whose arrays are columns of files in `folder`.

    `unigrams` (V,) are the log probabilities of order 1.
    """
    words: list[Any] = [np.arange(len(unigrams), dtype=np.int32)]
    log_prob: list[Any] = [unigrams]
    child_start: list[Any] = []
    backoff: list[Any] = []
    # The last words of all n-grams of the order below, then their last but one, and so on.
    tails: list[Any] = words[:]
    total = sum(len(c) for part in parts.values() for name, c in part.items() if "words" in name)
    with track("Merging", total=total) as meter:
        for k in range(2, plan.order + 1):
            with ExitStack() as stack:

                def writer(name: str, dtype: type[Any]) -> ColumnWriter:
                    return stack.enter_context(ColumnWriter(folder / f"{k}.{name}", dtype))  # noqa: B023

                order = _Order(plan, parts, k, writer)
                for start in range(0, len(tails[0]), _CONTEXTS):
                    block = [tail[start : start + _CONTEXTS] for tail in tails]
                    meter.advance(order.add(block), note=f"{k}-grams")
                words.append(order.words.column)
                log_prob.append(order.log_prob.column)
                child_start.append(order.starts.column)
                backoff.append(order.backoff.column)
                tails = [order.words.column, *(tail.column for tail in order.tails)]
    return NGramTables(words, child_start, log_prob, backoff, unseen_backoff)


class _Order:
    """Merges the k-grams of all partitions, a block of contexts at a time."""

    def __init__(self, plan: Plan, parts: Parts, k: int, writer: Any) -> None:
        self._plan = plan
        self._k = k
        having = {number: part for number, part in parts.items() if f"{k}.words" in part}
        self._sources = {
            number: {name: Cursor(part[f"{k}.{name}"]) for name in _NAMES}
            for number, part in having.items()
        }
        self.words = writer("words", np.int32)
        self.log_prob = writer("log_prob", np.float32)
        self.starts = writer("child_start", np.int32)
        self.backoff = writer("backoff", np.float32)
        # The words, besides the last, by which contexts of the next order are routed.
        deeper = min(plan.depth, k) if k < plan.order else 1
        self.tails = [writer(f"tail.{i}", np.int32) for i in range(1, deeper)]
        self._n = 0
        self.starts.append(np.zeros(1, np.int32))

    def add(self, contexts: list[IntArray]) -> int:
        """Merge the k-grams of the next contexts, given by their last words; returns their
        number.
        """
        found = self._plan.numbers(contexts, self._k - 1)
        sizes, weights = self._collected(found, ("sizes", "backoff"), None)
        ends = np.cumsum(sizes, dtype=np.int64)
        self.starts.append(self._n + ends)
        self.backoff.append(weights)
        for i, tail in enumerate(self.tails):
            tail.append(np.repeat(contexts[i], sizes))
        total = int(ends[-1])
        cuts = np.searchsorted(ends, np.arange(_NGRAMS, total, _NGRAMS)) + 1
        for low, high in pairwise(np.unique([0, *cuts, len(sizes)]).tolist()):
            part = slice(low, high)
            words, log_prob = self._collected(found[part], ("words", "log_prob"), sizes[part])
            self.words.append(words)
            self.log_prob.append(log_prob)
        self._n += total
        return total

    def _collected(
        self, found: IntArray, names: tuple[str, ...], sizes: IntArray | None
    ) -> list[Array]:
        """The next items of columns, from the partitions `found` (M,) in this order: one for each
        context, or `sizes` (M,) of them.
        """
        # Numbers of 16 bits are sorted in linear time.
        order = np.argsort(found.astype(np.uint16), kind="stable")
        ordered = found[order]
        begins = np.flatnonzero(np.diff(ordered, prepend=-1))
        numbers = ordered[begins].tolist()
        if sizes is None:
            place: Array = np.empty(len(order), np.int64)
            place[order] = np.arange(len(order))
            counts = np.diff(begins, append=len(order)).tolist()
        else:
            # Where the run of each context begins once the runs are concatenated by partition.
            from_parts = np.empty(len(order), np.int64)
            from_parts[order] = np.cumsum(sizes[order]) - sizes[order]
            here = np.cumsum(sizes) - sizes
            place = np.repeat(from_parts - here, sizes)
            place += np.arange(len(place))
            counts = np.add.reduceat(sizes[order], begins, dtype=np.int64).tolist()
        return [
            np.concatenate(
                [self._sources[n][name].take(m) for n, m in zip(numbers, counts, strict=True)]
            ).take(place)
            for name in names
        ]


_NAMES = ("sizes", "backoff", "words", "log_prob")
