"""Forecasts of the remaining time of parallel work, corrected while it runs.

Every piece of work has an expected time. The ratio of the time spent in the last minutes to the
expected time of what was done in it is the present pace, by which the expected rest is scaled.
"""

import heapq
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

_WINDOW = 120.0
"""Seconds of the past that determine the pace."""
_TRUST = 10.0
"""Weight of the expectation, as seconds of measured work."""
_OVERRUN = 0.1
"""The further time given to overdue work, as a share of the time that it has taken."""


@dataclass(frozen=True)
class Work:
    """The expected time of a piece of work.

    `seconds` is the total, `told` the seconds of each of its first stages, which report their
    progress. Pieces of the same `kind` are assumed to be off by the same factor.
    """

    seconds: float
    told: tuple[float, ...] = ()
    kind: Hashable = None


@dataclass
class _Running:
    """A running piece of work: when it `began`; the expected seconds it `told` of last, and `since`
    when; the expected seconds assumed `reached`; since when it is `due`; the index of its `stages`
    by name.
    """

    began: float
    told: float
    since: float
    reached: float = 0.0
    due: float | None = None
    stages: dict[str, int] = field(default_factory=dict)


Totals = dict[Hashable, tuple[float, float]]
"""By kind, seconds spent, and expected seconds of the work done in them."""


class Forecast:
    """The remaining time of pieces of work that `workers` take in order.

    `clock` returns the time in seconds.
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
        """Report that a piece is done or has failed."""
        now = self._clock()
        if i in self._running:
            piece, running = self._pieces[i], self._running.pop(i)
            # Where it stopped early, the stages it skipped do not count as done.
            missing = sum(piece.told) - running.told if running.told else 0.0
            spent, done = self._ended.get(piece.kind, (0.0, 0.0))
            done += piece.seconds - missing
            # An overrun after the last report says nothing of the pace of reported stages.
            until = now if running.due is None or not running.told else running.due
            self._ended[piece.kind] = spent + until - running.began, done
        elif i in self._waiting:
            self._waiting.remove(i)
        self._begin()

    @property
    def running(self) -> Sequence[int]:
        """The running pieces, those with the fewest known stages first."""
        return sorted(self._running, key=lambda i: len(self._running[i].stages))

    def reach(self, i: int, stage: str, share: float) -> None:
        """Report that a piece has done a `share` of a stage, 0 to 1; a new name means the next
        stage.
        """
        running, told = self._running.get(i), self._pieces[i].told
        if running is None or not told:
            return
        number = running.stages.setdefault(stage, min(len(running.stages), len(told) - 1))
        reached = sum(told[:number]) + share * told[number]
        if reached > running.told:
            running.told, running.since = reached, self._clock()

    def left(self) -> float:
        """Seconds until all pieces are done."""
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
        """Free workers take the next pieces."""
        now = self._clock()
        while self._waiting and len(self._running) < self._workers:
            self._running[self._waiting.popleft()] = _Running(now, 0.0, now)

    def _move(self, i: int, now: float) -> None:
        """Update how far a piece is; unreported work is assumed to proceed at the recent pace of
        its kind.
        """
        piece, running = self._pieces[i], self._running[i]
        reached = running.told
        if reached >= 0.999 * sum(piece.told):
            reached += (now - running.since) / self._pace[piece.kind]
        running.reached = min(piece.seconds, max(running.reached, reached))
        if running.due is None and running.reached >= piece.seconds:
            running.due = now

    def _paces(self, now: float) -> dict[Hashable, float]:
        """The recent pace by kind: actual seconds per expected second."""
        totals = {piece.kind: self._ended.get(piece.kind, (0.0, 0.0)) for piece in self._pieces}
        for i, running in self._running.items():
            self._move(i, now)
            kind, (spent, done) = self._pieces[i].kind, totals[self._pieces[i].kind]
            # How late it is will only be known when it ends.
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
