"""The interface of n-gram look-up, and binary search for the children of trie nodes."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from langmodels.arrays import Array, FloatArray, IndexArray, IntArray

LengthArray = NDArray[np.int16]

_FEW_BITS = 5


class Column(Protocol):
    """A column of numbers that can be gathered from: an array, or bit-packed fields."""

    def __len__(self) -> int: ...

    def take(self, at: Array, /, *, mode: Any = ...) -> Any:
        """The items at indices `at`, (M,); mode "clip" clips indices beyond the ends."""


class NGramLookup(Protocol):
    """What can be asked of an n-gram model; `NGramTables` answers from its own arrays."""

    @property
    def order(self) -> int:
        """N, the length of the longest n-grams."""

    @property
    def ngram_counts(self) -> list[int]:
        """The number of n-grams of each order, 1 to N."""

    def start(self) -> tuple[Any, ...]:
        """The state at the beginning of a sequence, after `<s>`; () is the empty context."""

    def step(self, state: Any, word: int) -> tuple[float, int, tuple[Any, ...]]:
        """Log p(word | state) in nats, the length of the longest n-gram found, and the next
        state.
        """

    def advance(self, state: Any, word: int) -> tuple[Any, ...]:
        """The state after one more word."""

    def score_next(self, state: Any, word: int) -> tuple[float, int]:
        """Log p(word | state) in nats, and the length of the longest n-gram found."""

    def backing_off(self, state: Any) -> float:
        """The sum of all back-off weights of the state in nats: log of the factor on p(w) for a
        word w seen after no part of the context.
        """

    def log_distribution(self, state: Any) -> FloatArray:
        """Log p(w | state) of every word, (V,), nats."""

    def score(self, ids: IntArray) -> tuple[FloatArray, LengthArray]:
        """Log p of each word of a text in nats, -inf at `<s>`, and the lengths of the n-grams
        found, (T,).
        """


def find_children(child_start: Column, column: Column, parents: Array, words: Array) -> IntArray:
    """Ids of the children of `parents` with last words `words`, (M,); -1 where there is none.

    Args:
        child_start: (n + 1,) index in `column` of the first child of each node.
        column: (m,) last words, ascending among the children of a node.
        parents: (M,) ids of nodes.
        words: (M,) word ids.
    """
    if len(column) == 0:
        return np.full(len(parents), -1, np.int32)
    first = child_start.take(parents).astype(np.int64)
    end = child_start.take(parents + 1)
    at = first - 1
    size = end - first
    bits = int(size.max(initial=0)).bit_length()
    if bits > _FEW_BITS:
        # Most nodes have few children: only the others need the long steps.
        many = np.flatnonzero(size >= 1 << _FEW_BITS)
        some = at.take(many)
        _halve(column, some, end.take(many), words.take(many), range(_FEW_BITS, bits))
        at[many] = some
    _halve(column, at, end, words, range(min(bits, _FEW_BITS)))
    found = column.take(at, mode="clip") == words
    found &= at >= first
    return np.where(found, at, -1).astype(np.int32)


def _halve(column: Column, at: IndexArray, end: Array, words: Array, bits: range) -> None:
    """Move `at` in place to the last index before `end` whose word is not above the one sought.

    Steps are 2^b for b in `bits`, which descend.
    """
    for bit in reversed(bits):
        step = np.int64(1 << bit)
        further = at + step
        # `take` gathers fastest with mode "clip", which also makes reads past the end harmless.
        goes = column.take(further, mode="clip") <= words
        goes &= further < end
        at += goes * step
