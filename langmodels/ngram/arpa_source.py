r"""Opening ARPA files: by content, whatever they are called, compressed and encoded in."""

import codecs
import lzma
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from langmodels.errors import unreadable
from langmodels.packed import COMPRESSIONS, open_bytes, without_compression

_START = 1 << 16  # bytes in which the beginning of the data must come
_MARK = "\\data\\"
_UTF8_MARK = b"\xef\xbb\xbf"
_WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_MARK_CHARACTER = "\ufeff"

_UNPACKING_FAILED = (OSError, EOFError, lzma.LZMAError, zlib.error)


class ByteSource(Protocol):
    """What the parser asks of a file."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


def is_arpa_name(path: str | os.PathLike[str]) -> bool:
    """Whether a file is meant to be ARPA: .arpa, or that and the ending of a compression."""
    return without_compression(os.fspath(path)).endswith(".arpa")


def is_arpa_text(path: str | os.PathLike[str]) -> bool:
    """Whether a file that is there begins like an ARPA file, whatever it is called.

    What is compressed is taken for one: no other kind of model may be.
    """
    try:
        with Path(path).open("rb") as file:
            start = file.read(_START)
    except OSError:
        return False
    if start.startswith(tuple(magic for magic, _ in COMPRESSIONS.values())):
        return True
    return start[8:9] != b"{" and _encoding(start) is not None  # a model file has a JSON header


@contextmanager
def open_arpa(path: Path) -> Iterator[ByteSource]:
    """The text of an ARPA file as UTF-8 without a byte order mark.

    Raises LangmodelsError where the file cannot be read, unpacked or decoded.
    """
    try:
        with open_bytes(os.fspath(path)) as file:
            start = _start_of(file)
            encoding = _encoding(start)
            if encoding in _WIDE:
                yield _Recoded(_Replayed(start, file), encoding)
            else:
                yield _Replayed(start.removeprefix(_UTF8_MARK), file)
    except _UNPACKING_FAILED as error:
        raise unreadable(path, error) from error


def _start_of(file: IO[bytes]) -> bytes:
    """The first bytes; fewer where the file is shorter or cannot be read on."""
    start = b""
    while len(start) < _START:
        try:
            block = file.read(_START - len(start))
        except _UNPACKING_FAILED:
            if start:
                break
            raise
        if not block:
            break
        start += block
    return start


def _encoding(start: bytes) -> str | None:
    r"""In what a file's `\data\` line is written; None where there is none."""
    lower = start.lower()
    for encoding in ("utf-8", *_WIDE):
        at = lower.find(_MARK.encode(encoding))
        if at >= 0 and at % len("\\".encode(encoding)) == 0:  # else it is the other byte order
            return encoding
    return None


class _Replayed:
    """A file, with what was read of it already."""

    def __init__(self, start: bytes, file: IO[bytes]) -> None:
        self._start, self._file = start, file

    def read(self, size: int, /) -> bytes:
        """See `ByteSource`."""
        if self._start:
            start, self._start = self._start[:size], self._start[size:]
            return start
        return self._file.read(size)


class _Recoded:
    """A file in another encoding, as UTF-8."""

    def __init__(self, file: ByteSource, encoding: str) -> None:
        self._file, self._encoding = file, encoding
        self._decode = codecs.getincrementaldecoder(encoding)("strict").decode
        self._begun = False

    def read(self, size: int, /) -> bytes:
        """See `ByteSource`; maybe a few more."""
        text = ""
        while not text:
            block = self._file.read(size)
            try:
                text = self._decode(block, not block)
            except UnicodeDecodeError as error:
                raise OSError(None, f"its {self._encoding.upper()} text is damaged") from error
            if not block:
                break
        if not self._begun:
            self._begun = True
            text = text.removeprefix(_MARK_CHARACTER)
        return text.encode("utf-8", "surrogatepass")
