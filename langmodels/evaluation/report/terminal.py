"""A comparison in a terminal."""

from rich import box
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from langmodels.evaluation.report import detail_tables, tables, verdicts
from langmodels.evaluation.report.blanks import blanks_tables
from langmodels.evaluation.report.scaling import exponent_table, size_tables
from langmodels.evaluation.results import Results
from langmodels.formatting import Table


def render(results: Results, *, details: bool = False) -> RenderableType:
    """The main results; `details` adds the detailed tables and the settings."""
    parts: list[RenderableType] = [Text(tables.heading(results), style="bold"), Text()]
    parts += rich_tables([tables.corpus_table(results)])
    if results.models:
        parts += rich_tables([tables.quality_table(results)])
        if results.tests:
            parts += [Text(line) for line in verdicts.verdicts(results)]
            parts += [Text(verdicts.verdict_note(results), style="dim"), Text()]
        shown = [tables.compressors_table(results), verdicts.pairs_table(results)]
        shown += [*tables.sweep_tables(results)]
        shown += [tables.cost_table(results), tables.growth_table(results)]
        shown += [tables.steps_table(results)]
        shown += [detail_tables.contexts_table(level) for level in results.levels]
        if details:
            shown += [*detail_tables.band_tables(results), detail_tables.calibration_table(results)]
            shown += [*detail_tables.difference_tables(results), tables.models_table(results)]
            shown += [tables.settings_table(results)]
        parts += rich_tables([t for t in shown if t is not None])
        parts += [Text("Samples", style="bold")]
        for label, text in tables.samples(results):
            parts += [Padding(Text(label), (0, 0, 0, 2)), Padding(Text(text, "dim"), (0, 0, 0, 4))]
        parts += [Text()]
    parts += rich_tables(list(blanks_tables(results)))
    parts += map(Text, tables.unfinished(results))
    return Group(*parts)


def render_scaling(results: Results) -> RenderableType:
    """The results as `scale` prints them."""
    parts: list[RenderableType] = [Text(tables.heading(results), style="bold"), Text()]
    parts += rich_tables([tables.corpus_table(results)])
    if results.models:
        shown = [*size_tables(results), tables.steps_table(results)]
        shown += [detail_tables.contexts_table(level) for level in results.levels]
        shown += [exponent_table(results)]
        parts += rich_tables([t for t in shown if t is not None])
    parts += map(Text, tables.unfinished(results))
    return Group(*parts)


def rich_tables(shown: list[Table]) -> list[RenderableType]:
    """Tables as Rich renderables, each followed by its notes and a blank line."""
    parts: list[RenderableType] = []
    for table in shown:
        rich = RichTable(
            box=box.SIMPLE_HEAD,
            title=Text(table.title, "bold"),  # as text, in which brackets are no markup
            title_justify="left",
            pad_edge=False,
            collapse_padding=True,
        )
        for i, column in enumerate(table.columns):
            if i < table.left:
                rich.add_column(Text(column), overflow="fold")
            else:
                rich.add_column(Text(column), justify="right", no_wrap=True)
        for i, row in enumerate(table.rows):
            rich.add_row(*map(Text, row), style="italic" if i in table.emphasis else None)
        parts += [rich, *(Text(note, style="dim") for note in table.notes), Text()]
    return parts


def print_wide(console: Console, rendered: RenderableType) -> None:
    """Print; if the output is no terminal, as wide as the widest table, so that nothing is cut."""
    if not console.is_terminal:
        free = console.options.update(width=10_000)
        shown = rendered.renderables if isinstance(rendered, Group) else [rendered]
        widths = [Measurement.get(console, free, t).maximum for t in shown if _is_table(t)]
        console = Console(
            file=console.file, highlight=False, markup=False, width=max([80, *widths])
        )
    console.print(rendered)


def _is_table(rendered: RenderableType) -> bool:
    return isinstance(rendered, RichTable)
