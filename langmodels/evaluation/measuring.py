"""Train one model and take every measurement of it, after which it need not be kept."""

import ctypes
import gc
import math
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from langmodels.arrays import FloatArray
from langmodels.evaluation.blanks import fill_blanks
from langmodels.evaluation.calibration import Calibration, calibrate
from langmodels.evaluation.candidates import AnyModel, Trial
from langmodels.evaluation.levels import LevelMaterial
from langmodels.evaluation.results import Filled
from langmodels.evaluation.shared_networks import SharedNetworks, Training
from langmodels.models.base import LanguageModel
from langmodels.neural.training.history import validation_loss, was_interrupted
from langmodels.text.corpus import Corpus
from langmodels.text.splits import Splits

T = TypeVar("T")

_QUICK_FIT = 0.25  # seconds; of fits that take less, the shortest of `_REPEATS` is reported
_REPEATS = 3
_WARM_UP = 2000  # tokens scored before scoring is timed
_STEPS = 16  # predictions over which the time of one is averaged


@dataclass(frozen=True)
class Plan:
    """What is measured besides the loss after training on the whole text.

    `growth`: fractions of the training text on which to train as well, ascending. `contexts`: the
    context lengths, in tokens, at which one prediction is timed. `calibration`: number of test
    tokens whose full distributions are computed. `sample`: characters of text to sample. `blanks`:
    number of test tokens to blank and fill, where a model made for that takes part; 0 for none.
    """

    growth: tuple[float, ...] = (0.25, 0.5)
    contexts: tuple[int, ...] = (1, 4, 16, 64, 256)
    calibration: int = 400
    sample: int = 160
    blanks: int = 200


PLANS = {
    "quick": Plan(growth=(0.25, 0.5), calibration=200),
    "standard": Plan(),
    "thorough": Plan(growth=(1 / 16, 1 / 8, 0.25, 0.5), calibration=2000, sample=400),
}


def plan_of(trial: Trial, plan: Plan) -> Plan:
    """The plan for one trial: settings of a sweep are trained on the whole text only."""
    return replace(plan, growth=()) if trial.candidate.sweep else plan


@dataclass(frozen=True)
class Fit:
    """The loss and the costs of one training run.

    `tokens`: size of the training text, 0 for a finished model. `nats`: total loss on the test
    text, infinite where a token has probability zero. `seconds` of training, NaN for a finished
    model. `size`: bytes of the model's arrays. `rate`: test tokens scored per second. `peak`: the
    largest growth of resident memory in training, in bytes; None where the system does not report
    it.
    """

    tokens: int
    nats: float
    seconds: float
    size: int
    rate: float
    peak: int | None = None


@dataclass(frozen=True)
class Run:
    """Everything measured of one candidate with one seed at one level.

    `scores`: log p of every test target in nats, (n,). `fits`: one per training size, ascending,
    the whole text last. `validation`: mean -log p over the targets of the validation text, in nats.
    `steps`: seconds per prediction by context length. `history`: mean training and validation loss
    of each epoch, in nats per token. `warnings`: those given in fitting on the whole text.
    `filled`: how well it fills blanks; None where there were none.
    """

    scores: FloatArray
    fits: list[Fit]
    parameters: int
    context_length: int | None
    is_distribution: bool
    calibration: Calibration
    sample: str
    validation: float
    steps: dict[int, float] = field(default_factory=dict)
    history: list[dict[str, float | None]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    filled: Filled | None = None


@dataclass(frozen=True)
class ClozeRun:
    """What is measured of a model that only fills blanks.

    `seconds` of training, NaN for a finished model.
    """

    filled: Filled
    seconds: float
    parameters: int


AnyRun = Run | ClozeRun


def measure(
    trial: Trial, material: LevelMaterial, plan: Plan, networks: SharedNetworks | None = None
) -> AnyRun:
    """Train a candidate on growing parts of the training text and measure it on the test text.

    A finished model is measured without training. Networks that it contains are taken from those
    that trials share, if they are there.
    """
    candidate, networks = trial.candidate, networks or SharedNetworks()
    if candidate.fills_blanks:
        return _measure_cloze(trial, material, plan, networks)
    test = material.splits.test
    if candidate.finished is not None:
        model = cast(LanguageModel[Any], candidate.finished)
        scores, fit = _scored(model, test)
        trained = _Trained(model, scores, [fit], [])
        loss = None
    else:
        trained = _train(trial, material.splits, plan, networks)
        model = trained.model
        loss = validation_loss(model)
    if loss is None:
        loss = -float(model.normalized().score_corpus(material.splits.validation).mean())
    return Run(
        trained.scores,
        trained.fits,
        model.n_parameters,
        model.context_length,
        model.is_distribution,
        calibrate(model.normalized(), test, plan.calibration),
        draw_sample(model, plan.sample, trial.seed),
        loss,
        step_seconds(model, test, plan.contexts),
        _history(model),
        trained.warnings,
        fill_blanks(model, test, plan.blanks) if plan.blanks else None,
    )


class _Trained(NamedTuple):
    """A trained model with those fields of its `Run` that training yields."""

    model: LanguageModel[Any]
    scores: FloatArray
    fits: list[Fit]
    warnings: list[str]


def _train(trial: Trial, splits: Splits, plan: Plan, networks: SharedNetworks) -> _Trained:
    """Train on growing parts of the training text, the whole text last; returns the last model."""
    fits: list[Fit] = []
    for fraction in (*plan.growth, 1.0):
        part = splits.train.head(max(1, round(fraction * splits.train.n_tokens)))
        if fits and part.n_tokens <= fits[-1].tokens:
            continue
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            warnings.simplefilter("ignore", RuntimeWarning)
            fitted, cost = _timed_fit(trial, part, splits.validation, networks)
        if not said:  # what contains this network would not repeat its warnings
            networks.keep(trial, fitted, part, cost)
        model = cast(LanguageModel[Any], fitted)
        scores, fit = _scored(model, splits.test)
        fits.append(replace(fit, tokens=part.n_tokens, seconds=cost.seconds, peak=cost.peak))
    return _Trained(model, scores, fits, list(dict.fromkeys(str(w.message) for w in said)))


def _scored(model: LanguageModel[Any], test: Corpus) -> tuple[FloatArray, Fit]:
    """Log p of every test target, (n,), and the `Fit` of a model as if it had not been trained."""
    scores, rate = _timed_scores(model.normalized(), test)
    size = sum(array.nbytes for array in model.arrays().values())
    return scores, Fit(0, -float(scores.sum()), math.nan, size, rate)


def _measure_cloze(
    trial: Trial, material: LevelMaterial, plan: Plan, networks: SharedNetworks
) -> ClozeRun:
    splits = material.splits
    model, cost = trial.candidate.finished, Training(math.nan)
    if model is None:
        model, cost = _timed_fit(trial, splits.train, splits.validation, networks)
    filled = fill_blanks(model, splits.test, plan.blanks)
    return ClozeRun(filled, cost.seconds, model.n_parameters)


def draw_sample(model: LanguageModel[Any], characters: int, seed: int) -> str:
    """Sampled text of about so many characters: up to 20 lines where lines end, else a stretch."""
    rng = np.random.default_rng(seed)
    lines: list[str] = []
    while (missing := characters - sum(map(len, lines))) > 0 and len(lines) < 20:
        lines.append(model.sample_text(max_tokens=missing, seed=rng))
        if not model.vocabulary.ends:
            break
    text = "\n".join(lines)
    return text if len(text) <= characters else f"{text[:characters]}…"


def step_seconds(
    model: LanguageModel[Any], corpus: Corpus, contexts: Sequence[int]
) -> dict[int, float]:
    """Seconds for one prediction, p(x | h) and the next state h, by length of the context.

    The contexts are the first tokens of the corpus as one sequence, without boundary tokens.
    Lengths that the corpus is too short for are left out.
    """
    special = (corpus.vocabulary.eos_id, corpus.vocabulary.bos_id)
    tokens = [t for t in corpus.ids[: 4 * (max(contexts) + _STEPS)].tolist() if t not in special]
    found: dict[int, float] = {}
    state: Any = model.start()
    position = 0
    for length in sorted(contexts):
        if length + _STEPS > len(tokens):
            break
        for token in tokens[position:length]:
            state = model.advance(state, token)
        position = length
        window = tokens[length : length + _STEPS]

        def steps(state: Any = state, window: list[int] = window) -> None:
            for token in window:
                model.log_prob_next(state, token)
                state = model.advance(state, token)

        found[length] = min(_timed(steps)[1] for _ in range(_REPEATS)) / _STEPS
    return found


def _timed_fit(
    trial: Trial, train: Corpus, validation: Corpus, networks: SharedNetworks
) -> tuple[AnyModel, Training]:
    """The model of a trial, fitted, and what this and the training of its parts cost."""

    def fit() -> tuple[AnyModel, float, Training]:
        model, parts = networks.complete(trial.make(), trial.candidate.level, train)
        return *_timed(lambda: model.fit(train, validation)), parts

    with PeakMemory() as memory:
        model, seconds, parts = fit()
    if was_interrupted(model):
        raise KeyboardInterrupt
    if seconds < _QUICK_FIT:
        seconds = min(seconds, *(fit()[1] for _ in range(_REPEATS - 1)))
    return model, parts + Training(seconds, memory.growth)


def _history(model: LanguageModel[Any]) -> list[dict[str, float | None]]:
    """Mean losses of each epoch, in nats per token; empty for models that keep no such record."""
    epochs = getattr(getattr(model, "history", None), "epochs", [])
    return [{"training": e.train_loss, "validation": e.validation_loss} for e in epochs]


def _timed_scores(model: LanguageModel[Any], test: Corpus) -> tuple[FloatArray, float]:
    model.score_corpus(test.head(_WARM_UP))
    scores, seconds = _timed(lambda: model.score_corpus(test))
    return scores, len(scores) / max(seconds, 1e-9)


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    begin = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begin


class PeakMemory:
    """A context manager that measures the largest growth of resident memory in its block.

    `growth`: bytes, set at the end of the block; None without /proc (systems other than Linux). The
    kernel keeps the high-water mark, so that measuring costs no time. Memory that was freed before
    is returned to the system first, as its reuse would not show as growth.
    """

    _PROC = Path("/proc/self")

    def __init__(self) -> None:
        self.growth: int | None = None
        self._before: int | None = None

    def __enter__(self) -> "PeakMemory":
        gc.collect()
        with suppress(OSError, AttributeError, TypeError):
            ctypes.CDLL(None).malloc_trim(0)
        try:
            (self._PROC / "clear_refs").write_text("5")  # resets the high-water mark
            self._before = self._read("VmRSS")
        except OSError:
            self._before = None
        return self

    def __exit__(self, *_: object) -> None:
        peak = self._read("VmHWM")
        if self._before is not None and peak is not None:
            self.growth = max(0, peak - self._before)

    def _read(self, name: str) -> int | None:
        try:
            lines = (self._PROC / "status").read_text().splitlines()
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
        except (OSError, StopIteration, ValueError, IndexError):
            return None
