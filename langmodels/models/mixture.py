"""Linear interpolation: a model whose distribution is a weighted mean of others'."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from langmodels.arrays import Array, FloatArray
from langmodels.checks import check_values
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.mixture_weights import check_weights, em_weights, log_mean
from langmodels.models.parts import (
    check_probabilities,
    common_reading,
    fit_parts,
    part_arrays,
    part_config,
    restore_part,
)
from langmodels.text.corpus import AnyText, Corpus
from langmodels.text.reading import Reading, Text
from langmodels.text.sequences import Sequences

States = tuple[Any, ...]


class MixtureModel(LanguageModel[States]):
    """p(w | h) = sum over k of weight_k p_k(w | h), for parts with one vocabulary.

    Weights that are not given are estimated on the validation text by EM (Jelinek and Mercer 1980,
    "Interpolated estimation of Markov source parameters from sparse data"), or equal without such
    text. `fit` also fits the parts that are not fitted yet. The state is the tuple of the parts'
    states.

    Args:
        models: the parts.
        weights: one per part, scaled to sum to one; none: estimated by EM on the validation text.

    Raises UsageError for an empty list, for parts whose scores are not probabilities or whose
    vocabularies differ, and for weights that are negative, all zero or of the wrong number.
    """

    kind = "mixture"

    def __init__(
        self, models: Sequence[LanguageModel[Any]], weights: Sequence[float] | None = None
    ) -> None:
        self.models = list(models)
        if not self.models:
            raise UsageError("A mixture needs at least one model.")
        check_probabilities(self.models, "a mixture")
        self.fixed = weights is not None
        self.weights = check_weights(weights, len(self.models))
        self._reading = common_reading(self.models)

    def fit(self, corpus: AnyText, validation: AnyText | None = None) -> Self:
        """Fit the parts that are not fitted yet, then the weights by EM on the validation text."""
        corpus, validation = self.adopt(corpus, validation)
        fit_parts(self.models, corpus, validation)
        if validation is not None and not self.fixed:
            self.fit_weights(validation)
        return self

    def fit_weights(self, corpus: Corpus) -> Self:
        """Estimate the weights by EM on held-out text; the parts are not changed."""
        self._check_corpus(corpus)
        log_p = np.stack([model.score_corpus(corpus) for model in self.models])
        self.weights = em_weights(log_p, self.weights)
        return self

    def start(self) -> States:
        """The parts' states at the beginning of a sequence."""
        return tuple(model.start() for model in self.models)

    def advance(self, state: States, token: int) -> States:
        """The parts' states after one more token."""
        return tuple(m.advance(s, token) for m, s in zip(self.models, state, strict=True))

    def start_after(self, state: States, last: int) -> States:
        """See `Contexts`; each part carries over its own."""
        return tuple(m.start_after(s, last) for m, s in zip(self.models, state, strict=True))

    def state(self, context: Text = ()) -> States:
        """That of each part, which may read unknown words as they are spelled."""
        return tuple(model.state(context) for model in self.models)

    def walk(self, sequences: Sequences) -> Iterator[tuple[States, int]]:
        """That of each part."""
        targets = sequences.targets.tolist()
        walks = (model.walk(sequences) for model in self.models)
        for token, pairs in zip(targets, zip(*walks, strict=True), strict=True):
            yield tuple(state for state, _ in pairs), token

    def log_distribution(self, state: States) -> FloatArray:
        """Log of the weighted mean of the parts' distributions, nats, (V,)."""
        parts = zip(self.models, state, strict=True)
        return log_mean([m.log_distribution(s) for m, s in parts], self.weights)

    def log_prob_next(self, state: States, token: int) -> float:
        """Log p(token | context) in nats."""
        parts = zip(self.models, state, strict=True)
        return float(
            log_mean([np.array(m.log_prob_next(s, token)) for m, s in parts], self.weights)
        )

    def score_sequences(self, sequences: Sequences) -> FloatArray:
        """See `LanguageModel`; as fast as the parts are."""
        return log_mean([model.score_sequences(sequences) for model in self.models], self.weights)

    def score_on(self, sequences: Sequences, memory: Any = None) -> tuple[FloatArray, Any]:
        """See `LanguageModel`; the memory is the tuple of the parts' memories."""
        memories = [None] * len(self.models) if memory is None else memory
        found = [m.score_on(sequences, own) for m, own in zip(self.models, memories, strict=True)]
        return log_mean([scores for scores, _ in found], self.weights), [own for _, own in found]

    @property
    def remembers(self) -> bool:
        """Whether any part does."""
        return any(model.remembers for model in self.models)

    @property
    def reads_spelling(self) -> bool:
        """Whether any part does."""
        return any(model.reads_spelling for model in self.models)

    @property
    def n_parameters(self) -> int:
        """The parameters of the parts, plus the weights but one (they sum to one)."""
        return sum(model.n_parameters for model in self.models) + len(self.models) - 1

    @property
    def context_length(self) -> int | None:
        """The longest of the parts' context lengths; None if one has no limit."""
        lengths = [model.context_length for model in self.models]
        limits = [n for n in lengths if n is not None]
        return max(limits) if len(limits) == len(lengths) else None

    @property
    def slides(self) -> bool:
        return all(model.slides for model in self.models)

    def used_in(self, state: States, length: int) -> int:
        """The most tokens that any part depends on."""
        parts = zip(self.models, state, strict=True)
        return max(model.used_in(own, length) for model, own in parts)

    def get_params(self) -> dict[str, Any]:
        """See `Configurable`; weights that were estimated are None."""
        weights = tuple(self.weights.tolist()) if self.fixed else None
        return {"models": self.models, "weights": weights}

    @property
    def _parts(self) -> dict[str, LanguageModel[Any]]:
        return {f"part{i}": model for i, model in enumerate(self.models)}

    def config(self) -> dict[str, Any]:
        parts = [part_config(model) for model in self.models]
        return {"parts": parts, "weights": self.weights.tolist(), "fixed": self.fixed}

    def arrays(self) -> dict[str, Array]:
        return part_arrays(self._parts)

    @classmethod
    def restore(cls, config: dict[str, Any], arrays: Mapping[str, Array], reading: Reading) -> Self:
        check_values(config, {"parts": list[Any], "weights": list[float], "fixed": bool})
        models = [
            restore_part(f"part{i}", part, arrays, reading)
            for i, part in enumerate(config["parts"])
        ]
        mixture = cls(models, config["weights"])
        # As they were saved: scaling again could change the last digit.
        if not np.allclose(mixture.weights, config["weights"]):
            raise LangmodelsError(f"its weights do not sum to 1: {config['weights']}.")
        mixture.weights = np.array(config["weights"], np.float64)
        mixture.fixed = bool(config["fixed"])
        return mixture
