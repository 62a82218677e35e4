"""FASTA: sequences of nucleotides or residues under header lines."""

import re
from collections.abc import Iterable, Iterator

FASTA_ENDINGS = (".fa", ".fas", ".fasta", ".fna", ".ffn", ".frn", ".faa")
_HEADER = re.compile(r"^>.*\n", re.MULTILINE)
_COMMENT = re.compile(r"^;.*\n", re.MULTILINE)


def fasta_lines(chunks: Iterable[str]) -> Iterator[str]:
    """A FASTA text, given in pieces, as a text with one record a line.

    Headers (">") and comments (";") are dropped, the lines of a record joined, and letters put in
    upper case, since lower case only marks repeats. Whatever precedes the first header is a record
    too, so that a bare sequence is read as one. Gaps and stops ("-", "*") stay as symbols.
    """
    inside = False  # whether part of a record has been yielded, but not its end
    for text in _whole_lines(chunks):
        for i, block in enumerate(_HEADER.split(_COMMENT.sub("", text))):
            if i and inside:
                yield "\n"
                inside = False
            symbols = "".join(block.split()).upper()
            if symbols:
                yield symbols
                inside = True
    if inside:
        yield "\n"


def _whole_lines(chunks: Iterable[str]) -> Iterator[str]:
    """The same text in pieces that end at line ends; the last line gets one."""
    rest: list[str] = []
    for chunk in chunks:
        cut = chunk.rfind("\n") + 1
        if cut:
            yield "".join([*rest, chunk[:cut]])
            rest = []
        rest.append(chunk[cut:])
    if any(rest):
        yield "".join([*rest, "\n"])
