"""Exact quantiles of more numbers than memory holds.

Small groups are sorted; in large ones numbers are counted, sixteen bits at a time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from langmodels.arrays import FloatArray, IndexArray

_BITS = 16
_LEVELS = 64 // _BITS
_HELD = 1 << 21
"""Numbers that are sorted in memory together; a group that has more is large."""
_COUNTED = 1 << 6
"""Ranks in large groups that are looked for together; each needs a table of 65,536 counts."""

Parts = Callable[[], Iterable[tuple[FloatArray, IndexArray]]]
"""Called for each pass over the numbers: yields pieces (n,) and the group of each number, (n,)."""


def order_statistics(parts: Parts, ranks: Sequence[Sequence[int]]) -> list[list[float]]:
    """For each group, the numbers with the given ranks; rank 1 is the smallest number.

    The numbers must not be NaN. They are read once to find the sizes of groups, once more for each
    `_HELD` numbers in small groups, and four times for each `_COUNTED` ranks in large ones.
    """
    sizes = np.zeros(len(ranks), np.int64)
    for _, groups in parts():
        sizes += np.bincount(groups, minlength=len(ranks))
    asked = np.fromiter(map(len, ranks), np.int64, len(ranks)) > 0
    found: dict[tuple[int, int], float] = {}
    for some in _together(np.flatnonzero(asked & (sizes <= _HELD)), sizes):
        found |= _by_sorting(parts, ranks, some)
    large = np.flatnonzero(asked & (sizes > _HELD)).tolist()
    wanted = [(group, rank) for group in large for rank in ranks[group]]
    for begin in range(0, len(wanted), _COUNTED):
        found |= _by_counting(parts, wanted[begin : begin + _COUNTED])
    return [[found[group, rank] for rank in some] for group, some in enumerate(ranks)]


def _together(groups: IndexArray, sizes: IndexArray) -> Iterator[IndexArray]:
    """The groups in batches that have up to `_HELD` numbers."""
    totals = np.cumsum(sizes[groups])
    begin = 0
    while begin < len(groups):
        before = int(totals[begin - 1]) if begin else 0
        end = int(np.searchsorted(totals, before + _HELD, side="right"))
        yield groups[begin:end]
        begin = end


def _by_sorting(
    parts: Parts, ranks: Sequence[Sequence[int]], some: IndexArray
) -> dict[tuple[int, int], float]:
    """The numbers looked for in some small groups, by (group, rank)."""
    place = np.full(len(ranks), -1, np.int64)
    place[some] = np.arange(len(some))
    kept: list[FloatArray] = []
    owners: list[IndexArray] = []
    for numbers, groups in parts():
        own = place[groups]
        kept.append(numbers[own >= 0])
        owners.append(own[own >= 0])
    together, owner = np.concatenate(kept), np.concatenate(owners)
    ordered = together[np.lexsort((together, owner))] + 0.0  # turns -0.0 into 0.0
    ends = np.cumsum(np.bincount(owner, minlength=len(some)))
    return {
        (group, rank): float(ordered[begin + rank - 1])
        for group, begin in zip(some.tolist(), [0, *ends[:-1].tolist()], strict=True)
        for rank in ranks[group]
    }


def _by_counting(parts: Parts, wanted: Sequence[tuple[int, int]]) -> dict[tuple[int, int], float]:
    """The numbers with the given (group, rank), by these.

    As in a radix sort, each of four passes finds the next sixteen bits of every number.
    """
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
    return dict(zip(wanted, _numbers(prefixes).tolist(), strict=True))


_SIGN = np.uint64(1 << 63)


def _sortable(numbers: FloatArray) -> NDArray[np.uint64]:
    """Unsigned integers that have the same order as the numbers."""
    bits = (np.asarray(numbers, np.float64) + 0.0).view(np.uint64)  # + 0.0 turns -0.0 into 0.0
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _numbers(keys: NDArray[np.uint64]) -> FloatArray:
    """Inverse of `_sortable`."""
    return np.where(keys & _SIGN, keys ^ _SIGN, ~keys).view(np.float64)
