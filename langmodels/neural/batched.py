"""The base class of models whose network scores many targets in one batch."""

from abc import abstractmethod
from typing import Generic

from langmodels.arrays import BoolArray, FloatArray
from langmodels.models.contexts import Measure
from langmodels.neural.base import N, NeuralModel, S
from langmodels.neural.layers.softmax import Scoring, log_prob, measuring
from langmodels.text.sequences import Sequences


class BatchedModel(NeuralModel[S, N], Generic[S, N]):
    """A neural model with a batched `scored`, on which log p and other measures are computed."""

    @abstractmethod
    def scored(
        self,
        sequences: Sequences,
        scoring: Scoring,
        numbers: tuple[int, ...] = (),
        wanted: BoolArray | None = None,
    ) -> FloatArray:
        """The values of `scoring` for every target, (sequences.n_tokens, *numbers), in order.

        `numbers` is the shape of what `scoring` returns for one target. The values are zero where
        `wanted` (sequences.n_tokens,) is false.
        """

    def score_sequences(self, sequences: Sequences) -> FloatArray:
        """See `LanguageModel`."""
        return self.scored(sequences, log_prob)

    def from_distributions(
        self,
        sequences: Sequences,
        measure: Measure,
        numbers: int,
        wanted: BoolArray | None = None,
    ) -> FloatArray:
        """See `Contexts`."""
        scoring = measuring(measure, len(self.vocabulary))
        return self.scored(sequences, scoring, (numbers,), wanted)
