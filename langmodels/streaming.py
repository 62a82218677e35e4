"""Reading a stream ahead in another thread, and in batches."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Self, TypeVar

T = TypeVar("T")

PATIENCE = 0.5
"""Seconds that an item waits for others to make up a batch."""

_LOOK = 0.1  # seconds between two checks whether the reader or the producer has stopped


class Ahead(Generic[T]):
    """Iterates over `items`, which another thread takes at most `size` items ahead.

    A context manager: after the block the thread takes no more items. Ctrl-C works while waiting.
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
        """Whether the last item has been taken."""
        return self._ended

    def take(self, seconds: float | None = None) -> list[T]:
        """A list of the next item, empty at the end or if none comes within `seconds`.

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
    """Items of a stream in batches; one is given out when it is full or `seconds` old.

    A batch is full when the `size`s of its items add up to `full`. Memory holds a batch or two.
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
