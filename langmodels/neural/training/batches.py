"""Batches of a corpus: chunks of a stream in order, or independent windows at random."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np

from langmodels.arrays import Array, BoolArray, IntArray
from langmodels.text.sequences import Sequences

B_co = TypeVar("B_co", covariant=True)


@dataclass(frozen=True)
class Chunk:
    """T steps of B sequences, time-major.

    Attributes:
        inputs: token ids (T, B).
        targets: token ids (K, B), the tokens that follow the last K steps. K is T for streams, and
            1 for windows, of which only the end is predicted.
        keep: (T, B), false where a sequence starts, so that the state is reset before the step;
            None: no sequence starts.
        fresh: whether the initial state is zero, rather than the final state of the chunk before.
    """

    inputs: IntArray
    targets: IntArray
    keep: BoolArray | None
    fresh: bool

    @property
    def n_targets(self) -> int:
        """The number of predicted tokens."""
        return self.targets.size

    def remapped(self, table: IntArray) -> "Chunk":
        """The chunk with every id i replaced by `table[i]`, in inputs and targets."""
        return replace(self, inputs=table[self.inputs], targets=table[self.targets])

    def part(self, columns: slice) -> "Chunk":
        """The chunk of a slice of the B sequences."""
        keep = None if self.keep is None else self.keep[:, columns]
        return Chunk(
            np.ascontiguousarray(self.inputs[:, columns]),
            np.ascontiguousarray(self.targets[:, columns]),
            None if keep is None or keep.all() else keep,
            self.fresh,
        )


class Batches(Protocol[B_co]):
    """The training data of a `Trainer`: batches, each in shards of which a thread takes one."""

    n_shards: int
    """The greatest number of shards of a batch."""

    @property
    def n_batches(self) -> int:
        """The number of batches in an epoch."""

    def epoch(self, number: int) -> Iterator[Sequence[B_co]]:
        """The batches of epoch `number`, each a list of shards; the same ones at every call."""


class StreamBatches:
    """A corpus as one stream, divided into B = `batch_size` contiguous columns read in parallel.

    Batch k is the k-th chunk of `steps` tokens of every column: it continues the batch before, so
    that the state can be carried (truncated back-propagation through time). A new sequence starts
    from a zero state, unless it continues its document. Each epoch starts at a random offset in the
    stream, so that chunks are cut elsewhere; up to B - 1 tokens are left out.

    With `shuffled` the chunks are in random order, each from a zero state, so that a batch is drawn
    from the whole text; fewer than B chunks are left out.
    """

    def __init__(
        self,
        corpus: Sequences,
        batch_size: int,
        steps: int,
        *,
        n_shards: int = 1,
        seed: int = 0,
        shuffled: bool = False,
    ) -> None:
        inputs = corpus.is_input
        self._inputs = corpus.ids[inputs]
        self._targets = corpus.targets
        self._keep = ~corpus.begins_afresh[inputs]
        n = len(self._inputs)
        self._shuffled = shuffled
        if shuffled:
            self._steps = min(steps, n)
            chunks = n // self._steps
            self._n_batches = -(-chunks // batch_size)
            self._batch = chunks // self._n_batches
        else:
            self._batch = max(1, min(batch_size, n))
            self._length = n // self._batch
            self._steps = min(steps, self._length)
            self._n_batches = -(-self._length // self._steps)
        self._seed = seed
        self.n_shards = min(n_shards, self._batch)

    @property
    def n_batches(self) -> int:
        """The number of batches in an epoch."""
        return self._n_batches

    def epoch(self, number: int) -> Iterator[Sequence[Chunk]]:
        """The chunks of an epoch, each divided by columns into shards."""
        rng = np.random.default_rng([self._seed, number])
        offset = int(rng.integers(len(self._inputs)))
        columns = list(cuts(self._batch, self.n_shards))
        for chunk in self._drawn(offset, rng) if self._shuffled else self._streamed(offset):
            yield [chunk.part(c) for c in columns]

    def _streamed(self, offset: int) -> Iterator[Chunk]:
        """The chunks in order, (steps, B); the last one may be shorter."""
        inputs, targets, keep = (
            self._columns(a, offset) for a in (self._inputs, self._targets, self._keep)
        )
        for begin in range(0, self._length, self._steps):
            rows = slice(begin, min(begin + self._steps, self._length))
            yield Chunk(inputs[rows], targets[rows], keep[rows], begin == 0)

    def _columns(self, ids: Array, offset: int) -> Array:
        """The stream from `offset` on, (length, B), with contiguous text in each column."""
        rolled = np.roll(ids, -offset)[: self._batch * self._length]
        return np.ascontiguousarray(rolled.reshape(self._batch, self._length).T)

    def _drawn(self, offset: int, rng: np.random.Generator) -> Iterator[Chunk]:
        """The chunks in random order, (steps, B)."""
        n, steps = len(self._inputs), np.arange(self._steps)[:, None]
        order = rng.permutation(n // self._steps)[: self._n_batches * self._batch]
        for numbers in order.reshape(self._n_batches, self._batch):
            place = (offset + numbers * self._steps + steps) % n
            yield Chunk(self._inputs[place], self._targets[place], self._keep[place], True)


class WindowBatches:
    """Every target of a corpus with the `length` tokens before it (`Windows`), in random order."""

    def __init__(
        self, corpus: Sequences, batch_size: int, length: int, *, n_shards: int = 1, seed: int = 0
    ) -> None:
        self._windows = Windows(corpus, length)
        self._batch = batch_size
        self._seed = seed
        self.n_shards = max(1, min(n_shards, batch_size, len(self._windows)))

    @property
    def n_batches(self) -> int:
        """The number of batches in an epoch."""
        return -(-len(self._windows) // self._batch)

    def epoch(self, number: int) -> Iterator[Sequence[Chunk]]:
        """The windows of an epoch in batches, each divided by columns into shards."""
        order = np.random.default_rng([self._seed, number]).permutation(len(self._windows))
        for begin in range(0, len(order), self._batch):
            index = order[begin : begin + self._batch]
            yield [self._windows.chunk(index[c]) for c in cuts(len(index), self.n_shards)]


class Windows:
    """For each target of a corpus, the `length` tokens before it.

    Where its sequence has fewer, the window is padded on the left with `<s>`.
    """

    def __init__(self, corpus: Sequences, length: int) -> None:
        self._ids = corpus.ids
        self._length = length
        sizes = np.diff(corpus.offsets)
        starts = np.repeat(corpus.offsets[:-1], sizes)
        self._targets = np.flatnonzero(np.arange(len(self._ids)) != starts)
        self._starts = starts[self._targets]

    @property
    def complete(self) -> BoolArray:
        """Which windows have no padding, (len(self),)."""
        whole: BoolArray = self._targets - self._length >= self._starts
        return whole

    def __len__(self) -> int:
        return len(self._targets)

    def chunk(self, index: Array) -> Chunk:
        """The windows with these indices (B,): inputs (length, B) and targets (1, B)."""
        position = self._targets[index]
        steps = np.arange(-self._length, 0)[:, None]
        inputs = self._ids[np.maximum(position + steps, self._starts[index])]
        return Chunk(inputs, self._ids[position][None], None, True)


def cuts(size: int, n: int) -> Iterator[slice]:
    """Divide range(size) into n nearly equal slices; empty ones are left out."""
    for k in range(n):
        part = slice(size * k // n, size * (k + 1) // n)
        if part.stop > part.start:
            yield part
