"""How long work that runs side by side still takes: estimated before it, corrected while it runs.

Every piece of work is expected to take some seconds. What has been done of them in the last
minutes, and how long that took, says how fast the machine is now, and with that what is left.
"""

import heapq
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

_WINDOW = 120.0
"""Seconds of the past that say how fast things go."""
_TRUST = 10.0
"""Seconds of work for which the expectation counts among those that were measured."""
_OVERRUN = 0.1
"""Of the time that something has taken, what it is given on top where it should be done."""


@dataclass(frozen=True)
class Work:
    """What a piece of work is expected to take.

    `seconds` in all; `told`: how many of these each of its first stages takes, which tell how far
    they are; `kind`: pieces of the same kind are wrong by the same factor.
    """

    seconds: float
    told: tuple[float, ...] = ()
    kind: Hashable = None


@dataclass
class _Running:
    """A piece of work under way: since when, how far it said that it was, and since when that; how
    far it is taken to be, and since when it should be done; its stages by their names.
    """

    began: float
    told: float
    since: float
    reached: float = 0.0
    due: float | None = None
    stages: dict[str, int] = field(default_factory=dict)


Totals = dict[Hashable, tuple[float, float]]
"""By kind, seconds that were spent, and expected ones of what was done in them."""


class Forecast:
    """When pieces of work are done that `workers` take one after another, in their order.

    `clock` gives the time in seconds.
    """

    def __init__(
        self,
        pieces: Sequence[Work],
        workers: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pieces, self._clock = pieces, clock
        self._waiting = deque(range(len(pieces)))
        self._running: dict[int, _Running] = {}
        self._ended: Totals = {}
        self._workers = max(1, workers)
        self._pace: dict[Hashable, float] = {piece.kind: 1.0 for piece in pieces}
        self._past: deque[tuple[float, Totals]] = deque()
        self._begin()

    def finish(self, i: int) -> None:
        """A piece is done, or will not be."""
        now = self._clock()
        if i in self._running:
            piece, running = self._pieces[i], self._running.pop(i)
            # One that told and ended before its time has not done the rest in no time.
            missing = sum(piece.told) - running.told if running.told else 0.0
            spent, done = self._ended.get(piece.kind, (0.0, 0.0))
            done += piece.seconds - missing
            # What took too long after all that it told of says nothing of what others tell of.
            until = now if running.due is None or not running.told else running.due
            self._ended[piece.kind] = spent + until - running.began, done
        elif i in self._waiting:
            self._waiting.remove(i)
        self._begin()

    @property
    def running(self) -> Sequence[int]:
        """The pieces that are under way, those with the fewest known stages first."""
        return sorted(self._running, key=lambda i: len(self._running[i].stages))

    def reach(self, i: int, stage: str, share: float) -> None:
        """A piece has done so much of a stage, 0 to 1; a name that is new is that of the next."""
        running, told = self._running.get(i), self._pieces[i].told
        if running is None or not told:
            return
        number = running.stages.setdefault(stage, min(len(running.stages), len(told) - 1))
        reached = sum(told[:number]) + share * told[number]
        if reached > running.told:
            running.told, running.since = reached, self._clock()

    def left(self) -> float:
        """Seconds until all is done."""
        now = self._clock()
        paces = self._pace = self._paces(now)
        free = [0.0] * self._workers
        for k, (i, running) in enumerate(self._running.items()):
            piece = self._pieces[i]
            rest = paces[piece.kind] * (piece.seconds - running.reached)
            free[k] = max(rest, _OVERRUN * (now - running.since))
        heapq.heapify(free)
        for i in self._waiting:
            piece = self._pieces[i]
            heapq.heapreplace(free, free[0] + paces[piece.kind] * piece.seconds)
        return max(free)

    def _begin(self) -> None:
        """Whoever is free takes the next piece."""
        now = self._clock()
        while self._waiting and len(self._running) < self._workers:
            self._running[self._waiting.popleft()] = _Running(now, 0.0, now)

    def _move(self, i: int, now: float) -> None:
        """Note how much is behind a piece; what it does not tell of is taken to go as fast as its
        kind did lately.
        """
        piece, running = self._pieces[i], self._running[i]
        reached = running.told
        if reached >= 0.999 * sum(piece.told):
            reached += (now - running.since) / self._pace[piece.kind]
        running.reached = min(piece.seconds, max(running.reached, reached))
        if running.due is None and running.reached >= piece.seconds:
            running.due = now

    def _paces(self, now: float) -> dict[Hashable, float]:
        """Seconds that an expected second takes, by the kind of work, lately."""
        totals = {piece.kind: self._ended.get(piece.kind, (0.0, 0.0)) for piece in self._pieces}
        for i, running in self._running.items():
            self._move(i, now)
            kind, (spent, done) = self._pieces[i].kind, totals[self._pieces[i].kind]
            # By how much it is late is known when it ends.
            until = now if running.due is None else running.due
            totals[kind] = spent + until - running.began, done + running.reached
        while len(self._past) > 1 and self._past[1][0] <= now - _WINDOW:
            self._past.popleft()
        first = self._past[0][1] if self._past else {}
        self._past.append((now, totals))
        paces = {}
        for kind, (spent, done) in totals.items():
            before = first.get(kind, (0.0, 0.0))
            paces[kind] = (_TRUST + spent - before[0]) / (_TRUST + max(0.0, done - before[1]))
        return paces
