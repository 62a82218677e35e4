"""Exceptions and warnings whose messages are meant for the user."""

import difflib
import operator
from itertools import islice
from pathlib import Path
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
        return missing(str(name))
    reason = getattr(error, "strerror", None) or str(error)
    return LangmodelsError(f"Cannot read {name}: {reason}.")


def missing(path: str, what: str = "file") -> LangmodelsError:
    """The error to raise where there is no such file, with the name of one that is alike."""
    close = alike(path, 1)
    hint = f"did you mean {close[0]}?" if close else "check the path."
    return LangmodelsError(f"There is no {what} {path}; {hint}")


def alike(path: str, n: int) -> list[str]:
    """The paths of at most `n` files in the folder of a path whose names are like its own."""
    try:
        files = (each for each in Path(path).parent.iterdir() if each.is_file())
        found = {each.name: str(each) for each in islice(files, 1000)}
    except (OSError, ValueError):  # it is no folder
        return []
    return [found[name] for name in difflib.get_close_matches(Path(path).name[:100], found, n)]


def check_whole(**values: Any) -> None:
    """Raise UsageError for the first of the named values that is not a whole number."""
    for name, value in values.items():
        try:
            operator.index(value)
        except TypeError:
            raise UsageError(f"{name} must be a whole number, not {value!r}.") from None
        if isinstance(value, bool):
            raise UsageError(f"{name} must be a whole number, not {value}.")
