"""Checks of the arrays and settings in a file against what each kind of model expects.

A file may be damaged or made by somebody else, so that nothing in it is trusted before it was
checked.
"""

import math
import types
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from langmodels.arrays import Array
from langmodels.errors import LangmodelsError

Length = int | str
"""The length of a dimension: a number, or a name that stands for the same number everywhere."""

_STRETCH = 1 << 20  # numbers checked at a time


@dataclass(frozen=True)
class Expected:
    """What an array must be.

    `dtype`: the allowed names, separated by blanks. `shape`: its lengths. Its values must lie
    between `low` and `high`, both included, and be less than `below`. `finite`: no value may be
    infinite. `rising`: no value may be less than the one before it. NaN is never allowed.
    """

    dtype: str
    shape: tuple[Length, ...]
    low: float = -math.inf
    high: float = math.inf
    below: Length | None = None
    finite: bool = False
    rising: bool = False


WEIGHT: dict[str, Any] = {"low": -1e8, "high": 1e8}
"""Limits of weights learnt by gradient descent; no network works with larger ones."""

LOG_PROB: dict[str, Any] = {"high": 1e-4}
"""Limits of log probabilities; rounding may raise them slightly above 0."""


def check_arrays(
    arrays: Mapping[str, Array],
    expected: Mapping[str, Expected],
    sizes: Mapping[str, int] | None = None,
    *,
    values: bool = True,
) -> dict[str, int]:
    """Check arrays that a file holds; return all named lengths, those of `sizes` included.

    Without `values`, only dtypes and lengths are checked, which takes no time. Raises
    LangmodelsError, which names the array.
    """
    known = dict(sizes or {})
    for name, wanted in expected.items():
        if name not in arrays:
            raise LangmodelsError(f"the array {name!r} is missing.")
        array = arrays[name]
        if array.dtype.name not in wanted.dtype.split():
            raise _damaged(name, f"holds {array.dtype.name}, not {wanted.dtype}")
        if array.ndim != len(wanted.shape):
            raise _damaged(name, f"has {array.ndim} dimensions, not {len(wanted.shape)}")
        for n, length in zip(array.shape, wanted.shape, strict=True):
            if n != (known.setdefault(length, n) if isinstance(length, str) else length):
                raise _damaged(name, f"has the shape {array.shape}, which does not fit the others")
    if values:
        for name, wanted in expected.items():
            _check_values(name, arrays[name].reshape(-1), wanted, known)
    return known


def _check_values(name: str, array: Array, wanted: Expected, known: Mapping[str, int]) -> None:
    below = known[wanted.below] if isinstance(wanted.below, str) else wanted.below
    for begin in range(0, len(array), _STRETCH):
        part = array[begin : begin + _STRETCH]
        low, high = part.min(), part.max()  # NaN where one is
        if not (wanted.low <= low and high <= wanted.high):
            limits = f"{wanted.low:g} to {wanted.high:g}"
            what = "is not a number" if np.isnan(high) else f"is not within {limits}"
            raise _damaged(name, f"has a value that {what}")
        if below is not None and high >= below:
            raise _damaged(name, f"has the value {high}, which is not below {below}")
        if wanted.finite and not np.isfinite([low, high]).all():
            raise _damaged(name, "has a value that is infinite")
        if wanted.rising and (np.diff(array[max(0, begin - 1) : begin + _STRETCH]) < 0).any():
            raise _damaged(name, "falls where it must rise")


def _damaged(name: str, why: str) -> LangmodelsError:
    return LangmodelsError(f"the array {name!r} is damaged: it {why}.")


def check_values(values: Any, expected: Mapping[str, Any]) -> None:
    """Check that named values, as JSON holds them, are present and of the expected types.

    Types: bool, int, float (or int; finite, except in dataclasses), str, None, lists, dictionaries
    with string keys, unions and dataclasses. Raises LangmodelsError, which names the value.
    """
    if not isinstance(values, dict):
        raise LangmodelsError("its settings are not named.")
    for name, kind in expected.items():
        if name not in values:
            raise LangmodelsError(f"its setting {name} is missing.")
        if not _is(kind, values[name]):
            shown = repr(values[name])
            shown = shown if len(shown) <= 40 else f"{shown[:40]}..."
            raise LangmodelsError(f"its setting {name} cannot be {shown}.")


def _is(kind: Any, value: Any, *, finite: bool = True) -> bool:
    if kind is Any:
        return True
    if kind is None or kind is type(None):
        return value is None
    if kind is float:
        return type(value) in (int, float) and (not finite or math.isfinite(value))
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return any(_is(one, value, finite=finite) for one in arguments)
    if origin is Literal:
        return value in arguments
    if origin is list:
        return isinstance(value, list) and all(
            _is(arguments[0], item, finite=finite) for item in value
        )
    if origin is dict:
        return isinstance(value, dict) and all(_is(arguments[1], v) for v in value.values())
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return (
            isinstance(value, dict)
            and value.keys() == {f.name for f in fields(kind)}
            and all(_is(hints[name], item, finite=False) for name, item in value.items())
        )
    return type(value) is kind
