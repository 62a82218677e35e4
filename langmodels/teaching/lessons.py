"""The lessons: notebooks that come with the package."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from langmodels.errors import LangmodelsError, UsageError
from langmodels.storage import atomic_write

_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Lesson:
    """A notebook and its title, which is its first line."""

    file: Path
    title: str


def lessons() -> list[Lesson]:
    """All lessons, in order. Raises LangmodelsError where they were not installed."""
    inside, beside = _PACKAGE / "lessons", _PACKAGE.parent / "docs" / "lessons"
    files = sorted((inside if inside.is_dir() else beside).glob("*.ipynb"))
    if not files:
        raise LangmodelsError("The lessons are not there; install the package anew.")
    return [Lesson(file, _title(file)) for file in files]


def _title(file: Path) -> str:
    first = json.loads(file.read_text(encoding="utf-8"))["cells"][0]["source"]
    return str("".join(first)).splitlines()[0].removeprefix("# ")


def copy_lessons(folder: str | os.PathLike[str]) -> list[Path]:
    """Copy all lessons into a folder, which is made if it is missing; return the copies.

    Raises UsageError, before anything is written, if the folder has a lesson that differs: somebody
    may have worked on it.
    """
    target = Path(folder)
    found = lessons()
    for lesson in found:
        copy = target / lesson.file.name
        if copy.exists() and copy.read_bytes() != lesson.file.read_bytes():
            raise UsageError(f"{copy} is there already, and was changed; name another folder.")
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LangmodelsError(f"Cannot make {target}: {error.strerror or error}.") from error
    for lesson in found:
        with atomic_write(target / lesson.file.name) as file:
            file.write(lesson.file.read_bytes())
    return [target / lesson.file.name for lesson in found]
