"""`scale`: how cost and quality grow with the training text, and a step's cost with the context."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from langmodels.errors import UsageError
from langmodels.evaluation.candidates import Models
from langmodels.evaluation.comparison import Comparison, compare
from langmodels.evaluation.formatting import DASH, Table, count, duration, figure, size
from langmodels.evaluation.measuring import PLANS
from langmodels.evaluation.results import ModelResult, Results
from langmodels.evaluation.sections import label_columns, labels
from langmodels.evaluation.statistics import Exponent
from langmodels.splits import Splits

CONTEXTS = (1, 4, 16, 64, 256, 1024)
"""Lengths of the context after which a step is timed."""

MAX_DOUBLINGS = 20


def scale(
    models: Models | None,
    corpus: Splits | str,
    *,
    doublings: int = 4,
    budget: str = "standard",
    **options: Any,
) -> Comparison:
    """Train every model on texts of size n / 2^doublings, ..., n / 2, n and measure what grows.

    All sizes share vocabulary and test text. `options` are those of `compare`; the comparison that
    comes back is a full one. Raises UsageError for less than two doublings, and what `compare`
    raises.
    """
    if not 2 <= doublings <= MAX_DOUBLINGS:
        raise UsageError(
            f"Scaling needs from 2 to {MAX_DOUBLINGS} doublings of the text, not {doublings}."
        )
    growth = tuple(2.0**-k for k in range(doublings, 0, -1))
    plan = replace(PLANS.get(budget, PLANS["standard"]), growth=growth, contexts=CONTEXTS)
    return compare(models, corpus, budget=budget, plan=plan, **options)


def exponent_table(results: Results) -> Table:
    """One row a model: the exponents of everything, with their standard errors."""
    columns = [*label_columns(results), "time", "peak", "size", "loss", "step"]
    rows = [
        [
            *labels(results, m),
            *(
                _compact(e)
                for e in (
                    m.timing.exponents["seconds"],
                    m.timing.exponents["peak"],
                    m.exponents["size"],
                    m.exponents["bits"],
                    m.timing.exponents["steps"],
                )
            ),
        ]
        for m in results.models
    ]
    notes = [
        "Exponents a of y ~ x^a with their standard errors, by regression on logarithms: training "
        "time, peak memory, model size and test loss over the training text, the time of a step "
        "over the length of the context. 0: constant; 1: in proportion; above: it blows up."
    ]
    return Table("Growth exponents", columns, rows, len(label_columns(results)), notes)


def _compact(exponent: Exponent) -> str:
    return str(exponent).replace(" ", "")


def size_tables(results: Results) -> list[Table]:
    """What was measured, a table a quantity: models down, sizes of the training text across."""
    quantities: list[tuple[str, Callable[[ModelResult, int], str]]] = [
        (f"Bits/{results.per}", lambda m, i: figure(m.growth[i].bits_per_character, 3)),
        ("Training time", lambda m, i: duration(m.timing.growth[i].seconds)),
        ("Peak memory while training", lambda m, i: size(m.timing.growth[i].peak)),
        ("Model size", lambda m, i: size(m.growth[i].size)),
        ("Test tokens scored per second", lambda m, i: count(m.timing.growth[i].rate)),
    ]
    n = max(len(m.growth) for m in results.models)
    total = results.text.characters[0]
    longest = next(m for m in results.models if len(m.growth) == n)
    shares = [g.tokens / longest.growth[-1].tokens for g in longest.growth]
    columns = [*label_columns(results), *(count(round(total * share)) for share in shares)]
    return [
        Table(
            f"{title}, by characters of training text",
            columns,
            [
                [
                    *labels(results, m),
                    *[DASH] * (n - len(m.growth)),
                    *(show(m, i) for i in range(len(m.growth))),
                ]
                for m in results.models
            ],
            len(label_columns(results)),
        )
        for title, show in quantities
    ]
