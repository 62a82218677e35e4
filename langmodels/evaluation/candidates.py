"""The candidates of a comparison: registered models with their options, or the caller's own."""

import copy
import math
import os
import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.blanks import ClozeModel
from langmodels.models.model import Model
from langmodels.names import file_labels, is_added
from langmodels.presets import Setting
from langmodels.registry import (
    CLOZE_MODELS,
    MODELS,
    ModelSpec,
    check_no_file,
    is_finished,
    load_any,
    model_spec,
)
from langmodels.settings import parse_name
from langmodels.text.levels import TOKENIZERS

AnyModel = LanguageModel[Any] | ClozeModel
Named = str | os.PathLike[str] | AnyModel
MOST_SETTINGS = 1000
"""The most settings of one sweep, unless only some are drawn."""

Models = Named | Sequence[Named] | Mapping[str, Named]
"""Names with options, or paths of files, as after `--models`, or models; a mapping gives labels."""


@dataclass(frozen=True)
class SweepOf:
    """A sweep over settings of one model, of which the best is chosen: its name as typed, and the
    number of settings.

    `options` are the names of the options that vary.
    """

    name: str
    settings: int
    options: tuple[str, ...]


@dataclass(frozen=True)
class Candidate:
    """One model of a comparison.

    `options` are all its hyper-parameters. A candidate with a `seed` among them is random: it is
    trained once for each seed of the comparison, or only with its own if its name states one
    (`own_seed`). `prototype` is a caller's unfitted model, which is copied before fitting. A
    `finished` model is measured as it is; `path` is its file, if it came from one. `sweep` is the
    sweep to which the candidate belongs, if any.
    """

    label: str
    name: str
    level: str
    options: Mapping[str, Any] = field(default_factory=dict)
    prototype: AnyModel | None = None
    own_seed: bool = False
    finished: AnyModel | None = None
    path: str = ""
    sweep: SweepOf | None = None

    def __getstate__(self) -> dict[str, Any]:
        """For another process: a model from a file is reopened there, and its arrays are shared."""
        return {**self.__dict__, **({"finished": None} if self.path else {})}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.path:
            self.__dict__["finished"] = load_any(self.path)

    @property
    def random(self) -> bool:
        """Whether its figures depend on a seed."""
        return not self.given and "seed" in self.options

    @property
    def given(self) -> bool:
        """Whether it is a model object of the caller's, and not one by name."""
        return self.prototype is not None or self.finished is not None

    @property
    def repeatable(self) -> bool:
        """Whether name and options determine it: none of its code is the caller's."""
        named = [self.name, parse_name(self.level)[0]]
        named += [value for value in self.options.values() if isinstance(value, str)]
        return not self.given and not any(map(is_added, named))

    def seeds(self, first: int, n: int) -> list[int]:
        """The seeds to train it with: `n` from `first` on if it is random, else one."""
        if not self.random:
            return [first]
        return [self.options["seed"]] if self.own_seed else list(range(first, first + n))

    @property
    def summary(self) -> str:
        """A short description of the model."""
        if self.finished is not None:
            return f"a finished {type(self.finished).__name__}"
        spec = _find(self.name)
        return "a model of the caller's" if spec is None else spec.summary

    @property
    def caveat(self) -> str:
        """A sentence to print beside its figures, or nothing."""
        return getattr(self.finished or self.prototype or self.make(), "caveat", "")

    @property
    def fills_blanks(self) -> bool:
        """Whether it is a `ClozeModel`, which only fills blanks."""
        if self.given:
            return isinstance(self.finished or self.prototype, ClozeModel)
        return self.name in CLOZE_MODELS

    def make(self, seed: int | None = None) -> AnyModel:
        """A new unfitted model, with the given seed if it is random."""
        if self.prototype is not None:
            return copy.deepcopy(self.prototype)
        options = dict(self.options)
        if self.random and seed is not None:
            options["seed"] = seed
        return (_find(self.name) or model_spec(self.name)).make_exactly(options)


@dataclass(frozen=True)
class Trial:
    """One candidate to be trained and measured with one seed."""

    candidate: Candidate
    seed: int

    def make(self) -> AnyModel:
        """A new unfitted model."""
        return self.candidate.make(self.seed)


def make_candidates(
    models: Models | None,
    levels: Sequence[str],
    setting: Setting,
    draws: int | None = None,
    tokens_at: Callable[[str], int] | None = None,
) -> list[Candidate]:
    """The candidates for names and models, at each of the levels.

    None stands for the registered models compared by default. The option `level` in a name
    (`mkn:level=char`) overrides the levels. Repeated names count once. A name with several values
    of an option (`lstm:hidden=64|128`) is a sweep over all combinations, or over `draws` of them,
    drawn by the seed of `setting`. `tokens_at` returns the number of training tokens at a level, on
    which default hyper-parameters depend.

    Repeated names give one candidate, with a warning. Raises UsageError for unknown names, options
    and levels, and for different models with the same label.
    """
    for level in levels:
        _check_level(level)
    if models is None:
        models = [name for name, spec in MODELS.working() if spec.compared]
    opened: dict[str, Model] = {}
    if isinstance(models, str | os.PathLike | LanguageModel | ClozeModel):
        models = [models]
    named: list[tuple[str | None, Named]]
    named = list(models.items()) if isinstance(models, Mapping) else [(None, m) for m in models]
    labelled: list[tuple[str | None, str | AnyModel]]
    labelled = [(label, os.fspath(m) if isinstance(m, os.PathLike) else m) for label, m in named]
    called = file_labels(m for _, m in labelled if isinstance(m, str))
    candidates: dict[tuple[str, str], Candidate] = {}
    for label, model in labelled:
        if not isinstance(model, str):
            found = [_of_model(model, label or type(model).__name__, levels[0])]
        elif is_finished(model):
            file = opened[model] = opened.get(model) or load_any(model)
            found = [replace(_of_model(file, label or called[model], levels[0]), path=model)]
        else:
            sweep, names = _settings_of(model, draws, setting.seed)
            if sweep is not None and label is not None:
                raise UsageError(
                    f"{label} labels a sweep, whose settings have labels of their own; give the "
                    "sweep without a label."
                )
            found = [
                replace(candidate, sweep=sweep)
                for name in names
                for candidate in _of_name(name, label, levels, setting, tokens_at)
            ]
        for candidate in found:
            key = (candidate.label, candidate.level)
            if key not in candidates:
                candidates[key] = candidate
            elif candidates[key] == candidate:
                warnings.warn(
                    f"{candidate.label} is named more than once; it is compared once.",
                    stacklevel=2,
                )
            else:
                raise UsageError(
                    f"Two models are called {candidate.label}; give them labels of their own."
                )
    if not candidates:
        raise UsageError("There is nothing to compare; name at least one model.")
    return list(candidates.values())


def _settings_of(text: str, draws: int | None, seed: int) -> tuple[SweepOf | None, list[str]]:
    """The sweep of a name with several values of options, and the names of all its settings or of
    those drawn.

    Raises UsageError for an option without a value, and for more than `MOST_SETTINGS` settings.
    """
    name, *parts = text.split(":")
    if not any("|" in part for part in parts):
        return None, [text]
    choices, varied = [], []
    for part in parts:
        key, equals, values = part.partition("=")
        alternatives = list(dict.fromkeys(value.strip() for value in values.split("|")))
        if not equals or "" in alternatives:
            raise UsageError(f"In {text!r}, {part!r} has an option without a value.")
        if len(alternatives) > 1:
            varied.append(key.strip().replace("-", "_"))
        choices.append([f"{key}={value}" for value in alternatives])
    n = math.prod(map(len, choices))
    if n > MOST_SETTINGS and draws is None:
        raise UsageError(
            f"{text} has {n:,} settings; at most {MOST_SETTINGS:,} are trained: draw some of them "
            "(--random N), or give fewer values."
        )
    picked = sorted(random.Random(seed).sample(range(n), min(n, draws or n)))
    names = []
    for number in picked:
        chosen: list[str] = []
        for choice in reversed(choices):
            number, at = divmod(number, len(choice))
            chosen.insert(0, choice[at])
        names.append(":".join([name, *chosen]))
    return SweepOf(text, n, tuple(varied)), names


def _of_model(model: Model, label: str, level: str) -> Candidate:
    """The candidate of a caller's model, to be fitted or, if it is fitted, measured as it is."""
    if not isinstance(model, LanguageModel | ClozeModel):
        raise UsageError(f"{label} is a {type(model).__name__}, which `compare` cannot measure.")
    options = _config_of(model)
    if model.is_fitted:
        own = model.tokenizer.level
        return Candidate(label, model.kind, own, options, finished=model)
    return Candidate(label, model.kind, level, options, prototype=model)


def _of_name(
    text: str,
    label: str | None,
    levels: Sequence[str],
    setting: Setting,
    tokens_at: Callable[[str], int] | None,
) -> list[Candidate]:
    name, given = parse_name(text)
    spec = _find(name)
    if spec is None:
        check_no_file(text)
        spec = model_spec(name)
    own = given.pop("level", None)
    if own is not None:
        _check_level(str(own))
    found = []
    for level in [str(own)] if own is not None else levels:
        here = replace(setting, level=level)
        # Report a bad option now, before the text is read.
        spec.make_exactly({**spec.options(here), **given})
        if tokens_at is not None:
            here = replace(here, tokens=tokens_at(level))
        options = {**spec.options(here), **given}
        own_seed = "seed" in given
        found.append(
            Candidate(label or _label(spec, given), spec.name, level, options, own_seed=own_seed)
        )
    return found


def label_asked(text: str, candidates: Sequence[Candidate]) -> str:
    """The label of the candidate that a label, a path or a name as after `--models` refers to; the
    text itself where there is none.
    """
    labels = {candidate.label for candidate in candidates}
    if text in labels:
        return text
    if files := {candidate.label for candidate in candidates if candidate.path == text}:
        return files.pop()
    try:
        name, given = parse_name(text)
    except UsageError:
        return text
    spec, level = _find(name), given.pop("level", None)
    label = text if spec is None else _label(spec, given)
    if label not in labels:
        return text
    return label if level is None else f"{label} ({level})"


def _label(spec: ModelSpec[AnyModel], given: Mapping[str, Any]) -> str:
    return " ".join([spec.name, *(f"{k}={v}" for k, v in given.items())])


def _find(name: str) -> ModelSpec[AnyModel] | None:
    return CLOZE_MODELS[name] if name in CLOZE_MODELS else MODELS.get(name)


def _check_level(level: str) -> None:
    TOKENIZERS.find(parse_name(level)[0])


def _config_of(model: AnyModel) -> dict[str, Any]:
    """The hyper-parameters of a model, as far as they are JSON values."""
    try:
        config = model.config()
        return dict(config.get("arguments", config))
    except (AttributeError, TypeError, ValueError):
        return {}
