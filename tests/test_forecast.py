"""How long work still takes, on a clock that stands still until it is told to go on."""

from collections.abc import Callable, Sequence

import pytest

from langmodels.evaluation.forecast import Forecast, Work

Pace = Callable[[object, float], float]
"""Seconds that an expected second of a kind takes at a time."""


def network(learning: float, scoring: float, growth: Sequence[float] = ()) -> Work:
    stages = tuple(learning * share for share in (*growth, 1.0))
    return Work(sum(stages) + scoring, stages, "network")


def counting(seconds: float) -> Work:
    return Work(seconds, (), "counting")


def simulated(
    pieces: Sequence[Work], workers: int, pace: Pace, ends: dict[int, float] | None = None
) -> tuple[list[float], float]:
    """What is said to be left at every second, and how long it took in truth.

    `ends`: expected seconds after which pieces are done already.
    """
    now, said = 0.0, []
    forecast = Forecast(pieces, workers, lambda: now)
    waiting = list(range(len(pieces)))
    running = dict.fromkeys(waiting[:workers], 0.0)
    del waiting[:workers]
    while running:
        said.append(forecast.left())
        now += 1.0
        for i in list(running):
            piece = pieces[i]
            running[i] += 1.0 / pace(piece.kind, now)
            behind = 0.0
            for k, stage in enumerate(piece.told):
                if behind < running[i]:
                    forecast.reach(i, f"{i}.{k}", min(1.0, (running[i] - behind) / stage))
                behind += stage
            if running[i] >= (ends or {}).get(i, piece.seconds):
                del running[i]
                forecast.finish(i)
                if waiting:
                    running[waiting.pop(0)] = 0.0
    return said, now


def worst(said: Sequence[float], truth: float, begin: int, until: float = 45.0) -> float:
    """The largest factor by which it was wrong from second `begin` to `until` seconds before."""
    pairs = [(left, truth - t) for t, left in enumerate(said) if begin <= t <= truth - until]
    assert pairs
    return max(max(left / true, true / left) for left, true in pairs)


def test_work_that_goes_as_expected_is_forecast_within_five_percent() -> None:
    pieces = [counting(5), counting(30), *[network(100 + 20 * k, 10) for k in range(5)]]
    said, truth = simulated(pieces, 2, lambda *_: 1.0)
    assert worst(said, truth, 0) < 1.05


@pytest.mark.parametrize("pace", [0.4, 2.5])
def test_a_wrong_expectation_is_corrected_within_a_minute(pace: float) -> None:
    pieces = [network(300, 20, (0.25, 0.5)), network(500, 20, (0.25, 0.5)), network(400, 30)]
    said, truth = simulated(pieces, 2, lambda *_: pace)
    assert max(said[0] / truth, truth / said[0]) > 2
    assert worst(said, truth, 60) < 1.5


def test_kinds_of_work_have_paces_of_their_own() -> None:
    pieces = [*[counting(6)] * 8, network(300, 20), network(300, 20)]
    paces = {"counting": 4.0, "network": 1.0}
    said, truth = simulated(pieces, 2, lambda kind, _: paces[str(kind)])
    assert worst(said, truth, 60) < 1.5


def test_a_machine_that_becomes_slower_or_faster_is_noticed() -> None:
    pieces = [network(600, 10), network(600, 10)]
    for before, after in ((1.0, 3.0), (3.0, 1.0)):

        def pace(_: object, t: float, before: float = before, after: float = after) -> float:
            return before if t < 300 else after

        said, truth = simulated(pieces, 2, pace)
        assert worst(said, truth, 300 + 120) < 1.5


def test_a_network_that_stops_early_does_not_make_the_others_look_fast() -> None:
    pieces = [network(400, 10)] * 4
    said, truth = simulated(pieces, 1, lambda *_: 1.0, ends={0: 100.0})
    assert worst(said, truth, 101) < 1.2


def test_overdue_work_has_time_left_until_it_ends() -> None:
    said, truth = simulated([counting(10)], 1, lambda *_: 6.0)
    assert truth == pytest.approx(60, abs=1)
    assert min(said) > 0
    said, _ = simulated([network(10, 10)], 1, lambda *_: 1.0)
    assert said[-1] < 3


def test_overdue_work_does_not_slow_the_forecast_of_other_work() -> None:
    """A minute of scoring that becomes six, alone and while others learn as they should."""
    late = Work(200.0, (140.0,), "network")
    said, truth = simulated([late], 1, lambda *_: 1.0, ends={0: 500.0})
    assert truth == 500
    assert 0 < min(said[201:]) <= max(said[201:]) < 60
    said, truth = simulated([late, *[network(300, 10)] * 3], 2, lambda *_: 1.0, ends={0: 500.0})
    assert truth == 810
    assert max(left / (truth - t) for t, left in enumerate(said[:765])) < 1.3
    assert worst(said, truth, 0) < 2


def test_work_finished_beforehand_takes_no_time() -> None:
    forecast = Forecast([network(50, 0), Work(0.0), network(70, 0)], 2, lambda: 0.0)
    forecast.finish(1)
    assert forecast.left() == pytest.approx(70)
    forecast.finish(0)
    forecast.finish(2)
    assert forecast.left() == 0
    forecast.reach(0, "late", 0.5)
    assert forecast.left() == 0
