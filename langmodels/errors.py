"""Exceptions and warnings whose messages are meant for the user."""

import operator
from typing import Any


class LangmodelsError(ValueError):
    """Something the user can put right: one sentence says what is wrong and what to do about it.

    The command line prints the sentence without a traceback and exits with :attr:`exit_status`.
    """

    exit_status = 1


class UsageError(LangmodelsError):
    """A request that could never work: an unknown name, an impossible option."""

    exit_status = 2


class FileWarning(UserWarning):
    """Something in a file is not as it should be, so that figures may be wrong."""


def unreadable(name: object, error: Exception) -> LangmodelsError:
    """The error to raise for a file that could not be opened or read."""
    if isinstance(error, FileNotFoundError):
        return LangmodelsError(f"There is no file {name}; check the path.")
    reason = getattr(error, "strerror", None) or str(error)
    return LangmodelsError(f"Cannot read {name}: {reason}.")


def check_whole(**values: Any) -> None:
    """Raise UsageError for the first of the named values that is not a whole number."""
    for name, value in values.items():
        try:
            operator.index(value)
        except TypeError:
            raise UsageError(f"{name} must be a whole number, not {value!r}.") from None
        if isinstance(value, bool):
            raise UsageError(f"{name} must be a whole number, not {value}.")
