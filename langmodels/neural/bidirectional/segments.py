"""Batches of the bidirectional model: stretches of text that are read from both sides."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from langmodels.arrays import BoolArray, IndexArray, IntArray
from langmodels.neural.training.batches import cuts
from langmodels.text.corpus import Corpus
from langmodels.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Segments:
    """B stretches of text side by side, with the tokens in them to be predicted.

    `inputs` (T, B) are token ids, each stretch from the top of its column, and `lengths` (B,) their
    lengths. `blanks` (T, B) is true at tokens to be predicted, never at the first or last of a
    stretch. `answers` (n,) are the tokens at blanks, row by row.
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
        """The segments with every id i replaced by `table[i]`."""
        return replace(self, inputs=table[self.inputs], answers=table[self.answers])

    @property
    def keep_back(self) -> BoolArray | None:
        """(T, B) false at the last token of every stretch, where the backward layer starts; None if
        all stretches have the same length.
        """
        if (self.lengths == len(self.inputs)).all():
            return None
        keep = np.ones(self.inputs.shape, np.bool_)
        keep[self.lengths - 1, np.arange(len(self.lengths))] = False
        return keep


class Stretches:
    """The sequences of a corpus, concatenated, each with a boundary at both ends.

    If the vocabulary has no `</s>`, `<s>` is also the boundary on the right.
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
        """Indices of all tokens but the boundaries, in corpus order."""
        sizes = np.maximum(self.ends - self.begins, 0)
        return np.repeat(self.begins - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())

    def pieces(self, size: int, shift: float = 0) -> tuple[IndexArray, IndexArray, IndexArray]:
        """Cut sequences into stretches of at most `size` tokens: begin, end and sequence of each.

        All stretches of a sequence have `size` tokens but the last, which is shorter; with a
        `shift` from 0 to 1, that proportion of the missing tokens is missing from the first one
        instead.
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
        """Segments that read the tokens [low, high) and predict [begin, end), (B,) each."""
        lengths = high - low
        steps = np.arange(int(lengths.max()))[:, None]
        place = low + steps
        inputs = self.ids[np.minimum(place, high - 1)]
        blanks = (place >= begin) & (place < end)
        return Segments(inputs, lengths, blanks, inputs[blanks])


class SegmentBatches:
    """Batches of stretches of `steps` tokens plus one on each side, grouped by length."""

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
        """The batches of an epoch; long sequences are cut at other places in every epoch."""
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
    """Segments that predict every token once, with up to `margin` more tokens to read on each side.

    Yields the indices of the predicted tokens, in the order of the answers, and segments of about
    `tokens` tokens in all.
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
