"""Figures for other programs: JSON, CSV and tab-separated lines, with one way to write infinities.

JSON has no infinities. But an infinite perplexity is a result, not a missing one, so it is written
as the string "Infinity", and the log of a probability of zero as "-Infinity"; Python's float(),
JavaScript's Number() and data frame libraries understand both. null stands for a value that does
not exist, such as an average over nothing: NaN is never written. CSV and tab-separated lines have
the same words, and an empty cell for null.
"""

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from types import UnionType
from typing import Any, cast, get_args, get_origin, get_type_hints

import numpy as np


def jsonable(value: Any) -> Any:
    """`value` as JSON can hold it: dataclasses as objects, arrays as lists, numbers as above."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def json_text(value: Any, indent: int | None = None) -> str:
    """`value` as JSON, on one line unless there is an `indent`.

    The result is safe to print: control characters, line separators (U+2028, U+2029), characters
    that change the direction of text and lone surrogates, which JSON allows, are escaped.
    """
    text = json.dumps(jsonable(value), indent=indent, ensure_ascii=False, allow_nan=False)
    return _RAW.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


_RAW = re.compile("[\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")


def cell(value: float, digits: int) -> str:
    """A number with `digits` decimals, as in tab-separated lines.

    >>> cell(0.25, 4), cell(-math.inf, 4), cell(math.nan, 4)
    ('0.2500', '-Infinity', '')
    """
    if math.isfinite(value):
        return f"{value:.{digits}f}"
    return str(jsonable(value) or "")


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Records as CSV with a header, which is the fields of the first; empty for no records."""
    if not rows:
        return ""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(jsonable(row) for row in rows)
    return out.getvalue()


def structure(kind: Any, data: Any) -> Any:
    """Inverse of `jsonable` for a value of the annotated type `kind`.

    Fields that are missing get their defaults, as earlier versions did not write all of them.
    Raises KeyError, TypeError or ValueError where the data do not fit the type.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return data
    if origin is UnionType:  # only ever with None
        return None if data is None else structure(arguments[0], data)
    holder = dict if origin is dict or is_dataclass(kind) else list
    if (origin in (list, tuple, dict) or is_dataclass(kind)) and not isinstance(data, holder):
        raise TypeError(f"expected a {holder.__name__}, found {data!r:.60}")
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        known = [f for f in fields(kind) if f.name in data or _required(f)]
        return cast(Any, kind)(**{f.name: structure(hints[f.name], data[f.name]) for f in known})
    if origin is list:
        return [structure(arguments[0], item) for item in data]
    if origin is tuple:
        return tuple(structure(a, item) for a, item in zip(arguments, data, strict=True))
    if origin is dict:
        return {arguments[0](k): structure(arguments[1], v) for k, v in data.items()}
    if kind is float:
        return math.nan if data is None else float(data)
    if not isinstance(data, kind):
        raise TypeError(f"expected {kind.__name__}, found {data!r:.60}")
    return data


def _required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING
