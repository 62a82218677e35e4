"""The two tasks of a partition: counting its windows, and smoothing the counts.

Both read files and write files atomically, so any process may run them, even more than once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from langmodels.arrays import Array
from langmodels.columns import Column
from langmodels.ngram.partitions.counting import PartCounts, count_windows
from langmodels.ngram.partitions.plan import Partition, Plan, Stem
from langmodels.ngram.smoothing import Smoothing, log
from langmodels.ngram.trie import run_sums
from langmodels.tensors import open_arrays, save_arrays


@dataclass(frozen=True)
class Workplace:
    """The folder with the files of all partitions, and the settings of the model.

    A partition with number N has the files `windows.N`, `counts.N` and `tables.N`, each in place of
    the one before; a branch has `tables.N`.
    """

    folder: Path
    smoothing: Smoothing
    order: int
    size: int
    """V."""

    def file(self, kind: str, number: int) -> Path:
        """The path of a file of a partition or a branch."""
        return self.folder / f"{kind}.{number}"

    def count(self, part: Partition, plan: Plan) -> None:
        """Turn the windows of a partition into its counts, with counts-of-counts."""
        path, source = self.file("counts", part.number), self.file("windows", part.number)
        if path.exists() or self.file("tables", part.number).exists():
            source.unlink(missing_ok=True)
            return
        if part.leaf:
            width = len(columns_of(part, self.order))
            rows = np.fromfile(source, np.int32).reshape(-1, width)
            route = plan.branches[0].route
            contexts = np.flatnonzero(route == part.number).astype(np.int32)
            counts = count_windows(rows, part.lowest, self.size, None if part.stem else contexts)
        else:
            following = np.zeros(self.size, np.int64)
            for ids in Column(source, np.dtype(np.int32), part.size).pieces():
                following += np.bincount(ids, minlength=self.size)
            counts = PartCounts.of_stem(part.stem, following, part.size, self.order)
        save_arrays(path, counts.to_arrays() | self.censuses(counts), {})
        source.unlink(missing_ok=True)

    def censuses(self, counts: PartCounts) -> dict[str, Array]:
        """`Smoothing.census` of each order, under the name `k.census`."""
        smoothing = self.smoothing
        return {
            f"{k}.census": smoothing.census(smoothing.order_counts(counts, k))
            for k in counts.orders
        }

    def estimate(self, part: Partition, values: Mapping[Stem, Array]) -> None:
        """Turn the counts of a partition into its tables.

        `values` holds for each branch, by its stem, the probabilities of the words after it, (V,).
        """
        path = self.file("counts", part.number)
        if not self.file("tables", part.number).exists():
            _, arrays = open_arrays(path, mmap=False)
            counts = PartCounts.from_arrays(arrays, part.lowest, self.order, self.size)
            lower = values[part.stem if part.leaf else part.stem[1:]]
            self.smooth(part.number, counts, lower)
        path.unlink(missing_ok=True)

    def smooth(self, number: int, counts: PartCounts, values: Array) -> Array:
        """Smooth counts, drop n-grams below `min_counts`, and store the tables.

        `values` (V,) are the probabilities of the order below, by last word. Returns those of the
        lowest order, (n,).
        """
        smoothing = self.smoothing
        tables: dict[str, Array] = {}
        first: Array = values
        for k in counts.orders:
            c = smoothing.order_counts(counts, k)
            values, weights = smoothing.smooth(counts, k, c, values)
            first = values if k == counts.lowest else first
            words, log_prob, backoff = counts.words[k - 1], log(values), log(weights)
            starts = counts.child_start[k - 2]
            sizes = np.diff(starts)
            if smoothing.cuts:
                kept = counts.counts[k - 1] >= smoothing.min_count(k)
                # Unigrams are never dropped.
                least = smoothing.min_count(k - 1) if k > 2 else 0
                stays = counts.context_counts[k - 1] >= least
                words, log_prob = words[kept], log_prob[kept]
                sizes = run_sums(starts, kept).astype(np.int32)[stays]
                backoff = backoff[stays]
            tables |= {
                f"{k}.words": words,
                f"{k}.log_prob": log_prob,
                f"{k}.sizes": sizes,
                f"{k}.backoff": backoff,
            }
        save_arrays(self.file("tables", number), tables, {})
        return first


def columns_of(part: Partition, order: int) -> list[int]:
    """The columns of `plan.windows` that a partition stores: 0 is the predicted word, i the i-th
    word before it.
    """
    return [0, *range(len(part.stem) + 1, order)] if part.leaf else [0]


def count(part: Partition, place: Workplace, plan: Plan) -> int:
    """Run `Workplace.count`; returns the size of the partition, for progress."""
    place.count(part, plan)
    return part.size


def estimate(part: Partition, place: Workplace, values: Mapping[Stem, Array]) -> int:
    """Run `Workplace.estimate`; returns the size of the partition, for progress."""
    place.estimate(part, values)
    return part.size
