"""The network of the bidirectional model."""

from dataclasses import dataclass

import numpy as np

from langmodels.arrays import Array, FloatArray
from langmodels.errors import UsageError
from langmodels.neural.bidirectional.segments import Segments
from langmodels.neural.layers.base import Dropout, Embedding, Generator, Layer, Linear
from langmodels.neural.layers.cells import make_cell
from langmodels.neural.layers.softmax import Softmax
from langmodels.neural.network import Network
from langmodels.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class BidirectionalShape:
    """The sizes and rates of a bidirectional network.

    Args:
        cell: one of `CELLS`.
        vocabulary: V, the number of token types.
        excluded: token ids whose probability is zero.
        hidden: H, the units of each layer in each direction.
        layers: recurrent layers in each direction.
        embedding: E, the width of the input vectors.
        merged: M, the tanh units that combine the two directions.
        dropout: rate on the input, between layers, and before the output.
        hidden_words: fraction of the inputs replaced by `<unk>` in training.

    Raises UsageError for invalid values.
    """

    cell: str
    vocabulary: int
    excluded: tuple[int, ...]
    hidden: int
    layers: int
    embedding: int
    merged: int
    dropout: float = 0.0
    hidden_words: float = 0.0

    def __post_init__(self) -> None:
        make_cell(self.cell, 1, 1)
        if min(self.hidden, self.layers, self.embedding, self.merged) < 1:
            raise UsageError("hidden, layers, embedding and merged must be at least 1.")
        if not (0 <= self.dropout < 1 and 0 <= self.hidden_words < 1):
            raise UsageError("dropout and hidden_words must be at least 0 and below 1.")


class BidirectionalNetwork(Network[Segments]):
    """p(x_t | all other tokens) = softmax(m_t V + c), m_t = tanh([l_{t-1}; r_{t+1}] W + b).

    l_{t-1} is the state of a stack of recurrent layers after x_1 .. x_{t-1}, and r_{t+1} that of
    another one, which reads from the right, after x_T .. x_{t+1}. The two stacks share only the
    embedding, so that neither state depends on x_t.
    """

    def __init__(self, shape: BidirectionalShape, dtype: str = "float32") -> None:
        self.shape = shape
        super().__init__(dtype)

    def _build(self) -> dict[str, Layer]:
        shape = self.shape
        self.embedding = Embedding(shape.vocabulary, shape.embedding)
        widths = [shape.embedding] + [shape.hidden] * (shape.layers - 1)
        self.left = [make_cell(shape.cell, width, shape.hidden) for width in widths]
        self.right = [make_cell(shape.cell, width, shape.hidden) for width in widths]
        self.input_dropout = Dropout(shape.dropout)
        self.left_dropouts = [Dropout(shape.dropout) for _ in self.left]
        self.right_dropouts = [Dropout(shape.dropout) for _ in self.right]
        self.output_dropout = Dropout(shape.dropout)
        self.merge = Linear(2 * shape.hidden, shape.merged)
        self.output = Softmax(shape.merged, shape.vocabulary, shape.excluded)
        return {
            "embedding": self.embedding,
            **{f"left.{k}": layer for k, layer in enumerate(self.left)},
            **{f"right.{k}": layer for k, layer in enumerate(self.right)},
            "merge": self.merge,
            "output": self.output,
        }

    def forward(self, segments: Segments, rng: Generator | None = None) -> Array:
        """The input of the output layer at every blank, (n, M), row by row."""
        inputs = segments.inputs
        if rng is not None and self.shape.hidden_words:
            unknown = rng.random(inputs.shape) < self.shape.hidden_words
            inputs = np.where(unknown, np.int32(Vocabulary.unk_id), inputs)
        x = self.input_dropout.forward(self.embedding.forward(inputs), rng)
        left, right = x, np.ascontiguousarray(x[::-1])
        for layer, dropout in zip(self.left, self.left_dropouts, strict=True):
            left = dropout.forward(layer.forward(left), rng)
        keep = segments.keep_back
        flipped = None if keep is None else keep[::-1]
        for layer, dropout in zip(self.right, self.right_dropouts, strict=True):
            right = dropout.forward(layer.forward(right, keep=flipped), rng)
        self._blanks = t, b = np.nonzero(segments.blanks)
        both = np.concatenate([left[t - 1, b], right[len(inputs) - 2 - t, b]], axis=1)
        self._merged = self.merge.forward(both)
        np.tanh(self._merged, out=self._merged)
        return self.output_dropout.forward(self._merged, rng)

    def loss(self, batch: Segments, scale: float, rng: Generator | None) -> float:
        """See `Network`."""
        total, dm = self.output.loss(self.forward(batch, rng), batch.answers, scale)
        dm = self.output_dropout.backward(dm)
        dm *= 1 - self._merged * self._merged
        both = self.merge.backward(dm)
        t, b = self._blanks
        steps, hidden = len(batch.inputs), self.shape.hidden
        d_right = np.zeros((*batch.inputs.shape, hidden), both.dtype)
        d_left = np.zeros_like(d_right)
        d_left[t - 1, b] = both[:, :hidden]
        d_right[steps - 2 - t, b] = both[:, hidden:]
        for layer, dropout in zip(self.right[::-1], self.right_dropouts[::-1], strict=True):
            d_right = layer.backward(dropout.backward(d_right))
        for layer, dropout in zip(self.left[::-1], self.left_dropouts[::-1], strict=True):
            d_left = layer.backward(dropout.backward(d_left))
        d_left += d_right[::-1]
        self.embedding.backward(self.input_dropout.backward(d_left))
        return total

    def log_prob(self, segments: Segments) -> FloatArray:
        """Log p of the answers in nats, (n,), row by row."""
        return self.output.log_prob(self.forward(segments), segments.answers)

    def log_distribution(self, segments: Segments) -> FloatArray:
        """Log p of every token at every blank in nats, (n, V), row by row."""
        return self.output.log_distribution(self.forward(segments))
