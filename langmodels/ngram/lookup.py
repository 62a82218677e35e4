"""What n-gram tables can be asked, and finding the child of a trie node by its last word."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from langmodels.arrays import Array, FloatArray, IndexArray, IntArray

LengthArray = NDArray[np.int16]

_FEW_BITS = 5


class Column(Protocol):
    """Numbers that can be read many at a time: an array, or what is packed more tightly."""

    def __len__(self) -> int: ...

    def take(self, at: Array, /, *, mode: Any = ...) -> Any:
        """Those at some places, (M,); with mode "clip", beyond the ends those at the ends."""


class NGramLookup(Protocol):
    """Answers to queries, as `NGramTables` gives them from its own arrays."""

    @property
    def order(self) -> int:
        """N, the length of the longest n-grams."""

    @property
    def ngram_counts(self) -> list[int]:
        """How many n-grams of each order the model has."""

    def start(self) -> tuple[Any, ...]:
        """The state at the beginning of a sequence; an empty one stands for no context."""

    def step(self, state: Any, word: int) -> tuple[float, int, tuple[Any, ...]]:
        """Log p(word | state) in nats, the length of the n-gram that gave it, the next state."""

    def advance(self, state: Any, word: int) -> tuple[Any, ...]:
        """The state after one more word."""

    def score_next(self, state: Any, word: int) -> tuple[float, int]:
        """Log p(word | state) in nats, and the length of the n-gram that gave it."""

    def backing_off(self, state: Any) -> float:
        """Log factor on unigram probabilities, for words never seen after the state, nats."""

    def log_distribution(self, state: Any) -> FloatArray:
        """Log p(w | state) of every word, (V,), nats."""

    def score(self, ids: IntArray) -> tuple[FloatArray, LengthArray]:
        """Log p of each word of a text, -inf at `<s>`, and the lengths of n-grams found, (T,)."""


def find_children(child_start: Column, column: Column, parents: Array, words: Array) -> IntArray:
    """Ids of the children of `parents` whose last words are `words`; -1 where there is none.

    Args:
        child_start: (n + 1,) where the children of each node begin in `column`.
        column: (m,) last words, rising among the children of a node.
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
    """Move `at` to the last place before `end` whose word does not come after that looked for.

    In steps of powers of two, the largest of `bits` first.
    """
    for bit in reversed(bits):
        step = np.int64(1 << bit)
        further = at + step
        # `take` with clipped indices gathers fastest, and may look past the end of the column.
        goes = column.take(further, mode="clip") <= words
        goes &= further < end
        at += goes * step
