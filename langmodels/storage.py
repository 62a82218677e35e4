"""Files that are written whole or not at all, work and cache folders, untrusted JSON."""

import gc
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from langmodels import addresses
from langmodels.addresses import is_address
from langmodels.errors import LangmodelsError

if os.name == "posix":
    import fcntl

# Limits for JSON, so that no small file takes long or much memory to read.
_MAX_BARE = 1 << 22  # bytes outside strings
_MAX_DIGITS = 64

CACHE_VARIABLE = "LANGMODELS_CACHE"
"""Environment variable with the folder for files that can be downloaded or made again."""


@contextmanager
def atomic_write(path: str | os.PathLike[str], *, synced: bool = True) -> Iterator[IO[bytes]]:
    """Open a binary file that appears at `path` whole, or not at all.

    The data go to a temporary file in the same folder, which is synced and renamed over `path` when
    the block ends, and removed if it ends in an exception (Ctrl-C included); the next write of the
    same file removes those that killed processes left behind. The new file gets the mode of the one
    it replaces. Of a symbolic link, the target is replaced. A device or a pipe is written to
    directly. Without `synced`, a file may be lost or incomplete after the machine itself has
    crashed: for files that are checked when read and can be made again.

    Raises LangmodelsError where the folder is missing or not writable, `path` is a folder, or the
    disk is full. An address (see `addresses`) is written to the store that it names.
    """
    if is_address(path):
        with addresses.writing(str(path)) as file:
            yield file
        return
    given = Path(path)
    target = Path(os.path.realpath(given))
    temporary: _Temporary | None = None
    try:
        if given.is_dir():
            raise LangmodelsError(f"{given} is a folder; give the name of a file to write.")
        if given.exists() and not given.is_file():
            # Renaming would replace /dev/null by a file.
            with given.open("wb") as file:
                yield file
            return
        _remove_abandoned(target)
        temporary = _Temporary.beside(target)
        with os.fdopen(temporary.descriptor, "wb") as file:
            yield file
            file.flush()
            if synced:
                os.fsync(file.fileno())
        _replace(temporary.path, target)
    except OSError as error:
        reason = error.strerror or str(error)
        if os.name == "nt" and isinstance(error, PermissionError):
            reason += " (Windows does not replace a model file that a program has open)"
        raise LangmodelsError(
            f"Cannot write {given}: {reason}. Any earlier file of that name is unchanged."
        ) from error
    finally:
        if temporary is not None:
            temporary.close()


def _replace(path: Path, target: Path) -> None:
    try:
        path.replace(target)
    except PermissionError:
        # Windows does not replace a mapped file. An unused model may still map this one.
        gc.collect()
        path.replace(target)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise LangmodelsError for an address, or where `atomic_write` would fail even now."""
    addresses.check_path(path)
    target = Path(os.path.realpath(path))
    try:
        if target.is_dir():
            raise LangmodelsError(f"{path} is a folder; give the name of a file to write.")
        if target.exists() and not target.is_file():
            return
        if not target.parent.is_dir():
            folder = Path(path).parent
            raise LangmodelsError(f"There is no folder {folder}; make it, or write elsewhere.")
        temporary = _Temporary.beside(target)
        try:
            with os.fdopen(temporary.descriptor, "wb") as file:
                file.write(bytes(1 << 12))
                file.flush()
                os.fsync(file.fileno())  # some file systems report only here that they are full
        finally:
            temporary.close()
    except OSError as error:
        raise LangmodelsError(f"Cannot write {path}: {error.strerror or error}.") from error


@dataclass
class _Temporary:
    """A new file beside its target, locked while its writer lives."""

    path: Path
    descriptor: int
    lock: int | None

    @classmethod
    def beside(cls, target: Path) -> Self:
        """Create one with the mode of the file that it will replace. Raises OSError."""
        try:
            mode: int | None = stat.S_IMODE(target.stat().st_mode)
        except FileNotFoundError:
            mode = None
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        while True:
            path = target.with_name(f"{_prefix(target)}{secrets.token_hex(4)}.tmp")
            try:
                descriptor = os.open(path, flags, 0o666 if mode is None else mode & 0o600)
            except FileExistsError:
                continue
            lock = None
            if os.name == "posix":
                lock = os.dup(descriptor)
                with suppress(OSError):  # a file system without locks
                    fcntl.flock(lock, fcntl.LOCK_EX)
                if os.fstat(descriptor).st_nlink == 0:
                    # Another writer removed it as abandoned before it was locked.
                    os.close(descriptor)
                    os.close(lock)
                    continue
                if mode is not None:
                    os.fchmod(descriptor, mode)
            return cls(path, descriptor, lock)

    def close(self) -> None:
        """Remove the file unless it was renamed, and release the lock."""
        with suppress(OSError):
            self.path.unlink()
        if self.lock is not None:
            os.close(self.lock)


def _prefix(target: Path) -> str:
    """The beginning of the names of a target's temporary files, short enough for file systems."""
    name = target.name
    if len(os.fsencode(name)) > 200:
        name = f"{name[:40]}.{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"
    return f".{name}."


def _remove_abandoned(target: Path) -> None:
    """Remove a target's temporary files whose writers were killed."""
    ours = re.compile(re.escape(_prefix(target)) + r"[0-9a-f]{8}\.tmp")
    for path in target.parent.iterdir():
        if not ours.fullmatch(path.name):
            continue
        with suppress(OSError):  # in use, or removed by another writer
            if os.name == "posix":
                descriptor = os.open(path, os.O_RDWR)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
                finally:
                    os.close(descriptor)
            else:
                path.unlink()  # refused while it is open


LOCK = "lock"
"""The file in a work folder that the process working there has locked."""


@contextmanager
def work_folder(parent: str | os.PathLike[str], key: str | None = None) -> Iterator[Path]:
    """A folder in `parent` for intermediate files, removed when the block ends, even by Ctrl-C.

    A process that was killed leaves its folder behind, and the next one with the same `key` finds
    it as it is; without a key, each has a new one. Raises LangmodelsError where it cannot be made,
    or another process is at work in it.
    """
    name = secrets.token_hex(8) if key is None else hashlib.sha256(key.encode()).hexdigest()[:16]
    folder = Path(parent) / f"langmodels-work-{name}"
    lock: int | None = None
    try:
        folder.mkdir(exist_ok=True)
        if os.name == "posix":
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT)
            with suppress(PermissionError):  # a file system without locks
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        if lock is not None:
            os.close(lock)
        raise LangmodelsError(
            f"Another process is at work in {folder}, with the same text and settings; wait for it."
        ) from error
    except OSError as error:
        raise LangmodelsError(f"Cannot work in {parent}: {error.strerror or error}.") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def cache_folder() -> Path:
    """The folder for downloads and finished runs: $LANGMODELS_CACHE, or the system's cache folder.

    That is `langmodels` in $XDG_CACHE_HOME or ~/.cache on Linux, in ~/Library/Caches on macOS, and
    in %LOCALAPPDATA% on Windows. The folder need not exist.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
        return Path(base).expanduser() / "langmodels" / "Cache"
    if sys.platform == "darwin":
        return Path("~/Library/Caches/langmodels").expanduser()
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says that relative paths are to be ignored.
    return Path(base if base.startswith("/") else "~/.cache").expanduser() / "langmodels"


_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')


def read_json(text: str | bytes) -> Any:
    """Parse JSON from a file that may be damaged or hostile. Raises ValueError where it is invalid.

    Memory and time are bounded by limits on its size outside strings and on the digits of numbers.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) > _MAX_BARE and len(_STRING.sub(b"", data)) > _MAX_BARE:
        raise ValueError("too much JSON")
    try:
        return json.loads(data.decode("utf-8", "surrogatepass"), parse_int=_whole)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _whole(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)
