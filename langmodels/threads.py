"""Threads: array code on every core, and the parts of one training step.

NumPy and BLAS release Python's global lock while they compute, so that several threads, each with a
part of the work, use several cores even for element-wise operations. `Workers` limits BLAS to one
thread meanwhile: its own threads would compete with these, and on a busy machine they would wait
for each other longer than they compute.
"""

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, Self, TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

A = TypeVar("A")
R = TypeVar("R")


def cpu_count() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


_sharers = 1


def share_cores(n: int) -> None:
    """Say that `n` processes like this one share this machine's cores; see `cores`."""
    global _sharers
    _sharers = n


def cores() -> int:
    """How many cores this process may use as its share, at least one."""
    return max(1, cpu_count() // _sharers)


def parallel_map(function: Callable[[A], R], tasks: Iterable[A]) -> list[R]:
    """`[function(t) for t in tasks]`, in as many threads as `cores()`.

    An exception in a task is raised here, after the tasks already running have ended.
    """
    todo: Sequence[A] = list(tasks)
    workers = min(len(todo), cores())
    if workers <= 1:
        return [function(task) for task in todo]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, todo))


def slices(length: int, size: int) -> list[slice]:
    """Cut `range(length)` into consecutive slices of nearly equal length, at most `size`."""
    n = -(-length // size)
    return [slice(length * k // n, length * (k + 1) // n) for k in range(n)]


class Workers:
    """Threads for work in `n` parts, the calling one included, as a context manager.

    There are no more threads than `cores`, so that processes that share a machine do not compete
    for it. What the parts are does not depend on that, and neither do results.
    """

    def __init__(self, n: int) -> None:
        self.n = n

    def map(self, function: Callable[[A], R], items: Sequence[A]) -> list[R]:
        """The function of each item, with floating-point warnings off."""

        def quiet(item: A) -> R:
            with np.errstate(all="ignore"):
                return function(item)

        if self._pool is None:
            return [quiet(item) for item in items]
        others = [self._pool.submit(quiet, item) for item in items[1:]]
        first = quiet(items[0])
        return [first, *(future.result() for future in others)]

    def __enter__(self) -> Self:
        threads = min(self.n, cores())
        self._pool = ThreadPoolExecutor(threads - 1, "langmodels") if threads > 1 else None
        self._limit: Any = _blas().limit(limits=1, user_api="blas")
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()
        self._limit.restore_original_limits()


class PerThread(Generic[A]):
    """Holds one object for each thread, for objects that threads must not share."""

    def __init__(self) -> None:
        self._things: dict[int, A] = {}

    def get(self, make: Callable[[], A]) -> A:
        """The object of the calling thread; `make` makes it the first time."""
        thread = threading.get_ident()
        if thread not in self._things:
            self._things[thread] = make()
        return self._things[thread]


_controller: ThreadpoolController | None = None


def _blas() -> ThreadpoolController:
    global _controller
    if _controller is None:  # looking for the loaded libraries takes some milliseconds
        _controller = ThreadpoolController()
    return _controller
