"""The base classes of networks, whose layers share one flat vector of parameters."""

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

_SEQUENCES = 8  # sequences of a batch that make a thread worth it


class Network(ABC, Generic[B]):
    """The base class of networks that are trained on batches of type B.

    A subclass creates its layers in `_build`, and computes the loss and its gradients in `loss`. A
    replica shares the parameters but has its own gradients and workspaces, so that every thread can
    compute the gradient of a part of the batch.
    """

    parameters: Parameters
    """The parameters of all layers."""
    gradients: Parameters
    """The gradients of the loss in the last call of `loss`, with the names of the parameters."""

    def __init__(self, dtype: DTypeLike = np.float32) -> None:
        self.dtype = np.dtype(dtype)
        self.body = Layer(parts=self._build())
        self.parameters = Parameters(self.body.shapes, self.dtype)
        self._bind()

    @abstractmethod
    def _build(self) -> dict[str, Layer]:
        """Create the layers, assign them to attributes, and return them by name, in the order of
        their parameters in the flat vector.
        """

    @abstractmethod
    def loss(self, batch: B, scale: float, rng: Generator | None) -> float:
        """The sum of -log p over the targets of a batch, in nats.

        Sets `gradients` to those of `scale` times the sum. `rng` draws the dropout masks; None: no
        dropout.
        """

    def initialise(self, seed: int) -> None:
        """Initialise the parameters at random."""
        self.body.initialise(np.random.default_rng(seed))
        self.refresh()

    def refresh(self) -> None:
        """Recompute what layers derive from the parameters; call it whenever these have changed."""
        self.body.refresh()

    def decayed(self) -> BoolArray | None:
        """Which elements of `parameters.flat` decay under AdamW, (n,); None: all."""
        return None

    # Threads --------------------------------------------------------------------------------

    def shards(self, batch: int, threads: int) -> int:
        """How many shards, one per thread, to divide a batch of `batch` sequences into; at most
        `threads`.
        """
        return max(1, min(threads, batch // _SEQUENCES))

    def replica(self) -> Self:
        """A network with the same parameters, but gradients and workspaces of its own."""
        twin = copy.copy(self)
        twin.body = Layer(parts=twin._build())
        twin._bind()
        return twin

    def _bind(self) -> None:
        self.gradients = self.parameters.like()
        self.body.bind(self.parameters.arrays, self.gradients.arrays)

    # Checkpoints ----------------------------------------------------------------------------

    def carried(self) -> dict[str, Array]:
        """The states carried from one batch to the next, by name, for checkpoints."""
        return {}

    def restore_carried(self, arrays: Mapping[str, Array]) -> None:
        """Set the carried states to what `carried` returned."""

    def expected_carried(self, batch: B) -> dict[str, Expected]:
        """The types and shapes of what `carried` returns after a batch like this one."""
        return {}


class SequenceNetwork(Network[Chunk], Generic[S]):
    """A network that reads sequences token by token and predicts the next token after each.

    Its state, of type S, is an immutable value; training carries it from chunk to chunk.
    """

    output: OutputLayer
    """The layer that maps the outputs of `forward` to p(next token)."""

    def __init__(self, dtype: DTypeLike = np.float32) -> None:
        self._states: S | None = None
        super().__init__(dtype)

    @abstractmethod
    def zero_states(self, batch: int) -> S:
        """The states of `batch` sequences before their first token."""

    @abstractmethod
    def forward(
        self,
        inputs: Array,
        states: S | None = None,
        *,
        keep: Array | None = None,
        rng: Generator | None = None,
    ) -> Array:
        """The input of the output layer after each step, (T, B, H); afterwards `final_states` is
        set.

        Args:
            inputs: token ids (T, B).
            states: the states before the first step; by default `zero_states`.
            keep: (T, B), 0 where a sequence starts; see `SequenceLayer.forward`.
            rng: draws the dropout masks; None: no dropout.
        """

    @property
    @abstractmethod
    def final_states(self) -> S:
        """The states after the last step of the last `forward`."""

    @abstractmethod
    def top(self, states: S) -> Array:
        """The input (B, H) of the output layer for the token that follows `states`."""

    @abstractmethod
    def backward(self, dy: Array) -> None:
        """Compute the gradients of all layers below the output layer, given dL/dy (T, B, H) of its
        input.
        """

    def loss(self, batch: Chunk, scale: float, rng: Generator | None) -> float:
        """See `Network`; unless `batch.fresh`, it starts from the states after the last batch."""
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
        """States as arrays by name, for checkpoints."""

    @abstractmethod
    def _from_arrays(self, arrays: Mapping[str, Array]) -> S:
        """The states of which `_to_arrays` returned these arrays."""

    def carried(self) -> dict[str, Array]:
        """See `Network`: the states after the last chunk; none before the first."""
        return {} if self._states is None else self._to_arrays(self._states)

    def restore_carried(self, arrays: Mapping[str, Array]) -> None:
        """See `Network`."""
        self._states = self._from_arrays(arrays) if arrays else None

    def expected_carried(self, batch: Chunk) -> dict[str, Expected]:
        """See `Network`; arrays of the shapes of `zero_states`."""
        zero = self._to_arrays(self.zero_states(batch.inputs.shape[1]))
        return {n: Expected(a.dtype.name, a.shape, finite=True) for n, a in zero.items()}
