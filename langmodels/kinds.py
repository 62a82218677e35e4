"""Hooks by which lower modules reach higher ones, which they cannot import.

A model may contain models of any family: `find_kind` gives the class for the kind named in a file.
A text may be a file of any format: `OPENERS` has the function that opens it.
"""

TYPE_CHECKING = False  # type checkers take it for true; the face of the package imports this

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

KINDS: dict[str, type] = {}
"""Model classes by kind; each adds itself when it is defined."""

FINDERS: "list[Callable[[], None]]" = []
"""Functions that import model classes, the cheapest first; called until a kind is found."""

OPENERS: "list[Callable[[Path], Iterable[str]]]" = []
"""Functions that open the text of a file in its own format, in pieces; the last one is used."""


def find_kind(kind: str) -> type | None:
    """The class of a kind, if there is one."""
    for find in FINDERS:  # may grow meanwhile
        if kind in KINDS:
            break
        find()
    return KINDS.get(kind)
