"""Fitting, storing and restoring the parts of models that are made of models."""

from collections.abc import Mapping, Sequence
from typing import Any

from langmodels.arrays import Array
from langmodels.checks import check_values
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.files import revive
from langmodels.progress import track
from langmodels.tensors import StoredArrays
from langmodels.text.corpus import Corpus
from langmodels.text.reading import Reading

Part = LanguageModel[Any]


def check_probabilities(parts: Sequence[Part], whole: str) -> None:
    """Raise UsageError for a part whose scores are not probabilities; `whole` names what it is part
    of, such as "a mixture".
    """
    for part in parts:
        if not part.is_distribution:
            raise UsageError(
                f"{type(part).__name__} gives scores that are not probabilities; "
                f"it cannot be part of {whole}."
            )


def common_reading(parts: Sequence[Part]) -> Reading | None:
    """The one reading of all parts; None unless all are fitted.

    Raises UsageError for fitted parts with different vocabularies.
    """
    fitted = [part for part in parts if part.is_fitted]
    for part in fitted:
        if part.vocabulary != fitted[0].vocabulary:
            raise UsageError("The parts of a model must share one vocabulary.")
    return fitted[0].reading if len(fitted) == len(parts) else None


def fit_parts(parts: Sequence[Part], corpus: Corpus, validation: Corpus | None) -> None:
    """Fit the parts that are not fitted yet.

    Raises UsageError where one was fitted with another vocabulary.
    """
    with track("Fitting the parts of a model", total=len(parts)) as meter:
        for part in parts:
            if not part.is_fitted:
                part.fit(corpus, validation)
            elif part.vocabulary != corpus.vocabulary:
                raise UsageError("A part of the model was fitted with another vocabulary.")
            meter.advance()


def part_config(part: Part) -> dict[str, Any]:
    """The entry of a part in the configuration that a model file holds."""
    return {"kind": part.kind, "config": part.config()}


def part_arrays(parts: Mapping[str, Part]) -> dict[str, Array]:
    """The arrays of all parts, each under `part.array`."""
    return {
        f"{name}.{key}": array
        for name, part in parts.items()
        for key, array in part.arrays().items()
    }


def restore_part(
    name: str, config: Mapping[str, Any], arrays: Mapping[str, Array], reading: Reading
) -> Part:
    """The fitted part `name` from what `part_config` and `part_arrays` stored.

    Raises LangmodelsError where its kind is unknown.
    """
    check_values(config, {"kind": str, "config": Any})
    stored = arrays if isinstance(arrays, StoredArrays) else StoredArrays(arrays)
    own = stored.under(f"{name}.")
    part = revive(config["kind"], config["config"], own, reading)
    if not isinstance(part, LanguageModel):
        raise LangmodelsError(
            f"A {type(part).__name__} is no language model and cannot be part of one."
        )
    return part
