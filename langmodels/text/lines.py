"""Lines of texts that come in pieces: none is longer than memory and time allow."""

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from langmodels.errors import LangmodelsError

LONGEST_LINE = 1 << 24
"""Characters of a line where a line is one thing: a sentence, a record, a word."""


class LineEndWarning(UserWarning):
    """What is several lines elsewhere, each a sequence, is one here."""


def split_lines(chunks: Iterable[str], *, limited: bool = True) -> Iterator[list[str]]:
    r"""The lines of a text that comes in pieces, those that end in one piece together.

    A line ends at "\n" alone, whatever other separators it holds. Raises LangmodelsError where one
    is longer than `LONGEST_LINE`, as those of a device are that never ends, unless they are not to
    be `limited`.
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
    """The same, line by line."""
    return chain.from_iterable(split_lines(chunks, limited=limited))


def check_length(line: str, what: str) -> None:
    """Raise LangmodelsError for a line, named in it, that is longer than `LONGEST_LINE`."""
    if len(line) > LONGEST_LINE:
        raise LangmodelsError(
            f"{what} has more than {LONGEST_LINE:,} characters; is this a text? Cut it into lines "
            "first."
        )


def parted(chunks: Iterable[str]) -> Iterator[str]:
    """The pieces themselves, of a text in which nothing without a blank is that long."""
    run = ""
    for chunk in chunks:
        end = max(map(chunk.rfind, " \n\t")) + 1
        run = chunk[end:] if end else run + chunk
        check_length(run, "A stretch without a blank or the end of a line")
        yield chunk


def in_parts(chunks: Iterable[str], size: int) -> Iterator[str]:
    """A text in parts of about `size` characters, of which all but the last end with a line.

    Before each there is a line that ends with no white space, and in each there is something else
    than that: so whatever white space is taken to belong to is in the same part.
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
