"""The examples in docstrings are true, those of every module."""

import doctest
import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import pytest

import langmodels

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(langmodels.__path__, "langmodels.")
    if not module.name.endswith("__main__")
)


def modules() -> Iterator[ModuleType]:
    """All that can be imported: stand-ins for a library's classes need the library."""
    for name in MODULES:
        try:
            yield importlib.import_module(name)
        except ModuleNotFoundError as error:
            if str(error.name).startswith("langmodels"):
                raise


@pytest.mark.parametrize("name", ["langmodels", *MODULES])
def test_examples_in_docstrings_hold(name: str) -> None:
    if name == "langmodels.compat.lm_eval":
        pytest.importorskip("lm_eval")
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_that_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for module in modules() for test in finder.find(module)]
    assert sum(any(e.source for e in test.examples) for test in found) >= 10
