"""Networks: layers over one flat parameter vector, and replicas that share it."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Generic, Self, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from langmodels.arrays import Array, BoolArray
from langmodels.checks import Expected
from langmodels.neural.layers.base import Generator, Layer, rows
from langmodels.neural.layers.parameters import Parameters
from langmodels.neural.layers.softmax import OutputLayer
from langmodels.neural.training.batches import Chunk

B = TypeVar("B")
S = TypeVar("S")

_SEQUENCES = 8  # fewest sequences that are worth a thread


class Network(ABC, Generic[B]):
    """The base class of networks that are trained on batches of type B.

    A subclass creates its layers in `_build`, and computes loss and gradients in `loss`. A replica
    shares the parameters but has its own gradients and workspaces, so that threads can work on
    parts of one batch.
    """

    parameters: Parameters
    gradients: Parameters

    def __init__(self, dtype: DTypeLike = np.float32) -> None:
        self.dtype = np.dtype(dtype)
        self.body = Layer(parts=self._build())
        self.parameters = Parameters(self.body.shapes, self.dtype)
        self._bind()

    @abstractmethod
    def _build(self) -> dict[str, Layer]:
        """Create the layers, keep them as attributes, and return them by name."""

    @abstractmethod
    def loss(self, batch: B, scale: float, rng: Generator | None) -> float:
        """The sum of -log p over the targets of a batch in nats; `gradients` become those of
        `scale` times it.

        `rng` is for dropout; None: no dropout.
        """

    def decayed(self) -> BoolArray | None:
        """Which parameters are subject to decoupled weight decay, (n,) as `parameters.flat`; None:
        all.
        """
        return None

    def shards(self, batch: int, threads: int) -> int:
        """The best number of parts, one per thread, for a batch of so many sequences."""
        return max(1, min(threads, batch // _SEQUENCES))

    def carried(self) -> dict[str, Array]:
        """What is carried from one batch to the next besides the parameters: hidden states, for
        checkpoints.
        """
        return {}

    def carry_on(self, arrays: Mapping[str, Array]) -> None:
        """Inverse of `carried`."""

    def carried_as(self, batch: B) -> dict[str, Expected]:
        """The expected arrays of `carried` after a batch like this one."""
        return {}

    def initialise(self, seed: int) -> None:
        """Initialise the parameters at random."""
        self.body.initialise(np.random.default_rng(seed))
        self.refresh()

    def refresh(self) -> None:
        """Recompute what layers derive from the parameters; call it whenever these have changed."""
        self.body.refresh()

    def replica(self) -> Self:
        """A network that shares the parameters."""
        twin = copy.copy(self)
        twin.body = Layer(parts=twin._build())
        twin._bind()
        return twin

    def _bind(self) -> None:
        self.gradients = self.parameters.like()
        self.body.bind(self.parameters.arrays, self.gradients.arrays)


class SequenceNetwork(Network[Chunk], Generic[S]):
    """A network that reads sequences step by step and predicts the next token after each step.

    Its state, of type S, is a value; training carries it from chunk to chunk.
    """

    output: OutputLayer

    def __init__(self, dtype: DTypeLike = np.float32) -> None:
        self._states: S | None = None
        super().__init__(dtype)

    @abstractmethod
    def zero_states(self, batch: int) -> S:
        """The initial state of `batch` sequences."""

    @abstractmethod
    def forward(
        self,
        inputs: Array,
        states: S | None = None,
        *,
        keep: Array | None = None,
        rng: Generator | None = None,
    ) -> Array:
        """The input of the output layer after each step, (T, B, H), with dropout if `rng` is given.

        `inputs` (T, B) are token ids, `states` those before the first step, by default
        `zero_states`; `keep` is as in `SequenceLayer.forward`. Afterwards `final_states` are those
        after the last step.
        """

    @property
    @abstractmethod
    def final_states(self) -> S:
        """The states after the last step of the last `forward`."""

    @abstractmethod
    def top(self, states: S) -> Array:
        """The input of the output layer in given states, (B, H)."""

    @abstractmethod
    def backward(self, dy: Array) -> None:
        """Compute the gradients of all layers below the output layer, given that of its input (T,
        B, H).
        """

    def loss(self, batch: Chunk, scale: float, rng: Generator | None) -> float:
        """See `Network`; it starts from the states after the batch before, unless this one is
        `fresh`.
        """
        states = None if batch.fresh else self._states
        h = self.forward(batch.inputs, states, keep=batch.keep, rng=rng)
        self._states = self.final_states
        skipped = len(batch.inputs) - len(batch.targets)
        total, dh = self.output.loss(rows(h[skipped:]), batch.targets.ravel(), scale)
        dy = dh.reshape(batch.targets.shape + dh.shape[1:])
        if skipped:
            whole = self.output.space.array("dy", h.shape, dy.dtype)
            whole[:skipped] = 0
            whole[skipped:] = dy
            dy = whole
        self.backward(dy)
        return total

    def replica(self) -> Self:
        """See `Network`; the replica starts without states."""
        twin = super().replica()
        twin._states = None
        return twin

    @abstractmethod
    def _to_arrays(self, states: S) -> dict[str, Array]:
        """States as arrays by name."""

    @abstractmethod
    def _from_arrays(self, arrays: Mapping[str, Array]) -> S:
        """Inverse of `_to_arrays`."""

    def carried(self) -> dict[str, Array]:
        """The states after the last chunk."""
        return {} if self._states is None else self._to_arrays(self._states)

    def carried_as(self, batch: Chunk) -> dict[str, Expected]:
        """See `Network`; arrays of the shapes of `zero_states`."""
        zero = self._to_arrays(self.zero_states(batch.inputs.shape[1]))
        return {n: Expected(a.dtype.name, a.shape, finite=True) for n, a in zero.items()}

    def carry_on(self, arrays: Mapping[str, Array]) -> None:
        """Inverse of `carried`."""
        self._states = self._from_arrays(arrays) if arrays else None
