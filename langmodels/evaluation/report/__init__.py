"""Reports of a comparison: terminal, HTML, Markdown, LaTeX, CSV and JSON."""

import os
from collections.abc import Callable
from pathlib import Path

from langmodels.arguments import checked
from langmodels.errors import LangmodelsError, UsageError
from langmodels.evaluation.report import html, latex, markdown
from langmodels.evaluation.results import Results, records
from langmodels.interchange import csv_text, json_text
from langmodels.names import Registry
from langmodels.storage import atomic_write

Render = Callable[[Results], str]

FORMATS: Registry[Render] = Registry(
    "report format",
    {
        ".html": html.render,
        ".md": markdown.render,
        ".tex": latex.render,
        ".csv": lambda results: csv_text(records(results)),
        ".json": lambda results: f"{json_text(results, 1)}\n",
    },
    group="langmodels.report_formats",
)
"""Renderers of reports, by the suffix of the file's name."""


def check_report_path(path: str | os.PathLike[str]) -> str:
    """The format of a report, one of `FORMATS`, from its name.

    Raises UsageError for another ending, LangmodelsError for a folder that is not there.
    """
    target = Path(path)
    ending = target.suffix.lower()
    if ending not in FORMATS:
        raise UsageError(
            f"The name of a report must end in {', '.join(FORMATS)}; {target} does not."
        )
    if not target.parent.is_dir():
        raise LangmodelsError(f"There is no folder {target.parent} to write {target.name} to.")
    return ending


@checked
def write_report(results: Results, path: str | os.PathLike[str]) -> None:
    """Write a report, atomically, in the format of the name's suffix.

    Raises what `check_report_path` raises, and LangmodelsError if the file cannot be written.
    """
    text = FORMATS[check_report_path(path)](results)
    with atomic_write(path) as file:
        file.write(text.encode("utf-8", "replace"))
