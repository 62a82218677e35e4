"""Batched look-up of trie children, by binary search and, once it pays, by hash tables.

A binary search takes a dozen dependent steps for a node with many children, a hash table one read.
Building the tables pays for itself when a text has about a third as many tokens as the model has
n-grams.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from langmodels.arrays import Array, IndexArray, IntArray
from langmodels.ngram.lookup import find_children

_MIX = 0x9E3779B97F4A7C15
_HASH_BITS = 64
_TAG_BITS = 31
_SPARE_BITS = 8
"""Tag bits that record how many buckets from its own a child is stored."""
_TWICE = np.uint64(1 << 32 | 1)
_LOW = np.uint64((1 << 32) - 1)
_ONE = np.uint64(1)
_SLOTS = 4
"""Slots per bucket."""
_LOAD = 0.67
"""The largest share of slots that may be occupied."""
_BUCKET = np.complex128
"""A dtype as wide as a bucket, four slots of 32 bits: NumPy gathers one item faster than four."""
_AT_ONCE = 1 << 18  # children that are assigned slots at a time


@dataclass(frozen=True)
class Level:
    """The n-grams of one order above 1: m of them, in trie order.

    The children of node i are child_start[i] to child_start[i + 1] - 1, with ascending last
    `words`. `log_prob` and `backoff` (None for the highest order) are in nats.
    """

    child_start: IntArray
    words: IntArray
    log_prob: NDArray[np.float32]
    backoff: NDArray[np.float32] | None


@dataclass(frozen=True)
class Children:
    """The result of M queries: indices of those that found a child, `hits` (n,), and of the others,
    `missed` (M - n,), both ascending.

    For the children found, (n,) each: `nodes` to pass as `parents` to the finder of the next order,
    their log p, and their back-off weights (None for the highest order).
    """

    hits: IndexArray
    missed: IndexArray
    nodes: Array
    log_prob: NDArray[np.float32]
    backoff: NDArray[np.float32] | None


class Finder(ABC):
    """Looks up n-grams of one order as children of nodes of the order below."""

    @abstractmethod
    def find(self, parents: Array, words: IntArray) -> Children:
        """Look up the child of each of `parents` (M,) whose last word is that of `words` (M,)."""


@dataclass(frozen=True)
class Halving(Finder):
    """Binary search in the trie itself.

    `ids` maps the slots of a hash table of the order below to node ids; None where parents are node
    ids already.
    """

    level: Level
    ids: IntArray | None = None

    def find(self, parents: Array, words: IntArray) -> Children:
        """See `Finder`."""
        level = self.level
        if self.ids is not None:
            parents = self.ids.take(parents)
        nodes = find_children(level.child_start, level.words, parents, words)
        hit = nodes >= 0
        hits = np.flatnonzero(hit)
        nodes = nodes.take(hits)
        backoff = None if level.backoff is None else level.backoff.take(nodes)
        return Children(hits, np.flatnonzero(~hit), nodes, level.log_prob.take(nodes), backoff)


class ChildIndex(Finder):
    """A hash table of the children of all nodes of an order.

    A bucket has four slots of four bytes, which are read at once. A child whose bucket is full is
    stored in one of the following buckets; a bucket that such a child had to leave is marked by
    having its first two tags in ascending order. The hash of (node, word) is a bijection, so that
    bucket and tag together identify a child and there are no false positives.

    Args:
        level: the n-grams of the order.
        parents: (nodes,) the number below `n_parents` by which queries name each node of the order
            below. The children found are named by their slots, `slots` (m,).
        n_words: size of the vocabulary: word ids are below it.
    """

    def __init__(self, level: Level, parents: Array, n_parents: int, n_words: int) -> None:
        bits, bucket_bits = _bits(len(level.words), n_parents, n_words)
        mix = _MIX << (_HASH_BITS - bits)
        whole = (1 << _HASH_BITS) - 1
        self._of_word = np.uint64(mix & whole)
        self._of_parent = np.uint64((mix << (n_words - 1).bit_length()) & whole)
        self._tag_shift = np.uint64(_HASH_BITS - 1 - bits)
        self._bucket_shift = np.uint64(_HASH_BITS - bucket_bits)
        key = self._keys(np.repeat(parents, np.diff(level.child_start)), level.words)
        tags = self._tags(key).astype(np.uint32)
        key >>= self._bucket_shift
        bucket = key.astype(np.int64)
        self.slots, last = _slots(key)
        distance = self.slots // _SLOTS - bucket
        self._farthest = int(distance.max(initial=0))
        n_buckets = max((1 << bucket_bits) + 1, last // _SLOTS + 2)  # the last bucket is empty
        self.n_slots = _SLOTS * n_buckets
        buckets = np.zeros((n_buckets, _SLOTS), np.uint32)
        buckets.ravel()[self.slots] = tags
        # Swap the first two tags of a bucket where their order would mark it wrongly.
        turned = buckets[:, 0] < buckets[:, 1]
        left = np.zeros(n_buckets, np.bool_)
        left[bucket[distance > 0]] = True
        turned ^= left
        buckets[turned, :2] = buckets[turned, 1::-1]
        turns = turned.take(self.slots // _SLOTS)
        turns &= self.slots % _SLOTS < 2
        self.slots ^= turns
        self._buckets = buckets.view(_BUCKET).ravel()
        if level.backoff is None:
            self._values: Array = np.zeros(self.n_slots, np.float32)
            self._values[self.slots] = level.log_prob
        else:
            values = np.zeros((self.n_slots, 2), np.float32)
            values[self.slots, 0], values[self.slots, 1] = level.log_prob, level.backoff
            self._values = values.view(np.int64).ravel()  # a pair is read at once

    @property
    def tells_apart(self) -> bool:
        """Whether bucket and tag identify every child; otherwise the index must not be used."""
        return self._farthest < 1 << _SPARE_BITS

    def find(self, parents: Array, words: IntArray) -> Children:
        """See `Finder`."""
        key = self._keys(parents, words)
        tags = self._tags(key)
        tags *= _TWICE
        key >>= self._bucket_shift
        bucket = key.view(np.int64)
        there = self._buckets.take(bucket)
        lane = _lanes(there, tags)
        slots = there.view(np.uint32)
        goes_on = slots[::_SLOTS] < slots[1::_SLOTS]  # marked as overflowing
        goes_on &= lane == 0
        todo = np.flatnonzero(goes_on)
        at, wanted = bucket.take(todo), tags.take(todo)
        for _ in range(self._farthest):
            if not len(todo):
                break
            at += 1
            there = self._buckets.take(at)
            found = _lanes(there, wanted)
            here = np.flatnonzero(found != 0)
            places = todo.take(here)
            lane[places], bucket[places] = found.take(here), at.take(here)
            goes_on = there.view(np.uint32)[_SLOTS - 1 :: _SLOTS] > 0  # the bucket is full
            goes_on &= found == 0
            left = np.flatnonzero(goes_on)
            todo, at, wanted = todo.take(left), at.take(left), wanted.take(left)
        hit = lane != 0
        hits = np.flatnonzero(hit)
        nodes = bucket.take(hits)
        nodes *= _SLOTS
        # A lane is 256^place, so its exponent as a float is eight times the place of the slot.
        nodes += (lane.take(hits).astype(np.float32).view(np.int32) >> 26) - (127 >> 3)
        values = self._values.take(nodes)
        missed = np.flatnonzero(~hit)
        if values.dtype == np.float32:
            return Children(hits, missed, nodes, values, None)
        pairs = values.view(np.float32)
        return Children(hits, missed, nodes, pairs[::2], pairs[1::2])

    def _keys(self, parents: Array, words: IntArray) -> NDArray[np.uint64]:
        """The hash of each (node, word), a bijection into the highest `bits` bits."""
        key = _unsigned(parents) * self._of_parent
        rest = words.astype(np.uint64)
        rest *= self._of_word
        key += rest
        return key

    def _tags(self, key: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """The lowest 31 bits of each hash, and a bit that marks a slot as occupied: 32 bits."""
        tags = key >> self._tag_shift
        tags &= _LOW
        tags |= _ONE
        return tags


def _unsigned(whole: Array) -> NDArray[np.uint64]:
    return whole.view(np.uint64) if whole.dtype == np.int64 else whole.astype(np.uint64)


def _bits(n: int, n_parents: int, n_words: int) -> tuple[int, int]:
    """The number of bits of a hash, and of those that number the bucket."""
    bits = (n_parents - 1).bit_length() + (n_words - 1).bit_length()
    least = (int(n / (_SLOTS * _LOAD)) + 1).bit_length()
    return bits, min(max(least, bits - _TAG_BITS + _SPARE_BITS, 1), bits)


def _bytes(level: Level, n_parents: int, n_words: int) -> int:
    """The approximate size of a table in bytes; a number beyond any limit where none can be
    built.
    """
    bits, bucket_bits = _bits(len(level.words), n_parents, n_words)
    if bits > _HASH_BITS - 1 or bucket_bits > _TAG_BITS - 3:
        return 1 << _HASH_BITS
    return (8 if level.backoff is None else 12) * (_SLOTS << bucket_bits)


def _slots(bucket: NDArray[np.uint64]) -> tuple[IntArray, int]:
    """Assign slots to children by their buckets: a slot for each, (m,), and the highest one used.

    In the order of buckets, each child gets the first free slot that is not before its bucket.
    """
    bucket <<= np.uint64(32)
    bucket |= np.arange(len(bucket), dtype=np.uint64)
    bucket.sort()
    slots = np.empty(len(bucket), np.int32)
    last = -1
    for begin in range(0, len(bucket), _AT_ONCE):
        some = bucket[begin : begin + _AT_ONCE]
        place = np.arange(len(some))
        at = (some >> np.uint64(32)).view(np.int64)
        at *= _SLOTS
        at[0] = max(int(at[0]), last + 1)
        at -= place
        np.maximum.accumulate(at, out=at)
        at += place
        slots[(some & _LOW).view(np.int64)] = at
        last = int(at[-1])
    return slots, last


def _lanes(there: NDArray[np.complex128], tags: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Where each tag stands in its bucket: 256^place, or 0 where it does not.

    `there` are buckets, (M,), `tags` the tags, each repeated in both halves of 64 bits, (M,).
    """
    halves = there.view(np.uint64)
    different = np.empty_like(halves)
    np.bitwise_xor(halves[::2], tags, out=different[::2])
    np.bitwise_xor(halves[1::2], tags, out=different[1::2])
    lanes: NDArray[np.uint32] = (different.view(np.uint32) == 0).view(np.uint32)
    return lanes


class Finders:
    """The finders of all orders above 1: binary search at first, hash tables once they pay.

    Args:
        levels: the n-grams of orders 2 to N.
        n_words: the size of the vocabulary.

    Safe to share between threads.
    """

    MOST = 192 << 20
    """Bytes for all hash tables, lower orders first. Orders beyond are found by binary search."""
    OFTEN = 3
    """Tables are built once the positions looked up number a third of the n-grams."""

    def __init__(self, levels: Sequence[Level], n_words: int) -> None:
        self._levels, self._n_words = levels, n_words
        self._finders: list[Finder] = [Halving(level) for level in levels]
        self._left = sum(len(level.words) for level in levels) // self.OFTEN
        self._lock = threading.Lock()

    def after(self, positions: int) -> list[Finder]:
        """The finder of each order, given that `positions` more positions are about to be looked
        up.
        """
        if self._left >= 0 and self._lock.acquire(blocking=False):
            # Other threads go on with the finders that there are.
            try:
                self._left -= positions
                if self._left < 0:
                    self._finders = self._indexed()
            finally:
                self._lock.release()
        return self._finders

    def _indexed(self) -> list[Finder]:
        found: list[Finder] = []
        parents: Array = np.arange(self._n_words)
        n_parents, room = self._n_words, self.MOST
        for level in self._levels:
            room -= _bytes(level, n_parents, self._n_words)
            if room < 0:
                break
            index = ChildIndex(level, parents, n_parents, self._n_words)
            if not index.tells_apart:
                break
            found.append(index)
            parents, n_parents = index.slots, index.n_slots
            del index.slots  # queries of the next order name nodes by slot
        rest = self._levels[len(found) :]
        if found and rest:
            ids = np.zeros(n_parents, np.int32)
            ids[parents] = np.arange(len(parents), dtype=np.int32)
            return [*found, Halving(rest[0], ids), *map(Halving, rest[1:])]
        return [*found, *map(Halving, rest)]
