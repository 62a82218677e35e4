"""The files of a command line: declared as types of arguments, and checked before any work.

An argument of type `InputFile` (or of a subclass) is read, one of type `OutputFile` is written.
`check_files` finds them among the parsed arguments of any command, and sees that no output replaces
an input, another output or the file that the command prints to, and that all can be written.
"""

import argparse
import glob
import os
import stat
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from langmodels.errors import LangmodelsError, UsageError
from langmodels.names import split_names
from langmodels.storage import check_writable

STANDARD_INPUT = "-"


class InputFile(str):
    """The name of a file that is read; "-" is standard input."""

    __slots__ = ()

    def paths(self) -> Iterator[str]:
        """The paths that the name may stand for, whether they exist or not."""
        yield str(self)


class TextName(InputFile):
    """The name of a text: files, folders or patterns with commas between, then `?` and options."""

    __slots__ = ()

    def paths(self) -> Iterator[str]:
        """See `InputFile`."""
        files = self.partition("?")[0]
        for name in (str(self), files, *split_names(files)):
            yield name
            if glob.has_magic(name):
                yield from glob.iglob(name, recursive=True)  # noqa: PTH207 - absolute ones too


class FileNames(InputFile):
    """The name of a file, or several with commas between."""

    __slots__ = ()

    def paths(self) -> Iterator[str]:
        """See `InputFile`."""
        yield str(self)
        yield from split_names(self)


class ModelNames(FileNames):
    """The name of a model file, or several with commas between; some may be models by name."""

    __slots__ = ()


class OutputFile(str):
    """The name of a file that is written."""

    __slots__ = ()

    def check(self) -> None:
        """Raise LangmodelsError before the work, not after it, if the file cannot be written."""
        _check_named(self)
        check_writable(self)


def _check_named(output: str) -> None:
    """Raise UsageError for the output "-", which would become a file of that name."""
    if output == STANDARD_INPUT:
        raise UsageError("An output needs a name of its own; '-' is none.")


def _check_matplotlib() -> None:
    """Raise LangmodelsError if matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise LangmodelsError(
            "Plots need matplotlib, which is not installed: pip install 'langmodels[report]'."
        )


class PlotFile(OutputFile):
    """The name of a picture that is drawn with matplotlib."""

    __slots__ = ()
    SUFFIXES = (".png", ".svg", ".pdf")

    def check(self) -> None:
        """Raise LangmodelsError before the work if the picture cannot be drawn or written."""
        if not self.lower().endswith(self.SUFFIXES):
            raise UsageError(f"A plot is a .png, .svg or .pdf file, not {self}.")
        _check_matplotlib()
        super().check()


class OutputFolder(str):
    """The name of a folder that files are written to; it may exist."""

    __slots__ = ()

    def check(self) -> None:
        """Raise UsageError before the work if a file has that name."""
        _check_named(self)
        if Path(self).exists() and not Path(self).is_dir():
            raise UsageError(f"{self} is a file; name a folder.")


class PlotFolder(OutputFolder):
    """The name of a folder that pictures drawn with matplotlib are written to."""

    __slots__ = ()

    def check(self) -> None:
        """Raise LangmodelsError before the work if no pictures can be drawn."""
        _check_matplotlib()
        super().check()


class TableFile(OutputFile):
    """The name of a table that is written."""

    __slots__ = ()

    def check(self) -> None:
        """Raise LangmodelsError before the work if the table cannot be written."""
        # Slow to import, and needed only here.
        from langmodels.evaluation.table_files import check_ending, parquet_library

        if check_ending(self) == ".parquet":
            parquet_library()
        super().check()


def check_files(args: argparse.Namespace) -> None:
    """Check all files of a command line before its work begins.

    Raises UsageError where an output would replace an input, another output or the file that the
    command prints to, under whatever name, and LangmodelsError where an output cannot be written.
    """
    inputs, outputs = named(args, InputFile), named(args, OutputFile)
    read, printed = _status(0), _status(1)  # the real ones, not sys.stdin and sys.stdout
    for i, output in enumerate(outputs):
        for other in outputs[:i]:
            if _same(output, other):
                raise UsageError(f"{output} would be written twice; give each output its own name.")
        for given in inputs:
            if any(_reads(path, output) for path in given.paths()):
                raise UsageError(
                    f"{output} would replace {given}, which this command reads; "
                    "write to another file."
                )
        there = _stat(output)
        if STANDARD_INPUT in inputs and _is_same_file(there, read):
            raise UsageError(f"{output} would replace the standard input of this command.")
        if there and not _is_same_file(there, _stat(os.devnull)) and _is_same(there, printed):
            raise UsageError(
                f"{output} is where this command prints its results; write to another file."
            )
    for given in inputs:
        if any(_is_same_file(_stat(path), printed) for path in given.paths()):
            raise UsageError(f"The results are sent to {given}, which this command reads.")
    for output in outputs:
        output.check()
    for folder in named(args, OutputFolder):
        folder.check()


F = TypeVar("F", InputFile, OutputFile, OutputFolder)


def named(args: argparse.Namespace, kind: type[F]) -> list[F]:
    """The file names of a kind among parsed arguments, those in lists included."""
    found: list[F] = []
    for value in vars(args).values():
        for item in value if isinstance(value, list | tuple) else [value]:
            if isinstance(item, kind):
                found.append(item)
    return found


def _reads(path: str, output: str) -> bool:
    """Whether reading `path`, a file or a folder, reads the file `output`."""
    if _same(path, output):
        return True
    there = Path(output)
    return (
        Path(path).is_dir()
        and there.exists()
        and there.resolve().is_relative_to(Path(path).resolve())
    )


def _same(a: str, b: str) -> bool:
    """Whether two names stand for the same file, whether it exists or not."""
    if os.path.normcase(os.path.realpath(a)) == os.path.normcase(os.path.realpath(b)):
        return not _is_same_file(_stat(a), _stat(os.devnull))
    return _is_same_file(_stat(a), _stat(b))  # hard links


def _stat(path: str) -> os.stat_result | None:
    try:
        return Path(path).stat()
    except (OSError, ValueError):
        return None


def _status(descriptor: int) -> os.stat_result | None:
    try:
        return os.fstat(descriptor)
    except OSError:
        return None


def _is_same(a: os.stat_result | None, b: os.stat_result | None) -> bool:
    return a is not None and b is not None and os.path.samestat(a, b)


def _is_same_file(a: os.stat_result | None, b: os.stat_result | None) -> bool:
    """As `_is_same`, but false for devices and pipes."""
    return _is_same(a, b) and a is not None and stat.S_ISREG(a.st_mode)
