"""Progress of long work: bars on a terminal, and lines for what is worth keeping.

A library does not print. The command line calls `enable(console)` once; until then `track` does
nothing but count, and `say` nothing at all.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_console: ContextVar[Console | None] = ContextVar("progress_console", default=None)
_display: ContextVar[Progress | None] = ContextVar("progress_display", default=None)


@dataclass
class Task:
    """One piece of work under way."""

    _progress: Progress | None = None
    _task: TaskID | None = None
    completed: float = 0

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Say that `amount` more is done; `note` is shown beside the bar (a loss, a size)."""
        self.completed += amount
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=self.completed, note=note)


def enable(console: Console | None) -> None:
    """Show the progress of work started from now on, on `console` (None: show nothing)."""
    _console.set(console)


def shown() -> bool:
    """Whether anybody sees it."""
    return _console.get() is not None


def say(text: str) -> None:
    """Print a line where progress is shown, above the bars if there are any."""
    console = _console.get()
    if console is not None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def track(description: str, total: float | None = None) -> Iterator[Task]:
    """Track a piece of work of `total` units (None where unknown). Nested calls share one display.

    >>> with track("Counting", total=3) as task:
    ...     for _ in range(3):
    ...         task.advance()
    >>> task.completed
    3
    """
    console = _console.get()
    if console is None:
        yield Task()
        return
    progress = _display.get()
    if progress is not None:
        task = progress.add_task(description, total=total, note="")
        try:
            yield Task(progress, task)
        finally:
            progress.remove_task(task)
        return
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with progress:
        token = _display.set(progress)
        try:
            yield Task(progress, progress.add_task(description, total=total, note=""))
        finally:
            _display.reset(token)
