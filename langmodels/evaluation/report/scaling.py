"""Tables of how costs and losses grow with the training text."""

from collections.abc import Callable

from langmodels.evaluation.report.tables import (
    label_columns,
    labels,
    limit_labels,
    padded,
    training_shares,
)
from langmodels.evaluation.results import ModelResult, Results
from langmodels.evaluation.statistics import Exponent
from langmodels.formatting import Table, count, duration, figure, size


def exponent_table(results: Results) -> Table:
    """One row per model: all growth exponents with their standard errors."""
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
    """The measurements, a table for each quantity: models by rows, sizes of the training text by
    columns.
    """
    quantities: list[tuple[str, Callable[[ModelResult, int], str]]] = [
        (f"Bits/{results.per}", lambda m, i: figure(m.growth[i].bits_per_character, 3)),
        ("Training time", lambda m, i: duration(m.timing.growth[i].seconds)),
        ("Peak memory while training", lambda m, i: size(m.timing.growth[i].peak)),
        ("Model size", lambda m, i: size(m.growth[i].size)),
        ("Test tokens scored per second", lambda m, i: count(m.timing.growth[i].rate)),
    ]
    shares = training_shares(results)
    n = len(shares)
    total = results.text.characters[0]
    columns = [*label_columns(results), *(count(round(total * share)) for share in shares)]
    left = len(label_columns(results))
    tables: list[Table] = []
    for title, show in quantities:
        rows = [
            [*labels(results, m), *padded([show(m, i) for i in range(len(m.growth))], n)]
            for m in results.models
        ]
        emphasis = frozenset[int]()
        if results.limit and not tables:  # the first table is that of the loss
            emphasis = frozenset([len(rows)])
            rows.append([*limit_labels(results), *[figure(results.limit.bits, 3)] * n])
        title = f"{title}, by characters of training text"
        tables.append(Table(title, columns, rows, left, emphasis=emphasis))
    return tables
