"""The base class of models whose network scores many targets in one batch."""

from abc import abstractmethod
from typing import Generic

from langmodels.arrays import BoolArray, FloatArray
from langmodels.models.contexts import Measure
from langmodels.neural.base import N, NeuralModel, S
from langmodels.neural.layers.softmax import LOG_PROB, Scoring, measuring
from langmodels.text.sequences import Sequences


class BatchedModel(NeuralModel[S, N], Generic[S, N]):
    """A neural model with a batched `scored`, on which log p and other measures are computed."""

    @abstractmethod
    def scored(
        self, sequences: Sequences, scoring: Scoring, wanted: BoolArray | None = None
    ) -> FloatArray:
        """The values of `scoring` for every target, (sequences.n_tokens, *scoring.numbers), in
        order; zero where `wanted` (sequences.n_tokens,) is false.
        """

    def score_sequences(self, sequences: Sequences) -> FloatArray:
        """See `LanguageModel`."""
        return self.scored(sequences, LOG_PROB)

    def from_distributions(
        self,
        sequences: Sequences,
        measure: Measure,
        numbers: int,
        wanted: BoolArray | None = None,
    ) -> FloatArray:
        """See `Contexts`."""
        scoring = measuring(measure, numbers, len(self.vocabulary))
        return self.scored(sequences, scoring, wanted)
