"""The unigram model: tokens independent of each other and of everything before them."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from langmodels.arrays import Array, FloatArray
from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.text.corpus import AnyText
from langmodels.text.reading import Reading, Text
from langmodels.text.sequences import Sequences


class UnigramModel(LanguageModel[None]):
    """p(x) = (c(x) + alpha) / (N + alpha (V - 1)) over all tokens but ``<s>``.

    With an alpha of 0, maximum likelihood, tokens without a count have probability zero; the
    default 1 (Laplace) leaves ``<unk>`` some.

    Args:
        alpha: what is added to every count, at least 0.
    """

    kind: ClassVar[str] = "unigram"

    def __init__(self, alpha: float = 1.0) -> None:
        if not 0 <= alpha < np.inf:
            raise UsageError(f"The added count alpha must be at least 0, not {alpha}.")
        self.alpha = float(alpha)

    def fit(self, corpus: AnyText, validation: AnyText | None = None) -> Self:
        """Count the tokens of a corpus; the validation text is not needed.

        Raises LangmodelsError for an empty corpus.
        """
        corpus, _ = self.adopt(corpus, validation)
        counts = np.bincount(corpus.targets, minlength=len(self.vocabulary)) + self.alpha
        counts[self.vocabulary.bos_id] = 0.0
        with np.errstate(divide="ignore"):
            self._log_p: FloatArray = np.log(counts / counts.sum())
        return self

    def start(self) -> None:
        return None

    def advance(self, state: None, token: int) -> None:
        return None

    def log_distribution(self, state: None) -> FloatArray:
        return self._log_p.copy()

    def log_prob_next(self, state: None, token: int) -> float:
        return float(self._log_p[token])

    def score_sequences(self, sequences: Sequences) -> FloatArray:
        scores: FloatArray = self._log_p[sequences.targets]
        return scores

    @property
    def n_parameters(self) -> int:
        return self.vocabulary.n_predictable

    @property
    def context_length(self) -> int:
        return 0

    def context_used(self, context: Text = ()) -> int:
        return 0

    def arrays(self) -> dict[str, Array]:
        return {"log_p": self._log_p}

    @classmethod
    def restore(cls, config: dict[str, Any], arrays: Mapping[str, Array], reading: Reading) -> Self:
        model = cls(config["alpha"])
        model._log_p = arrays["log_p"]
        return model
