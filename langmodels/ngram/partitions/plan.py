"""Which partition a token of a text goes to: by the word before it, or by several."""

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

_BLOCK = 1 << 20  # tokens
_MOST = 500
"""So many partitions can be open files at once, or nearly."""


@dataclass(frozen=True)
class Partition:
    """Windows of a text: the tokens whose context ends in `stem`, or part of them.

    A `leaf` holds those before whose stem certain words stand: of each context, all that follows
    it. What is no leaf holds all tokens after one whole context, the stem.
    """

    number: int
    stem: Stem
    size: int
    """Tokens, ends of sequences included."""
    leaf: bool

    @property
    def lowest(self) -> int:
        """The least order of its n-grams."""
        return len(self.stem) + (2 if self.leaf else 1)


@dataclass(frozen=True)
class Branch:
    """A stem after which there is too much for one partition; the root is the empty stem.

    Its own n-grams, the stem and one word more, are put together from what the partitions have:
    they alone are spread over several.
    """

    number: int
    stem: Stem
    size: int
    route: IntArray
    """(V,) for each word before the stem, the number of the partition or branch that has it."""


@dataclass(frozen=True)
class Plan:
    """The partitions of a text and the branches between them, numbered together.

    An n-gram w1 .. wk of a partition and its suffix w2 .. wk lie in the same one, unless the suffix
    is what a branch has; and of each context all n-grams do. So a partition is estimated as a text
    of its own would be, from the probabilities that its branch gives to words.
    """

    order: int
    partitions: list[Partition]
    branches: list[Branch]
    """The root first, and each after the one it grows from."""

    @property
    def depth(self) -> int:
        """How many words of a context at most are looked at."""
        return 1 + max(len(branch.stem) for branch in self.branches)

    def parent(self, stem: Stem) -> Branch:
        """The branch of a stem."""
        return next(branch for branch in self.branches if branch.stem == stem)

    def numbers(self, words: Sequence[Array], length: int) -> IntArray:
        """The partitions or branches that have the n-grams with given contexts, (M,).

        `words`: of contexts of `length` words the last, the last but one and so on, (M,) each; as
        many as `depth`, where they are as long.
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
        """For a file."""
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
    """Divide the tokens of a text so that no partition but those of one context has more than
    `capacity`, at least 2.

    Raises LangmodelsError where that makes more partitions than there can be open files.
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
                sizes = sizes[:0]  # words that are never there need a place after the root alone
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
                f"With so little memory there would be more than {_MOST:,} partitions; give more."
            )
        _look_before(text, plan, grown)
        waiting = grown
    return plan


@dataclass(frozen=True)
class _Stem:
    """What is to become a branch; `before`, (V,), is how often each word stands before it."""

    number: int
    stem: Stem
    size: int
    before: IndexArray


def _grouped(counts: IndexArray, capacity: int) -> tuple[IndexArray, IndexArray]:
    """Words put together in groups of no more than `capacity`, which no count exceeds: the group of
    each, (V,), and what each group comes to.
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
    """Count the words before stems of one length."""
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
    """Every place of a text, a million at a time: the word that comes next, and `length` words of
    its context, the last first, (M,) each.

    After the end of a sequence `<s>` comes next; beyond the `<s>` before it the context is not its
    own.
    """
    for ids in text.blocks(_BLOCK, length - 1, 1):
        n = len(ids) - length
        yield ids[length:], [ids[length - 1 - i : length - 1 - i + n] for i in range(length)]
