"""Streams whose reader does not wait for them: taken in another thread, a little ahead."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Self, TypeVar

T = TypeVar("T")

PATIENCE = 0.5
"""Seconds that what has come waits for more to be worked on together."""

_LOOK = 0.1  # seconds between two looks at whether somebody still wants what comes


class Ahead(Generic[T]):
    """What an iterable gives, taken by another thread, at most `size` items ahead of the reader.

    A context manager: the thread takes nothing more after the block. Ctrl-C is heard while waiting.
    """

    def __init__(self, items: Iterable[T], size: int) -> None:
        self._items = items
        self._queue: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(size)
        self._stopped = threading.Event()
        self._ended = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()

    def __iter__(self) -> Iterator[T]:
        while not self.ended:
            yield from self.take()

    @property
    def ended(self) -> bool:
        """Whether everything was taken."""
        return self._ended

    def take(self, seconds: float | None = None) -> list[T]:
        """The next item, or nothing where the end, or this time, comes first.

        Raises what the iterable raises.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self._ended:
            left = _LOOK if deadline is None else min(_LOOK, deadline - time.monotonic())
            try:
                is_item, value = self._queue.get(timeout=max(left, 0.0))
            except queue.Empty:
                if deadline is not None and time.monotonic() >= deadline:
                    return []
                continue
            if is_item:
                return [value]  # type: ignore[list-item]
            self._ended = True
            if isinstance(value, BaseException):
                raise value
        return []

    def _run(self) -> None:
        try:
            for item in self._items:
                if not self._put(True, item):
                    return
            self._put(False, None)
        except BaseException as error:
            self._put(False, error)

    def _put(self, is_item: bool, value: "T | BaseException | None") -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put((is_item, value), timeout=_LOOK)
                return True
            except queue.Full:
                continue
        return False


def gathered(
    items: Iterable[T], size: Callable[[T], int], full: int, seconds: float = PATIENCE
) -> Iterator[list[T]]:
    """Items of a stream in batches: one is given when it is `full` or so many seconds old.

    `size` says how much of a full batch an item is. Memory holds a batch or two.
    """
    with Ahead(items, 8) as stream:
        while not stream.ended:
            batch = stream.take()
            deadline = time.monotonic() + seconds
            held = sum(map(size, batch))
            while batch and held < full and not stream.ended:
                more = stream.take(deadline - time.monotonic())
                if not more and not stream.ended:
                    break
                held += sum(map(size, more))
                batch += more
            if batch:
                yield batch
