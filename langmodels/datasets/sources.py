"""From the name of a corpus to its text.

A name is, in this order: "-" (standard input), the path of a file (one called `.fasta` or the like
is read as such), a column of a file (`data.csv?series=price`, `log.csv?events=activity&case=id`), a
corpus that ships with the package, a generator (`synthetic:markov?order=2`), `python-docs`, or a
book of Project Gutenberg (`gutenberg:11`).
"""

import difflib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langmodels.datasets import fasta, files, gutenberg, python_docs, synthetic, tables
from langmodels.datasets.synthetic import Generator
from langmodels.errors import LangmodelsError, UsageError

Opener = Callable[[], Iterator[str]]

# What is said of the corpora that ship with the package, by file name.
_SHIPPED: dict[str, str] = {
    "wonderland.txt": "The Thirteenth Stair, an original tale written for this package (CC0)",
}
_TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.xz", ".tsv.xz")
_FIRST_PARENT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Source:
    """A text that can be opened, and what is known about it before a model has seen it.

    `level` is the tokenization that the source was made for, where there is one, and `options` are
    those of its tokenizer. `entropy_bits` is the entropy rate in bits per character, every newline
    counted as a character, where it is known: no model can do better on average. With
    `entropy_is_bound` it is only a lower bound of the rate. `entropy_note` says in a clause what
    the figure is. `generator` is the true model of a synthetic source.
    """

    name: str
    description: str
    opener: Opener = field(repr=False, compare=False)
    level: str | None = None
    entropy_bits: float | None = None
    entropy_is_bound: bool = False
    entropy_note: str = ""
    generator: Generator | None = field(default=None, repr=False, compare=False)
    options: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def open(self) -> Iterator[str]:
        """Yield the text in pieces of bounded size, which may end anywhere.

        Raises LangmodelsError where the text cannot be had: what the file, or the network, said.
        """
        return self.opener()

    def read(self) -> str:
        """Return the whole text; raises what :meth:`open` raises."""
        return "".join(self.open())


@dataclass(frozen=True)
class Listing:
    """One line of the list of corpora: `name` as `find_source` takes it, and what it names."""

    name: str
    kind: str  # "shipped", "generated", "python" or "book"
    description: str
    available: bool  # False: it would be downloaded


def find_source(name: str, encoding: str = "utf-8") -> Source:
    """Return the source that `name` names; `encoding` is that of a file given by its path.

    Nothing is read, generated or downloaded until the source is opened. Raises UsageError for a
    name that means nothing (with the names that come close) or a bad parameter of a generator,
    LangmodelsError for a folder.
    """
    if name == files.STANDARD_INPUT:
        return Source(name, "standard input", lambda: files.read_chunks(name, encoding))
    if not name.strip():
        raise UsageError(
            "The name of the corpus is empty; `langmodels corpora` lists what there is."
        )
    if os.path.exists(name):  # noqa: PTH110 - unlike Path.exists, never raises
        return _file_source(name, encoding)
    path, mark, query = name.partition("?")
    readable = path == files.STANDARD_INPUT or os.path.exists(path)  # noqa: PTH110
    if mark and (readable or path.endswith(_TABLES)):
        return _table_source(name, path, query, encoding)
    shipped = _shipped_file(name)
    if shipped is not None:
        description = _SHIPPED.get(name, "a corpus that ships with the package")
        return Source(name, description, lambda: files.read_chunks(shipped))
    if name.startswith(synthetic.PREFIX):
        return _synthetic_source(name)
    if name == python_docs.NAME:
        return Source(name, python_docs.DESCRIPTION, python_docs.read_python_docs)
    if name.startswith(gutenberg.PREFIX):
        number = gutenberg.book_number(name)
        return Source(name, gutenberg.describe(number), lambda: gutenberg.read_book(number))
    raise UsageError(_not_found(name))


def list_sources() -> list[Listing]:
    """Return what `find_source` can find beside the user's own files, the shipped corpora first."""
    shipped = [
        Listing(path.name, "shipped", _SHIPPED.get(path.name, "a corpus of this package"), True)
        for path in _shipped_files()
    ]
    generated = [
        Listing(
            f"{synthetic.PREFIX}{kind}",
            "generated",
            f"{generator.summary} ({synthetic.parameter_help(generator)})",
            True,
        )
        for kind, generator in synthetic.GENERATORS.items()
    ]
    docs = Listing(python_docs.NAME, "python", python_docs.DESCRIPTION, True)
    books = [
        Listing(
            f"{gutenberg.PREFIX}{number}",
            "book",
            gutenberg.describe(number),
            gutenberg.cached_file(number).is_file(),
        )
        for number in gutenberg.CATALOGUE
    ]
    return [*shipped, *generated, docs, *books]


def _file_source(name: str, encoding: str) -> Source:
    if Path(name).is_dir():
        raise LangmodelsError(f"{name} is a folder; give the name of a text file in it.")
    if fasta.is_fasta(name):
        return Source(
            name,
            "sequences of a FASTA file",
            lambda: fasta.fasta_lines(files.read_chunks(name, encoding)),
            level="symbols",
            options={"width": 1, "lines": True},
        )
    return Source(name, "a file", lambda: files.read_chunks(name, encoding))


def _table_source(name: str, path: str, query: str, encoding: str) -> Source:
    table, options = tables.parse_table(path, query, encoding)
    return Source(name, table.description, table.read, level=table.level, options=options)


def _synthetic_source(name: str) -> Source:
    name, options = tables.take_series_options(name)
    generator = synthetic.make_generator(name)
    if options and generator.level != "series":
        raise UsageError(f"{name} is no series of numbers; leave out {', '.join(options)}.")
    return Source(
        generator.name,
        generator.summary,
        lambda: iter([generator.generate()]),
        level=generator.level,
        options={**generator.options, **options},
        entropy_bits=generator.entropy_bits,
        entropy_is_bound=generator.entropy_is_bound,
        entropy_note=generator.entropy_note,
        generator=generator,
    )


def shipped_folder() -> Path:
    """The folder of the shipped corpora: in an installed package, or beside it in a clone."""
    inside = _FIRST_PARENT / "corpora"
    beside = _FIRST_PARENT.parent / "corpora"
    if not inside.is_dir() and (_FIRST_PARENT.parent / "pyproject.toml").is_file():
        return beside
    return inside


def _shipped_files() -> list[Path]:
    folder = shipped_folder()
    if not folder.is_dir():
        return []
    hidden = (".md", ".py", ".json")  # what explains the corpora
    return sorted(p for p in folder.iterdir() if p.is_file() and p.suffix not in hidden)


def _shipped_file(name: str) -> Path | None:
    return next((path for path in _shipped_files() if path.name == name), None)


def _not_found(name: str) -> str:
    known = [listing.name for listing in list_sources()]
    known += [str(path) for path in _siblings(Path(name))]
    name = name if len(name) < 100 else name[:97] + "..."
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    hint = f"; did you mean {' or '.join(close)}?" if close else "."
    return (
        f"There is no file and no corpus called {name!r}{hint} "
        "`langmodels corpora` lists what there is."
    )


def _siblings(path: Path) -> list[Path]:
    try:
        return [p for p in path.parent.iterdir() if p.is_file()][:1000]
    except OSError:
        return []
