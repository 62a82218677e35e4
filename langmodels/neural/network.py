"""Layers put together: one flat vector of parameters, and replicas that share it."""

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

_SEQUENCES = 8  # fewer are not worth a thread


class Network(ABC, Generic[B]):
    """What a trainer trains on batches of the type B.

    A subclass creates its layers in `_build`, and computes loss and gradients in `loss`. A replica
    has the same parameters but gradients and workspaces of its own, so that several threads can
    work on parts of one batch.
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
        """Create the layers, each with a name, and keep them where `loss` finds them."""

    @abstractmethod
    def loss(self, batch: B, scale: float, rng: Generator | None) -> float:
        """Sum of -log p over the targets of the batch, in nats; `gradients` become those of
        `scale` times it. `rng` is for dropout.
        """

    def decayed(self) -> BoolArray | None:
        """Which parameters decoupled decay is for, (n,) as in `parameters.flat`; None: all."""
        return None

    def shards(self, batch: int, threads: int) -> int:
        """Into how many parts a batch of so many sequences is best cut, to be worked on at once."""
        return max(1, min(threads, batch // _SEQUENCES))

    def carried(self) -> dict[str, Array]:
        """What goes from one batch to the next besides the parameters (hidden states)."""
        return {}

    def carry_on(self, arrays: Mapping[str, Array]) -> None:
        """Go on from what `carried` gave."""

    def carried_as(self, batch: B) -> dict[str, Expected]:
        """What `carried` must give after a batch like this one."""
        return {}

    def initialise(self, seed: int) -> None:
        """Give the parameters their first values."""
        self.body.initialise(np.random.default_rng(seed))
        self.refresh()

    def refresh(self) -> None:
        """To be called whenever the parameters have changed."""
        self.body.refresh()

    def replica(self) -> Self:
        """Another network with these very parameters."""
        twin = copy.copy(self)
        twin.body = Layer(parts=twin._build())
        twin._bind()
        return twin

    def _bind(self) -> None:
        self.gradients = self.parameters.like()
        self.body.bind(self.parameters.arrays, self.gradients.arrays)


class SequenceNetwork(Network[Chunk], Generic[S]):
    """A network that reads sequences step by step and predicts the next token after each.

    Its state, of the type S, is a value; training carries it from chunk to chunk.
    """

    output: OutputLayer

    def __init__(self, dtype: DTypeLike = np.float32) -> None:
        self._states: S | None = None
        super().__init__(dtype)

    @abstractmethod
    def zero_states(self, batch: int) -> S:
        """The state of `batch` sequences before their first token."""

    @abstractmethod
    def forward(
        self,
        inputs: Array,
        states: S | None = None,
        *,
        keep: Array | None = None,
        rng: Generator | None = None,
    ) -> Array:
        """What the output layer sees after each step, (T, B, H), dropped out where `rng` is given.

        `inputs` (T, B) token ids; `states` before the first step, `zero_states` where not given;
        `keep` as in `SequenceLayer.forward`. `final_states` are those after the last step.
        """

    @property
    @abstractmethod
    def final_states(self) -> S:
        """The states after the last step of the last `forward`."""

    @abstractmethod
    def top(self, states: S) -> Array:
        """What the output layer sees of states, (B, H)."""

    @abstractmethod
    def backward(self, dy: Array) -> None:
        """Gradients of all layers below the output, from that of the outputs (T, B, H)."""

    def loss(self, batch: Chunk, scale: float, rng: Generator | None) -> float:
        """See `Network`. The states are those after the batch before, unless this one is fresh."""
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
        """See `Network`; it begins from no state."""
        twin = super().replica()
        twin._states = None
        return twin

    @abstractmethod
    def _to_arrays(self, states: S) -> dict[str, Array]:
        """States by name."""

    @abstractmethod
    def _from_arrays(self, arrays: Mapping[str, Array]) -> S:
        """Inverse of `_to_arrays`."""

    def carried(self) -> dict[str, Array]:
        """The states after the last chunk."""
        return {} if self._states is None else self._to_arrays(self._states)

    def carried_as(self, batch: Chunk) -> dict[str, Expected]:
        """See `Network`: arrays like those at the beginning."""
        zero = self._to_arrays(self.zero_states(batch.inputs.shape[1]))
        return {n: Expected(a.dtype.name, a.shape, finite=True) for n, a in zero.items()}

    def carry_on(self, arrays: Mapping[str, Array]) -> None:
        """Go on from what `carried` gave."""
        self._states = self._from_arrays(arrays) if arrays else None
