"""How fast models are: measured by short runs, and the time that trials will take by it."""

import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langmodels.errors import UsageError
from langmodels.evaluation.candidates import AnyModel, Candidate, Trial
from langmodels.evaluation.forecast import Work
from langmodels.evaluation.levels import Material
from langmodels.evaluation.measuring import Plan, plan_of
from langmodels.evaluation.running import worth_having
from langmodels.evaluation.shared_networks import containing
from langmodels.execution import Jobs, completed, executor, n_workers, share
from langmodels.models.base import LanguageModel
from langmodels.neural.training.history import validation_loss, was_interrupted
from langmodels.progress import named, track
from langmodels.text.corpus import Corpus
from langmodels.text.splits import Splits

PATIENCE = 15.0
"""Seconds after which the measurement of a network is not repeated with more tokens."""
_HEAD = 20_000
"""Tokens of training text on which the speed of a network is measured, at least."""
_FIRST = 512
"""Training tokens of the first fit, which measures what does not depend on their number."""
_LONG_ENOUGH = 1.0
"""Seconds of training that give a reliable speed."""
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
_WORTH_IT = 4_000_000
"""Training tokens of all networks together from which on measuring pays; n-gram models count as
`_FASTER` times faster."""
_FASTER = 20
_COUNTED_HEADS = (20_000, 80_000)
"""Tokens of text on which n-gram models are timed; only the last time counts."""


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

    def untrained(self, n_validation: int, n_test: int) -> float:
        """The seconds that a trial takes besides training."""
        return self.rest + (2 * n_test + self.again * n_validation) / self.scoring

    def tokens(self, seconds: float, n_train: int, n_validation: int, n_test: int) -> int:
        """How many training tokens there is time for, to two significant digits; 0 for none.

        The validation text is scored after every epoch, the last of which may be incomplete; the
        time of the test text, read once more for the calibration, counts twice.
        """
        validating = n_validation / self.scoring
        left = seconds - self.untrained(n_validation, n_test)
        whole = max(0, left) // (n_train / self.training + validating)
        left -= whole * (n_train / self.training + validating)
        found = whole * n_train + max(0, left - validating) * self.training
        if found < 1:
            return 0
        unit = 10 ** max(0, math.floor(math.log10(found)) - 1)
        return int(found * (1 + 1e-9) // unit * unit)  # as if without errors of rounding


_NETWORK, _COUNTS = Speed(15_000, 50_000, 0.5), Speed(1_000_000, 200_000, 0.2, again=True)
"""Typical speeds of networks and of n-gram models, used where measuring would not pay."""


def expected_times(
    trials: Sequence[Trial], material: Material, plan: Plan, jobs: Jobs = 1
) -> tuple[list[Work], bool]:
    """The expected time of each trial, with networks trained to their last epoch; and whether it
    rests on a measurement. Networks that several trials contain are trained once, if they can be.

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
    if n_workers(jobs) < sum(networks):  # else all networks begin at the same time
        for i, others in containing(trials).items():
            shared = sum(sum(found[k].told) for k in others)
            found[i] = Work(max(0.0, found[i].seconds - shared), kind=True)
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


def measure_speeds(
    trials: Sequence[Trial],
    material: Material,
    plan: Plan,
    jobs: Jobs,
    patience: float = PATIENCE,
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
        for n, following in zip(_PROBED, (*_PROBED[1:], 0), strict=True):
            test = splits.test.head(n)
            before = time.perf_counter()
            model.score_corpus(test)
            took = max(time.perf_counter() - before, 1e-6)
            if test is splits.test or following / n * took > patience:
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
        model, head = trial.make(), splits.train.head(n)
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
            model = trial.make()
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
