"""Recurrent language models: RNN, LSTM and GRU."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from langmodels.arrays import BoolArray, FloatArray, IntArray
from langmodels.errors import UsageError
from langmodels.neural.batched import BatchedModel
from langmodels.neural.layers.adaptive import default_cutoffs
from langmodels.neural.layers.cells import CELLS
from langmodels.neural.layers.softmax import Scoring
from langmodels.neural.recurrent.network import RecurrentNetwork, RecurrentShape, States
from langmodels.neural.recurrent.scoring import score_continuation, score_pieces
from langmodels.neural.training.batches import Batches, Chunk, StreamBatches, WindowBatches, Windows
from langmodels.neural.training.options import whole_numbers
from langmodels.neural.windows import score_windows
from langmodels.settings import forwards
from langmodels.text.corpus import Corpus
from langmodels.text.sequences import Sequences

RecurrentState = States | tuple[int, ...]
"""The states of all layers; for a model with `window`, the last `window` tokens, oldest first."""


class RecurrentModel(BatchedModel[RecurrentState, RecurrentNetwork]):
    """h_t = cell(h_{t-1}, x_t), p(x_{t+1}) = softmax(h_t W + b).

    A sequence starts with `<s>` and a zero state. Training reads the corpus as a stream, in chunks
    of `steps` tokens; the state is carried from chunk to chunk, but no gradient flows back
    (truncated back-propagation through time). With `window` each prediction instead starts from a
    zero state and the last `window` tokens, in training and in scoring; shorter contexts are padded
    on the left with `<s>`.

    Args:
        cell: recurrent cell: rnn, lstm, gru, mingru, or one that another package registers.
        hidden: units in each layer.
        layers: number of stacked recurrent layers.
        embedding: width of the input vectors; none: as many as hidden units.
        one_hot: whether inputs are one-hot vectors, without an embedding.
        tied: whether the output matrix is the embedding; none: if shapes agree, with a full softmax
            and more types than `hidden`.
        dropout: rate between layers and before the output.
        input_dropout: rate on the embedded input.
        shared_dropout: whether one dropout mask serves all steps of a chunk.
        weight_dropout: dropout rate on the hidden-to-hidden weights.
        cutoffs: frequency ranks that divide an adaptive softmax; (): full softmax; none:
            2000+10000 above 10,000 types.
        window: tokens of context; none: unlimited.
    """

    kind = "recurrent"

    def __init__(
        self,
        *,
        cell: str = "lstm",
        hidden: int = 128,
        layers: int = 1,
        embedding: int | None = None,
        one_hot: bool = False,
        tied: bool | None = False,
        dropout: float = 0.3,
        input_dropout: float = 0.0,
        shared_dropout: bool = False,
        weight_dropout: float = 0.0,
        cutoffs: int | Sequence[int] | None = None,
        window: int | None = None,
        dtype: str = "float32",
        **training: Any,
    ) -> None:
        super().__init__(dtype, **training)
        if window is not None and window < 1:
            raise UsageError(f"A window must be at least 1 token long, not {window}.")
        if one_hot and (tied or embedding is not None):
            raise UsageError("One-hot input has no embedding; leave out embedding and tied.")
        if cell != "relu-rnn":
            CELLS.find(cell)
        self.cell = cell
        self.hidden, self.layers, self.embedding = hidden, layers, embedding
        self.one_hot, self.tied, self.window = one_hot, tied, window
        self.dropout, self.input_dropout = dropout, input_dropout
        self.shared_dropout, self.weight_dropout = shared_dropout, weight_dropout
        self.cutoffs = None if cutoffs is None else whole_numbers(cutoffs)
        # Invalid sizes raise here, not only in `fit`.
        self._shape(2 + max(self.cutoffs or (), default=0))

    def _shape(self, vocabulary: int) -> RecurrentShape:
        tied, cutoffs = self.tied, self.cutoffs
        if cutoffs is None:
            cutoffs = () if tied else default_cutoffs(vocabulary)
        if tied is None:
            alike = not self.one_hot and self.embedding in (None, self.hidden)
            tied = alike and not cutoffs and vocabulary > self.hidden
        return RecurrentShape(
            cell=self.cell,
            vocabulary=vocabulary,
            hidden=self.hidden,
            layers=self.layers,
            embedding=None if self.one_hot else self.embedding or self.hidden,
            tied=tied,
            dropout=self.dropout,
            input_dropout=self.input_dropout,
            shared_dropout=self.shared_dropout,
            weight_dropout=self.weight_dropout,
            cutoffs=cutoffs,
        )

    def make_network(self, vocabulary: int) -> RecurrentNetwork:
        return RecurrentNetwork(self._shape(vocabulary), self.dtype)

    def make_batches(self, corpus: Corpus, n_shards: int) -> Batches[Chunk]:
        options = self.options
        if self.window is not None:
            return WindowBatches(
                corpus, options.batch_size, self.window, n_shards=n_shards, seed=options.seed
            )
        return StreamBatches(
            corpus,
            options.batch_size,
            options.steps,
            n_shards=n_shards,
            seed=options.seed,
            shuffled=options.shuffled,
        )

    # The two functions ----------------------------------------------------------------------

    @property
    def context_length(self) -> int | None:
        """The window; None without one."""
        return self.window

    @property
    def slides(self) -> bool:
        return self.window is not None

    @property
    def reads_streams(self) -> bool:
        """True without `window`."""
        return self.window is None

    def start(self) -> RecurrentState:
        """The state after `<s>`."""
        bos = self.vocabulary.bos_id
        if self.window is not None:
            return (bos,) * self.window
        return self._after(self._network.zero_states(1), bos)

    def advance(self, state: RecurrentState, token: int) -> RecurrentState:
        """One step of all layers. Raises UsageError for an id outside the vocabulary."""
        self._check_input(token)
        if isinstance(state, tuple):
            return (*state[1:], token)
        return self._after(state, token)

    def start_after(self, state: RecurrentState, last: int) -> RecurrentState:
        """See `Contexts`; the states are kept and `<s>` is read, but a window starts anew."""
        if isinstance(state, tuple):
            return self.start()
        return self._after(state, self.vocabulary.bos_id)

    def _check_input(self, token: int) -> None:
        """Raise UsageError unless `token` is an id that the network can read."""
        self.vocabulary.check_id(token)

    def _after(self, states: States, token: int) -> States:
        """The states after reading one token."""
        self._network.forward(np.array([[token]]), states)
        return self._network.final_states

    def log_distribution(self, state: RecurrentState) -> FloatArray:
        """Log p of every next token in nats, (V,)."""
        if isinstance(state, tuple):
            h = self._network.forward(np.array(state)[:, None])[-1]
        else:
            h = self._network.top(state)
        log_p: FloatArray = self._network.output.log_distribution(h)[0]
        return log_p

    def scored(
        self, sequences: Sequences, scoring: Scoring, wanted: BoolArray | None = None
    ) -> FloatArray:
        """See `BatchedModel`; sequences, and pieces of long ones, are run in one batch."""
        if self.window is None:
            return score_pieces(self._network, self._streams(sequences), scoring, wanted)

        def top(inputs: IntArray) -> FloatArray:
            h: FloatArray = self._network.forward(inputs)[-1]
            return h

        windows = Windows(sequences, self.window)
        return score_windows(windows, top, self._network.output, scoring, wanted)

    @property
    def remembers(self) -> bool:
        """True without `window`."""
        return self.window is None

    def score_on(self, sequences: Sequences, memory: Any = None) -> tuple[FloatArray, Any]:
        """See `LanguageModel`; the memory is the states of the layers."""
        if self.window is not None:
            return super().score_on(sequences)
        ((inputs, targets),) = self._streams(sequences)
        return score_continuation(self._network, inputs, targets, memory)

    def _streams(self, sequences: Sequences) -> list[tuple[IntArray, IntArray]]:
        """Inputs and targets of each stream, a sequence, or a whole document if state is carried
        from each sequence to the next.
        """
        return list(sequences.streams())


class RNNModel(RecurrentModel):
    """The simple recurrent network of Elman (1990), with tanh units.

    Args:
        relu: whether units are rectified linear, not tanh, with an identity as initial recurrent
            matrix (Le et al. 2015).
    """

    kind = "rnn"

    @forwards(without=("cell",))
    def __init__(
        self,
        *,
        relu: bool = False,
        tied: bool | None = None,
        learning_rate: float = 0.008,
        epochs: int = 5,
        **options: Any,
    ) -> None:
        cell = "relu-rnn" if relu else "rnn"
        super().__init__(
            cell=cell, tied=tied, learning_rate=learning_rate, epochs=epochs, **options
        )
        self.relu = relu


class LSTMModel(RecurrentModel):
    """Long short-term memory (Hochreiter and Schmidhuber 1997) with forget gates."""

    kind = "lstm"

    @forwards(without=("cell",))
    def __init__(
        self,
        *,
        tied: bool | None = None,
        learning_rate: float = 0.02,
        epochs: int = 5,
        **options: Any,
    ) -> None:
        super().__init__(
            cell="lstm", tied=tied, learning_rate=learning_rate, epochs=epochs, **options
        )


class GRUModel(RecurrentModel):
    """Gated recurrent units (Cho et al. 2014), in the variant of cuDNN; see `cells.GRU`."""

    kind = "gru"

    @forwards(without=("cell",))
    def __init__(
        self,
        *,
        tied: bool | None = None,
        learning_rate: float = 0.01,
        epochs: int = 5,
        **options: Any,
    ) -> None:
        super().__init__(
            cell="gru", tied=tied, learning_rate=learning_rate, epochs=epochs, **options
        )


class MinGRUModel(RecurrentModel):
    """Minimal gated recurrent units (Feng et al. 2024), whose gates depend on the input only.

    There are two layers by default: the input of the second is the state of the first, so that its
    gates depend on the history.
    """

    kind = "mingru"

    @forwards(without=("cell",))
    def __init__(
        self,
        *,
        layers: int = 2,
        tied: bool | None = None,
        learning_rate: float = 0.02,
        epochs: int = 5,
        **options: Any,
    ) -> None:
        super().__init__(
            cell="mingru",
            layers=layers,
            tied=tied,
            learning_rate=learning_rate,
            epochs=epochs,
            **options,
        )
