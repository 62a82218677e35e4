"""Blanks: what it is worth to see both sides of a token, on the same blanks for all models."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from langmodels.evaluation.results import BlankFigures, ClozeResult, Filled, ModelResult, Results
from langmodels.formatting import DASH, Table, figure, percent, perplexity
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


def blanks_tables(results: Results) -> Iterator[Table]:
    """How well every model fills blanks, best first: a table for each level that has them."""
    for level in results.levels:
        if not any(m.level == level.level for m in results.cloze):
            continue
        models: list[ModelResult | ClozeResult] = [*results.cloze, *results.models]
        filled = {m.label: m.filled for m in models if m.level == level.level and m.filled}
        best_first = sorted(filled.items(), key=lambda item: _loss(item[1].both))
        where = f", {level.level} level" if len(results.levels) > 1 else ""
        yield Table(
            f"Filling blanks, best first{where}",
            [
                "model",
                *("before: right", "MRR", "perplexity"),
                *("both sides: right", "MRR", "perplexity"),
            ],
            [[label, *_cells(found.before), *_cells(found.both)] for label, found in best_first],
            notes=list(_notes(filled)),
        )


def _loss(figures: BlankFigures | None) -> float:
    return math.inf if figures is None else figures.loss


def _cells(figures: BlankFigures | None) -> list[str]:
    if figures is None:
        return [DASH] * 3
    rank = figure(figures.reciprocal_rank, 3)
    return [percent(figures.accuracy), rank, perplexity(figures.perplexity)]


def _notes(filled: Mapping[str, Filled]) -> Iterator[str]:
    n = max(found.both.blanks for found in filled.values() if found.both)
    yield (
        f"{n} known tokens of the test text, each left blank and filled by what comes before it, "
        "and by both sides. Models that read in one direction try, for both sides, their "
        f"{CANDIDATES} most probable tokens, each with all that follows. right: how often the "
        "right token came first; MRR: mean of one over its rank."
    )
    before = min(filled, key=lambda label: _loss(filled[label].before))
    both = min(filled, key=lambda label: _loss(filled[label].both))
    without, seen = _loss(filled[before].before), _loss(filled[both].both)
    if math.isfinite(without):
        yield (
            f"What follows a blank is worth {figure((without - seen) / math.log(2))} bits: "
            f"perplexity {perplexity(math.exp(seen))} with it ({both}) instead of "
            f"{perplexity(math.exp(without))} ({before}), each by the best model."
        )
