"""Files of documents that are read in batches and written again, with columns added or fewer rows.

A document that cannot be read (bytes that are no text, no JSON, no text in its field) costs itself
alone. What is written of another is what was read, byte for byte, and the new columns.
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
    """Documents that were read together: n that have a text, and those that have none.

    `rows`: the documents as the format has them. `texts` (n,). `numbers` (n,): counted from 1 in
    the file. `bad`: number and reason of each of the others.
    """

    rows: Any
    texts: list[str]
    numbers: list[int]
    bad: list[tuple[int, str]]

    def column(self, name: str) -> list[Any]:
        """A field of each document, None where it has none, (n,)."""
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
"""New columns by name: of what type their values are (float, int or str), which may be None."""
Columns = Mapping[str, Sequence[Any]]
"""Their values, one for each row that is written."""


class Shard(ABC):
    """A file of documents, which are `unit`s of it. `takes_columns`: whether it has any."""

    format: ClassVar[type[DocumentFormat]]
    unit: ClassVar[str]
    takes_columns: ClassVar[bool] = True

    def __init__(self, request: Request) -> None:
        self.request = request

    @abstractmethod
    def batches(self) -> Iterator[Batch]:
        """The documents. Raises LangmodelsError for a file that cannot be read."""

    def settled(self) -> Request:
        """The request, with the name of the field that holds the text where it is found."""
        return self.request

    @abstractmethod
    def writing(
        self, file: IO[bytes], name: str, columns: Kinds
    ) -> "AbstractContextManager[Writer]":
        """What writes documents of this file, with new columns, to another called `name`."""


class Writer(ABC):
    """Writes documents in a format."""

    @abstractmethod
    def write(self, batch: Batch, keep: BoolArray, columns: Columns) -> None:
        """Write those of a batch that are kept, (n,), with columns added."""


class LineShard(Shard):
    """Plain text: a line is a document, blank ones are none. There is no place for columns."""

    format: ClassVar[type[DocumentFormat]] = PlainText
    unit = "line"
    takes_columns = False

    def batches(self) -> Iterator[Batch]:
        number = 1 if self.request.span is None else self.request.span[2]
        for lines in self._lines():
            yield self.batch(lines, number)
            number += len(lines)

    def batch(self, lines: list[bytes], first: int) -> Batch:
        """Some lines, of which the first has this number."""
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
        """Some documents of a batch, a line each, with new columns."""
        return b"".join(batch.rows[i] + b"\n" for i in rows)

    def _lines(self) -> Iterator[list[bytes]]:
        """The lines of the file, those of a block together."""
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
    """So many bytes, or what is left: those who unpack may give less at a time."""
    parts: list[bytes] = []
    while size and (some := read(size)):
        parts.append(some)
        size -= len(some)
    return b"".join(parts)


class LineWriter(Writer):
    """Writes a line a document."""

    def __init__(self, file: IO[bytes], shard: LineShard) -> None:
        self._file, self._shard = file, shard

    def write(self, batch: Batch, keep: BoolArray, columns: Columns) -> None:
        self.append(self._shard.written(batch, np.flatnonzero(keep).tolist(), columns))

    def append(self, written: bytes) -> None:
        """Write what `LineShard.written` gave."""
        self._file.write(written)


_DECODER = json.JSONDecoder()
_SCAN: Callable[[str, int], tuple[Any, int]] = _DECODER.scan_once  # type: ignore[attr-defined]


def _decoded_line(line: str) -> Any:
    """The JSON value of a line, as the decoder has it, which looks for blanks at either end."""
    try:
        value, end = _SCAN(line, 0)
    except StopIteration:
        return _DECODER.decode(line)
    return value if end == len(line) else _DECODER.decode(line)


class JSONShard(LineShard):
    """One JSON object a line."""

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
        """The objects as they were, with new fields; earlier ones of these names go."""
        if not columns or not isinstance(batch, _Objects):
            return super().written(batch, rows, columns)
        beginnings = [_open_object(batch.rows[i], batch.records[i], columns) for i in rows]
        names = (json_text(name).replace("%", "%%") for name in columns)
        line = b"%s" + ", ".join(f"{name}: %s" for name in names).encode() + b"}\n"
        values = zip(beginnings, *map(_as_json, columns.values()), strict=True)
        return line * len(rows) % tuple(chain.from_iterable(values))


def _open_object(row: bytes, record: dict[str, Any], columns: Columns) -> bytes:
    """An object as it was written, without its end and without fields of these names."""
    if not columns.keys().isdisjoint(record):
        rest = {name: value for name, value in record.items() if name not in columns}
        row = json.dumps(rest, ensure_ascii=False).encode("utf-8", "surrogatepass")
    inside = row[: row.rindex(b"}")].rstrip()
    return inside if inside.endswith(b"{") else inside + b", "


def _as_json(values: Sequence[Any]) -> list[bytes]:
    with suppress(ValueError):  # of numbers that JSON has not
        together = json.dumps(values, allow_nan=False)
        if '"' not in together:
            return together[1:-1].encode().split(b", ") if values else []
    return [json_text(value).encode() for value in values]


class ParquetShard(Shard):
    """A table in Apache Parquet's format."""

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
        """Write what is left, and the end of the file."""
        self._flush()
        self._writer.close()

    def abandon(self) -> None:
        """Have the package not end the file when it throws the writer away."""
        self._writer.is_open = False


_SHARDS: dict[type[DocumentFormat], type[Shard]] = {
    kind.format: kind for kind in (LineShard, JSONShard, ParquetShard)
}


def holds_documents(request: Request) -> bool:
    """Whether a file is one of documents with fields that can be written again."""
    kind = _SHARDS.get(type(format_of(request)))
    return kind is not None and kind.takes_columns


def may_be_cut(request: Request, least: int) -> bool:
    """Whether a file looks as if it could be cut into stretches of so many bytes."""
    name = request.path
    if is_address(name) or without_compression(name) != name.lower() or not Path(name).is_file():
        return False
    if Path(name).stat().st_size < 2 * least:
        return False
    return issubclass(_SHARDS.get(type(format_of(request)), Shard), LineShard)


def stretches(request: Request, most: int, least: int) -> list[tuple[int, int, int]]:
    """A file of lines cut into at most so many stretches of whole lines, see `Request.span`.

    Each has at least so many bytes, about. There is none for a file that is packed, lives in a
    store, or is no file of lines.
    """
    if not may_be_cut(request, least):
        return []
    name = request.path
    size = Path(name).stat().st_size
    n = min(most, size // least)
    with open_bytes(name) as file:
        if not isinstance(file, io.BufferedReader):  # it is packed, whatever its name says
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
    """A file as a shard. Raises UsageError for a format that is not written again."""
    kind = type(format_of(request))
    if kind not in _SHARDS:
        raise UsageError(
            f"{request.name} has a format that is not written again; use JSON lines, Parquet or "
            "plain text."
        )
    return _SHARDS[kind](request)
