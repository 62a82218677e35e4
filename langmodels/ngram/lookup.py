"""Finding the child of a trie node by its last word."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int32]


def find_children(
    child_start: IntArray, column: IntArray, parents: NDArray[Any], words: NDArray[Any]
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
    # `take` with clipped indices gathers fastest, and lets the search run past the end.
    first = child_start.take(parents).astype(np.int64)
    end = child_start.take(parents + 1)
    # The last child whose word does not come after the one looked for, found by halving steps.
    at = first - 1
    for bit in range(int((end - first).max(initial=0)).bit_length() - 1, -1, -1):
        step = np.int64(1 << bit)
        further = at + step
        goes = column.take(further, mode="clip") <= words
        goes &= further < end
        at += goes * step
    found = column.take(at, mode="clip") == words
    found &= at >= first
    return np.where(found, at, -1).astype(np.int32)
