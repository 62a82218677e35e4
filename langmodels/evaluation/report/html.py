"""A report as one HTML file, without scripts or network, for light and dark, screens and paper."""

import html
import math
from collections.abc import Iterable, Iterator, Sequence
from unicodedata import bidirectional

from langmodels.evaluation.report import tables
from langmodels.evaluation.report.figures import draw
from langmodels.evaluation.report.outline import Passage, Section, outline
from langmodels.evaluation.report.style import STYLE
from langmodels.evaluation.results import Results
from langmodels.formatting import Table, visible
from langmodels.text.vocabulary import BOS, EOS, UNK

_SCALE = 12.0
"""Bits from which a token has the darkest colour."""

_LONG = 40
"""The longest cell in characters that is not folded."""


def render(results: Results) -> str:
    """The whole file."""
    return page(tables.heading(results), f"{_lead(results)}\n{_body(results)}")


def page(title: str, body: str) -> str:
    """A whole file with this title, and a body that is HTML."""
    title = html.escape(title)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


def fragment(results: Results) -> str:
    """The part that a notebook shows: the outcome with tables, plots and verdicts."""
    figures, _ = draw(results)
    parts = [_lead(results)]
    for section in outline(results):
        if section.first:
            parts += _section(section, figures)
    return "\n".join(parts)


def _lead(results: Results) -> str:
    """The outcome in a sentence, and the command that reproduces it."""
    parts = []
    if results.models and math.isfinite(results.models[0].bits_per_character):
        best = results.models[0]
        unit = "character" if results.per == "char" else "token"
        parts.append(
            f'<p class="lead">Of {len(results.models)} models, '
            f"<strong>{html.escape(best.label)}</strong> predicts the test text best: "
            f"<strong>{best.bits_per_character:.3f}</strong> bits per {unit}.</p>"
        )
    command = results.settings.get("command")
    if command:
        parts.append(f"<pre><code>{html.escape(str(command))}</code></pre>")
    return "\n".join(parts)


def _body(results: Results) -> str:
    figures, missing = draw(results)
    parts = [f'<p class="note">{html.escape(missing)}</p>'] if missing else []
    for section in outline(results):
        content = "\n".join(_section(section, figures))
        if content:
            parts.append(f"<section>\n<h2>{html.escape(section.title)}</h2>\n{content}\n</section>")
    return "\n".join(parts)


def _section(section: Section, figures: dict[str, str]) -> Iterator[str]:
    for table in section.tables:
        yield table_html(table)
    for text in section.paragraphs:
        yield f"<p>{html.escape(text)}</p>"
    if section.lines:
        items = "".join(f"<li>{html.escape(line)}</li>" for line in section.lines)
        yield f"<ul>{items}</ul>"
    plots = [figures[name] for name in section.plots if name in figures]
    if plots:
        yield f'<div class="plots">{"".join(plots)}</div>'
    for passage in section.passages:
        yield from _passage(passage)
    for label, text in section.samples:
        shown = f'<blockquote dir="auto">{html.escape(text)}</blockquote>'
        yield f"<h3>{html.escape(label)}</h3>\n{shown}"


def table_html(table: Table) -> str:
    """A table that scrolls by itself where the screen is too narrow."""

    def cells(tag: str, row: Sequence[str]) -> str:
        names = (' class="name"' if i < table.left else "" for i in range(len(row)))
        return "".join(
            f"<{tag}{name}>{_cell(cell)}</{tag}>" for cell, name in zip(row, names, strict=True)
        )

    marks = (' class="apart"' if i in table.emphasis else "" for i in range(len(table.rows)))
    rows = [f"<tr{m}>{cells('td', row)}</tr>" for m, row in zip(marks, table.rows, strict=True)]
    notes = "".join(f'<p class="note">{html.escape(note)}</p>' for note in table.notes)
    return (
        f'<h3>{html.escape(table.title)}</h3>\n<div class="scroll" tabindex="0"><table>'
        f"<thead><tr>{cells('th', table.columns)}</tr></thead><tbody>{''.join(rows)}"
        f"</tbody></table></div>\n{notes}"
    )


def _cell(text: str) -> str:
    """The content of a cell; long text is folded."""
    shown = html.escape(text)
    return f"<span>{shown}</span>" if len(text) > _LONG else shown


def _passage(passage: Passage) -> Iterator[str]:
    tokens = passage.level.passage
    joiner = passage.level.separator
    for label, bits in passage.bits.items():
        yield f"<h3>{html.escape(label)} ({passage.level.unit}s)</h3>"
        spans = []
        for token, cost in zip(tokens, bits, strict=True):
            share = min(1.0, cost / _SCALE)
            told = f"{'infinitely many' if math.isinf(cost) else f'{cost:.1f}'} bits"
            told += " and its spelling" if token == UNK else ""
            text = " " if token == " " else html.escape(visible(token))
            spans.append(f'<span style="--c:{share:.2f}" title="{told}">{text}</span>')
        yield f'<p class="heat" dir="{_direction(tokens)}">{joiner.join(spans)}</p>'
    yield _legend()


def _direction(tokens: Iterable[str]) -> str:
    """The writing direction of a passage, "ltr" or "rtl", by its first letters."""
    strong = (bidirectional(c) for t in tokens if t not in (UNK, BOS, EOS) for c in t)
    first = next((kind for kind in strong if kind in ("L", "R", "AL")), "L")
    return "ltr" if first == "L" else "rtl"


def _legend() -> str:
    steps = "".join(
        f'<span style="--c:{bits / _SCALE:.2f}">{bits:g}</span>' for bits in (0, 2, 4, 6, 8, 10, 12)
    )
    return f'<p class="heat legend">bits: {steps}+</p>'
