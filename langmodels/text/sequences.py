"""Many sequences of token ids, concatenated in one array."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Self

import numpy as np

from langmodels.arrays import Array, BoolArray, FloatArray, IndexArray, IntArray
from langmodels.text.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Sequences:
    """Concatenated sequences, each with its boundaries.

    `held` (N,) are the ids, in any integer type; every sequence is `<s> w1 .. wn </s>` if its
    vocabulary has ends, and `<s> w1 .. wn` otherwise. `offsets` (S+1,) int64 is the start of each
    of the S sequences, and N. `unknown` are the tokens that were replaced by `<unk>`, in order, if
    they were kept. `documents` (D+1,) int64 is the first sequence of each of D documents, and S;
    None for a single document. `carry` says whether a model's state is to be carried from each
    sequence of a document to the next.
    """

    held: Array
    offsets: IndexArray
    unknown: list[str] | None = field(default=None, kw_only=True)
    documents: IndexArray | None = field(default=None, kw_only=True)
    carry: bool = field(default=False, kw_only=True)

    @classmethod
    def bounded(cls, inside: Iterable[IntArray], vocabulary: Vocabulary) -> "Sequences":
        """Sequences from ids without boundaries, which are added; empty ones are kept."""
        first = np.array([vocabulary.bos_id], np.int32)
        last = np.array([] if vocabulary.eos_id is None else [vocabulary.eos_id], np.int32)
        parts: list[IntArray] = []
        lengths = [0]
        for ids in inside:
            parts += [first, ids, last]
            lengths.append(len(ids) + 1 + len(last))
        ids = np.concatenate(parts) if parts else np.empty(0, np.int32)
        return cls(ids.astype(np.int32, copy=False), np.cumsum(lengths, dtype=np.int64))

    @classmethod
    def rows(cls, matrix: Array) -> "Sequences":
        """Sequences from the rows of a matrix (S, n) of ids that include boundaries."""
        n, width = matrix.shape
        return cls(
            np.ascontiguousarray(matrix, np.int32).ravel(),
            np.arange(n + 1, dtype=np.int64) * width,
        )

    @property
    def ids(self) -> IntArray:
        """The ids of all sequences, (N,) int32; the first access converts `held`."""
        if self.held.dtype != np.int32:
            object.__setattr__(self, "held", self.held.astype(np.int32))
        return self.held

    @property
    def n_sequences(self) -> int:
        """Number of sequences."""
        return len(self.offsets) - 1

    @property
    def n_tokens(self) -> int:
        """Number of predicted tokens, over which a perplexity averages."""
        return len(self.held) - self.n_sequences

    @property
    def lengths(self) -> IndexArray:
        """The number of predicted tokens of each sequence, (S,)."""
        return np.diff(self.offsets) - 1

    @property
    def is_target(self) -> BoolArray:
        """Which ids are predicted, (N,): all but `<s>`."""
        targets = np.ones(len(self.held), np.bool_)
        targets[self.offsets[:-1]] = False
        return targets

    @property
    def targets(self) -> IntArray:
        """The predicted ids, (n_tokens,): all but `<s>`."""
        return self.held[self.is_target].astype(np.int32, copy=False)

    def whole(self) -> Iterator[IntArray]:
        """Yield the ids of each sequence, with boundaries."""
        return (self.ids[a:b] for a, b in pairwise(self.offsets.tolist()))

    def carried(self) -> Self:
        """The sequences with `carry`: state is carried within documents."""
        return replace(self, carry=True)

    @property
    def _carried(self) -> IndexArray | None:
        """The offsets of documents, in sequences, if state is carried; None if not."""
        if not self.carry:
            return None
        return np.array([0, self.n_sequences]) if self.documents is None else self.documents

    @property
    def begins_afresh(self) -> BoolArray:
        """At which ids a model starts from its initial state, (N,)."""
        fresh = np.zeros(len(self.held), np.bool_)
        carried = self._carried
        starts = self.offsets if carried is None else self.offsets[carried]
        fresh[starts[:-1][np.diff(starts) > 0]] = True
        return fresh

    @property
    def is_input(self) -> BoolArray:
        """Which ids a model reads before a prediction, (N,): all but the last of each sequence."""
        inputs = np.ones(len(self.held), np.bool_)
        inputs[self.offsets[1:][np.diff(self.offsets) > 0] - 1] = False
        return inputs

    def streams(self) -> Iterator[tuple[IntArray, IntArray]]:
        """The inputs and targets, of equal length, of each stream: a sequence, or a document if
        state is carried.
        """
        carried = self._carried
        if carried is None:
            return ((ids[:-1], ids[1:]) for ids in self.whole())
        inputs, targets = self.ids[self.is_input], self.targets
        # Inputs and targets have one id fewer per sequence.
        bounds = (self.offsets - np.arange(len(self.offsets)))[carried].tolist()
        return ((inputs[a:b], targets[a:b]) for a, b in pairwise(bounds))

    def blocks(self, size: int, reach: int | None = None) -> Iterator[tuple["Sequences", int]]:
        """Yield parts of about `size` ids, with the number of leading targets that repeat those of
        earlier parts.

        Cuts are between sequences, or between documents if state is carried. `reach` is the number
        of ids before a target on which its prediction can depend: with it, longer sequences are
        cut, too, and parts overlap by it; with None they stay whole.
        """
        carried = self._carried if reach is None else None
        first = np.arange(len(self.offsets)) if carried is None else carried
        bounds, begin, unknown = self.offsets[first], 0, 0
        while begin < len(bounds) - 1:
            end = int(np.searchsorted(bounds, bounds[begin] + size, side="right")) - 1
            end = max(end, begin + 1)
            part = self._between(int(first[begin]), int(first[end]), unknown)
            unknown += len(part.unknown or ())
            if reach is None or len(part.held) <= size:
                yield part, 0
            else:
                yield from part._stretches(size, max(reach, 1))
            begin = end

    def _between(self, first: int, last: int, unknown: int) -> "Sequences":
        """Sequences `first` to `last`, before which `unknown` ids are `<unk>`."""
        if last - first == self.n_sequences:
            return self
        ids = self.held[self.offsets[first] : self.offsets[last]]
        known = self.unknown
        if known is not None:
            known = known[unknown : unknown + int(np.count_nonzero(ids == Vocabulary.unk_id))]
        documents = self.documents
        if documents is not None:
            documents = np.unique(np.clip(documents, first, last)) - first
        return Sequences(
            ids,
            self.offsets[first : last + 1] - self.offsets[first],
            unknown=known,
            documents=documents,
            carry=self.carry,
        )

    def _stretches(self, size: int, reach: int) -> Iterator[tuple["Sequences", int]]:
        """Parts of a single sequence, each starting `reach` ids early; `unknown` is not kept."""
        for begin in range(0, len(self.held), size):
            early = max(0, begin - reach)
            ids = self.held[early : begin + size]
            yield Sequences(ids, np.array([0, len(ids)], np.int64)), max(begin - early - 1, 0)

    def between(self, first: int, last: int) -> "Sequences":
        """The sequences [first, last), with their documents."""
        known = self.held[: self.offsets[first]] if self.unknown else self.held[:0]
        unknown = int(np.count_nonzero(known == Vocabulary.unk_id))
        return self._between(first, last, unknown)

    def without_empty(self, *, ends: bool = True) -> tuple["Sequences", BoolArray]:
        """The sequences that have tokens, and the mask of these, (S,).

        `ends`: whether sequences have `</s>`, which does not count. Documents are dropped.
        """
        sizes = np.diff(self.offsets)
        kept = self.lengths > int(ends)
        if kept.all():
            return Sequences(self.held, self.offsets, unknown=self.unknown), kept
        offsets = np.append(0, np.cumsum(sizes[kept]))
        return Sequences(self.held[np.repeat(kept, sizes)], offsets, unknown=self.unknown), kept

    def without_ends(self, eos: int) -> "Sequences":
        """The sequences without `</s>`, whose id is `eos`."""
        kept = self.held != eos
        kept[self.offsets[:-1]] = True
        before = np.concatenate([[0], np.cumsum(kept)])
        return replace(self, held=self.held[kept], offsets=before[self.offsets])

    def sums(self, values: FloatArray) -> FloatArray:
        """The sum over the targets of each sequence, (S,), of `values` (n_tokens,)."""
        totals = np.zeros(self.n_sequences)
        some = np.flatnonzero(self.lengths)
        # The targets of a sequence begin as many places earlier as there are sequences before it.
        totals[some] = np.add.reduceat(values, self.offsets.take(some) - some) if len(some) else 0
        return totals

    def with_unknown(self, ids: IntArray) -> "Sequences":
        """The sequences with the `<unk>` ids replaced, in order, by `ids` (number of `<unk>`,)."""
        changed = self.ids.copy()
        changed[changed == Vocabulary.unk_id] = ids
        return Sequences(changed, self.offsets, documents=self.documents, carry=self.carry)
