"""Assigning the tokens of a text to partitions, by the word before them, or by several."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from langmodels.arrays import Array, IndexArray, IntArray
from langmodels.errors import LangmodelsError
from langmodels.ngram.trie import BOS_ID
from langmodels.progress import track
from langmodels.text.stored_text import StoredText

Stem = tuple[int, ...]
"""The last words of a context, first to last."""

_BLOCK = 1 << 20  # tokens read at a time
_MOST = 500
"""The limit on partitions, each of which is an open file during the shuffle."""


@dataclass(frozen=True)
class Partition:
    """The tokens of a text whose context ends in `stem`, or a part of them.

    A `leaf` holds those where one of certain words precedes the stem, for each of its contexts all
    tokens that follow. A partition that is no leaf holds all tokens after one whole context, which
    is the stem.
    """

    number: int
    stem: Stem
    size: int
    """The number of tokens, with ends of sequences."""
    leaf: bool

    @property
    def lowest(self) -> int:
        """The lowest order of its n-grams."""
        return len(self.stem) + (2 if self.leaf else 1)


@dataclass(frozen=True)
class Branch:
    """A stem that too many tokens follow for one partition; the root is the empty stem.

    The n-grams of the stem and one more word are spread over several partitions, the only ones that
    are; their counts are summed over these.
    """

    number: int
    stem: Stem
    size: int
    route: IntArray
    """(V,) the number of the partition or branch for each word before the stem."""


@dataclass(frozen=True)
class Plan:
    """The partitions of a text and the branches that lead to them, numbered together.

    All n-grams of a context lie in one partition, and so do an n-gram w1 .. wk and its suffix w2 ..
    wk, unless the suffix belongs to a branch. So a partition is estimated like a text of its own,
    given the probabilities of the words after its branch.
    """

    order: int
    partitions: list[Partition]
    branches: list[Branch]
    """The root first, and each branch after its parent."""

    @property
    def depth(self) -> int:
        """The most words of a context that decide about the partition."""
        return 1 + max(len(branch.stem) for branch in self.branches)

    def parent(self, stem: Stem) -> Branch:
        """The branch with a given stem."""
        return next(branch for branch in self.branches if branch.stem == stem)

    def numbers(self, words: Sequence[Array], length: int) -> IntArray:
        """The number of the partition or branch of the n-grams with given contexts, (M,).

        `words` are the last words of the contexts, the last but one, and so on, (M,) each: `depth`
        of them, or all where `length`, the length of the contexts, is less.
        """
        found: IntArray = self.branches[0].route.take(words[0])
        for branch in self.branches[1:]:
            depth = len(branch.stem)
            if depth < length:
                here = np.flatnonzero(found == branch.number)
                if len(here):
                    found[here] = branch.route.take(words[depth].take(here))
        return found

    def to_arrays(self) -> dict[str, Array]:
        """The arrays to store."""
        arrays: dict[str, Array] = {"order": np.array([self.order])}
        for part in self.partitions:
            arrays[f"partition.{part.number}"] = np.array([part.leaf, part.size, *part.stem])
        for branch in self.branches:
            arrays[f"branch.{branch.number}"] = np.array([branch.size, *branch.stem])
            arrays[f"route.{branch.number}"] = branch.route
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> "Plan":
        """Inverse of `to_arrays`."""
        plan = cls(int(arrays["order"][0]), [], [])
        for name, array in arrays.items():
            kind, _, number = name.partition(".")
            values = array.tolist()
            if kind == "partition":
                leaf, size, *stem = values
                plan.partitions.append(Partition(int(number), tuple(stem), size, bool(leaf)))
            elif kind == "branch":
                size, *stem = values
                route = arrays[f"route.{number}"]
                plan.branches.append(Branch(int(number), tuple(stem), size, route))
        plan.partitions.sort(key=lambda part: part.number)
        plan.branches.sort(key=lambda branch: (len(branch.stem), branch.number))
        return plan


def make_plan(text: StoredText, order: int, capacity: int) -> Plan:
    """Partition the tokens of a text.

    No partition has more than `capacity` tokens (at least 2), unless it is of a single context.

    Raises LangmodelsError if there would be more partitions than open files are allowed.
    """
    plan = Plan(order, [], [])
    if order == 1:
        plan.branches.append(Branch(0, (), len(text.ids), np.zeros(len(text.counts), np.int32)))
        return plan
    numbers = itertools.count(1)
    waiting = [_Stem(0, (), len(text.ids), text.counts)]
    while waiting:
        grown: list[_Stem] = []
        for branch in waiting:
            large = branch.before > capacity
            group, sizes = _grouped(np.where(large, 0, branch.before), capacity)
            if branch.stem and not sizes.any():
                sizes = sizes[:0]  # words that never precede it need a route at the root only
            of_groups = [next(numbers) for _ in sizes]
            route = np.array([*of_groups, 0], np.int32).take(group)
            for number, size in zip(of_groups, sizes.tolist(), strict=True):
                plan.partitions.append(Partition(number, branch.stem, size, leaf=True))
            for word in np.flatnonzero(large).tolist():
                route[word] = number = next(numbers)
                stem, size = (word, *branch.stem), int(branch.before[word])
                if word == BOS_ID or len(stem) == order - 1:
                    plan.partitions.append(Partition(number, stem, size, leaf=False))
                else:
                    grown.append(_Stem(number, stem, size, np.zeros_like(text.counts)))
            plan.branches.append(Branch(branch.number, branch.stem, branch.size, route))
        if len(plan.partitions) > _MOST:
            raise LangmodelsError(
                f"With so little memory there would be over {_MOST:,} partitions; give more memory."
            )
        _look_before(text, plan, grown)
        waiting = grown
    return plan


@dataclass(frozen=True)
class _Stem:
    """A stem that is to become a branch; `before` (V,) counts the words before it."""

    number: int
    stem: Stem
    size: int
    before: IndexArray


def _grouped(counts: IndexArray, capacity: int) -> tuple[IndexArray, IndexArray]:
    """Group words so that the counts of a group sum to at most `capacity`, which no count exceeds.

    Returns the group of each word, (V,), and the sum of each group.
    """
    half = max(1, capacity // 2)
    order = np.argsort(-counts, kind="stable")
    c = counts[order]
    alone = int(np.count_nonzero(c > half))
    group = np.empty(len(counts), np.int64)
    group[order[:alone]] = np.arange(alone)
    group[order[alone:]] = alone + (np.cumsum(c[alone:]) - c[alone:]) // half
    return group, np.bincount(group, counts).astype(np.int64)


def _look_before(text: StoredText, plan: Plan, stems: list[_Stem]) -> None:
    """Count the words before stems, all of one length, into their `before`."""
    if not stems:
        return
    depth = len(stems[0].stem)
    with track("Dividing the text", total=len(text.ids)) as meter:
        for _, words in windows(text, depth + 1):
            found = plan.numbers(words[:depth], depth + 1)
            for stem in stems:
                here = words[depth][found == stem.number]
                stem.before[:] += np.bincount(here, minlength=len(stem.before))
            meter.advance(len(found))


def windows(text: StoredText, length: int) -> Iterator[tuple[IntArray, list[IntArray]]]:
    """Yield the positions of a text, a million at a time: the predicted word, and the `length`
    words before it, nearest first, (M,) each.

    The `<s>` of the next sequence stands for the end of one; context words beyond an `<s>` belong
    to another sequence.
    """
    for ids in text.blocks(_BLOCK, length - 1, 1):
        n = len(ids) - length
        yield ids[length:], [ids[length - 1 - i : length - 1 - i + n] for i in range(length)]
