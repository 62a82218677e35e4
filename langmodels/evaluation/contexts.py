"""How much of a test text's contexts training has seen, by their length."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from langmodels.arrays import BoolArray, IndexArray
from langmodels.ngram import count_ngrams
from langmodels.text.corpus import Corpus
from langmodels.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class ContextCount:
    """Contexts of `length` tokens; `<s>` may be the first of them.

    `possible`: how many there could be. `in_training`: how many different ones occur. `seen`: share
    of the test targets with so long a history whose context occurs in training. `continued`: share
    of them whose context occurs there with the target after it; relative frequencies give the
    others probability zero.
    """

    length: int
    possible: float
    in_training: int
    seen: float
    continued: float


def match_lengths(train: Corpus, test: Corpus, longest: int) -> IndexArray:
    """Length of the longest n-gram of the training text that ends at each test target, (n,).

    At most `longest`; 0 for a token that training lacks. `<s>` counts as a token of an n-gram.
    """
    lengths = np.zeros(len(test.ids), np.int64)
    for n, (_, found) in enumerate(_n_grams(train, test, longest), 1):
        lengths[found] = n
    targets: IndexArray = lengths[test.ids != Vocabulary.bos_id]
    return targets


def context_counts(train: Corpus, test: Corpus, longest: int) -> list[ContextCount]:
    """Count contexts of 0 to `longest` tokens, or fewer where no test sequence is so long."""
    starts = np.repeat(test.offsets[:-1], np.diff(test.offsets))
    history = np.arange(len(test.ids)) - starts  # tokens before, <s> included; 0 for <s> itself
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
    """For n = 1..longest: how many n-grams training has, and whether it has each of the test's."""
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
