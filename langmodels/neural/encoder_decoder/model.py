"""The encoder-decoder: a language model of targets, conditional on a source sequence."""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np

from langmodels.arguments import checked
from langmodels.arrays import Array, FloatArray, IntArray
from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.decoding import Hypothesis
from langmodels.neural.base import NeuralModel
from langmodels.neural.encoder_decoder.network import (
    Encoded,
    EncoderDecoderNetwork,
    EncoderDecoderShape,
)
from langmodels.neural.encoder_decoder.pairs import PairBatcher, PairBatches, Sources
from langmodels.neural.encoder_decoder.search import beam_search
from langmodels.neural.training.batches import Batches
from langmodels.text.corpus import AnyText, Corpus
from langmodels.text.parallel_corpus import ParallelCorpus
from langmodels.text.reading import Reading, Text
from langmodels.text.sequences import Sequences

_PAIRS_AT_ONCE = 256  # pairs per batch in scoring


@dataclass(frozen=True, eq=False)
class DecoderState:
    """The encoded source with the current states of the decoder's layers, and the output of the
    top layer, (1, 1, H).
    """

    encoded: Encoded
    top: Array


class EncoderDecoderModel(NeuralModel[DecoderState, EncoderDecoderNetwork]):
    """p(target | source): an encoder reads the source, a decoder is a language model of the target.

    It is fitted to a `ParallelCorpus`. `given(source)` returns the language model conditional on
    that source, with the whole interface of language models; `score`, `token_scores`, `sample` and
    `complete` also take the source as `given=...`. By default the source is empty.

    Without attention the decoder sees only the final state of the encoder; reading the source
    backwards then helps (`reverse`: Sutskever, Vinyals and Le 2014, section 3.3).

    Args:
        cell: recurrent cell of encoder and decoder: rnn, lstm, gru or mingru.
        hidden: units in each layer.
        layers: recurrent layers of the encoder, and of the decoder.
        embedding: width of the input vectors; none: as many as hidden units.
        bidirectional: whether the encoder reads in both directions, with `hidden` units in each.
        attention: score function of the attention: luong or bahdanau; none: no attention.
        reverse: whether the source is read backwards.
        dropout: rate between layers, on the encoder's outputs, and before the output.
        input_dropout: rate on the input vectors.
    """

    kind = "encoder-decoder"

    source_reading: Reading

    def __init__(
        self,
        *,
        cell: str = "gru",
        hidden: int = 64,
        layers: int = 1,
        embedding: int | None = None,
        bidirectional: bool = True,
        attention: str | None = "luong",
        reverse: bool = False,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        dtype: str = "float32",
        epochs: int = 8,
        batch_size: int = 64,
        **training: Any,
    ) -> None:
        super().__init__(dtype, epochs=epochs, batch_size=batch_size, **training)
        self.cell, self.hidden, self.layers, self.embedding = cell, hidden, layers, embedding
        self.bidirectional, self.attention, self.reverse = bidirectional, attention, reverse
        self.dropout, self.input_dropout = dropout, input_dropout
        self._source = np.empty(0, np.int32)
        self._shape(1, 1)  # invalid sizes raise here, not only in `fit`

    def _shape(self, source: int, target: int) -> EncoderDecoderShape:
        return EncoderDecoderShape(
            self.cell,
            source,
            target,
            self.hidden,
            self.layers,
            self.embedding or self.hidden,
            self.bidirectional,
            self.attention,
            self.dropout,
            self.input_dropout,
        )

    def make_network(self, vocabulary: int) -> EncoderDecoderNetwork:
        return EncoderDecoderNetwork(
            self._shape(len(self.source_reading.vocabulary), vocabulary), self.dtype
        )

    def _check_extends(self, init: Any) -> None:
        super()._check_extends(init)
        if init.source_reading.vocabulary != self.source_reading.vocabulary:
            raise UsageError("the sources have another vocabulary")

    def adopt(
        self, corpus: AnyText, validation: AnyText | None = None
    ) -> tuple[Corpus, Corpus | None]:
        """See `Model`; both must be parallel corpora."""
        source = _parallel(corpus).source
        shown = source if validation is None else _parallel(validation).source
        if shown.vocabulary != source.vocabulary:
            raise UsageError("The validation pairs must be encoded with the training vocabularies.")
        self.source_reading = source.reading
        self._example = next(shown.sequences())
        return super().adopt(corpus, validation)

    def make_batches(self, corpus: Corpus, n_shards: int) -> Batches[Any]:
        options = self.options
        return PairBatches(
            _parallel(corpus),
            options.batch_size,
            reverse=self.reverse,
            n_shards=n_shards,
            seed=options.seed,
        )

    def _digest(self, corpus: Corpus) -> list[int]:
        return [*super()._digest(corpus), *super()._digest(_parallel(corpus).source)]

    def _sample_line(self, tokens: int) -> str:
        source = self.source_reading.text(self.source_reading.decode(self._example))
        (found,) = self.translate([self._example], max_tokens=tokens)
        return f"{source} -> {self.reading.text(found)}"

    # Conditional on a source ------------------------------------------------------------------

    def given(self, source: Text) -> Self:
        """The model conditional on a source; it shares the weights."""
        model = copy.copy(self)
        model._source = self.encode_source(source)
        return model

    def encode_source(self, source: Text) -> IntArray:
        """Ids of a source given as text, tokens or ids, without boundaries."""
        return self.source_reading.encode(source)

    def start(self, source: Text | None = None) -> DecoderState:
        """The state after `<s>`, for a source, by default that of `given`."""
        if source is not None:
            return self.given(source).start()
        encoded = self._network.encode(
            Sources.of([self._bounded(self._source)], reverse=self.reverse)
        )
        encoded = encoded.columns(np.zeros(1, np.int64))  # a copy: the next call overwrites it
        return self._after(encoded, self.vocabulary.bos_id)

    def _bounded(self, ids: IntArray) -> IntArray:
        """Source ids with `<s>` and `</s>`."""
        vocabulary = self.source_reading.vocabulary
        return np.concatenate([[vocabulary.bos_id], ids, [vocabulary.eos_id]]).astype(np.int32)

    def _after(self, encoded: Encoded, token: int) -> DecoderState:
        """The state after reading a token."""
        h, states = self._network.decode(np.array([[token]]), encoded)
        return DecoderState(Encoded(states, encoded.memory, encoded.mask), h.copy())

    def advance(self, state: DecoderState, token: int) -> DecoderState:
        """The state after one more step of the decoder. Raises UsageError for an invalid id."""
        self.vocabulary.check_id(token)
        return self._after(state.encoded, token)

    def log_distribution(self, state: DecoderState) -> FloatArray:
        """Log p of every next token in nats, (V,)."""
        y = self._network.attend(state.top, state.encoded)
        log_p: FloatArray = self._network.output.log_distribution(y[0])[0]
        return log_p

    def score(self, sequence: Text, given: Text | None = None) -> float:
        """Log p(sequence | given) in nats; without `given` for the source of this model."""
        return float(self.token_scores(sequence, given).sum())

    def token_scores(self, sequence: Text, given: Text | None = None) -> FloatArray:
        """Log p of each token given the source and the tokens before it, in nats, (n,)."""
        model = self if given is None else self.given(given)
        return LanguageModel.token_scores(model, sequence)

    def sample(self, prompt: Text = (), *, given: Text | None = None, **options: Any) -> list[str]:
        """See `LanguageModel`."""
        model = self if given is None else self.given(given)
        return LanguageModel.sample(model, prompt, **options)

    def complete(
        self, prompt: Text = (), *, given: Text | None = None, **options: Any
    ) -> list[tuple[list[str], float]]:
        """See `LanguageModel`."""
        model = self if given is None else self.given(given)
        return LanguageModel.complete(model, prompt, **options)

    def score_sequences(self, sequences: Sequences) -> FloatArray:
        """See `LanguageModel`; a `ParallelCorpus` is scored in batches of pairs.

        Sequences without sources are scored given the source of this model.
        """
        if not isinstance(sequences, ParallelCorpus):
            return super().score_sequences(sequences)
        corpus = sequences
        if corpus.source.vocabulary != self.source_reading.vocabulary:
            raise UsageError("The sources must be encoded with the vocabulary of the model.")
        pairs = PairBatcher(corpus, reverse=self.reverse)
        order = pairs.by_length(np.arange(len(pairs)))
        scores = np.empty(corpus.n_tokens)
        for begin in range(0, len(order), _PAIRS_AT_ONCE):
            index = order[begin : begin + _PAIRS_AT_ONCE]
            batch = pairs.batch(index)
            scores[pairs.places(index, batch.valid)] = self._network.log_prob(batch)
        return scores

    # Targets for sources ----------------------------------------------------------------------

    @checked
    def search(
        self, sources: Sequence[Text], *, width: int = 8, max_tokens: int = 100
    ) -> list[list[Hypothesis]]:
        """The most probable targets found for each source by a beam of `width`, best first."""
        ids = [self._bounded(self.encode_source(source)) for source in sources]
        end = cast(int, self.vocabulary.eos_id)
        return beam_search(
            self._network, ids, end, width=width, max_tokens=max_tokens, reverse=self.reverse
        )

    @checked
    def translate(
        self, sources: Sequence[Text], *, width: int = 1, max_tokens: int = 100
    ) -> list[list[str]]:
        """The tokens of the most probable target found for each source; greedy if `width` is 1."""
        found = self.search(sources, width=width, max_tokens=max_tokens)
        return [self.vocabulary.decode(hypotheses[0].ids) for hypotheses in found]

    def attention_weights(self, source: Text, target: Text) -> FloatArray:
        """The attention weights of each token of the target on the tokens of the source.

        Returns (T, S), rows summing to one; T includes `</s>`, S both boundaries. Raises UsageError
        for a model without attention.
        """
        network = self._network
        if network.attention is None:
            raise UsageError("This model has no attention; train one with attention=luong.")
        batch = Sources.of([self._bounded(self.encode_source(source))], reverse=self.reverse)
        encoded = network.encode(batch)
        inputs = np.r_[self.vocabulary.bos_id, self.encode(target)][:, None]
        h, _ = network.decode(inputs, encoded)
        network.attend(h, encoded)
        weights: FloatArray = network.attention.weights[0].astype(np.float64)
        return weights[:, ::-1] if self.reverse else weights

    # Files ----------------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        return {**super().config(), "source_reading": self.source_reading.metadata()}

    def arrays(self) -> dict[str, Array]:
        source = self.source_reading.arrays()
        return {**super().arrays(), **{f"source.{name}": a for name, a in source.items()}}

    def _restore_more(self, config: dict[str, Any], arrays: Mapping[str, Array]) -> None:
        prefix = "source."
        source = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
        metadata = config.get("source_reading")
        if metadata is None:  # a file of version 0.1
            metadata = {"tokenizer": json.dumps(config["source_tokenizer"])}
        self.source_reading = Reading.restore(metadata, source)


def _parallel(corpus: AnyText) -> ParallelCorpus:
    if not isinstance(corpus, ParallelCorpus):
        raise UsageError(
            "An encoder-decoder is fitted to a ParallelCorpus of (source, target) pairs."
        )
    return corpus
