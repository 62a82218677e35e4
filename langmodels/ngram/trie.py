"""N-grams as a trie in flat arrays, and functions over its nodes."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from langmodels.arrays import Array, FloatArray, IntArray
from langmodels.checks import Expected
from langmodels.ngram.lookup import find_children
from langmodels.text.vocabulary import Vocabulary

BOS_ID = Vocabulary.bos_id
"""The id of `<s>`: an n-gram may begin with it, and does not contain it elsewhere."""


@dataclass(frozen=True)
class NGramTrie:
    """N-grams over word ids, orders 1 to N: the structure that counts and tables share.

    Item k-1 of each list belongs to order k; n_k is the number of k-grams, and the id of a k-gram
    is its index in the arrays of its order. The unigrams are the whole vocabulary: the id of a
    unigram is its word id. The children of a node (the n-grams that extend it by a word at the end)
    have consecutive ids, with ascending last words; nodes are sorted by parent.
    """

    words: list[IntArray]
    """(n_k,) the last word of each k-gram."""
    child_start: list[IntArray]
    """By order, 1 to N-1, (n_k + 1,): the children of node i are child_start[i] to child_start[i +
    1] - 1.
    """

    @property
    def order(self) -> int:
        """N, the length of the longest n-grams."""
        return len(self.words)

    @property
    def vocabulary_size(self) -> int:
        """V, the number of words, with special tokens."""
        return len(self.words[0])

    @property
    def sizes(self) -> list[int]:
        """n_1, ..., n_N."""
        return [len(words) for words in self.words]

    def initial_range(self, order: int) -> tuple[int, int]:
        """First and past-last id of the k-grams that begin with `<s>`; they lie side by side."""
        first, last = BOS_ID, BOS_ID + 1
        for starts in self.child_start[: order - 1]:
            first, last = int(starts[first]), int(starts[last])
        return first, last

    def is_sound(self, order: int) -> bool:
        """Whether the k-grams below each node rise, are as many as it says, and lack `<s>`; k > 1.

        To be checked for arrays from files.
        """
        words, starts = self.words[order - 1], self.child_start[order - 2]
        if len(starts) != len(self.words[order - 2]) + 1 or starts[0] != 0:
            return False
        if starts[-1] != len(words):
            return False
        rises = np.empty(len(words), np.bool_)
        np.greater(words[1:], words[:-1], out=rises[1:])
        rises[starts[:-1][starts[1:] > starts[:-1]]] = True  # the first child of each node
        return bool(rises.all()) and not bool((words == BOS_ID).any())

    def find(self, order: int, parents: Array, words: Array) -> IntArray:
        """Ids of the n-grams that extend `parents` by `words`, (M,); -1 where there is none.

        Args:
            order: the length k > 1 of the n-grams.
            parents: (M,) ids of (k-1)-grams.
            words: (M,) word ids.
        """
        return find_children(self.child_start[order - 2], self.words[order - 1], parents, words)

    def structure(self, prefix: str) -> dict[str, Array]:
        """The arrays of the trie to store, with `prefix` before their names.

        The words of unigrams are their ids, and not stored.
        """
        words = {f"{prefix}{k}.words": own for k, own in enumerate(self.words, start=1) if k > 1}
        starts = enumerate(self.child_start, start=1)
        return {**words, **{f"{prefix}{k}.child_start": own for k, own in starts}}


def expected_structure(order: int, prefix: str) -> dict[str, Expected]:
    """The expected dtypes and shapes of the arrays of `structure`; `n1` is the vocabulary size."""
    expected: dict[str, Expected] = {}
    for k in range(1, order):
        starts = Expected("int32", (f"m{k}",), low=0, rising=True)
        words = Expected("int32", (f"n{k + 1}",), low=0, below="n1")
        expected |= {f"{prefix}{k}.child_start": starts, f"{prefix}{k + 1}.words": words}
    return expected


def structure_from(
    arrays: Mapping[str, Array], order: int, size: int, prefix: str
) -> tuple[list[IntArray], list[IntArray]]:
    """Inverse of `NGramTrie.structure` with `size` words: `words` and `child_start`."""
    words = [np.arange(size, dtype=np.int32)]
    words += [arrays[f"{prefix}{k}.words"] for k in range(2, order + 1)]
    return words, [arrays[f"{prefix}{k}.child_start"] for k in range(1, order)]


def starts_of(lengths: Array) -> IntArray:
    """The offsets of consecutive runs from their lengths: (M,) to (M + 1,)."""
    starts = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=starts[1:])
    return starts


def run_sums(starts: IntArray, values: Array) -> Array:
    """Sums of `values` (n,) over runs with offsets `starts` (M + 1,): (M,); 0 for empty runs.

    Integers are summed as int64, others as float64.
    """
    dtype = np.int64 if values.dtype.kind in "iub" else np.float64
    sums = np.zeros(len(starts) - 1, dtype)
    occupied = np.flatnonzero(starts[1:] > starts[:-1])
    if len(occupied):
        sums[occupied] = np.add.reduceat(values, starts[occupied], dtype=dtype)
    return sums


def parents_of(trie: NGramTrie, order: int) -> IntArray:
    """(n_k,) the id of the (k-1)-gram that each k-gram extends; k > 1."""
    starts = trie.child_start[order - 2]
    return np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts))


def suffixes_of(trie: NGramTrie) -> list[IntArray]:
    """By order k, (n_k,): the id of each k-gram without its first word; index 0 is empty.

    -1 if that is not stored.
    """
    result: list[IntArray] = [np.empty(0, np.int32)]
    for k in range(2, trie.order + 1):
        result.append(next_suffixes(trie, k, result[-1]))
    return result


def next_suffixes(trie: NGramTrie, order: int, before: IntArray) -> IntArray:
    """The suffixes of an order, given those of the order below; see `suffixes_of`."""
    words = trie.words[order - 1]
    if order == 2:
        return words
    context = before[parents_of(trie, order)]
    found = np.full(len(context), -1, np.int32)
    known = np.flatnonzero(context >= 0)
    found[known] = trie.find(order - 1, context[known], words[known])
    return found


def child_sums(trie: NGramTrie, order: int, values: FloatArray) -> FloatArray:
    """Sum over the k-grams that extend each (k-1)-gram: (n_k,) to (n_{k-1},); k > 1."""
    return run_sums(trie.child_start[order - 2], values)


def ngram_words(trie: NGramTrie, order: int, nodes: slice) -> IntArray:
    """The word ids of a range of k-grams, (M, k). Only contiguous parts of the arrays are read."""
    first, last, _ = nodes.indices(trie.sizes[order - 1])
    columns = np.empty((max(0, last - first), order), np.int32)
    rows: slice | Array = slice(None)
    for k in range(order, 0, -1):
        columns[:, k - 1] = trie.words[k - 1][first:last][rows]
        if k > 1 and first < last:
            starts = trie.child_start[k - 2]
            before = bisect_right(starts, first) - 1
            after = bisect_right(starts, last - 1)
            bounds = np.clip(starts[before : after + 1], first, last)
            parents = np.repeat(np.arange(after - before), np.diff(bounds))
            rows, first, last = parents[rows], before, after
    return columns
