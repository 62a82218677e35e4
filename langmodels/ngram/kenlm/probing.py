"""The "probing" layout: an n-gram is a 64-bit hash in a table with linear probing."""

import struct
from collections.abc import Callable
from math import copysign
from typing import Any

import numpy as np
from numpy.typing import NDArray

from langmodels.arrays import Array, IndexArray, IntArray
from langmodels.ngram.kenlm.binary import REST_PROBING, Header, Parts, damaged

_TIMES, _WORD = 8978948897894561157, 17894857484156487943
_MASK = (1 << 64) - 1
_LONGEST = 1 << 16
"""Slots tried for an n-gram; an undamaged table has a free one long before."""
_FULL = "its hash tables have no free places"

Context = Any
"""The state of `lookup.State` as nested or flat values; 0 is the empty context."""


class ProbingStore:
    """A `Store` of hash tables. Nodes are the hashes of n-grams, which cannot be enumerated."""

    def __init__(self, header: Header, parts: Parts) -> None:
        self.sizes = header.sizes
        rest = [("rest", "<f4")] if header.type == REST_PROBING else []
        places = [_places(n, header.multiplier) for n in header.sizes]
        version, _ = parts.table("<u4", 2).tolist()
        if version != 0:
            raise damaged(f"its vocabulary is of the unknown version {version}")
        parts.take(12 * places[0])  # word hashes, not needed: the words are at the end of the file
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
            raise damaged(_FULL)
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
        raise damaged(_FULL)

    def step(self, ids: IntArray, bos: int) -> Callable[[Context, int], tuple[float, Context, int]]:
        """A fast function (context, word) -> (log10 p, context, length), for many single queries.

        `ids` (V,) are the file's ids of the words. The function returns log10 p (0 for `bos` after
        the empty context), the context after the word, and the length of the n-gram found. The
        table of the highest order is copied, 8 bytes per slot.
        """
        nodes = ids.tolist()
        factors = [(1 + id) * _WORD & _MASK for id in range(self.sizes[0])]
        log_ps = (-np.abs(self._unigrams["log_p"][ids])).tolist()
        log_ps[bos] = 0.0
        weights = self._unigrams["weight"][ids].tolist()
        # Memory views cannot read unaligned numbers.
        keys = [np.require(table["key"], requirements="A").data for table in self._tables]
        if not all((np.asarray(column) == 0).any() for column in keys):
            raise damaged(_FULL)
        values = [table["log_p"].data for table in self._tables]
        charges = [table["weight"].data for table in self._tables[:-1]]
        levels = list(zip(keys, values, [*charges, None], map(len, keys), strict=True))

        def step(context: Context, word: int) -> tuple[float, Context, int]:
            log_p, node, length = log_ps[word], nodes[word], 1
            following = [node, weights[word]]
            if context:
                for before, (keys, values, charges, places) in zip(
                    context[::2], levels, strict=False
                ):
                    node = (node * _TIMES ^ factors[before]) & _MASK
                    at = node % places
                    while (there := keys[at]) != node and there:
                        at = at + 1 if at + 1 < places else 0
                    if not there:
                        break
                    length += 1
                    log_p = -abs(values[at])
                    if charges:
                        following += before, charges[at]
                if 2 * length <= len(context):
                    log_p += sum(context[2 * length - 1 :: 2])
            # A weight of -0.0: no n-gram continues this context, which therefore ends here.
            while following and not following[-1] and copysign(1.0, following[-1]) < 0.0:
                del following[-2:]
            return log_p, tuple(following) or 0, length

        return step


def _places(n: int, multiplier: float) -> int:
    """The number of slots of a table with n entries."""
    return max(n + 1, int(np.float32(multiplier) * np.float32(n)))
