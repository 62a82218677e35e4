"""The unigram model: tokens independent of each other and of everything before them."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from langmodels.arrays import Array, FloatArray
from langmodels.checks import LOG_PROB, Expected, check_arrays, check_values
from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.text.corpus import AnyText
from langmodels.text.reading import Reading
from langmodels.text.sequences import Sequences

ADDED = {"mle": 0.0, "laplace": 1.0, "lidstone": 0.1}
"""The default alpha of each smoothing method."""

_NAMES = {0.0: "mle", 1.0: "laplace"}


class UnigramModel(LanguageModel[None]):
    """p(x) = (c(x) + alpha) / (N + alpha (V - 1)) over all tokens but ``<s>``.

    With "mle" smoothing this is the relative frequency c(x) / N itself, and tokens without a count
    have probability zero. "laplace" adds one to every count, so that ``<unk>`` has some
    probability; "lidstone" adds `alpha`, 0.1 by default.

    Args:
        alpha: added to every count, at least 0; none: the default of the smoothing method.
        smoothing: "mle", "laplace" or "lidstone"; none: by `alpha`, or laplace.

    Raises UsageError for an `alpha` that is not that of the smoothing method.
    """

    kind: ClassVar[str] = "unigram"

    def __init__(self, alpha: float | None = None, *, smoothing: str | None = None) -> None:
        if alpha is not None and not 0 <= alpha <= 1e100:  # beyond, sums could overflow
            raise UsageError(f"The added count alpha must be from 0 to 1e100, not {alpha}.")
        if smoothing is None:
            smoothing = "laplace" if alpha is None else _NAMES.get(alpha, "lidstone")
        if smoothing not in ADDED:
            raise UsageError(
                f"There is no unigram smoothing {smoothing!r}; choose one of {', '.join(ADDED)}."
            )
        if alpha is not None and smoothing != "lidstone" and alpha != ADDED[smoothing]:
            raise UsageError(f"With {smoothing} smoothing alpha is {ADDED[smoothing]:g}.")
        self.smoothing = smoothing
        self.alpha = ADDED[smoothing] if alpha is None else float(alpha)

    def fit(self, corpus: AnyText, validation: AnyText | None = None) -> Self:
        """Count the tokens of a corpus; the validation text is not used.

        Raises LangmodelsError for an empty corpus.
        """
        corpus, _ = self.adopt(corpus, validation)
        counts = corpus.id_counts() + self.alpha
        counts[self.vocabulary.bos_id] = 0.0
        with np.errstate(divide="ignore"):
            self._log_p: FloatArray = np.log(counts / counts.sum())
        return self

    def start(self) -> None:
        return None

    def advance(self, state: None, token: int) -> None:
        self.vocabulary.check_id(token)

    def log_distribution(self, state: None) -> FloatArray:
        return self._log_p.copy()

    def log_prob_next(self, state: None, token: int) -> float:
        self.vocabulary.check_id(token)
        return float(self._log_p[token])

    def score_sequences(self, sequences: Sequences) -> FloatArray:
        scores: FloatArray = self._log_p[sequences.targets]
        return scores

    @property
    def n_parameters(self) -> int:
        return self.vocabulary.n_predictable

    @property
    def slides(self) -> bool:
        return True

    @property
    def caveat(self) -> str:
        """For "mle", that unseen words have probability zero."""
        return "" if self.alpha else "Not smoothed: words never seen have probability zero."

    @property
    def context_length(self) -> int:
        return 0

    def scores_from_nothing(self, sequences: Sequences) -> FloatArray:
        """See `LanguageModel`; the context makes no difference."""
        return self.scores(sequences)

    def used_in(self, state: None, length: int) -> int:
        return 0

    def arrays(self) -> dict[str, Array]:
        return {"log_p": self._log_p}

    @classmethod
    def restore(cls, config: dict[str, Any], arrays: Mapping[str, Array], reading: Reading) -> Self:
        check_values(config, {"alpha": float})
        expected = {"log_p": Expected("float64", (len(reading.vocabulary),), **LOG_PROB)}
        check_arrays(arrays, expected)
        model = cls(config["alpha"], smoothing=config.get("smoothing"))
        model._log_p = arrays["log_p"]
        model.check_start()
        return model
