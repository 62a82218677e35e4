"""Cutting a corpus into batches: a stream in parallel pieces, or independent windows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np

from langmodels.arrays import Array, BoolArray, IntArray
from langmodels.text.sequences import Sequences

B_co = TypeVar("B_co", covariant=True)


@dataclass(frozen=True)
class Chunk:
    """T steps of B sequences.

    `inputs` (T, B) are token ids; `targets` (K, B) follow the last K steps, with K = T unless only
    the end of a window predicts. `keep` (T, B) is 0 where a sequence starts and the state is reset
    first; None if no sequence starts. `fresh`: the initial state is zero, and not that after the
    chunk before.
    """

    inputs: IntArray
    targets: IntArray
    keep: BoolArray | None
    fresh: bool

    @property
    def n_targets(self) -> int:
        """Predicted tokens."""
        return self.targets.size

    def read_as(self, table: IntArray) -> "Chunk":
        """The chunk with every id i replaced by `table[i]`."""
        return replace(self, inputs=table[self.inputs], targets=table[self.targets])

    def part(self, columns: slice) -> "Chunk":
        """A slice of the sequences."""
        keep = None if self.keep is None else self.keep[:, columns]
        return Chunk(
            np.ascontiguousarray(self.inputs[:, columns]),
            np.ascontiguousarray(self.targets[:, columns]),
            None if keep is None or keep.all() else keep,
            self.fresh,
        )


class Batches(Protocol[B_co]):
    """The interface from which a trainer takes its data."""

    n_shards: int
    """The number of parts of a batch, one per thread."""

    @property
    def n_batches(self) -> int:
        """Batches in an epoch."""

    def epoch(self, number: int) -> Iterator[Sequence[B_co]]:
        """The batches of epoch `number`, each a list of shards; reproducible."""


class StreamBatches:
    """A corpus as one stream, cut into `batch_size` pieces that are read in parallel.

    Each chunk of `steps` tokens continues the one before (truncated back-propagation through time,
    with the state carried). A new sequence starts from a zero state, unless it continues its
    document. Each epoch starts at another offset, so that cuts fall elsewhere; up to `batch_size` -
    1 tokens are omitted.

    With `shuffled` the chunks come in random order, each from a zero state, so that a batch is
    drawn from the whole text; fewer than `batch_size` chunks are omitted.
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
        """Batches in an epoch."""
        return self._n_batches

    def epoch(self, number: int) -> Iterator[Sequence[Chunk]]:
        """The chunks of an epoch, each cut by columns into shards."""
        rng = np.random.default_rng([self._seed, number])
        offset = int(rng.integers(len(self._inputs)))
        columns = list(cuts(self._batch, self.n_shards))
        for chunk in self._drawn(offset, rng) if self._shuffled else self._streamed(offset):
            yield [chunk.part(c) for c in columns]

    def _streamed(self, offset: int) -> Iterator[Chunk]:
        inputs, targets, keep = (
            self._pieces(a, offset) for a in (self._inputs, self._targets, self._keep)
        )
        for begin in range(0, self._length, self._steps):
            rows = slice(begin, min(begin + self._steps, self._length))
            yield Chunk(inputs[rows], targets[rows], keep[rows], begin == 0)

    def _drawn(self, offset: int, rng: np.random.Generator) -> Iterator[Chunk]:
        n, steps = len(self._inputs), np.arange(self._steps)[:, None]
        order = rng.permutation(n // self._steps)[: self._n_batches * self._batch]
        for numbers in order.reshape(self._n_batches, self._batch):
            place = (offset + numbers * self._steps + steps) % n
            yield Chunk(self._inputs[place], self._targets[place], self._keep[place], True)

    def _pieces(self, ids: Array, offset: int) -> Array:
        """(length, batch), time-major."""
        rolled = np.roll(ids, -offset)[: self._batch * self._length]
        return np.ascontiguousarray(rolled.reshape(self._batch, self._length).T)


class WindowBatches:
    """Independent windows in random order: the `length` tokens before a target, and the target.

    At the start of a sequence windows are padded with `<s>` on the left.
    """

    def __init__(
        self, corpus: Sequences, batch_size: int, length: int, *, n_shards: int = 1, seed: int = 0
    ) -> None:
        self._windows = Windows(corpus, length)
        self._batch = batch_size
        self._seed = seed
        self.n_shards = max(1, min(n_shards, batch_size, len(self._windows)))

    @property
    def n_batches(self) -> int:
        """Batches in an epoch."""
        return -(-len(self._windows) // self._batch)

    def epoch(self, number: int) -> Iterator[Sequence[Chunk]]:
        """The windows of an epoch in batches, each cut by columns into shards."""
        order = np.random.default_rng([self._seed, number]).permutation(len(self._windows))
        for begin in range(0, len(order), self._batch):
            index = order[begin : begin + self._batch]
            yield [self._windows.chunk(index[c]) for c in cuts(len(index), self.n_shards)]


class Windows:
    """For each target of a corpus, the `length` tokens before it, `<s>` where there are fewer."""

    def __init__(self, corpus: Sequences, length: int) -> None:
        self._ids = corpus.ids
        self._length = length
        sizes = np.diff(corpus.offsets)
        starts = np.repeat(corpus.offsets[:-1], sizes)
        self._targets = np.flatnonzero(np.arange(len(self._ids)) != starts)
        self._starts = starts[self._targets]

    @property
    def complete(self) -> BoolArray:
        """Which windows have no padding, (len,)."""
        whole: BoolArray = self._targets - self._length >= self._starts
        return whole

    def __len__(self) -> int:
        return len(self._targets)

    def chunk(self, index: Array) -> Chunk:
        """The windows with these indices as a batch."""
        position = self._targets[index]
        steps = np.arange(-self._length, 0)[:, None]
        inputs = self._ids[np.maximum(position + steps, self._starts[index])]
        return Chunk(inputs, self._ids[position][None], None, True)


def cuts(size: int, n: int) -> Iterator[slice]:
    """Cut range(size) into n nearly equal slices, without empty ones."""
    for k in range(n):
        part = slice(size * k // n, size * (k + 1) // n)
        if part.stop > part.start:
            yield part
