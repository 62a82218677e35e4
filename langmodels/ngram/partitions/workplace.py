"""What is done for one partition: counting its windows, and making tables of the counts.

Both read files and leave files that are whole or not there, so it does not matter who does them, or
how often.
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
    """The folder with the files of all partitions, and what is to be made of them.

    Of each partition there are `windows.N`, then `counts.N`, then `tables.N`; of each branch
    `tables.N`.
    """

    folder: Path
    smoothing: Smoothing
    order: int
    size: int
    """V."""

    def file(self, kind: str, number: int) -> Path:
        """A file of a partition or a branch."""
        return self.folder / f"{kind}.{number}"

    def count(self, part: Partition, plan: Plan) -> None:
        """The counts of a partition, and how many of its n-grams have which."""
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
        """By order, how many n-grams have which count, as far as smoothing asks."""
        smoothing = self.smoothing
        return {
            f"{k}.census": smoothing.census(smoothing.order_counts(counts, k))
            for k in counts.orders
        }

    def estimate(self, part: Partition, values: Mapping[Stem, Array]) -> None:
        """The tables of a partition, in place of its counts.

        `values`: by branch, (V,) what smoothing made of the n-grams that the branch has.
        """
        path = self.file("counts", part.number)
        if not self.file("tables", part.number).exists():
            _, arrays = open_arrays(path, mmap=False)
            counts = PartCounts.from_arrays(arrays, part.lowest, self.order, self.size)
            lower = values[part.stem if part.leaf else part.stem[1:]]
            self.smooth(part.number, counts, lower)
        path.unlink(missing_ok=True)

    def smooth(self, number: int, counts: PartCounts, values: Array) -> Array:
        """Smooth, leave out by count what is rare, and keep the tables in a file.

        `values`, (V,), are those of the order below by their last words. Returns those of the
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
                # All unigrams stay.
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
    """Which of the next word (0) and the words before it, the last first, a partition keeps."""
    return [0, *range(len(part.stem) + 1, order)] if part.leaf else [0]


def count(part: Partition, place: Workplace, plan: Plan) -> int:
    """See `Workplace.count`; returns how many tokens the partition has."""
    place.count(part, plan)
    return part.size


def estimate(part: Partition, place: Workplace, values: Mapping[Stem, Array]) -> int:
    """See `Workplace.estimate`; returns how many tokens the partition has."""
    place.estimate(part, values)
    return part.size
