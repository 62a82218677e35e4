"""The types of arrays that the functions of this package take and return."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""An array of any dtype, such as that of a model's weights."""

FloatArray = NDArray[np.float64]
"""Log probabilities and other figures."""

IntArray = NDArray[np.int32]
"""Token ids."""

IndexArray = NDArray[np.int64]
"""Positions, offsets and counts."""

BoolArray = NDArray[np.bool_]
"""Masks."""

_COUNTED = 1 << 20  # numbers that are counted at a time: bincount converts them to int64


def occurrences(numbers: Array, below: int) -> IndexArray:
    """How often each number from 0 to `below` - 1 occurs, (below,), without a widened copy."""
    counts = np.zeros(below, np.int64)
    for begin in range(0, len(numbers), _COUNTED):
        counts += np.bincount(numbers[begin : begin + _COUNTED], minlength=below)
    return counts
