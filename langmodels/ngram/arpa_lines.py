"""The lines of an ARPA file, one by one or in blocks, and the fields of a block."""

import copy
import re
from collections.abc import Iterator
from typing import NamedTuple, cast

import numpy as np

from langmodels.arrays import BoolArray, IndexArray
from langmodels.errors import LangmodelsError
from langmodels.ngram.arpa_source import ByteSource, longest_header
from langmodels.text.byte_fields import Fields, space_table, split_fields

_READ = 1 << 22  # bytes
_DATA = re.compile(rb"^[\t\r ]*\\data\\[\t\r ]*$", re.IGNORECASE | re.MULTILINE)
_LINE = 1 << 20  # bytes that a line, or a run of blank lines, may have
_BLANKS = b"\t\n\r "
"""Separators of fields, as in KenLM; any other white space is part of a word."""
_SPACES = space_table(_BLANKS)
_BLANK = re.compile(rb"[\t\n\r ]*")


class Block(NamedTuple):
    """A run of whole lines, and the number of lines before it in the file."""

    text: bytes
    lines_before: int


class Lines:
    """The lines of the file `name`, read on demand."""

    def __init__(self, file: ByteSource, name: str) -> None:
        self._file = file
        self._name = name
        self._rest = b""
        self.number = 0
        """How many were handed out."""

    def error(self, what: str, line: int | None = None) -> LangmodelsError:
        """An error about line number `line`, by default the line read last."""
        at = self.number if line is None else line
        return LangmodelsError(f"{self._name}, line {at}: {what}.")

    def before_data(self) -> list[bytes]:
        """The lines before the data line, which is skipped.

        Raises LangmodelsError where there is no data line.
        """
        found, passed = None, 0
        while len(self._rest) < longest_header(self._rest) and self._fill():
            found = _DATA.search(self._rest, passed)
            if found is not None and found.end() < len(self._rest):  # else its line may go on
                break
            passed = self._rest.rfind(b"\n") + 1
        if found is None:
            # A data line later than this means another kind of file.
            raise LangmodelsError(f"{self._name} is not an ARPA file: it has no \\data\\ line.")
        before = self._rest[: found.start()].split(b"\n")
        self.number = len(before)
        self._rest = self._rest[found.end() + 1 :]
        return before

    def next(self) -> bytes:
        """The next line that is not blank, stripped; empty at the end of the file."""
        skipped = 0
        while True:
            start = cast(re.Match[bytes], _BLANK.match(self._rest)).end()
            if start == len(self._rest):
                skipped += start
                self.number += self._rest.count(b"\n")
                self._rest = b""
                if skipped > _LINE:
                    raise self.error("there is nothing but blank lines from here on")
                if not self._fill():
                    return b""
                continue
            cut = self._rest.find(b"\n", start)
            if cut < 0:
                self._check_length()
                if self._fill():
                    continue
                cut = len(self._rest)
            self.number += self._rest.count(b"\n", 0, start) + 1
            line, self._rest = self._rest[start:cut].strip(_BLANKS), self._rest[cut + 1 :]
            return line

    def blocks(self) -> Iterator[Block]:
        """Yield blocks of whole lines, up to but not including the next line that starts with a
        backslash.
        """
        ended = False
        while not ended:
            mark = _next_mark(self._rest)
            if mark is not None:
                cut, ended = mark, True
            else:
                cut = self._rest.rfind(b"\n") + 1
                self._check_length()
                if cut == 0 or len(self._rest) < _READ:
                    if self._fill():
                        continue
                    cut, ended = len(self._rest), True
            lines, self._rest = self._rest[:cut], self._rest[cut:]
            if lines:
                if len(lines) > _LINE and not lines.strip(_BLANKS):
                    raise self.error("there is nothing but blank lines from here on")
                yield Block(lines, self.number)
                self.number += lines.count(b"\n")

    def _fill(self) -> bool:
        block = self._file.read(_READ)
        self._rest += block
        return bool(block)

    def _check_length(self) -> None:
        if len(self._rest) - self._rest.rfind(b"\n") > _LINE + 1:
            raise self.error(f"the line is longer than {_LINE:,} bytes", self.number + 1)


class Entries:
    """The non-blank lines of a block, split into fields: field j of entry i is fields(j)[i]."""

    def __init__(self, block: Block) -> None:
        self._all = split_fields(block.text, _SPACES)
        line_ends = np.flatnonzero(np.frombuffer(block.text, np.uint8) == ord("\n"))
        if not block.text.endswith(b"\n"):
            line_ends = np.append(line_ends, len(block.text))
        stop = np.searchsorted(self._all.starts, line_ends)
        counts = np.diff(stop, prepend=0)
        filled = np.flatnonzero(counts)
        self.counts: IndexArray = counts[filled]
        """(n,) fields in each."""
        self._first = (stop - counts)[filled]
        self._lines = filled + block.lines_before + 1

    def select(self, which: BoolArray | IndexArray) -> "Entries":
        """A subset of the entries, by mask or indices."""
        part = copy.copy(self)
        part.counts, part._first = self.counts[which], self._first[which]
        part._lines = self._lines[which]
        return part

    def fields(self, column: int) -> Fields:
        """Field `column` of each entry."""
        return self._all.select(self._first + column)

    def line(self, i: int) -> int:
        """The number of an entry's line in the file, from 1."""
        return int(self._lines[i])


def shown(text: bytes) -> str:
    """A piece of a file as a message shows it."""
    some = text[:60].decode("utf-8", "replace")
    return repr(some) if text else "the end of the file"


def _next_mark(data: bytes) -> int | None:
    """The position of the first line that starts with a backslash, possibly indented; None without
    one.
    """
    if b"\\" not in data:
        return None
    if re.match(rb"[ \t\r]*\\", data):
        return 0
    later = re.search(rb"\n[ \t\r]*\\", data)
    return later.start() + 1 if later else None
