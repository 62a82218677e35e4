"""What layers over time have in common, whatever their memory is made of."""

from abc import abstractmethod
from typing import Generic, TypeVar

from langmodels.arrays import Array
from langmodels.neural.layers.base import Generator, Layer

S = TypeVar("S")

State = tuple[Array, ...]
"""The arrays that a recurrent layer carries from step to step, the sequences (B) first."""


class SequenceLayer(Layer, Generic[S]):
    """A layer over chunks (T, B) of sequences that hands a state of the type S to the next chunk.

    States are values: `forward` leaves the one it is given as it is.
    """

    outputs: int
    """Width of what comes out."""

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

        `x`: inputs (T, B, n), or token ids (T, B) for rows of `embedding` (V, n). `state` is
        `zero_state` where not given. `keep` (T, B) is 0 where the state is to be forgotten before a
        step, and 1 elsewhere.
        """

    @property
    @abstractmethod
    def final_state(self) -> S:
        """The state after the last step of the last `forward`."""

    @abstractmethod
    def backward(self, dy: Array) -> Array:
        """Gradient with respect to the inputs, or to `embedding`, from that of the outputs."""

    def activations(self) -> dict[str, Array]:
        """What can be looked at of the last `forward` by name, (T, B, outputs) each, as copies."""
        return {}

    def drop_weights(self, rate: float, rng: Generator) -> None:
        """Zero a fraction of the state-to-state weights, if any, until the next `refresh`."""
