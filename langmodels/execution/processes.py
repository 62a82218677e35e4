"""An executor of processes on this machine that survives the death of a process."""

import contextlib
import itertools
import multiprocessing
import os
import pickle
import queue
import signal
import threading
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from langmodels import names, progress
from langmodels.errors import LangmodelsError
from langmodels.execution.base import (
    ATTEMPTS,
    Call,
    Reports,
    TaskExecutor,
    WorkerLost,
    without_interrupts,
)
from langmodels.threads import share_cores

R = TypeVar("R")

_spawn = multiprocessing.get_context("spawn")
_GUARD = 'put what it does under `if __name__ == "__main__":`, or use one job'
_starting = threading.Lock()  # starting processes changes a list that is not thread-safe


@dataclass(frozen=True)
class _Shared:
    """A stand-in for a shared value among arguments."""

    key: int


class Processes(TaskExecutor):
    """`jobs` processes of this machine, started when there is work for them; a context manager.

    A task whose worker dies (killed, or out of memory) is run again in a new process, up to
    `ATTEMPTS` times in all; then its future raises WorkerLost, and the other tasks go on. Workers
    end with the block (at once if an exception leaves it), or when the process that started them
    ends, however it does. They ignore Ctrl-C, which is for the process that waits.
    """

    def __init__(self, jobs: int) -> None:
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            raise LangmodelsError(f"A script is run again by each of its processes: {_GUARD}.")
        super().__init__()
        self._calls: queue.SimpleQueue[tuple[Future[Any], Call] | None] = queue.SimpleQueue()
        self._reported = progress.shown()
        self._values: dict[int, Any] = {}
        self._keys = itertools.count()
        self._lock = threading.Lock()
        self._workers: set[_Worker] = set()
        self._stopped = False
        self.workers = jobs
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(jobs)]
        for thread in self._threads:
            thread.start()

    def share(self, value: Any) -> _Shared:
        """See `TaskExecutor`."""
        shared = _Shared(next(self._keys))
        self._values[shared.key] = value
        return shared

    def submit(self, function: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Call a module's function elsewhere; it, its arguments and its result are pickled."""
        future: Future[R] = Future()
        self._calls.put((future, Call(function, args, kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for submitted tasks, or with `cancel_futures` stop them, running ones included."""
        if cancel_futures:
            with self._lock:
                self._stopped = True
                for worker in self._workers:
                    worker.process.terminate()
        for _ in self._threads:
            self._calls.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _serve(self) -> None:
        """Run by one thread for each worker: pass it calls, one at a time."""
        without_interrupts()  # inherited by the process from its start
        worker: _Worker | None = None
        while (item := self._calls.get()) is not None:
            future, call = item
            if self._stopped:
                future.cancel()
            if future.set_running_or_notify_cancel():
                worker = self._do(future, call, worker)
        self._end(worker)

    def _do(self, future: Future[Any], call: Call, worker: "_Worker | None") -> "_Worker | None":
        """Have a worker make a call; return the worker for the next call, None if it died."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                worker = worker or self._start()
                future.set_result(worker.call(call, self._values, self._reports))
                return worker
            except _Died as death:
                self._end(worker)
                worker = None
                if self._stopped or attempt == ATTEMPTS:
                    future.set_exception(WorkerLost(str(death)))
                    return None
            except BaseException as error:
                future.set_exception(error)
                return worker
        return worker

    def _start(self) -> "_Worker":
        worker = _Worker(self._reported, self.workers)
        with self._lock:
            self._workers.add(worker)
            if self._stopped:
                worker.process.terminate()
        return worker

    def _end(self, worker: "_Worker | None") -> None:
        if worker is not None:
            self._reports.put((worker.name, None))
            with self._lock:
                self._workers.discard(worker)
            worker.close()


class _Died(Exception):
    """A worker died; the message says how."""


class _Worker:
    """A process at the other end of a pipe."""

    def __init__(self, reported: bool, sharers: int) -> None:
        self._pipe, theirs = _spawn.Pipe()
        with _starting:
            arguments = theirs, reported, sharers, names.additions()
            self.process = _spawn.Process(target=_work, args=arguments, daemon=True)
            self.process.start()
        theirs.close()  # so that reading fails here once the process has ended
        self.name = str(self.process.pid)
        self._known: set[int] = set()
        self._begun = False

    def call(
        self,
        call: Call,
        values: dict[int, Any],
        reports: Reports,
    ) -> Any:
        """The result of a call. Raises what the call raises, or _Died."""
        arguments = (*call.args, *call.kwargs.values())
        keys = {a.key for a in arguments if isinstance(a, _Shared)} - self._known
        try:
            message = pickle.dumps((call, {key: values[key] for key in keys}))
        except (AttributeError, TypeError, pickle.PicklingError) as error:
            raise LangmodelsError(_unsendable(error)) from error
        self._known |= keys
        kind, content = self._exchange(message)
        while kind == "report":
            reports.put((self.name, content))
            kind, content = self._exchange()
        if kind == "error":
            raise content
        return content

    def _exchange(self, message: bytes | None = None) -> tuple[str, Any]:
        """Send a message, if there is one, and receive one. Raises _Died."""
        try:
            if not self._begun:
                self._pipe.recv_bytes()  # the worker's "ready"
                self._begun = True
            if message is not None:
                self._pipe.send_bytes(message)
            data = self._pipe.recv_bytes()
        except (EOFError, OSError):
            raise _Died(self._epitaph()) from None
        kind, content = pickle.loads(data)
        return kind, content

    def _epitaph(self) -> str:
        """How the process ended, for the message of WorkerLost."""
        self.process.join(5)
        code = self.process.exitcode or 0
        if not self._begun:
            return f"its process could not start; in a script, {_GUARD}."
        how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with status {code}"
        advice = "; if memory is short, use fewer jobs" if code == -9 else ""
        return f"its process {how}, {ATTEMPTS} times{advice}."

    def close(self) -> None:
        """Let the process end."""
        self._pipe.close()
        self.process.join()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


# In the worker ------------------------------------------------------------------------------------


def _work(
    pipe: Connection, reported: bool, sharers: int, additions: Mapping[str, list[names.Handed]]
) -> None:
    """Make the calls that come through the pipe, until it is closed."""
    warnings.simplefilter("ignore", RuntimeWarning, append=True)  # as the command line does
    names.receive(additions)
    share_cores(sharers)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    lock = threading.Lock()

    def send(kind: str, content: Any) -> None:
        message = pickle.dumps((kind, content))
        with lock:
            pipe.send_bytes(message)

    if reported:
        progress.report_to(lambda report: send("report", report))
    values: dict[int, Any] = {}
    with contextlib.suppress(EOFError, ConnectionError):  # the other side is gone
        send("ready", None)
        while True:
            message = pipe.recv_bytes()
            try:
                call, shared = _loaded(message)
                values |= shared
                result = _call(call, values)
                send("result", result)
            except BaseException as error:
                send("error", _sendable(error))


def _loaded(message: bytes) -> tuple[Call, dict[int, Any]]:
    """The call and the shared values of a message.

    Raises LangmodelsError where it refers to a function or class that is not found here.
    """
    try:
        call, shared = pickle.loads(message)
    except (AttributeError, ImportError) as error:
        raise LangmodelsError(_unsendable(error)) from error
    return call, shared


def _unsendable(error: Exception) -> str:
    return f"This cannot be sent to other processes ({error}); {names.IMPORTABLE}."


def _call(call: Call, values: dict[int, Any]) -> Any:
    args = [values[a.key] if isinstance(a, _Shared) else a for a in call.args]
    kwargs = {k: values[a.key] if isinstance(a, _Shared) else a for k, a in call.kwargs.items()}
    return call.function(*args, **kwargs)


def _sendable(error: BaseException) -> BaseException:
    """The error itself or, if it cannot be pickled, a RuntimeError with its message."""
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")


def _end_with_parent() -> None:
    """End this process at once when the one that started it has ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
