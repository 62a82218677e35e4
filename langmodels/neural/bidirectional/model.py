"""The bidirectional recurrent model, which predicts a blank from the text on both sides."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from langmodels.arrays import FloatArray
from langmodels.models.blanks import Blank, ClozeModel, positions
from langmodels.models.scores import check_scores
from langmodels.neural.base import NetworkModel
from langmodels.neural.bidirectional.network import (
    BidirectionalNetwork,
    BidirectionalShape,
)
from langmodels.neural.bidirectional.segments import (
    BoundedSequences,
    SegmentBatches,
    Segments,
    scoring_segments,
)
from langmodels.neural.training.batches import Batches
from langmodels.text.corpus import Corpus
from langmodels.text.vocabulary import Vocabulary

_PIECE, _MARGIN = 512, 256  # in scoring: predicted tokens of a segment, and context on each side
_TOKENS = 16_384  # tokens per batch in scoring


class BidirectionalModel(NetworkModel[BidirectionalNetwork], ClozeModel):
    """p(x_t | all other tokens) from two independent recurrent networks, one for each side.

    In training a random fraction of the input is replaced by `<unk>`, so that the model learns to
    predict with parts of the context missing, as it has to where a text has several blanks.
    Sequences longer than `steps` are cut in training. In scoring they are cut into overlapping
    pieces, so that every token has at least 256 tokens of context on each side, or all there are.

    Args:
        cell: recurrent cell: rnn, lstm, gru or mingru.
        hidden: units in each layer of each direction.
        layers: recurrent layers in each direction.
        embedding: width of the input vectors; none: as many as hidden units.
        merged: tanh units that combine the two directions; none: as many as hidden units.
        dropout: rate on the input, between layers, and before the output.
        hidden_words: fraction of the input replaced by `<unk>` in training.
    """

    kind = "bidirectional"

    def __init__(
        self,
        *,
        cell: str = "lstm",
        hidden: int = 128,
        layers: int = 1,
        embedding: int | None = None,
        merged: int | None = None,
        dropout: float = 0.3,
        hidden_words: float = 0.03,
        dtype: str = "float32",
        **training: Any,
    ) -> None:
        super().__init__(dtype, **training)
        self.cell, self.hidden, self.layers = cell, hidden, layers
        self.embedding, self.merged = embedding, merged
        self.dropout, self.hidden_words = dropout, hidden_words
        self._shape(3, ())  # invalid sizes raise here, not only in `fit`

    def _shape(self, vocabulary: int, excluded: tuple[int, ...]) -> BidirectionalShape:
        return BidirectionalShape(
            self.cell,
            vocabulary,
            excluded,
            self.hidden,
            self.layers,
            self.embedding or self.hidden,
            self.merged or self.hidden,
            self.dropout,
            self.hidden_words,
        )

    def make_network(self, vocabulary: int) -> BidirectionalNetwork:
        end = self.vocabulary.eos_id
        excluded = (Vocabulary.bos_id,) if end is None else (Vocabulary.bos_id, end)
        return BidirectionalNetwork(self._shape(vocabulary, excluded), self.dtype)

    def make_batches(self, corpus: Corpus, n_shards: int) -> Batches[Segments]:
        o = self.options
        return SegmentBatches(corpus, o.batch_size, o.steps, n_shards=n_shards, seed=o.seed)

    def _validation_loss(self, corpus: Corpus) -> float:
        return -float(self._scores(corpus).mean())

    def _sample_line(self, tokens: int) -> str:
        return ""

    def score_blanks(self, corpus: Corpus) -> FloatArray:
        """See `Cloze`; a sequence is read once in each direction, not once for every blank."""
        self._check_corpus(corpus)
        scores = self._scores(corpus)
        check_scores(scores, corpus.ids[positions(corpus)], self.vocabulary)
        return scores

    def _scores(self, corpus: Corpus) -> FloatArray:
        """`score_blanks`, unchecked."""
        sequences = BoundedSequences(corpus)
        scores = np.empty(len(sequences.ids))
        for places, segments in scoring_segments(sequences, _PIECE, _MARGIN, _TOKENS):
            scores[places] = self._network.log_prob(segments)
        return scores[sequences.inside]

    def blank_distributions(self, blanks: Sequence[Blank]) -> FloatArray:
        """See `Cloze`."""
        end = self.vocabulary.eos_id
        end = self.vocabulary.bos_id if end is None else end
        sides = [(len(b.left), len(b.right)) for b in blanks]
        lengths = np.array([left + right + 3 for left, right in sides])
        inputs = np.full((int(lengths.max()), len(blanks)), end, np.int32)
        inputs[0] = self.vocabulary.bos_id
        hole = np.zeros(inputs.shape, np.bool_)
        for column, blank in enumerate(blanks):
            place = len(blank.left) + 1
            inputs[1:place, column] = blank.left
            inputs[place, column] = blank.answer
            inputs[place + 1 : place + 1 + len(blank.right), column] = blank.right
            hole[place, column] = True
        segments = Segments(inputs, lengths, hole, inputs[hole])
        # The network returns blanks row by row; column k is blank k.
        log_p = np.empty((len(blanks), len(self.vocabulary)))
        log_p[np.nonzero(hole)[1]] = self._network.log_distribution(segments)
        return log_p
