"""Functions that tests run in other processes, which so need not import the tests."""

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from langmodels.errors import LangmodelsError
from langmodels.text.cleaning import clean


def square(x: int) -> int:
    return x * x


def slow_square(x: int) -> int:
    time.sleep(0.05)
    return square(x)


def total(values: list[int], x: int) -> int:
    return sum(values) + x


def fail(message: str) -> None:
    raise LangmodelsError(message)


def end_of_file() -> None:
    raise EOFError("the task's own")


def die(attempts: str) -> None:
    """Kill this process, as the kernel does when memory is short; each attempt leaves a mark."""
    with open(attempts, "a") as file:  # noqa: PTH123
        file.write(".")
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(mark: str, x: int) -> int:
    if not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def interrupted(x: int) -> int:
    os.kill(os.getpid(), signal.SIGINT)
    return x


def unpicklable() -> Callable[[], int]:
    return lambda: 3


def shout(chunks: Iterable[str]) -> Iterator[str]:
    return (f"{chunk.upper()}!" for chunk in chunks)


def cleaned(how: str) -> str:
    return "".join(clean(["a"], how))
