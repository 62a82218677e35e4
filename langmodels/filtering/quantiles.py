"""Exact quantiles of more numbers than memory holds: by counting, sixteen bits at a time."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from langmodels.arrays import FloatArray, IndexArray

_BITS = 16
_LEVELS = 64 // _BITS

Parts = Callable[[], Iterable[tuple[FloatArray, IndexArray]]]
"""What gives all numbers in pieces, (n,), with the group of each, (n,), as often as it is asked."""


def order_statistics(parts: Parts, ranks: Sequence[Sequence[int]]) -> list[list[float]]:
    """Of each group the numbers with these ranks, counted from 1 for the smallest.

    The numbers are read four times and none is NaN. As in a radix sort, each pass finds the next
    sixteen bits of the numbers that are looked for. Memory holds a piece, and a count for each of
    2**16 digits and each number that is looked for.
    """
    wanted = [(group, rank) for group, some in enumerate(ranks) for rank in some]
    prefixes = np.zeros(len(wanted), np.uint64)
    left = [rank for _, rank in wanted]
    for level in range(_LEVELS):
        counts = np.zeros((len(wanted), 1 << _BITS), np.int64)
        shift = np.uint64(64 - _BITS * (level + 1))
        for numbers, groups in parts():
            keys = _sortable(numbers) >> shift
            digits = (keys & np.uint64((1 << _BITS) - 1)).astype(np.int64)
            before = keys >> np.uint64(_BITS)
            for i, (group, _) in enumerate(wanted):
                mine = digits[(groups == group) & (before == prefixes[i])]
                counts[i] += np.bincount(mine, minlength=1 << _BITS)
        for i, row in enumerate(np.cumsum(counts, axis=1)):
            digit = int(np.searchsorted(row, left[i]))
            left[i] -= int(row[digit - 1]) if digit else 0
            prefixes[i] = (prefixes[i] << np.uint64(_BITS)) | np.uint64(digit)
    found = iter(_numbers(prefixes).tolist())
    return [[next(found) for _ in some] for some in ranks]


_SIGN = np.uint64(1 << 63)


def _sortable(numbers: FloatArray) -> NDArray[np.uint64]:
    """Whole numbers in the order of these."""
    bits = (np.asarray(numbers, np.float64) + 0.0).view(np.uint64)  # there is one zero
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _numbers(keys: NDArray[np.uint64]) -> FloatArray:
    """Inverse of `_sortable`."""
    return np.where(keys & _SIGN, keys ^ _SIGN, ~keys).view(np.float64)
