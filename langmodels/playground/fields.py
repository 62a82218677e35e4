"""The fields of a browser's request, checked for their presence, type and size."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from langmodels.errors import UsageError


class Fields:
    """The fields of a request, which must be a JSON object.

    All methods raise UsageError for a missing field without a default, or a wrong value.
    """

    def __init__(self, data: Any) -> None:
        if not isinstance(data, Mapping):
            raise UsageError("A request must be a JSON object.")
        self._data = data

    def text(self, name: str, default: str | None = None, *, most: int = 4000) -> str:
        """A string of at most `most` characters."""
        value = self._data.get(name, default)
        if not isinstance(value, str):
            raise UsageError(f"The field {name} must be a text.")
        if len(value) > most:
            raise UsageError(
                f"The field {name} has at most {most:,} characters, not {len(value):,}."
            )
        return value.replace("\0", "")

    def optional(self, name: str, *, most: int = 200) -> str | None:
        """A string, or None where it is missing or empty."""
        return None if self._data.get(name) is None else self.text(name, most=most) or None

    def one_of(self, name: str, choices: Sequence[str], default: str) -> str:
        """One of some strings."""
        value = self.text(name, default)
        if value not in choices:
            raise UsageError(f"The field {name} must be one of {', '.join(choices)}.")
        return value

    def names(self, name: str, *, most: int = 24) -> list[str]:
        """A list of strings; empty where it is missing."""
        value = self._data.get(name, [])
        if not (isinstance(value, list) and len(value) <= most):
            raise UsageError(f"The field {name} must be a list of at most {most} names.")
        if not all(isinstance(item, str) and len(item) <= 200 for item in value):
            raise UsageError(f"The field {name} must be a list of names.")
        return value

    def some(self, name: str) -> list[str] | None:
        """A list of strings, or None where it is missing."""
        return None if self._data.get(name) is None else self.names(name)

    def number(self, name: str, default: float | None, low: float, high: float) -> float:
        """A number within bounds."""
        value = self._data.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            raise UsageError(f"The field {name} must be a number.")
        if not low <= value <= high:
            raise UsageError(
                f"The field {name} must lie between {low:g} and {high:g}, not at {value:g}."
            )
        return float(value)

    def whole(self, name: str, default: int | None, low: int, high: int) -> int:
        """A whole number within bounds."""
        value = self.number(name, default, low, high)
        if value != int(value):
            raise UsageError(f"The field {name} must be a whole number.")
        return int(value)

    def maybe(self, name: str, low: float, high: float) -> float | None:
        """A number within bounds, or None where it is missing."""
        return None if self._data.get(name) is None else self.number(name, None, low, high)

    def flag(self, name: str, default: bool = False) -> bool:
        """True or false."""
        value = self._data.get(name, default)
        if not isinstance(value, bool):
            raise UsageError(f"The field {name} must be true or false.")
        return value
