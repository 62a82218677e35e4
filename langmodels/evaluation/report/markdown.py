"""A report in Markdown: pipe tables, and samples as quotations."""

from html import escape

from langmodels.evaluation.report import tables
from langmodels.evaluation.report.outline import Section, outline
from langmodels.evaluation.results import Results
from langmodels.formatting import Table


def render(results: Results) -> str:
    """The whole report."""
    parts = [f"# {_escape(tables.heading(results))}"]
    for section in outline(results):
        parts += _section(section)
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> list[str]:
    if section.passages:  # they are shown by colour alone
        return []
    return [
        f"## {section.title}",
        *(table_text(table) for table in section.tables),
        *map(_escape, section.paragraphs),
        *(["\n".join(f"- {_escape(line)}" for line in section.lines)] if section.lines else []),
        *(
            f"**{_escape(label)}**\n\n" + "\n".join(f"> {_escape(line)}" for line in lines)
            for label, lines in ((label, text.split("\n")) for label, text in section.samples)
        ),
    ]


def table_text(table: Table) -> str:
    """One table with its title and notes."""
    align = [":--" if i < table.left else "--:" for i in range(len(table.columns))]
    rows = [map(_escape, table.columns), align, *(map(_escape, row) for row in table.rows)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n\n".join(
        [f"### {_escape(table.title)}", "\n".join(lines), *map(_escape, table.notes)]
    )


def _escape(text: str) -> str:
    text = escape(text, quote=False)  # not all that read Markdown know "\\<"
    for mark in "\\`*_|[]#":
        text = text.replace(mark, f"\\{mark}")
    return text.replace("\n", " ")
