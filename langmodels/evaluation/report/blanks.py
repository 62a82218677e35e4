"""Tables of filled blanks."""

import math
from collections.abc import Iterator, Mapping

from langmodels.evaluation.blanks import CANDIDATES
from langmodels.evaluation.results import BlankFigures, ClozeResult, Filled, ModelResult, Results
from langmodels.formatting import DASH, Table, figure, percent, perplexity


def blanks_tables(results: Results) -> Iterator[Table]:
    """A table for each level with blanks: how well the models fill them, best first."""
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
