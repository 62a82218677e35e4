"""Texts as streams of pieces, possibly consisting of documents."""

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sized
from pathlib import Path

import numpy as np

from langmodels.arrays import IndexArray
from langmodels.errors import UsageError
from langmodels.kinds import OPENERS
from langmodels.text.cleaning import clean, is_linewise
from langmodels.text.lines import LineEndWarning

_PIECE = 1 << 22  # characters of a piece of a string
_LONGEST_NAME = 4096  # characters of a path
_TOGETHER = 1 << 20  # characters of documents joined into a piece


class TextStream:
    """A text in pieces that may end anywhere, consisting of documents that end at line ends.

    `lines` is the number of lines of each document. The producer of the pieces appends to it: a
    document that ends before a piece is in it when that piece is yielded, and it is complete when
    all pieces are consumed. Streams derived from this one share the list. It stays empty if
    documents are unknown.
    """

    def __init__(self, pieces: Iterable[str], lines: list[int] | None = None) -> None:
        self.pieces = pieces
        self.lines: list[int] = [] if lines is None else lines

    def __iter__(self) -> Iterator[str]:
        return iter(self.pieces)

    @classmethod
    def of_documents(cls, texts: Iterable[str]) -> "TextStream":
        """A stream of the texts of documents, joined into pieces of bounded size."""
        lines: list[int] = []

        def pieces() -> Iterator[str]:
            some: list[str] = []
            size = 0
            for text in texts:
                ended = text if text.endswith("\n") else f"{text}\n"
                lines.append(ended.count("\n"))
                some.append(ended)
                size += len(ended)
                if size >= _TOGETHER:
                    yield "".join(some)
                    some, size = [], 0
            if some:
                yield "".join(some)

        return cls(pieces(), lines)

    @classmethod
    def of_one(cls, pieces: Iterable[str]) -> "TextStream":
        """A stream of a single document in given pieces."""
        lines: list[int] = []

        def counted() -> Iterator[str]:
            n = 0
            end = "\n"
            for piece in pieces:
                n += piece.count("\n")
                end = piece or end
                yield piece
            lines.append(n + (not end.endswith("\n")))

        return cls(counted(), lines)

    @classmethod
    def joined(cls, streams: Iterable["TextStream"]) -> "TextStream":
        """Concatenate several streams, each starting on a new line."""
        lines: list[int] = []

        def pieces() -> Iterator[str]:
            end = "\n"
            for stream in streams:
                known = 0
                if not end.endswith("\n"):
                    yield "\n"
                for piece in stream:
                    lines.extend(stream.lines[known:])
                    known = len(stream.lines)
                    yield piece
                    end = piece or end
                lines.extend(stream.lines[known:])

        return cls(pieces(), lines)

    def cleaned(self, how: str) -> "TextStream":
        """The cleaned text; documents are lost if the cleaning does not keep lines."""
        return TextStream(clean(self, how), self.lines if is_linewise(how) else [])

    def starts(self) -> IndexArray | None:
        """The first line of each of D documents, and the number of lines, (D + 1,).

        Call it after the text was read to its end; None for a single document.
        """
        if len(self.lines) < 2:
            return None
        return np.concatenate([[0], np.cumsum(self.lines, dtype=np.int64)])

    def batches(self, batches: Iterable[list[str]]) -> Iterator[tuple[list[str], IndexArray]]:
        """Yield batches of the lines of this text, each with the indices of lines that start
        documents.

        The indices, (n,), count from the start of the batch. `batches` may be made of pieces that
        another thread reads ahead.
        """
        done = known = begin = 0
        told = -1
        for batch in batches:
            end, begins = done + len(batch), []
            while begin < end:
                if begin > told:
                    told = begin
                    begins.append(begin - done)
                if known == len(self.lines):
                    break
                begin, known = begin + self.lines[known], known + 1
            done = end
            yield batch, np.array(begins, np.int64)


RawText = str | Path | Iterable[str] | TextStream
"""The forms in which a text may be given: a string, the path of a file, a list of lines, or a
stream of pieces.
"""


def text_stream(text: RawText) -> TextStream:
    """A text in any of these forms as a stream; the items of a list or a column are lines.

    Files are read as by the commands, with decompression and by document format.

    Raises LangmodelsError for a file that cannot be read, UsageError for a value that is not a text
    and for a string that is the name of a file.
    """
    if isinstance(text, Path):
        text = OPENERS[-1](text)
    return text if isinstance(text, TextStream) else TextStream(_pieces(text))


def _pieces(text: str | Iterable[str]) -> Iterable[str]:
    if isinstance(text, str):
        if _names_file(text):
            raise UsageError(
                f"{text!r} is the name of a file; give pathlib.Path({text!r}) for the text in it, "
                f"or [{text!r}] if that is the text."
            )
        return (text[i : i + _PIECE] for i in range(0, len(text), _PIECE))
    # Iterating over these would give keys or column names.
    if not isinstance(text, Iterable) or isinstance(text, bytes | Mapping) or _is_frame(text):
        raise UsageError(
            f"A text is a string, a path, a list of lines or a stream of strings, not a "
            f"{type(text).__name__}."
        )
    if isinstance(text, Sized):  # a list or a column of a data frame
        for line in text:
            if not isinstance(line, str):
                raise UsageError(f"The lines of a text are strings, not {type(line).__name__}.")
        return [f"{line.removesuffix(chr(10))}\n" for line in text]
    return _watched(text)


def _watched(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces unchanged; warns if they look like lines without line ends, which belong in a
    list.
    """
    n, is_one = 0, True
    for piece in pieces:
        n += 1
        is_one = is_one and "\n" not in piece
        yield piece
    if n > 1 and is_one:
        warnings.warn(
            f"A stream of strings is one text, cut anywhere: these {n:,} hold no line end, and are "
            "one line without anything between them. If they are lines, make a list of them.",
            LineEndWarning,
            stacklevel=2,
        )


def _names_file(text: str) -> bool:
    """Whether a string is probably meant as a path."""
    # A Path raises for names that are too long.
    return len(text) < _LONGEST_NAME and "\n" not in text and os.path.isfile(text)  # noqa: PTH113


def _is_frame(value: object) -> bool:
    """Whether a value is a data frame of pandas or Polars, rather than a column."""
    return hasattr(value, "columns")


def line_starts(text: str, lines: IndexArray) -> IndexArray:
    """The offset in a text of each of the given lines (n,); the length of the text for one past the
    last.
    """
    breaks = np.flatnonzero(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4") == 10)
    starts = np.concatenate([[0], breaks + 1, [len(text)]]).astype(np.int64)
    return starts[np.minimum(lines, len(starts) - 1)]
