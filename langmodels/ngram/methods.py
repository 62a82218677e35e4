"""The registry of smoothing methods: add one by listing its class here, or by registering it."""

from typing import Any

from langmodels.names import Registry
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
from langmodels.settings import check_options

SMOOTHINGS: Registry[type[Smoothing]] = Registry(
    "smoothing method",
    {
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
    },
    aliases={"absolute_discounting": "absolute", "mkn": "modified_kneser_ney", "kn": "kneser_ney"},
    group="langmodels.smoothings",
)


def make_smoothing(name: str, **options: Any) -> Smoothing:
    """A smoothing method by name, with its options.

    "given" stands for tables that were not estimated here. Raises UsageError for any other name not
    in `SMOOTHINGS`, and for options that the method does not take.
    """
    method = Given if name == Given.name else SMOOTHINGS.find(name)
    check_options(method, options, f"The smoothing method {method.name}")
    return method(**options)


def restored_smoothing(name: str, options: dict[str, Any]) -> Smoothing:
    """The smoothing method of a model file, with the options stored in it; see
    `Smoothing.implied`.
    """
    implied = SMOOTHINGS[name].implied if name in SMOOTHINGS else {}
    return make_smoothing(name, **{**implied, **options})
