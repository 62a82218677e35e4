"""The layers of the package: imports point down only, and never in a circle."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import langmodels

PACKAGE = Path(langmodels.__file__).parent
CONTRIBUTING = PACKAGE.parent / "CONTRIBUTING.md"

FLOORS = (
    ("cli", "__main__"),
    ("playground",),
    ("filtering",),
    ("evaluation", "compression"),
    ("teaching",),
    ("datasets",),
    ("compat",),
    ("registry", "combined", "presets"),
    ("ngram", "fullcontext", "neural", "pretrained"),
    ("models",),
    ("text",),
    (
        "errors",
        "arguments",
        "kinds",
        "formatting",
        "progress",
        "storage",
        "tensors",
        "threads",
        "execution",
        "streaming",
        "arrays",
        "addresses",
    ),
)
"""From the top down; a room not named here stands on the lowest floor."""

FAMILIES = {"ngram", "fullcontext", "neural", "pretrained"}
"""The rooms of one floor that do not know each other."""

TOLERATED: set[tuple[str, str]] = set()
"""Imports (from, to) that still point up; this list may only shrink."""


def modules() -> dict[str, Path]:
    """Every module of the package by name."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def statements(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports anywhere in a module, inside functions too, but not for type checking alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from statements(other)
        elif isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        else:
            yield from statements(child)


def imported(path: Path) -> set[str]:
    """The modules of the package that a file imports; a name from a package counts as the package
    unless it is a module in it.
    """
    found = set()
    for statement in statements(ast.parse(path.read_text("utf-8"))):
        if isinstance(statement, ast.Import):
            found |= {alias.name for alias in statement.names}
        else:
            assert statement.level == 0, f"{path} imports relatively"
            for alias in statement.names:
                if (statement.module, alias.name) == ("langmodels", "__version__"):
                    continue  # a word, not a room
                inner = f"{statement.module}.{alias.name}"
                found.add(inner if inner in MODULES else str(statement.module))
    return (found | named(path)) & MODULES.keys()


def named(path: Path) -> set[str]:
    """The modules that a file imports by a name in a string, which count like others."""
    return {
        call.args[0].value
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func).rpartition(".")[2] in ("import_module", "__import__", "Late")
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    }


@functools.cache
def arrows() -> dict[str, set[str]]:
    """What each module imports of the others."""
    return {name: imported(path) - {name} for name, path in MODULES.items()}


def room(module: str) -> str:
    """The first name below the package; none for its face."""
    return module.partition(".")[2].partition(".")[0]


def floor(module: str) -> int:
    """The layer of a module, 0 being the highest; the package itself is above all."""
    if module == "langmodels":
        return -1
    return next((k for k, rooms in enumerate(FLOORS) if room(module) in rooms), len(FLOORS) - 1)


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """The groups of modules that can reach each other, by Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(arrows.get(name, ())):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in arrows:
        if name not in index:
            visit(name)
    return found


def test_no_modules_import_each_other_in_a_circle() -> None:
    kept = {
        name: {other for other in others if (name, other) not in TOLERATED}
        for name, others in arrows().items()
    }
    assert circles(kept) == []


def test_a_circle_would_be_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def test_imports_point_down_only() -> None:
    up = {
        (name, other)
        for name, others in arrows().items()
        for other in others
        if floor(other) < floor(name)
    }
    assert up - TOLERATED == set()


def test_families_of_models_do_not_know_each_other() -> None:
    across = {
        (name, other)
        for name, others in arrows().items()
        for other in others
        if {room(name), room(other)} <= FAMILIES and room(name) != room(other)
    }
    assert across - TOLERATED == set()


def test_what_is_tolerated_is_there() -> None:
    there = {(name, other) for name, others in arrows().items() for other in others}
    assert there >= TOLERATED


@pytest.mark.skipif(not CONTRIBUTING.exists(), reason="the project's files are not installed")
def test_how_the_house_is_laid_out_names_every_room() -> None:
    table = CONTRIBUTING.read_text(encoding="utf-8").partition("| floor |")[2].partition("\n\n")[0]
    named = {name.removesuffix("/").removesuffix(".py") for name in re.findall("`([^` ]+)`", table)}
    rooms = {room(module) for module in MODULES} - {"", "__main__"}
    assert rooms <= named
    assert {name for name in named if (PACKAGE / name).is_dir()} <= rooms
