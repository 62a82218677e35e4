"""Rows of delimited files, and the delimiter between their fields."""

import csv
from collections.abc import Iterable, Iterator, Sequence

from langmodels.errors import LangmodelsError
from langmodels.packed import without_compression


def csv_rows(lines: Iterable[str], delimiter: str, name: str) -> Iterator[list[str]]:
    """The rows of a delimited table; `lines` include their line ends, `name` is for messages.

    Raises LangmodelsError where it is no such table, and where a quotation mark that opens a field
    is never closed, so that the rest of the file would be one field.
    """
    row_lines: list[str] = []

    def noted() -> Iterator[str]:
        for line in lines:
            row_lines.append(line)
            yield line

    limit = csv.field_size_limit(1 << 30)
    last: list[str] = []
    number = 0
    try:
        for row in csv.reader(noted(), delimiter=delimiter):
            number += len(last)
            last = row_lines.copy()
            row_lines.clear()
            yield row
        for _ in csv.reader(last, delimiter=delimiter, strict=True):
            pass
    except csv.Error as error:
        if "unexpected end" in str(error):
            raise LangmodelsError(
                f"A quotation mark that opens a field in line {number + 1:,} of {name} is never "
                'closed; write "" for a mark that is meant, inside of quotes.'
            ) from error
        if not last or row_lines:
            raise LangmodelsError(f"{name} is not a delimited file: {error}.") from error
    finally:
        csv.field_size_limit(limit)


def sniffed_delimiter(path: str, lines: Sequence[str]) -> str:
    """The delimiter of a table: a tab by the file's name, else guessed from its first lines."""
    if without_compression(path).endswith((".tsv", ".tab")):
        return "\t"
    try:
        return csv.Sniffer().sniff("".join(lines), delimiters=",;\t|").delimiter
    except csv.Error:  # a single column has no delimiter
        return ","
