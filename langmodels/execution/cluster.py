"""Tasks on a Dask cluster, which schedules them, moves data and repeats lost tasks."""

import importlib
import itertools
import logging
import pickle
import signal
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from langmodels import names, progress
from langmodels.errors import LangmodelsError
from langmodels.execution.base import (
    ATTEMPTS,
    Call,
    TaskExecutor,
    WorkerLost,
    without_interrupts,
)
from langmodels.threads import cpu_count, share_cores

R = TypeVar("R")

LOCAL = "local"
"""The name of a cluster that is started on this machine for the occasion."""

_TIMEOUT = 30  # seconds to wait for a scheduler's answer
_LOST = 10  # seconds after which a worker that died is taken for lost
_REFILL = 2  # seconds between two checks for missing workers

_SETTINGS = {
    "distributed.scheduler.allowed-failures": ATTEMPTS - 1,
    "distributed.deploy.lost-worker-timeout": f"{_LOST}s",
    "distributed.admin.large-graph-warning-threshold": "1GB",
    # By default, Dask's workers return freed memory to the system at once. Fetching its pages again
    # for each array doubles the time of tasks that work through a text in blocks.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
}
"""Dask's settings for a `local` cluster."""


class Cluster(TaskExecutor):
    """The workers of a Dask scheduler; a context manager.

    A task whose worker dies, or is stopped for using too much memory, is run again on another
    worker, as often as the scheduler allows (`distributed.scheduler.allowed-failures`, which is
    `ATTEMPTS - 1` in a `local` cluster); then its future raises WorkerLost. Tasks that a restarted
    scheduler has lost are submitted again, up to `ATTEMPTS` times in all.

    Raises LangmodelsError where the package `distributed` is missing or no scheduler answers.
    """

    def __init__(self, address: str, jobs: int) -> None:
        try:
            self._dask: Any = importlib.import_module("dask")
            self._distributed: Any = importlib.import_module("distributed")
        except ImportError:
            raise LangmodelsError(
                "Schedulers need the packages dask and distributed: "
                "pip install 'langmodels[cluster]'."
            ) from None
        super().__init__()
        self._cluster: Any = None
        self._stopped = False
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._pending: set[Future[Any]] = set()
        self._settled = threading.Condition(self._lock)
        self._numbers = itertools.count()
        self._name = f"langmodels-{uuid.uuid4().hex[:12]}"
        with self._dask.config.set(_SETTINGS), _without_interrupts():
            if address == LOCAL:
                self._cluster = self._distributed.LocalCluster(
                    n_workers=jobs,
                    threads_per_worker=1,
                    dashboard_address=":0",  # any free port
                    silence_logs=logging.CRITICAL,
                )
            try:
                self._client: Any = self._distributed.Client(
                    self._cluster or address, timeout=_TIMEOUT, set_as_default=False
                )
            except (OSError, ValueError) as error:
                raise LangmodelsError(
                    f"No Dask scheduler answers at {address} ({error}); start one with "
                    "`dask scheduler`, or use `local` for workers on this machine."
                ) from error
        self.workers = max(jobs if self._cluster else sum(self._client.nthreads().values()), 1)
        if self._cluster is not None:
            threading.Thread(target=self._refill, daemon=True).start()
        if progress.shown():
            self._client.subscribe_topic(self._name, self._heard)

    def share(self, value: Any) -> Any:
        """See `TaskExecutor`. Dask can restore the value, as it is the result of a task."""
        data = pickle.dumps(value)
        return self._client.submit(pickle.loads, data, key=self._key("shared"), pure=False)

    def submit(self, function: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Call a module's function elsewhere; it, its arguments and its result are pickled."""
        future: Future[R] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            self._pending.add(future)
        self._begin(future, Call(function, args, kwargs), 1)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for submitted tasks, or with `cancel_futures` stop them, running ones included."""
        with self._lock:
            while wait and not cancel_futures and self._pending:
                self._settled.wait(1)  # without a timeout, Ctrl-C would not be noticed
            if self._stopped:
                return
            self._stopped = True
        self._closing.set()
        with suppress(TimeoutError):  # threads that are left end with this process
            self._client.close(timeout=_TIMEOUT)
            if self._cluster is not None:
                self._cluster.close(timeout=_TIMEOUT)

    def _refill(self) -> None:
        """Replace workers that died so early that Dask itself does not replace them."""
        with self._dask.config.set(_SETTINGS):
            while not self._closing.wait(_REFILL):
                with suppress(Exception):  # it is being closed
                    self._cluster.scale(self.workers)

    def _key(self, what: str) -> str:
        return f"{self._name}-{what}-{next(self._numbers)}"

    def _begin(self, future: Future[Any], call: Call, attempt: int) -> None:
        topic = self._name if progress.shown() else None
        task = self._client.submit(
            _work,
            call.function,
            topic,
            names.additions(),
            *call.args,
            key=self._key(getattr(call.function, "__name__", "task")),
            pure=False,
            **call.kwargs,
        )
        task.add_done_callback(lambda ended: self._ended(future, call, attempt, ended))

    def _ended(self, future: Future[Any], call: Call, attempt: int, task: Any) -> None:
        """Pass the result of a Dask task on to our future; runs in a thread of Dask's."""
        self._reports.put((str(task.key), None))
        try:
            if task.status == "finished":
                self._settle(future, task.result(timeout=_TIMEOUT), None)
            elif task.status == "error":
                self._settle(future, None, _explained(task.exception(timeout=_TIMEOUT)))
            else:
                raise LookupError(task.status)
        except Exception:  # the result was lost with its worker, or the task with its scheduler
            if self._stopped or attempt >= ATTEMPTS:
                lost = WorkerLost(f"its scheduler lost it {attempt} times.")
                self._settle(future, None, lost)
            else:
                self._begin(future, call, attempt + 1)

    def _settle(self, future: Future[Any], result: Any, error: BaseException | None) -> None:
        with self._lock:
            self._pending.discard(future)
            self._settled.notify_all()
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def _heard(self, event: tuple[float, Any]) -> None:
        source, report = event[1]
        self._reports.put((source, progress.Report(*report)))


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Threads and processes that are started in this block ignore Ctrl-C."""
    before = without_interrupts()
    try:
        yield
    finally:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _explained(error: BaseException) -> BaseException:
    """The error of a task; a WorkerLost with a readable message where its workers died."""
    if type(error).__name__ == "KilledWorker":
        times = getattr(error, "allowed_failures", ATTEMPTS - 1) + 1
        return WorkerLost(
            f"its worker died {times} times; if memory is short, use fewer workers or give them "
            "more."
        )
    return error


# In the worker ------------------------------------------------------------------------------------


def _work(
    function: Callable[..., R],
    topic: str | None,
    additions: Mapping[str, list[names.Handed]],
    /,
    *args: Any,
    **kwargs: Any,
) -> R:
    """Run a task on one core, and report its progress."""
    names.receive(additions)
    share_cores(cpu_count())
    if topic is not None:
        worker: Any = importlib.import_module("distributed").get_worker()
        source = str(worker.get_current_task())

        def send(report: progress.Report) -> None:
            fields = (report.key, report.description, report.total, report.completed, report.note)
            worker.log_event(topic, (source, fields))

        progress.report_to(send)
    return function(*args, **kwargs)
