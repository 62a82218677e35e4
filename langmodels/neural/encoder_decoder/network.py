"""A recurrent encoder-decoder, with or without attention."""

from dataclasses import dataclass

import numpy as np

from langmodels.arrays import Array, BoolArray, FloatArray, IndexArray
from langmodels.errors import UsageError
from langmodels.neural.encoder_decoder.pairs import PairBatch, Sources
from langmodels.neural.layers.attention import Attention
from langmodels.neural.layers.base import Dropout, Embedding, Generator, Layer, Linear, TokenInput
from langmodels.neural.layers.bidirectional import Bidirectional
from langmodels.neural.layers.cells import Recurrent, make_cell
from langmodels.neural.layers.sequence import State
from langmodels.neural.layers.softmax import Softmax
from langmodels.neural.network import Network
from langmodels.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class EncoderDecoderShape:
    """The sizes and rates of an encoder-decoder.

    Args:
        cell: one of `CELLS`, for encoder and decoder.
        source: the number of token types of the sources.
        target: V, the number of token types of the targets.
        hidden: H, the units of each layer (in each direction of the encoder).
        layers: recurrent layers of the encoder, and of the decoder.
        embedding: E, the width of the input vectors of both.
        bidirectional: whether the encoder reads in both directions.
        attention: None, "luong" or "bahdanau" (see `Attention`).
        dropout: rate between layers, on the memory, and before the output.
        input_dropout: rate on the embedded input of both.

    Raises UsageError for invalid values.
    """

    cell: str
    source: int
    target: int
    hidden: int
    layers: int
    embedding: int
    bidirectional: bool = False
    attention: str | None = None
    dropout: float = 0.0
    input_dropout: float = 0.0

    def __post_init__(self) -> None:
        make_cell(self.cell, 1, 1)
        if self.attention is not None:
            Attention(self.attention, 1, 1)
        if min(self.hidden, self.layers, self.embedding) < 1:
            raise UsageError("hidden, layers and embedding must be at least 1.")
        if not (0 <= self.dropout < 1 and 0 <= self.input_dropout < 1):
            raise UsageError("Dropout rates must be at least 0 and below 1.")


@dataclass(frozen=True)
class Encoded:
    """B encoded sources, and the state of the decoder.

    Attributes:
        states: the state of each decoder layer; at first its initial state.
        memory: the outputs of the encoder, (S, B, M), to which the decoder attends.
        mask: (S, B), false at padding; None: no padding.
    """

    states: list[State]
    memory: Array
    mask: BoolArray | None

    def columns(self, index: IndexArray) -> "Encoded":
        """The columns with these indices, which may be repeated, as copies."""
        return Encoded(
            [tuple(a[index] for a in state) for state in self.states],
            self.memory[:, index],
            None if self.mask is None else self.mask[:, index],
        )


class EncoderDecoderNetwork(Network[PairBatch]):
    """Sequence to sequence (Cho et al. 2014; Sutskever, Vinyals and Le 2014).

    The encoder reads the source, the decoder is a recurrent network over the target. The initial
    state of decoder layer k is the final state of encoder layer k; with a bidirectional encoder it
    is tanh([forward; backward final output] W_k + b_k). With attention the output layer sees
    `Attention` over the outputs of the top encoder layer (the memory), else the decoder's state.
    """

    def __init__(self, shape: EncoderDecoderShape, dtype: str = "float32") -> None:
        self.shape = shape
        super().__init__(dtype)

    def _build(self) -> dict[str, Layer]:
        shape = self.shape
        width = shape.hidden * (2 if shape.bidirectional else 1)
        self.source = Embedding(shape.source, shape.embedding)
        self.target = Embedding(shape.target, shape.embedding)
        self.encoder: list[Recurrent | Bidirectional] = [
            Bidirectional(shape.cell, inputs, shape.hidden)
            if shape.bidirectional
            else make_cell(shape.cell, inputs, shape.hidden)
            for inputs in [shape.embedding] + [width] * (shape.layers - 1)
        ]
        self.decoder = [
            make_cell(shape.cell, inputs, shape.hidden)
            for inputs in [shape.embedding] + [shape.hidden] * (shape.layers - 1)
        ]
        states = self.decoder[0].n_states * shape.hidden
        self.bridges = [Linear(width, states) for _ in self.encoder if shape.bidirectional]
        self.attention: Attention | None = None
        if shape.attention is not None:
            self.attention = Attention(shape.attention, shape.hidden, width)
        self.output = Softmax(shape.hidden, shape.target, (Vocabulary.bos_id,))
        self._source_input = TokenInput(self.source, Dropout(shape.input_dropout))
        self._target_input = TokenInput(self.target, Dropout(shape.input_dropout))
        self._encoder_dropouts = [Dropout(shape.dropout) for _ in self.encoder]
        self._decoder_dropouts = [Dropout(shape.dropout) for _ in self.decoder[1:]]
        self._output_dropout = Dropout(shape.dropout)
        return {
            "source": self.source,
            "target": self.target,
            **{f"encoder.{k}": layer for k, layer in enumerate(self.encoder)},
            **{f"bridge.{k}": layer for k, layer in enumerate(self.bridges)},
            **{f"decoder.{k}": layer for k, layer in enumerate(self.decoder)},
            **({"attention": self.attention} if self.attention else {}),
            "output": self.output,
        }

    # Forward --------------------------------------------------------------------------------

    def encode(self, source: Sources, rng: Generator | None = None) -> Encoded:
        """Encode sources (S, B). The next call overwrites the memory, but not the states."""
        x, table = self._source_input.forward(source.tokens, rng)
        keep, states = source.keep, []
        self._source_begin = source.begin
        self._bridged: list[Array] = []
        for k, layer in enumerate(self.encoder):
            y = layer.forward(x, keep=keep, embedding=table)
            states.append(
                self._bridge(k, y) if isinstance(layer, Bidirectional) else layer.final_state
            )
            x, table = self._encoder_dropouts[k].forward(y, rng), None
        return Encoded(states, x, source.mask)

    def _bridge(self, k: int, y: Array) -> State:
        """The initial state of decoder layer k, given the outputs y (S, B, 2H) of the encoder's."""
        hidden, columns = self.shape.hidden, np.arange(y.shape[1])
        ends = np.concatenate([y[-1, :, :hidden], y[self._source_begin, columns, hidden:]], axis=1)
        state = self.bridges[k].forward(ends)
        np.tanh(state, out=state)
        self._bridged.append(state)
        return tuple(np.split(state.copy(), self.decoder[k].n_states, axis=1))

    def decode(
        self, inputs: Array, encoded: Encoded, rng: Generator | None = None
    ) -> tuple[Array, list[State]]:
        """Read target tokens (T, B) from `encoded.states`.

        Returns the outputs of the top layer (T, B, H), and the states of all layers after the last
        step.
        """
        x, table = self._target_input.forward(inputs, rng)
        states = []
        for k, layer in enumerate(self.decoder):
            y = layer.forward(x, encoded.states[k], embedding=table)
            states.append(layer.final_state)
            # There is no dropout on the outputs of the top layer, with which attention is computed.
            top = layer is self.decoder[-1]
            x, table = y if top else self._decoder_dropouts[k].forward(y, rng), None
        return x, states

    def attend(self, h: Array, encoded: Encoded) -> Array:
        """The input of the output layer, (T, B, H), from the outputs of the decoder's top layer."""
        if self.attention is None:
            return h
        return self.attention.forward(h, encoded.memory, encoded.mask)

    def log_prob(self, batch: PairBatch) -> FloatArray:
        """Log p of the n targets that are not padding, in nats, (n,), row by row."""
        encoded = self.encode(batch.source)
        h, _ = self.decode(batch.inputs, encoded)
        y = self.attend(h, encoded)
        return self.output.log_prob(y[batch.valid], batch.targets[batch.valid])

    def step(self, tokens: Array, encoded: Encoded) -> tuple[FloatArray, list[State]]:
        """Read one token in each column, (B,); returns log p of every next token in nats, (B, V),
        and the states after it.
        """
        h, states = self.decode(tokens[None], encoded)
        return self.output.log_distribution(self.attend(h, encoded)[0]), states

    # Backward -------------------------------------------------------------------------------

    def loss(self, batch: PairBatch, scale: float, rng: Generator | None) -> float:
        """See `Network`; the decoder reads the true previous tokens (teacher forcing)."""
        encoded = self.encode(batch.source, rng)
        h, _ = self.decode(batch.inputs, encoded, rng)
        y = self.attend(h, encoded)
        top, valid = self._output_dropout.forward(y, rng), batch.valid
        total, d_top = self.output.loss(top[valid], batch.targets[valid], scale)
        dy = np.zeros_like(y)
        dy[valid] = d_top
        dy = self._output_dropout.backward(dy)
        if self.attention is None:
            d_memory = np.zeros_like(encoded.memory)
        else:
            dy, d_memory = self.attention.backward(dy)
        d_states = self._decode_back(dy)
        self._encode_back(d_memory, d_states)
        return total

    def _decode_back(self, dy: Array) -> list[State]:
        """Back-propagate dL/dy (T, B, H) through the decoder; returns the gradients of its initial
        states.
        """
        d_states = []
        for k in range(len(self.decoder) - 1, -1, -1):
            layer = self.decoder[k]
            if k + 1 < len(self.decoder):
                dy = self._decoder_dropouts[k].backward(dy)
            dy = layer.backward(dy)
            d_states.append(layer.initial_gradient)
        self._target_input.backward(dy)
        return d_states[::-1]

    def _encode_back(self, d_memory: Array, d_states: list[State]) -> None:
        """Back-propagate through the encoder, given the gradients of the memory (S, B, M) and of
        the initial states of the decoder.
        """
        dy = d_memory
        for k in range(len(self.encoder) - 1, -1, -1):
            layer = self.encoder[k]
            dy = self._encoder_dropouts[k].backward(dy)
            if isinstance(layer, Bidirectional):
                self._bridge_back(k, d_states[k], dy)
                dy = layer.backward(dy)
            else:
                dy = layer.backward(dy, d_states[k])
        self._source_input.backward(dy)

    def _bridge_back(self, k: int, d_state: State, dy: Array) -> None:
        """Add the gradient through the initial decoder state k to that of the layer's outputs."""
        hidden, columns = self.shape.hidden, np.arange(dy.shape[1])
        slope = 1 - self._bridged[k] * self._bridged[k]
        ends = self.bridges[k].backward(np.concatenate(d_state, axis=1) * slope)
        dy[-1, :, :hidden] += ends[:, :hidden]
        dy[self._source_begin, columns, hidden:] += ends[:, hidden:]
