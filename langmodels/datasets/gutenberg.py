"""Public-domain books from Project Gutenberg, by number."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from langmodels.datasets import files
from langmodels.errors import LangmodelsError, UsageError
from langmodels.storage import cache_folder

PREFIX = "gutenberg:"
URL_VARIABLE = "LANGMODELS_GUTENBERG"

_HOME = "https://www.gutenberg.org"


class Book(NamedTuple):
    """A book: its title, its author, and the year of its first publication."""

    title: str
    author: str
    year: int


CATALOGUE: dict[int, Book] = {
    10: Book("The King James Bible", "various", 1611),
    11: Book("Alice's Adventures in Wonderland", "Lewis Carroll", 1865),
    12: Book("Through the Looking-Glass", "Lewis Carroll", 1871),
    16: Book("Peter Pan", "J. M. Barrie", 1911),
    35: Book("The Time Machine", "H. G. Wells", 1895),
    36: Book("The War of the Worlds", "H. G. Wells", 1898),
    43: Book("Strange Case of Dr Jekyll and Mr Hyde", "Robert Louis Stevenson", 1886),
    46: Book("A Christmas Carol", "Charles Dickens", 1843),
    55: Book("The Wonderful Wizard of Oz", "L. Frank Baum", 1900),
    74: Book("The Adventures of Tom Sawyer", "Mark Twain", 1876),
    76: Book("Adventures of Huckleberry Finn", "Mark Twain", 1884),
    84: Book("Frankenstein", "Mary Shelley", 1818),
    98: Book("A Tale of Two Cities", "Charles Dickens", 1859),
    100: Book("The Complete Works", "William Shakespeare", 1623),
    120: Book("Treasure Island", "Robert Louis Stevenson", 1883),
    145: Book("Middlemarch", "George Eliot", 1871),
    158: Book("Emma", "Jane Austen", 1815),
    161: Book("Sense and Sensibility", "Jane Austen", 1811),
    174: Book("The Picture of Dorian Gray", "Oscar Wilde", 1890),
    345: Book("Dracula", "Bram Stoker", 1897),
    768: Book("Wuthering Heights", "Emily Brontë", 1847),
    1228: Book("On the Origin of Species", "Charles Darwin", 1859),
    1260: Book("Jane Eyre", "Charlotte Brontë", 1847),
    1342: Book("Pride and Prejudice", "Jane Austen", 1813),
    1400: Book("Great Expectations", "Charles Dickens", 1861),
    1661: Book("The Adventures of Sherlock Holmes", "Arthur Conan Doyle", 1892),
    2591: Book("Grimms' Fairy Tales", "Jacob and Wilhelm Grimm", 1812),
    2600: Book("War and Peace", "Leo Tolstoy", 1869),
    2701: Book("Moby-Dick", "Herman Melville", 1851),
    4300: Book("Ulysses", "James Joyce", 1922),
}

# "*** START OF THE PROJECT GUTENBERG EBOOK 11 ***", and its variants over the years; a long title
# may run over several lines up to the closing asterisks.
_START = re.compile(
    r"^\*{3} ?START OF (?:THE|THIS) PROJECT GUTENBERG E(?:BOOK|TEXT)"
    r"(?:[^*\n]*(?:\n[^*\n]+){0,3}\*{3}|[^\n]*)[ \t]*$",
    re.MULTILINE | re.IGNORECASE,
)
_SMALL_PRINT = re.compile(r"^\*END[* ]+THE SMALL PRINT[^\n]*$", re.MULTILINE | re.IGNORECASE)
_END = re.compile(
    r"^\*{3} ?END OF (?:THE|THIS) PROJECT GUTENBERG E(?:BOOK|TEXT)", re.MULTILINE | re.IGNORECASE
)
# A line before the closing marker, in old texts in place of it; the title may need a second line.
_END_NOTE = re.compile(
    r"^(?:This is the )?End of (?:the |this )?Project Gutenberg\b", re.MULTILINE | re.IGNORECASE
)
# A first paragraph on who made the electronic text, which is no part of the book. Where it begins
# with a bare "Produced by", nothing but names may follow, or a word such as "proofreading".
_CREDITS = re.compile(
    r"\s*(?:(?P<text>(?:This )?e-?(?:text|book) (?:was |is )?(?:created|produced|prepared|"
    r"transcribed))|produced|prepared|transcribed) by\b(?P<whom>.*?)(?:\n[ \t]*\n|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_MAKERS = re.compile(r"proofread|pgdp|gutenberg|volunteer|https?:|www\.|@", re.IGNORECASE)
_BETWEEN_NAMES = re.compile("and|the|of|for|with|from|at|by|de|del|di|du|la|le|van|von|der|others")


def book_number(name: str) -> int:
    """Return the number in a name such as `gutenberg:11`; raises UsageError where there is none."""
    digits = name.removeprefix(PREFIX)
    if not re.fullmatch(r"[1-9][0-9]{0,6}", digits):
        raise UsageError(
            f"{digits!r} is not a number of a book; write {PREFIX}11 for Alice's Adventures in "
            "Wonderland, and see `langmodels corpora` for more."
        )
    return int(digits)


def describe(number: int) -> str:
    """Title, author and year of a book of `CATALOGUE`, else only its number."""
    book = CATALOGUE.get(number)
    if book is None:
        return f"book {number} of Project Gutenberg"
    return f"{book.title}, {book.author}, {book.year}"


def cached_file(number: int) -> Path:
    """The path at which a downloaded book is kept, unchanged."""
    return cache_folder() / "gutenberg" / f"pg{number}.txt"


def read_book(number: int, base_url: str | None = None) -> Iterator[str]:
    """Yield the text of a book without header and licence, downloading it the first time.

    `base_url` is the server's address, by default $LANGMODELS_GUTENBERG or Project Gutenberg's
    own; a mirror must have the same paths (/cache/epub/11/pg11.txt). Raises LangmodelsError where
    the book does not exist, cannot be fetched, or does not look like a book of Project Gutenberg.
    """
    target = cached_file(number)
    if not target.is_file():
        from langmodels.datasets.download import NotFoundError, download  # slow to import

        base = (base_url or os.environ.get(URL_VARIABLE) or _HOME).rstrip("/")
        try:
            download(f"{base}/cache/epub/{number}/pg{number}.txt", target, check=_check)
        except NotFoundError as error:
            raise LangmodelsError(
                f"Project Gutenberg has no plain text of a book {number}; look for the number at "
                f"{_HOME}."
            ) from error
        except LangmodelsError as error:
            raise LangmodelsError(
                f"{error} Without a network, `langmodels corpora` lists the corpora that need none."
            ) from error
    yield strip_boilerplate(files.read_text(target))


def strip_boilerplate(text: str) -> str:
    """Return the text between the markers of Project Gutenberg, without the note on who made it.

    Knows the markers of all years: `*** START OF THE PROJECT GUTENBERG EBOOK ... ***`, THIS and
    ETEXT for THE and EBOOK, with and without spaces, titles over several lines, the end of the
    `SMALL PRINT` of the nineties, and a line `End of Project Gutenberg's ...` ahead of the closing
    marker. A text without markers is returned as it is.
    """
    begin, end = _extent(text)
    if begin == 0 and end == len(text):
        return text
    body = text[begin:end]
    credits = _CREDITS.match(body)
    if credits and (credits["text"] or _names_makers(credits["whom"])):
        body = body[credits.end() :]
    return body.strip("\n") + "\n"


def _names_makers(text: str) -> bool:
    """Whether what follows "Produced by" says who made the text, and is no sentence of the book."""
    words = re.findall(r"[^\W\d_]+", text)
    is_names = all(word[0].isupper() or _BETWEEN_NAMES.fullmatch(word) for word in words)
    return bool(_MAKERS.search(text)) or is_names


def _extent(text: str) -> tuple[int, int]:
    """Offsets of the book's beginning and end; 0 and len(text) where there are no markers."""
    mark = _END.search(text)
    end = mark.start() if mark else len(text)
    # An old header, small print and all, may come after a new one.
    starts = [m.end() for p in (_START, _SMALL_PRINT) for m in p.finditer(text, 0, end)]
    begin = max(starts, default=0)
    notes = [note.start() for note in _END_NOTE.finditer(text, begin, end)]
    if notes and (mark is None or end - notes[-1] < 500):
        end = notes[-1]
    return begin, end


def _check(path: Path) -> None:
    """Raise LangmodelsError unless a file is a complete book, not a login page or a fragment."""
    try:
        text = files.read_text(path)
    except LangmodelsError:
        text = ""
    begin, end = _extent(text)
    if begin == 0 or end == len(text):
        raise LangmodelsError(
            "What the server sent is not a book of Project Gutenberg (the lines that mark its "
            "start and its end are missing), so it was deleted; try again later."
        )
