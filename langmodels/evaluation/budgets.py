"""Time budgets: the speed of training is measured, and networks share the time that is left.

n-gram models are estimated first. A short measurement then tells how many tokens per second each
network trains on and scores, and the remaining time is converted into a number of training tokens.
That number is recorded as an option of the model: with it, unlike with a time, the figures can be
reproduced on any machine.
"""

import math
import re
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langmodels.errors import LangmodelsError, UsageError
from langmodels.evaluation.candidates import AnyModel, Candidate
from langmodels.evaluation.forecast import Work
from langmodels.evaluation.levels import Material
from langmodels.evaluation.measuring import Plan
from langmodels.evaluation.running import (
    Failures,
    RunCache,
    Runs,
    Tell,
    Trial,
    forecast_of,
    plan_of,
    run_trials,
    say_standings,
    worth_having,
)
from langmodels.execution import Jobs, completed, executor, n_workers, share
from langmodels.formatting import duration
from langmodels.models.base import LanguageModel
from langmodels.neural.training.history import validation_loss, was_interrupted
from langmodels.presets import BUDGETS
from langmodels.progress import named, say, track
from langmodels.text.corpus import Corpus
from langmodels.text.splits import Splits

_UNITS = {"s": 1, "m": 60, "h": 3600}
_HEAD = 20_000
"""Tokens of training text on which the speed of a network is measured, at least."""
_FIRST = 512
"""Training tokens of the first fit, which measures what does not depend on their number."""
_LONG_ENOUGH = 1.0
"""Seconds of training that give a reliable speed."""
_PATIENCE = 15.0
"""Seconds after which the measurement of a network is not repeated with more tokens."""
_MEASURED = 0.1
"""The share of a budget that measuring all networks may take, about."""
_PROBED = 2000, 16_000, 64_000
"""Test tokens that are scored to measure the speed of scoring, the next number as long as there is
time. Networks are faster on longer texts, which they score in pieces side by side.
"""
_TIMED = 20
"""Single predictions, and full distributions, over which the time of one is averaged."""
_STEPS = 750
"""About how many single predictions the measurements after training make (`step_seconds`)."""
_TOGETHER = 8
"""How many full distributions networks compute in a batch in the time of a single one, at least."""
_WORTH_IT = 1_800_000
"""Training tokens of all networks together from which on measuring pays; n-gram models count as
`_FASTER` times faster."""
_FASTER = 20
_COUNTED_HEADS = (20_000, 80_000)
"""Tokens of text on which n-gram models are timed; only the last time counts."""
_COUNTED = 0.2
"""The share of the budget that n-gram models may take if they are trained on parts of the text,
too; if it would be more, they are trained on the whole text only."""
_SAFE = 0.92
"""The share of the remaining time that is assigned: estimates err, and other things take time."""
_TABLES = 0.4
"""The time that tables and tests take after the last run, as a share of the time that reading the
text and computing its extras took before the first; both are proportional to the text.
"""


def parse_budget(text: str) -> float | None:
    """The seconds of a time budget ("90s", "10m", "1.5h"); None for one of `BUDGETS`.

    Raises UsageError for anything else.

    >>> parse_budget("10m")
    600.0
    """
    if text in BUDGETS:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if found is None or not float(found[1]):
        raise UsageError(
            f"There is no budget {text!r}; choose from {', '.join(BUDGETS)}, or give a time: 90s, "
            "10m, 2h."
        )
    return float(found[1]) * _UNITS[found[2]]


@dataclass(frozen=True)
class Speed:
    """How fast a model is: tokens per second in `training` and `scoring`.

    `rest`: seconds that all other measurements of it take. `again`: whether the validation text is
    scored once more after training, as that has not recorded its loss.
    """

    training: float
    scoring: float
    rest: float
    again: bool = False

    def tokens(self, seconds: float, n_train: int, n_validation: int, n_test: int) -> int:
        """How many training tokens there is time for, to two significant digits; 0 for none.

        The validation text is scored after every epoch, the last of which may be incomplete; the
        time of the test text, read once more for the calibration, counts twice.
        """
        validating = n_validation / self.scoring
        left = seconds - self.rest - 2 * n_test / self.scoring - self.again * validating
        whole = max(0, left) // (n_train / self.training + validating)
        left -= whole * (n_train / self.training + validating)
        found = whole * n_train + max(0, left - validating) * self.training
        if found < 1:
            return 0
        unit = 10 ** max(0, math.floor(math.log10(found)) - 1)
        return int(found // unit * unit)


_NETWORK, _COUNTS = Speed(10_000, 50_000, 0.5), Speed(1_000_000, 200_000, 0.2, again=True)
"""Typical speeds of networks and of n-gram models, used where measuring would not pay."""


def run_within(
    seconds: float,
    trials: Sequence[Trial],
    material: Material,
    plan: Plan,
    *,
    jobs: Jobs = 1,
    cache: RunCache | None = None,
    tell: Tell | None = None,
    began: float | None = None,
) -> tuple[list[Trial], Runs, Failures]:
    """Measure every trial in about so many seconds.

    The seconds count from the time `began`, by `time.monotonic`, or from now, and include the
    making of the tables afterwards. n-gram models run first; networks share the time that is left,
    and are trained once, on the whole text. A network that there is no time for counts as failed.

    Returns the trials as they were run, networks with the number of training tokens among their
    options, and runs and failures as `run_trials` does, after Ctrl-C too.
    """
    now = time.monotonic()
    began = now if began is None else began
    end = began + seconds - _TABLES * (now - began)
    say(f"About {duration(seconds)}: models that count, then networks in the time that is left.")
    timed = _TimedRun(list(trials), material, plan, jobs, cache, tell, seconds, end)
    if timed.count() and timed.networks:
        say_standings(timed.trials, timed.runs, material)
        timed.train()
    return timed.trials, timed.runs, timed.failed


@dataclass(frozen=True)
class _Share:
    """What a network gets of the time: a slot of so many seconds, and so the tokens to learn from.

    `trial`: its number.
    """

    trial: int
    speed: Speed
    slot: float
    tokens: int

    @property
    def work(self) -> Work:
        """What is expected of it."""
        learning = min(self.tokens / self.speed.training, self.slot)
        return Work(self.slot, (learning,), "network")


@dataclass
class _TimedRun:
    """The trials of a budget of `seconds`, which are to be finished at `end`, by `time.monotonic`.

    `runs` and `failed` fill as trials come to an end.
    """

    trials: list[Trial]
    material: Material
    plan: Plan
    jobs: Jobs
    cache: RunCache | None
    tell: Tell | None
    seconds: float
    end: float
    runs: Runs = field(default_factory=dict)
    failed: Failures = field(default_factory=dict)

    def __post_init__(self) -> None:
        limited = [_is_limited(trial.candidate) for trial in self.trials]
        self.networks = [i for i, is_so in enumerate(limited) if is_so]
        self.others = [i for i, is_so in enumerate(limited) if not is_so]

    def count(self) -> bool:
        """Run what is no network that can be limited; returns whether all came to an end."""
        others = self._chosen(self.others)
        expected, _ = expected_times(others, self.material, self.plan, self.jobs)
        most = _COUNTED * self.seconds
        if self.plan.growth and forecast_of(expected, others, self.jobs).left() > most:
            say("How figures grow with the text is left out: it would take too much of the time.")
            share = 1 / (1 + sum(self.plan.growth))
            expected = [replace(work, seconds=share * work.seconds) for work in expected]
            self.plan = replace(self.plan, growth=())
        until = self.end if self.networks else None
        return not others or self._run(self.others, self.plan, expected, until)

    def train(self) -> None:
        """Measure how fast the networks are, and train them in the time that is left."""
        if self.end <= time.monotonic():
            for i in self.networks:
                self._leave_out(i, "nothing of the budget is left")
            return
        try:
            shares = self._divide(self._speeds())
            for share in shares:
                self._limit(share)
            if self.plan.growth:
                say(
                    "How figures grow with the text is left out for networks: each is trained "
                    "once, on all."
                )
            if shares:
                which = [share.trial for share in shares]
                works = [share.work for share in shares]
                self._run(which, replace(self.plan, growth=()), works, in_order=True)
        except KeyboardInterrupt:
            if not self.runs:
                raise

    def _speeds(self) -> list[Speed]:
        """How fast each network is; measuring all takes a part of the budget at most."""
        networks = self._chosen(self.networks)
        patience = _MEASURED * self.seconds * n_workers(self.jobs) / len(networks)
        return measure_speeds(
            networks, self.material, self.plan, self.jobs, min(patience, _PATIENCE)
        )

    def _divide(self, speeds: Sequence[Speed]) -> list[_Share]:
        """The time that is left, among the networks; one that is too slow leaves its to others."""
        left = _SAFE * max(0.0, self.end - time.monotonic())
        sharing = list(zip(self.networks, speeds, strict=True))
        while True:
            slots = time_slots(left, len(sharing), n_workers(self.jobs))
            shares = [
                _Share(i, speed, slot, speed.tokens(slot, *self._sizes(i)))
                for (i, speed), slot in zip(sharing, slots, strict=True)
            ]
            slow = [k for k, share in enumerate(shares) if not share.tokens]
            if not slow:
                return shares
            last = shares[slow[-1]]
            why = f"{duration(last.slot)} of the budget are too little for it"
            self._leave_out(last.trial, why)
            del sharing[slow[-1]]

    def _limit(self, share: _Share) -> None:
        """Give a network the tokens of its share."""
        trial = self.trials[share.trial]
        candidate = trial.candidate
        pace = f"{share.speed.training:,.0f} a second"
        say(f"{candidate.label}: {share.tokens:,} tokens of training, at {pace}")
        limited = replace(candidate, options={**candidate.options, "tokens": share.tokens})
        self.trials[share.trial] = replace(trial, candidate=limited)

    def _run(
        self,
        which: list[int],
        plan: Plan,
        expected: Sequence[Work],
        until: float | None = None,
        *,
        in_order: bool = False,
    ) -> bool:
        """Run some of the trials; returns whether all of these were completed."""
        found, wrong = run_trials(
            self._chosen(which),
            self.material,
            plan,
            jobs=self.jobs,
            cache=self.cache,
            expected=expected,
            until=until,
            in_order=in_order,
            tell=self.tell,
        )
        self.runs.update({which[i]: result for i, result in found.items()})
        self.failed.update({which[i]: error for i, error in wrong.items()})
        return len(found) + len(wrong) == len(which)

    def _chosen(self, which: Sequence[int]) -> list[Trial]:
        return [self.trials[i] for i in which]

    def _sizes(self, i: int) -> tuple[int, int, int]:
        """Tokens of the parts of the text, as a trial reads it."""
        splits = self.material.at(self.trials[i].candidate.level).splits
        return splits.train.n_tokens, splits.validation.n_tokens, splits.test.n_tokens

    def _leave_out(self, i: int, why: str) -> None:
        self.failed[i] = LangmodelsError(f"left out, as {why}")
        say(f"{self.trials[i].candidate.label}: {self.failed[i]}")


def expected_times(
    trials: Sequence[Trial], material: Material, plan: Plan, jobs: Jobs = 1
) -> tuple[list[Work], bool]:
    """The expected time of each trial, with networks trained to their last epoch; and whether it
    rests on a measurement.

    Where all trials together would hardly take longer than measuring them, typical speeds are used.
    """
    plans = [plan_of(trial, plan) for trial in trials]
    splits = [material.at(trial.candidate.level).splits for trial in trials]
    parts = [(*p.growth, 1.0) for p in plans]
    read = [
        [_read(trial.candidate, share * s.train.n_tokens) for share in part]
        for trial, part, s in zip(trials, parts, splits, strict=True)
    ]
    networks = [trial.candidate.random for trial in trials]
    weighed = sum(
        sum(tokens) / (1 if net else _FASTER) for tokens, net in zip(read, networks, strict=True)
    )
    measured = weighed >= _WORTH_IT
    if measured:
        speeds = measure_speeds(trials, material, plan, jobs)
    else:
        speeds = [_NETWORK if net else _COUNTS for net in networks]
    found = []
    for trial, part, speed, tokens, s in zip(trials, parts, speeds, read, splits, strict=True):
        stages = tuple(
            n / speed.training
            + _validations(trial.candidate, n / (share * s.train.n_tokens))
            * s.validation.n_tokens
            / speed.scoring
            for n, share in zip(tokens, part, strict=True)
        )
        scored = (len(part) + trial.candidate.random) * s.test.n_tokens
        scored += speed.again * s.validation.n_tokens
        seconds = sum(stages) + scored / speed.scoring + speed.rest
        told = stages if trial.candidate.random else ()
        found.append(Work(seconds, told, trial.candidate.random))
    return found, measured


def _passes(candidate: Candidate) -> float:
    """How often training reads the text: the number of epochs; 0 for finished models."""
    if candidate.given:
        return 0.0 if candidate.finished is not None else 1.0
    return float(candidate.options.get("epochs", 1)) if candidate.random else 1.0


def _read(candidate: Candidate, n: float) -> float:
    """How many tokens training reads in all, given a text of n tokens."""
    tokens = candidate.options.get("tokens") if candidate.random and not candidate.given else None
    return _passes(candidate) * n if tokens is None else float(tokens)


def _validations(candidate: Candidate, passes: float) -> int:
    """How often training scores the validation text: after each epoch, an incomplete one too."""
    return math.ceil(passes - 1e-6) if candidate.random else 0


def _is_limited(candidate: Candidate) -> bool:
    """Whether a candidate takes a number of training tokens, and was not given one."""
    if not candidate.random or candidate.options.get("tokens") is not None:
        return False
    try:
        replace(candidate, options={**candidate.options, "tokens": 1}).make()
    except UsageError:
        return False
    return True


def time_slots(seconds: float, n: int, jobs: int) -> list[float]:
    """The seconds for each of n trials, in the order in which to submit them, such that each of
    `jobs` processes divides all its time equally among its trials.
    """
    jobs = min(jobs, n)
    begun = []
    for process in range(jobs):
        own = len(range(process, n, jobs))
        begun += [(k * seconds / own, seconds / own) for k in range(own)]
    return [slot for _, slot in sorted(begun, key=lambda pair: pair[0])]


def measure_speeds(
    trials: Sequence[Trial],
    material: Material,
    plan: Plan,
    jobs: Jobs,
    patience: float = _PATIENCE,
) -> list[Speed]:
    """The speed of each trial, measured with as many at a time as will run at a time.

    `patience`: seconds after which the measurement of a network is not repeated with more tokens.
    """
    with track("Measuring speed", total=len(trials)) as task:
        with executor(worth_having(jobs, len(trials))) as pool:
            shared = share(pool, (material, plan, patience))
            futures = [pool.submit(_speed, trial, shared) for trial in trials]
            for _ in completed(pool, futures):
                task.advance()
        return [future.result() for future in futures]


def _speed(trial: Trial, shared: tuple[Material, Plan, float]) -> Speed:
    material, plan, patience = shared
    with named(trial.candidate.label), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the run itself will warn
        splits = material.at(trial.candidate.level).splits
        if trial.candidate.finished is not None:
            model, training = trial.candidate.finished, math.inf
        elif trial.candidate.random:
            model, training = _network_speed(trial, splits, patience)
        else:
            model, training = _counting_speed(trial, splits)
        if not isinstance(model, LanguageModel):
            return Speed(training, training, 0.0)
        model.score_corpus(splits.test.head(_PROBED[0] // 20))  # the first call takes longer
        for n in _PROBED:
            test = splits.test.head(n)
            before = time.perf_counter()
            model.score_corpus(test)
            took = max(time.perf_counter() - before, 1e-6)
            if test is splits.test or 8 * took > patience:
                break
        scoring = test.n_tokens / took
        again = validation_loss(model) is None
        together = 1 if again else _TOGETHER
        rest = _STEPS * _step_seconds(model, test, model.log_prob_next)
        rest += (plan.sample + plan.calibration / together) * _step_seconds(
            model, test, lambda state, _: model.log_distribution(state)
        )
    return Speed(training, scoring, rest, again)


def _step_seconds(
    model: LanguageModel[Any], test: Corpus, ask: Callable[[Any, int], object]
) -> float:
    """Seconds per call of `ask` with a state and the next token, and of `advance`."""
    state, targets = model.start(), test.targets[:_TIMED].tolist()
    before = time.perf_counter()
    for token in targets:
        ask(state, token)
        state = model.advance(state, token)
    return (time.perf_counter() - before) / max(1, len(targets))


def _counting_speed(trial: Trial, splits: Splits) -> tuple[AnyModel, float]:
    """A model fitted on the beginning of the text, and the tokens per second that this took."""
    share = splits.validation.n_tokens / max(1, splits.train.n_tokens)
    for n in _COUNTED_HEADS:
        model, head = trial.candidate.make(trial.seed), splits.train.head(n)
        before = time.perf_counter()
        model.fit(head, splits.validation.head(max(1, round(share * head.n_tokens))))
        took = time.perf_counter() - before
    return model, head.n_tokens / max(1e-6, took)


def _network_speed(trial: Trial, splits: Splits, patience: float) -> tuple[AnyModel, float]:
    """A briefly trained network, and how many tokens per second it trains on."""
    validation = splits.validation.head(_PROBED[0] // 2)
    began = time.perf_counter()

    def fit(tokens: int) -> tuple[AnyModel, float]:
        options = trial.candidate.options
        try:
            limited = replace(trial.candidate, options={**options, "tokens": tokens})
            model = limited.make(trial.seed)
        except UsageError:  # it has no such option
            model = trial.candidate.make(trial.seed)
        head = splits.train.head(max(_HEAD, tokens))
        before = time.perf_counter()
        model.fit(head, validation)
        if was_interrupted(model):
            raise KeyboardInterrupt
        return model, time.perf_counter() - before

    fit(_FIRST)
    tokens = _FIRST
    model, least = fit(tokens)
    enough, patient = False, True
    while not enough and patient:
        tokens *= 4
        model, seconds = fit(tokens)
        # The time that does not grow with the tokens, and its noise, must be a small part.
        enough = seconds - least >= max(_LONG_ENOUGH, 2 * least)
        patient = time.perf_counter() - began < patience and tokens < 1 << 24
    return model, (tokens - _FIRST) / (seconds - least) if enough else tokens / seconds
