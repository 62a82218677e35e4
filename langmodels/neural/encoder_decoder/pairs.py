"""Batches of (source, target) pairs, padded to the longest of each batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from langmodels.arrays import BoolArray, IndexArray, IntArray
from langmodels.neural.training.batches import cuts
from langmodels.text.parallel_corpus import ParallelCorpus
from langmodels.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Sources:
    """B source sequences, time-major and padded at the beginning, so that all end at step S.

    `tokens` (S, B) are ids; column b starts at row `begin[b]`, `begin` (B,).
    """

    tokens: IntArray
    begin: IndexArray

    @property
    def mask(self) -> BoolArray | None:
        """(S, B), false at padding; None without padding."""
        if not self.begin.any():
            return None
        mask: BoolArray = np.arange(len(self.tokens))[:, None] >= self.begin
        return mask

    @property
    def keep(self) -> BoolArray | None:
        """`keep` of recurrent layers, (S, B): false at the first token after padding; None without
        padding.
        """
        if not self.begin.any():
            return None
        keep: BoolArray = np.arange(len(self.tokens))[:, None] != self.begin
        return keep

    @classmethod
    def of(cls, sequences: Sequence[IntArray], *, reverse: bool = False) -> "Sources":
        """The sources of B sequences of ids, each read backwards if `reverse`."""
        longest = max(map(len, sequences))
        tokens = np.full((longest, len(sequences)), Vocabulary.bos_id, np.int32)
        begin = np.array([longest - len(ids) for ids in sequences])
        for column, ids in enumerate(sequences):
            tokens[longest - len(ids) :, column] = ids[::-1] if reverse else ids
        return cls(tokens, begin)


@dataclass(frozen=True)
class PairBatch:
    """B pairs, time-major.

    Attributes:
        source: the sources.
        inputs: token ids that the decoder reads, (T, B), from `<s>` on.
        targets: token ids that it predicts, (T, B), up to `</s>`.
        valid: (T, B), false at padding.
    """

    source: Sources
    inputs: IntArray
    targets: IntArray
    valid: BoolArray

    @property
    def n_targets(self) -> int:
        """The number of predicted tokens, without padding."""
        return int(np.count_nonzero(self.valid))

    def remapped(self, table: IntArray) -> "PairBatch":
        """The batch with every target id i replaced by `table[i]`; sources are kept."""
        return replace(self, inputs=table[self.inputs], targets=table[self.targets])


class PairBatcher:
    """The pairs of a parallel corpus, put together to batches by index.

    `sources` and `targets` (n_pairs,) are the lengths of the two sides.
    """

    def __init__(self, corpus: ParallelCorpus, *, reverse: bool = False) -> None:
        self.corpus, self.reverse = corpus, reverse
        self.sources = np.diff(corpus.source.offsets)
        self.targets = np.diff(corpus.offsets) - 1

    def __len__(self) -> int:
        return len(self.targets)

    def by_length(self, order: IndexArray) -> IndexArray:
        """Sort indices of pairs by the length of the source, then of the target; stable."""
        return order[np.lexsort((self.targets[order], self.sources[order]))]

    def batch(self, index: IndexArray) -> PairBatch:
        """The batch of the pairs with these indices (B,)."""
        source, corpus = self.corpus.source, self.corpus
        lengths = self.sources[index]
        longest = int(lengths.max())
        begin = longest - lengths
        steps = np.arange(longest)[:, None] - begin
        if self.reverse:
            steps = lengths - 1 - steps
        place = source.offsets[index] + np.clip(steps, 0, lengths - 1)
        counts = self.targets[index]
        steps = np.arange(int(counts.max()))[:, None]
        valid = steps < counts
        target = corpus.offsets[index] + np.minimum(steps, counts - 1)
        return PairBatch(
            Sources(source.ids[place], begin), corpus.ids[target], corpus.ids[target + 1], valid
        )

    def places(self, index: IndexArray, valid: BoolArray) -> IndexArray:
        """The indices in `score_corpus` of the targets of a batch, row by row, (n_targets,)."""
        steps, columns = np.nonzero(valid)
        first: IndexArray = self.corpus.offsets[:-1] - np.arange(len(self))
        return first[index][columns] + steps


class PairBatches:
    """Training batches of pairs of similar lengths, in random order."""

    def __init__(
        self,
        corpus: ParallelCorpus,
        batch_size: int,
        *,
        reverse: bool = False,
        n_shards: int = 1,
        seed: int = 0,
    ) -> None:
        self._pairs = PairBatcher(corpus, reverse=reverse)
        self._batch, self._seed = batch_size, seed
        self.n_shards = max(1, min(n_shards, batch_size, len(self._pairs)))

    @property
    def n_batches(self) -> int:
        """The number of batches in an epoch."""
        return -(-len(self._pairs) // self._batch)

    def epoch(self, number: int) -> Iterator[Sequence[PairBatch]]:
        """The batches of an epoch, each divided by columns into shards."""
        rng = np.random.default_rng([self._seed, number])
        order = self._pairs.by_length(rng.permutation(len(self._pairs)))
        for first in rng.permutation(np.arange(0, len(order), self._batch)).tolist():
            index = order[first : first + self._batch]
            yield [self._pairs.batch(index[c]) for c in cuts(len(index), self.n_shards)]
