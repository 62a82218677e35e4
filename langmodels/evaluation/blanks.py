"""The fill-in-the-blank task of comparisons: all models fill the same blanks."""

from collections.abc import Sequence
from typing import Any

from langmodels.evaluation.results import BlankFigures, Filled
from langmodels.models.base import LanguageModel
from langmodels.models.blanks import (
    BlankScores,
    Cloze,
    FillingModel,
    choose_blanks,
    evaluate_blanks,
)
from langmodels.text.corpus import Corpus

CANDIDATES = 50
"""`FillingModel.candidates` of left-to-right models when they are to use both sides."""
_REACH = 64  # tokens of context on each side of a blank: more costs time and changes little
_SEED = 0  # the same blanks for all models and seeds


def fill_blanks(model: LanguageModel[Any] | Cloze, test: Corpus, n: int) -> Filled:
    """The figures of a model on `n` blanks of a test text."""
    blanks = choose_blanks(test, n, _SEED, reach=_REACH)
    if isinstance(model, Cloze):
        return Filled(None, _figures(evaluate_blanks(model, blanks)))
    before, both = (
        _figures(evaluate_blanks(FillingModel(model, candidates), blanks))
        for candidates in (0, CANDIDATES)
    )
    return Filled(before, both)


def _figures(scores: BlankScores) -> BlankFigures:
    return BlankFigures(
        len(scores.ranks), scores.accuracy, scores.reciprocal_rank, -float(scores.log_probs.mean())
    )


def mean_filled(runs: Sequence[Filled]) -> Filled:
    """The mean figures over seeds."""
    return Filled(
        _mean([run.before for run in runs if run.before is not None]),
        _mean([run.both for run in runs if run.both is not None]),
    )


def _mean(figures: Sequence[BlankFigures]) -> BlankFigures | None:
    if not figures:
        return None
    n = len(figures)
    return BlankFigures(
        figures[0].blanks,
        sum(f.accuracy for f in figures) / n,
        sum(f.reciprocal_rank for f in figures) / n,
        sum(f.loss for f in figures) / n,
    )
