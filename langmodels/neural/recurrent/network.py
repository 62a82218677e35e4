"""A recurrent network: embedding, recurrent layers, output."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from langmodels.arrays import Array
from langmodels.errors import UsageError, check_whole
from langmodels.neural.layers.adaptive import check_cutoffs, make_output
from langmodels.neural.layers.base import Dropout, Embedding, Generator, Layer, TokenInput
from langmodels.neural.layers.cells import CELLS, Elman, Recurrent
from langmodels.neural.layers.sequence import SequenceLayer, State
from langmodels.neural.network import SequenceNetwork

# Work per step that makes one more thread worth it: elements of the state (B, H), or logits (B, V).
_STATE_A_THREAD = 4096
_LOGITS_A_THREAD = 65_536

States = list[State]
"""The state of each recurrent layer, lowest first."""


@dataclass(frozen=True)
class RecurrentShape:
    """The sizes and dropout rates of a recurrent network.

    Args:
        cell: one of `CELLS`, or "relu-rnn".
        vocabulary: V, the number of token types.
        hidden: H, the units of each layer.
        layers: number of stacked recurrent layers.
        embedding: E, the width of the input vectors; None: one-hot input.
        tied: whether the output matrix is the embedding (Press and Wolf 2017).
        dropout: rate between layers and before the output (Zaremba et al. 2014).
        input_dropout: rate on the embedded input.
        shared_dropout: whether one mask serves all steps of a chunk (see `Dropout`).
        weight_dropout: rate on the hidden-to-hidden weights (see `Recurrent.drop_weights`).
        cutoffs: frequency ranks that divide the classes of an adaptive softmax; (): a full softmax.

    Raises UsageError for invalid values.
    """

    cell: str
    vocabulary: int
    hidden: int
    layers: int = 1
    embedding: int | None = None
    tied: bool = False
    dropout: float = 0.0
    input_dropout: float = 0.0
    shared_dropout: bool = False
    weight_dropout: float = 0.0
    cutoffs: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_whole(hidden=self.hidden, layers=self.layers, embedding=self.embedding or 0)
        if (
            self.hidden < 1
            or self.layers < 1
            or (self.embedding is not None and self.embedding < 1)
        ):
            raise UsageError("hidden, layers and embedding must be at least 1.")
        rates = (self.dropout, self.input_dropout, self.weight_dropout)
        if not all(0 <= rate < 1 for rate in rates):  # also false for NaN
            raise UsageError("Dropout rates must be at least 0 and below 1.")
        if self.tied and self.embedding != self.hidden:
            raise UsageError("Tied weights need an embedding as wide as the hidden layer.")
        if self.tied and self.cutoffs:
            raise UsageError("Weights cannot be tied with an adaptive softmax.")
        check_cutoffs(self.cutoffs, self.vocabulary)


class RecurrentNetwork(SequenceNetwork[States]):
    """p(x_{t+1} | x_1 .. x_t) = softmax(h_t W + b), with h_t the top layer's state.

    Layer k maps the outputs of layer k - 1, with dropout, and its own state to the next state; the
    lowest layer reads embedded tokens.
    """

    def __init__(self, shape: RecurrentShape, dtype: str = "float32") -> None:
        self.shape = shape
        super().__init__(dtype)

    def _build(self) -> dict[str, Layer]:
        shape = self.shape
        input_dropout = Dropout(shape.input_dropout, shared_steps=shape.shared_dropout)
        self.embedding = self._make_embedding()
        self.input = None if self.embedding is None else TokenInput(self.embedding, input_dropout)
        widths = [shape.embedding or shape.vocabulary] + [shape.hidden] * (shape.layers - 1)
        self.recurrent: list[SequenceLayer[State]] = [self._make_cell(width) for width in widths]
        self.dropouts = [
            Dropout(shape.dropout, shared_steps=shape.shared_dropout) for _ in self.recurrent
        ]
        tied = self.embedding if shape.tied else None
        self.output = make_output(shape.hidden, shape.vocabulary, shape.cutoffs, tied=tied)
        return {
            **({"embedding": self.embedding} if self.embedding else {}),
            **{f"recurrent.{k}": layer for k, layer in enumerate(self.recurrent)},
            "output": self.output,
        }

    def _make_embedding(self) -> Embedding | None:
        """The embedding layer; None for one-hot inputs."""
        shape = self.shape
        if shape.embedding is None:
            return None
        return Embedding(shape.vocabulary, shape.embedding, tied=shape.tied)

    def _make_cell(self, inputs: int) -> Recurrent:
        """A recurrent layer for inputs of this width."""
        if self.shape.cell == "relu-rnn":
            return Elman(inputs, self.shape.hidden, relu=True)
        return CELLS[self.shape.cell](inputs, self.shape.hidden)

    def forward(
        self,
        inputs: Array,
        states: States | None = None,
        *,
        keep: Array | None = None,
        rng: Generator | None = None,
    ) -> Array:
        """See `SequenceNetwork`: the outputs of the top layer."""
        x, embedding = (inputs, None) if self.input is None else self.input.forward(inputs, rng)
        for k, (layer, dropout) in enumerate(zip(self.recurrent, self.dropouts, strict=True)):
            if rng is not None and self.shape.weight_dropout:
                layer.drop_weights(self.shape.weight_dropout, rng)
            h = layer.forward(x, states[k] if states else None, keep=keep, embedding=embedding)
            x, embedding = dropout.forward(h, rng), None
        return x

    def backward(self, dy: Array) -> None:
        """See `SequenceNetwork`."""
        for layer, dropout in zip(reversed(self.recurrent), reversed(self.dropouts), strict=True):
            dy = layer.backward(dropout.backward(dy))
        if self.input is not None:
            self.input.backward(dy)

    # States ---------------------------------------------------------------------------------

    def zero_states(self, batch: int) -> States:
        """See `SequenceNetwork`; one state per layer."""
        return [layer.zero_state(batch) for layer in self.recurrent]

    @property
    def final_states(self) -> States:
        """See `SequenceNetwork`."""
        return [layer.final_state for layer in self.recurrent]

    def top(self, states: States) -> Array:
        """See `SequenceNetwork`: the output of the top layer."""
        return states[-1][0]

    def _to_arrays(self, states: States) -> dict[str, Array]:
        return {f"{k}.{j}": a for k, state in enumerate(states) for j, a in enumerate(state)}

    def _from_arrays(self, arrays: Mapping[str, Array]) -> States:
        return [
            tuple(np.array(arrays[f"{k}.{j}"]) for j in range(len(state)))
            for k, state in enumerate(self.zero_states(1))
        ]

    # Training -------------------------------------------------------------------------------

    def shards(self, batch: int, threads: int) -> int:
        """See `Network`; small networks train faster on one thread.

        In the loop over time calls are short, and threads wait for Python's global lock longer than
        they compute, unless the state is large. The output layer is outside the loop: a large
        vocabulary is worth more threads as well.
        """
        worth = max(
            batch * self.shape.hidden // _STATE_A_THREAD,
            batch * self.shape.vocabulary // _LOGITS_A_THREAD,
        )
        return max(1, min(super().shards(batch, threads), worth))
