"""The smoothing methods by name. Adding one is adding its class here."""

import difflib
from typing import Any

from langmodels.errors import UsageError
from langmodels.ngram.interpolation import (
    AbsoluteDiscounting,
    JelinekMercer,
    KneserNey,
    ModifiedKneserNey,
    WittenBell,
)
from langmodels.ngram.katz import Katz
from langmodels.ngram.smoothing import (
    Additive,
    Given,
    Laplace,
    MaximumLikelihood,
    Smoothing,
    StupidBackoff,
)

SMOOTHINGS: dict[str, type[Smoothing]] = {
    method.name: method
    for method in (
        MaximumLikelihood,
        Laplace,
        Additive,
        JelinekMercer,
        WittenBell,
        AbsoluteDiscounting,
        Katz,
        KneserNey,
        ModifiedKneserNey,
        StupidBackoff,
    )
}


_BY_NAME: dict[str, type[Smoothing]] = {**SMOOTHINGS, Given.name: Given}
"""What a model file may name: also what is no method to fit with."""


def make_smoothing(name: str, **options: Any) -> Smoothing:
    """A smoothing method by name, with its options.

    Raises UsageError for a name that is not in `SMOOTHINGS`, TypeError for options it does not
    take.
    """
    if name not in _BY_NAME:
        near = difflib.get_close_matches(name, SMOOTHINGS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(SMOOTHINGS)}."
        raise UsageError(f"There is no smoothing method {name!r}; {hint}")
    return _BY_NAME[name](**options)
