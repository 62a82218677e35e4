"""Progress of long work: bars on a terminal, a line now and then elsewhere.

A library does not print. The command line calls `enable(console)` once; until then `track` only
counts, and `say` does nothing.
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias, cast

from langmodels.formatting import duration

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from langmodels.notebooks import Bars

    Display: TypeAlias = "Progress | Lines | Bars"


@dataclass(frozen=True)
class Report:
    """The progress of a piece of work, sent between processes; `completed` is None at its end."""

    key: str
    description: str
    total: float | None
    completed: float | None
    note: str = ""


Listener: TypeAlias = Callable[[Report], None]
"""Called with every report on any work, that of other processes included."""

_EVERY = 0.1  # seconds between two reports of one piece of work

_console: ContextVar["Console | None"] = ContextVar("progress_console", default=None)
_verbose: ContextVar[bool] = ContextVar("progress_verbose", default=False)
_display: ContextVar["Display | None"] = ContextVar("progress_display", default=None)
_send: ContextVar[Callable[[Report], None] | None] = ContextVar("progress_send", default=None)
_listener: ContextVar["Listener | None"] = ContextVar("progress_listener", default=None)
_prefix: ContextVar[str] = ContextVar("progress_prefix", default="")
_numbers = itertools.count()


@dataclass
class Meter:
    """A piece of work under way, and how much of it is done."""

    _show: Callable[[float, str], None] | None = None
    completed: float = 0
    _expect: Callable[[float], None] | None = None

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Say that `amount` more is done; `note` is shown beside the bar (a loss, a size)."""
        self.completed += amount
        if self._show is not None:
            self._show(self.completed, note)

    def wait(self, passed: float, left: float, note: str = "") -> None:
        """For work measured in seconds: `passed` have gone by and about `left` are to come."""
        if self._expect is not None:
            self._expect(passed + left)
        self.advance(passed - self.completed, note)


def enable(console: "Console | None", *, verbose: bool = False) -> None:
    """Show the progress of work started from now on, on `console` (None: show nothing).

    Where the console is no terminal, a line now and then says what is under way. With `verbose`, a
    line at the end of each piece of work says how long it took.
    """
    before = _display.get()
    if isinstance(before, Lines):
        before.stop()
    _console.set(console)
    _verbose.set(verbose)
    lines = None if console is None or console.is_terminal else Lines(console)
    _display.set(lines)
    if lines is not None:
        lines.start()


def show_progress() -> None:
    """Show the progress of work started from now on.

    In a notebook, as bars in the cell's output; in a program, on standard error, as the command
    line does.
    """
    from rich.console import Console

    from langmodels.notebooks import Bars, in_notebook

    if in_notebook():
        _console.set(Console())
        _display.set(Bars())
    else:
        enable(Console(stderr=True))


def shown() -> bool:
    """Whether progress is shown at all."""
    return _console.get() is not None


def say(text: str) -> None:
    """Print a line where progress is shown, above the bars if there are any."""
    console, display = _console.get(), _display.get()
    if isinstance(display, Lines):
        display.say(text)
    elif console is not None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def track(description: str, total: float | None = None) -> Iterator[Meter]:
    """Track a piece of work of `total` units (None where unknown). Nested calls share one display.

    >>> with track("Counting", total=3) as meter:
    ...     for _ in range(3):
    ...         meter.advance()
    >>> meter.completed
    3
    """
    console, send = _console.get(), _send.get()
    if send is not None:
        with _reported(f"{_prefix.get()}{description}", total, send) as meter:
            yield meter
        return
    if console is None:
        yield Meter()
        return
    progress = _display.get()
    if progress is not None:
        with _bar(progress, description, total) as meter:
            yield meter
        return
    # Slow to import, and needed only where progress is shown.
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    with progress:
        token = _display.set(progress)
        try:
            with _bar(progress, description, total) as meter:
                yield meter
        finally:
            _display.reset(token)


class Lines:
    """Progress for a file or a pipe: after some seconds of silence, a line on what is under way.

    It has the methods of Rich's Progress that are used here.
    """

    SILENCE = (10.0, 60.0)
    """Seconds before the first line and, as they double after every line, the most between two."""

    def __init__(self, console: "Console") -> None:
        self._console = console
        self._numbers = itertools.count()
        self._tasks: dict[TaskID, tuple[str, float | None, float, str]] = {}
        self._timed: set[TaskID] = set()
        self._began = self._said = time.monotonic()
        self._silence = self.SILENCE[0]
        self._stopped = threading.Event()

    def add_task(self, description: str, total: float | None = None, note: str = "") -> "TaskID":
        """As Rich's Progress."""
        number = cast("TaskID", next(self._numbers))
        self._tasks[number] = (description, total, 0, note)
        return number

    def update(self, number: "TaskID", *, completed: float, note: str) -> None:
        """As Rich's Progress."""
        description, total, *_ = self._tasks[number]
        self._tasks[number] = (description, total, completed, note)

    def expect(self, number: "TaskID", seconds: float) -> None:
        """Set the total of a task, which is measured in seconds."""
        self._timed.add(number)
        description, _, completed, note = self._tasks[number]
        self._tasks[number] = (description, seconds, completed, note)

    def remove_task(self, number: "TaskID") -> None:
        """As Rich's Progress."""
        del self._tasks[number]

    def start(self) -> None:
        """Begin to print lines, from a thread of its own: work may not report for long."""
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        """Print no more lines."""
        self._stopped.set()

    def say(self, text: str) -> None:
        """Print a line."""
        self._said = time.monotonic()
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def tell(self) -> None:
        """Print a line on all work under way."""
        parts = []
        for number, (description, total, completed, note) in list(self._tasks.items()):
            share = f" {100 * min(completed / total, 1):.0f} %" if total else ""
            if total and number in self._timed and total - completed >= 1:
                share += f", about {duration(total - completed)} left"
            parts.append(f"{description}{share}" + (f" ({note})" if note else ""))
        elapsed = f"{time.monotonic() - self._began:.0f} s"
        self.say(f"{'; '.join(parts) or 'still at work'}; {elapsed} so far")

    def _run(self) -> None:
        while not self._stopped.wait(max(0.0, self._said + self._silence - time.monotonic())):
            if time.monotonic() >= self._said + self._silence:
                self._silence = min(2 * self._silence, self.SILENCE[1])
                self.tell()


@contextmanager
def _bar(progress: "Display", description: str, total: float | None) -> Iterator[Meter]:
    number = progress.add_task(description, total=total, note="")
    began = time.monotonic()
    key, listener = str(next(_numbers)), _listener.get()

    def show(completed: float, note: str) -> None:
        progress.update(number, completed=completed, note=note)
        if listener is not None:
            listener(Report(key, f"{_prefix.get()}{description}", total, completed, note))

    def expect(total: float) -> None:
        if isinstance(progress, Lines):
            progress.expect(number, total)
        else:
            progress.update(number, total=total)

    try:
        yield Meter(show, _expect=expect)
    finally:
        progress.remove_task(number)
        if _verbose.get():
            say(f"{description}: {time.monotonic() - began:.2f} s")


# Work in other processes --------------------------------------------------------------------------


def report_to(send: Callable[[Report], None]) -> None:
    """In a worker process: send reports instead of showing them, a few times a second."""
    _send.set(send)


@contextmanager
def named(name: str) -> Iterator[None]:
    """Put a name before the descriptions of work in this block, in reports."""
    token = _prefix.set(f"{name}: ")
    try:
        yield
    finally:
        _prefix.reset(token)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call `listener` with every report on work in this block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def _reported(
    description: str, total: float | None, send: Callable[[Report], None]
) -> Iterator[Meter]:
    key, due, sent = str(next(_numbers)), time.monotonic() + _EVERY, False

    def show(completed: float, note: str) -> None:
        nonlocal due, sent
        if time.monotonic() >= due:
            due, sent = time.monotonic() + _EVERY, True
            send(Report(key, description, total, completed, note))

    try:
        yield Meter(show)
    finally:
        if sent:
            send(Report(key, description, total, None))


@dataclass
class Replay:
    """Shows the reports of other processes in the current display."""

    _bars: dict[str, "TaskID"] = field(default_factory=dict)

    def show(self, source: str, report: Report) -> None:
        """Show a report. Keys are those of its source: equal keys of two sources are two works."""
        progress, key = _display.get(), f"{source} {report.key}"
        listener = _listener.get()
        if listener is not None:
            listener(replace(report, key=key))
        if progress is None:
            return
        if report.completed is None:
            if key in self._bars:
                progress.remove_task(self._bars.pop(key))
            return
        if key not in self._bars:
            self._bars[key] = progress.add_task(report.description, total=report.total, note="")
        progress.update(self._bars[key], completed=report.completed, note=report.note)

    def forget(self, source: str) -> None:
        """Remove the bars of a source that has ended."""
        progress = _display.get()
        for key in [key for key in self._bars if key.startswith(f"{source} ")]:
            number = self._bars.pop(key)
            if progress is not None:
                progress.remove_task(number)
