"""Lines of texts that come in pieces, with a limit on their length."""

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from langmodels.errors import LangmodelsError

LONGEST_LINE = 1 << 24
"""The longest line in characters, where a line is a unit: a sentence, a record, a word."""


class LineEndWarning(UserWarning):
    """A text of several lines, which in a corpus are sequences of their own, is read as one
    sequence.
    """


def split_lines(chunks: Iterable[str], *, limited: bool = True) -> Iterator[list[str]]:
    r"""Yield the lines of a text in pieces, as a list for each piece.

    Lines end at "\n" only. If `limited`, a line longer than `LONGEST_LINE`, such as that of an
    endless device, raises LangmodelsError.
    """
    rest, number = "", 0
    for chunk in chunks:
        *lines, rest = (rest + chunk).split("\n")
        number += len(lines)
        if limited:
            check_length(rest, f"Line {number + 1:,}")
        if lines:
            yield lines
    if rest:
        yield [rest]


def lines_of(chunks: Iterable[str], *, limited: bool = True) -> Iterator[str]:
    """`split_lines`, line by line."""
    return chain.from_iterable(split_lines(chunks, limited=limited))


def check_length(line: str, what: str) -> None:
    """Raise LangmodelsError, which calls the line `what`, for one longer than `LONGEST_LINE`."""
    if len(line) > LONGEST_LINE:
        raise LangmodelsError(
            f"{what} has more than {LONGEST_LINE:,} characters; is this a text? Cut it into lines "
            "first."
        )


def parted(chunks: Iterable[str]) -> Iterator[str]:
    """The pieces unchanged. Raises LangmodelsError for a stretch without white space longer than
    `LONGEST_LINE`.
    """
    run = ""
    for chunk in chunks:
        end = max(map(chunk.rfind, " \n\t")) + 1
        run = chunk[end:] if end else run + chunk
        check_length(run, "A stretch without a blank or the end of a line")
        yield chunk


def in_parts(chunks: Iterable[str], size: int) -> Iterator[str]:
    """Yield a text in parts of about `size` characters that end at line ends.

    A part is cut only after a line that does not end in white space, and contains more than white
    space: so white space is in the same part as the tokens on either side that it may belong to.
    """
    held = ""
    for chunk in chunks:
        held += chunk
        begin, last = 0, len(held.rstrip())
        while (found := _PLACE.search(held, begin + size, last)) and found.end() < last:
            yield held[begin : found.end()]
            begin = found.end()
        held = held[begin:]
    if held:
        yield held


_PLACE = re.compile(r"\S\n")
