"""Time budgets: the speed of training is measured, and networks share the time that is left.

n-gram models are estimated first. A short measurement then tells how many tokens per second each
network trains on and scores, and the remaining time is converted into a number of training tokens.
That number is recorded as an option of the model: with it, unlike with a time, the figures can be
reproduced on any machine.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from langmodels.errors import LangmodelsError, UsageError
from langmodels.evaluation.candidates import Candidate, Trial
from langmodels.evaluation.forecast import Work
from langmodels.evaluation.levels import Material
from langmodels.evaluation.measuring import Plan
from langmodels.evaluation.run_cache import RunCache
from langmodels.evaluation.running import (
    Failures,
    Runs,
    Tell,
    forecast_of,
    run_trials,
    say_standings,
)
from langmodels.evaluation.shared_networks import containing
from langmodels.evaluation.speeds import PATIENCE, Speed, expected_times, measure_speeds
from langmodels.execution import Jobs, n_workers
from langmodels.formatting import duration
from langmodels.presets import BUDGETS
from langmodels.progress import say

_UNITS = {"s": 1, "m": 60, "h": 3600}
_MEASURED = 0.1
"""The share of a budget that measuring all networks may take, about."""
_COUNTED = 0.2
"""The share of the budget that n-gram models may take if they are trained on parts of the text,
too; if it would be more, they are trained on the whole text only."""
_SAFE = 0.97
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

    `trial`: its number. `trained`: the number of the trial that trains it, where it only contains
    a network that is a trial of its own.
    """

    trial: int
    speed: Speed
    slot: float
    tokens: int
    trained: int | None = None

    @property
    def work(self) -> Work:
        """What is expected of it."""
        if self.trained is not None:
            return Work(self.slot, kind="network")
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
            networks, self.material, self.plan, self.jobs, min(patience, PATIENCE)
        )

    def _divide(self, speeds: Sequence[Speed]) -> list[_Share]:
        """The time that is left, among the networks; one that is too slow leaves its to others."""
        left = _SAFE * max(0.0, self.end - time.monotonic())
        sharing = dict(zip(self.networks, speeds, strict=True))
        while True:
            shares = self._shares(left, sharing)
            slow = [share for share in shares if not share.tokens]
            if not slow:
                return shares
            why = f"{duration(slow[-1].slot)} of the budget are too little for it"
            self._leave_out(slow[-1].trial, why)
            del sharing[slow[-1].trial]

    def _shares(self, left: float, speeds: Mapping[int, Speed]) -> list[_Share]:
        """The shares of networks, by their numbers, in `left` seconds, in the order to train them.

        Networks that others contain come first, and those that contain them last.
        """
        workers = n_workers(self.jobs)
        inside = self._contained(list(speeds), workers)
        rests = {i: speeds[i].untrained(*self._sizes(i)[1:]) for i in inside}
        if rests:
            left = max(0.0, left - max(rests.values()) * -(-len(rests) // workers))
        trained = [i for i in speeds if i not in inside]
        trained.sort(key=lambda i: i not in inside.values())
        shares = {
            i: _Share(i, speeds[i], slot, speeds[i].tokens(slot, *self._sizes(i)))
            for i, slot in zip(trained, time_slots(left, len(trained), workers), strict=True)
        }
        later = [_Share(i, speeds[i], rests[i], shares[k].tokens, k) for i, k in inside.items()]
        return [*shares.values(), *later]

    def _contained(self, networks: Sequence[int], workers: int) -> dict[int, int]:
        """Which networks contain another one of these, and which; none where this could not be
        trained before they begin.
        """
        found = containing(self._chosen(networks)).items()
        inside = {networks[i]: networks[others[0]] for i, others in found if len(others) == 1}
        inside = {i: k for i, k in inside.items() if k not in inside}
        # What a process trains first is there in time if it trains others afterwards.
        several = min(workers, len(networks) - len(inside) - workers)
        return inside if workers == 1 or len(set(inside.values())) <= several else {}

    def _limit(self, share: _Share) -> None:
        """Give a network the tokens of its share."""
        trial = self.trials[share.trial]
        candidate = trial.candidate
        if share.trained is None:
            how = f"at {share.speed.training:,.0f} a second"
        else:
            how = f"those of {self.trials[share.trained].candidate.label}, which it contains"
        say(f"{candidate.label}: {share.tokens:,} tokens of training, {how}")
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
