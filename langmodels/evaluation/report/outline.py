"""The contents of a report in order, the same for every format."""

from dataclasses import dataclass, field

from langmodels.evaluation.report import detail_tables, tables, verdicts
from langmodels.evaluation.report.blanks import blanks_tables
from langmodels.evaluation.report.scaling import exponent_table
from langmodels.evaluation.results import LevelResult, Results
from langmodels.formatting import Table


@dataclass(frozen=True)
class Passage:
    """A passage of the test text, and the bits of each of its tokens by model."""

    level: LevelResult
    bits: dict[str, list[float]]


@dataclass(frozen=True)
class Section:
    """A section of a report. `plots` are keys of `plots.PLOTS`; empty sections are omitted.

    Sections marked `first` are shown where there is little room.
    """

    title: str
    tables: list[Table] = field(default_factory=list)
    paragraphs: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    plots: list[str] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)
    samples: list[tuple[str, str]] = field(default_factory=list)
    first: bool = False


def outline(results: Results) -> list[Section]:
    """All sections of a report."""
    parts = [
        Section(
            "What was compared on",
            tables=[
                tables.corpus_table(results),
                *map(detail_tables.contexts_table, results.levels),
            ],
            first=True,
        )
    ]
    if missing := tables.unfinished(results):
        parts.insert(0, Section("What is missing", paragraphs=missing, first=True))
    blanks = Section("What both sides are worth", list(blanks_tables(results)), first=True)
    if not results.models:
        return [*parts, blanks]
    growth, steps = tables.growth_table(results), tables.steps_table(results)
    return [
        *parts,
        Section(
            "Which model is better",
            [
                tables.quality_table(results),
                *(
                    table
                    for table in (tables.compressors_table(results), verdicts.pairs_table(results))
                    if table is not None
                ),
                *tables.sweep_tables(results),
            ],
            [verdicts.verdict_note(results)] if results.tests else [],
            verdicts.verdicts(results),
            ["quality"],
            first=True,
        ),
        Section(
            "What it costs",
            tables=[tables.cost_table(results)],
            plots=["quality and time", "quality and size"],
            first=True,
        ),
        Section(
            "How it grows",
            tables=[t for t in (growth, steps, exponent_table(results)) if t is not None],
            plots=["growth of quality", "growth of time", "steps", "training"],
        ),
        Section(
            "Where the bits go",
            tables=[*detail_tables.band_tables(results), *detail_tables.difference_tables(results)],
            plots=["bands"],
        ),
        blanks,
        Section(
            "Whether probabilities mean what they say",
            tables=[detail_tables.calibration_table(results)],
            plots=["calibration"],
        ),
        Section(
            "A passage, token by token",
            paragraphs=[
                "The beginning of the test text; the stronger the colour of a token, the more bits "
                "it cost. What it takes to spell an unknown token is not in the bits of <unk>."
            ],
            passages=[_passage(results, level) for level in results.levels],
        ),
        Section("Samples", samples=tables.samples(results)),
        Section(
            "How this was made",
            tables=[tables.models_table(results), tables.settings_table(results)],
        ),
    ]


def _passage(results: Results, level: LevelResult) -> Passage:
    return Passage(level, {m.label: m.passage for m in results.models if m.level == level.level})
