"""Cutting held-out blocks from the training text, for fitting discounts."""

import numpy as np

from langmodels.arrays import IndexArray, IntArray
from langmodels.text.sequences import Sequences

# More held-out tokens do not improve the discounts; with fewer than `_ENOUGH`, further blocks do.
_ENOUGH = 50_000
_MOST = 100_000
_MAX_BLOCKS = 4


def blocks(n: int, share: float) -> list[tuple[int, int]]:
    """The (begin, end) of blocks of a text of ``n`` symbols to hold out in turn: evenly spread, one
    at the end.
    """
    size = min(int(share * n), _MOST)
    if size == 0:
        return []
    number = min(-(-_ENOUGH // size), _MAX_BLOCKS, n // size)
    ends = [n - i * n // number for i in range(number)]
    return [(end - size, end) for end in ends]


def hold_out(
    ids: IntArray, offsets: IndexArray, begin: int, end: int
) -> tuple[Sequences, Sequences]:
    """Split a text into the rest and the block ``begin:end``.

    Cuts are moved to the start of a sequence if one is near. Otherwise they cut a sequence in two,
    and the second part gets its own start symbol.
    """
    near = (end - begin) // 4
    cuts = np.array([begin, end])
    at = np.abs(offsets[:, None] - cuts).argmin(axis=0)
    cuts = np.where(np.abs(offsets[at] - cuts) <= near, offsets[at], cuts)
    new = np.setdiff1d(cuts, offsets)
    ids = np.insert(ids, new, ids[0])
    offsets = np.union1d(offsets, new)
    offsets, cuts = (a + np.searchsorted(new, a) for a in (offsets, cuts))
    begin, end = cuts.tolist()
    first, last = np.searchsorted(offsets, cuts).tolist()
    rest = Sequences(
        np.concatenate([ids[:begin], ids[end:]]),
        np.concatenate([offsets[:first], offsets[last:] - (end - begin)]),
    )
    return rest, Sequences(ids[begin:end], offsets[first : last + 1] - begin)
