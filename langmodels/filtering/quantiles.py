"""Exact quantiles of more numbers than memory holds: by sorting those of small groups, and of large
ones by counting, sixteen bits at a time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from langmodels.arrays import FloatArray, IndexArray

_BITS = 16
_LEVELS = 64 // _BITS
_HELD = 1 << 21
"""Numbers that are sorted in memory; a group that has more is large."""
_COUNTED = 1 << 6
"""Ranks that are looked for together in large groups: each has a table of counts."""

Parts = Callable[[], Iterable[tuple[FloatArray, IndexArray]]]
"""What gives all numbers in pieces, (n,), with the group of each, (n,), as often as it is asked."""


def order_statistics(parts: Parts, ranks: Sequence[Sequence[int]]) -> list[list[float]]:
    """Of each group the numbers with these ranks, counted from 1 for the smallest.

    None of the numbers is NaN. They are read once to see how many each group has, once more for
    each `_HELD` numbers of small groups, and four times for each `_COUNTED` ranks in large ones.
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
    """Groups in turn, as many at a time as have `_HELD` numbers."""
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
    """The numbers of some groups by group and rank."""
    place = np.full(len(ranks), -1, np.int64)
    place[some] = np.arange(len(some))
    kept: list[FloatArray] = []
    owners: list[IndexArray] = []
    for numbers, groups in parts():
        own = place[groups]
        kept.append(numbers[own >= 0])
        owners.append(own[own >= 0])
    together, owner = np.concatenate(kept), np.concatenate(owners)
    ordered = together[np.lexsort((together, owner))] + 0.0  # there is one zero
    ends = np.cumsum(np.bincount(owner, minlength=len(some)))
    return {
        (group, rank): float(ordered[begin + rank - 1])
        for group, begin in zip(some.tolist(), [0, *ends[:-1].tolist()], strict=True)
        for rank in ranks[group]
    }


def _by_counting(parts: Parts, wanted: Sequence[tuple[int, int]]) -> dict[tuple[int, int], float]:
    """The numbers of these groups and ranks.

    As in a radix sort, each of four passes finds the next sixteen bits of the numbers that are
    looked for.
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
    """Whole numbers in the order of these."""
    bits = (np.asarray(numbers, np.float64) + 0.0).view(np.uint64)  # there is one zero
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _numbers(keys: NDArray[np.uint64]) -> FloatArray:
    """Inverse of `_sortable`."""
    return np.where(keys & _SIGN, keys ^ _SIGN, ~keys).view(np.float64)
