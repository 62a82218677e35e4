"""Uploaded texts: all formats of the command line, read by the same readers."""

import tempfile
import warnings
from pathlib import Path

import regex

from langmodels.datasets.documents import (
    FORMATS,
    Parquet,
    Records,
    Request,
    format_by_name,
    format_of,
    open_parquet,
)
from langmodels.errors import LangmodelsError
from langmodels.packed import COMPRESSIONS

_UNPACKED = 200
"""How many times its file's size a Parquet table may have."""


def endings() -> list[str]:
    """The endings of the files that can be read, for the browser's file dialog."""
    known = [ending for _, kind in FORMATS.working() for ending in kind.endings]
    return [*known, ".text", ".md", *COMPRESSIONS]


def read_upload(
    name: str,
    data: bytes,
    *,
    encoding: str = "utf-8",
    errors: str = "strict",
    field: str = "",
    most: int,
) -> tuple[str, list[str]]:
    """The text of a file, up to `most` characters of it, and the warnings of its reader.

    The endings of `name` say how the file is read, as on the command line: JSON lines, tables,
    Parquet, FASTA, plain text, compressed or not. `field`: the field with the text; if empty, it is
    found. Raises LangmodelsError, with the command line's message, for a file that cannot be read.
    """
    safe = regex.sub(r"[^\w.-]", "_", name)[-60:].lstrip(".") or "text"
    with tempfile.TemporaryDirectory(prefix="langmodels-") as folder:
        path = Path(folder, safe)
        path.write_bytes(data)
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always", UserWarning)
                text = _read(Request(str(path), encoding, errors, field or None), most)
        except LangmodelsError as error:
            raise type(error)(str(error).replace(str(path), name)) from error
    return text, [str(each.message).replace(str(path), name) for each in said]


def _read(request: Request, most: int) -> str:
    """As much of the text as is wanted."""
    kind = format_by_name(request.path)
    if not isinstance(kind, Records):
        kind = format_of(request)
    if isinstance(kind, Parquet):
        _measure(request)
    pieces, size = [], 0
    for piece in kind.open(request):
        pieces.append(piece[: most - size])
        size += len(pieces[-1])
        if size >= most:
            break
    return "".join(pieces)


def _measure(request: Request) -> None:
    """Raise LangmodelsError for a table that is far larger than its file."""
    with open_parquet(request) as file:
        groups = range(file.metadata.num_row_groups)
        size = sum(file.metadata.row_group(i).total_byte_size for i in groups)
    if size > _UNPACKED * max(Path(request.path).stat().st_size, 1 << 16):
        raise LangmodelsError(f"{request.name} holds {size:,} bytes; this page takes no such file.")
