"""What a report consists of, in order: the same for every format."""

from dataclasses import dataclass, field

from langmodels.evaluation import sections
from langmodels.evaluation.blanks import blanks_tables
from langmodels.evaluation.results import LevelResult, Results
from langmodels.evaluation.scaling import exponent_table
from langmodels.formatting import Table


@dataclass(frozen=True)
class Passage:
    """Tokens of a passage, and for each model the bits that it paid for each of them."""

    level: LevelResult
    bits: dict[str, list[float]]


@dataclass(frozen=True)
class Section:
    """A part of a report. `plots` are names in `plots.PLOTS`; empty parts are left out."""

    title: str
    tables: list[Table] = field(default_factory=list)
    paragraphs: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    plots: list[str] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)
    samples: list[tuple[str, str]] = field(default_factory=list)


def outline(results: Results) -> list[Section]:
    """All sections of a report."""
    parts = [
        Section(
            "What was compared on",
            tables=[
                sections.corpus_table(results),
                *map(sections.contexts_table, results.levels),
            ],
        )
    ]
    if results.unfinished:
        parts.insert(0, Section("Interrupted", paragraphs=[sections.unfinished(results)]))
    blanks = Section("What both sides are worth", tables=list(blanks_tables(results)))
    if not results.models:
        return [*parts, blanks]
    growth, steps = sections.growth_table(results), sections.steps_table(results)
    return [
        *parts,
        Section(
            "Which model is better",
            [sections.quality_table(results)],
            [sections.verdict_note(results)] if results.tests else [],
            sections.verdicts(results),
            ["quality"],
        ),
        Section(
            "What it costs",
            tables=[sections.cost_table(results)],
            plots=["quality and time", "quality and size"],
        ),
        Section(
            "How it grows",
            tables=[t for t in (growth, steps, exponent_table(results)) if t is not None],
            plots=["growth of quality", "growth of time", "steps", "training"],
        ),
        Section(
            "Where the bits go",
            tables=[*sections.band_tables(results), *sections.difference_tables(results)],
            plots=["bands"],
        ),
        blanks,
        Section(
            "Whether probabilities mean what they say",
            tables=[sections.calibration_table(results)],
            plots=["calibration"],
        ),
        Section(
            "A passage, token by token",
            paragraphs=[
                "The beginning of the test text; the darker a token, the more bits it cost."
            ],
            passages=[_passage(results, level) for level in results.levels],
        ),
        Section("Samples", samples=sections.samples(results)),
        Section(
            "How this was made",
            tables=[sections.models_table(results), sections.settings_table(results)],
        ),
    ]


def _passage(results: Results, level: LevelResult) -> Passage:
    return Passage(level, {m.label: m.passage for m in results.models if m.level == level.level})
