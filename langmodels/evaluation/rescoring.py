"""Tuning the weights of language models in n-best rescoring for the least word error rate."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from langmodels.arguments import Seed, checked
from langmodels.arrays import BoolArray, FloatArray, IndexArray
from langmodels.errors import LangmodelsError
from langmodels.evaluation.error_rates import edit_distances
from langmodels.evaluation.statistics import resample
from langmodels.models.base import LanguageModel
from langmodels.models.nbest import MARK, Hypothesis, rescore

_FOLDS = 5
_POINTS = 25  # points of a grid per axis
_ROUNDS = 4  # rounds of grids, each finer than the one before
_NARROWER = 5.0


@dataclass(frozen=True)
class Tuning:
    """Tuned weights, and word error rates before and after.

    `weights` multiply log p of each model in nats, `length_bonus` the number of tokens. Error rates
    are of the top hypotheses: by the original scores (`before`), by these weights on the lists that
    they were fitted to (`tuned`), by cross-validation, with weights fitted to the other four fifths
    of the lists (`after`), and of the best hypothesis in every list (`oracle`). `difference` is
    `after` - `before`, with its 95 % `interval` over lists.
    """

    weights: list[float]
    length_bonus: float
    before: float
    tuned: float
    after: float
    oracle: float
    difference: float
    interval: tuple[float, float]
    lists: int
    words: int


@dataclass(frozen=True)
class _Lists:
    """N lists of at most H hypotheses: scores, tokens and errors, (N, H) each; log p under M
    models, (N, H, M); words of the references, (N,).

    Entries beyond the end of a list have a score of -inf; log p may be -inf anywhere.
    """

    score: FloatArray
    log_p: FloatArray
    tokens: FloatArray
    errors: IndexArray
    words: IndexArray

    def __getitem__(self, rows: IndexArray) -> "_Lists":
        return _Lists(
            self.score[rows],
            self.log_p[rows],
            self.tokens[rows],
            self.errors[rows],
            self.words[rows],
        )

    def chosen(self, weights: FloatArray, bonus: float) -> IndexArray:
        """The errors of the top hypotheses under weights (M,) and a bonus, (N,)."""
        total = self.score + self._possible @ weights + bonus * self.tokens
        hopeless = [self._impossible[m] for m in self._impossible if weights[m] > 0]
        if hopeless:
            least = np.logical_or.reduce(hopeless)
            # Where a whole list is impossible, the other terms decide, as in `rescore`.
            least &= (~least & np.isfinite(self.score)).any(axis=1, keepdims=True)
            total[least] = -np.inf
        first = total.argmax(axis=1)
        found: IndexArray = self.errors[np.arange(len(first)), first]
        return found

    @cached_property
    def _impossible(self) -> dict[int, BoolArray]:
        """The mask (N, H) of impossible hypotheses, for each model that has some."""
        found = {m: np.isneginf(self.log_p[..., m]) for m in range(self.log_p.shape[2])}
        return {m: impossible for m, impossible in found.items() if impossible.any()}

    @cached_property
    def _possible(self) -> FloatArray:
        """Log p with -inf replaced by 0, for multiplication, (N, H, M)."""
        return np.where(np.isneginf(self.log_p), 0.0, self.log_p)

    def fit(self) -> tuple[FloatArray, float]:
        """Minimise the errors over weights (M,) and bonus, by grids over one weight and the bonus
        in turn.

        Each grid is centred on the best point so far, and finer than the one before. Of equal
        points, the one with the fewest errors around it is taken: the middle of a plateau.
        """
        there = np.isfinite(self.score)
        spread = max(float(np.std(self.score[there])), 1e-3)
        known = there[..., None] & np.isfinite(self.log_p)
        with np.errstate(invalid="ignore"):
            deviations = np.nan_to_num(self._possible.std(axis=(0, 1), where=known))
        units = spread / np.maximum(deviations, 1e-9)
        weights, bonus = np.zeros(len(units)), 0.0
        width, height = 3.0, max(spread, 1.0) * 2
        for _ in range(_ROUNDS):
            for m, unit in enumerate(units.tolist()):
                around = float(weights[m]) or unit
                tried = np.append(0.0, around * np.exp(np.linspace(-width, width, _POINTS)))
                bonuses = bonus + np.linspace(-height, height, _POINTS)
                errors = np.empty((len(tried), len(bonuses)))
                for i, weight in enumerate(tried.tolist()):
                    weights[m] = weight
                    errors[i] = [self.chosen(weights, b).sum() for b in bonuses.tolist()]
                smooth = _smoothed(errors)
                best = np.argwhere(errors == errors.min()).tolist()
                row, column = min(best, key=lambda at: smooth[at[0], at[1]])
                weights[m], bonus = tried[row], float(bonuses[column])
            width, height = width / _NARROWER, height / _NARROWER
        return weights, bonus


def _smoothed(table: FloatArray) -> FloatArray:
    """The mean of every entry and its neighbours."""
    padded = np.pad(table, 2, mode="edge")
    rows, columns = table.shape
    windows = [padded[i : i + rows, j : j + columns] for i in range(5) for j in range(5)]
    mean: FloatArray = np.mean(windows, axis=0)
    return mean


@checked
def tune(
    models: Sequence[LanguageModel[Any]],
    lists: Iterable[Sequence[Hypothesis]],
    references: Mapping[str, str],
    *,
    seed: Seed = 0,
) -> Tuning:
    """Fit the weights of models and the length bonus for the least word error rate.

    The word error rate is the number of edits from each list's top hypothesis to the reference of
    its id, over the words of the references; words are separated by white space. It is piecewise
    constant in the weights and therefore minimised on grids, each centred on the best point so far
    (Och 2003, "Minimum Error Rate Training in Statistical Machine Translation", minimises it
    exactly along lines).

    `references`: by the ids of lists; `seed`: of the folds and the resampling. Raises
    LangmodelsError for a list without a reference and for fewer than five lists.
    """
    found = _table(rescore(models, lists, weight=0.0), references, models)  # in their own order
    n = len(found.words)
    if n < _FOLDS:
        raise LangmodelsError(f"Fitting weights needs at least {_FOLDS} lists, not {n}.")
    weights, bonus = found.fit()
    first = found.chosen(np.zeros(len(weights)), 0.0)
    after = np.zeros(n, np.int64)
    fold = np.random.default_rng(seed).permutation(n) % _FOLDS
    for k in range(_FOLDS):
        own = np.flatnonzero(fold == k)
        after[own] = found[own].chosen(*found[np.flatnonzero(fold != k)].fit())
    words = float(max(found.words.sum(), 1))
    change = (after - first).astype(np.float64)
    resampled = resample([change[None]], sizes=found.words.astype(np.float64), seed=seed)
    return Tuning(
        weights.tolist(),
        bonus,
        float(first.sum()) / words,
        float(found.chosen(weights, bonus).sum()) / words,
        float(after.sum()) / words,
        float(found.errors.min(axis=1).sum()) / words,
        float(change.sum()) / words,
        (np.nan, np.nan) if resampled is None else resampled.interval(),
        n,
        int(found.words.sum()),
    )


_MANY = 1 << 30  # errors of missing hypotheses


def _table(
    lists: Sequence[Sequence[Hypothesis]],
    references: Mapping[str, str],
    models: Sequence[LanguageModel[Any]],
) -> _Lists:
    missing = [some[0].list_id for some in lists if some[0].list_id not in references]
    if missing:
        raise LangmodelsError(f"There is no reference for the list {missing[0]!r}; add one.")
    shape = len(lists), max((len(some) for some in lists), default=0)
    score, tokens = np.full(shape, -np.inf), np.zeros(shape)
    log_p = np.zeros((*shape, len(models)))
    errors = np.full(shape, _MANY, np.int64)
    flat = [h for some in lists for h in some]
    distances = iter(
        edit_distances(
            [h.text.split() for h in flat], [references[h.list_id].split() for h in flat]
        ).tolist()
    )
    for row, some in enumerate(lists):
        for column, h in enumerate(some):
            score[row, column] = h.score
            log_p[row, column] = h.log_probs
            tokens[row, column] = len(models[0].tokenize(h.text))
            errors[row, column] = next(distances)
    words = np.array([len(references[some[0].list_id].split()) for some in lists], np.int64)
    return _Lists(score, log_p, tokens, errors, words)


def read_references(lines: Iterable[str]) -> dict[str, str]:
    """References by the id of their list, from lines `id ||| text`, or `id text` as in Kaldi.

    Raises LangmodelsError, with the number of the line, for a repeated id.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, text = (
            (part.strip() for part in line.split(MARK, 1))
            if MARK in line
            else (*line.strip().split(None, 1), "")[:2]
        )
        if name in found:
            raise LangmodelsError(
                f"Line {number} of the references is a second one for {name!r}; remove one."
            )
        found[name] = text
    return found
