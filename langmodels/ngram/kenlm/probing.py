"""The layout of hash tables: an n-gram is a 64-bit number, found by linear probing."""

import struct

import numpy as np
from numpy.typing import NDArray

from langmodels.arrays import Array, IndexArray, IntArray
from langmodels.ngram.kenlm.binary import REST_PROBING, Header, Parts, damaged

_TIMES, _WORD = 8978948897894561157, 17894857484156487943
_MASK = (1 << 64) - 1
_LONGEST = 1 << 16
"""Places tried for an n-gram; a sound table has a free one long before."""


class ProbingStore:
    """Nodes are the numbers that stand for n-grams: no n-gram can be listed."""

    def __init__(self, header: Header, parts: Parts) -> None:
        self.sizes = header.sizes
        rest = [("rest", "<f4")] if header.type == REST_PROBING else []
        places = [_places(n, header.multiplier) for n in header.sizes]
        version, _ = parts.table("<u4", 2).tolist()
        if version != 0:
            raise damaged(f"its vocabulary is of the unknown version {version}")
        parts.take(12 * places[0])  # hashes of the words: these are read from the end of the file
        weighted = [("log_p", "<f4"), ("weight", "<f4"), *rest]
        self._unigrams = parts.table(weighted, header.sizes[0] + 1)[:-1]
        if not (self._unigrams["log_p"] == self._unigrams["log_p"]).all():
            raise damaged("a word's probability is not a number")
        middle = np.dtype([("key", "<u8"), *weighted])
        last = np.dtype([("key", "<u8"), ("log_p", "<f4")])
        kinds = [middle] * (header.order - 2) + [last]
        self._tables = [parts.table(t, n) for t, n in zip(kinds, places[1:], strict=True)]
        self._scalars = [
            (
                t.view(np.uint8).data,
                struct.Struct("<Qff" if t.dtype is middle else "<Qf").unpack_from,
                len(t),
                t.itemsize,
            )
            for t in self._tables
        ]
        self._unigram = [self._unigrams[name].tolist() for name in ("log_p", "weight")]

    def unigrams(self, words: IntArray) -> tuple[NDArray[np.uint64], Array, Array]:
        """See `Store`."""
        entries = self._unigrams
        return words.astype(np.uint64), -np.abs(entries["log_p"][words]), entries["weight"][words]

    def extend(
        self, order: int, nodes: NDArray[np.uint64], words: IntArray
    ) -> tuple[IndexArray, NDArray[np.uint64], Array, Array]:
        """See `Store`."""
        table = self._tables[order - 2]
        keys = nodes * np.uint64(_TIMES)
        keys ^= (words.astype(np.uint64) + np.uint64(1)) * np.uint64(_WORD)
        n = np.uint64(len(table))
        place = (keys - keys // n * n).astype(np.int64)
        column = table["key"]
        there = column[place]
        todo = np.flatnonzero((there != keys) & (there != 0))
        for _ in range(_LONGEST):
            if not len(todo):
                break
            place[todo] = (place[todo] + 1) % len(table)
            there[todo] = column[place[todo]]
            todo = todo[(there[todo] != keys[todo]) & (there[todo] != 0)]
        else:
            raise damaged("its hash tables have no free places")
        found = np.flatnonzero(there == keys)
        entries = table[place.take(found)]
        weights = entries["weight"] if order < len(self.sizes) else np.zeros(len(found), np.float32)
        return found, keys.take(found), -np.abs(entries["log_p"]), weights

    def unigram(self, word: int) -> tuple[int, float, float]:
        """See `Store`."""
        return word, -abs(self._unigram[0][word]), self._unigram[1][word]

    def child(self, order: int, node: int, word: int) -> tuple[int, float, float] | None:
        """See `Store`."""
        raw, read, n, size = self._scalars[order - 2]
        key = (node * _TIMES ^ (1 + word) * _WORD) & _MASK
        place = key % n
        for _ in range(_LONGEST):
            entry = read(raw, place * size)
            if entry[0] == key:
                return key, -abs(entry[1]), entry[2] if len(entry) > 2 else 0.0
            if entry[0] == 0:
                return None
            place = (place + 1) % n
        raise damaged("its hash tables have no free places")


def _places(n: int, multiplier: float) -> int:
    """Places in a table of n entries."""
    return max(n + 1, int(np.float32(multiplier) * np.float32(n)))
