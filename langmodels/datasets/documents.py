"""Documents: texts with an id and other fields, in files of several formats.

A format is a class in `FORMATS`. It is chosen by the ending of the file's name (leaving out that of
a compression) or, for a name with `?text=FIELD` and no known ending, by how the file begins.
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
from langmodels.datasets.rows import csv_rows, sniffed_delimiter
from langmodels.errors import LangmodelsError, UsageError
from langmodels.names import Registry
from langmodels.packed import STANDARD_INPUT, without_compression
from langmodels.text.lines import in_parts, lines_of, parted
from langmodels.text.series import is_number
from langmodels.text.streams import TextStream

PART = 1 << 18
"""About how many characters the parts of a long document have."""

_SAMPLE = 50  # records that are looked at to find the field with the text


@dataclass(frozen=True)
class Document:
    """A text with its id and the other fields of its record."""

    text: str
    id: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """A file to read documents from, and how.

    `text` and `id`: the fields that hold them; None leaves it to the format. `live`: give out the
    text of a pipe as it comes. `span`: read only the lines between two byte offsets of a plain
    file, given as (begin, end, number of the first line).
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
        """What the file is called in messages."""
        return shown_name(self.path)

    def chunks(self) -> Iterator[str]:
        """The decoded text of the whole file, in pieces."""
        chunk = LIVE_CHUNK if self.live else CHUNK
        return read_chunks(self.path, self.encoding, chunk, errors=self.errors, live=self.live)


class DocumentFormat(ABC):
    """A file format that holds documents.

    `endings`: how the names of such files end, in lower case. `level` and `options`: the tokenizer
    that such texts are meant for, if any.
    """

    endings: ClassVar[tuple[str, ...]]
    level: ClassVar[str | None] = None
    options: ClassVar[Mapping[str, Any]] = {}

    @abstractmethod
    def documents(self, request: Request) -> Iterator[Document]:
        """The documents of a file, read lazily."""

    def parts(self, request: Request) -> Iterator[tuple[Document, bool]]:
        """(part, whether it begins a document); long documents are cut into runs of lines."""
        return ((document, True) for document in self.documents(request))

    def open(self, request: Request) -> TextStream:
        """The texts of the documents as a stream, without their other fields."""
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
    """Records of nucleotides or residues; each is a document of one line."""

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
    """Base of formats whose records have named fields, one of which holds the text."""

    @abstractmethod
    def records(
        self, request: Request, fields: tuple[str, ...] | None = None
    ) -> Iterator[Mapping[str, Any]]:
        """The records of a file; where it saves work, only these fields of each."""

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
        """The name of the field with the text, as requested or found, and the records."""
        records = self.records(request, fields)
        if request.text is not None:
            return request.text, records
        sample = list(islice(records, _SAMPLE))
        return text_field(sample, request), chain(sample, records)

    def _with_text(
        self, records: Iterator[Mapping[str, Any]], name: str, request: Request
    ) -> Iterator[tuple[int, Mapping[str, Any], str]]:
        """(number, record, text) of each record that has a text; numbers count from 1."""
        missing = 0
        first: Mapping[str, Any] | None = None
        known = False  # whether any record so far has that field at all
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
    """The name of the field with the text: "text", or the only one whose values look like texts.

    Raises UsageError where there is no such field, or several.
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
        delimiter = request.delimiter or sniffed_delimiter(request.path, head[:1])
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


class Parquet(Records):
    """A table in the Apache Parquet format, read a batch of rows at a time."""

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
    """Open a Parquet file, as pyarrow's ParquetFile.

    Raises LangmodelsError where pyarrow is missing, or the file cannot be read or is damaged.
    """
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise LangmodelsError(
            "Parquet files need the package pyarrow: pip install 'langmodels[documents]'."
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
"""The formats of files, which are recognised by the endings of their names."""


def format_by_name(path: str) -> DocumentFormat:
    """The format that the ending of a file's name stands for, plain text where it is unknown."""
    name = without_compression(path)
    known = (kind for _, kind in FORMATS.working() if name.endswith(kind.endings))
    return next(known, PlainText)()


def format_of(request: Request) -> DocumentFormat:
    """The format to read a file in; its beginning is read where its name does not tell.

    A delimited table is plain text unless a field of it is requested.
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
    """Warn of JSON lines that are read as plain text, which is usually a mistake."""
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
    """Warn of a table that is read as plain text, column names and commas included."""
    if columns := _columns(start, request):
        warnings.warn(
            f"{request.name} is a table and is read as plain text; to read a column of it, say "
            f"{request.path}?text=COLUMN (columns: {', '.join(columns)[:200]}).",
            stacklevel=2,
        )


def warn_of_rows(request: Request) -> None:
    """Warn of a table whose lines would each be a document, the one of column names too."""
    if isinstance(format_by_name(request.path), Delimited) and _columns(
        next(request.chunks(), ""), request
    ):
        warnings.warn(
            f"{request.name} is a table and is read as plain text, in which each line is a "
            "document, that with the names of columns too; make JSON lines or Parquet of it.",
            stacklevel=2,
        )


def _columns(start: str, request: Request) -> list[str]:
    """The column names of a table with several columns; empty if this is no such table."""
    if not isinstance(format_by_name(request.path), Delimited):
        return []
    head, _, rest = start.partition("\n")
    columns = next(csv.reader([head], delimiter=sniffed_delimiter(request.path, [head])), [])
    words = [column for column in columns if column.strip() and not is_number(column)]
    return columns if len(columns) > 1 and words == columns and rest else []
