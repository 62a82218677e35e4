"""The network of Bengio et al. (2003), "A Neural Probabilistic Language Model"."""

from dataclasses import dataclass

import numpy as np

from langmodels.errors import UsageError, check_whole
from langmodels.neural.layers.adaptive import check_cutoffs
from langmodels.neural.layers.base import Dropout, Embedding, Generator, Layer, Linear
from langmodels.neural.layers.parameters import Array
from langmodels.neural.layers.softmax import Softmax
from langmodels.neural.network import Network
from langmodels.neural.recurrent.network import make_output
from langmodels.neural.training.batches import Chunk


@dataclass(frozen=True)
class FeedForwardShape:
    """`context` tokens, each embedded in `embedding` dimensions, into `hidden` tanh units.

    `direct`: the output layer also sees the embedded context itself (the matrix W of equation 1).
    """

    vocabulary: int
    context: int
    embedding: int
    hidden: int
    direct: bool = False
    dropout: float = 0.0
    cutoffs: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_whole(context=self.context, embedding=self.embedding, hidden=self.hidden)
        if min(self.context, self.embedding, self.hidden) < 1:
            raise UsageError("context, embedding and hidden must be at least 1.")
        if not 0 <= self.dropout < 1:
            raise UsageError("Dropout rates must be at least 0 and below 1.")
        check_cutoffs(self.cutoffs, self.vocabulary)


class FeedForwardNetwork(Network[Chunk]):
    """y = b + W x + U tanh(d + H x) with x the embeddings of the context (Bengio 2003, eq. 1)."""

    def __init__(self, shape: FeedForwardShape, dtype: str = "float32") -> None:
        self.shape = shape
        super().__init__(dtype)

    def _build(self) -> dict[str, Layer]:
        shape = self.shape
        width = shape.context * shape.embedding
        self.embedding = Embedding(shape.vocabulary, shape.embedding)
        self.hidden = Linear(width, shape.hidden)
        self.dropout = Dropout(shape.dropout)
        inputs = shape.hidden + (width if shape.direct else 0)
        self.output = make_output(inputs, shape.vocabulary, shape.cutoffs)
        return {"embedding": self.embedding, "hidden": self.hidden, "output": self.output}

    def initialise(self, seed: int) -> None:
        """As usual, but with direct connections that begin at zero."""
        super().initialise(seed)
        if self.shape.direct and isinstance(self.output, Softmax):
            self.output.values["weight"][:, self.shape.hidden :] = 0

    def forward(self, inputs: Array, rng: Generator | None = None) -> Array:
        """What the output layer sees, (B, inputs), for contexts (context, B), oldest first."""
        x = self.embedding.forward(np.ascontiguousarray(inputs.T))
        self._x = x.reshape(inputs.shape[1], -1)
        self._h = self.hidden.forward(self._x)
        np.tanh(self._h, out=self._h)
        h = self.dropout.forward(self._h, rng)
        return np.concatenate([h, self._x], axis=1) if self.shape.direct else h

    def loss(self, batch: Chunk, scale: float, rng: Generator | None) -> float:
        """See `Network`."""
        total, dy = self.output.loss(self.forward(batch.inputs, rng), batch.targets[0], scale)
        dh = self.dropout.backward(np.ascontiguousarray(dy[:, : self.shape.hidden]))
        dh *= 1 - self._h * self._h
        dx = self.hidden.backward(dh)
        if self.shape.direct:
            dx += dy[:, self.shape.hidden :]
        self.embedding.backward(dx.reshape(-1, self.shape.embedding))
        return total
