"""Blanks: what it is worth to see both sides of a token, on the same blanks for all models."""

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
"""Tokens that a one-directional model tries in a blank, where it is to see both sides."""
_REACH = 64  # tokens on each side of a blank: what is further away costs time and tells little
_SEED = 0  # all models, whatever their seeds, get the same blanks


def fill_blanks(model: LanguageModel[Any] | Cloze, test: Corpus, n: int) -> Filled:
    """Blank `n` tokens of a text and see how well a model fills them."""
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
    """Means over seeds."""
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
