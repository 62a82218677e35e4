"""The base of executors, and the one that runs tasks in this process."""

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
"""How often a task is tried before the deaths of its workers are blamed on the task."""


class WorkerLost(LangmodelsError):
    """The worker of a task died in every attempt."""


@dataclass(frozen=True)
class Call:
    """A function with its arguments; some of these may be stand-ins for shared values."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def without_interrupts() -> set[int]:
    """Block SIGINT (Ctrl-C) in this thread and in the threads and processes that it starts.

    Returns the signals blocked before, to be restored by `signal.pthread_sigmask`.
    """
    if not hasattr(signal, "pthread_sigmask"):
        return set()
    # multiprocessing starts this helper with the first process, and then unblocks SIGINT.
    resource_tracker.ensure_running()
    return {int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])}


Reports = queue.SimpleQueue[tuple[str, progress.Report | None]]
"""Queue of (worker, report of its progress); the report is None when the worker's task ends."""


class TaskExecutor(Executor):
    """An executor that shares large values and reports progress.

    `workers`: how many tasks it runs at a time.
    """

    workers: int = 1

    def __init__(self) -> None:
        self._reports: Reports = queue.SimpleQueue()

    def share(self, value: Any) -> Any:
        """A stand-in for a value among the arguments of many tasks, so that it is sent once."""
        return value

    def show_reports(self, replay: progress.Replay) -> None:
        """Show the progress that workers have reported since the last call."""
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
    """Runs tasks in the calling thread, each when `completed` comes to it."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[Future[Any], Call] = {}

    def submit(self, function: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Note a call; `run` makes it."""
        future: Future[R] = Future()
        self._calls[future] = Call(function, args, kwargs)
        return future

    def run(self, future: Future[Any]) -> None:
        """Make a noted call. KeyboardInterrupt is raised here, other exceptions by the future."""
        call = self._calls.pop(future)
        future.set_running_or_notify_cancel()
        try:
            future.set_result(call.function(*call.args, **call.kwargs))
        except Exception as error:
            future.set_exception(error)
