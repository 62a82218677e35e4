"""Progress: nested bars, and what one process tells another."""

import contextvars
import io
import re
import time
from collections.abc import Iterator

import pytest
from rich.console import Console

from langmodels import progress
from langmodels.progress import Replay, Report, named, report_to, track


@pytest.fixture
def terminal() -> Iterator[io.StringIO]:
    screen = io.StringIO()
    progress.enable(Console(file=screen, force_terminal=True, width=100))
    yield screen
    progress.enable(None)


def reported(monkeypatch: pytest.MonkeyPatch, every: float) -> list[Report]:
    monkeypatch.setattr(progress, "_EVERY", every)
    found: list[Report] = []

    def work() -> None:
        report_to(found.append)
        with named("lstm"), track("Training", total=3) as meter:
            for step in range(3):
                meter.advance(1, f"step {step}")

    contextvars.copy_context().run(work)  # what it sets is forgotten after
    return found


def test_another_process_hears_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    first, *_, last, end = reported(monkeypatch, 0.0)
    assert (first.description, first.total, first.completed) == ("lstm: Training", 3, 1)
    assert (last.completed, last.note) == (3, "step 2")
    assert end.completed is None
    assert len({first.key, last.key, end.key}) == 1


def test_short_work_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reported(monkeypatch, 60.0) == []


def test_reports_are_shown_as_bars_until_they_end(terminal: io.StringIO) -> None:
    replay = Replay()
    with track("Comparing", total=2) as meter:
        display = progress._display.get()
        assert display is not None
        replay.show("a", Report("0", "lstm: Training", 10, 4, "loss 2.0"))
        replay.show("b", Report("0", "gru: Training", 10, 7))
        replay.show("a", Report("0", "lstm: Training", 10, 5, "loss 1.9"))
        bars = {bar.description: bar.completed for bar in display.tasks}
        assert bars == {"Comparing": 0, "lstm: Training": 5, "gru: Training": 7}
        replay.show("a", Report("0", "lstm: Training", 10, None))
        replay.show("c", Report("9", "never seen", 10, None))
        assert [bar.description for bar in display.tasks] == ["Comparing", "gru: Training"]
        meter.advance()
    assert "Comparing" in terminal.getvalue()


def test_reports_without_a_display_are_dropped() -> None:
    Replay().show("a", Report("0", "lstm: Training", 10, 4))


def test_a_pipe_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress.Lines, "SILENCE", (0.01, 0.02))
    out = io.StringIO()
    progress.enable(Console(file=out, width=100))
    try:
        with track("Comparing", total=4) as whole, track("lstm: Training", total=10) as meter:
            whole.advance(1)
            meter.advance(5, "loss 2.0")
            told = "Comparing 25 %; lstm: Training 50 % (loss 2.0); "
            deadline = time.monotonic() + 60
            while out.getvalue().count(told) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
    finally:
        progress.enable(None)
    lines = [line for line in out.getvalue().splitlines() if line.startswith(told)]
    assert len(lines) >= 2
    assert lines[0].endswith(" s so far")


def test_a_pipe_hears_nothing_of_short_work() -> None:
    out = io.StringIO()
    progress.enable(Console(file=out))
    try:
        with track("Counting", total=3) as meter:
            meter.advance(3)
    finally:
        progress.enable(None)
    assert out.getvalue() == ""


def test_verbose_work_says_how_long_it_took() -> None:
    out = io.StringIO()
    progress.enable(Console(file=out), verbose=True)
    try:
        with track("Counting", total=3) as meter:
            meter.advance(3)
    finally:
        progress.enable(None)
    assert re.fullmatch(r"Counting: [0-9.]+ s\n", out.getvalue())
