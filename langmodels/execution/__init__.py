"""Execution of independent tasks, behind the interface of `concurrent.futures.Executor`.

Code that has tasks opens `executor(jobs)`, submits them, and iterates over `completed` or `mapped`.
It does not know where they run: in this process, in others of this machine, or on a Dask cluster.
Tasks are pure: their inputs come with them, by value or by path, and their results are returned or
written to files that appear whole. So a task whose worker is lost can simply be run again. Models
and other things that the program has registered are known to all workers.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from langmodels import progress
from langmodels.arguments import checked
from langmodels.errors import UsageError
from langmodels.execution.base import ATTEMPTS, Here, TaskExecutor, WorkerLost
from langmodels.execution.cluster import LOCAL, Cluster
from langmodels.execution.processes import Processes
from langmodels.streaming import Ahead
from langmodels.threads import cpu_count

__all__ = [
    "ATTEMPTS",
    "LOCAL",
    "Jobs",
    "Processes",
    "WorkerLost",
    "completed",
    "executor",
    "mapped",
    "n_workers",
    "share",
]

R = TypeVar("R")

Jobs = int | Executor
"""Where tasks run: a number of processes of this machine, or an open executor."""

_REFRESH = 0.2  # seconds between two updates of the progress that workers report


@checked
def executor(
    jobs: Jobs | None = 1, scheduler: str | None = None
) -> AbstractContextManager[Executor]:
    """A context manager: the executor that runs tasks in a `with` block.

    Args:
        jobs: number of processes of this machine; one job runs in this process itself. An open
            executor is used as it is, and left open except after Ctrl-C. None means one job or,
            for a `local` scheduler, as many workers as there are processors.
        scheduler: the address of a Dask scheduler (`tcp://host:8786`) whose workers are used, or
            `local` for a Dask cluster of `jobs` workers of this machine that ends with the block.

    Raises UsageError for less than one job, LangmodelsError where no such scheduler answers or its
    package is missing.
    """
    if isinstance(jobs, Executor):
        return _Lent(jobs)
    if jobs is not None and jobs < 1:
        raise UsageError(f"The number of jobs must be at least 1, not {jobs}.")
    if scheduler is not None:
        return Cluster(scheduler, jobs or cpu_count())
    return Here() if jobs in (None, 1) else Processes(jobs)


class _Lent(AbstractContextManager[Executor]):
    """The caller's own executor, which is left open; only Ctrl-C shuts it down."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def __enter__(self) -> Executor:
        return self._executor

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not issubclass(kind, Exception):
            self._executor.shutdown(cancel_futures=True)


def n_workers(jobs: Jobs) -> int:
    """How many tasks run at a time; one, for an executor that does not say."""
    return jobs if isinstance(jobs, int) else int(getattr(jobs, "workers", 1))


def share(executor: Executor, value: Any) -> Any:
    """A stand-in to submit for a large value of many tasks: each process is sent it only once."""
    return executor.share(value) if isinstance(executor, TaskExecutor) else value


def completed(executor: Executor, futures: Sequence[Future[R]]) -> Iterator[Future[R]]:
    """Yield futures as they are completed; meanwhile the progress of their work is shown."""
    if isinstance(executor, Here):
        for future in futures:
            executor.run(future)
            yield future
        return
    replay = progress.Replay()
    waiting = set(futures)
    while waiting:
        done, waiting = wait(waiting, timeout=_REFRESH, return_when=FIRST_COMPLETED)
        if isinstance(executor, TaskExecutor):
            executor.show_reports(replay)
        yield from done


def mapped(
    executor: Executor, function: Callable[..., R], items: Iterable[Any], *values: Any
) -> Iterator[R]:
    """Yield `function(item, *values)` for each item, in order.

    Items are taken lazily, twice as many ahead as there are workers; `values` are sent to each
    process once.
    """
    if isinstance(executor, Here):
        for item in items:
            yield function(item, *values)
        return
    shared = [share(executor, value) for value in values]
    tasks = (executor.submit(function, item, *shared) for item in items)
    with Ahead(tasks, 2 * n_workers(executor)) as futures:
        for future in futures:
            for done in completed(executor, [future]):
                yield done.result()
