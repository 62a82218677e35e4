r"""A report in LaTeX: tables in booktabs style, for `\input`."""

import re

from langmodels.evaluation.report import tables, verdicts
from langmodels.evaluation.results import Results
from langmodels.formatting import Table

_MARKS = {
    "\\": r"\textbackslash{}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "∞": r"$\infty$",
    "µ": r"\textmu{}",
    "…": r"\ldots{}",
    "–": "--",
    "\n": " ",
}
_INFINITE = r"$\infty$"


def render(results: Results) -> str:
    """The tables of quality, of all pairs and of sweeps, each in a table environment.

    The best model is in bold only if tests against all others show that it is better. Comments at
    the top record how the report was made.
    """
    shown = [("quality", tables.quality_table(results))] if results.models else []
    more = {
        "compressors": tables.compressors_table(results),
        "pairs": verdicts.pairs_table(results),
    }
    shown += [(name, table) for name, table in more.items() if table is not None]
    sweeps = enumerate(tables.sweep_tables(results), 1)
    shown += [(f"settings-{i}", table) for i, table in sweeps]
    text = re.sub(r"\W+", "-", results.text.name.rpartition("/")[2].partition(".")[0]) or "text"
    head = [
        r"% \usepackage{booktabs} in the preamble; read this file in by \input.",
        f"% {_comment(str(results.settings.get('command', 'langmodels compare')))}",
    ]
    parts = ["\n".join(head)]
    for i, (name, table) in enumerate(shown):
        caption = _escape(tables.heading(results) if i == 0 else table.title)
        notes = list(table.notes)
        bold = None
        if i == 0:
            notes = [f"Split {results.text.split}.", *notes]
            if results.clear_best:
                bold = next(k for k in range(len(table.rows)) if k not in table.emphasis)
                notes.append(
                    f"Bold: better than each other model (paired over {results.text.resampled} of "
                    "the test text, p < 0.05 after Holm's correction)."
                )
            elif len(results.models) > 1:
                notes.append("The best model cannot be told apart from each other one.")
        parts.append(_environment(table, caption, notes, f"tab:{text}-{name}", bold))
    return "\n\n".join(parts) + "\n"


def _environment(table: Table, caption: str, notes: list[str], label: str, bold: int | None) -> str:
    """One table; `bold` is the row in bold, if any."""
    align = "l" * table.left + "r" * (len(table.columns) - table.left)
    notes = [note.replace("infinite: ", "∞: ") for note in notes]  # as the cells have it
    below = " ".join(map(_escape, notes))
    # Small letters, so that the table fits the narrow lines of an article.
    letters = r"\small" if len(table.columns) < 6 else r"\footnotesize"
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption}.}}",
        rf"\label{{{label}}}",
        r"\medskip",
        rf"{letters}\setlength{{\tabcolsep}}{{3pt}}",
        rf"\begin{{tabular}}{{{align}}}",
        r"\toprule",
        _row([_escape(column) for column in table.columns]),
        r"\midrule",
    ]
    for i, row in enumerate(table.rows):
        cells = [_cell(cell, figure=j >= table.left) for j, cell in enumerate(row)]
        if i == bold:
            cells = [rf"\textbf{{{cell}}}" if cell else "" for cell in cells]
        elif i in table.emphasis:
            cells = [rf"\emph{{{cell}}}" if cell else "" for cell in cells]
        lines.append(_row(cells))
    lines += [r"\bottomrule", r"\end{tabular}"]
    if below:
        lines += ["", r"\medskip", rf"\parbox{{0.9\linewidth}}{{\footnotesize {below}}}"]
    return "\n".join([*lines, r"\end{table}"])


def _row(cells: list[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _cell(text: str, *, figure: bool) -> str:
    if figure and text == "infinite":
        return _INFINITE
    # Typeset the hyphen of an interval as a dash.
    return _escape(text).replace("-", "--") if figure and text[:1].isdigit() else _escape(text)


def _escape(text: str) -> str:
    """Escape text for LaTeX; letters of other scripts are kept, for engines that support them."""
    found = "".join(_MARKS.get(mark, mark) for mark in text if mark == "\n" or mark.isprintable())
    return re.sub("--(?=[a-z])", "-{}-", found)  # options such as --seed are no dashes


def _comment(text: str) -> str:
    return " ".join(text.split())
