"""Files by path, or by the address of a store such as `s3://bucket/name`, opened by fsspec.

`file://` and `memory://` are stores, too. A file written to a store appears whole or not at all, as
far as the store can rename or copy.
"""

import importlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

from langmodels.errors import LangmodelsError

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)  # a single letter is a drive


def is_address(name: str | os.PathLike[str]) -> bool:
    """Whether a name is an address, not a path."""
    return isinstance(name, str) and _SCHEME.match(name) is not None


def check_path(name: str | os.PathLike[str]) -> None:
    """Raise LangmodelsError for an address, for code that takes only paths."""
    if is_address(name):
        raise LangmodelsError(f"{name} is an address, where a path is needed; copy the file.")


def join(folder: str, *names: str) -> str:
    """The name of a file in a folder; both kinds of names."""
    if is_address(folder):
        return "/".join([folder.rstrip("/"), *names])
    return os.path.join(folder, *names)  # noqa: PTH118 - both kinds are strings


def absolute(name: str | os.PathLike[str]) -> str:
    """The absolute path of a file; addresses are left as they are."""
    return str(name) if is_address(name) else os.path.abspath(name)  # noqa: PTH100


def identity(name: str) -> list[Any]:
    """The size of a file and its time of change: they are equal as long as it is the same.

    Raises OSError where there is no such file.
    """
    if not is_address(name):
        status = Path(name).stat()
        return [status.st_size, status.st_mtime_ns]
    store, path = _store(name)
    known = store.info(path)
    changed = next(
        (known[k] for k in ("mtime", "LastModified", "ETag", "created") if k in known), ""
    )
    return [known["size"], str(changed)]


def size(name: str) -> int:
    """The size of a file in bytes."""
    return int(identity(name)[0])


def open_to_read(name: str) -> IO[bytes]:
    """Open a file for reading bytes. Raises OSError where it cannot be opened."""
    if not is_address(name):
        return Path(name).open("rb")
    store, path = _store(name)
    return cast(IO[bytes], store.open(path, "rb"))


def remove(name: str) -> None:
    """Remove a file, if it exists."""
    with suppress(FileNotFoundError):
        if is_address(name):
            store, path = _store(name)
            store.rm(path)
        else:
            Path(name).unlink()


def make_folder_of(name: str) -> None:
    """See that the folder of a file is there. Raises LangmodelsError where it cannot be made."""
    if is_address(name):
        store, path = _store(name)
        store.makedirs(path.rpartition("/")[0], exist_ok=True)
    else:
        folder = Path(name).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise LangmodelsError(f"{folder} is a file; give the name of a folder.") from error
        except OSError as error:
            raise LangmodelsError(
                f"Cannot make the folder {folder}: {error.strerror or error}."
            ) from error


def find(name: str) -> list[str]:
    """The files that an address stands for, sorted: itself, or those in a folder or a pattern."""
    store, path = _store(name)
    if store.isfile(path):
        return [name]
    if "*" in path or "[" in path:
        found = [p for p in store.glob(path) if store.isfile(p)]
    else:
        found = store.find(path)
    return [str(store.unstrip_protocol(p)) for p in sorted(found)]


def beginning_like(name: str) -> list[str]:
    """The files whose names begin with `name`; none if its folder does not exist."""
    try:
        if is_address(name):
            store, path = _store(name)
            there = [str(p) for p in store.ls(path.rpartition("/")[0], detail=False)]
            return [str(store.unstrip_protocol(p)) for p in there if p.startswith(path)]
        return [str(p) for p in Path(name).parent.iterdir() if p.name.startswith(Path(name).name)]
    except FileNotFoundError:
        return []


@contextmanager
def writing(name: str) -> Iterator[IO[bytes]]:
    """Open a binary file of a store; it appears under its name when the block has ended.

    Raises LangmodelsError where it cannot be written.
    """
    store, path = _store(name)
    part = f"{path}.{secrets.token_hex(4)}.part"
    try:
        with store.open(part, "wb") as file:
            yield file
        store.mv(part, path)
    except OSError as error:
        raise LangmodelsError(f"Cannot write {name}: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            if store.exists(part):
                store.rm(part)


def _store(name: str) -> tuple[Any, str]:
    """The file system of an address, and the file's name in it."""
    try:
        core: Any = importlib.import_module("fsspec.core")
    except ImportError:
        raise LangmodelsError(
            f"Addresses such as {name} need the package fsspec: pip install fsspec, and what it "
            "needs for the store (s3fs, gcsfs)."
        ) from None
    try:
        store, path = core.url_to_fs(name)
    except (ValueError, ImportError) as error:
        raise LangmodelsError(f"{name} is no address that fsspec can open: {error}.") from error
    return store, str(path)
