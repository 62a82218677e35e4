"""Named arrays in one file: nothing is executed on load, and arrays are mapped from disk.

The format is safetensors: eight bytes with the length of a JSON header (little-endian), the header,
then the raw arrays. See https://huggingface.co/docs/safetensors for the layout. The header's
metadata also have a checksum of each array.

A mapped file must not change while it is in use: if another program truncates it, the system ends
this process (SIGBUS) as soon as the missing part is read. `mmap=False` reads the file instead.
"""

import json
import math
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from mmap import ACCESS_READ
from mmap import mmap as map_file
from pathlib import Path
from typing import Any, Self

import numpy as np

from langmodels.addresses import check_path
from langmodels.arrays import Array
from langmodels.columns import Column
from langmodels.errors import LangmodelsError, unreadable
from langmodels.storage import atomic_write, read_json

_DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "U8": np.dtype(np.uint8),
    "I8": np.dtype(np.int8),
    "U16": np.dtype("<u2"),
    "I16": np.dtype("<i2"),
    "U32": np.dtype("<u4"),
    "I32": np.dtype("<i4"),
    "U64": np.dtype("<u8"),
    "I64": np.dtype("<i8"),
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_ALIGN = 64
_CHECKSUMS = "crc32"
"""Name of the metadata entry with the checksums."""
_VERIFIED = 1 << 26  # up to so many bytes of arrays are verified when a file is opened

# Limits of a header, so that no small file takes long or much memory to read; see also `read_json`.
_MAX_HEADER = 1 << 25  # bytes
_MAX_RANK = 8
_MAX_SIZE = 1 << 48


def save_arrays(
    path: str | os.PathLike[str], arrays: Mapping[str, Array], metadata: Mapping[str, str]
) -> None:
    """Write named arrays and string metadata to one safetensors file, atomically.

    Arrays may also be columns of other files, which are copied a piece at a time. The arrays begin
    at a multiple of 64 bytes in the file and are ordered by item size, so that each is aligned when
    mapped. Raises LangmodelsError where the file cannot be written or its header would be too long
    to be read, TypeError for a dtype that the format lacks.
    """
    entries: dict[str, Any] = {}
    contiguous: dict[str, Array | Column] = {}
    offset = 0
    # Wide types first: the format allows no gaps, so this order is what keeps every array aligned.
    for name in sorted(arrays, key=lambda n: (-arrays[n].dtype.itemsize, n)):
        array = _contiguous(arrays[name])
        if array.dtype not in _NAMES:
            raise TypeError(f"array {name!r} has dtype {array.dtype}, which cannot be stored")
        entries[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        contiguous[name] = array
        offset += array.nbytes
    checksums = json.dumps({name: _checksum(array) for name, array in contiguous.items()})
    header = {"__metadata__": {**metadata, _CHECKSUMS: checksums}, **entries}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-(8 + len(text)) % _ALIGN)
    if len(text) > _MAX_HEADER:
        raise LangmodelsError(
            f"{path} would have a header of {len(text):,} bytes, more than is ever read."
        )
    with atomic_write(path) as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for array in contiguous.values():
            for data in _data(array):
                file.write(data)


def _contiguous(array: Array | Column) -> Array | Column:
    if isinstance(array, Column):
        return array
    whole = np.ascontiguousarray(array).reshape(array.shape)
    return whole.astype(whole.dtype.newbyteorder("<"), copy=False)


def _data(array: Array | Column) -> Iterator[memoryview]:
    """The bytes of an array, piece by piece."""
    if array.size:
        for piece in array.pieces() if isinstance(array, Column) else [array.reshape(-1)]:
            yield piece.view(np.uint8).data


def _checksum(array: Array | Column) -> int:
    if isinstance(array, Column) and array.checksum is not None:
        return array.checksum
    checksum = 0
    for data in _data(array):
        checksum = zlib.crc32(data, checksum)
    return checksum


# Reading -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Origin:
    """The identity of a file at the time it was opened."""

    path: Path
    identity: tuple[int, ...]
    """Inode, size and modification time: they tell it from another file of the same name, and are
    the same on all hosts that share the folder."""

    @classmethod
    def of(cls, path: Path, status: os.stat_result) -> Self:
        """The present identity of a file."""
        identity = (status.st_ino, status.st_size, status.st_mtime_ns)
        return cls(path.absolute(), identity)

    def is_there(self) -> bool:
        """Whether the same file is still there."""
        try:
            return Origin.of(self.path, self.path.stat()) == self
        except OSError:
            return False


class StoredArrays(dict[str, Array]):
    """The arrays of a file by name, read-only; `origin` identifies the file."""

    def __init__(
        self,
        arrays: Mapping[str, Array],
        origin: Origin | None = None,
        checksums: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(arrays)
        self.origin = origin
        self._checksums = dict(checksums or {})

    def under(self, prefix: str) -> "StoredArrays":
        """The arrays whose names begin with `prefix`, named without it."""
        n = len(prefix)
        return StoredArrays(
            {name[n:]: a for name, a in self.items() if name.startswith(prefix)},
            self.origin,
            {name[n:]: c for name, c in self._checksums.items() if name.startswith(prefix)},
        )

    def verify(self) -> bool:
        """Compare arrays with their checksums; return whether all arrays have one.

        Raises LangmodelsError, which names the array, where one is damaged.
        """
        for name, array in self.items():
            if name in self._checksums and _checksum(array) != self._checksums[name]:
                where = "The file" if self.origin is None else str(self.origin.path)
                raise LangmodelsError(
                    f"{where} is damaged: the array {name!r} is not what was written; "
                    "copy or download the file again."
                )
        return self.keys() <= self._checksums.keys()


def open_arrays(
    path: str | os.PathLike[str], *, mmap: bool = True
) -> tuple[dict[str, str], StoredArrays]:
    """Map a safetensors file; return its metadata and its arrays, read-only and not yet read.

    Every size and offset is checked against the file before an array is made, so that a truncated
    or hostile file raises LangmodelsError and nothing else. Checksums are compared at once for
    files of up to 64 MB; for larger ones call `StoredArrays.verify`. With `mmap=False` the whole
    file is read, and may change afterwards.
    """
    check_path(path)
    target = Path(path)
    data, status = _contents(target, mapped=mmap)
    metadata, checksums, places = _header(target, data)
    arrays: dict[str, Array] = {}
    for name, (dtype, shape, offset) in places.items():
        flat = np.frombuffer(data, dtype, count=math.prod(shape), offset=offset)
        if not flat.flags.aligned:
            flat = flat.copy()
            flat.flags.writeable = False
        arrays[name] = flat.reshape(shape)
    stored = StoredArrays(arrays, Origin.of(target, status), checksums)
    if sum(array.nbytes for array in arrays.values()) <= _VERIFIED:
        stored.verify()
    return metadata, stored


def open_columns(path: str | os.PathLike[str]) -> dict[str, Column]:
    """The arrays of a file as columns, which are read from disk when they are sliced.

    They are checked as in `open_arrays`, except for checksums.
    """
    target = Path(path)
    data, _ = _contents(target, mapped=True)
    _, checksums, places = _header(target, data)
    return {
        name: Column(target, dtype, math.prod(shape), offset, checksums.get(name))
        for name, (dtype, shape, offset) in places.items()
    }


_Place = tuple[np.dtype[Any], list[int], int]
"""Where an array is in a file: its dtype, its shape, and the byte at which it begins."""


def _header(
    target: Path, data: map_file | bytes
) -> tuple[dict[str, str], dict[str, int], dict[str, _Place]]:
    """Parse and check a header: metadata, checksums, and the place of each array."""
    size = len(data)
    length = int.from_bytes(data[:8], "little")
    if length > min(size - 8, _MAX_HEADER):
        if data[8:9] not in (b"{", b""):
            raise LangmodelsError(
                f"{target} is not a model file; `langmodels train` makes one from a text."
            )
        raise _broken(target, "its header does not fit in the file")
    try:
        header = read_json(data[8 : 8 + length])
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        metadata = {str(k): str(v) for k, v in header.get("__metadata__", {}).items()}
        checksums = read_json(metadata.pop(_CHECKSUMS, "{}"))
    except (ValueError, AttributeError) as error:
        raise _broken(target, "its header cannot be read") from error
    if not isinstance(checksums, dict):
        raise _broken(target, "its header cannot be read")
    places: dict[str, _Place] = {}
    available = size - 8 - length
    for name, entry in entries.items():
        try:
            dtype = _DTYPES[entry["dtype"]]
            shape = list(map(_index, entry["shape"]))
            begin, end = map(_index, entry["data_offsets"])
        except (KeyError, TypeError, ValueError) as error:
            raise _broken(target, f"the entry of array {name!r} makes no sense") from error
        count = math.prod(shape)
        if (
            len(shape) > _MAX_RANK
            or math.prod(n or 1 for n in shape) > _MAX_SIZE
            or end - begin != count * dtype.itemsize
        ):
            raise _broken(target, f"the size of array {name!r} makes no sense")
        if end > available:
            raise _broken(target, f"array {name!r} ends beyond the end of the file (truncated?)")
        places[name] = dtype, shape, 8 + length + begin
    return metadata, checksums, places


def _contents(path: Path, *, mapped: bool) -> tuple[map_file | bytes, os.stat_result]:
    """The contents of a file, and its status when it was opened.

    Raises LangmodelsError where it cannot be read or is too short.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise LangmodelsError(f"{path} is a device or a pipe, not a file; save it as one.")
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_size < 8:
                raise _broken(path, "it is too short")
            if not mapped:
                return file.read(), status
            return map_file(file.fileno(), 0, access=ACCESS_READ), status
    except OSError as error:
        raise unreadable(path, error) from error


def _index(value: Any) -> int:
    """Check that a value is a possible size or offset. Raises ValueError otherwise."""
    if type(value) is not int or not 0 <= value <= _MAX_SIZE:
        raise ValueError(f"{value!r} is no size")
    return value


def _broken(path: Path, why: str) -> LangmodelsError:
    return LangmodelsError(f"{path} is not a complete model file: {why}.")
