"""What tasks and those who do them have in common, wherever they run."""

import queue
import signal
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any, TypeVar

from langmodels import progress
from langmodels.errors import LangmodelsError

R = TypeVar("R")

ATTEMPTS = 4
"""How often a task is begun before the deaths of its workers are taken for its own doing."""


class WorkerLost(LangmodelsError):
    """A task whose worker died every time that it was tried."""


@dataclass(frozen=True)
class Call:
    """A function with its arguments, of which some may stand for shared values."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def without_interrupts() -> set[int]:
    """Have this thread, and what it starts from now on, hear nothing of Ctrl-C.

    Returns the signals that it heard nothing of before, for `signal.pthread_sigmask`.
    """
    if not hasattr(signal, "pthread_sigmask"):
        return set()
    # The thread that starts the first process starts this one, too, which has it hear again.
    resource_tracker.ensure_running()
    return {int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])}


Reports = queue.SimpleQueue[tuple[str, progress.Report | None]]
"""What workers report of their progress, each with who it is; None when its work ends."""


class TaskExecutor(Executor):
    """An executor that knows more than others. `workers`: how many tasks it does at a time."""

    workers: int = 1

    def __init__(self) -> None:
        self._reports: Reports = queue.SimpleQueue()

    def share(self, value: Any) -> Any:
        """What stands for a value among the arguments of many tasks, so that it is sent once."""
        return value

    def show_reports(self, replay: progress.Replay) -> None:
        """Show what workers have reported of their progress since the last time."""
        with suppress(queue.Empty):
            while True:
                source, report = self._reports.get_nowait()
                if report is None:
                    replay.forget(source)
                else:
                    replay.show(source, report)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.shutdown(cancel_futures=kind is not None)


class Here(TaskExecutor):
    """The process and thread that asks: a task runs when `completed` comes to it."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[Future[Any], Call] = {}

    def submit(self, function: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Note what is to be done."""
        future: Future[R] = Future()
        self._calls[future] = Call(function, args, kwargs)
        return future

    def run(self, future: Future[Any]) -> None:
        """Do it. KeyboardInterrupt is raised here, other exceptions by the future's `result`."""
        call = self._calls.pop(future)
        future.set_running_or_notify_cancel()
        try:
            future.set_result(call.function(*call.args, **call.kwargs))
        except Exception as error:
            future.set_exception(error)
