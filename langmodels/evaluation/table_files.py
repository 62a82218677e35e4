"""Writing tables of columns to files, a batch of rows at a time."""

import csv
import importlib
import io
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import PurePath
from typing import IO, Any

from langmodels.errors import LangmodelsError, UsageError
from langmodels.interchange import json_text, jsonable
from langmodels.storage import atomic_write

ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet")
_GROUP = 1 << 20  # rows per group in Parquet, the library's default

Columns = Mapping[str, list[Any]]
"""Columns of equal length by name."""


def records(columns: Columns) -> list[dict[str, Any]]:
    """The rows as dictionaries."""
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def table_text(columns: Columns, ending: str, *, header: bool = True) -> str:
    """Rows as .csv, .tsv or .jsonl text, with a header if the format has one and `header` is
    true.
    """
    if ending == ".jsonl":
        return "".join(f"{json_text(record)}\n" for record in records(columns))
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t" if ending == ".tsv" else ",", lineterminator="\n")
    if header:
        writer.writerow(columns)
    writer.writerows(zip(*map(_cells, columns.values()), strict=True))
    return out.getvalue()


def _cells(column: list[Any]) -> list[Any]:
    """The cells of a column for CSV: "Infinity" for infinite numbers, empty for None."""
    return [jsonable(value) if isinstance(value, float) else value for value in column]


def save_table(
    path: str, parts: Iterable[Columns], examples: Mapping[str, list[Any]] | None = None
) -> None:
    """Write a table that comes in parts, in the format of the path's suffix.

    `examples` holds for each column a value of each type that it may have; by default the first
    part shows all. Raises UsageError for a suffix not in `ENDINGS`, LangmodelsError if pyarrow is
    needed and missing.
    """
    ending = check_ending(path)
    with atomic_write(path) as file:
        if ending == ".parquet":
            _write_parquet(file, iter(parts), examples)
            return
        for i, part in enumerate(parts):
            text = table_text(part, ending, header=i == 0)
            file.write(text.encode("utf-8", "surrogatepass"))


def _write_parquet(
    file: IO[bytes], parts: Iterator[Columns], examples: Mapping[str, list[Any]] | None
) -> None:
    arrow, parquet = parquet_library()
    first = next(parts)
    columns = first if examples is None else examples
    schema = arrow.schema([(name, arrow.array(some).type) for name, some in columns.items()])
    with parquet.ParquetWriter(file, schema) as writer:
        held: list[Any] = []
        for part in chain([first], parts):
            held.append(arrow.table(dict(part), schema=schema))
            while sum(map(len, held)) >= _GROUP:
                table = arrow.concat_tables(held)
                writer.write_table(table.slice(0, _GROUP).combine_chunks())
                held = [table.slice(_GROUP)]
        if sum(map(len, held)):
            writer.write_table(arrow.concat_tables(held).combine_chunks())


def check_ending(path: str) -> str:
    """The suffix of a table's path. Raises UsageError if it is not in `ENDINGS`."""
    ending = PurePath(path).suffix.lower()
    if ending not in ENDINGS:
        raise UsageError(f"The name of a table must end in {', '.join(ENDINGS)}; {path} does not.")
    return ending


def parquet_library() -> tuple[Any, Any]:
    """The modules pyarrow and pyarrow.parquet. Raises LangmodelsError if the package is missing."""
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise LangmodelsError(
            "Parquet files need the package pyarrow: pip install 'langmodels[documents]'."
        ) from None
