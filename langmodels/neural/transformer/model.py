"""The Transformer as a language model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from langmodels.arrays import BoolArray, FloatArray, IndexArray
from langmodels.models.contexts import in_windows
from langmodels.neural.batched import BatchedModel
from langmodels.neural.layers.adaptive import default_cutoffs
from langmodels.neural.layers.softmax import Scoring
from langmodels.neural.training.batches import Batches, Chunk, StreamBatches
from langmodels.neural.training.options import whole_numbers
from langmodels.neural.transformer.network import (
    TransformerNetwork,
    TransformerShape,
    TransformerState,
)
from langmodels.neural.transformer.scoring import score_continuation, score_pieces, stride_of
from langmodels.text.corpus import Corpus
from langmodels.text.reading import Text
from langmodels.text.sequences import Sequences


@dataclass(frozen=True, eq=False)
class WindowState:
    """The network's state; for learned positions also the tokens of the current window, oldest
    first.
    """

    network: TransformerState
    tokens: tuple[int, ...] = ()


class TransformerModel(BatchedModel[WindowState, TransformerNetwork]):
    """A decoder-only Transformer (Vaswani et al. 2017; Radford et al. 2018) with pre-norm blocks.

    The state is a KV cache of the last `window` tokens in each layer.

    Rotary positions: every layer attends to the last `window` positions of a text of any length.
    Training reads the corpus as a stream, in chunks of `steps` tokens that also attend to the cache
    of the chunk before, into which no gradient flows (as in Transformer-XL: Dai et al. 2019).

    Learned positions: there are `window` of them. After these a new window starts, with the last
    half of the tokens of the old one as its first half. Training reads independent chunks of
    `window` tokens.

    Independent chunks, those and `shuffled` ones, have at least `window` tokens even if `steps` is
    less, and a batch has correspondingly fewer: positions or distances beyond the length of a chunk
    would never be trained.

    With `positions="learned", norm="layer", activation="gelu", bias=True` it is the architecture of
    GPT-2; the default is that of Llama, but with tied embeddings.

    Args:
        width: width of the residual stream.
        heads: attention heads in each layer; a divisor of the width.
        layers: number of blocks, each of attention and a feed-forward layer.
        window: positions that a layer attends to, the current one included.
        positions: rotary or learned.
        norm: rms or layer.
        activation: activation of the feed-forward layers: swiglu or gelu.
        inner: units of each feed-forward layer; none: 8/3 of the width for swiglu, 4 times the
            width for gelu.
        bias: whether linear layers have biases.
        tied: whether the output matrix is the embedding matrix; none: with a full
            softmax.
        dropout: rate on the embedded input, and on the outputs of attention and feed-forward
            layers.
        cutoffs: frequency ranks that divide an adaptive softmax; (): full softmax; none:
            2000+10000 above 10,000 types.
        optimizer: see `TrainingOptions`.
        learning_rate: learning rate after the warmup.
        warmup: steps of linear increase of the learning rate, at most a quarter of all steps.
        beta2: decay of Adam's moving average of squared gradients.
        l2: weight decay; with adamw, of matrices only.
    """

    kind = "transformer"

    def __init__(
        self,
        *,
        width: int = 96,
        heads: int = 4,
        layers: int = 2,
        window: int = 32,
        positions: str = "rotary",
        norm: str = "rms",
        activation: str = "swiglu",
        inner: int | None = None,
        bias: bool = False,
        tied: bool | None = None,
        dropout: float = 0.2,
        cutoffs: int | Sequence[int] | None = None,
        dtype: str = "float32",
        optimizer: str = "adamw",
        learning_rate: float = 0.004,
        warmup: int = 100,
        beta2: float = 0.98,
        l2: float = 0.1,
        **training: Any,
    ) -> None:
        rule = {"optimizer": optimizer, "learning_rate": learning_rate, "warmup": warmup}
        super().__init__(dtype, **rule, beta2=beta2, l2=l2, **training)
        self.width, self.heads, self.layers, self.window = width, heads, layers, window
        self.positions, self.norm, self.activation = positions, norm, activation
        self.inner, self.bias, self.tied, self.dropout = inner, bias, tied, dropout
        self.cutoffs = None if cutoffs is None else whole_numbers(cutoffs)
        # Invalid sizes raise here, not only in `fit`.
        self._shape(2 + max(self.cutoffs or (), default=0))

    def _shape(self, vocabulary: int) -> TransformerShape:
        cutoffs = self.cutoffs
        if cutoffs is None:
            cutoffs = () if self.tied else default_cutoffs(vocabulary)
        return TransformerShape(
            vocabulary=vocabulary,
            width=self.width,
            heads=self.heads,
            layers=self.layers,
            window=self.window,
            positions=self.positions,
            norm=self.norm,
            activation=self.activation,
            inner=self.inner,
            bias=self.bias,
            tied=not cutoffs if self.tied is None else self.tied,
            dropout=self.dropout,
            cutoffs=cutoffs,
        )

    def make_network(self, vocabulary: int) -> TransformerNetwork:
        return TransformerNetwork(self._shape(vocabulary), self.dtype)

    def make_batches(self, corpus: Corpus, n_shards: int) -> Batches[Chunk]:
        o = self.options
        batch, steps, learned = o.batch_size, o.steps, self.positions == "learned"
        if learned or o.shuffled:
            longer = max(steps, self.window)
            most = corpus.n_tokens // self.window
            batch = max(1, min(batch * steps // longer, most))
            steps = self.window if learned else longer
        return StreamBatches(
            corpus, batch, steps, n_shards=n_shards, seed=o.seed, shuffled=o.shuffled
        )

    # The two functions ----------------------------------------------------------------------

    @property
    def context_length(self) -> int:
        """The greatest number of preceding tokens that p depends on.

        With rotary positions each layer reaches window - 1 positions further back.
        """
        if self.positions == "learned":
            return self.window
        return self.layers * (self.window - 1) + 1

    def lengths_used(self, lengths: IndexArray) -> IndexArray:
        """See `Contexts`; with learned positions between half a window and a whole one."""
        if self.positions == "learned":
            return in_windows(lengths, self.window, stride_of(self.window))
        return super().lengths_used(lengths)

    @property
    def reads_streams(self) -> bool:
        """True for rotary positions, of which there is no last one."""
        return self.positions != "learned"

    def start(self) -> WindowState:
        """The state after `<s>`."""
        return self._after(WindowState(self._network.zero_states(1)), self.vocabulary.bos_id)

    def advance(self, state: WindowState, token: int) -> WindowState:
        """The state with the keys and values of one more token. Raises UsageError for an invalid
        id.
        """
        self.vocabulary.check_id(token)
        return self._after(state, token)

    def start_after(self, state: WindowState, last: int) -> WindowState:
        """See `Contexts`; the cache is kept, and `<s>` is read."""
        return self._after(state, self.vocabulary.bos_id)

    def _after(self, state: WindowState, token: int) -> WindowState:
        """The state after reading a token; a full window of learned positions is begun anew."""
        network, before = self._network, state.network
        read, tokens = [token], [*state.tokens, token]
        if len(tokens) > self.window:
            read = tokens = tokens[stride_of(self.window) :]
            before = network.zero_states(1)
        network.forward(np.array(read)[:, None], before)
        learned = self.positions == "learned"
        return WindowState(network.final_states, tuple(tokens) if learned else ())

    def log_distribution(self, state: WindowState) -> FloatArray:
        """Log p of every next token in nats, (V,)."""
        log_p: FloatArray = self._network.output.log_distribution(state.network.top)[0]
        return log_p

    def scored(
        self, sequences: Sequences, scoring: Scoring, wanted: BoolArray | None = None
    ) -> FloatArray:
        """See `BatchedModel`; sequences, and pieces of long ones, are run in one batch."""
        return score_pieces(self._network, list(sequences.streams()), scoring, wanted)

    def score_on(self, sequences: Sequences, memory: Any = None) -> tuple[FloatArray, Any]:
        """See `LanguageModel`; the memory is the last tokens on which later predictions depend."""
        ((inputs, targets),) = sequences.streams()
        return score_continuation(self._network, inputs, targets, memory)

    def attention(self, text: Text) -> FloatArray:
        """The attention weights over `<s>` and the tokens of a text, (layers, heads, T, T).

        Entry [l, h, t, s] is the weight of position s for the query at position t, from which the
        token at t + 1 is predicted; rows sum to one, and weights are zero for s > t. Position 0 is
        `<s>`; if the text is longer than the learned positions, the T tokens are those of the last
        window.
        """
        ids = [self.vocabulary.bos_id, *self.encode(text).tolist()]
        seen = self.state(text).tokens if self.positions == "learned" else ids
        return self._network.attention(np.array(seen))
