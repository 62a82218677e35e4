"""The network of an encoder-decoder: a recurrent encoder and a recurrent decoder."""

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
    """`layers` of `hidden` units in the encoder (in each direction) and in the decoder.

    `attention`: None, "luong" or "bahdanau". `dropout` between layers, on the memory and before the
    output; `input_dropout` on the embedded input.
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
    """B encoded sources: the initial `states` of the decoder, one per layer, and the `memory` (S,
    B, M) for attention, which is padding where `mask` (S, B) is false.
    """

    states: list[State]
    memory: Array
    mask: BoolArray | None

    def columns(self, index: IndexArray) -> "Encoded":
        """A selection of the sources, possibly repeated."""
        return Encoded(
            [tuple(a[index] for a in state) for state in self.states],
            self.memory[:, index],
            None if self.mask is None else self.mask[:, index],
        )


class EncoderDecoderNetwork(Network[PairBatch]):
    """Sequence to sequence (Cho et al. 2014; Sutskever, Vinyals and Le 2014).

    The final state of each encoder layer is the initial state of the decoder layer of the same
    depth; with a bidirectional encoder it is tanh([forward; backward final state] W + b).
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
        self._inputs = [
            TokenInput(e, Dropout(shape.input_dropout)) for e in (self.source, self.target)
        ]
        self._drops = [[Dropout(shape.dropout) for _ in range(shape.layers)] for _ in range(3)]
        return {
            "source": self.source,
            "target": self.target,
            **{f"encoder.{k}": layer for k, layer in enumerate(self.encoder)},
            **{f"bridge.{k}": layer for k, layer in enumerate(self.bridges)},
            **{f"decoder.{k}": layer for k, layer in enumerate(self.decoder)},
            **({"attention": self.attention} if self.attention else {}),
            "output": self.output,
        }

    # Encoder --------------------------------------------------------------------------------

    def encode(self, source: Sources, rng: Generator | None = None) -> Encoded:
        """Encode sources. The memory returned is overwritten by the next call, the states are
        not.
        """
        drops = self._drops[0]
        x, table = self._inputs[0].forward(source.tokens, rng)
        keep, states = source.keep, []
        self._begin = source.begin
        self._bridged: list[Array] = []
        for k, layer in enumerate(self.encoder):
            if isinstance(layer, Bidirectional):
                y = layer.forward(x, keep=keep, embedding=table)
                states.append(self._bridge(k, y))
            else:
                y = layer.forward(x, keep=keep, embedding=table)
                states.append(layer.final_state)
            x, table = drops[k].forward(y, rng), None
        return Encoded(states, x, source.mask)

    def _bridge(self, k: int, y: Array) -> State:
        hidden, columns = self.shape.hidden, np.arange(y.shape[1])
        ends = np.concatenate([y[-1, :, :hidden], y[self._begin, columns, hidden:]], axis=1)
        state = self.bridges[k].forward(ends)
        np.tanh(state, out=state)
        self._bridged.append(state)
        return tuple(np.split(state.copy(), self.decoder[k].n_states, axis=1))

    def _encode_back(self, d_memory: Array, d_states: list[State]) -> None:
        drops, dy = self._drops[0], d_memory
        for k in range(len(self.encoder) - 1, -1, -1):
            layer = self.encoder[k]
            dy = drops[k].backward(dy)
            if isinstance(layer, Bidirectional):
                self._bridge_back(k, d_states[k], dy)
                dy = layer.backward(dy)
            else:
                dy = layer.backward(dy, d_states[k])
        self._inputs[0].backward(dy)

    def _bridge_back(self, k: int, d_state: State, dy: Array) -> None:
        """Add the gradient of the final states to that of all outputs."""
        hidden, columns = self.shape.hidden, np.arange(dy.shape[1])
        slope = 1 - self._bridged[k] * self._bridged[k]
        ends = self.bridges[k].backward(np.concatenate(d_state, axis=1) * slope)
        dy[-1, :, :hidden] += ends[:, :hidden]
        dy[self._begin, columns, hidden:] += ends[:, hidden:]

    # Decoder --------------------------------------------------------------------------------

    def decode(
        self, inputs: Array, encoded: Encoded, rng: Generator | None = None
    ) -> tuple[Array, list[State]]:
        """Read target tokens (T, B); returns the outputs of the top layer (T, B, H), and the states
        of all layers after the last step.
        """
        drops = self._drops[1]
        x, table = self._inputs[1].forward(inputs, rng)
        states = []
        for k, layer in enumerate(self.decoder):
            y = layer.forward(x, encoded.states[k], embedding=table)
            states.append(layer.final_state)
            # Attention queries are the top layer's outputs before dropout.
            x, table = (y if layer is self.decoder[-1] else drops[k].forward(y, rng)), None
        return x, states

    def attend(self, h: Array, encoded: Encoded) -> Array:
        """The input of the output layer, (T, B, H), from the outputs of the decoder's top layer."""
        if self.attention is None:
            return h
        return self.attention.forward(h, encoded.memory, encoded.mask)

    def loss(self, batch: PairBatch, scale: float, rng: Generator | None) -> float:
        """See `Network`; the decoder reads the right tokens, whatever it predicts (teacher
        forcing).
        """
        encoded = self.encode(batch.source, rng)
        h, _ = self.decode(batch.inputs, encoded, rng)
        y = self.attend(h, encoded)
        last = self._drops[2][0]
        seen, valid = last.forward(y, rng), batch.valid
        total, d_seen = self.output.loss(seen[valid], batch.targets[valid], scale)
        dy = np.zeros_like(y)
        dy[valid] = d_seen
        dy = last.backward(dy)
        d_memory = None
        if self.attention is not None:
            dy, d_memory = self.attention.backward(dy)
        d_states = self._decode_back(dy)
        if d_memory is None:
            d_memory = np.zeros_like(encoded.memory)
        self._encode_back(d_memory, d_states)
        return total

    def _decode_back(self, dy: Array) -> list[State]:
        """Back-propagate through the decoder; returns the gradients of its initial states."""
        drops, d_states = self._drops[1], []
        for k in range(len(self.decoder) - 1, -1, -1):
            layer = self.decoder[k]
            if k + 1 < len(self.decoder):
                dy = drops[k].backward(dy)
            dy = layer.backward(dy)
            d_states.append(layer.initial_gradient)
        self._inputs[1].backward(dy)
        return d_states[::-1]

    # Scores ---------------------------------------------------------------------------------

    def log_prob(self, batch: PairBatch) -> FloatArray:
        """Log p of the targets in nats, (n,), row by row."""
        encoded = self.encode(batch.source)
        h, _ = self.decode(batch.inputs, encoded)
        y = self.attend(h, encoded)
        return self.output.log_prob(y[batch.valid], batch.targets[batch.valid])

    def step(self, tokens: Array, encoded: Encoded) -> tuple[FloatArray, list[State]]:
        """Read one token for each column, (B,): log p of every next token (B, V), and the new
        states.
        """
        h, states = self.decode(tokens[None], encoded)
        return self.output.log_distribution(self.attend(h, encoded)[0]), states
