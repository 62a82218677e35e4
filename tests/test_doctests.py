"""The examples in docstrings are true, those of every module."""

import doctest
import importlib
import pkgutil

import pytest

import langmodels

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(langmodels.__path__, "langmodels.")
    if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", ["langmodels", *MODULES])
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_that_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for name in MODULES for test in finder.find(importlib.import_module(name))]
    assert sum(any(e.source for e in test.examples) for test in found) >= 10
