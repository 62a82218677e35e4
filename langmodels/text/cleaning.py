"""Named ways of cleaning text before it is tokenized."""

from collections.abc import Callable, Iterable, Iterator

from langmodels.errors import UsageError


def lines_of(chunks: Iterable[str]) -> Iterator[str]:
    """The lines, without their newlines, of a text that comes in pieces."""
    rest = ""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split("\n")
        yield from lines
    if rest:
        yield rest


def clean_article(chunks: Iterable[str]) -> Iterator[str]:
    """The classic preparation of a book for a small character model.

    Strip every line, lower-case it, drop what is not ASCII, skip blank lines, join by single
    spaces.
    """
    first = True
    for line in lines_of(chunks):
        line = line.strip().lower().encode("ascii", "ignore").decode()
        if line:
            yield line if first else f" {line}"
            first = False


def clean_lower(chunks: Iterable[str]) -> Iterator[str]:
    """Lower-case and nothing else."""
    return (chunk.lower() for chunk in chunks)


CLEANINGS: dict[str, Callable[[Iterable[str]], Iterator[str]]] = {
    "none": iter,
    "lower": clean_lower,
    "article": clean_article,
}


LINEWISE = ("none", "lower")
"""Those that clean every line by itself, and keep it a line."""


def clean(chunks: Iterable[str], how: str) -> Iterator[str]:
    """Apply a named cleaning. Raises UsageError for an unknown name."""
    if how not in CLEANINGS:
        raise UsageError(f"There is no cleaning {how!r}; choose one of {', '.join(CLEANINGS)}.")
    return CLEANINGS[how](chunks)
