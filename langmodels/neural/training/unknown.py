"""Training `<unk>` on rare words, where the training text has no unknown words."""

from collections.abc import Iterator, Sequence
from typing import Generic, Protocol, Self, TypeVar

import numpy as np

from langmodels.arrays import IntArray
from langmodels.neural.training.batches import Batches
from langmodels.text.corpus import Corpus
from langmodels.text.vocabulary import Vocabulary

PERIOD = 10
"""A word that occurs once is replaced by `<unk>` in one of so many epochs."""


class Readable(Protocol):
    """A batch in which token ids can be replaced."""

    def read_as(self, table: IntArray) -> Self:
        """The batch with every id i replaced by `table[i]`."""


B = TypeVar("B", bound=Readable)


class RareAsUnknown(Generic[B]):
    """Batches in which a tenth of the words that occur once are `<unk>`, others in every epoch.

    A network that never sees `<unk>` drives its probability towards zero, so that a single unknown
    word costs as much as dozens of others. Words that occur once are most like unseen words, and by
    the Good-Turing estimate as frequent all together. Replacing a tenth of them in every epoch
    teaches the network where unknown words occur and what follows them, and costs little of what
    there is to learn about the rare words themselves.
    """

    def __init__(self, batches: Batches[B], corpus: Corpus, seed: int) -> None:
        self._batches = batches
        self._known = np.arange(len(corpus.vocabulary), dtype=np.int32)
        self._once = np.random.default_rng(seed).permutation(seen_once(corpus))
        self.n_shards = batches.n_shards

    @property
    def n_batches(self) -> int:
        """Batches in an epoch."""
        return self._batches.n_batches

    def epoch(self, number: int) -> Iterator[Sequence[B]]:
        """The batches of an epoch."""
        table = self._known.copy()
        table[self._once[number % PERIOD :: PERIOD]] = Vocabulary.unk_id
        for shards in self._batches.epoch(number):
            yield [shard.read_as(table) for shard in shards]


def seen_once(corpus: Corpus) -> IntArray:
    """The ids of words that occur once, without `</s>`; empty if `<unk>` occurs."""
    counts = corpus.id_counts()
    if counts[Vocabulary.unk_id]:
        return np.empty(0, np.int32)
    counts[: corpus.vocabulary.n_special] = 0
    return np.flatnonzero(counts == 1).astype(np.int32)
