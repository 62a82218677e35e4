"""Documents: texts with an identity, as files of several formats hold them.

A format is a class in `FORMATS`. It is chosen by the ending of a file's name, before that of a
compression; for a name with `?text=FIELD` and no such ending, by how the file begins.
"""

import csv
import importlib
import json
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice, zip_longest
from typing import Any, ClassVar

from langmodels.addresses import is_address, open_to_read
from langmodels.datasets.fasta import FASTA_ENDINGS, fasta_lines
from langmodels.datasets.files import CHUNK, LIVE_CHUNK, explained, read_chunks, shown_name
from langmodels.datasets.rows import csv_rows
from langmodels.errors import LangmodelsError, UsageError
from langmodels.names import Registry
from langmodels.packed import STANDARD_INPUT, without_compression
from langmodels.text.lines import in_parts, lines_of, parted
from langmodels.text.streams import TextStream

PART = 1 << 18
"""Characters of a part of a long document, about."""

_SAMPLE = 50  # records by which the field that holds the text is found


@dataclass(frozen=True)
class Document:
    """A text, what it is called, and whatever else was said of it."""

    text: str
    id: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """What is read of a file: `text` and `id` name fields, None for what the format finds.

    With `live` the text of a pipe is given as it comes. `span`: of a plain file of lines, the bytes
    where a stretch of whole lines begins and ends, and the number of the first one.
    """

    path: str
    encoding: str = "utf-8"
    errors: str = "strict"
    text: str | None = None
    id: str | None = None
    delimiter: str | None = None
    live: bool = False
    span: tuple[int, int, int] | None = None

    @property
    def name(self) -> str:
        """The file in messages."""
        return shown_name(self.path)

    def chunks(self) -> Iterator[str]:
        """The file as it is."""
        chunk = LIVE_CHUNK if self.live else CHUNK
        return read_chunks(self.path, self.encoding, chunk, errors=self.errors, live=self.live)


class DocumentFormat(ABC):
    """A way in which a file holds documents.

    `endings` are those of the names of such files, in small letters. `level` and `options` are
    those of the tokenizer that their texts are made for, if any.
    """

    endings: ClassVar[tuple[str, ...]]
    level: ClassVar[str | None] = None
    options: ClassVar[Mapping[str, Any]] = {}

    @abstractmethod
    def documents(self, request: Request) -> Iterator[Document]:
        """The documents of a file, read as they are asked for."""

    def parts(self, request: Request) -> Iterator[tuple[Document, bool]]:
        """The same, long ones in parts of some lines; with each, whether it begins a document."""
        return ((document, True) for document in self.documents(request))

    def open(self, request: Request) -> TextStream:
        """Their texts in pieces, without what else is said of them."""
        return TextStream.of_documents(document.text for document in self.documents(request))


class PlainText(DocumentFormat):
    """The whole file is one document."""

    endings = (".txt",)

    def documents(self, request: Request) -> Iterator[Document]:
        yield Document("".join(parted(self._chunks(request))), request.path)

    def parts(self, request: Request) -> Iterator[tuple[Document, bool]]:
        begins = True
        for text in in_parts(parted(self._chunks(request)), PART):
            yield Document(text, request.path), begins
            begins = False
        if begins:
            yield Document("", request.path), True

    def open(self, request: Request) -> TextStream:
        return TextStream.of_one(self._chunks(request))

    def _chunks(self, request: Request) -> Iterator[str]:
        first = True
        for chunk in request.chunks():
            if first:
                _warn_of_json(chunk, request)
                _warn_of_columns(chunk, request)
                first = False
            yield chunk


class Fasta(DocumentFormat):
    """Records of nucleotides or residues: one a line."""

    endings = FASTA_ENDINGS
    level = "symbols"
    options: ClassVar[Mapping[str, Any]] = {"width": 1, "lines": True}

    def documents(self, request: Request) -> Iterator[Document]:
        for i, line in enumerate(lines_of(fasta_lines(request.chunks()), limited=False), start=1):
            yield Document(line, f"{request.path}:{i}")

    def open(self, request: Request) -> TextStream:
        lines: list[int] = []

        def pieces() -> Iterator[str]:
            for piece in fasta_lines(request.chunks()):
                lines.extend([1] * piece.count("\n"))
                yield piece

        return TextStream(pieces(), lines)


class Records(DocumentFormat):
    """Formats of records with named fields, one of which holds the text."""

    @abstractmethod
    def records(
        self, request: Request, fields: tuple[str, ...] | None = None
    ) -> Iterator[Mapping[str, Any]]:
        """The records, or of each only some fields where that is less work."""

    def documents(self, request: Request) -> Iterator[Document]:
        name, records = self._opened(request, None)
        for i, record, text in self._with_text(records, name, request):
            where = f"{request.path}:{i}" if request.id is None else record.get(request.id)
            rest = {key: value for key, value in record.items() if key != name}
            yield Document(text, str(where), rest)

    def open(self, request: Request) -> TextStream:
        def texts() -> Iterator[str]:
            fields = None if request.text is None else (request.text,)
            name, records = self._opened(request, fields)
            for _, _, text in self._with_text(records, name, request):
                yield text

        return TextStream.of_documents(texts())

    def _opened(
        self, request: Request, fields: tuple[str, ...] | None
    ) -> tuple[str, Iterator[Mapping[str, Any]]]:
        """The field that holds the text, asked for or the only one that can, and the records."""
        records = self.records(request, fields)
        if request.text is not None:
            return request.text, records
        sample = list(islice(records, _SAMPLE))
        return text_field(sample, request), chain(sample, records)

    def _with_text(
        self, records: Iterator[Mapping[str, Any]], name: str, request: Request
    ) -> Iterator[tuple[int, Mapping[str, Any], str]]:
        """Number, record and text of those that have some."""
        missing = 0
        first: Mapping[str, Any] | None = None
        known = False  # whether a record has that field at all
        for i, record in enumerate(records, start=1):
            first = record if first is None else first
            known = known or name in record
            text = record.get(name)
            if isinstance(text, str):
                yield i, record, text
                continue
            if text is not None:
                kind = type(text).__name__
                raise LangmodelsError(
                    f"Record {i} of {request.name} has a {kind} in the field {name!r}, not text."
                )
            missing += 1
            if i == _SAMPLE and not known:
                break
        if first is not None and not known:
            raise LangmodelsError(
                f"{request.name} has no field {name!r}; its fields are {', '.join(first)[:500]}."
            )
        if missing:
            warnings.warn(
                f"{missing:,} records of {request.name} have no text in the field {name!r}; they "
                "are left out.",
                stacklevel=2,
            )


def text_field(sample: Sequence[Mapping[str, Any]], request: Request) -> str:
    """The field that holds the text of some records: "text", or the only one that can.

    Raises UsageError where there is no such field.
    """
    if any(isinstance(record.get("text"), str) for record in sample):
        return "text"
    kept = [key for key in _fields(sample) if _is_prose([r.get(key) for r in sample])]
    if len(kept) != 1:
        shown = ", ".join(_fields(sample)[:20]) or "none"
        raise UsageError(
            f"Say which field of {request.name} holds the text: {request.path}?text=FIELD; "
            f"its fields are {shown}."
        )
    return kept[0]


def _fields(records: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(chain.from_iterable(records)))


def _is_prose(values: list[Any]) -> bool:
    """Whether a field holds texts: strings, and mostly of more than one word."""
    texts = [value for value in values if value is not None]
    if not texts or not all(isinstance(value, str) for value in texts):
        return False
    return sum(len(value.split()) > 1 for value in texts) > len(texts) / 2


class JSONLines(Records):
    """One JSON object a line."""

    endings = (".jsonl", ".ndjson", ".jsonlines", ".json")

    def records(
        self, request: Request, fields: tuple[str, ...] | None = None
    ) -> Iterator[Mapping[str, Any]]:
        read = json.JSONDecoder().decode
        for i, line in enumerate(lines_of(request.chunks()), start=1):
            try:
                record = read(line)
            except (ValueError, RecursionError) as error:
                if not line.strip():
                    continue
                hint = (
                    "; of a file that is one JSON value, put each document on a line of its own"
                    if line.strip() in ("[", "{")
                    else ""
                )
                raise LangmodelsError(
                    f"Line {i} of {request.name} is no JSON value ({error}){hint}."
                ) from error
            if not isinstance(record, dict):
                raise LangmodelsError(
                    f"Line {i} of {request.name} is no JSON object; one document a line is read, "
                    'such as {"text": "..."}.'
                )
            yield record


class Delimited(Records):
    """Rows of a table whose first row names the columns."""

    endings = (".csv", ".tsv", ".tab")

    def records(
        self, request: Request, fields: tuple[str, ...] | None = None
    ) -> Iterator[Mapping[str, Any]]:
        lines = (f"{line}\n" for line in lines_of(request.chunks()))
        head = list(islice(lines, _SAMPLE))
        delimiter = request.delimiter or _sniffed(request.path, head)
        rows = csv_rows(chain(head, lines), delimiter, request.name)
        names = next(rows, [])
        longer = 0
        for row in rows:
            if row:
                longer += len(row) > len(names)
                yield dict(zip_longest(names, row[: len(names)]))
        if longer:
            warnings.warn(
                f"{longer:,} rows of {request.name} have more fields than the first row has names; "
                f"the rest of them is left out. Is the delimiter {delimiter!r}, and are texts with "
                "one in them in quotes?",
                stacklevel=2,
            )


def _sniffed(path: str, lines: list[str]) -> str:
    if without_compression(path).endswith((".tsv", ".tab")):
        return "\t"
    try:
        return csv.Sniffer().sniff("".join(lines[:1]), delimiters=",;\t|").delimiter
    except csv.Error:  # a single column has no delimiter
        return ","


class Parquet(Records):
    """A table in Apache Parquet's format, read a batch of rows at a time."""

    endings = (".parquet", ".pq")

    def records(
        self, request: Request, fields: tuple[str, ...] | None = None
    ) -> Iterator[Mapping[str, Any]]:
        with open_parquet(request) as file:
            known = [column.name for column in file.schema_arrow]
            wanted = known if fields is None else [f for f in fields if f in known]
            if not wanted:
                raise LangmodelsError(
                    f"{request.name} has no field {', '.join(fields or ())!r}; its fields are "
                    f"{', '.join(known)[:500]}."
                )
            for batch in file.iter_batches(batch_size=1024, columns=wanted):
                yield from batch.to_pylist()


@contextmanager
def open_parquet(request: Request) -> Iterator[Any]:
    """A Parquet file as pyarrow's ParquetFile.

    Raises LangmodelsError without that package, and where the file cannot be read or is damaged.
    """
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise LangmodelsError(
            "Parquet files need the package pyarrow: pip install langmodels[documents]."
        ) from None
    if request.path == STANDARD_INPUT:
        raise UsageError("A Parquet file cannot be read from standard input; give its name.")
    arrow: Any = importlib.import_module("pyarrow")
    with explained(request.name):
        try:
            with (
                open_to_read(request.path) as opened,
                parquet.ParquetFile(opened if is_address(request.path) else request.path) as file,
            ):
                yield file
        except (arrow.ArrowException, OSError, ValueError, OverflowError) as error:
            if getattr(error, "errno", None) or isinstance(error, LangmodelsError):
                raise
            raise LangmodelsError(
                f"{request.name} is not a sound Parquet file: {str(error).splitlines()[0]}"
            ) from error


FORMATS: Registry[type[DocumentFormat]] = Registry(
    "document format",
    {
        "text": PlainText,
        "json-lines": JSONLines,
        "table": Delimited,
        "parquet": Parquet,
        "fasta": Fasta,
    },
    group="langmodels.document_formats",
)
"""What files are read as, by the endings of their names."""


def format_by_name(path: str) -> DocumentFormat:
    """The format that a file's name promises, plain text where it promises none."""
    name = without_compression(path)
    known = (kind for _, kind in FORMATS.working() if name.endswith(kind.endings))
    return next(known, PlainText)()


def format_of(request: Request) -> DocumentFormat:
    """The format of a file, of which a little is read where its name does not tell.

    Delimited tables of which no field is asked for are read as the text that they are.
    """
    known = format_by_name(request.path)
    if request.text is None:
        return PlainText() if isinstance(known, Delimited) else known
    if isinstance(known, Records):
        return known
    if request.path == STANDARD_INPUT:
        return JSONLines()
    start = next(request.chunks(), "")
    return JSONLines() if start.lstrip().startswith("{") else Delimited()


def _warn_of_json(start: str, request: Request) -> None:
    """JSON lines read as prose are a mistake, as a rule."""
    lines = [line for line in start[:100_000].split("\n")[:4] if line.strip()][:3]
    whole = lines[:-1] if len(lines) > 1 else lines
    try:
        records = [json.loads(line) for line in whole]
    except (ValueError, RecursionError):
        return
    if records and all(isinstance(record, dict) and record for record in records):
        warnings.warn(
            f"{request.name} holds JSON lines and is read as plain text; to read a field of them, "
            f"say {request.path}?text=FIELD (fields: {', '.join(_fields(records))[:200]}).",
            stacklevel=2,
        )


def _warn_of_columns(start: str, request: Request) -> None:
    """So are the commas and the names of columns of a table that has several."""
    if columns := _columns(start, request):
        warnings.warn(
            f"{request.name} is a table and is read as plain text; to read a column of it, say "
            f"{request.path}?text=COLUMN (columns: {', '.join(columns)[:200]}).",
            stacklevel=2,
        )


def warn_of_rows(request: Request) -> None:
    """Warn where each line of a table would be a document, its first one too."""
    if isinstance(format_by_name(request.path), Delimited) and _columns(
        next(request.chunks(), ""), request
    ):
        warnings.warn(
            f"{request.name} is a table and is read as plain text, in which each line is a "
            "document, that with the names of columns too; make JSON lines or Parquet of it.",
            stacklevel=2,
        )


def _columns(start: str, request: Request) -> list[str]:
    """The names of the columns of a table that has several; none of what is no table."""
    if not isinstance(format_by_name(request.path), Delimited):
        return []
    head, _, rest = start.partition("\n")
    columns = next(csv.reader([head], delimiter=_sniffed(request.path, [head])), [])
    words = [column for column in columns if column.strip() and not _is_number(column)]
    return columns if len(columns) > 1 and words == columns and rest else []


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
