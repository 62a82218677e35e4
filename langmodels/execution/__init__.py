"""Execution: independent tasks elsewhere, behind `concurrent.futures.Executor`.

Whoever has tasks opens `executor(jobs)`, submits them, and reads `completed` or `mapped`; none of
that tells where they run: here, in processes of this machine, or on a Dask cluster. Tasks are pure:
what they need comes with them, by value or by path, what they find is returned or written to files
that are whole or not there. So a lost worker costs a repeat and never a figure. Models and other
things that the program has registered are known to all workers.
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
"""Who does tasks: so many processes of this machine, or an executor that is open."""

_REFRESH = 0.2  # seconds between two looks at what workers report


@checked
def executor(
    jobs: Jobs | None = 1, scheduler: str | None = None
) -> AbstractContextManager[Executor]:
    """Who does tasks, for a `with` block.

    Args:
        jobs: so many processes of this machine, or for one job this process itself; an executor
            that is open is used as it is, and not closed but after Ctrl-C. None: one job, or as
            many workers as there are processors.
        scheduler: the address of a Dask scheduler (`tcp://host:8786`), whose workers are used;
            or `local` for a Dask cluster of `jobs` workers of this machine, as long as the block.

    Raises UsageError for less than one job, LangmodelsError where there is no such scheduler or no
    package for it.
    """
    if isinstance(jobs, Executor):
        return _Lent(jobs)
    if jobs is not None and jobs < 1:
        raise UsageError(f"The number of jobs must be at least 1, not {jobs}.")
    if scheduler is not None:
        return Cluster(scheduler, jobs or cpu_count())
    return Here() if jobs in (None, 1) else Processes(jobs)


class _Lent(AbstractContextManager[Executor]):
    """An executor of somebody else: only Ctrl-C ends it."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def __enter__(self) -> Executor:
        return self._executor

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not issubclass(kind, Exception):
            self._executor.shutdown(cancel_futures=True)


def n_workers(jobs: Jobs) -> int:
    """How many tasks run at a time; one, where an executor does not say."""
    return jobs if isinstance(jobs, int) else int(getattr(jobs, "workers", 1))


def share(executor: Executor, value: Any) -> Any:
    """What to submit for a large value that many tasks take: each process is sent it once."""
    return executor.share(value) if isinstance(executor, TaskExecutor) else value


def completed(executor: Executor, futures: Sequence[Future[R]]) -> Iterator[Future[R]]:
    """Futures of an executor as they are done; the progress of their work is shown meanwhile."""
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
    """`function(item, *values)` of each item, in order, while the items come.

    A few more items are taken than there are workers; `values` are sent to each process once.
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
