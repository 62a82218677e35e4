"""What stands above is asked for here, by those below who do not know it.

A model may hold models of any family, none of which it knows: classes of models are here by the
kind that files name, and whoever can import those that are not there. A text may be a file of any
format: whoever knows the formats says so here, too.
"""

TYPE_CHECKING = False  # type checkers take it for true; the face of the package imports this

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

KINDS: dict[str, type] = {}
"""Each class puts itself here as it is defined."""

FINDERS: "list[Callable[[], None]]" = []
"""What imports classes, until one of the kind is there: those that cost least first."""


OPENERS: "list[Callable[[Path], Iterable[str]]]" = []
"""What opens the text of a file in its own format, in pieces; the last one counts."""


def find_kind(kind: str) -> type | None:
    """The class of a kind, if there is one."""
    for find in FINDERS:  # which may add others
        if kind in KINDS:
            break
        find()
    return KINDS.get(kind)
