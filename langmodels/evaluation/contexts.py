"""How many contexts of the test text occur in training, by length."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from langmodels.arrays import BoolArray, IndexArray
from langmodels.ngram import count_ngrams
from langmodels.text.corpus import Corpus
from langmodels.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class ContextCount:
    """Statistics of contexts of `length` tokens, of which the first may be `<s>`.

    `possible` is the number of possible contexts, `in_training` that of distinct ones in training.
    `seen` is the share of test targets (among those with so long a history) whose context occurs in
    training, `continued` the share whose context occurs there followed by the target; without
    smoothing, all others have probability zero.
    """

    length: int
    possible: float
    in_training: int
    seen: float
    continued: float


def match_lengths(train: Corpus, test: Corpus, longest: int) -> IndexArray:
    """The length of the longest n-gram of the training text that ends at each test target, (n,).

    At most `longest`; 0 for a token not in training. `<s>` counts as a token.
    """
    lengths = np.zeros(len(test.ids), np.int64)
    for n, (_, found) in enumerate(_n_grams(train, test, longest), 1):
        lengths[found] = n
    targets: IndexArray = lengths[test.ids != Vocabulary.bos_id]
    return targets


def context_counts(train: Corpus, test: Corpus, longest: int) -> list[ContextCount]:
    """The statistics of contexts of 0 to `longest` tokens, or up to the longest test sequence."""
    starts = np.repeat(test.offsets[:-1], np.diff(test.offsets))
    history = np.arange(len(test.ids)) - starts  # tokens before each, with <s>; 0 for <s>
    known_context = np.ones(len(test.ids), np.bool_)
    distinct = 1
    counts: list[ContextCount] = []
    for length, (n, found) in enumerate(_n_grams(train, test, longest + 1)):
        asked = history >= max(length, 1)
        if not asked.any():
            break
        counts.append(
            ContextCount(
                length,
                float(len(train.vocabulary)) ** length,
                distinct,
                float(known_context[asked].mean()),
                float(found[asked].mean()),
            )
        )
        known_context = np.concatenate([[False], found[:-1]])
        distinct = n
    return counts


def _n_grams(train: Corpus, test: Corpus, longest: int) -> Iterator[tuple[int, BoolArray]]:
    """Yield for n = 1..longest the number of distinct n-grams in training, and whether the n-gram
    at each test position is among them.
    """
    counts = count_ngrams(train.ids, len(train.vocabulary), longest)
    known = counts.counts[0] > 0
    numbers = np.where(known[test.ids], test.ids, -1)
    yield int(known.sum()), numbers >= 0
    for n in range(2, longest + 1):
        before = np.concatenate([[-1], numbers[:-1]])
        before[test.offsets[:-1]] = -1  # no n-gram joins two sequences
        numbers = np.full(len(test.ids), -1)
        at = np.flatnonzero(before >= 0)
        numbers[at] = counts.find(n, before[at], test.ids[at])
        yield counts.sizes[n - 1], numbers >= 0
