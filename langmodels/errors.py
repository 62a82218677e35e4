"""The one exception that is meant for people."""

import operator
from typing import Any


class LangmodelsError(ValueError):
    """Something the user can mend: one sentence saying what is wrong and what to do about it.

    The command line prints the sentence without a traceback and exits with :attr:`exit_status`.
    """

    exit_status = 1


class UsageError(LangmodelsError):
    """A request that could never work as it was put: an unknown name, an impossible option."""

    exit_status = 2


class FileWarning(UserWarning):
    """Something in a file is not as it should be; the figures may suffer for it."""


def unreadable(name: object, error: Exception) -> LangmodelsError:
    """What is to be said of a file that could not be opened or read."""
    if isinstance(error, FileNotFoundError):
        return LangmodelsError(f"There is no file {name}; check the path.")
    reason = getattr(error, "strerror", None) or str(error)
    return LangmodelsError(f"Cannot read {name}: {reason}.")


def check_whole(**values: Any) -> None:
    """Raise UsageError for the first of the named values that is no whole number."""
    for name, value in values.items():
        try:
            operator.index(value)
        except TypeError:
            raise UsageError(f"{name} must be a whole number, not {value!r}.") from None
        if isinstance(value, bool):
            raise UsageError(f"{name} must be a whole number, not {value}.")
