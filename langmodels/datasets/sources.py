"""From the name of a corpus to its text.

A name is, in this order: "-" (standard input), the path of a file or a folder, a field of the
documents of a file (`docs.jsonl?text=body,id=url`), a column of a file (`data.csv?series=price`,
`log.csv?events=activity&case=id`), several files with commas between them or a pattern
(`docs/*.txt.gz`), a corpus that ships with the package, a generator (`synthetic:markov?order=2`),
`python-docs`, or a book of Project Gutenberg (`gutenberg:11`). Which formats files may have is in
`documents`.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from langmodels.arguments import checked
from langmodels.datasets import files, gutenberg, python_docs, synthetic, tables
from langmodels.datasets.documents import Document, Records, Request, format_by_name, format_of
from langmodels.datasets.paths import find_files
from langmodels.datasets.queries import parse_query
from langmodels.datasets.synthetic import Generator
from langmodels.errors import LangmodelsError, UsageError, alike, unreadable
from langmodels.settings import parameters
from langmodels.text.levels import TOKENIZERS
from langmodels.text.streams import TextStream, text_stream

Opener = Callable[[], Iterable[str]]

# Descriptions of the corpora that ship with the package, by file name.
_SHIPPED: dict[str, str] = {
    "wonderland.txt": "The Thirteenth Stair, an original tale written for this package (CC0)",
    **{
        f"lighthouse.{code}.txt": f"The Light in the Bay, a short tale written in {name} (CC0)"
        for code, name in (("ar", "Arabic"), ("de", "German"), ("hi", "Hindi"), ("zh", "Chinese"))
    },
}
_TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.xz", ".tsv.xz")
_FIRST_PARENT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Source:
    """A text that can be opened, and what is known about it before it is read."""

    name: str
    description: str
    opener: Opener = field(repr=False, compare=False)
    level: str | None = None
    """The level that the text is meant for, None where it may be any."""
    entropy_bits: float | None = None
    """Its entropy rate in bits per character, newlines included, where it is known: no model can do
    better on average."""
    entropy_is_bound: bool = False
    """Whether `entropy_bits` is only a lower bound of the entropy rate."""
    entropy_note: str = ""
    """What the figure `entropy_bits` is, in a clause."""
    generator: Generator | None = field(default=None, repr=False, compare=False)
    """The true model of a synthetic text."""
    options: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """Options of the tokenizer of `level`."""
    language: str | None = None
    """Its language (ISO 639-1); empty for a text in no language, None where it is unknown."""
    document_opener: Callable[[], Iterator[Document]] | None = field(
        default=None, repr=False, compare=False
    )
    part_opener: Callable[[], Iterator[tuple[Document, bool]]] | None = field(
        default=None, repr=False, compare=False
    )
    has_fields: bool = False
    """Whether its documents may have fields beside their text."""
    is_plain: bool = False
    """Whether it is a file of the user's, of which the description says no more."""

    def open(self) -> TextStream:
        """The text in pieces of bounded size, which may end anywhere.

        Iterating over them raises LangmodelsError where the file cannot be read or downloaded.
        """
        found = self.opener()
        return TextStream(found) if isinstance(found, Iterator) else text_stream(found)

    def documents(self) -> Iterator[Document]:
        """Yield the documents, with id and fields; a text without any is a single document.

        Raises what :meth:`open` raises.
        """
        if self.document_opener is not None:
            return self.document_opener()
        return iter([Document(self.read(), self.name)])

    def parts(self) -> Iterator[tuple[Document, bool]]:
        """(part, whether it begins a document); long plain documents are cut into runs of lines.

        Raises what :meth:`open` raises.
        """
        if self.part_opener is not None:
            return self.part_opener()
        return ((document, True) for document in self.documents())

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


@checked
def find_source(
    name: str, encoding: str = "utf-8", errors: str = "strict", *, live: bool = False
) -> Source:
    """Return the source that `name` stands for, see the module's description.

    `encoding` and `errors` (one of `encodings.ERRORS`) apply to files. `live`: give out the text of
    a pipe as it comes, in smaller pieces. Nothing is read, generated or downloaded until the source
    is opened. Raises LangmodelsError for an unknown name (suggesting similar ones) or a folder
    without files, UsageError for a bad parameter of a generator.
    """
    if not name.strip():
        raise UsageError(
            "The name of the corpus is empty; `langmodels corpora` lists what there is."
        )
    requests = find_requests(name, encoding, errors, live=live)
    if requests is not None:
        return _files_source(name, requests)
    base, mark, query = name.partition("?")
    if mark and (base.endswith(_TABLES) or find_files(base) is not None):
        return _table_source(name, base, query, encoding, errors)
    shipped = _shipped_file(name)
    if shipped is not None:
        description = _SHIPPED.get(name, "a corpus that ships with the package")
        language = _language(name)
        level = "char" if language == "zh" else None  # there are no blanks between its words
        return Source(
            name, description, lambda: files.read_chunks(shipped), level, language=language
        )
    if name.startswith(synthetic.PREFIX):
        return _synthetic_source(name)
    if name == python_docs.NAME:
        return Source(name, python_docs.DESCRIPTION, python_docs.read_python_docs, language="en")
    if name.startswith(gutenberg.PREFIX):
        number = gutenberg.book_number(name)
        return Source(
            name,
            gutenberg.describe(number),
            lambda: gutenberg.read_book(number),
            language="en" if number in gutenberg.CATALOGUE else None,
        )
    raise LangmodelsError(_not_found(name))


def open_path(path: Path) -> TextStream:
    """The text of a file, a folder or a pattern of files, as `find_source` reads it.

    Raises LangmodelsError where there are no such files.
    """
    requests = find_requests(str(path))
    if requests is None:
        raise unreadable(path, FileNotFoundError())
    return _files_source(str(path), requests).open()


def find_requests(
    name: str, encoding: str = "utf-8", errors: str = "strict", *, live: bool = False
) -> list[Request] | None:
    """The files that a name stands for and how to read them; None if it stands for no files."""
    paths = find_files(name)
    if paths is not None:
        return [Request(path, encoding, errors, live=live) for path in paths]
    base, _, query = name.partition("?")
    columns = any(part.startswith(("series=", "events=")) for part in re.split("[&,]", query))
    paths = None if columns or not query else find_files(base)
    if paths is None:
        return None
    options = parse_query(query, ("text", "id", "delimiter"), base)
    if "delimiter" in options:
        options["delimiter"] = tables.delimiter_of(options["delimiter"])
    text, name_of, delimiter = (options.get(key) for key in ("text", "id", "delimiter"))
    return [Request(path, encoding, errors, text, name_of, delimiter, live) for path in paths]


@checked
def list_sources() -> list[Listing]:
    """Return all that `find_source` knows by name beside files; shipped corpora come first."""
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


def _files_source(name: str, requests: list[Request]) -> Source:
    """The source that joins the texts of files, each read in its own format."""

    def text() -> TextStream:
        return TextStream.joined(format_of(request).open(request) for request in requests)

    def documents() -> Iterator[Document]:
        return chain.from_iterable(format_of(r).documents(r) for r in requests)

    def parts() -> Iterator[tuple[Document, bool]]:
        return chain.from_iterable(format_of(r).parts(r) for r in requests)

    first = requests[0]
    kind = format_by_name(first.path)
    many = f"{len(requests):,} files" if len(requests) > 1 else "a file"
    if first.path == files.STANDARD_INPUT:
        many = "standard input"
    return Source(
        name,
        many if first.text is None else f"the field {first.text!r} of {many}",
        text,
        level=kind.level,
        options=kind.options,
        document_opener=documents,
        part_opener=parts,
        has_fields=any(
            r.text is not None or isinstance(format_by_name(r.path), Records) for r in requests
        ),
        is_plain=len(requests) == 1 and first.text is None and first.path != files.STANDARD_INPUT,
    )


def _table_source(name: str, path: str, query: str, encoding: str, errors: str) -> Source:
    table, options = tables.parse_table(path, query, encoding, errors)
    return Source(name, table.description, table.read, level=table.level, options=options)


def _synthetic_source(name: str) -> Source:
    name, options = tables.take_series_options(name)
    generator = synthetic.make_generator(name)
    if not options.keys() <= parameters(TOKENIZERS.find(generator.level)).keys():
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
        language="",
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
    hidden = (".md", ".py", ".json")  # files about the corpora
    return sorted(p for p in folder.iterdir() if p.is_file() and p.suffix not in hidden)


def _shipped_file(name: str) -> Path | None:
    return next((path for path in _shipped_files() if path.name == name), None)


def _language(name: str) -> str:
    """Language code of a shipped corpus: `de` of lighthouse.de.txt; English if there is none."""
    return Path(name).suffixes[0].removeprefix(".") if Path(name).suffixes[1:] else "en"


def _not_found(name: str) -> str:
    known = [listing.name for listing in list_sources()]
    close = alike(name, 3)
    name = name if len(name) < 100 else name[:97] + "..."
    close = list(dict.fromkeys([*close, *difflib.get_close_matches(name, known)]))[:3]
    hint = f"; did you mean {' or '.join(close)}?" if close else "."
    return (
        f"There is no file and no corpus called {name!r}{hint} "
        "`langmodels corpora` lists what there is."
    )
