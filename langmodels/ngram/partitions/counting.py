"""The n-grams of a partition, counted by sorting its windows.

A window is a word and the words before it. The rank of its last k words among all k-grams is kept,
so that the next order is sorted by two numbers, the word before and that rank: the n-grams come out
in lexicographic order, and the rank is the id of their suffix. The end of a sequence is counted as
if it were a word, so that every context is found whatever follows it, and is removed from the
result.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from langmodels.arrays import Array, IndexArray, IntArray
from langmodels.ngram.counting import NGramCounts
from langmodels.ngram.trie import BOS_ID, run_sums, starts_of
from langmodels.threads import parallel_map

_PIECE = 1 << 19
"""Windows sorted at a time: their keys, 4 MB, stay in the cache."""

_NONE = np.empty(0, np.int32)


@dataclass(frozen=True)
class PartCounts(NGramCounts):
    """The n-grams of a partition, of orders `lowest` to N, grouped by context.

    Contexts are numbered by themselves, not as nodes of the order below: `child_start[k-2]`, (M +
    1,), is where the k-grams of each of the M contexts begin. In the lowest order, suffixes are
    word ids.
    """

    lowest: int
    context_counts: list[IntArray]
    """(M,) how often each context of k-grams occurs."""
    initial: list[tuple[int, int]]
    """By order, the half-open range of ids of k-grams that begin with `<s>`."""
    initial_of_contexts: list[tuple[int, int]]
    """By order, the half-open range of their contexts."""
    continuation: IntArray | None = None
    """Continuation counts of the lowest order, if they cannot be derived from `suffixes`."""

    @classmethod
    def none(cls, lowest: int, vocabulary_size: int) -> "PartCounts":
        """Counts with empty orders below `lowest`; the others are to be added."""
        n = lowest - 1
        words = [np.arange(vocabulary_size, dtype=np.int32), *[_NONE] * (n - 1)]
        starts, empty, ranges = [_NONE] * (n - 1), [_NONE] * n, [(0, 0)] * n
        return cls(words, starts, [*empty], [*empty], lowest, [*empty], [*ranges], [*ranges])

    @classmethod
    def of_stem(
        cls,
        stem: tuple[int, ...],
        counts: IndexArray,
        size: int,
        order: int,
        continuation: IndexArray | None = None,
    ) -> "PartCounts":
        """The n-grams of a stem and one more word, with `counts` (V,); higher orders are empty.

        `size` is how often the stem occurs, `continuation` (V,) the continuation counts; None if
        nothing precedes the stem.
        """
        lowest = len(stem) + 1
        if stem:
            words = np.flatnonzero(counts).astype(np.int32)
            words = words[words != BOS_ID]
            part = cls.none(lowest, len(counts))
            initial = [0, len(words), 0, 1] if stem[0] == BOS_ID else [0, 0, 0, 0]
            starts = np.array([0, len(words)], np.int32)
            context = np.array([size], np.int32)
            n = counts[words].astype(np.int32)
            part.add(words, starts, n, words, context, np.array(initial))
        else:
            words = np.arange(len(counts), dtype=np.int32)
            bos = [(BOS_ID, BOS_ID + 1)]
            n = counts.astype(np.int32)
            part = cls([words], [], [n], [_NONE], 1, [_NONE], bos, [(0, 0)])
        part.fill(order)
        if continuation is None:
            continuation = np.zeros(len(counts), np.int64)
        return replace(part, continuation=continuation[words].astype(np.int32))

    def add(
        self,
        words: IntArray,
        starts: IntArray,
        counts: IntArray,
        suffixes: IntArray,
        context_counts: IntArray,
        initial: Array,
    ) -> None:
        """Append the next order; `initial` is the range of its n-grams and that of its contexts."""
        self.words.append(words)
        self.child_start.append(starts)
        self.counts.append(counts)
        self.suffixes.append(suffixes)
        self.context_counts.append(context_counts)
        a, b, c, d = map(int, initial)
        self.initial.append((a, b))
        self.initial_of_contexts.append((c, d))

    def fill(self, order: int) -> None:
        """Append empty orders up to `order`."""
        while self.order < order:
            self.add(_NONE, _NONE, _NONE, _NONE, _NONE, np.zeros(4, np.int64))

    def initial_range(self, order: int) -> tuple[int, int]:
        """See `NGramTrie`."""
        return self.initial[order - 1]

    def initial_contexts(self, order: int) -> tuple[int, int]:
        """See `NGramCounts`."""
        return self.initial_of_contexts[order - 1]

    def continuation_counts(self, order: int) -> IntArray:
        """See `NGramCounts`."""
        if self.continuation is not None and order == self.lowest:
            return self.continuation.copy()
        return super().continuation_counts(order)

    @property
    def orders(self) -> list[int]:
        """The orders that have been counted."""
        every = range(self.lowest, self.order + 1)
        return [k for k in every if k == 1 or len(self.child_start[k - 2])]

    def to_arrays(self) -> dict[str, Array]:
        """The arrays to store."""
        arrays: dict[str, Array] = {}
        for k in self.orders:
            arrays[f"{k}.words"] = self.words[k - 1]
            arrays[f"{k}.starts"] = self.child_start[k - 2]
            arrays[f"{k}.counts"] = self.counts[k - 1]
            arrays[f"{k}.suffixes"] = self.suffixes[k - 1]
            arrays[f"{k}.context_counts"] = self.context_counts[k - 1]
            initial = [*self.initial[k - 1], *self.initial_of_contexts[k - 1]]
            arrays[f"{k}.initial"] = np.array(initial)
        return arrays

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, Array], lowest: int, order: int, vocabulary_size: int
    ) -> "PartCounts":
        """Inverse of `to_arrays`."""
        part = cls.none(lowest, vocabulary_size)
        names = ("words", "starts", "counts", "suffixes", "context_counts", "initial")
        for k in range(lowest, order + 1):
            if f"{k}.words" in arrays:
                part.add(*(arrays[f"{k}.{name}"] for name in names))
        part.fill(order)
        return part


def count_windows(
    windows: IntArray, lowest: int, vocabulary_size: int, contexts: IntArray | None = None
) -> PartCounts:
    """Count the n-grams of a partition.

    Args:
        windows: (M, W) the predicted word, then the W - 1 words before it, nearest first, without
            those of the partition's stem; words beyond an `<s>` are ignored.
        lowest: the order of the n-grams with one word before the stem.
        vocabulary_size: V.
        contexts: ascending, all contexts of length one, seen or not; None: those seen.
    """
    part = PartCounts.none(lowest, vocabulary_size)
    sorter = _Windows(windows, vocabulary_size)
    for k in range(1, windows.shape[1]):
        found = sorter.extend(k)
        sizes, context_counts, initial = found.sizes, found.context_counts, found.initial
        if k == 1 and contexts is not None:
            places = np.searchsorted(contexts, found.context_words)
            sizes, context_counts = (
                _placed(values, places, len(contexts)) for values in (sizes, context_counts)
            )
            initial[2:] = np.searchsorted(contexts, [BOS_ID, BOS_ID + 1])
        starts = starts_of(sizes)
        part.add(found.words, starts, found.counts, found.suffixes, context_counts, initial)
    return part


def _placed(values: IntArray, places: IndexArray, size: int) -> IntArray:
    """(size,) an array with `values` at `places`, 0 elsewhere."""
    result = np.zeros(size, np.int32)
    result[places] = values
    return result


@dataclass
class _Order:
    """The n-grams of one order, or of a piece of it: a range of first words."""

    words: IntArray
    counts: IntArray
    suffixes: IntArray
    sizes: IntArray
    """(M,) the number of n-grams of each context."""
    context_counts: IntArray
    context_words: IntArray
    """(M,) the first word of each context."""
    initial: IndexArray
    every_word: IntArray
    """(n,) the last words, with ends of sequences."""
    every_context: IntArray
    """(n,) the context of each."""
    real: Array
    """(n,) the running number of n-grams; ends of sequences do not count."""


class _Windows:
    """The windows of a partition with the ranks of their last k words; `extend` raises k by one."""

    def __init__(self, windows: IntArray, vocabulary_size: int) -> None:
        self._windows = windows
        self._size = vocabulary_size
        # For k = 1 an n-gram is a word: its rank, last word and id are the word id, its context is
        # 0.
        self._rank = windows[:, 0].copy()
        self._words = np.arange(vocabulary_size, dtype=np.int32)
        self._contexts = np.zeros(vocabulary_size, np.int32)
        self._places = self._words

    def extend(self, k: int) -> _Order:
        """Count the last k + 1 words of the windows."""
        before = np.ascontiguousarray(self._windows[:, k])
        rank_bits = max(1, len(self._words)).bit_length()
        # A word, a rank and a place share 63 bits, which bounds the size of a piece.
        positions, pieces = _sorted_by_word(
            before, self._size, min(_PIECE, 1 << (61 - rank_bits) // 2)
        )

        def run(piece: slice) -> tuple[IntArray, _Order]:
            at = positions[piece]
            rank = self._rank.take(at)
            inside = rank >= 0
            at, rank = at[inside], rank[inside]
            place_bits = max(1, len(at)).bit_length()
            words = before.take(at)
            differs = words[1:] != words[:-1]
            keys = np.zeros(len(at), np.int64)
            np.cumsum(differs, out=keys[1:])
            words = words[np.append(np.ones(min(1, len(at)), np.bool_), differs)]
            keys <<= rank_bits
            keys |= rank
            keys <<= place_bits
            keys |= np.arange(len(at))
            keys.sort()
            place = keys & ((1 << place_bits) - 1)
            keys >>= place_bits
            first = np.empty(len(keys), np.bool_)
            first[:1] = True
            np.not_equal(keys[1:], keys[:-1], out=first[1:])
            firsts = np.flatnonzero(first)
            group = np.cumsum(first, dtype=np.int32)
            group -= 1
            self._rank[at.take(place)] = group
            grams = keys[firsts]
            counts = np.diff(firsts, append=len(keys)).astype(np.int32)
            suffixes = (grams & ((1 << rank_bits) - 1)).astype(np.int32)
            return at, self._order(words.take(grams >> rank_bits), suffixes, counts)

        found = parallel_map(run, pieces)
        bases = np.cumsum([0, *(len(order.every_word) for _, order in found)]).tolist()

        def settle(i: int) -> None:
            at, order = found[i]
            self._rank[at] += np.int32(bases[i])
            if order.initial[2] < order.initial[3]:
                self._rank[at[before.take(at) == BOS_ID]] = -1  # nothing precedes <s>

        parallel_map(settle, range(len(found)))
        return self._joined([order for _, order in found])

    def _order(self, first_words: IntArray, suffixes: IntArray, counts: IntArray) -> _Order:
        """Derive contexts and sizes from sorted n-grams."""
        words, shorter = self._words.take(suffixes), self._contexts.take(suffixes)
        opens = np.empty(len(words), np.bool_)
        opens[:1] = True
        np.not_equal(first_words[1:], first_words[:-1], out=opens[1:])
        opens[1:] |= shorter[1:] != shorter[:-1]
        context = np.cumsum(opens, dtype=np.int32)
        context -= 1
        begins = np.flatnonzero(opens)
        is_ngram = words != BOS_ID
        starts = np.append(begins, len(words)).astype(np.int32)
        context_words = first_words[begins]
        begin, end = np.searchsorted(first_words[is_ngram], [BOS_ID, BOS_ID + 1]).tolist()
        first, last = np.searchsorted(context_words, [BOS_ID, BOS_ID + 1]).tolist()
        return _Order(
            words[is_ngram],
            counts[is_ngram],
            self._places.take(suffixes[is_ngram]),
            run_sums(starts, is_ngram).astype(np.int32),
            run_sums(starts, counts).astype(np.int32),
            context_words,
            np.array([begin, end, first, last]),
            words,
            context,
            np.cumsum(is_ngram),
        )

    def _joined(self, orders: list[_Order]) -> _Order:
        """Concatenate the pieces of an order, and keep what the next order needs."""
        n_contexts = np.cumsum([0, *(len(order.sizes) for order in orders)]).tolist()
        n_ngrams = np.cumsum([0, *(len(order.words) for order in orders)]).tolist()
        for i, order in enumerate(orders):
            order.every_context += np.int32(n_contexts[i])
            order.real += n_ngrams[i]
            order.initial[:2] += n_ngrams[i]
            order.initial[2:] += n_contexts[i]

        def joined(name: str) -> IntArray:
            arrays = [getattr(order, name) for order in orders]
            return np.concatenate(arrays) if arrays else _NONE

        self._words, self._contexts = joined("every_word"), joined("every_context")
        self._places = joined("real").astype(np.int32)
        self._places -= 1
        with_bos = (order.initial for order in orders if order.initial[2] < order.initial[3])
        return _Order(
            joined("words"),
            joined("counts"),
            joined("suffixes"),
            joined("sizes"),
            joined("context_counts"),
            joined("context_words"),
            next(with_bos, np.zeros(4, np.int64)),
            self._words,
            self._contexts,
            self._places,
        )


def _sorted_by_word(
    words: IntArray, vocabulary_size: int, size: int
) -> tuple[IntArray, list[slice]]:
    """The positions of `words` sorted by word id, and slices of them cut between different words.

    A slice holds a single word, or fewer than 2 `size` positions.
    """
    counts = np.bincount(words, minlength=vocabulary_size)
    starts = np.zeros(vocabulary_size + 1, np.int64)
    np.cumsum(counts, out=starts[1:])
    total = len(words)
    positions = np.empty(total, np.int32)

    def cuts(size: int) -> list[int]:
        even = np.searchsorted(starts, np.arange(size, total, size))
        large = np.flatnonzero(counts > size)
        ends = np.array([0, vocabulary_size])
        return list(map(int, np.unique(np.concatenate([ends, even, large, large + 1]))))

    def sort(bound: tuple[int, int]) -> None:
        low, high = bound
        at = np.flatnonzero((words >= low) & (words < high))
        keys = words[at].astype(np.int64)
        keys <<= 32
        keys |= at
        keys.sort()
        positions[starts[low] : starts[high]] = keys.astype(np.uint32).view(np.int32)

    parallel_map(sort, pairwise(cuts(max(1 << 16, total // 4 + 1))))
    pieces = [slice(int(starts[low]), int(starts[high])) for low, high in pairwise(cuts(size))]
    return positions, [piece for piece in pieces if piece.start < piece.stop]
