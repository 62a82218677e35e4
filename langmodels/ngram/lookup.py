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
    low = child_start[parents]
    end = child_start[parents + 1]
    size = end - low
    for _ in range(int(size.max(initial=0)).bit_length()):
        half = size >> 1
        below = column[np.minimum(low + half, len(column) - 1)] < words
        below &= size > 0
        low = np.where(below, low + half + 1, low)
        size = np.where(below, size - half - 1, half)
    found = low < end
    found &= column[np.minimum(low, len(column) - 1)] == words
    return np.where(found, low, np.int32(-1))
