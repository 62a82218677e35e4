"""Detailed tables: contexts, losses by group, calibration, and disagreements of two models."""

import math
from collections.abc import Iterator

from langmodels.evaluation.breakdown import UNKNOWN
from langmodels.evaluation.report.tables import label_columns, labels, limit_labels, limit_name
from langmodels.evaluation.results import LevelResult, Results
from langmodels.formatting import Table, count, figure, percent, visible


def contexts_table(level: LevelResult) -> Table:
    """How fast contexts become rare with their length, which is why the unsmoothed full context
    fails.
    """
    columns = ["context", "possible", "in training", "seen before", "and the next token"]
    rows = [
        [
            str(c.length),
            count(c.possible),
            count(c.in_training),
            percent(c.seen),
            percent(c.continued),
        ]
        for c in level.contexts
    ]
    notes = [
        "seen before: share of the test text's contexts that occur in training; the last column: "
        "with the token that follows. Relative frequencies give zero to the rest."
    ]
    return Table(f"Contexts, in {level.unit}s", columns, rows, 1, notes)


def band_tables(results: Results) -> Iterator[Table]:
    """Bits per token by group, for every level and grouping."""
    for level in results.levels:
        models = [m for m in results.models if m.level == level.level]
        for name, (bands, counts) in level.groups.items():
            total = sum(counts)
            rows = [["share of the tokens", *(percent(n / total) for n in counts)]]
            rows += [[m.label, *map(_dense, m.bands[name])] for m in models]
            emphasis, notes = {0}, []
            if results.limit and results.by_character(level.level):
                emphasis.add(len(rows))
                rows.append([limit_name(results), *[_dense(results.limit.bits)] * len(bands)])
                notes.append("The limit is that of the whole text, in every column.")
            if UNKNOWN in bands:
                notes.append("Of unknown tokens, what <unk> costs, without their spelling.")
            title = f"Bits per {level.unit} by {name}"
            yield Table(title, ["model", *bands], rows, 1, notes, frozenset(emphasis))


def _dense(bits: float) -> str:
    return "∞" if math.isinf(bits) else figure(bits)


def calibration_table(results: Results) -> Table:
    """The calibration of the models."""
    columns = [*label_columns(results), "expects", "pays", "right", "confident", "misplaced"]
    rows = [
        [
            *labels(results, m),
            figure(m.calibration.expected_bits),
            _dense(m.calibration.paid_bits),
            percent(m.calibration.accuracy),
            percent(m.calibration.confidence),
            percent(m.calibration.misplaced),
        ]
        for m in results.models
    ]
    notes = [
        f"Over the first {results.models[0].calibration.tokens} test tokens. expects, pays: bits "
        "per token by the model's own distributions, and really; a model that pays more is "
        "overconfident. right: how often the most probable token came; confident: the "
        "probability it had. misplaced: probability that stands in the wrong band."
    ]
    if any(len(m.seeds) > 1 for m in results.models):
        notes.append("Of models with several seeds, with the first one.")
    emphasis = frozenset[int]()
    if results.limit and all(results.by_character(level.level) for level in results.levels):
        emphasis = frozenset([len(rows)])
        bits = _dense(results.limit.bits)
        rows.append([*limit_labels(results), bits, bits, *[""] * 3])
    return Table("Calibration", columns, rows, len(label_columns(results)), notes, emphasis)


def difference_tables(results: Results) -> Iterator[Table]:
    """The tokens on which the two best models of each level differ most, where they differ."""
    for found in results.differences:
        if not found.tokens:
            continue
        rows = [
            [f"… {visible(d.context, space=' ')}", visible(d.token), *(figure(b) for b in d.bits)]
            for d in found.tokens
        ]
        several = len(results.differences) > 1
        where = f", {found.level} level" if several else ""
        title = f"Where {found.models[0]} and {found.models[1]} differ most (bits{where})"
        yield Table(title, ["after", "token", *found.models], rows, 2)
