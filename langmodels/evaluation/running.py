"""Measure many candidates, in this process or in several."""

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from langmodels.errors import LangmodelsError, UsageError
from langmodels.evaluation.candidates import Trial
from langmodels.evaluation.forecast import Forecast, Work
from langmodels.evaluation.levels import Material
from langmodels.evaluation.measuring import AnyRun, ClozeRun, Plan, Run, measure, plan_of
from langmodels.evaluation.run_cache import RunCache
from langmodels.evaluation.shared_networks import SharedNetworks, containing
from langmodels.execution import Jobs, completed, executor, n_workers, share
from langmodels.formatting import duration, figure, perplexity
from langmodels.models.scores import perplexity_at
from langmodels.neural.training.trainer import TRAINING
from langmodels.progress import Report, listening, named, say, track
from langmodels.threads import cpu_count


def worthwhile_jobs(trials: Sequence[Trial]) -> int:
    """The default number of processes: one per network, at most one per processor, at most four.

    Each process holds a copy of the text, hence the limit of four. An n-gram model is estimated in
    less time than a process takes to start.
    """
    networks = sum(trial.candidate.random for trial in trials)
    return max(1, min(networks, cpu_count(), 4))


def worth_having(jobs: Jobs, n: int) -> Jobs:
    """`jobs`, but no second process where there are less than two trials."""
    return min(jobs, 1) if isinstance(jobs, int) and n < 2 else jobs


Runs = dict[int, AnyRun]
"""What was measured of trials, by their index."""

Failures = dict[int, LangmodelsError]
"""Why trials failed, by their index."""

Tell = Callable[[Trial, AnyRun], None]
"""Called with every trial and what was measured of it, as soon as it is finished."""


def run_trials(
    trials: Sequence[Trial],
    material: Material,
    plan: Plan,
    *,
    jobs: Jobs = 1,
    cache: RunCache | None = None,
    expected: Sequence[Work] | None = None,
    until: float | None = None,
    in_order: bool = False,
    tell: Tell | None = None,
) -> tuple[Runs, Failures]:
    """Measure every trial. Returns the runs and the failures, by index in `trials`.

    Args:
        trials: what to measure.
        material: the text, at every level.
        plan: what is measured.
        jobs: number of processes, or an open executor.
        cache: where finished runs are looked up and stored.
        expected: the expected time of each trial; with it, the progress bar shows the time left.
        until: the time by `time.monotonic` at which the whole comparison ends, where it goes on
            after these trials; the time left is shown to then.
        in_order: whether trials start in the given order. Else those that contain others start
            last; with several processes n-gram models start first, and networks that are expected
            to take long before others.
        tell: called with every finished trial.

    A trial that fails, or whose process dies, does not stop the others. After Ctrl-C the finished
    runs are returned; KeyboardInterrupt is raised only where there are none. Raises UsageError
    where a model cannot be fitted with its options, and for `jobs` below one.
    """
    done: Runs = {}
    failed: Failures = {}
    cache = cache or RunCache(None)

    def finish(i: int, run: AnyRun) -> None:
        done[i] = run
        if tell is not None:
            tell(trials[i], run)

    order = list(range(len(trials))) if in_order else _order(trials, jobs, expected)
    with _overall(trials, order, expected, until, n_workers(jobs)) as advance:
        for trial in trials:
            material.at(trial.candidate.level)  # encoded here, not once in every process
        for i, trial in enumerate(trials):
            found = cache.load(trial, material, plan)
            if found is not None:
                finish(i, found)
                advance(i)
        todo = [i for i in order if i not in done]
        try:
            with (
                SharedNetworks.among([trials[i] for i in todo]) as networks,
                executor(worth_having(jobs, len(todo))) as pool,
            ):
                shared = share(pool, (material, plan, networks))
                number = {pool.submit(_measure, trials[i], shared): i for i in todo}
                for future in completed(pool, list(number)):
                    i = number[future]
                    try:
                        run = future.result()
                    except UsageError:
                        raise
                    except LangmodelsError as error:
                        failed[i] = error
                    else:
                        cache.save(trials[i], material, plan, run)
                        in_short = _in_short(trials[i], run, material)
                        say(f"{in_short}; {len(done) + 1} of {len(trials)}")
                        finish(i, run)
                    advance(i)
                    left = [k for k in todo if k not in done and k not in failed]
                    if left and not trials[i].candidate.random and _are_random(trials, left):
                        say_standings(trials, done, material)
        except KeyboardInterrupt:
            if not done:
                raise
    return done, failed


def _order(trials: Sequence[Trial], jobs: Jobs, expected: Sequence[Work] | None) -> list[int]:
    """The indices of trials in the order in which they start."""
    order, last = range(len(trials)), containing(trials)
    if jobs == 1:
        return sorted(order, key=lambda i: i in last)
    # n-gram models first; then networks, the longest first, as no long trial should be left for the
    # end, but those that contain others after these. Where times are not known, the last named
    # comes first: users tend to name small networks before large ones.
    times = [0.0] * len(trials) if expected is None else [work.seconds for work in expected]
    return sorted(order, key=lambda i: (trials[i].candidate.random, i in last, -times[i], -i))


def forecast_of(expected: Sequence[Work], trials: Sequence[Trial], jobs: Jobs) -> Forecast:
    """A forecast of when trials end that `run_trials` runs, from their expected times."""
    order = _order(trials, jobs, expected)
    return Forecast([expected[i] for i in order], n_workers(jobs))


@contextmanager
def _overall(
    trials: Sequence[Trial],
    order: Sequence[int],
    expected: Sequence[Work] | None,
    until: float | None,
    workers: int,
) -> Iterator[Callable[[int], None]]:
    """Show one progress bar for all trials; yields a function to call with the index of each
    trial that ends.

    With `expected` times the bar shows the share of the time that has passed, else that of the
    work, estimated roughly.
    """
    if expected is None:
        with track("Comparing models", total=sum(map(_work_of, trials))) as work:
            yield lambda i: work.advance(_work_of(trials[i]), trials[i].candidate.label)
        return
    began, note = time.monotonic(), ""
    forecast = Forecast([expected[i] for i in order], workers)
    listener = _Listener([trials[i].candidate.label for i in order], forecast)
    lock, ended = threading.Lock(), threading.Event()

    def left() -> float:
        with lock:
            at_least = 0.0 if until is None else until - time.monotonic()
            return max(at_least, forecast.left())

    def hear(report: Report) -> None:
        with lock:
            listener(report)

    def advance(i: int) -> None:
        nonlocal note
        note = trials[i].candidate.label
        with lock:
            forecast.finish(order.index(i))

    with track("Comparing models", total=left()) as work, listening(hear):

        def tick() -> None:
            while not ended.wait(1.0):
                work.wait(time.monotonic() - began, left(), note)

        thread = threading.Thread(target=tick, daemon=True)
        thread.start()
        try:
            yield advance
        finally:
            ended.set()
            thread.join()


class _Listener:
    """Passes the progress reports of networks in training on to a forecast."""

    def __init__(self, labels: Sequence[str], forecast: Forecast) -> None:
        self._labels, self._forecast = labels, forecast
        self._owners: dict[str, int | None] = {}

    def __call__(self, report: Report) -> None:
        if report.completed is None or not report.total:
            return
        if report.key not in self._owners:
            found = (
                i
                for i in self._forecast.running
                if report.description.startswith(f"{self._labels[i]}: {TRAINING}")
            )
            self._owners[report.key] = next(found, None)
        owner = self._owners[report.key]
        if owner is not None:
            self._forecast.reach(owner, report.key, report.completed / report.total)


def _work_of(trial: Trial) -> float:
    """A rough estimate of how long a trial takes, in multiples of an n-gram model."""
    return 20.0 if trial.candidate.random else 1.0


def _are_random(trials: Sequence[Trial], which: Sequence[int]) -> bool:
    return all(trials[i].candidate.random for i in which)


def say_standings(trials: Sequence[Trial], done: Runs, material: Material) -> None:
    """Print a table of the finished models, best first, to read while networks train."""
    rows = []
    for i, run in done.items():
        if isinstance(run, Run):
            loss, bits, per = _quality(trials[i], run, material)
            rows.append((bits, trials[i].candidate.label, perplexity(loss), figure(bits, 3), per))
    if len(rows) < 2:
        return
    rows.sort(key=lambda row: row[0])
    width = max(len(label) for _, label, *_ in rows)
    say(f"So far, {len(rows)} models, best first:")
    for _, label, value, rate, per in rows:
        say(f"  {label:{width}}  perplexity {value:>8}  {rate:>7} bits/{per}")


def _quality(trial: Trial, run: Run, material: Material) -> tuple[float, float, str]:
    """Perplexity per token, bits per character or token, and which: "char" or "token"."""
    figures, costs = run.fits[-1], material.at(trial.candidate.level).costs
    loss = figures.nats / len(run.scores)
    bits = (figures.nats + float(costs.extra.sum())) / math.log(2) / costs.length
    return perplexity_at(loss), bits, costs.per


def _in_short(trial: Trial, run: AnyRun, material: Material) -> str:
    """A line about a finished model, printed before the others are."""
    label = trial.candidate.label
    if isinstance(run, ClozeRun):
        return f"{label}: blanks filled"
    figures, (value, bits, per) = run.fits[-1], _quality(trial, run, material)
    how = f"trained in {duration(figures.seconds)}" if figures.tokens else "as it is"
    return f"{label}: perplexity {perplexity(value)}, {figure(bits, 3)} bits/{per}, {how}"


def _measure(trial: Trial, shared: tuple[Material, Plan, SharedNetworks]) -> AnyRun:
    material, plan, networks = shared
    with named(trial.candidate.label):
        level = material.at(trial.candidate.level)
        return measure(trial, level, plan_of(trial, plan), networks)
