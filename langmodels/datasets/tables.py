"""Columns of delimited files (CSV, TSV, one entry a line) as events or as a series of numbers."""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from langmodels.datasets import files
from langmodels.datasets.queries import parse_query
from langmodels.datasets.rows import csv_rows, sniffed_delimiter
from langmodels.errors import LangmodelsError, UsageError
from langmodels.text.lines import lines_of

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " "}
_MISSING = frozenset({"", "-", "?", "na", "n/a", "nan", "nil", "none", "null"})
_SNIFFED_LINES = 50
_BATCH = 10_000  # entries given out as one piece of text

_SERIES_OPTIONS = ("bins", "binning", "differences")
_OPTIONS = ("series", "events", "case", "header", "delimiter", *_SERIES_OPTIONS)


@dataclass(frozen=True)
class Table:
    """A column of a file, as `data.csv?series=price` or `log.csv?events=activity&case=id` asks.

    Columns are named as in the first row, or numbered from 1; numbers mean that there is no header,
    unless `header` is true (in a series a first row without a number is taken for one).

    `series`: one number a line, entries that are missing left out with a warning. `events`: one
    symbol a line in the order of the file, its inner white space written as "_"; with `case`, one
    line for each case, cases in the order of their first event.
    """

    path: str
    encoding: str
    errors: str
    column: str
    series: bool
    case: str | None
    header: bool | None
    delimiter: str | None

    @property
    def description(self) -> str:
        """What the text is."""
        if self.series:
            return f"a series of numbers, column {self.column} of {self.path}"
        by = "" if self.case is None else f", a sequence for each {self.case}"
        return f"events, column {self.column} of {self.path}{by}"

    @property
    def level(self) -> str:
        """The level that the text is meant for."""
        if self.series:
            return "series"
        return "symbols" if self.case is None else "whitespace"

    def read(self) -> Iterator[str]:
        """The text, in pieces.

        Raises LangmodelsError for a file that cannot be read, a missing column, and an entry of a
        series that is not a number.
        """
        if self.series:
            entries = self._numbers()
        elif self.case is None:
            entries = (event for event, _ in self._events())
        else:
            cases: dict[str, list[str]] = {}
            for event, case in self._events():
                cases.setdefault(case, []).append(event)
            entries = (" ".join(events) for events in cases.values())
        while batch := list(islice(entries, _BATCH)):
            yield "\n".join(batch) + "\n"

    def _events(self) -> Iterator[tuple[str, str]]:
        columns = [self.column] if self.case is None else [self.column, self.case]
        for _, cells in self._rows(columns):
            event = "_".join(cells[0].split())
            if event:
                yield event, cells[-1]

    def _numbers(self) -> Iterator[str]:
        missing = 0
        for number, (cell,) in self._rows([self.column]):
            if cell.lower() in _MISSING:
                missing += 1
                continue
            try:
                float(cell)
            except ValueError:
                if number == 1 and self.header is None:
                    continue
                raise LangmodelsError(
                    f"Row {number} of {self.path} has {cell[:40]!r} in column {self.column}, which "
                    "is not a number (write 1234.5, without commas)."
                ) from None
            yield cell
        if missing:
            warnings.warn(
                f"{missing} entries of column {self.column} in {self.path} are missing; they are "
                "left out, as if the numbers around them followed each other.",
                stacklevel=2,
            )

    def _rows(self, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
        """(row number, its cells in these columns), without the header and empty rows."""
        pieces = files.read_chunks(self.path, self.encoding, errors=self.errors)
        lines = (f"{line}\n" for line in lines_of(pieces))  # a cell may go on over line ends
        head = list(islice(lines, _SNIFFED_LINES))
        delimiter = self.delimiter or sniffed_delimiter(self.path, head)
        named = not all(map(_is_position, columns))
        wanted = [] if named else [int(column) - 1 for column in columns]
        for number, row in enumerate(csv_rows(chain(head, lines), delimiter, self.path), start=1):
            if number == 1 and (named or self.header):
                wanted = [self._find(column, row) for column in columns]
                continue
            if not any(row):
                continue
            if len(row) <= max(wanted):
                raise LangmodelsError(
                    f"Row {number} of {self.path} has {len(row)} columns; there is no column "
                    f"{max(wanted) + 1} in it."
                )
            yield number, [row[i].strip() for i in wanted]

    def _find(self, column: str, header: Sequence[str]) -> int:
        names = [name.strip() for name in header]
        if column in names:
            return names.index(column)
        if _is_position(column) and int(column) <= len(names):
            return int(column) - 1
        shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
        raise LangmodelsError(
            f"{self.path} has no column {column!r}; its first row has {shown[:500]}."
        )


def _is_position(column: str) -> bool:
    return re.fullmatch("[0-9]{1,6}", column) is not None


def parse_table(
    path: str, query: str, encoding: str, errors: str = "strict"
) -> tuple[Table, dict[str, Any]]:
    """The table that `path?query` describes, and the options of its tokenizer.

    The query is made of `name=value` parts with "&" or "," between them; %2C stands for a comma in
    a name. Raises UsageError for parts that it cannot have.
    """
    values = parse_query(query, _OPTIONS, path)
    if ("series" in values) == ("events" in values):
        raise UsageError(
            f"Say what to read from {path}: {path}?series=COLUMN for numbers, "
            f"{path}?events=COLUMN for symbols or {path}?text=COLUMN for texts."
        )
    series = "series" in values
    strangers = ("case",) if series else _SERIES_OPTIONS
    for name in strangers:
        if name in values:
            raise UsageError(f"{name} is not an option of {'series' if series else 'events'}.")
    column = values["series" if series else "events"]
    for name in (column, values.get("case", "1")):
        if not name or re.fullmatch("0+", name):
            raise UsageError("Columns have names, or numbers from 1 on.")
    delimiter = values.get("delimiter")
    if delimiter is not None:
        delimiter = delimiter_of(delimiter)
    header = truth(values["header"], "header") if "header" in values else None
    table = Table(path, encoding, errors, column, series, values.get("case"), header, delimiter)
    return table, series_options(values)


def delimiter_of(name: str) -> str:
    """The delimiter called `name`, or `name` itself if that is one character, else UsageError."""
    delimiter = DELIMITERS.get(name, name)
    if len(delimiter) != 1:
        raise UsageError(f"A delimiter is one character or one of {', '.join(DELIMITERS)}.")
    return delimiter


def series_options(values: Mapping[str, str]) -> dict[str, Any]:
    """The options of `SeriesTokenizer` among the parts of a query, parsed."""
    options: dict[str, Any] = {}
    if "bins" in values:
        try:
            options["bins"] = int(values["bins"])
        except ValueError:
            raise UsageError(f"bins must be a whole number, not {values['bins']!r}.") from None
    if "binning" in values:
        options["binning"] = values["binning"]
    if "differences" in values:
        options["differences"] = truth(values["differences"], "differences")
    return options


def take_series_options(name: str) -> tuple[str, dict[str, Any]]:
    """Split `path?query` into the name without options of `SeriesTokenizer`, and these."""
    path, _, query = name.partition("?")
    parts = re.split("[&,]", query) if query else []
    taken = [part for part in parts if part.partition("=")[0] in _SERIES_OPTIONS]
    kept = [part for part in parts if part not in taken]
    options = series_options(parse_query("&".join(taken), _SERIES_OPTIONS, path))
    return path + ("?" if kept else "") + "&".join(kept), options


def truth(value: str, name: str) -> bool:
    """Parse true/yes/1 or false/no/0 of an option `name`. Raises UsageError for anything else."""
    answers = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if value.lower() not in answers:
        raise UsageError(f"{name} must be true or false, not {value!r}.")
    return answers[value.lower()]
