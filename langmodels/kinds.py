"""Classes by the kind that files name, and whoever can find those that are not imported yet.

A model may hold models of any family, none of which it knows: it asks here. The package itself says
who is asked in turn.
"""

from collections.abc import Callable

KINDS: dict[str, type] = {}
"""Each class puts itself here as it is defined."""

FINDERS: list[Callable[[], None]] = []
"""What imports all classes that there are, those of other packages too."""


def find_kind(kind: str) -> type | None:
    """The class of a kind, if there is one."""
    for find in FINDERS if kind not in KINDS else ():
        find()
    return KINDS.get(kind)
