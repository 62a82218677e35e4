"""One-dimensional arrays that stay in a file, and are read and written piece by piece."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

import numpy as np

from langmodels.arrays import Array
from langmodels.errors import LangmodelsError

_PIECE = 1 << 20  # items


@dataclass(frozen=True)
class Column:
    """An array (n,) in a file, from byte `offset` on; slicing it reads the items from disk.

    It is for work in little memory, where a mapped array will not do: its pages count as memory of
    the process as long as it is open.
    """

    path: Path
    dtype: np.dtype[Any]
    size: int
    offset: int = 0
    checksum: int | None = None
    """CRC-32 of the bytes, where it is known."""

    def __len__(self) -> int:
        return self.size

    @property
    def shape(self) -> tuple[int]:
        """(n,)."""
        return (self.size,)

    @property
    def nbytes(self) -> int:
        """Bytes of the items."""
        return self.size * self.dtype.itemsize

    def __getitem__(self, at: int | slice) -> Any:
        """An item, or a slice as an array. Raises LangmodelsError if the file was truncated."""
        if not isinstance(at, slice):
            return self._read(at, 1)[0]
        start, stop, step = at.indices(self.size)
        if step != 1:
            raise IndexError("runs of a column have a step of one")
        return self._read(start, max(0, stop - start))

    def _read(self, start: int, count: int) -> Array:
        with self.path.open("rb") as file:
            file.seek(self.offset + start * self.dtype.itemsize)
            items = np.fromfile(file, self.dtype, count)
        if len(items) < count:
            raise LangmodelsError(f"{self.path} was cut short while it was in use.")
        return items

    def is_whole(self) -> bool:
        """Whether the items in the file have the checksum."""
        checksum = 0
        try:
            for piece in self.pieces():
                checksum = zlib.crc32(piece.view(np.uint8).data, checksum)
        except (OSError, LangmodelsError):
            return False
        return checksum == self.checksum

    def pieces(self) -> Iterator[Array]:
        """All items, a million at a time."""
        for start in range(0, self.size, _PIECE):
            yield self[start : start + _PIECE]


class ColumnWriter:
    """Writes a column to a file; a context manager."""

    def __init__(self, path: Path, dtype: np.dtype[Any] | type[Any]) -> None:
        self._path = path
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._size = self._checksum = 0
        self._file: IO[bytes] = path.open("wb")

    def append(self, items: Array) -> None:
        """Add items at the end."""
        data = np.ascontiguousarray(items, self._dtype).view(np.uint8).data
        self._file.write(data)
        self._checksum = zlib.crc32(data, self._checksum)
        self._size += len(items)

    @property
    def column(self) -> Column:
        """The column of all items written so far."""
        self._file.flush()
        return Column(self._path, self._dtype, self._size, checksum=self._checksum)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class Cursor:
    """Reads a column or an array from its beginning, one run after the other."""

    items: Any
    position: int = field(default=0, init=False)

    def take(self, count: int) -> Array:
        """The next `count` items."""
        self.position += count
        run: Array = self.items[self.position - count : self.position]
        return run
