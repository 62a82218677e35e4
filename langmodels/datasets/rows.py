"""Rows of delimited files, as far as quotation marks let them be read."""

import csv
from collections.abc import Iterable, Iterator

from langmodels.errors import LangmodelsError


def csv_rows(lines: Iterable[str], delimiter: str, name: str) -> Iterator[list[str]]:
    """The rows of a table, whose lines come with their ends; `name` is for messages.

    Raises LangmodelsError where it is none, and where a quotation mark that opens a field is never
    closed, so that all that comes after it would be that field.
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
