"""The n-gram counts of a text with its vocabulary, which can be added to those of other texts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from langmodels.arrays import Array, IndexArray, IntArray
from langmodels.checks import Expected, check_arrays, check_values
from langmodels.errors import LangmodelsError, UsageError
from langmodels.ngram.building import first_of_each, lexicographic_order
from langmodels.ngram.counting import NGramCounts, count_ngrams
from langmodels.ngram.trie import (
    expected_structure,
    ngram_words,
    starts_of,
    structure_from,
    suffixes_of,
)
from langmodels.text.corpus import Corpus
from langmodels.text.reading import Reading
from langmodels.text.vocabulary import Vocabulary, frequency_order

PREFIX = "counts."
"""The prefix of array names in a model's file."""


@dataclass(frozen=True)
class TextCounts:
    """The n-gram counts of a text over all its tokens, rare ones included.

    A model estimated from them knows the tokens that occur at least `min_count` times; others
    become `<unk>`. This is decided when the model is estimated, so that the sum of the counts of
    two texts gives the same model as both texts together.
    """

    reading: Reading
    counts: NGramCounts
    min_count: int = 1

    @classmethod
    def of(cls, corpus: Corpus, order: int, min_count: int = 1) -> "TextCounts":
        """Count a corpus that was read without mapping rare words to `<unk>`. Raises what
        `count_ngrams` raises.
        """
        counts = count_ngrams(corpus.held, len(corpus.vocabulary), order)
        return cls(corpus.reading, counts, min_count)

    @property
    def order(self) -> int:
        """The length of the longest n-grams."""
        return self.counts.order

    def __add__(self, other: "TextCounts") -> "TextCounts":
        """The counts of both texts, up to the lower of their orders.

        Raises UsageError if they were tokenized or cleaned differently.
        """
        if not self.reading.is_like(other.reading):
            raise UsageError("Counts of texts that were cleaned or cut differently do not add up.")
        vocabulary = self.reading.vocabulary.extended(other.reading.vocabulary.tokens)
        order = min(self.order, other.order)
        summed = added_up([_rows(c, vocabulary, order) for c in (self, other)], len(vocabulary))
        return replace(self, reading=replace(self.reading, vocabulary=vocabulary), counts=summed)

    def known(self) -> "TextCounts":
        """The counts with `<unk>` for tokens below `min_count`, and the others ordered by
        frequency.

        With a `min_count` of 1, and for learnt tokenizers, every token is kept, even those that do
        not occur.
        """
        all_tokens = self.reading.vocabulary
        first = all_tokens.n_special
        often = self.counts.counts[0][first:].astype(np.int64)
        if self.min_count == 1 or self.reading.tokenizer.learns:
            return self
        kept = frequency_order(often, self.min_count)
        if len(kept) == len(often) and (np.diff(kept) == 1).all():
            return self
        tokens = all_tokens.tokens
        vocabulary = Vocabulary((tokens[first + i] for i in kept.tolist()), ends=all_tokens.ends)
        summed = added_up([_rows(self, vocabulary, self.order)], len(vocabulary))
        return TextCounts(replace(self.reading, vocabulary=vocabulary), summed)

    # Files ----------------------------------------------------------------------------------

    def config(self) -> dict[str, int]:
        """The scalars to store."""
        return {"order": self.order, "min_count": self.min_count}

    def arrays(self) -> dict[str, Array]:
        """The arrays to store: counts, vocabulary and the structure of the trie."""
        own = enumerate(self.counts.counts, start=1)
        tokens = {PREFIX + name: array for name, array in self.reading.arrays().items()}
        counts = {f"{PREFIX}{k}.count": array for k, array in own}
        return {**tokens, **counts, **self.counts.structure(PREFIX)}

    @classmethod
    def restore(
        cls, config: Mapping[str, Any], arrays: Mapping[str, Array], reading: Reading
    ) -> "TextCounts":
        """Inverse of `config` and `arrays`; tokenizer and cleaning are those of `reading`.

        Raises LangmodelsError if they are inconsistent.
        """
        check_values(config, {"order": int, "min_count": int})
        own = {n.removeprefix(PREFIX): a for n, a in arrays.items() if n.startswith(PREFIX)}
        reading = replace(reading, vocabulary=Vocabulary.from_arrays(own))
        order, size = config["order"], len(reading.vocabulary)
        orders = range(1, order + 1)
        expected = {f"{k}.count": Expected("int32", (f"n{k}",), low=0) for k in orders}
        expected |= expected_structure(order, "")
        check_arrays(own, expected, {"n1": size})
        words, starts = structure_from(own, order, size, "")
        counts = [own[f"{k}.count"] for k in orders]
        trie = NGramCounts(words, starts, counts, [])
        for k in range(2, order + 1):
            if not trie.is_sound(k):
                raise LangmodelsError(f"the array '{PREFIX}{k}.words' is damaged.")
        suffixes = suffixes_of(trie)
        if any((s < 0).any() for s in suffixes):
            raise LangmodelsError("its counts are damaged: they lack words of n-grams.")
        return cls(reading, replace(trie, suffixes=suffixes), config["min_count"])


Rows = list[tuple[IntArray, Array]]
"""By order k: word ids of n-grams, (n_k, k), and the count of each, (n_k,)."""


def _rows(text: TextCounts, vocabulary: Vocabulary, order: int) -> Rows:
    """The n-grams and counts of a text, with the ids of another vocabulary."""
    ids = vocabulary.ids_of(text.reading.vocabulary)
    counts = text.counts
    return [
        (ids[ngram_words(counts, k, slice(None))], counts.counts[k - 1])
        for k in range(1, order + 1)
    ]


def added_up(texts: Sequence[Rows], vocabulary_size: int) -> NGramCounts:
    """The sums of the counts of n-grams that come in any order and may repeat.

    Raises LangmodelsError for an n-gram without its prefix or suffix, and for a sum of 2^31 or
    more.
    """
    order = max(map(len, texts))
    unigrams = np.zeros(vocabulary_size, np.int64)
    for rows, often in _of_order(texts, 1):
        unigrams += np.bincount(rows[:, 0], often, vocabulary_size).astype(np.int64)
    words, starts = [np.arange(vocabulary_size, dtype=np.int32)], []
    suffixes: list[IntArray] = [np.empty(0, np.int32)]
    summed: list[IndexArray] = [unigrams]
    keys: list[IndexArray] = [np.arange(vocabulary_size)]
    for k in range(2, order + 1):
        parts = list(_of_order(texts, k))
        every = np.concatenate([rows for rows, _ in parts])
        place = lexicographic_order(every, vocabulary_size)
        ordered = every[place]
        inside = (ordered[:, 1:] != Vocabulary.bos_id).all(axis=1)
        place, ordered = place[inside], ordered[inside]
        first = first_of_each(ordered)
        ordered = ordered[first]
        some = np.flatnonzero(first)
        often = np.concatenate([often for _, often in parts]).astype(np.int64)
        summed.append(np.add.reduceat(often[place], some) if len(some) else often[:0])
        parents, shorter = (
            _found(keys, ordered[:, part], vocabulary_size)
            for part in (slice(None, -1), slice(1, None))
        )
        if len(ordered) and min(parents.min(), shorter.min()) < 0:
            raise LangmodelsError(
                f"The counts of order {k - 1} lack words of n-grams of order {k}; write counts of "
                "all orders, and leave none out."
            )
        words.append(np.ascontiguousarray(ordered[:, -1]))
        starts.append(starts_of(np.bincount(parents, minlength=len(keys[-1]))))
        suffixes.append(shorter.astype(np.int32))
        keys.append(parents * vocabulary_size + words[-1])
    if max(int(c.max(initial=0)) for c in summed) >= 2**31:
        raise LangmodelsError("A sum of counts is 2^31 or more, which is too large.")
    return NGramCounts(words, starts, [c.astype(np.int32) for c in summed], suffixes)


def _of_order(texts: Sequence[Rows], order: int) -> Iterator[tuple[IntArray, Array]]:
    return (text[order - 1] for text in texts if len(text) >= order)


def _found(keys: list[IndexArray], rows: IntArray, size: int) -> IndexArray:
    """Ids of n-grams, (M, k) word ids to (M,); -1 for one that is not there."""
    ids = rows[:, 0].astype(np.int64)
    for k in range(1, rows.shape[1]):
        key = ids * size + rows[:, k]
        at = np.minimum(np.searchsorted(keys[k], key), max(len(keys[k]) - 1, 0))
        known = (keys[k][at] == key) if len(keys[k]) else np.zeros(len(key), np.bool_)
        ids = np.where(known & (ids >= 0), at, -1)
    return ids
