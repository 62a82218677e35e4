"""HTML for notebooks: facts, tables, bars and coloured tokens, and progress in a cell.

Styles are inline, as notebooks and the pages made from them drop style sheets.
"""

import html
import itertools
import math
import sys
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from rich.progress import TaskID

_CELL = "padding:2px 10px;text-align:left;vertical-align:top"
_EVERY = 0.2
"""Seconds between two updates of the bars."""


def escaped(text: object) -> str:
    """Text escaped for HTML; line ends and tabs are made visible."""
    return html.escape(str(text)).replace("\n", "↵").replace("\t", "⇥")


def table(head: Iterable[str], rows: Iterable[Iterable[str]], caption: str = "") -> str:
    """A table; the cells of `rows` are HTML, those of `head` and the caption text."""
    lines = ['<table style="border-collapse:collapse;font-variant-numeric:tabular-nums">']
    if caption:
        lines.append(f'<caption style="text-align:left">{escaped(caption)}</caption>')
    cells = "".join(f'<th style="{_CELL}">{escaped(name)}</th>' for name in head)
    lines.append(f"<tr>{cells}</tr>" if cells else "")
    for row in rows:
        lines.append("<tr>" + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in row) + "</tr>")
    return "".join([*lines, "</table>"])


def facts(title: str, found: Mapping[str, Any]) -> str:
    """Names and values, one a line."""
    return table((), ((escaped(k), f"<code>{escaped(v)}</code>") for k, v in found.items()), title)


def bar(share: float) -> str:
    """A bar that fills a share, 0 to 1, of its width."""
    width = 100 * min(max(share, 0.0), 1.0)
    return (
        '<div style="width:14em;background:rgba(127,127,127,.15)">'
        f'<div style="width:{width:.1f}%;background:#3b7dd8;height:1em"></div></div>'
    )


def coloured(text: str, bits: float, title: str = "") -> str:
    """A token whose background is the darker, the higher its surprisal in bits."""
    depth = 0.75 * (1 - math.exp(-bits / 6)) if bits >= 0 else 0.0
    return (
        f'<span title="{escaped(title)}" style="background:rgba(220,80,40,{depth:.2f});'
        f'padding:1px 3px;border-radius:3px">{escaped(text)}</span>'
    )


class Bars:
    """Progress in the output of a cell, as Rich's Progress has it on a terminal."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._tasks: dict[TaskID, tuple[str, float | None, float, str]] = {}
        self._display: Any = None
        self._drawn = 0.0

    def add_task(self, description: str, total: float | None = None, note: str = "") -> "TaskID":
        """As Rich's Progress."""
        number = cast("TaskID", next(self._numbers))
        self._tasks[number] = (description, total, 0, note)
        self._draw()
        return number

    def update(
        self,
        number: "TaskID",
        *,
        total: float | None = None,
        completed: float | None = None,
        note: str | None = None,
    ) -> None:
        """As Rich's Progress: None leaves a value as it is."""
        description, all_, done, said = self._tasks[number]
        self._tasks[number] = (
            description,
            all_ if total is None else total,
            done if completed is None else completed,
            said if note is None else note,
        )
        if time.monotonic() - self._drawn > _EVERY:
            self._draw()

    def remove_task(self, number: "TaskID") -> None:
        """As Rich's Progress; the display disappears with the last task."""
        del self._tasks[number]
        self._draw()
        if not self._tasks:
            self._display = None

    def markup(self) -> str:
        """The bars of all tasks as HTML."""
        rows = []
        for description, total, completed, note in self._tasks.values():
            share = bar(completed / total) if total else ""
            rows.append((escaped(description), share, escaped(note)))
        return table((), rows) if rows else ""

    def _draw(self) -> None:
        from IPython.display import HTML, display

        self._drawn = time.monotonic()
        if self._display is None:
            self._display = display(HTML(self.markup()), display_id=True)
        else:
            self._display.update(HTML(self.markup()))


def in_notebook() -> bool:
    """Whether this program runs in a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and type(shell).__name__ == "ZMQInteractiveShell"
