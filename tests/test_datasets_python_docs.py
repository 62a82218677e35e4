"""The reference that comes with Python, as prose."""

import sys
from types import SimpleNamespace

import pytest

from langmodels.datasets import find_source, list_sources
from langmodels.datasets.python_docs import prose
from langmodels.errors import LangmodelsError

TOPIC = """The "widget" statement
**********************

   widget_stmt ::= "widget" expression

The *widget* statement is a **simple** one; it multiplies a*b, as **PEP
1** says, in post-
mortem debugging. It costs "2 * 3 * 4" coins.

* Widgets come first, and
  then the others.

* Gadgets come
  second, of course.

1. Numbers are fine, too. [2]

   >>> widget(1)
   1

   for widget in widgets:
       print(widget)

class Widget(object)

   Return a new widget (or an old one).

+------+-------+
| Left | Right |
+======+=======+
| 1    | 2     |
+------+-------+


Footnotes
=========

[1] A footnote tells the rest of it.
"""

PROSE = [
    'The "widget" statement',
    "The widget statement is a simple one; it multiplies a*b, as PEP 1 says, in post-mortem "
    'debugging. It costs "2 * 3 * 4" coins.',
    "Widgets come first, and then the others.",
    "Gadgets come second, of course.",
    "Numbers are fine, too. [2]",
    "Return a new widget (or an old one).",
    "Footnotes",
    "A footnote tells the rest of it.",
]


def test_prose_of_a_topic():
    assert "".join(prose([TOPIC])).splitlines() == PROSE


def test_nothing_comes_twice():
    assert "".join(prose([TOPIC, TOPIC, "Something new follows here.\n"])).splitlines() == [
        *PROSE,
        "Something new follows here.",
    ]


def test_this_pythons_own_reference():
    source = find_source("python-docs")
    lines = source.read().splitlines()
    assert sum(map(len, lines)) > 200_000
    assert len(set(lines)) == len(lines)
    text = "\n".join(lines)
    assert "convenient way to insert debugging assertions into a program:" in text
    for markup in ("****", "====", "::=", ">>> ", "+---"):
        assert markup not in text
    assert "python-docs" in [entry.name for entry in list_sources()]


@pytest.mark.parametrize("module", [None, SimpleNamespace()])
def test_a_python_without_its_reference(monkeypatch, module):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", module)
    with pytest.raises(LangmodelsError, match="comes without its reference"):
        find_source("python-docs").read()
