"""From token ids to n-gram counts, by sorting.

The positions of a text are sorted by the n-gram that starts at each, one order at a time: within a
group of positions that share their first k words, order k+1 sorts by the next word alone. The
distinct n-grams then come out in lexicographic order of their ids, which makes them a trie without
pointers: the children of a node lie side by side in the arrays of the next order.

Sorting keys is several times faster than sorting indices by keys, so whatever must travel with a
key is packed into its low bits: group, next word and place share one 64-bit integer. Groups are
independent of each other, so pieces of half a million positions are sorted in parallel, in cache.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from langmodels.arrays import Array, IntArray, occurrences
from langmodels.errors import LangmodelsError
from langmodels.ngram.trie import BOS_ID, NGramTrie, parents_of, starts_of, suffixes_of
from langmodels.progress import Meter, track
from langmodels.threads import parallel_map, slices

_PIECE = 1 << 19
"""Positions sorted at a time: their keys, 4 MB, stay in the cache."""

_LONG, _STRETCH = 1 << 24, 1 << 20
"""Texts longer than `_LONG` tokens may be counted in stretches of `_STRETCH` tokens."""

_OFTEN, _NEW = 8, 1.0
"""Stretches save memory only if n-grams repeat: all in all at least `_OFTEN` tokens per distinct
n-gram of orders 2 to N, and at most `_NEW` of these per token within a stretch.
"""

_MAX_TOKENS = 2**31 - 2**16


@dataclass(frozen=True)
class NGramCounts(NGramTrie):
    """The distinct n-grams of a text, orders 1 to N, with their counts.

    The unigrams are the whole vocabulary, with a count of 0 for words that do not occur. The id of
    a k-gram is its rank in lexicographic order (of word ids, first word first).
    """

    counts: list[IntArray]
    """(n_k,) how often each k-gram occurs."""
    suffixes: list[IntArray]
    """(n_k,), orders 2 to N (index 0 is empty): the id of the k-gram's suffix, the (k-1)-gram
    without its first word.
    """

    def initial_contexts(self, order: int) -> tuple[int, int]:
        """The half-open range of ids of the (k-1)-grams that are contexts beginning with `<s>`; k >
        1.
        """
        return self.initial_range(order - 1)

    def continuation_counts(self, order: int) -> IntArray:
        """(n_k,) the number of distinct words, `<s>` among them, that precede each k-gram; k < N.

        Zero for k-grams that begin with `<s>`, since nothing precedes them.
        """
        n = len(self.words[order - 1])
        return np.bincount(self.suffixes[order], minlength=n).astype(np.int32)


def count_ngrams(ids: Array, vocabulary_size: int, order: int) -> NGramCounts:
    """Count the n-grams of orders 1 to `order` in a text.

    Args:
        ids: (T,) word ids below `vocabulary_size`. Id 1 is `<s>`: each sequence begins with one.
        vocabulary_size: the number of words V, the specials included.
        order: N, the length of the longest n-grams.

    No n-gram contains an `<s>` but at its start, so none joins two sequences. Time is O(N T log T)
    with a small constant. Memory is about 20 bytes per token on top of the result; a long text of
    few distinct n-grams, such as one of characters, is counted in stretches, with less.

    Raises LangmodelsError for an empty text, an order below one, or 2**31 tokens and more.
    """
    if order < 1:
        raise LangmodelsError(f"An n-gram model's order must be at least 1, not {order}.")
    if len(ids) == 0:
        raise LangmodelsError("There is nothing to count: the text is empty.")
    if len(ids) > _MAX_TOKENS:
        raise LangmodelsError(f"The text has {len(ids)} tokens; the limit is {_MAX_TOKENS}.")
    if order > 1 and len(ids) > _LONG:
        found = _in_stretches(ids, vocabulary_size, order)
        if found is not None:
            return found
    with track("Counting n-grams", total=order) as meter:
        return _counted(ids, len(ids), vocabulary_size, order, meter)


def _counted(
    ids: Array, length: int, vocabulary_size: int, order: int, meter: Meter | None = None
) -> NGramCounts:
    """The n-grams that start at the first `length` ids. Their `suffixes` are valid only if these
    are all ids.
    """
    words = [np.arange(vocabulary_size, dtype=np.int32)]
    counts = [occurrences(ids[:length], vocabulary_size).astype(np.int32)]
    child_start: list[IntArray] = []
    suffixes: list[IntArray] = [np.empty(0, np.int32)]
    if order == 1:
        return NGramCounts(words, child_start, counts, suffixes)
    # Padding by `<s>`: reading `order` words from any position stays inside the array, and no
    # n-gram reaches past the end.
    text = np.full(len(ids) + order, BOS_ID, np.int32)
    text[: len(ids)] = ids
    sorter = _Sorter(text, length, counts[0])
    for k in range(2, order + 1):
        if meter is not None:
            meter.advance(note=f"{k}-grams")
        new_words, new_counts, children, suffix = sorter.refine(k, last=k == order)
        words.append(new_words)
        counts.append(new_counts)
        child_start.append(starts_of(children))
        suffixes.append(suffix)
    return NGramCounts(words, child_start, counts, suffixes)


def _in_stretches(ids: Array, vocabulary_size: int, order: int) -> NGramCounts | None:
    """The counts of a text as the sum over stretches; None where that would save no memory."""
    total: NGramCounts | None = None
    begins = range(0, len(ids), _STRETCH)
    with track("Counting n-grams", total=len(begins)) as meter:
        for begin in begins:
            meter.advance()
            length = min(_STRETCH, len(ids) - begin)
            # An n-gram that starts in a stretch may end in the next.
            part = _counted(ids[begin : begin + length + order], length, vocabulary_size, order)
            total = part if total is None else _added(total, part)
            if sum(part.sizes[1:]) > _NEW * length or sum(total.sizes[1:]) > len(ids) / _OFTEN:
                return None
    return None if total is None else replace(total, suffixes=suffixes_of(total))


def _added(one: NGramCounts, other: NGramCounts) -> NGramCounts:
    """The sum of two counts, without `suffixes`; fastest if `other` is the smaller one.

    Both are sorted, so the n-grams that only `other` has are located in `one` and inserted.
    """
    size = one.vocabulary_size
    words, child_start = [one.words[0]], []
    counts = [one.counts[0] + other.counts[0]]
    # The ids in the sum of the (k-1)-grams of each; order by order.
    place_one = place_other = np.arange(size)
    for k in range(2, one.order + 1):
        parents_one = place_one[parents_of(one, k)]
        parents_other = place_other[parents_of(other, k)]
        keys = parents_one.astype(np.int64) * size + one.words[k - 1]
        wanted = parents_other.astype(np.int64) * size + other.words[k - 1]
        at = np.searchsorted(keys, wanted)
        is_new = np.append(keys, -1)[at] != wanted
        before = at[is_new]
        n_parents = len(words[-1])
        children = np.bincount(parents_one, minlength=n_parents)
        children += np.bincount(parents_other[is_new], minlength=n_parents)
        child_start.append(starts_of(children))
        words.append(np.insert(one.words[k - 1], before, other.words[k - 1][is_new]))
        place_one = np.arange(len(keys))
        place_one += np.cumsum(np.bincount(before, minlength=len(keys) + 1)[:-1])
        place_other = at + np.cumsum(is_new) - is_new
        old = ~is_new
        place_other[old] = place_one[at[old]]
        summed = np.insert(one.counts[k - 1], before, np.int32(0))
        summed[place_other] += other.counts[k - 1]
        counts.append(summed)
    return NGramCounts(words, child_start, counts, [])


@dataclass
class _Piece:
    """A run of whole groups (of positions that share a (k-1)-gram): `length` sorted positions from
    `start`, `n_groups` groups from number `first_group`.
    """

    start: int
    length: int
    first_group: int
    n_groups: int
    kept: int = 0
    """Positions that remain after the sort: those followed by one more word of their sequence."""


class _Sorter:
    """The positions of a text, sorted by the k-gram that starts at each; `refine` raises k by
    one.
    """

    def __init__(self, text: IntArray, length: int, unigram_counts: IntArray) -> None:
        self.text = text
        self._unigram_counts = unigram_counts
        self.positions = np.empty(length, np.int32)
        self.is_first = np.empty(length, np.bool_)
        """(length,) whether the k-gram at a sorted position differs from the one before it."""
        self.ids = np.empty(length + 1, np.int32)
        """(length + 1,) the id of the k-gram that starts at each position of the text."""
        self.word_bits = max(1, int(len(unigram_counts) - 1).bit_length())
        self.piece_bits = min(_PIECE.bit_length() - 1, (64 - self.word_bits) // 2)
        self.pieces = self._sort_by_word(unigram_counts)

    def _sort_by_word(self, counts: IntArray) -> list[_Piece]:
        """Sort all positions by their first word, and cut them into pieces between words."""
        ends = np.cumsum(counts, dtype=np.int64)
        total = int(ends[-1])
        n_ranges = max(1, min(4, total >> 16))
        cuts = np.searchsorted(ends, np.arange(1, n_ranges) * (total // n_ranges)) + 1
        bounds = np.unique([0, *cuts.tolist(), len(counts)]).tolist()
        ids = self.text[:total]

        def sort_range(bound: tuple[int, int]) -> None:
            low, high = bound
            begin = int(ends[low - 1]) if low else 0
            end = int(ends[high - 1])
            if begin == end:
                return
            at = np.flatnonzero((ids >= low) & (ids < high))
            keys = ids[at].astype(np.uint64)
            keys <<= np.uint64(32)
            keys |= at.astype(np.uint64)
            keys.sort()
            self.positions[begin:end] = keys.astype(np.uint32).view(np.int32)
            keys >>= np.uint64(32)
            self.is_first[begin] = True
            np.not_equal(keys[1:], keys[:-1], out=self.is_first[begin + 1 : end])

        parallel_map(sort_range, pairwise(bounds))
        return [_Piece(0, total, 0, len(counts))]

    def _cut(self) -> list[_Piece]:
        """The pieces, with large ones cut at the boundary of a group into those of about
        `_PIECE`.
        """
        size = 1 << self.piece_bits
        result = []
        for piece in self.pieces:
            start, end = piece.start, piece.start + piece.length
            group = piece.first_group
            while start < end:
                cut = min(start + size, end)
                if cut < end:
                    # The group that crosses the cut goes to the next piece, unless it fills this
                    # one.
                    tail = self.is_first[start + 1 : cut + 1][::-1]
                    back = int(tail.argmax())
                    if tail[back]:
                        cut -= back
                    else:
                        rest = self.is_first[cut:end]
                        ahead = int(rest.argmax())
                        cut = cut + ahead if rest[ahead] else end
                n_groups = int(np.count_nonzero(self.is_first[start:cut]))
                result.append(_Piece(start, cut - start, group, n_groups))
                group += n_groups
                start = cut
        return result or [_Piece(0, 0, 0, 0)]

    def refine(self, k: int, *, last: bool) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        """Sort by one more word, from (k-1)-grams to k-grams.

        Returns the last words and the counts of the k-grams, (n_k,) each, the number of children of
        each (k-1)-gram, (n_{k-1},), and the suffix ids of the k-grams, (n_k,). With `last` the
        sorted positions are not updated, as no further order needs them.
        """
        pieces = self._cut()
        results = parallel_map(lambda piece: self._refine_piece(piece, k, last), pieces)
        words, counts, children, firsts = (
            np.concatenate([r[i] for r in results]) for i in range(4)
        )
        if k == 2:
            # Groups are the words that occur, but unigrams are the whole vocabulary.
            suffix_ids, occurs = self.text, np.flatnonzero(self._unigram_counts)
            seen, children = children, np.zeros(len(self._unigram_counts), np.int32)
            children[occurs] = seen
        else:
            suffix_ids = self.ids
        suffixes = np.empty(len(firsts), np.int32)

        def look_up(part: slice) -> None:
            np.take(suffix_ids, firsts[part] + 1, out=suffixes[part], mode="clip")

        parallel_map(look_up, slices(len(firsts), _PIECE))
        self.pieces = []
        group = 0
        for piece, (piece_words, _, _, _) in zip(pieces, results, strict=True):
            self.pieces.append(_Piece(piece.start, piece.kept, group, len(piece_words)))
            group += len(piece_words)
        return words, counts, children, suffixes

    def _refine_piece(
        self, piece: _Piece, k: int, last: bool
    ) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        """Sort one piece; return words, counts, children and first positions of its k-grams."""
        span = slice(piece.start, piece.start + piece.length)
        positions = self.positions[span]
        group = np.cumsum(self.is_first[span], dtype=np.int64)
        group -= 1
        if k > 2:  # unigram ids are the text itself
            self.ids[positions] = group + piece.first_group
        place_bits = piece.length.bit_length()
        next_words = self.text[positions + np.int32(k - 1)]
        keys = group
        keys <<= self.word_bits
        keys |= next_words
        keys <<= place_bits
        keys |= np.arange(piece.length)
        keys = keys[next_words != BOS_ID].view(np.uint64)
        keys.sort()
        piece.kept = len(keys)
        places = (keys & np.uint64((1 << place_bits) - 1)).astype(np.int32)
        keys >>= np.uint64(place_bits)
        is_first = np.empty(len(keys), np.bool_)
        is_first[:1] = True
        np.not_equal(keys[1:], keys[:-1], out=is_first[1:])
        at = np.flatnonzero(is_first)
        grams = keys[at]
        words = (grams & np.uint64((1 << self.word_bits) - 1)).astype(np.int32)
        grams >>= np.uint64(self.word_bits)
        children = np.bincount(grams.view(np.int64), minlength=piece.n_groups).astype(np.int32)
        counts = np.diff(at, append=len(keys)).astype(np.int32)
        if last:
            firsts = positions[places[at]]
        else:
            positions[: len(keys)] = positions[places]
            self.is_first[piece.start : piece.start + len(keys)] = is_first
            firsts = positions[at]
        return words, counts, children, firsts
