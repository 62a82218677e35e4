"""Training `<unk>` on words that occur once, if the training text has no unknown words."""

from collections.abc import Iterator, Sequence
from typing import Generic, Protocol, Self, TypeVar

import numpy as np

from langmodels.arrays import IntArray
from langmodels.neural.training.batches import Batches
from langmodels.text.corpus import Corpus
from langmodels.text.vocabulary import Vocabulary

PERIOD = 10
"""A word that occurs once is replaced by `<unk>` in one of this many epochs."""


class HasIds(Protocol):
    """A batch in which token ids can be replaced."""

    def remapped(self, table: IntArray) -> Self:
        """The batch with every id i replaced by `table[i]`."""


B = TypeVar("B", bound=HasIds)


class RareAsUnknown(Generic[B]):
    """Batches in which a tenth of the words that occur once are `<unk>`, another tenth each epoch.

    A network that never sees `<unk>` drives its probability towards zero, so that one unknown word
    in a test text costs as much as dozens of others. Words that occur once are most like unseen
    words, and by the Good-Turing estimate both have the same total probability. Replacing a tenth
    of them teaches the network where unknown words occur and what follows them, while nine tenths
    remain to learn the rare words themselves.
    """

    def __init__(self, batches: Batches[B], corpus: Corpus, seed: int) -> None:
        self._batches = batches
        self._known = np.arange(len(corpus.vocabulary), dtype=np.int32)
        self._once = np.random.default_rng(seed).permutation(seen_once(corpus))
        self.n_shards = batches.n_shards

    @property
    def n_batches(self) -> int:
        """The number of batches in an epoch."""
        return self._batches.n_batches

    def epoch(self, number: int) -> Iterator[Sequence[B]]:
        """The batches of an epoch, with its tenth of the words replaced."""
        table = self._known.copy()
        table[self._once[number % PERIOD :: PERIOD]] = Vocabulary.unk_id
        for shards in self._batches.epoch(number):
            yield [shard.remapped(table) for shard in shards]


def seen_once(corpus: Corpus) -> IntArray:
    """The ids of ordinary tokens that occur once, (n,); none if `<unk>` occurs in the corpus."""
    counts = corpus.id_counts()
    if counts[Vocabulary.unk_id]:
        return np.empty(0, np.int32)
    counts[: corpus.vocabulary.n_special] = 0
    return np.flatnonzero(counts == 1).astype(np.int32)
