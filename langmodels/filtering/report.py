"""The report on a filtered collection: counts, thresholds, a histogram, examples."""

import html
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from langmodels.arrays import FloatArray, IndexArray
from langmodels.filtering.quantiles import Parts, order_statistics
from langmodels.filtering.rules import Rule
from langmodels.filtering.tasks import Example, Outcome, Scoring, Thresholds, drawn
from langmodels.formatting import Table, count, figure, percent, perplexity, visible
from langmodels.storage import atomic_write

BINS = 24
_TAIL = 0.005
"""Share of documents at either end that fall into the first and the last bin of the histogram."""
_GROUPS = 50  # rows of a table


@dataclass(frozen=True)
class Part:
    """A part of the collection: those kept and those left out, or a bucket."""

    name: str
    documents: int
    tokens: int
    characters: int


@dataclass(frozen=True)
class Group:
    """Documents that were compared with each other.

    `thresholds`: the highest score of each part but the last, in bits. `parts`: how many documents
    are in each part.
    """

    name: str
    thresholds: list[float]
    parts: list[int]


@dataclass(frozen=True)
class FilterReport:
    """What `filter_documents` did.

    `files`: how many files were read; `skipped` of them had been finished by an earlier run.
    `failed`: why others could not be read, by path. `documents`: how many have a score; `bad`: how
    many have none. `unit`: the unit of scores. `histogram` (parts, bins): how many documents of
    each part have a score between two of the `edges` (bins + 1,); the first and the last bin also
    count the scores beyond.
    """

    model: str
    against: str | None
    by: str | None
    unit: str
    output: str
    files: int
    skipped: int
    documents: int
    bad: int
    parts: list[Part]
    groups: list[Group]
    edges: list[float]
    histogram: list[list[int]]
    examples: list[Example]
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def has_perplexities(self) -> bool:
        """Whether 2**score is a perplexity: scores are in bits per token of one model."""
        return self.against is None and self.unit == "bits/token"


def report_of(
    outcomes: Sequence[Outcome],
    scoring: Scoring,
    rule: Rule,
    thresholds: Thresholds,
    output: str,
    failed: dict[str, str],
) -> FilterReport:
    """Make the report from the stored scores of the files that were filtered."""
    names = sorted({name for outcome in outcomes for name in outcome.shard.groups})
    number = {name: i for i, name in enumerate(names)}
    n_parts = len(rule.names)
    limits = np.array(
        [rule.thresholds or thresholds.get(name, [math.nan] * (n_parts - 1)) for name in names]
    ).reshape(len(names), n_parts - 1)

    def scored() -> Iterator[tuple[FloatArray, IndexArray, IndexArray]]:
        for outcome in outcomes:
            own = np.array([number[name] for name in outcome.shard.groups], np.int64)
            for records in outcome.shard.records():
                some = records[~np.isnan(records["score"])]
                sizes = np.stack([some["tokens"], some["characters"]])
                yield some["score"], own[some["group"]], sizes

    counts = np.zeros((len(names), n_parts), np.int64)
    sums = np.zeros((2, n_parts), np.int64)
    for scores, groups, sizes in scored():
        parts = rule.parts(scores, limits[groups])
        np.add.at(counts, (groups, parts), 1)
        np.add.at(sums.T, parts, sizes.T)
    n = int(counts.sum())
    edges = _edges(lambda: ((s, np.zeros(len(s), np.int64)) for s, _, _ in scored()), n)
    histogram = np.zeros((n_parts, BINS), np.int64)
    for scores, groups, _ in scored():
        bins = np.clip(np.searchsorted(edges, scores, side="right") - 1, 0, BINS - 1)
        np.add.at(histogram, (rule.parts(scores, limits[groups]), bins), 1)
    figures = zip(rule.names, counts.sum(axis=0).tolist(), *sums.tolist(), strict=True)
    return FilterReport(
        model=scoring.model,
        against=scoring.against,
        by=scoring.by,
        unit=f"bits/{'token' if scoring.per == 'token' else 'char'}",
        output=output,
        files=len(outcomes),
        skipped=sum(outcome.skipped for outcome in outcomes),
        documents=n,
        bad=sum(outcome.shard.bad for outcome in outcomes),
        parts=[Part(*row) for row in figures],
        groups=[
            Group(name, [float(t) for t in row], own)
            for name, row, own in zip(names, limits, counts.tolist(), strict=True)
            if sum(own)
        ],
        edges=edges.tolist(),
        histogram=histogram.tolist(),
        examples=drawn([e for outcome in outcomes for e in outcome.examples]),
        failed=failed,
    )


def _edges(parts: Parts, n: int) -> FloatArray:
    """The edges of the histogram's bins, (BINS + 1,), for the n scores in `parts`."""
    if n == 0:
        return np.linspace(0.0, 1.0, BINS + 1)
    ranks = [max(1, math.ceil(_TAIL * n)), max(1, math.floor((1 - _TAIL) * n))]
    ((low, high),) = order_statistics(parts, [ranks])
    low, high = (value if math.isfinite(value) else 0.0 for value in (low, high))
    if high <= low:
        low, high = low - 0.5, low + 0.5
    return np.linspace(low, high, BINS + 1)


# Tables -------------------------------------------------------------------------------------------


def parts_table(report: FilterReport) -> Table:
    """Documents, tokens and characters in each part."""
    rows = [
        (
            part.name,
            count(part.documents),
            percent(part.documents / report.documents) if report.documents else figure(None),
            count(part.tokens),
            count(part.characters),
        )
        for part in report.parts
    ]
    who = "One document has" if report.bad == 1 else f"{count(report.bad)} documents have"
    notes = [f"{who} no score; bad.jsonl says why."]
    return Table(
        f"What is where: {count(report.documents)} documents of {count(report.files)} "
        + ("file" if report.files == 1 else "files"),
        ["", "documents", "share", "tokens", "characters"],
        rows,
        notes=notes if report.bad else [],
    )


def thresholds_table(report: FilterReport) -> Table:
    """The thresholds of each group, and how many of its documents are in each part."""
    names = [part.name for part in report.parts]
    unit = "perplexity" if report.has_perplexities else report.unit
    columns = [report.by or "", *(f"{name} up to" for name in names[:-1]), *names]
    groups = sorted(report.groups, key=lambda group: -sum(group.parts))
    rows = [
        (
            visible(group.name, " ") or "all" if report.by is None else visible(group.name, " "),
            *(_shown(report, threshold) for threshold in group.thresholds),
            *map(count, group.parts),
        )
        for group in groups[:_GROUPS]
    ]
    notes = [f"{len(groups) - _GROUPS:,} smaller ones are left out."] if groups[_GROUPS:] else []
    return Table(f"Thresholds ({unit}), and documents", columns, rows, notes=notes)


def bars(report: FilterReport) -> list[tuple[float, int]]:
    """(lower edge, number of documents) of each bin of the histogram."""
    totals = [sum(column) for column in zip(*report.histogram, strict=True)]
    return list(zip(report.edges, totals, strict=False))


def _shown(report: FilterReport, threshold: float) -> str:
    if report.has_perplexities:
        return perplexity(2**threshold) if threshold < 1000 else figure(math.inf)
    return figure(threshold, 3)


# A page -------------------------------------------------------------------------------------------


def write_page(report: FilterReport, path: str | os.PathLike[str]) -> None:
    """Write the report as one HTML file that needs no script and no network."""
    from langmodels.evaluation.report.html import page, table_html

    against = f", against {report.against}" if report.against else ""
    tables = [parts_table(report), thresholds_table(report)]
    body = [
        f'<p class="lead">{html.escape(f"Scored by {report.model}{against}.")}</p>',
        *map(table_html, tables),
        "<h3>Documents by score</h3>",
        _svg(report),
        "<h3>Examples</h3>",
        *_examples(report),
    ]
    if report.failed:
        items = (f"<li>{html.escape(why)}</li>" for why in report.failed.values())
        body.insert(0, f"<h3>Files that could not be read</h3><ul>{''.join(items)}</ul>")
    with atomic_write(path) as file:
        title = f"Documents filtered into {report.output}"
        file.write(page(title, "\n".join(body)).encode("utf-8", "replace"))


def _svg(report: FilterReport) -> str:
    """The histogram as SVG, with stacked bars; the best part is in full colour."""
    width, height, left = 640, 200, 8
    most = max((total for _, total in bars(report)), default=0) or 1
    step = (width - 2 * left) / BINS
    shapes = []
    for k in range(BINS):
        top = float(height)
        for i, row in enumerate(report.histogram):
            tall = row[k] / most * (height - 10)
            top -= tall
            opacity = 1 - 0.75 * i / max(1, len(report.histogram) - 1)
            note = f"{report.parts[i].name}: {row[k]:,} from {report.edges[k]:.2f}"
            if row[k]:
                shapes.append(
                    f'<rect x="{left + k * step:.1f}" y="{top:.1f}" width="{step - 1:.1f}" '
                    f'height="{tall:.1f}" fill="currentColor" opacity="{opacity:.2f}">'
                    f"<title>{html.escape(note)}</title></rect>"
                )
    marks = "".join(
        f'<text x="{left + k * step:.1f}" y="{height + 20}" font-size="16" '
        f'fill="currentColor">{report.edges[k]:.1f}</text>'
        for k in range(0, BINS + 1, 4)
    )
    caption = f"{report.unit}; {', '.join(part.name for part in report.parts)} from full to faint"
    return (
        f'<figure><svg viewBox="0 0 {width + 24} {height + 24}" role="img">{"".join(shapes)}{marks}'
        f"</svg><figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def _examples(report: FilterReport) -> Iterator[str]:
    for example in report.examples:
        name = report.parts[example.part].name
        score = f"{example.score:.3f} {report.unit}"
        where = f"{name}: {example.file}, {example.document}, {score}"
        yield f'<p class="note">{html.escape(where)}</p>'
        shown = html.escape(visible_text(example.text))
        yield f'<blockquote dir="auto">{shown}</blockquote>'


def visible_text(text: str) -> str:
    """A text with its control characters made visible, line by line."""
    return "\n".join(visible(line, " ") for line in text.split("\n"))
