"""Files: whole or not at all, nothing executed on load, arrays mapped from disk.

The format is safetensors: eight bytes with the length of a JSON header (little-endian), the header,
then the raw arrays. See https://huggingface.co/docs/safetensors for the layout.
"""

import json
import math
import mmap
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from langmodels.arrays import Array
from langmodels.errors import LangmodelsError

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
_MAX_HEADER = 100_000_000  # bytes; the limit that the format itself sets
_ALIGN = 64


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a binary file that appears at `path` whole, or not at all.

    The data go to a temporary file in the same folder, which is synced and renamed over `path` when
    the block ends, and removed when it ends in an exception (Ctrl-C included). A link keeps its
    place and its target is replaced; what is no file but a device or a pipe is written to as it is.

    Raises LangmodelsError where the folder is missing or not writable, `path` is a folder, or the
    disk is full.
    """
    given = Path(path)
    if given.is_dir():
        raise LangmodelsError(f"{given} is a folder; give the name of a file to write.")
    target = Path(os.path.realpath(given))
    temporary: str | None = None
    try:
        if given.exists() and not given.is_file():
            # Renaming would put a file in the place of /dev/null.
            with given.open("wb") as file:
                yield file
            return
        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes private files; the result has the mode that open() would have given it.
        if os.name == "posix":
            mask = os.umask(0)
            os.umask(mask)
            Path(temporary).chmod(0o666 & ~mask)
        Path(temporary).replace(target)
        temporary = None
    except OSError as error:
        reason = error.strerror or str(error)
        raise LangmodelsError(
            f"Cannot write {given}: {reason}. Any earlier file of that name is unchanged."
        ) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                Path(temporary).unlink()


def save_arrays(
    path: str | os.PathLike[str], arrays: Mapping[str, Array], metadata: Mapping[str, str]
) -> None:
    """Write named arrays and string metadata to one safetensors file, atomically.

    Arrays begin at multiples of 64 bytes, so that they can be used where they lie when mapped.
    Raises LangmodelsError where the file cannot be written, TypeError for a dtype the format lacks.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    contiguous: list[Array] = []
    offset = 0
    # Wide types first: the format allows no gaps, so this order is what keeps every array aligned.
    for name in sorted(arrays, key=lambda n: (-arrays[n].dtype.itemsize, n)):
        array = np.ascontiguousarray(arrays[name]).reshape(arrays[name].shape)
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        if array.dtype not in _NAMES:
            raise TypeError(f"array {name!r} has dtype {array.dtype}, which cannot be stored")
        header[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        contiguous.append(array)
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-(8 + len(text)) % _ALIGN)
    with atomic_write(path) as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for array in contiguous:
            if array.size:
                file.write(array.reshape(-1).view(np.uint8).data)


def open_arrays(path: str | os.PathLike[str]) -> tuple[dict[str, str], dict[str, Array]]:
    """Map a safetensors file; return its metadata and its arrays, read-only and not yet read.

    Every size and offset is checked against the file before an array is made, so that a truncated
    or hostile file raises LangmodelsError and nothing else.
    """
    target = Path(path)
    try:
        with target.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < 8:
                raise _broken(target, "it is too short")
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError as error:
        raise LangmodelsError(f"There is no file {target}; check the path.") from error
    except OSError as error:
        raise LangmodelsError(f"Cannot read {target}: {error.strerror or error}.") from error
    length = int.from_bytes(data[:8], "little")
    if length > min(size - 8, _MAX_HEADER):
        raise _broken(target, "its header does not fit in the file")
    try:
        header = json.loads(data[8 : 8 + length].decode())
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        metadata = {str(k): str(v) for k, v in header.get("__metadata__", {}).items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise _broken(target, "its header cannot be read") from error
    arrays: dict[str, Array] = {}
    available = size - 8 - length
    for name, entry in entries.items():
        try:
            dtype = _DTYPES[entry["dtype"]]
            shape = [int(n) for n in entry["shape"]]
            begin, end = (int(n) for n in entry["data_offsets"])
        except (KeyError, TypeError, ValueError) as error:
            raise _broken(target, f"the entry of array {name!r} makes no sense") from error
        count = math.prod(shape)
        if min(shape, default=1) < 0 or begin < 0 or end - begin != count * dtype.itemsize:
            raise _broken(target, f"the size of array {name!r} makes no sense")
        if end > available:
            raise _broken(target, f"array {name!r} ends beyond the end of the file (truncated?)")
        flat = np.frombuffer(data, dtype, count=count, offset=8 + length + begin)
        arrays[name] = flat.reshape(shape)
    return metadata, arrays


def _broken(path: Path, why: str) -> LangmodelsError:
    return LangmodelsError(f"{path} is not a complete model file: {why}.")
