"""The base class of layers over time, recurrent or convolutional."""

from abc import abstractmethod
from typing import Generic, TypeVar

from langmodels.arrays import Array
from langmodels.neural.layers.base import Generator, Layer

S = TypeVar("S")

State = tuple[Array, ...]
"""The arrays that a recurrent layer carries from step to step, (B, ...) each."""


class SequenceLayer(Layer, Generic[S]):
    """A layer over T time steps of B sequences, with a state of type S carried between chunks.

    States are values: `forward` does not modify the state it is given.
    """

    outputs: int
    """The width of the outputs."""

    @abstractmethod
    def zero_state(self, batch: int) -> S:
        """The state before the first step of `batch` sequences."""

    @abstractmethod
    def forward(
        self,
        x: Array,
        state: S | None = None,
        *,
        keep: Array | None = None,
        embedding: Array | None = None,
    ) -> Array:
        """The outputs of T steps, (T, B, outputs); afterwards `final_state` is set.

        Args:
            x: inputs (T, B, n), or token ids (T, B) that stand for rows of `embedding`.
            state: the state before the first step; by default `zero_state`.
            keep: (T, B), 0 where a sequence starts and the state is reset to zero before the step,
                and 1 elsewhere; None: all 1.
            embedding: (V, n), if `x` are token ids.
        """

    @property
    @abstractmethod
    def final_state(self) -> S:
        """The state after the T steps of the last `forward`."""

    @abstractmethod
    def backward(self, dy: Array) -> Array:
        """Map dL/dy (T, B, outputs) to dL/dx (T, B, n), for token ids to dL/d embedding (V, n)."""

    def activations(self) -> dict[str, Array]:
        """Copies of the gates and states of the last `forward` by name, (T, B, outputs) each."""
        return {}

    def drop_weights(self, rate: float, rng: Generator) -> None:
        """Zero a random fraction of the hidden-to-hidden weights, if any, until the next
        `refresh`.
        """
