"""Compressed files: which kinds are read, and how those that are not are known."""

import bz2
import gzip
import importlib
import io
import lzma
import os
import stat
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from langmodels.addresses import is_address, open_to_read
from langmodels.errors import LangmodelsError

STANDARD_INPUT = "-"
_LITTLE = 1 << 10  # packed bytes unpacked at a time: they may be 32 MB
_BLOCK = 1 << 18  # bytes unpacked at a time
MOST_UNPACKED, MOST_TIMES = 1 << 25, 250
"""Bytes that anything may be unpacked to, and how many times its size what is longer may be.

Text is packed to a tenth or a fifth, and logs to a fiftieth.
"""


class _ZstandardReader(io.RawIOBase):
    """Unpacks Zstandard frames one after the other; the package's own reader takes a file that is
    cut short for a whole one.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._package = _zstandard()
        self._file = file
        self._frame: Any = None
        self._packed, self._ready = b"", memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raise io.UnsupportedOperation("readinto")

    def read(self, size: int = -1) -> bytes:
        """The next bytes, so many of them; all without a `size`; fewer at the end."""
        return gathered(self.read1, size)

    def read1(self, size: int = -1) -> bytes:
        """The next bytes, at most so many and as many as a little of the file gives."""
        self._ready = self._ready or memoryview(self._next())
        size = len(self._ready) if size < 0 else size
        found, self._ready = self._ready[:size], self._ready[size:]
        return bytes(found)

    def _next(self) -> bytes:
        while True:
            data = self._packed or self._file.read(_LITTLE)
            if not data:
                if self._frame is not None:
                    raise EOFError
                return b""
            if self._frame is None:
                self._frame = self._package.ZstdDecompressor().decompressobj()
            try:
                unpacked: bytes = self._frame.decompress(data)
            except self._package.ZstdError as error:
                raise gzip.BadGzipFile(str(error)) from error
            self._packed = b""
            if self._frame.eof:
                self._packed, self._frame = self._frame.unused_data, None
            if unpacked:
                return unpacked


COMPRESSIONS: dict[str, tuple[bytes, Callable[[IO[bytes]], Any]]] = {
    ".gz": (b"\x1f\x8b", gzip.open),
    ".xz": (b"\xfd7zXZ\x00", lzma.open),
    ".bz2": (b"BZh", bz2.open),
    ".zst": (b"\x28\xb5\x2f\xfd", _ZstandardReader),
}
"""By the ending of names: how such a file begins, and what unpacks it as a stream."""

_NOT_READ = {
    b"\x04\x22\x4d\x18": "lz4",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "rar",
    b"\x1f\x9d": "compress (.Z)",
    b"LZIP": "lzip",
    b"\xff\x06\x00\x00sNaPpY": "snappy",
}
_OTHER = {b"PAR1": ("a Parquet file", ".parquet"), b"%PDF": ("a PDF file", "")}


def gathered(read: Callable[[int], bytes | memoryview], size: int) -> bytes:
    """The next bytes, at most so many, or all where that is below zero, of what gives a few."""
    parts: list[bytes | memoryview] = []
    left = size
    while left and (part := read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def without_compression(name: str) -> str:
    """A file's name without the ending that says how it is compressed, in lower case."""
    for suffix in COMPRESSIONS:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)].lower()
    return name.lower()


def open_bytes(name: str) -> AbstractContextManager[IO[bytes]]:
    """The bytes of a file or of standard input (`-`), unpacked as they are read.

    A file whose name does not say that it is compressed is known by its first bytes. Raises
    LangmodelsError for kinds of compression that are not read, OSError for what cannot be opened.
    """
    if "\0" in name:
        raise LangmodelsError(f"No file can be called {name!r}: the name has a NUL character.")
    if name == STANDARD_INPUT:
        buffer = getattr(sys.stdin, "buffer", None)
        if buffer is None:
            raise LangmodelsError("There is no standard input to read here; give a file instead.")
        return nullcontext(cast(IO[bytes], buffer))  # ours to read, not ours to close
    if is_address(name):
        return _unpacked(open_to_read(name), name)
    file = open_raw(name)
    try:
        return _unpacked(file, name)
    except BaseException:
        file.close()
        raise


def open_raw(name: str) -> IO[bytes]:
    """A file as it lies there. Raises LangmodelsError for a device, which may never end."""
    file = Path(name).open("rb")  # noqa: SIM115 - closed by whoever reads it to its end
    mode = os.fstat(file.fileno()).st_mode
    if stat.S_ISCHR(mode) and not file.isatty() and name != os.devnull:
        file.close()
        raise LangmodelsError(f"{name} is a device, not a text.")
    return file


@contextmanager
def compressing(file: IO[bytes], name: str) -> Iterator[IO[bytes]]:
    """A stream that packs what is written to it into `file`, as the ending of `name` says.

    The same content gives the same bytes, but for gzip, which the package zlib-ng packs in less
    than half the time where it is installed. Raises LangmodelsError where a package is missing.
    """
    ending = next((suffix for suffix in COMPRESSIONS if name.lower().endswith(suffix)), "")
    stream: Any
    if ending == ".gz":
        stream = _gzip_writer()("", "wb", 6, file, mtime=0)
    elif ending == ".xz":
        # A little larger than by default, in a fraction of the time.
        stream = lzma.LZMAFile(file, "wb", preset=3)  # noqa: SIM115 - closed below
    elif ending == ".bz2":
        stream = bz2.BZ2File(file, "wb")
    elif ending == ".zst":
        stream = _zstandard().ZstdCompressor(level=3).stream_writer(file, closefd=False)
    else:
        yield file
        return
    with stream:
        yield stream


def _gzip_writer() -> Any:
    try:
        return importlib.import_module("zlib_ng.gzip_ng").GzipNGFile
    except ImportError:
        return gzip.GzipFile


def _zstandard() -> Any:
    try:
        return importlib.import_module("zstandard")
    except ImportError:
        raise LangmodelsError(
            "Files compressed by Zstandard (.zst) need the package zstandard: "
            "pip install langmodels[documents]."
        ) from None


@dataclass(frozen=True)
class Reader:
    """What can be read of a file."""

    read: Callable[[int], bytes]


def as_it_comes(file: IO[bytes]) -> Reader:
    """An open file of which as much is read as is there, without waiting for more."""
    raw = getattr(file, "raw", None)
    if file is getattr(sys.stdin, "buffer", None) and raw is not None:
        # Its buffer has a lock, and a thread that waits there must not hold it as Python ends.
        return Reader(raw.read)
    return Reader(getattr(file, "read1", file.read))


def _unpacked(file: Any, name: str) -> AbstractContextManager[IO[bytes]]:
    start = file.peek(16)[:16] if hasattr(file, "peek") else b""
    for suffix, (magic, opener) in COMPRESSIONS.items():
        if name.lower().endswith(suffix) or (start.startswith(magic)):
            return _Unpacking(file, opener, name)
    for magic, kind in _NOT_READ.items():
        if start.startswith(magic):
            raise LangmodelsError(
                f"{name} is compressed by {kind}, which is not read; unpack it first, or use "
                f"{', '.join(COMPRESSIONS)}."
            )
    for magic, (kind, ending) in _OTHER.items():
        if start.startswith(magic):
            hint = f"; give it the ending {ending}" if ending else "; extract its text first"
            raise LangmodelsError(f"{name} is {kind}, not text{hint}.")
    return cast(AbstractContextManager[IO[bytes]], file)


class _Counted:
    """A file of which is known how much was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.taken = 0

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        data = self._file.read(size)
        self.taken += len(data)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _Unpacking(AbstractContextManager[IO[bytes]]):
    """A stream that unpacks, and the file that it reads from: both are closed.

    A small file that unpacks without an end is refused. Whatever looks like one is unpacked so far
    ahead that it is, before anybody works on what it holds.
    """

    def __init__(self, file: IO[bytes], opener: Callable[[IO[bytes]], Any], name: str) -> None:
        self._file, self._name = file, name
        self._packed = _Counted(file)
        self._stream = opener(cast(IO[bytes], self._packed))
        self._size = 0
        self._blocks: deque[memoryview] = deque()

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most so many; all of them without a `size`."""
        return gathered(lambda left: self._some(left, self._stream.read), size)

    def read1(self, size: int = -1) -> bytes:
        """The next bytes as soon as there are some, at most so many."""
        return bytes(self._some(size, getattr(self._stream, "read1", self._stream.read)))

    def _some(self, size: int, read: Callable[[int], bytes]) -> memoryview:
        """Some of the next bytes; none at the end."""
        if not self._blocks:
            self._look_ahead(read)
        if not self._blocks:
            return memoryview(b"")
        block = self._blocks.popleft()
        if 0 <= size < len(block):
            self._blocks.appendleft(block[size:])
            return block[:size]
        return block

    def _look_ahead(self, read: Callable[[int], bytes]) -> None:
        """Unpack a block, and as much more as is packed more tightly than any text."""
        before, unpacked = self._packed.taken, 0
        while data := read(_BLOCK):
            self._blocks.append(memoryview(data))
            unpacked += len(data)
            self._size += len(data)
            if self._size > MOST_UNPACKED and self._size > MOST_TIMES * self._packed.taken:
                raise LangmodelsError(
                    f"{self._name} unpacks to more than {MOST_TIMES} times its size and "
                    f"{MOST_UNPACKED >> 20} MB, as no text does; if it is meant, unpack it first."
                )
            usual = unpacked <= MOST_TIMES * (self._packed.taken - before)
            if usual or unpacked > MOST_UNPACKED:
                return

    def __enter__(self) -> IO[bytes]:
        return cast(IO[bytes], self)

    def __exit__(self, *exception: object) -> None:
        self._stream.close()
        self._file.close()
