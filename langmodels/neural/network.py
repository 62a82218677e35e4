"""Layers put together: one flat vector of parameters, and replicas that share it."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Generic, Self, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from langmodels.arrays import Array
from langmodels.neural.layers.base import Generator, Layer, named
from langmodels.neural.layers.parameters import Parameters

B = TypeVar("B")

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
        self.layers = self._build()
        self.parameters = Parameters(named(self.layers), self.dtype)
        self._bind()

    @abstractmethod
    def _build(self) -> dict[str, Layer]:
        """Create the layers, each with a name, and keep them where `loss` finds them."""

    @abstractmethod
    def loss(self, batch: B, scale: float, rng: Generator | None) -> float:
        """Sum of -log p over the targets of the batch, in nats; `gradients` become those of
        `scale` times it. `rng` is for dropout.
        """

    def shards(self, batch: int, threads: int) -> int:
        """Into how many parts a batch of so many sequences is best cut, to be worked on at once."""
        return max(1, min(threads, batch // _SEQUENCES))

    def carried(self) -> dict[str, Array]:
        """What goes from one batch to the next besides the parameters (hidden states)."""
        return {}

    def carry_on(self, arrays: Mapping[str, Array]) -> None:
        """Go on from what `carried` gave."""

    def initialise(self, seed: int) -> None:
        """Give the parameters their first values."""
        rng = np.random.default_rng(seed)
        for layer in self.layers.values():
            layer.initialise(rng)
        self.refresh()

    def refresh(self) -> None:
        """To be called whenever the parameters have changed."""
        for layer in self.layers.values():
            layer.refresh()

    def replica(self) -> Self:
        """Another network with these very parameters."""
        twin = copy.copy(self)
        twin.layers = twin._build()
        twin._bind()
        return twin

    def _bind(self) -> None:
        self.gradients = self.parameters.like()
        for name, layer in self.layers.items():
            layer.bind(self.parameters.under(name), self.gradients.under(name))
