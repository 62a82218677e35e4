"""Cutting a corpus into stretches that are read from both sides."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from langmodels.arrays import BoolArray, IndexArray, IntArray
from langmodels.neural.training.batches import cuts
from langmodels.text.corpus import Corpus
from langmodels.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Segments:
    """B stretches of text side by side, each with what stands on both sides of its blanks.

    `inputs` (T, B) token ids, a stretch from the top of its column; `lengths` (B,); `blanks` (T, B)
    is true at what is to be predicted, never at the first or last token of a stretch. `answers`
    (n,): the tokens there, row by row.
    """

    inputs: IntArray
    lengths: IndexArray
    blanks: BoolArray
    answers: IntArray

    @property
    def n_targets(self) -> int:
        """Predicted tokens."""
        return len(self.answers)

    def read_as(self, table: IntArray) -> "Segments":
        """With token `table[i]` wherever there is i."""
        return replace(self, inputs=table[self.inputs], answers=table[self.answers])

    @property
    def keep_back(self) -> BoolArray | None:
        """False at the last token of every stretch, where reading from the end begins."""
        if (self.lengths == len(self.inputs)).all():
            return None
        keep = np.ones(self.inputs.shape, np.bool_)
        keep[self.lengths - 1, np.arange(len(self.lengths))] = False
        return keep


class Stretches:
    """The sequences of a corpus one after the other, each with a boundary at both ends.

    Where the vocabulary has no `</s>`, `<s>` is the boundary on the right as well.
    """

    def __init__(self, corpus: Corpus) -> None:
        self.ids, offsets = corpus.ids, corpus.offsets
        if not corpus.vocabulary.ends:
            self.ids = np.insert(corpus.ids, offsets[1:], np.int32(Vocabulary.bos_id))
            offsets = offsets + np.arange(len(offsets))
        self.begins, self.ends = offsets[:-1] + 1, offsets[1:] - 1
        """Of what is inside the boundaries, in `ids`."""

    @property
    def inside(self) -> IndexArray:
        """The places of all tokens but the boundaries, in corpus order."""
        sizes = np.maximum(self.ends - self.begins, 0)
        return np.repeat(self.begins - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())

    def pieces(self, size: int, shift: float = 0) -> tuple[IndexArray, IndexArray, IndexArray]:
        """Stretches of at most `size` tokens: begin, end, and the number of the sequence.

        What is missing to whole pieces is missing at the end of a long sequence, or, with a `shift`
        of 0 to 1, in this proportion at its beginning; the number of pieces does not change.
        """
        sizes = self.ends - self.begins
        count = np.where(sizes > 0, -(-sizes // size), 0)
        slack = np.where(sizes > size, count * size - sizes, 0)
        lead = np.rint(shift * slack).astype(np.int64)
        sequence = np.repeat(np.arange(len(sizes)), count)
        number = np.arange(len(sequence)) - np.repeat(np.cumsum(count) - count, count)
        begin = self.begins[sequence] - lead[sequence] + number * size
        end = np.minimum(begin + size, self.ends[sequence])
        return np.maximum(begin, self.begins[sequence]), end, sequence

    def segments(
        self, begin: IndexArray, end: IndexArray, low: IndexArray, high: IndexArray
    ) -> Segments:
        """Side by side: what is in [begin, end) to be predicted, [low, high) to be read."""
        lengths = high - low
        steps = np.arange(int(lengths.max()))[:, None]
        place = low + steps
        inputs = self.ids[np.minimum(place, high - 1)]
        blanks = (place >= begin) & (place < end)
        return Segments(inputs, lengths, blanks, inputs[blanks])


class SegmentBatches:
    """Stretches of at most `steps` tokens with one more on each side, similar lengths together."""

    def __init__(
        self, corpus: Corpus, batch_size: int, steps: int, *, n_shards: int = 1, seed: int = 0
    ) -> None:
        self._sequences = Stretches(corpus)
        self._batch, self._size, self._seed = batch_size, steps, seed
        count = len(self._sequences.pieces(steps)[0])
        self.n_shards = max(1, min(n_shards, batch_size, count))
        self._count = count

    @property
    def n_batches(self) -> int:
        """Batches in an epoch."""
        return -(-self._count // self._batch)

    def epoch(self, number: int) -> Iterator[Sequence[Segments]]:
        """The batches of an epoch; where long sequences are cut differs from epoch to epoch."""
        rng = np.random.default_rng([self._seed, number])
        begin, end, _ = self._sequences.pieces(self._size, rng.random())
        order = rng.permutation(len(begin))
        order = order[np.argsort(end[order] - begin[order], kind="stable")]
        starts = np.arange(0, len(order), self._batch)
        for first in rng.permutation(starts).tolist():
            index = order[first : first + self._batch]
            yield [
                self._part(begin[index[c]], end[index[c]]) for c in cuts(len(index), self.n_shards)
            ]

    def _part(self, begin: IndexArray, end: IndexArray) -> Segments:
        return self._sequences.segments(begin, end, begin - 1, end + 1)


def scoring_segments(
    sequences: Stretches, size: int, margin: int, tokens: int
) -> Iterator[tuple[IndexArray, Segments]]:
    """All tokens once, in stretches with up to `margin` more to read on each side.

    Yields the places of the tokens, in the order of the answers, and the segments, of which
    together at most about `tokens` tokens.
    """
    begin, end, sequence = sequences.pieces(size)
    low = np.maximum(begin - margin, sequences.begins[sequence] - 1)
    high = np.minimum(end + margin, sequences.ends[sequence] + 1)
    order = np.argsort(high - low, kind="stable")
    first = 0
    while first < len(order):
        last = first + 1
        while last < len(order) and (last + 1 - first) * (high - low)[order[last]] <= tokens:
            last += 1
        index = order[first:last]
        segments = sequences.segments(begin[index], end[index], low[index], high[index])
        steps, columns = np.nonzero(segments.blanks)
        yield low[index][columns] + steps, segments
        first = last
