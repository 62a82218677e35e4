"""An n-gram model of a text that is larger than memory, by stages whose results are files.

What is finished is a file of its own in the work folder. A run that was killed goes on from there:
whatever a file says is not worked out again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from langmodels.arrays import Array, IndexArray
from langmodels.columns import Column, ColumnWriter
from langmodels.errors import UsageError
from langmodels.ngram.model import NGramModel
from langmodels.ngram.partitions.counting import PartCounts, count_windows
from langmodels.ngram.partitions.merging import merge_partitions
from langmodels.ngram.partitions.plan import (
    Branch,
    Partition,
    Plan,
    Stem,
    make_plan,
    windows,
)
from langmodels.ngram.smoothing import Smoothing, log
from langmodels.ngram.tables import NGramTables
from langmodels.ngram.trie import run_sums
from langmodels.progress import track
from langmodels.tensors import open_arrays, open_columns, save_arrays
from langmodels.text.stored_text import StoredText


def check_in_parts(model: object) -> NGramModel:
    """The model, where it can be estimated from partitions. Raises UsageError where it cannot."""
    if type(model) is not NGramModel:
        name = getattr(model, "kind", type(model).__name__)
        raise UsageError(f"--memory is for plain n-gram models, not {name}.")
    smoothing = model.smoothing
    if smoothing.uses_held_out:
        raise UsageError(
            f"{smoothing.name} fits its weights on held-out text, which takes all counts at once; "
            "give it its weight, use another method, or leave out --memory."
        )
    if not smoothing.in_parts:
        raise UsageError(
            f"{smoothing.name} estimates from all counts at once; leave out --memory, or give the "
            "method a `smooth` that takes contexts one by one."
        )
    return model


def fit_on_disk(model: NGramModel, text: StoredText, folder: Path, capacity: int) -> NGramModel:
    """Fit a model to a text, with no more than about `capacity` tokens worked on at a time.

    The tables are those that `fit` makes, bit for bit, but they are columns of files in `folder`:
    the model can be saved, as a file of its own or in ARPA format, and answers no queries before it
    is opened from there. `check_in_parts` says which models can be had.
    """
    check_in_parts(model)
    model.reading = text.reading
    model.tables = _Fit(model.smoothing, model.order, text, folder, max(2, capacity)).tables()
    model.fitted = model.smoothing.fitted()
    return model


@dataclass(frozen=True)
class _Fit:
    """The stages, one after another."""

    smoothing: Smoothing
    order: int
    text: StoredText
    folder: Path
    capacity: int

    def tables(self) -> NGramTables:
        """All stages."""
        smoothing = self.smoothing
        plan = self._plan()
        self._shuffle(plan)
        with track("Counting partitions", total=len(plan.partitions)) as meter:
            for part in plan.partitions:
                self._count(plan, part)
                meter.advance(note=f"{part.size:,} tokens")
        censuses, stems = self._survey(plan)
        smoothing.begin()
        for k in range(1, self.order + 1):
            smoothing.prepare(k, censuses[k - 1])
        smoothing.complete()
        root = stems[()]
        c = smoothing.order_counts(root, 1)
        values: dict[Stem, Array] = {}
        values[()] = smoothing.smooth(root, 1, c, smoothing.uniform(self._size))[0]
        for branch in plan.branches[1:]:
            stem, counts = branch.stem, stems[branch.stem]
            found = self._estimate(branch.number, counts, values[stem[1:]])
            values[stem] = np.zeros(self._size, found.dtype)
            values[stem][counts.words[counts.lowest - 1]] = found
        with track("Estimating partitions", total=len(plan.partitions)) as meter:
            for part in plan.partitions:
                lower = values[part.stem if part.leaf else part.stem[1:]]
                self._estimate_partition(part, lower)
                meter.advance(note=f"{part.size:,} tokens")
        numbers = [part.number for part in plan.partitions]
        numbers += [branch.number for branch in plan.branches[1:]]
        parts = {number: open_columns(self._file("tables", number)) for number in numbers}
        return merge_partitions(plan, parts, log(values[()]), self.folder, smoothing.unseen_backoff)

    @property
    def _size(self) -> int:
        return len(self.text.counts)

    def _file(self, kind: str, number: int) -> Path:
        return self.folder / f"{kind}.{number}"

    def _plan(self) -> Plan:
        path = self.folder / "plan"
        if not path.exists():
            save_arrays(path, make_plan(self.text, self.order, self.capacity).to_arrays(), {})
        return Plan.from_arrays(open_arrays(path, mmap=False)[1])

    def _shuffle(self, plan: Plan) -> None:
        """The windows of every partition, in a file each."""
        done = self.folder / "shuffled"
        if done.exists() or not plan.partitions:
            return
        columns = {p.number: _columns(p, self.order) for p in plan.partitions}
        writers = {n: ColumnWriter(self._file("windows", n), np.int32) for n in columns}
        try:
            with track("Shuffling", total=len(self.text.ids)) as meter:
                for following, words in windows(self.text, self.order - 1):
                    found = plan.numbers(words, self.order - 1)
                    # Numbers of 16 bits are sorted in linear time.
                    places = np.argsort(found.astype(np.uint16), kind="stable")
                    rows = np.stack([following, *words], axis=1)[places]
                    ordered = found[places]
                    begins = np.flatnonzero(np.diff(ordered, prepend=-1)).tolist()
                    for begin, end in zip(begins, [*begins[1:], len(rows)], strict=True):
                        number = int(ordered[begin])
                        writers[number].append(rows[begin:end, columns[number]].ravel())
                    meter.advance(len(rows))
        finally:
            for writer in writers.values():
                writer.close()
        done.touch()

    def _count(self, plan: Plan, part: Partition) -> None:
        """The counts of a partition, and how many of its n-grams have which."""
        path, source = self._file("counts", part.number), self._file("windows", part.number)
        if path.exists() or self._file("tables", part.number).exists():
            source.unlink(missing_ok=True)
            return
        if part.leaf:
            width = len(_columns(part, self.order))
            rows = np.fromfile(source, np.int32).reshape(-1, width)
            route = plan.branches[0].route
            contexts = np.flatnonzero(route == part.number).astype(np.int32)
            counts = count_windows(rows, part.lowest, self._size, None if part.stem else contexts)
        else:
            following = np.zeros(self._size, np.int64)
            for ids in Column(source, np.dtype(np.int32), part.size).pieces():
                following += np.bincount(ids, minlength=self._size)
            counts = PartCounts.of_stem(part.stem, following, part.size, self.order)
        save_arrays(path, counts.to_arrays() | self._censuses(counts), {})
        source.unlink()

    def _censuses(self, counts: PartCounts) -> dict[str, Array]:
        smoothing = self.smoothing
        return {
            f"{k}.census": smoothing.census(smoothing.order_counts(counts, k))
            for k in counts.orders
        }

    def _survey(self, plan: Plan) -> tuple[list[IndexArray], dict[Stem, PartCounts]]:
        """What is spread over partitions: for each order how many n-grams have which count, and the
        n-grams that branches have.
        """
        path = self.folder / "survey"
        if not path.exists():
            self._add_up(plan, path)
        arrays = open_arrays(path, mmap=False)[1]
        stems: dict[Stem, PartCounts] = {}
        stems[()] = self._of_stem(plan.branches[0], self.text.counts, arrays)
        for branch in plan.branches[1:]:
            counts = arrays[f"counts.{branch.number}"]
            stems[branch.stem] = self._of_stem(branch, counts, arrays)
        censuses: list[IndexArray] = [arrays[f"{k}.census"] for k in range(1, self.order + 1)]
        for part in stems.values():
            for name, census in self._censuses(part).items():
                at = int(name.partition(".")[0]) - 1
                censuses[at] = censuses[at] + census
        return censuses, stems

    def _of_stem(
        self, branch: Branch, counts: IndexArray, arrays: Mapping[str, Array]
    ) -> PartCounts:
        before = arrays[f"continuation.{branch.number}"]
        return PartCounts.of_stem(branch.stem, counts, branch.size, self.order, before)

    def _add_up(self, plan: Plan, path: Path) -> None:
        counts = {branch.stem: np.zeros(self._size, np.int64) for branch in plan.branches}
        before = {branch.stem: np.zeros(self._size, np.int64) for branch in plan.branches}
        censuses = self._censuses(PartCounts.of_stem((), self.text.counts * 0, 0, 1))
        none = censuses["1.census"] * 0
        found = {f"{k}.census": none for k in range(1, self.order + 1)}
        for part in plan.partitions:
            columns = open_columns(self._file("counts", part.number))
            for name in columns.keys() & found.keys():
                found[name] = found[name] + columns[name][:]
            # An n-gram of a leaf has one word before the stem, that of another is the stem's own.
            stem = part.stem if part.leaf else part.stem[1:]
            words, often = (columns[f"{part.lowest}.{name}"] for name in ("words", "counts"))
            for some, n in zip(words.pieces(), often.pieces(), strict=True):
                before[stem] += np.bincount(some, minlength=self._size)
                counts[stem] += np.bincount(some, n, self._size).astype(np.int64)
        for branch in plan.branches[:0:-1]:
            stem = branch.stem
            counts[stem[1:]] += counts[stem]
            before[stem[1:]] += counts[stem] > 0
        for branch in plan.branches:
            found[f"counts.{branch.number}"] = counts[branch.stem]
            found[f"continuation.{branch.number}"] = before[branch.stem]
        save_arrays(path, found, {})

    def _estimate_partition(self, part: Partition, lower: Array) -> None:
        """The tables of a partition, in place of its counts."""
        path = self._file("counts", part.number)
        if not self._file("tables", part.number).exists():
            _, arrays = open_arrays(path, mmap=False)
            counts = PartCounts.from_arrays(arrays, part.lowest, self.order, self._size)
            self._estimate(part.number, counts, lower)
        path.unlink(missing_ok=True)

    def _estimate(self, number: int, counts: PartCounts, values: Array) -> Array:
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
        save_arrays(self._file("tables", number), tables, {})
        return first


def _columns(part: Partition, order: int) -> list[int]:
    """Which of the next word (0) and the words before it, the last first, a partition keeps."""
    return [0, *range(len(part.stem) + 1, order)] if part.leaf else [0]
