r"""Recognising ARPA files by content, and opening them whatever their compression and encoding."""

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

NOTE = b"# langmodels "
"""The prefix of the comment of `write_arpa`, a JSON object on tokenization, cleaning and zeros."""
_START = 1 << 16  # bytes within which the data line must come
_NOTED = 1 << 26  # the same after that comment, which may hold a whole tokenizer
_MARK = "\\data\\"
_UTF8_MARK = b"\xef\xbb\xbf"
_WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_MARK_CHARACTER = "\ufeff"

_UNPACKING_FAILED = (OSError, EOFError, lzma.LZMAError, zlib.error)


class ByteSource(Protocol):
    """What the parser reads from: UTF-8 bytes."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; empty at the end."""


def is_arpa_name(path: str | os.PathLike[str]) -> bool:
    """Whether a name ends in .arpa, or in that and the suffix of a compression."""
    return without_compression(os.fspath(path)).endswith(".arpa")


def is_arpa_text(path: str | os.PathLike[str]) -> bool:
    """Whether an existing file begins like an ARPA file, whatever its name.

    True for any compressed file, as no other kind of model file may be compressed.
    """
    try:
        with Path(path).open("rb") as file:
            start = file.read(_START)
    except OSError:
        return False
    if start.startswith(tuple(magic for magic, _ in COMPRESSIONS.values())):
        return True
    return start[8:9] != b"{" and _encoding(start) is not None  # no: a JSON header


@contextmanager
def open_arpa(path: Path) -> Iterator[ByteSource]:
    """Open an ARPA file as UTF-8 without a byte order mark.

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
    """The first `_START` bytes; fewer if the file is shorter or damaged."""
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


def longest_header(start: bytes) -> int:
    """The bytes within which the data line of a file must come; `start` is its beginning."""
    begins = NOTE + b"{"
    noted = start.startswith(begins) or start.find(b"\n" + begins, 0, _START) >= 0
    return _NOTED if noted else _START


def _encoding(start: bytes) -> str | None:
    r"""The encoding of a file's `\data\` line; None without such a line."""
    if longest_header(start.removeprefix(_UTF8_MARK)) > _START:
        return "utf-8"
    lower = start.lower()
    for encoding in ("utf-8", *_WIDE):
        at = lower.find(_MARK.encode(encoding))
        if at >= 0 and at % len("\\".encode(encoding)) == 0:  # else: the other byte order
            return encoding
    return None


class _Replayed:
    """A file preceded by the bytes that were already read from it."""

    def __init__(self, start: bytes, file: IO[bytes]) -> None:
        self._start, self._file = start, file

    def read(self, size: int, /) -> bytes:
        """See `ByteSource`."""
        if self._start:
            start, self._start = self._start[:size], self._start[size:]
            return start
        return self._file.read(size)


class _Recoded:
    """A file in another encoding, re-encoded as UTF-8."""

    def __init__(self, file: ByteSource, encoding: str) -> None:
        self._file, self._encoding = file, encoding
        self._decode = codecs.getincrementaldecoder(encoding)("strict").decode
        self._begun = False

    def read(self, size: int, /) -> bytes:
        """See `ByteSource`; possibly a few bytes more."""
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
