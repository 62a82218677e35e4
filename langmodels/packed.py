"""Compressed files: reading and writing some kinds, and recognising others."""

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
_LITTLE = 1 << 10  # compressed bytes that are decompressed at a time: they may become 32 MB
_BLOCK = 1 << 18  # bytes to decompress to at a time
MOST_UNPACKED, MOST_TIMES = 1 << 25, 250
"""A file may decompress to so many bytes or, beyond that, to so many times its size.

Text is compressed to a fifth or a tenth, and logs to a fiftieth.
"""


class _ZstandardReader(io.RawIOBase):
    """Decompresses Zstandard frames one after the other.

    The package's own reader does not notice that a file is truncated.
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
        """The next `size` bytes, fewer at the end; without a `size`, all that are left."""
        return gathered(self.read1, size)

    def read1(self, size: int = -1) -> bytes:
        """Up to `size` of the next bytes, as many as one read of the file gives."""
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
"""By the ending of names: the first bytes of such a file, and the function that opens it."""

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
    """Call `read` until there are `size` bytes, or up to the end if `size` is negative."""
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
    """Open a file or standard input (`-`) for reading; compressed files are decompressed.

    Compression is recognised by the name or the first bytes. Raises LangmodelsError for kinds of
    compression that are not supported, OSError for a file that cannot be opened.
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
    """Open a file without decompressing it.

    Raises LangmodelsError for a device, which may never end.
    """
    file = Path(name).open("rb")  # noqa: SIM115 - closed by the caller
    mode = os.fstat(file.fileno()).st_mode
    if stat.S_ISCHR(mode) and not file.isatty() and name != os.devnull:
        file.close()
        raise LangmodelsError(f"{name} is a device, not a text.")
    return file


@contextmanager
def compressing(file: IO[bytes], name: str) -> Iterator[IO[bytes]]:
    """A stream that compresses what is written to it into `file`, as the ending of `name` says.

    The same content always gives the same bytes, except that gzip files depend on whether the
    package zlib-ng is installed, which takes less than half the time. Raises LangmodelsError where
    a package is missing.
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
            "pip install 'langmodels[documents]'."
        ) from None


@dataclass(frozen=True)
class Reader:
    """An object with the `read` method of a file, and nothing else."""

    read: Callable[[int], bytes]


def as_it_comes(file: IO[bytes]) -> Reader:
    """An open file whose `read` returns what there is, without waiting for more."""
    raw = getattr(file, "raw", None)
    if file is getattr(sys.stdin, "buffer", None) and raw is not None:
        # A thread that waits in the buffer's `read` holds a lock that Python needs when it exits.
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
    """A file that counts the bytes read from it."""

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
    """A decompressing stream; closing it also closes the file below.

    It refuses small files that decompress to huge ones. Where the data look like such a file, it
    decompresses far enough ahead to decide, before any of them are given out.
    """

    def __init__(self, file: IO[bytes], opener: Callable[[IO[bytes]], Any], name: str) -> None:
        self._file, self._name = file, name
        self._packed = _Counted(file)
        self._stream = opener(cast(IO[bytes], self._packed))
        self._size = 0
        self._blocks: deque[memoryview] = deque()

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, fewer at the end; without a `size`, all that are left."""
        return gathered(lambda left: self._some(left, self._stream.read), size)

    def read1(self, size: int = -1) -> bytes:
        """Up to `size` of the next bytes, as soon as there are some."""
        return bytes(self._some(size, getattr(self._stream, "read1", self._stream.read)))

    def _some(self, size: int, read: Callable[[int], bytes]) -> memoryview:
        """Up to `size` of the next bytes, none at the end."""
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
        """Decompress a block, and go on as long as the data are compressed more than any text."""
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
