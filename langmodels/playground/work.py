"""Long work of several visitors, shared out in turns, so that nobody waits for ever."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable

from langmodels.errors import LangmodelsError

Work = Callable[[], bool]
"""A piece of work: each call does some of it, and returns whether there is more to do."""


class Line:
    """A thread that works for many visitors in turns, one piece of work for each.

    `most`: how many pieces may wait in all; `each`: of one visitor. The thread ends with the
    process.
    """

    def __init__(self, name: str, *, most: int, each: int) -> None:
        self._most, self._each = most, each
        self._waiting: OrderedDict[str, deque[Work]] = OrderedDict()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def submit(self, who: str, work: Work) -> None:
        """Append a piece of work, which must not raise, to those of visitor `who`.

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
        """Start no more work."""
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
        """(visitor, work) of the visitor who has waited longest; None once the line is closed."""
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
