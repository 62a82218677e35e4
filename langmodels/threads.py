"""Run array code on every core: NumPy releases the interpreter lock while it works on an array."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def cpu_count() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def parallel_map(function: Callable[[Task], Result], tasks: Iterable[Task]) -> list[Result]:
    """`[function(t) for t in tasks]`, with as many tasks at a time as there are cores.

    An exception in a task is raised here, after the tasks already running have ended.
    """
    todo: Sequence[Task] = list(tasks)
    workers = min(len(todo), cpu_count())
    if workers <= 1:
        return [function(task) for task in todo]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, todo))


def slices(length: int, size: int) -> list[slice]:
    """Cut `range(length)` into consecutive slices of at most `size`."""
    return [slice(a, min(a + size, length)) for a in range(0, length, size)]
