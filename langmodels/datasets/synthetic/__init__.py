"""Generators of text whose true entropy is known, so that a model can be held against the limit."""

import dataclasses
from typing import Any

from langmodels.datasets.queries import parse_query
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
from langmodels.names import Registry

PREFIX = "synthetic:"

_OURS: tuple[type[Generator], ...] = (
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

GENERATORS: Registry[type[Generator]] = Registry(
    "generator",
    {generator.kind: generator for generator in _OURS},
    group="langmodels.generators",
)

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
    generator = GENERATORS.find(kind)
    fields = {field.name: field for field in dataclasses.fields(generator)}
    values: dict[str, Any] = {}
    for key, value in parse_query(query, fields, f"{PREFIX}{kind}").items():
        number = fields[key].type
        try:
            values[key] = int(value) if number is int else float(value)
        except ValueError as error:
            wanted = "a whole number" if number is int else "a number"
            raise UsageError(f"{PREFIX}{kind} needs {wanted} for {key}, not {value!r}.") from error
    return generator(**values)


def parameter_help(generator: type[Generator]) -> str:
    """The parameters of a generator with their defaults, as they are written in a name."""
    common = {field.name for field in dataclasses.fields(Generator)}
    fields = sorted(dataclasses.fields(generator), key=lambda field: field.name in common)
    return ",".join(f"{field.name}={field.default}" for field in fields)
