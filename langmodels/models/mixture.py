"""Linear interpolation: a model whose distribution is a weighted mean of others'."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from langmodels.arrays import Array, FloatArray
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.base import LanguageModel, Model, Text
from langmodels.models.mixture_weights import check_weights, em_weights, log_mean
from langmodels.progress import track
from langmodels.text.corpus import Corpus
from langmodels.text.tokenization import Tokenizer
from langmodels.text.vocabulary import Vocabulary

States = tuple[Any, ...]


class MixtureModel(LanguageModel[States]):
    """p(w | h) = sum over k of weight_k p_k(w | h), for parts with one vocabulary.

    Weights that are not given are learnt from the validation text by EM (Jelinek and Mercer 1980,
    "Interpolated estimation of Markov source parameters from sparse data"), and are equal where
    there is none. `fit` fits the parts that are not fitted yet. The state is the tuple of the
    parts' states.

    Args:
        models: the parts.
        weights: one a part, scaled to sum to one and kept; none: learnt from the validation text.

    Raises UsageError for no parts, parts whose scores are not probabilities, fitted parts with
    different vocabularies, and impossible weights.
    """

    kind = "mixture"

    def __init__(
        self, models: Sequence[LanguageModel[Any]], weights: Sequence[float] | None = None
    ) -> None:
        self.models = list(models)
        if not self.models:
            raise UsageError("A mixture needs at least one model.")
        for model in self.models:
            if not model.is_distribution:
                raise UsageError(
                    f"{type(model).__name__} gives scores that are not probabilities; "
                    "it cannot be part of a mixture."
                )
        self.fixed = weights is not None
        self.weights = check_weights(weights, len(self.models))
        fitted = [m for m in self.models if m.is_fitted]
        for model in fitted:
            if model.vocabulary != fitted[0].vocabulary:
                raise UsageError("The parts of a mixture must share one vocabulary.")
        if len(fitted) == len(self.models):
            self._take_over(fitted[0])

    def fit(self, corpus: Corpus, validation: Corpus | None = None) -> Self:
        """Fit the parts that are not fitted yet, then the weights on the validation text."""
        self._adopt(corpus, validation)
        with track("Fitting the parts of a mixture", total=len(self.models)) as task:
            for model in self.models:
                if not model.is_fitted:
                    model.fit(corpus, validation)
                elif model.vocabulary != corpus.vocabulary:
                    raise UsageError("A part of the mixture was fitted with another vocabulary.")
                task.advance()
        if validation is not None and not self.fixed:
            self.fit_weights(validation)
        return self

    def fit_weights(self, corpus: Corpus) -> Self:
        """Learn the weights by EM on held-out text; the parts stay as they are."""
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

    def score_corpus(self, corpus: Corpus) -> FloatArray:
        """Log p of every target, nats, (corpus.n_tokens,); as fast as the parts are."""
        self._check_corpus(corpus)
        return log_mean([model.score_corpus(corpus) for model in self.models], self.weights)

    @property
    def n_parameters(self) -> int:
        """Those of the parts, and the free weights."""
        return sum(model.n_parameters for model in self.models) + len(self.models) - 1

    @property
    def context_length(self) -> int | None:
        """The longest of the parts'; None where one has no limit."""
        lengths = [model.context_length for model in self.models]
        limits = [n for n in lengths if n is not None]
        return max(limits) if len(limits) == len(lengths) else None

    def context_used(self, context: Text = ()) -> int:
        """The most that any part takes into account."""
        return max(model.context_used(context) for model in self.models)

    def get_params(self) -> dict[str, Any]:
        """See `Configurable`; weights that were learnt are not given."""
        weights = tuple(self.weights.tolist()) if self.fixed else None
        return {"models": self.models, "weights": weights}

    def config(self) -> dict[str, Any]:
        parts = [{"kind": model.kind, "config": model.config()} for model in self.models]
        return {"parts": parts, "weights": self.weights.tolist(), "fixed": self.fixed}

    def arrays(self) -> dict[str, Array]:
        return {
            f"part{i}.{name}": array
            for i, model in enumerate(self.models)
            for name, array in model.arrays().items()
        }

    @classmethod
    def restore(
        cls,
        config: dict[str, Any],
        arrays: Mapping[str, Array],
        vocabulary: Vocabulary,
        tokenizer: Tokenizer,
    ) -> Self:
        models = [
            restore_part(part, f"part{i}.", arrays, vocabulary, tokenizer)
            for i, part in enumerate(config["parts"])
        ]
        mixture = cls(models, config["weights"])
        # As they were saved: scaling again could change the last digit.
        mixture.weights = np.array(config["weights"], np.float64)
        mixture.fixed = bool(config["fixed"])
        return mixture


def restore_part(
    part: Mapping[str, Any],
    prefix: str,
    arrays: Mapping[str, Array],
    vocabulary: Vocabulary,
    tokenizer: Tokenizer,
) -> LanguageModel[Any]:
    """A model that was stored inside another one, with `prefix` before its arrays' names.

    Raises LangmodelsError where its kind is unknown.
    """
    cls = Model._classes.get(part["kind"])
    if cls is None or not issubclass(cls, LanguageModel):
        raise LangmodelsError(f"A part of the model is of the unknown kind {part['kind']!r}.")
    own = {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
    model: LanguageModel[Any] = cls.restore(part["config"], own, vocabulary, tokenizer)
    model.vocabulary, model.tokenizer = vocabulary, tokenizer
    return model
