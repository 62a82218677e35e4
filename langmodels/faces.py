"""Packages whose names are imported when they are first used (PEP 562).

This module imports nothing, so that the command can handle Ctrl-C from its start.
"""

TYPE_CHECKING = False  # type checkers take it for true; `typing` need not be imported for it

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any


def importing(
    package: str, modules: "Mapping[str, Sequence[str]]", names: "dict[str, Any]"
) -> "Callable[[str], Any]":
    """The `__getattr__` of a package.

    Args:
        package: the package's name.
        modules: the names that it offers, by the submodule that each is imported from.
        names: the package's `globals()`, to which a name is added at its first use.
    """
    where = {name: module for module, some in modules.items() for name in some}

    def find(name: str) -> "Any":
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        from importlib import import_module

        names[name] = value = getattr(import_module(f"{package}.{where[name]}"), name)
        return value

    return find
