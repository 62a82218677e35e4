"""Measure many candidates: from the cache, one after the other, or in several processes."""

import functools
import hashlib
import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from langmodels.checks import LOG_PROB, Expected, check_arrays
from langmodels.errors import LangmodelsError, UsageError
from langmodels.evaluation.candidates import Candidate
from langmodels.evaluation.forecast import Forecast, Work
from langmodels.evaluation.levels import Material
from langmodels.evaluation.measuring import AnyRun, ClozeRun, Plan, Run, measure
from langmodels.execution import Jobs, completed, executor, n_workers, share
from langmodels.formatting import duration, figure, perplexity
from langmodels.interchange import json_text, structure
from langmodels.neural.training.trainer import TRAINING
from langmodels.progress import Report, listening, named, say, track
from langmodels.storage import cache_folder
from langmodels.tensors import open_arrays, save_arrays
from langmodels.threads import cpu_count


@dataclass(frozen=True)
class Trial:
    """One candidate to be measured with one seed."""

    candidate: Candidate
    seed: int


class RunCache:
    """Finished runs in a folder, by a hash of all that decides them.

    The hash covers the model and its options, the seed, the ids of all parts of the text, what is
    measured, and the source code of the package; a run whose file is broken is measured again.
    Models with code from elsewhere, which may change unseen, are not kept.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def key(self, trial: Trial, material: Material, plan: Plan) -> str:
        """The name of a trial's file."""
        parts = [
            trial.candidate.name,
            trial.candidate.level,
            json.dumps(dict(trial.candidate.options), sort_keys=True, default=repr),
            str(trial.seed),
            material.at(trial.candidate.level).digest,
            repr(plan),
            _code_digest(),
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]

    def has(self, trial: Trial, material: Material, plan: Plan) -> bool:
        """Whether a trial was run before, as far as one can see without reading the run."""
        if not trial.candidate.repeatable:
            return False
        return (self.folder / f"{self.key(trial, material, plan_of(trial, plan))}.run").is_file()

    def load(self, key: str, kind: type[AnyRun]) -> AnyRun | None:
        """A finished run of this kind, or None."""
        path = self.folder / f"{key}.run"
        if not path.is_file():
            return None
        try:
            metadata, arrays = open_arrays(path)
            if "scores" in arrays:
                check_arrays(arrays, {"scores": Expected("float64", ("tokens",), **LOG_PROB)})
            data = json.loads(metadata["run"])
            found: dict[str, Any] = dict(arrays)
            for f in fields(kind):
                if f.name not in arrays:
                    found[f.name] = structure(f.type, data[f.name])
            return kind(**found)
        except (LangmodelsError, KeyError, TypeError, ValueError):
            return None

    def save(self, key: str, run: AnyRun) -> None:
        """Keep a finished run, where the folder can be written."""
        arrays = {"scores": run.scores} if isinstance(run, Run) else {}
        rest = {f.name: getattr(run, f.name) for f in fields(run) if f.name not in arrays}
        path = self.folder / f"{key}.run"
        with suppress(LangmodelsError, OSError):  # a full disk must not cost the results
            self.folder.mkdir(parents=True, exist_ok=True)
            save_arrays(path, arrays, {"run": json_text(rest)})


def default_cache_folder() -> Path:
    """Where the command line keeps finished runs: beside the downloads."""
    return cache_folder() / "runs"


@functools.cache
def _code_digest() -> str:
    """A hash of the package's source, so that no figure outlives the code that made it."""
    text = hashlib.sha256()
    folder = Path(__file__).parents[1]
    for path in sorted(folder.rglob("*.py")):
        part = path.relative_to(folder).parts[0]
        if part not in ("cli", "teaching"):  # which make no figures
            text.update(path.read_bytes())
    return text.hexdigest()


def worthwhile_jobs(trials: Sequence[Trial]) -> int:
    """One process a network, up to the number of processors.

    More than four would hold the text too often; and n-gram models take less time than a process
    takes to start.
    """
    networks = sum(trial.candidate.random for trial in trials)
    return max(1, min(networks, cpu_count(), 4))


def worth_having(jobs: Jobs, n: int) -> Jobs:
    """No other process for a single trial."""
    return min(jobs, 1) if isinstance(jobs, int) and n < 2 else jobs


Runs = dict[int, AnyRun]
Failures = dict[int, LangmodelsError]
Tell = Callable[[Trial, AnyRun], None]
"""Called with every trial that is finished, as soon as it is."""


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
    """Measure every trial; runs and failures by index in `trials`.

    `expected`: what each is expected to take, by which the time that is left is shown; more is to
    be done after it `until` a time by `time.monotonic`.
    `in_order`: trials begin in their order, not the long ones first. `jobs` processes share the
    work. A trial that fails, or whose process dies, does not keep the others from being finished.
    On Ctrl-C what is finished is returned; KeyboardInterrupt goes on only where nothing is. Raises
    UsageError for what cannot be fitted as it was put, and for `jobs` below one.
    """
    done: Runs = {}
    failed: Failures = {}
    order = _order(trials, in_order or jobs == 1)
    with _overall(trials, order, expected, until, n_workers(jobs)) as advance:
        for trial in trials:
            material.at(trial.candidate.level)  # once, before it is sent to other processes
        keys: dict[int, str] = {}
        if cache is not None:
            for i, trial in enumerate(trials):
                if trial.candidate.repeatable:
                    keys[i] = cache.key(trial, material, plan_of(trial, plan))
                    kind = ClozeRun if trial.candidate.fills_blanks else Run
                    found = cache.load(keys[i], kind)
                    if found is not None:
                        done[i] = found
                        if tell is not None:
                            tell(trial, found)
                        advance(i)
        todo = [i for i in order if i not in done]
        try:
            with executor(worth_having(jobs, len(todo))) as pool:
                shared = share(pool, (material, plan))
                number = {pool.submit(_measure, trials[i], shared): i for i in todo}
                for future in completed(pool, list(number)):
                    i = number[future]
                    try:
                        done[i] = future.result()
                    except UsageError:
                        raise
                    except LangmodelsError as error:
                        failed[i] = error
                    else:
                        if cache is not None and i in keys:
                            cache.save(keys[i], done[i])
                        say(
                            f"{_in_short(trials[i], done[i], material)}; "
                            f"{len(done)} of {len(trials)}"
                        )
                        if tell is not None:
                            tell(trials[i], done[i])
                    advance(i)
                    left = [k for k in todo if k not in done and k not in failed]
                    if left and not trials[i].candidate.random and _are_random(trials, left):
                        say_standings(trials, done, material)
        except KeyboardInterrupt:
            if not done:
                raise
    return done, failed


def _order(trials: Sequence[Trial], as_given: bool) -> list[int]:
    """The order in which trials begin, by index."""
    order = list(range(len(trials)))
    if not as_given:
        # Of the networks, the long ones first: the larger ones are named later.
        order.sort(key=lambda i: (trials[i].candidate.random, -i))
    return order


def forecast_of(
    expected: Sequence[Work], trials: Sequence[Trial], jobs: Jobs, *, in_order: bool = False
) -> Forecast:
    """When trials are done that are run in the order of `run_trials`."""
    order = _order(trials, in_order or jobs == 1)
    return Forecast([expected[i] for i in order], n_workers(jobs))


@contextmanager
def _overall(
    trials: Sequence[Trial],
    order: Sequence[int],
    expected: Sequence[Work] | None,
    until: float | None,
    workers: int,
) -> Iterator[Callable[[int], None]]:
    """Show how far all trials are; call what this gives with the index of each that is done.

    Where it is known how long they take, that is how far the time is.
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
    """Hears how far the training of networks is, and says it to a forecast."""

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
    """About how long a trial takes, in units of an n-gram model; for the time that is left."""
    return 20.0 if trial.candidate.random else 1.0


def _are_random(trials: Sequence[Trial], which: Sequence[int]) -> bool:
    return all(trials[i].candidate.random for i in which)


def say_standings(trials: Sequence[Trial], done: Runs, material: Material) -> None:
    """A table of what is finished, best first, for those who wait for the networks."""
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
    """Perplexity, and bits for each unit of the text, which the third says."""
    figures, costs = run.fits[-1], material.at(trial.candidate.level).costs
    loss = figures.nats / len(run.scores)
    bits = (figures.nats + float(costs.extra.sum())) / math.log(2) / costs.length
    return math.exp(loss) if loss < 700 else math.inf, bits, costs.per


def _in_short(trial: Trial, run: AnyRun, material: Material) -> str:
    """What can be said of a model before the others are finished."""
    label = trial.candidate.label
    if isinstance(run, ClozeRun):
        return f"{label}: blanks filled"
    figures, (value, bits, per) = run.fits[-1], _quality(trial, run, material)
    how = f"trained in {duration(figures.seconds)}" if figures.tokens else "as it is"
    return f"{label}: perplexity {perplexity(value)}, {figure(bits, 3)} bits/{per}, {how}"


def _measure(trial: Trial, shared: tuple[Material, Plan]) -> AnyRun:
    material, plan = shared
    with named(trial.candidate.label):
        level = material.at(trial.candidate.level)
        return measure(trial.candidate, trial.seed, level, plan_of(trial, plan))


def plan_of(trial: Trial, plan: Plan) -> Plan:
    """What is measured of one candidate: of a setting of many, nothing on less of the text."""
    return replace(plan, growth=()) if trial.candidate.sweep else plan
