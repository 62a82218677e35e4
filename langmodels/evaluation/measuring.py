"""Fit one model and take every measurement that needs it, so that it can be forgotten after."""

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
from langmodels.evaluation.candidates import AnyModel, Candidate
from langmodels.evaluation.levels import LevelMaterial
from langmodels.evaluation.results import Filled
from langmodels.models.base import LanguageModel
from langmodels.neural.training.history import validation_loss, was_interrupted
from langmodels.text.corpus import Corpus
from langmodels.text.splits import Splits

T = TypeVar("T")

_QUICK_FIT = 0.25  # seconds; shorter fits are repeated, and the shortest is believed
_REPEATS = 3
_WARM_UP = 2000  # tokens scored before the clock runs
_STEPS = 16  # steps over which the time of one is averaged


@dataclass(frozen=True)
class Plan:
    """What is measured besides the quality on the whole training text.

    `growth`: smaller fractions of the training text to train on, too. `contexts`: lengths of the
    context after which a step is timed. `calibration`: test tokens whose whole distributions are
    looked at. `sample`: characters of text to sample. `blanks`: how many test tokens are left blank
    to be filled, where a model that fills blanks takes part.
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


@dataclass(frozen=True)
class Fit:
    """Figures of one training run: `tokens` it saw, nats of test loss in all, costs.

    `nats` is infinite where a test token has probability zero. `seconds` of training (NaN, and no
    `tokens`, for a finished model), `peak`: bytes
    by which resident memory grew at most meanwhile, None where the system does not tell, `size`:
    bytes of the model's arrays, `rate`: test tokens scored per second.
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

    `scores`: log p of every test target in nats, (n,). `fits`: by growing training size, the whole
    text last. `steps`: seconds a step after a context of each length of the plan. `warnings`: what
    fitting on the whole text complained of. `filled`: how blanks were filled, if any were.
    `validation`: mean -log p over the targets of the validation text, nats.
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
    """What is measured of a model that only fills blanks; `seconds` of training."""

    filled: Filled
    seconds: float
    parameters: int


AnyRun = Run | ClozeRun


def measure(candidate: Candidate, seed: int, material: LevelMaterial, plan: Plan) -> AnyRun:
    """Train a candidate on growing parts of the training text and measure it on the test text.

    One that is finished is measured as it is.
    """
    if candidate.fills_blanks:
        return _measure_cloze(candidate, seed, material, plan)
    test = material.splits.test
    if candidate.finished is not None:
        model = cast(LanguageModel[Any], candidate.finished)
        scores, fit = _scored(model, test)
        trained = _Trained(model, scores, [fit], [])
        loss = None
    else:
        trained = _train(candidate, seed, material.splits, plan)
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
        draw_sample(model, plan.sample, seed),
        loss,
        step_seconds(model, test, plan.contexts),
        _history(model),
        trained.warnings,
        fill_blanks(model, test, plan.blanks) if plan.blanks else None,
    )


class _Trained(NamedTuple):
    """A model, its scores of the test text, and what led to them; as in `Run`."""

    model: LanguageModel[Any]
    scores: FloatArray
    fits: list[Fit]
    warnings: list[str]


def _train(candidate: Candidate, seed: int, splits: Splits, plan: Plan) -> _Trained:
    """Train on growing parts of the training text, the whole of it last."""
    fits: list[Fit] = []
    for fraction in (*plan.growth, 1.0):
        part = splits.train.head(max(1, round(fraction * splits.train.n_tokens)))
        if fits and part.n_tokens <= fits[-1].tokens:
            continue
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            warnings.simplefilter("ignore", RuntimeWarning)
            fitted, seconds, peak = _timed_fit(candidate, seed, part, splits.validation)
        model = cast(LanguageModel[Any], fitted)
        scores, fit = _scored(model, splits.test)
        fits.append(replace(fit, tokens=part.n_tokens, seconds=seconds, peak=peak))
    return _Trained(model, scores, fits, list(dict.fromkeys(str(w.message) for w in said)))


def _scored(model: LanguageModel[Any], test: Corpus) -> tuple[FloatArray, Fit]:
    """Scores of a model on the test text, and what is known of it without having trained it."""
    scores, rate = _timed_scores(model.normalized(), test)
    size = sum(array.nbytes for array in model.arrays().values())
    return scores, Fit(0, -float(scores.sum()), math.nan, size, rate)


def _measure_cloze(
    candidate: Candidate, seed: int, material: LevelMaterial, plan: Plan
) -> ClozeRun:
    splits = material.splits
    model, seconds = candidate.finished, math.nan
    if model is None:
        model, seconds, _ = _timed_fit(candidate, seed, splits.train, splits.validation)
    filled = fill_blanks(model, splits.test, plan.blanks)
    return ClozeRun(filled, seconds, model.n_parameters)


def draw_sample(model: LanguageModel[Any], characters: int, seed: int) -> str:
    """About so many characters of sampled text: several lines where lines end."""
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
    """Seconds for p(x | h) and the next h after contexts of these lengths, by length.

    The context is the beginning of the corpus as one sequence, lines run together.
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
    candidate: Candidate, seed: int, train: Corpus, validation: Corpus
) -> tuple[AnyModel, float, int | None]:
    def fit() -> AnyModel:
        return candidate.make(seed).fit(train, validation)

    with PeakMemory() as memory:
        model, seconds = _timed(fit)
    if was_interrupted(model):
        raise KeyboardInterrupt
    if seconds < _QUICK_FIT:
        seconds = min(seconds, *(_timed(fit)[1] for _ in range(_REPEATS - 1)))
    return model, seconds, memory.growth


def _history(model: LanguageModel[Any]) -> list[dict[str, float | None]]:
    """Losses by epoch, nats a token, of a model that keeps a record of its training."""
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
    """By how much a block of code makes resident memory grow at most.

    `growth` in bytes after the block, None where /proc does not tell (systems other than Linux).
    The kernel keeps the high-water mark, so that measuring costs nothing. Memory that was freed
    earlier is given back first; it would be used again without a trace.
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
            (self._PROC / "clear_refs").write_text("5")  # the mark begins at the present size
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
