"""Fitting an n-gram model to a text larger than memory, in stages whose results are files.

Each finished stage has its file in the work folder, so that a run that was killed resumes there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from langmodels.arrays import Array, IndexArray
from langmodels.columns import Column, ColumnWriter
from langmodels.errors import LangmodelsError, UsageError
from langmodels.execution import Jobs, executor, mapped
from langmodels.ngram.model import NGramModel
from langmodels.ngram.partitions.counting import PartCounts
from langmodels.ngram.partitions.merging import merge_partitions
from langmodels.ngram.partitions.plan import (
    Branch,
    Plan,
    Stem,
    make_plan,
    windows,
)
from langmodels.ngram.partitions.workplace import Workplace, columns_of, count, estimate
from langmodels.ngram.smoothing import Smoothing, log
from langmodels.ngram.tables import NGramTables
from langmodels.progress import track
from langmodels.tensors import open_arrays, open_columns, save_arrays
from langmodels.text.stored_text import StoredText


def is_whole(folder: Path) -> bool:
    """Whether the files that earlier stages left in a work folder are complete.

    A power failure may have truncated them.
    """
    try:
        for path in folder.iterdir():
            if path.name in (PLAN, SURVEY, SHUFFLED) or path.match("counts.*"):
                if not open_arrays(path, mmap=False)[1].verify():
                    return False
            elif path.match("tables.*") and not all(
                column.is_whole() for column in open_columns(path).values()
            ):
                return False
        if not (folder / SHUFFLED).exists():
            return True
        for name, (size, checksum) in open_arrays(folder / SHUFFLED, mmap=False)[1].items():
            windows = Column(folder / name, np.dtype("<i4"), int(size), checksum=int(checksum))
            if windows.path.exists() and not windows.is_whole():
                return False
    except (LangmodelsError, ValueError):
        return False
    return True


PLAN, SURVEY, SHUFFLED = "plan", "survey", "shuffled"


def check_in_parts(model: object) -> NGramModel:
    """The model itself, if it can be estimated from partitions; raises UsageError otherwise."""
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


def fit_on_disk(
    model: NGramModel, text: StoredText, folder: Path, capacity: int, jobs: Jobs = 1
) -> NGramModel:
    """Fit a model to a text, with about `capacity` tokens in memory per process.

    `jobs` is the number of processes or an executor; all of its workers must see `folder`, the work
    folder.

    The tables equal those of `NGramModel.fit` bit for bit, but are columns of files in `folder`:
    the model can be saved, as a model file or in ARPA format, and must be opened from there to be
    queried. See `check_in_parts` for which models are possible.
    """
    check_in_parts(model)
    model.reading = text.reading
    fit = _Fit(model.smoothing, model.order, text, folder, max(2, capacity), jobs)
    model.tables = fit.tables()
    model.fitted = model.smoothing.fitted()
    return model


@dataclass(frozen=True)
class _Fit:
    """One run, stage by stage."""

    smoothing: Smoothing
    order: int
    text: StoredText
    folder: Path
    capacity: int
    jobs: Jobs = 1

    def tables(self) -> NGramTables:
        """Run all stages; returns the merged tables."""
        smoothing = self.smoothing
        plan = self._plan()
        self._shuffle(plan)
        place = self._place
        self._each("Counting partitions", count, plan, place, plan)
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
            found = place.smooth(branch.number, counts, values[stem[1:]])
            values[stem] = np.zeros(self._size, found.dtype)
            values[stem][counts.words[counts.lowest - 1]] = found
        self._each("Estimating partitions", estimate, plan, place, values)
        numbers = [part.number for part in plan.partitions]
        numbers += [branch.number for branch in plan.branches[1:]]
        parts = {number: open_columns(self._place.file("tables", number)) for number in numbers}
        return merge_partitions(plan, parts, log(values[()]), self.folder, smoothing.unseen_backoff)

    def _each(
        self, description: str, task: Callable[..., int], plan: Plan, *arguments: Any
    ) -> None:
        """Run a task on each partition, the larger ones first."""
        parts = sorted(plan.partitions, key=lambda part: -part.size)
        with track(description, total=len(self.text.ids)) as meter, executor(self.jobs) as pool:
            for size in mapped(pool, task, parts, *arguments):
                meter.advance(size, note=f"{len(parts)} partitions")

    @property
    def _place(self) -> Workplace:
        return Workplace(self.folder.resolve(), self.smoothing, self.order, self._size)

    @property
    def _size(self) -> int:
        return len(self.text.counts)

    def _plan(self) -> Plan:
        path = self.folder / PLAN
        if not path.exists():
            save_arrays(path, make_plan(self.text, self.order, self.capacity).to_arrays(), {})
        return Plan.from_arrays(open_arrays(path, mmap=False)[1])

    def _shuffle(self, plan: Plan) -> None:
        """Write the windows of each partition to a file of its own."""
        done = self.folder / SHUFFLED
        if done.exists() or not plan.partitions:
            return
        columns = {p.number: columns_of(p, self.order) for p in plan.partitions}
        writers = {n: ColumnWriter(self._place.file("windows", n), np.int32) for n in columns}
        try:
            with track("Shuffling", total=len(self.text.ids)) as meter:
                for following, words in windows(self.text, self.order - 1):
                    found = plan.numbers(words, self.order - 1)
                    # NumPy sorts 16-bit integers in linear time.
                    places = np.argsort(found.astype(np.uint16), kind="stable")
                    rows = np.stack([following, *words], axis=1)[places]
                    ordered = found[places]
                    begins = np.flatnonzero(np.diff(ordered, prepend=-1)).tolist()
                    for begin, end in zip(begins, [*begins[1:], len(rows)], strict=True):
                        number = int(ordered[begin])
                        writers[number].append(rows[begin:end, columns[number]].ravel())
                    meter.advance(len(rows))
            written = [writer.column for writer in writers.values()]
        finally:
            for writer in writers.values():
                writer.close()
        sums = {column.path.name: np.array([column.size, column.checksum]) for column in written}
        save_arrays(done, sums, {})

    def _survey(self, plan: Plan) -> tuple[list[IndexArray], dict[Stem, PartCounts]]:
        """What concerns several partitions: the counts-of-counts of each order, and the n-grams of
        the branches.
        """
        path = self.folder / SURVEY
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
            for name, census in self._place.censuses(part).items():
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
        censuses = self._place.censuses(PartCounts.of_stem((), self.text.counts * 0, 0, 1))
        none = censuses["1.census"] * 0
        found = {f"{k}.census": none for k in range(1, self.order + 1)}
        for part in plan.partitions:
            columns = open_columns(self._place.file("counts", part.number))
            for name in columns.keys() & found.keys():
                found[name] = found[name] + columns[name][:]
            # The lowest n-grams of a leaf extend its stem to the left by a word; those of others
            # are the stem and the predicted word.
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
