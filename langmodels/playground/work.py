"""Work that takes long, shared out so that nobody's keeps the others waiting for ever."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable

from langmodels.errors import LangmodelsError

Work = Callable[[], bool]
"""A piece of work: does some of it, and says whether there is more to do."""


class Line:
    """One thread that works for many, in turns: a piece for each of those who wait, then the next.

    `most` pieces may wait in all, `each` of one person. The thread ends with the process.
    """

    def __init__(self, name: str, *, most: int, each: int) -> None:
        self._most, self._each = most, each
        self._waiting: OrderedDict[str, deque[Work]] = OrderedDict()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def submit(self, who: str, work: Work) -> None:
        """Put a piece of work last among those of `who`. It must not raise.

        Raises LangmodelsError where too many are waiting already.
        """
        with self._changed:
            if sum(map(len, self._waiting.values())) >= self._most:
                raise LangmodelsError("Too much is waiting already; try again in a minute.")
            if len(self._waiting.get(who, ())) >= self._each:
                raise LangmodelsError(
                    f"{self._each} pieces of your work are waiting already; let them end first."
                )
            self._waiting.setdefault(who, deque()).append(work)
            if self._thread.ident is None:
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Begin nothing more."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify()

    def _run(self) -> None:
        while (turn := self._next()) is not None:
            who, work = turn
            if work():
                with self._changed:
                    if not self._closed:
                        self._waiting.setdefault(who, deque()).append(work)

    def _next(self) -> tuple[str, Work] | None:
        """The next piece, of whoever has waited longest; None where there will be none."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            who, works = self._waiting.popitem(last=False)
            work = works.popleft()
            if works:
                self._waiting[who] = works  # behind the others
            return who, work
