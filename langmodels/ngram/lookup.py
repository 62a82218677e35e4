"""Finding the child of a trie node by its last word."""

import numpy as np

from langmodels.arrays import Array, IndexArray, IntArray

_FEW_BITS = 5


def find_children(
    child_start: IntArray, column: IntArray, parents: Array, words: Array
) -> IntArray:
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


def _halve(column: IntArray, at: IndexArray, end: IntArray, words: Array, bits: range) -> None:
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
