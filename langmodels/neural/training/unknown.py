"""What `<unk>` is learnt from where the training text has no unknown word."""

from collections.abc import Iterator, Sequence
from typing import Generic, Protocol, Self, TypeVar

import numpy as np

from langmodels.arrays import IntArray
from langmodels.neural.training.batches import Batches
from langmodels.text.corpus import Corpus
from langmodels.text.vocabulary import Vocabulary

PERIOD = 10
"""Every word seen once stands for `<unk>` in one of so many epochs."""


class Readable(Protocol):
    """A batch that can be read with other words in place of some."""

    def read_as(self, table: IntArray) -> Self:
        """The batch with token `table[i]` wherever it had i."""


B = TypeVar("B", bound=Readable)


class RareAsUnknown(Generic[B]):
    """Batches in which some of the words seen once are `<unk>`, others in every epoch.

    A network that never meets `<unk>` drives its probability towards zero, and one unknown word
    then weighs as much as dozens of others. What is seen once is most like what was never seen; by
    the estimate of Good and Turing it is met as often. A tenth of it in every epoch teaches the
    network where unknown words come and what may follow them, and leaves it nearly all that there
    is to learn about the rare words themselves.
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
    """The ids of the words that occur once, `</s>` not being one; none where `<unk>` occurs."""
    counts = corpus.id_counts()
    if counts[Vocabulary.unk_id]:
        return np.empty(0, np.int32)
    counts[: corpus.vocabulary.n_special] = 0
    return np.flatnonzero(counts == 1).astype(np.int32)
