"""The files that one name stands for: a folder, a pattern, or names separated by commas."""

import glob
import os
from pathlib import Path

from langmodels import addresses
from langmodels.addresses import is_address
from langmodels.errors import LangmodelsError, unreadable
from langmodels.names import split_names
from langmodels.packed import STANDARD_INPUT


def find_files(name: str) -> list[str] | None:
    """The files that a name stands for, sorted; None where it stands for none.

    A folder stands for all files in it and its subfolders, except hidden ones. In a pattern, `*`
    stands for any characters, `**` for any folders and `[abc]` for one of these characters. Raises
    LangmodelsError for a folder without files, with too many, or with an unreadable subfolder.
    """
    if name == STANDARD_INPUT:
        return [name]
    if is_address(name):
        return addresses.find(name) or None
    if os.path.exists(name):  # noqa: PTH110 - unlike Path.exists, never raises
        return _in_folder(name) if Path(name).is_dir() else [name]
    if "\0" in name or len(name) > 10_000:
        return None
    if "*" in name or "[" in name:
        found = sorted(p for p in glob.glob(name, recursive=True) if Path(p).is_file())  # noqa: PTH207
        if found:
            return found
    parts = split_names(name)
    if len(parts) > 1 and all(parts):
        several = [find_files(part) for part in parts]
        if all(several):
            return [path for paths in several for path in paths or ()]
    return None


_MOST = 100_000  # files in a folder


def _in_folder(name: str) -> list[str]:
    found: list[str] = []

    def fail(error: OSError) -> None:
        # Files that are left out in silence would be missed by nobody.
        raise unreadable(f"the folder {error.filename}", error)

    for folder, folders, files in os.walk(name, onerror=fail):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        paths = (Path(folder, f) for f in sorted(files) if not f.startswith("."))
        found += [str(path) for path in paths if path.is_file()]
        if len(found) > _MOST:
            raise LangmodelsError(
                f"The folder {name} has more than {_MOST:,} files in it; name a smaller one, or a "
                "pattern."
            )
    if not found:
        raise LangmodelsError(f"{name} is a folder without files; give a file, or another folder.")
    return sorted(found, key=lambda path: Path(path).parts)
