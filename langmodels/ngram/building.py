"""Building back-off tables, from n-grams in any order or from a subset of other tables."""

from collections.abc import Sequence

import numpy as np

from langmodels.arrays import BoolArray, IndexArray, IntArray
from langmodels.errors import LangmodelsError
from langmodels.ngram.tables import Float32Array, NGramTables
from langmodels.ngram.trie import starts_of


def tables_from_ngrams(
    rows: list[IntArray],
    log_prob: Sequence[Float32Array],
    backoff: Sequence[Float32Array],
    vocabulary_size: int,
) -> NGramTables:
    """Back-off tables from unsorted n-grams.

    Args:
        rows: by order, (n_k, k) word ids. The list is emptied to save memory. Order 1 is ignored,
            since all words are unigrams.
        log_prob: by order, (n_k,) in nats, in the order of `rows`; for order 1, by word id.
        backoff: the same of back-off weights, for orders 1 to N-1.
        vocabulary_size: V.

    A pruned model may lack the prefix or the suffix of an n-gram. These are added as
    `NGramTables.blanks`, with the probability that backing off gives them and a back-off weight of
    one, so that no probability of the model changes.

    Raises RepeatedNGramError for an n-gram that occurs twice.
    """
    order = len(log_prob)
    sorted_rows, sources = _closed(rows, vocabulary_size)
    words = [np.arange(vocabulary_size, dtype=np.int32)]
    child_start: list[IntArray] = []
    trie = _Keys(vocabulary_size)
    for k in range(2, order + 1):
        parents = trie.find(sorted_rows[k - 1][:, :-1])
        words.append(np.ascontiguousarray(sorted_rows[k - 1][:, -1]))
        child_start.append(starts_of(np.bincount(parents, minlength=trie.size(k - 1))))
        trie.append(parents, words[-1])
    probabilities, backoffs = [log_prob[0]], list(backoff[:1])
    blanks = [np.empty(0, np.int32)]
    for k in range(2, order + 1):
        source, here = sources[k - 1], sorted_rows[k - 1]
        added = np.flatnonzero(source < 0)
        blanks.append(added.astype(np.int32))
        p = log_prob[k - 1][source] if len(log_prob[k - 1]) else np.empty(len(source), np.float32)
        contexts, suffixes = trie.find(here[added, :-1]), trie.find(here[added, 1:])
        p[added] = backoffs[k - 2][contexts] + probabilities[k - 2][suffixes]
        probabilities.append(p)
        if k < order:
            some = len(backoff[k - 1]) > 0
            weights = backoff[k - 1][source] if some else np.empty(len(source), np.float32)
            weights[added] = 0.0
            backoffs.append(weights)
    return NGramTables(
        words, child_start, probabilities, backoffs, blanks=blanks if any(map(len, blanks)) else []
    )


def _closed(rows: list[IntArray], vocabulary_size: int) -> tuple[list[IntArray], list[IntArray]]:
    """The n-grams of each order, sorted, completed by the prefixes and suffixes of the next order.

    Returns them by order, (n_k, k), and the index of each in `rows`, (n_k,), -1 where it was added.
    Empties `rows`.
    """
    order = len(rows)
    sorted_rows, sources = [np.empty((0, 1), np.int32)], [np.empty(0, np.int32)]
    needed = np.empty((0, order), np.int32)
    for k in range(order, 1, -1):
        every = rows.pop()
        given = len(every)
        if len(needed):
            every = np.concatenate([every, needed])
            del needed
        place = lexicographic_order(every, vocabulary_size)
        every = every[place]
        first = first_of_each(every)
        group = np.cumsum(first, dtype=np.int32)
        group -= 1
        here = every[first]
        del every
        # The sort is not stable: a given n-gram may come after an equal one that was added.
        is_given = np.flatnonzero(place < given)
        source = np.full(len(here), -1, np.int32)
        source[group[is_given]] = place[is_given]
        if np.count_nonzero(source >= 0) < given:
            often = np.bincount(group[is_given])
            raise RepeatedNGramError(here[int(often.argmax())].tolist())
        sources.insert(1, source)
        sorted_rows.insert(1, here)
        del group, place, is_given
        if k > 2:
            prefixes = here[:, :-1]
            needed = np.concatenate([prefixes[first_of_each(prefixes)], here[:, 1:]])
    return sorted_rows, sources


class RepeatedNGramError(LangmodelsError):
    """An n-gram occurs twice; `ids` are its word ids."""

    def __init__(self, ids: list[int]) -> None:
        super().__init__(f"The n-gram with the word ids {ids} comes twice.")
        self.ids = ids


class _Keys:
    """The n-grams of each order as sorted keys parent * V + word, for finding rows of word ids."""

    def __init__(self, vocabulary_size: int) -> None:
        self._v = vocabulary_size
        self._keys: list[IndexArray] = [np.arange(vocabulary_size)]

    def size(self, order: int) -> int:
        return len(self._keys[order - 1])

    def append(self, parents: IndexArray, words: IntArray) -> None:
        """Add the next order: parents and last words of its n-grams, sorted."""
        self._keys.append(parents * self._v + words)

    def find(self, rows: IntArray) -> IndexArray:
        """Ids of n-grams, which must exist: (M, k) word ids to (M,). Fast if the rows are
        sorted.
        """
        ids = rows[:, 0].astype(np.int64)
        for k in range(1, rows.shape[1]):
            ids = np.searchsorted(self._keys[k], ids * self._v + rows[:, k])
        return ids


def lexicographic_order(rows: IntArray, vocabulary_size: int) -> IndexArray:
    """The permutation that sorts rows of word ids, (M, k) to (M,)."""
    bits = max(1, int(vocabulary_size - 1).bit_length())
    room = 63 - max(1, len(rows).bit_length())
    keys = np.zeros(len(rows), np.int64)
    used = 0
    place: IndexArray | None = None
    for column in range(rows.shape[1]):
        if used + bits > (63 if place is None else room):
            # Sort by as many columns as fit in 63 bits, then replace them by their rank.
            place = np.argsort(keys)
            ordered = keys[place]
            first = np.ones(len(rows), np.bool_)
            np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
            keys[place] = np.cumsum(first) - 1
            used = 0
        keys <<= bits
        keys |= rows[:, column]
        used += bits
    return np.argsort(keys)


def first_of_each(rows: IntArray) -> BoolArray:
    """Which rows differ from the row before them, (M, k) to (M,); rows are sorted."""
    first = np.ones(len(rows), np.bool_)
    if len(rows):
        np.not_equal(rows[1:, -1], rows[:-1, -1], out=first[1:])
        for column in rows.T[:-1]:  # several times faster than any(axis=1)
            first[1:] |= column[1:] != column[:-1]
    return first


def select(tables: NGramTables, keep: Sequence[BoolArray]) -> NGramTables:
    """The tables of a subset of the n-grams, with unchanged probabilities and back-off weights.

    `keep` by order, (n_k,), says which are kept. All unigrams are kept whatever it says; the
    n-grams of a context that is dropped must be dropped too.
    """
    words, log_prob = [tables.words[0]], [tables.log_prob[0]]
    backoff: list[Float32Array] = []
    child_start: list[IntArray] = []
    context: BoolArray = np.ones(tables.vocabulary_size, np.bool_)
    for k in range(2, tables.order + 1):
        kept = keep[k - 1]
        kept_before = np.zeros(len(kept) + 1, np.int32)
        np.cumsum(kept, out=kept_before[1:])
        starts = kept_before[tables.child_start[k - 2]]
        child_start.append(np.append(starts[:-1][context], starts[-1]).astype(np.int32))
        backoff.append(tables.backoff[k - 2][context])
        words.append(tables.words[k - 1][kept])
        log_prob.append(tables.log_prob[k - 1][kept])
        context = kept
    return NGramTables(words, child_start, log_prob, backoff)
