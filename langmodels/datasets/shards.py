"""Files of documents that are read in batches and written again, with new columns or fewer rows.

A document that cannot be read (not text, not JSON, or without text in its field) is left out; it
does not stop the others. These are written byte for byte as they were read, plus the new columns.
"""

import codecs
import importlib
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np

from langmodels.addresses import is_address
from langmodels.arrays import BoolArray
from langmodels.datasets.documents import (
    DocumentFormat,
    JSONLines,
    Parquet,
    PlainText,
    Request,
    format_of,
    open_parquet,
    text_field,
)
from langmodels.datasets.files import LIVE_CHUNK, explained
from langmodels.errors import LangmodelsError, UsageError
from langmodels.interchange import json_text
from langmodels.packed import as_it_comes, compressing, open_bytes, without_compression
from langmodels.streaming import gathered
from langmodels.text.lines import LONGEST_LINE

_BLOCK = 1 << 21  # bytes that are read together
_ROWS = 1 << 10  # rows of a table that are read together
_GROUP, _GROUP_BYTES = 1 << 16, 1 << 26  # rows or bytes of a group that is written


@dataclass(frozen=True)
class Batch:
    """Documents that were read together: n that have a text, and those that could not be read.

    `rows`: the n documents in the format's own form. `texts`: n texts. `numbers`: their n numbers
    in the file, counted from 1. `bad`: (number, reason) of each document that could not be read.
    """

    rows: Any
    texts: list[str]
    numbers: list[int]
    bad: list[tuple[int, str]]

    def column(self, name: str) -> list[Any]:
        """The values of a field of the n documents, None where one lacks it."""
        return [None] * len(self.texts)


@dataclass(frozen=True)
class _Objects(Batch):
    records: list[dict[str, Any]]

    def column(self, name: str) -> list[Any]:
        return [record.get(name) for record in self.records]


@dataclass(frozen=True)
class _Table(Batch):
    def column(self, name: str) -> list[Any]:
        if name not in self.rows.schema.names:
            return super().column(name)
        return list(self.rows.column(name).to_pylist())


Kinds = Mapping[str, type]
"""The type of each new column by name: float, int or str; values may also be None."""
Columns = Mapping[str, Sequence[Any]]
"""The values of each new column by name, one for each row that is written."""


class Shard(ABC):
    """A file of documents.

    `unit`: what a document is called in messages. `takes_columns`: whether the format has a place
    for new columns.
    """

    format: ClassVar[type[DocumentFormat]]
    unit: ClassVar[str]
    takes_columns: ClassVar[bool] = True

    def __init__(self, request: Request) -> None:
        self.request = request

    @abstractmethod
    def batches(self) -> Iterator[Batch]:
        """The documents in batches. Raises LangmodelsError for a file that cannot be read."""

    def settled(self) -> Request:
        """The request, with the name of the field that holds the text filled in."""
        return self.request

    @abstractmethod
    def writing(
        self, file: IO[bytes], name: str, columns: Kinds
    ) -> "AbstractContextManager[Writer]":
        """A context manager: the writer of this file's documents, with new columns, to `file`.

        `name` is that file's name, whose ending says how to compress it.
        """


class Writer(ABC):
    """Writes documents in a format."""

    @abstractmethod
    def write(self, batch: Batch, keep: BoolArray, columns: Columns) -> None:
        """Write the documents of a batch that `keep` (n,) marks, with columns added."""


class LineShard(Shard):
    """Plain text: every line that is not blank is a document; there is no place for columns."""

    format: ClassVar[type[DocumentFormat]] = PlainText
    unit = "line"
    takes_columns = False

    def batches(self) -> Iterator[Batch]:
        number = 1 if self.request.span is None else self.request.span[2]
        for lines in self._lines():
            yield self.batch(lines, number)
            number += len(lines)

    def batch(self, lines: list[bytes], first: int) -> Batch:
        """Parse consecutive lines; `first` is the number of the first one."""
        batch = Batch([], [], [], [])
        for number, line in enumerate(lines, start=first):
            if not line.strip():
                continue
            try:
                batch.texts.append(line.decode(self.request.encoding).removesuffix("\r"))
            except UnicodeDecodeError:
                batch.bad.append((number, f"is not {self.request.encoding} text"))
            else:
                batch.rows.append(line)
                batch.numbers.append(number)
        return batch

    @contextmanager
    def writing(self, file: IO[bytes], name: str, columns: Kinds) -> Iterator[Writer]:
        with compressing(file, name) as packed:
            yield LineWriter(packed, self)

    def written(self, batch: Batch, rows: list[int], columns: Columns) -> bytes:
        """The bytes of some documents of a batch, a line each, with new columns."""
        return b"".join(batch.rows[i] + b"\n" for i in rows)

    def _lines(self) -> Iterator[list[bytes]]:
        """The lines of the file, those that end in the same block together."""
        rest, first = b"", True
        for block in self._blocks():
            if first and (self.request.span or (0,))[0] == 0:
                block = block.removeprefix(codecs.BOM_UTF8)
            first = False
            *lines, rest = (rest + block).split(b"\n")
            if len(rest) > LONGEST_LINE:
                raise LangmodelsError(
                    f"A line of {self.request.name} has more than {LONGEST_LINE:,} bytes; is there "
                    "one document a line?"
                )
            yield lines
        if rest:
            yield [rest]

    def _blocks(self) -> Iterator[bytes]:
        request = self.request
        with explained(request.name), open_bytes(request.path) as file:
            if request.span is not None:
                begin, end, _ = request.span
                file.seek(begin)
                sizes = (min(_BLOCK, end - at) for at in range(begin, end, _BLOCK))
                yield from map(file.read, sizes)
                return
            size = LIVE_CHUNK if request.live else _BLOCK
            read = as_it_comes(file).read if request.live else file.read
            blocks = iter(lambda: read(size) if request.live else _filled(read, size), b"")
            if request.live:
                blocks = map(b"".join, gathered(blocks, len, _BLOCK))
            yield from blocks


def _filled(read: Callable[[int], bytes], size: int) -> bytes:
    """Read `size` bytes, or all that is left; a decompressor's `read` may return fewer."""
    parts: list[bytes] = []
    while size and (some := read(size)):
        parts.append(some)
        size -= len(some)
    return b"".join(parts)


class LineWriter(Writer):
    """Writes one document a line."""

    def __init__(self, file: IO[bytes], shard: LineShard) -> None:
        self._file, self._shard = file, shard

    def write(self, batch: Batch, keep: BoolArray, columns: Columns) -> None:
        self.append(self._shard.written(batch, np.flatnonzero(keep).tolist(), columns))

    def append(self, written: bytes) -> None:
        """Write bytes returned by `LineShard.written`."""
        self._file.write(written)


_DECODER = json.JSONDecoder()
_SCAN: Callable[[str, int], tuple[Any, int]] = _DECODER.scan_once  # type: ignore[attr-defined]


def _decoded_line(line: str) -> Any:
    """The JSON value of a line; skips the search for white space around it, if there is none."""
    try:
        value, end = _SCAN(line, 0)
    except StopIteration:
        return _DECODER.decode(line)
    return value if end == len(line) else _DECODER.decode(line)


class JSONShard(LineShard):
    """JSON lines: every line is an object, with the text in one of its fields."""

    format = JSONLines
    takes_columns = True

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._name = request.text
        if codecs.lookup(request.encoding).name not in ("utf-8", "utf-8-sig", "ascii"):
            raise UsageError("JSON lines are UTF-8; leave out --encoding.")

    def settled(self) -> Request:
        """See `Shard`."""
        if self._name is None:
            next(self.batches(), None)
        return replace(self.request, text=self._name)

    def batch(self, lines: list[bytes], first: int) -> Batch:
        """See `LineShard`."""
        found: list[tuple[int, bytes, dict[str, Any]]] = []
        bad: list[tuple[int, str]] = []
        for number, line in enumerate(lines, start=first):
            try:
                record = _decoded_line(line.decode())
            except UnicodeDecodeError:
                bad.append((number, "is not UTF-8 text"))
            except (ValueError, RecursionError):
                if line.strip():
                    bad.append((number, "is no JSON value"))
            else:
                if isinstance(record, dict):
                    found.append((number, line, record))
                else:
                    bad.append((number, "is no JSON object"))
        if self._name is None and found:
            self._name = text_field([record for *_, record in found], self.request)
        batch = _Objects([], [], [], bad, [])
        for number, line, record in found:
            text = record.get(self._name or "")
            if isinstance(text, str):
                batch.rows.append(line)
                batch.texts.append(text)
                batch.numbers.append(number)
                batch.records.append(record)
            else:
                bad.append((number, f"has no text in the field {self._name!r}"))
        return batch

    def written(self, batch: Batch, rows: list[int], columns: Columns) -> bytes:
        """The objects as they were, with new fields, which replace old ones of the same names."""
        if not columns or not isinstance(batch, _Objects):
            return super().written(batch, rows, columns)
        beginnings = [_open_object(batch.rows[i], batch.records[i], columns) for i in rows]
        names = (json_text(name).replace("%", "%%") for name in columns)
        line = b"%s" + ", ".join(f"{name}: %s" for name in names).encode() + b"}\n"
        values = zip(beginnings, *map(_as_json, columns.values()), strict=True)
        return line * len(rows) % tuple(chain.from_iterable(values))


def _open_object(row: bytes, record: dict[str, Any], columns: Columns) -> bytes:
    """An object as it was written, up to where new fields go, without old ones of their names."""
    if not columns.keys().isdisjoint(record):
        rest = {name: value for name, value in record.items() if name not in columns}
        row = json.dumps(rest, ensure_ascii=False).encode("utf-8", "surrogatepass")
    inside = row[: row.rindex(b"}")].rstrip()
    return inside if inside.endswith(b"{") else inside + b", "


def _as_json(values: Sequence[Any]) -> list[bytes]:
    """Each value as JSON; numbers are encoded in one call, which is faster."""
    with suppress(ValueError):  # raised for NaN and infinity, which `json_text` writes
        together = json.dumps(values, allow_nan=False)
        if '"' not in together:
            return together[1:-1].encode().split(b", ") if values else []
    return [json_text(value).encode() for value in values]


class ParquetShard(Shard):
    """A table in the Apache Parquet format; a row is a document."""

    format = Parquet
    unit = "row"

    def batches(self) -> Iterator[Batch]:
        number = 1
        with open_parquet(self.request) as file:
            names = file.schema_arrow.names
            name = self.request.text
            for rows in file.iter_batches(batch_size=_ROWS):
                if name is None:
                    name = "text" if "text" in names else text_field(_sample(rows), self.request)
                if name not in names:
                    raise LangmodelsError(
                        f"{self.request.name} has no field {name!r}; its fields are "
                        f"{', '.join(names)[:500]}."
                    )
                yield _parquet_batch(rows, name, number)
                number += rows.num_rows

    @contextmanager
    def writing(self, file: IO[bytes], name: str, columns: Kinds) -> Iterator[Writer]:
        with open_parquet(self.request) as source:
            groups = source.metadata.num_row_groups
            first = source.metadata.row_group(0) if groups else None
            packed = first.column(0).compression if first and first.num_columns else "SNAPPY"
            packed = "NONE" if packed == "UNCOMPRESSED" else packed
            writer = _ParquetWriter(file, source.schema_arrow, packed, columns)
        try:
            yield writer
            writer.close()
        finally:
            writer.abandon()


def _sample(rows: Any) -> list[Mapping[str, Any]]:
    return list(rows.slice(0, 50).to_pylist())


def _parquet_batch(rows: Any, name: str, first: int) -> Batch:
    column = rows.column(name)
    try:
        values = column.to_pylist()
    except UnicodeDecodeError:
        values = [_decoded(value) for value in column]
    texts: list[str] = []
    numbers: list[int] = []
    bad: list[tuple[int, str]] = []
    for number, value in enumerate(values, start=first):
        if isinstance(value, str):
            texts.append(value)
            numbers.append(number)
        elif isinstance(value, UnicodeDecodeError):
            bad.append((number, "is not UTF-8 text"))
        else:
            bad.append((number, f"has no text in the field {name!r}"))
    if bad:
        rows = rows.take(importlib.import_module("pyarrow").array([n - first for n in numbers]))
    return _Table(rows, texts, numbers, bad)


def _decoded(value: Any) -> Any:
    try:
        return value.as_py()
    except UnicodeDecodeError as error:
        return error


class _ParquetWriter(Writer):
    def __init__(self, file: IO[bytes], schema: Any, compression: str, columns: Kinds) -> None:
        self._arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
        types = {float: self._arrow.float64(), int: self._arrow.int64(), str: self._arrow.string()}
        kept = [field for field in schema if field.name not in columns]
        new = [self._arrow.field(name, types[kind]) for name, kind in columns.items()]
        self._kept = [schema.get_field_index(field.name) for field in kept]
        self._schema = self._arrow.schema([*kept, *new], metadata=schema.metadata)
        self._writer = parquet.ParquetWriter(file, self._schema, compression=compression)
        self._held: list[Any] = []
        self._rows = 0

    def write(self, batch: Batch, keep: BoolArray, columns: Columns) -> None:
        rows = batch.rows if keep.all() else batch.rows.filter(self._arrow.array(keep))
        arrays = [rows.column(i) for i in self._kept]
        for values, field in zip(columns.values(), list(self._schema)[len(arrays) :], strict=True):
            arrays.append(self._arrow.array(values, field.type))
        self._held.append(self._arrow.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._rows += rows.num_rows
        if self._rows >= _GROUP or sum(held.nbytes for held in self._held) >= _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._arrow.Table.from_batches(self._held))
        self._held, self._rows = [], 0

    def close(self) -> None:
        """Write the rows that are left, and the end of the file."""
        self._flush()
        self._writer.close()

    def abandon(self) -> None:
        """Keep pyarrow from completing an unfinished file when the writer is deleted."""
        self._writer.is_open = False


_SHARDS: dict[type[DocumentFormat], type[Shard]] = {
    kind.format: kind for kind in (LineShard, JSONShard, ParquetShard)
}


def holds_documents(request: Request) -> bool:
    """Whether a file holds documents with fields, in a format that can be written."""
    kind = _SHARDS.get(type(format_of(request)))
    return kind is not None and kind.takes_columns


def may_be_cut(request: Request, least: int) -> bool:
    """Whether a file seems to be a plain local one of lines, with at least 2 * `least` bytes."""
    name = request.path
    if is_address(name) or without_compression(name) != name.lower() or not Path(name).is_file():
        return False
    if Path(name).stat().st_size < 2 * least:
        return False
    return issubclass(_SHARDS.get(type(format_of(request)), Shard), LineShard)


def stretches(request: Request, most: int, least: int) -> list[tuple[int, int, int]]:
    """Cut a file into at most `most` stretches of whole lines, given as `Request.span`.

    Each has about `least` bytes or more. Empty for a file that is compressed, remote, too small, or
    not made of lines.
    """
    if not may_be_cut(request, least):
        return []
    name = request.path
    size = Path(name).stat().st_size
    n = min(most, size // least)
    with open_bytes(name) as file:
        if not isinstance(file, io.BufferedReader):  # it is compressed, whatever its name says
            return []
        bounds = [0]
        for k in range(1, n):
            file.seek(k * size // n)
            file.readline(LONGEST_LINE)
            bounds.append(max(file.tell(), bounds[-1]))
        found, number = [], 1
        for begin, end in pairwise([*bounds, size]):
            if begin < end:
                found.append((begin, end, number))
            file.seek(begin)
            blocks = (min(_BLOCK, end - at) for at in range(begin, end, _BLOCK))
            number += sum(file.read(amount).count(b"\n") for amount in blocks)
    return found


def shard_of(request: Request) -> Shard:
    """A file as a shard. Raises UsageError for a format that cannot be written."""
    kind = type(format_of(request))
    if kind not in _SHARDS:
        raise UsageError(
            f"{request.name} has a format that cannot be written; use JSON lines, Parquet or plain "
            "text."
        )
    return _SHARDS[kind](request)
