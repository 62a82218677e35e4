"""Classes of models by the kind that files name, and whoever can import those that are not there.

A model may hold models of any family, none of which it knows: it asks here. What knows all
families, and the models of other packages, says so here.
"""

from collections.abc import Callable

KINDS: dict[str, type] = {}
"""Each class puts itself here as it is defined."""

FINDERS: list[Callable[[], None]] = []
"""What imports classes, until one of the kind is there: those that cost least first."""


def find_kind(kind: str) -> type | None:
    """The class of a kind, if there is one."""
    for find in FINDERS:  # which may add others
        if kind in KINDS:
            break
        find()
    return KINDS.get(kind)
