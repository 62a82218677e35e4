"""Generators of text whose true entropy is known, so that a model can be held against the limit."""

import dataclasses
import difflib
import re
from typing import Any

from langmodels.datasets.synthetic.base import Generator
from langmodels.datasets.synthetic.brackets import BracketSource
from langmodels.datasets.synthetic.hidden_markov import DnaSource, HiddenMarkovSource
from langmodels.datasets.synthetic.markov import MarkovSource
from langmodels.datasets.synthetic.periodic import PeriodicSource
from langmodels.datasets.synthetic.process import ProcessSource
from langmodels.datasets.synthetic.reber import ReberSource
from langmodels.datasets.synthetic.recall import RecallSource
from langmodels.datasets.synthetic.seasonal import SeasonalSource
from langmodels.errors import UsageError

PREFIX = "synthetic:"

GENERATORS: dict[str, type[Generator]] = {
    generator.kind: generator
    for generator in (
        MarkovSource,
        HiddenMarkovSource,
        PeriodicSource,
        ReberSource,
        RecallSource,
        BracketSource,
        DnaSource,
        ProcessSource,
        SeasonalSource,
    )
}

__all__ = [
    "GENERATORS",
    "PREFIX",
    "BracketSource",
    "DnaSource",
    "Generator",
    "HiddenMarkovSource",
    "MarkovSource",
    "PeriodicSource",
    "ProcessSource",
    "ReberSource",
    "RecallSource",
    "SeasonalSource",
    "make_generator",
    "parameter_help",
]


def make_generator(name: str) -> Generator:
    """Return the generator that a name such as `synthetic:markov?order=2&alphabet=8` describes.

    Parameters are separated by "&" or by "," (which a shell leaves alone). Raises UsageError for an
    unknown generator or parameter, and for a value that is not a number or out of range.

    >>> make_generator("synthetic:markov?order=1,seed=3").name
    'synthetic:markov?seed=3&order=1'
    """
    kind, _, query = name.removeprefix(PREFIX).partition("?")
    if kind not in GENERATORS:
        close = difflib.get_close_matches(kind, GENERATORS, n=1)
        hint = f"did you mean {PREFIX}{close[0]}?" if close else ""
        hint = hint or f"choose from {', '.join(GENERATORS)}."
        raise UsageError(f"There is no generator {kind!r}; {hint}")
    fields = {field.name: field for field in dataclasses.fields(GENERATORS[kind])}
    values: dict[str, Any] = {}
    for part in re.split("[&,]", query) if query else []:
        key, equals, value = part.partition("=")
        if key not in fields or not equals:
            raise UsageError(
                f"{PREFIX}{kind} has no parameter {part!r}; write NAME=NUMBER with a name out of "
                f"{', '.join(fields)}."
            )
        if key in values:
            raise UsageError(f"{PREFIX}{kind} is given {key} twice; leave one of them out.")
        number = fields[key].type
        try:
            values[key] = int(value) if number is int else float(value)
        except ValueError as error:
            wanted = "a whole number" if number is int else "a number"
            raise UsageError(f"{PREFIX}{kind} needs {wanted} for {key}, not {value!r}.") from error
    return GENERATORS[kind](**values)


def parameter_help(generator: type[Generator]) -> str:
    """The parameters of a generator with their defaults, as they are written in a name."""
    common = {field.name for field in dataclasses.fields(Generator)}
    fields = sorted(dataclasses.fields(generator), key=lambda field: field.name in common)
    return ",".join(f"{field.name}={field.default}" for field in fields)
