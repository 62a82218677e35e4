"""The feed-forward neural language model of Bengio et al. (2003)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from langmodels.arrays import Array, BoolArray, FloatArray
from langmodels.errors import UsageError, check_whole
from langmodels.models.orders import OfOrder
from langmodels.neural.batched import BatchedModel
from langmodels.neural.layers.adaptive import check_cutoffs, default_cutoffs, make_output
from langmodels.neural.layers.base import Dropout, Embedding, Generator, Layer, Linear
from langmodels.neural.layers.softmax import Scoring, Softmax
from langmodels.neural.network import Network
from langmodels.neural.training.batches import Batches, Chunk, WindowBatches, Windows
from langmodels.neural.training.options import whole_numbers
from langmodels.neural.windows import score_windows
from langmodels.text.corpus import Corpus
from langmodels.text.sequences import Sequences


@dataclass(frozen=True)
class FeedForwardShape:
    """The sizes of a feed-forward network.

    Args:
        vocabulary: V, the number of token types.
        context: n - 1, the number of context tokens.
        embedding: width of the vector of each token.
        hidden: tanh units.
        direct: whether the output layer also sees the embedded context (W in equation 1).
        dropout: rate on the hidden units.
        cutoffs: frequency ranks that divide the classes of an adaptive softmax; (): a full softmax.

    Raises UsageError for invalid values.
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
    """p = softmax(b + W x + U tanh(d + H x)), with x the concatenated embeddings of the context
    (Bengio et al. 2003, equation 1); W = 0 without `direct`.
    """

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
        """See `Network`; the direct connections W start at zero."""
        super().initialise(seed)
        if self.shape.direct and isinstance(self.output, Softmax):
            self.output.values["weight"][:, self.shape.hidden :] = 0

    def forward(self, inputs: Array, rng: Generator | None = None) -> Array:
        """The input of the output layer, (B, hidden), or [hidden units; x] with `direct`.

        `inputs` are token ids (context, B), oldest first; `rng` draws the dropout mask.
        """
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


class FeedForwardModel(OfOrder, BatchedModel[tuple[int, ...], FeedForwardNetwork]):
    """p(x_t | the last n - 1 tokens), from their embeddings through a layer of tanh units.

    At the start of a sequence the context is padded on the left with `<s>`. The option `steps` has
    no effect.

    Args:
        order: n; there are n - 1 tokens of context.
        embedding: width of the input vectors.
        hidden: number of tanh units.
        direct: whether the output layer also sees the input vectors.
        dropout: rate on the hidden units.
        cutoffs: frequency ranks that divide an adaptive softmax; (): full softmax; none:
            2000+10000 above 10,000 types.
        batch_size: predicted tokens per batch.
    """

    kind = "feed-forward"

    def __init__(
        self,
        *,
        order: int = 4,
        embedding: int = 64,
        hidden: int = 128,
        direct: bool = False,
        dropout: float = 0.3,
        cutoffs: int | Sequence[int] | None = None,
        dtype: str = "float32",
        batch_size: int = 256,
        **training: Any,
    ) -> None:
        super().__init__(dtype, batch_size=batch_size, **training)
        self.order, self.embedding, self.hidden = order, embedding, hidden
        self.direct, self.dropout = direct, dropout
        self.cutoffs = None if cutoffs is None else whole_numbers(cutoffs)
        # Invalid sizes raise here, not only in `fit`.
        self._shape(2 + max(self.cutoffs or (), default=0))

    def _shape(self, vocabulary: int) -> FeedForwardShape:
        return FeedForwardShape(
            vocabulary=vocabulary,
            context=self.order - 1,
            embedding=self.embedding,
            hidden=self.hidden,
            direct=self.direct,
            dropout=self.dropout,
            cutoffs=default_cutoffs(vocabulary) if self.cutoffs is None else self.cutoffs,
        )

    def make_network(self, vocabulary: int) -> FeedForwardNetwork:
        return FeedForwardNetwork(self._shape(vocabulary), self.dtype)

    def make_batches(self, corpus: Corpus, n_shards: int) -> Batches[Chunk]:
        options = self.options
        return WindowBatches(
            corpus, options.batch_size, self.order - 1, n_shards=n_shards, seed=options.seed
        )

    def start(self) -> tuple[int, ...]:
        """The state at the start of a sequence: n - 1 times `<s>`."""
        return (self.vocabulary.bos_id,) * (self.order - 1)

    def advance(self, state: tuple[int, ...], token: int) -> tuple[int, ...]:
        """The last n - 1 tokens, oldest first. Raises UsageError for an invalid id."""
        self.vocabulary.check_id(token)
        return (*state[1:], token)

    def log_distribution(self, state: tuple[int, ...]) -> FloatArray:
        """Log p of every next token in nats, (V,)."""
        h = self._network.forward(np.array(state)[:, None])
        log_p: FloatArray = self._network.output.log_distribution(h)[0]
        return log_p

    def scored(
        self, sequences: Sequences, scoring: Scoring, wanted: BoolArray | None = None
    ) -> FloatArray:
        """See `BatchedModel`."""
        windows = Windows(sequences, self.order - 1)
        network = self._network
        return score_windows(windows, network.forward, network.output, scoring, wanted)
