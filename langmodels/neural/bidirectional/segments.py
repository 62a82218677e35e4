"""Batches of the bidirectional model: segments of text that are read from both sides."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from langmodels.arrays import BoolArray, IndexArray, IntArray
from langmodels.neural.training.batches import cuts
from langmodels.text.corpus import Corpus
from langmodels.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Segments:
    """B segments of text, time-major and padded at the end, with the tokens to be predicted.

    Attributes:
        inputs: token ids (T, B); what follows the end of a segment is padding.
        lengths: the length of each segment, (B,).
        blanks: (T, B), true at tokens to be predicted, never at the first or last of a segment.
        answers: the n tokens at the blanks, row by row, (n,).
    """

    inputs: IntArray
    lengths: IndexArray
    blanks: BoolArray
    answers: IntArray

    @property
    def n_targets(self) -> int:
        """The number of predicted tokens."""
        return len(self.answers)

    def remapped(self, table: IntArray) -> "Segments":
        """The segments with every id i replaced by `table[i]`, in inputs and answers."""
        return replace(self, inputs=table[self.inputs], answers=table[self.answers])

    @property
    def keep_back(self) -> BoolArray | None:
        """`keep` of the layers that read backwards, (T, B): false at the last token of a segment,
        before which they read padding; None without padding.
        """
        if (self.lengths == len(self.inputs)).all():
            return None
        keep = np.ones(self.inputs.shape, np.bool_)
        keep[self.lengths - 1, np.arange(len(self.lengths))] = False
        return keep


class BoundedSequences:
    """The sequences of a corpus, concatenated, each with a boundary token at both ends.

    If the vocabulary has no `</s>`, `<s>` is also the boundary on the right. The tokens of sequence
    i between the boundaries are `ids[begins[i]:ends[i]]`.
    """

    def __init__(self, corpus: Corpus) -> None:
        self.ids, offsets = corpus.ids, corpus.offsets
        if not corpus.vocabulary.ends:
            self.ids = np.insert(corpus.ids, offsets[1:], np.int32(Vocabulary.bos_id))
            offsets = offsets + np.arange(len(offsets))
        self.begins, self.ends = offsets[:-1] + 1, offsets[1:] - 1

    @property
    def inside(self) -> IndexArray:
        """Indices in `ids` of all tokens but the boundaries, in corpus order, (n,)."""
        sizes = np.maximum(self.ends - self.begins, 0)
        return np.repeat(self.begins - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())

    def pieces(self, size: int, shift: float = 0) -> tuple[IndexArray, IndexArray, IndexArray]:
        """Cut every sequence into pieces of at most `size` tokens.

        Returns begin and end in `ids`, and the number of the sequence, of each piece, (n,) each.
        All pieces of a sequence have `size` tokens but the last. With a `shift` from 0 to 1 the
        first piece is shorter as well: by that fraction of what the last one is short of `size`.
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
        """The segments `ids[low:high]` with blanks at `ids[begin:end]`; all four are (B,)."""
        lengths = high - low
        steps = np.arange(int(lengths.max()))[:, None]
        place = low + steps
        inputs = self.ids[np.minimum(place, high - 1)]
        blanks = (place >= begin) & (place < end)
        return Segments(inputs, lengths, blanks, inputs[blanks])


class SegmentBatches:
    """Training batches: pieces of at most `steps` tokens, all to be predicted, read together with
    one more token on each side; pieces of similar length are batched.
    """

    def __init__(
        self, corpus: Corpus, batch_size: int, steps: int, *, n_shards: int = 1, seed: int = 0
    ) -> None:
        self._sequences = BoundedSequences(corpus)
        self._batch, self._size, self._seed = batch_size, steps, seed
        count = len(self._sequences.pieces(steps)[0])
        self.n_shards = max(1, min(n_shards, batch_size, count))
        self._count = count

    @property
    def n_batches(self) -> int:
        """The number of batches in an epoch."""
        return -(-self._count // self._batch)

    def epoch(self, number: int) -> Iterator[Sequence[Segments]]:
        """The batches of an epoch in random order; each epoch cuts long sequences elsewhere."""
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
    sequences: BoundedSequences, size: int, margin: int, tokens: int
) -> Iterator[tuple[IndexArray, Segments]]:
    """Segments in which every token is predicted once, with `margin` tokens of context on each
    side, or as many as the sequence has.

    Yields the indices in `ids` of the predicted tokens (n,), in the order of `Segments.answers`,
    and segments of `size` predicted tokens each, with at most about `tokens` tokens in all.
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
