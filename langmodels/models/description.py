"""Descriptions of a model: in one line, and as plain data."""

from collections.abc import Mapping
from typing import Any

from langmodels.models.base import LanguageModel
from langmodels.models.files import pack
from langmodels.models.model import Model
from langmodels.settings import Parameter, parameters


def describe(model: Model) -> dict[str, Any]:
    """A model's class, settings and sizes as plain data: what `langmodels info --json` prints.

    Fields that do not apply to its family are None or empty. Raises UsageError for a model that is
    not fitted.

    >>> from langmodels.registry import make_model
    >>> told = describe(make_model("mle:order=2").fit("a rose is a rose"))
    >>> told["class"], told["vocabulary"], told["context_length"], told["ngrams"]
    ('NGramModel', 6, 1, [6, 5])
    """
    sequences = model if isinstance(model, LanguageModel) else None
    arrays = pack(model)[1].items()
    return {
        "kind": model.kind,
        "class": type(model).__name__,
        "config": model.config(),
        "tokenizer": {"level": model.tokenizer.level, **model.tokenizer.config()},
        "vocabulary": len(model.vocabulary),
        "context_length": sequences.context_length if sequences else None,
        "parameters": model.n_parameters,
        "is_distribution": sequences is None or sequences.is_distribution,
        "closed": False,
        "ngrams": [],
        "discounts": [],
        "parts": part_lines(model),
        **model.facts(),
        "arrays": {
            name: {"dtype": str(array.dtype), "shape": array.shape, "bytes": array.nbytes}
            for name, array in arrays
        },
    }


def part_lines(model: Model) -> list[str]:
    """What each of the models that a model is made of is, in a line."""
    lines = []
    for part in model.parts:
        inside = "; ".join(part_lines(part))
        line = f"{type(part).__name__}: {settings_line(part)}"
        lines.append(f"{line} ({inside})" if inside else line)
    return lines


def settings_line(model: Model) -> str:
    """The hyper-parameters of a model, as its constructor takes them, in one line.

    Without the models that it is made of, of which `part_lines` has a line each.
    """
    params = model.get_params()
    parts = {name for name, value in params.items() if _is_part(value)}
    config = {k: v for k, v in model.config().items() if k not in {*parts, "parts"}}
    defaults = {name: known.default for name, known in parameters(type(model)).items()}
    return join_settings({k: v for k, v in config.items() if k in defaults} or config, defaults)


def join_settings(settings: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> str:
    """Names and values in one line, without those that are None; nested mappings are flattened.

    With `defaults`, a value that is None, False or zero is left out only if that is its default.

    >>> join_settings({"order": 2, "options": {"alpha": 0.0}, "validation": None})
    'order 2, alpha 0.0'
    >>> join_settings({"dropout": 0.0, "l2": 0.0, "tied": None}, {"dropout": 0.3, "l2": 0.0})
    'dropout 0.0'
    """
    parts = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            parts.append(join_settings(value, defaults))
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            continue  # a history, not a setting
        elif _is_told(value, (defaults or {}).get(name, Parameter.REQUIRED)):
            parts.append(f"{name.replace('_', ' ')} {value}")
    return ", ".join(part for part in parts if part)


def _is_part(value: Any) -> bool:
    """Whether a hyper-parameter is a model, or several."""
    return isinstance(value[0] if isinstance(value, list) and value else value, Model)


def _is_told(value: Any, default: Any) -> bool:
    value, default = ([] if one == () else one for one in (value, default))
    nothing = value is None or value is False or value in ([], "")
    if default is Parameter.REQUIRED:
        return not nothing
    return value != default or not (nothing or value == 0)
