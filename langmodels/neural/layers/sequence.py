"""The base class of layers over time, whatever their state is."""

from abc import abstractmethod
from typing import Generic, TypeVar

from langmodels.arrays import Array
from langmodels.neural.layers.base import Generator, Layer

S = TypeVar("S")

State = tuple[Array, ...]
"""The arrays that a recurrent layer carries from step to step, (B, ...) each."""


class SequenceLayer(Layer, Generic[S]):
    """A layer over chunks (T, B) of sequences, with a state of type S between chunks.

    States are values: `forward` does not modify the one it is given.
    """

    outputs: int
    """The width of the outputs."""

    @abstractmethod
    def zero_state(self, batch: int) -> S:
        """The state of `batch` sequences before their first step."""

    @abstractmethod
    def forward(
        self,
        x: Array,
        state: S | None = None,
        *,
        keep: Array | None = None,
        embedding: Array | None = None,
    ) -> Array:
        """Outputs (T, B, outputs) of T steps; `final_state` is the state after the last.

        `x` are inputs (T, B, n), or token ids (T, B) for rows of `embedding` (V, n). `state` is by
        default `zero_state`. `keep` (T, B) is 0 where the state is reset to zero before a step, and
        1 elsewhere.
        """

    @property
    @abstractmethod
    def final_state(self) -> S:
        """The state after the last step of the last `forward`."""

    @abstractmethod
    def backward(self, dy: Array) -> Array:
        """The gradient with respect to the inputs, or to `embedding`, given that of the outputs."""

    def activations(self) -> dict[str, Array]:
        """Copies of the gates and states of the last `forward` by name, (T, B, outputs) each."""
        return {}

    def drop_weights(self, rate: float, rng: Generator) -> None:
        """Zero a random fraction of the state-to-state weights, if any, until the next
        `refresh`.
        """
