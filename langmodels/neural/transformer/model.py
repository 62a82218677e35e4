"""The Transformer as a language model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from langmodels.arrays import BoolArray, FloatArray, IndexArray
from langmodels.models.contexts import in_windows
from langmodels.neural.batched import BatchedModel
from langmodels.neural.layers.adaptive import usual_cutoffs
from langmodels.neural.layers.softmax import Scoring
from langmodels.neural.training.batches import Batches, Chunk, StreamBatches
from langmodels.neural.training.options import whole_numbers
from langmodels.neural.transformer.network import (
    TransformerNetwork,
    TransformerShape,
    TransformerState,
)
from langmodels.neural.transformer.scoring import score_pieces, score_stretch, stride_of
from langmodels.text.corpus import Corpus
from langmodels.text.reading import Text
from langmodels.text.sequences import Sequences


@dataclass(frozen=True, eq=False)
class WindowState:
    """The network's state and, for learned positions, the tokens in the window, in order."""

    network: TransformerState
    tokens: tuple[int, ...] = ()


class TransformerModel(BatchedModel[WindowState, TransformerNetwork]):
    """A decoder-only Transformer (Vaswani et al. 2017; Radford et al. 2018), pre-normalised.

    The state is the keys and values of the last `window` tokens, layer by layer. With rotary
    positions every layer attends to the last `window` positions of a text of any length; training
    reads it as a stream, in chunks of `steps` tokens that attend to the chunk before. There are
    only `window` learned positions: after these, a new window starts with the last half of the
    tokens of the old one; training reads independent chunks of `window` tokens. Scoring and
    stepping see the same contexts.

    Independent chunks (those, and `shuffled` ones) have at least `window` tokens whatever `steps`
    is, and correspondingly fewer are in a batch: positions and distances that no chunk reaches
    would not be trained.

    With `positions="learned", norm="layer", activation="gelu", bias=True` it is the architecture of
    GPT-2, by default that of Llama but for the tied output.

    Args:
        width: width of the vectors between layers.
        heads: attention heads in each layer; a divisor of the width.
        layers: number of blocks of attention and position-wise units.
        window: positions that a layer attends to, the present one included.
        positions: rotary or learned.
        norm: rms or layer.
        activation: activation of the position-wise units: swiglu or gelu.
        inner: position-wise units in each layer; none: 8/3 of the width for swiglu, 4 times for
            gelu.
        bias: whether linear maps have biases.
        tied: whether the embedding is also the matrix of the output layer; none: with a full
            softmax.
        dropout: rate on the embedded input and on the output of each half of a block.
        cutoffs: frequency ranks at which an adaptive softmax is cut; (): a full one; none:
            2000+10000 for more than 10,000 tokens.
        optimizer: rule by which gradients change weights; see `TrainingOptions`.
        learning_rate: the highest learning rate.
        warmup: steps of linear increase to it, at most a quarter of all steps.
        beta2: decay of the moving average of squared gradients.
        l2: weight decay; with adamw, of matrices only.
    """

    kind = "transformer"

    def __init__(
        self,
        *,
        width: int = 128,
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
        learning_rate: float = 0.003,
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
        self._shape(2 + max(self.cutoffs or (), default=0))  # refuses what could never work

    def _shape(self, vocabulary: int) -> TransformerShape:
        cutoffs = self.cutoffs
        if cutoffs is None:
            cutoffs = () if self.tied else usual_cutoffs(vocabulary)
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
        """The most preceding tokens that p depends on; windows that slide add up over the
        layers.
        """
        if self.positions == "learned":
            return self.window
        return self.layers * (self.window - 1) + 1

    def lengths_used(self, lengths: IndexArray) -> IndexArray:
        """See `Contexts`; a new window of learned positions starts with half of the old one."""
        if self.positions == "learned":
            return in_windows(lengths, self.window, stride_of(self.window))
        return super().lengths_used(lengths)

    @property
    def reads_streams(self) -> bool:
        """True for rotary positions, which do not run out."""
        return self.positions != "learned"

    def start(self) -> WindowState:
        """After `<s>`."""
        return self._after(WindowState(self._network.zero_states(1)), self.vocabulary.bos_id)

    def advance(self, state: WindowState, token: int) -> WindowState:
        """The state with the keys and values of one more token. Raises UsageError for an invalid
        id.
        """
        self.vocabulary.check_id(token)
        return self._after(state, token)

    def start_after(self, state: WindowState, last: int) -> WindowState:
        """See `Contexts`; the window slides on."""
        return self._after(state, self.vocabulary.bos_id)

    def _after(self, state: WindowState, token: int) -> WindowState:
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
        self,
        sequences: Sequences,
        scoring: Scoring,
        numbers: tuple[int, ...] = (),
        wanted: BoolArray | None = None,
    ) -> FloatArray:
        """See `BatchedModel`; many sequences, or pieces of one, are run in one batch."""
        return score_pieces(self._network, list(sequences.streams()), scoring, numbers, wanted)

    def score_on(self, sequences: Sequences, memory: Any = None) -> tuple[FloatArray, Any]:
        """See `LanguageModel`; the memory is the tokens that windows still reach."""
        ((inputs, targets),) = sequences.streams()
        return score_stretch(self._network, inputs, targets, memory)

    def attention(self, text: Text) -> FloatArray:
        """The attention weights of each token on each, (layers, heads, T, T); rows sum to one.

        Row and column 0 are `<s>`, unless learned positions ran out in the text: then the T tokens
        are those of the last window. Row t are the weights with which token t + 1 is predicted,
        after token t.
        """
        ids = [self.vocabulary.bos_id, *self.encode(text).tolist()]
        seen = self.state(text).tokens if self.positions == "learned" else ids
        return self._network.attention(np.array(seen))
