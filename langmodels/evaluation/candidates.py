"""What is to be compared: registered models with their options, or a caller's own."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.blanks import ClozeModel
from langmodels.presets import Setting
from langmodels.registry import CLOZE_MODELS, MODELS, ModelSpec, model_spec, parse_name
from langmodels.text.tokenization import TOKENIZERS

AnyModel = LanguageModel[Any] | ClozeModel
Models = Sequence[str | AnyModel] | Mapping[str, str | AnyModel]
"""Names with options, as after `--models`, or unfitted models; a mapping gives them labels."""


@dataclass(frozen=True)
class Candidate:
    """One model of a comparison, not yet fitted.

    `options` are all its hyper-parameters; one with a `seed` among them is random, and is trained
    once for each seed of the comparison, or where its name gives one (`own_seed`) with that.
    `prototype` is the caller's own model, copied before it is fitted.
    """

    label: str
    name: str
    level: str
    options: Mapping[str, Any] = field(default_factory=dict)
    prototype: AnyModel | None = None
    own_seed: bool = False

    @property
    def random(self) -> bool:
        """Whether its figures depend on a seed."""
        return self.prototype is None and "seed" in self.options

    def seeds(self, first: int, n: int) -> list[int]:
        """The seeds with which it is to be trained where random models are with so many."""
        if not self.random:
            return [first]
        return [self.options["seed"]] if self.own_seed else list(range(first, first + n))

    @property
    def summary(self) -> str:
        """What the model is, in a clause."""
        spec = _find(self.name)
        return "a model of the caller's" if spec is None else spec.summary

    @property
    def caveat(self) -> str:
        """What has to be said of its figures, if anything."""
        return getattr(self.prototype or self.make(), "caveat", "")

    @property
    def fills_blanks(self) -> bool:
        """Whether that is all it does."""
        return isinstance(self.prototype, ClozeModel) or self.name in CLOZE_MODELS

    def make(self, seed: int | None = None) -> AnyModel:
        """A new model to fit, with another seed where one is given and it is random."""
        if self.prototype is not None:
            return copy.deepcopy(self.prototype)
        options = dict(self.options)
        if self.random and seed is not None:
            options["seed"] = seed
        return (_find(self.name) or model_spec(self.name)).make_exactly(options)


def make_candidates(
    models: Models | None, levels: Sequence[str], setting: Setting
) -> list[Candidate]:
    """The candidates that names and models stand for, at every one of the levels.

    None stands for the registered models that are compared by default. The option `level` of a name
    (`mkn:level=char`) sets the level of that model. Each is there once, however often it is named.

    Raises UsageError for unknown names, options and levels.
    """
    for level in levels:
        _check_level(level)
    if models is None:
        models = [name for name, spec in MODELS.working() if spec.compared]
    labelled: list[tuple[str | None, str | AnyModel]]
    labelled = list(models.items()) if isinstance(models, Mapping) else [(None, m) for m in models]
    candidates: dict[tuple[str, str], Candidate] = {}
    for label, model in labelled:
        if not isinstance(model, str):
            found = [Candidate(label or _label_of(model), model.kind, levels[0], prototype=model)]
            found[0] = replace(found[0], options=_config_of(model))
        else:
            found = _of_name(model, label, levels, setting)
        for candidate in found:
            key = (candidate.label, candidate.level)
            if candidates.setdefault(key, candidate) != candidate:
                raise UsageError(
                    f"Two models are called {candidate.label}; give them labels of their own."
                )
    if not candidates:
        raise UsageError("There is nothing to compare; name at least one model.")
    return list(candidates.values())


def _of_name(
    text: str, label: str | None, levels: Sequence[str], setting: Setting
) -> list[Candidate]:
    name, given = parse_name(text)
    spec = _find(name) or model_spec(name)
    own = given.pop("level", None)
    if own is not None:
        _check_level(str(own))
    found = []
    for level in [str(own)] if own is not None else levels:
        options = {**spec.defaults(replace(setting, level=level)), **given}
        shown = " ".join([spec.name, *(f"{k}={v}" for k, v in given.items())])
        own_seed = "seed" in given
        candidate = Candidate(label or shown, spec.name, level, options, own_seed=own_seed)
        candidate.make()  # so that a bad option is an error before any work is done
        found.append(candidate)
    return found


def _find(name: str) -> ModelSpec[AnyModel] | None:
    return CLOZE_MODELS[name] if name in CLOZE_MODELS else MODELS.get(name)


def _check_level(level: str) -> None:
    if level not in TOKENIZERS:
        raise UsageError(f"There is no level {level!r}; choose from {', '.join(TOKENIZERS)}.")


def _label_of(model: AnyModel) -> str:
    return type(model).__name__


def _config_of(model: AnyModel) -> dict[str, Any]:
    """Hyper-parameters of an unfitted model, as far as it can tell them."""
    try:
        config = model.config()
        return dict(config.get("arguments", config))
    except (AttributeError, TypeError, ValueError):
        return {}
