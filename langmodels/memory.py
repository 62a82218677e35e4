"""Amounts of memory: parsing them, and measuring what this process uses."""

import gc
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from langmodels.errors import UsageError

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_OWN = 200 << 20
"""Assumed memory of a process of this package, where the system does not tell."""


def parse_memory(text: str) -> int:
    """The bytes of an amount such as 4G, 500M or 1.5GB (powers of 1024), else UsageError.

    >>> parse_memory("4G")
    4294967296
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if found is None or float(found[1]) == 0:
        raise UsageError(f"An amount of memory is a number and a unit, 4G or 500M, not {text!r}.")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def memory_used() -> int:
    """Bytes of memory that this process uses now; an estimate where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return _OWN
    import resource

    return pages * resource.getpagesize() if sys.platform != "win32" else _OWN


@contextmanager
def without_cycles() -> Iterator[None]:
    """Turn the garbage collector off in this block, for code that makes many lasting objects.

    It would go through all of them each time that their number has grown by a quarter.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
