"""Tables of surprisal with a row per word or token, as used in studies of reading."""

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from langmodels.arguments import check_fields, checked
from langmodels.arrays import Array, BoolArray, FloatArray, IndexArray, IntArray
from langmodels.datasets.documents import Document
from langmodels.errors import LangmodelsError, UsageError
from langmodels.evaluation.surprisal import BLANKS, WordSurprisals, word_surprisals
from langmodels.evaluation.table_files import records, save_table, table_text
from langmodels.models.base import LanguageModel
from langmodels.progress import track
from langmodels.settings import check_options
from langmodels.text.vocabulary import EOS, Vocabulary

AnyModel = LanguageModel[Any]

PLACE = ("document", "sentence", "position", "word", "start", "end")
MEASURES = ("surprisal", "unknown", "tokens", "context", "entropy", "rank")
"""The columns of each model."""

_EXAMPLES = {"surprisal": 0.0, "entropy": 0.0, "unknown": False}  # other measures are integers

UNITS = ("word", "token")


Columns = dict[str, list[Any]]
"""Columns of equal length by name, with None for missing values."""


@dataclass(frozen=True)
class SurprisalTable:
    """Columns of equal length by name, with None for missing values.

    `totals`: the surprisal of the whole text under each model, in bits, whatever rows and columns
    were asked for.
    """

    columns: Columns
    totals: dict[str, float]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def records(self) -> list[dict[str, Any]]:
        """The rows, a dictionary each."""
        return records(self.columns)

    def text(self, ending: str = ".csv") -> str:
        """The table as text in the format of an ending, ".csv", ".tsv" or ".jsonl"."""
        return table_text(self.columns, ending)

    def save(self, path: str) -> None:
        """Write the table to a file whose suffix, one of `ENDINGS`, gives the format.

        Raises UsageError for another suffix, LangmodelsError where pyarrow is needed and missing.
        """
        save_table(path, [self.columns])


@dataclass(frozen=True)
class RowOptions:
    """What the rows of a table of surprisal are, and what they hold.

    Args:
        unit: "word", or "token" for the tokens of the models, which must then be the same.
        measures: some of `MEASURES`.
        ends: whether the ends of sentences, `</s>`, have rows, where a model predicts them; only
            with them does a column sum to the surprisal of the text.
        blanks: to which word the blank between two words is assigned; see `word_surprisals`.
        carry: whether state is carried from each line of a document to the next.
        regions: a mark that separates the regions of a stimulus; it is removed from the text, and
            offsets are those in the text without it.

    Raises UsageError for unknown units and measures, and for an empty mark.
    """

    unit: str = "word"
    measures: Sequence[str] = MEASURES
    ends: bool = True
    blanks: str = BLANKS[0]
    carry: bool = False
    regions: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.unit not in UNITS:
            raise UsageError(f"A row is a {' or a '.join(UNITS)}, not a {self.unit!r}.")
        for measure in self.measures:
            if measure not in MEASURES:
                raise UsageError(
                    f"There is no measure {measure!r}; they are {', '.join(MEASURES)}."
                )
        if self.regions == "":
            raise UsageError("The mark between regions must not be empty.")
        object.__setattr__(self, "measures", tuple(dict.fromkeys(self.measures)))


@checked
def surprisal_table(
    models: Mapping[str, AnyModel], documents: Iterable[Document | str], **options: Any
) -> SurprisalTable:
    """A table with a row for every word of every document, and columns for each model.

    Words are separated by white space. Columns: `document` (its id), the fields of the document,
    `region`, `sentence` and `position` (both counted from 1; a sentence is a line that is not
    blank), `word`, `start`, `end` (offsets in the text of the document, in characters); and for
    each model, with `.LABEL` after the name where there are several:

    - `surprisal`: in bits, summed over the tokens of the word and of the punctuation attached to
      it;
    - `unknown`: whether one of these tokens is `<unk>`; `tokens`: how many there are;
    - `context`: number of tokens before the word on which the model conditions;
    - `entropy`: of the distribution of the word's first token, in bits; None for scores that do not
      sum to one;
    - `rank`: of that token in this distribution, 1 for the most probable.

    Args:
        models: fitted models by label.
        documents: texts, or documents with fields, which become columns.
        options: those of `RowOptions`: `unit`, `measures`, `ends`, `blanks`, `carry`, `regions`.

    Warns of documents without words, which have no rows. Raises UsageError for options that there
    are not, LangmodelsError where there are no words at all, and what `word_surprisals` raises.
    """
    check_options(RowOptions, options, "surprisal_table")
    given = [Document(d, str(i)) if isinstance(d, str) else d for i, d in enumerate(documents, 1)]
    surprisals = Surprisals(models, field_examples(given), RowOptions(**options))
    table: Columns = {}
    for columns in surprisals.parts((document, True) for document in given):
        for name, column in columns.items():
            table.setdefault(name, []).extend(column)
    return SurprisalTable(table, surprisals.totals)


def field_examples(documents: Iterable[Document]) -> dict[str, list[Any]]:
    """The fields of documents, in the order of their first appearance, with a value of each type
    that occurs.
    """
    found: dict[str, dict[Any, Any]] = {}
    for document in documents:
        for name, value in document.fields.items():
            found.setdefault(name, {}).setdefault(_type(value), value)
    return {name: list(values.values()) for name, values in found.items()}


def _type(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple((key, _type(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return frozenset(map(_type, value))
    return type(value)


@dataclass
class _Rows:
    """The R rows of a document: offsets in the text, (R, 2); which are ends of sentences, (R,)."""

    spans: IndexArray
    is_end: BoolArray


@dataclass(frozen=True)
class _Before:
    """How much of a document came before a part of it."""

    characters: int = 0
    sentences: int = 0
    regions: int = 0

    def and_then(self, text: str, marks: IndexArray, columns: Columns | None) -> "_Before":
        """What is before the next part."""
        sentences = self.sentences if columns is None else columns["sentence"][-1]
        return _Before(self.characters + len(text), sentences, self.regions + len(marks))


class Surprisals:
    """The table of `surprisal_table`, made in blocks of rows.

    Args:
        models: fitted models by label.
        fields: the fields of all documents, with examples of their values; see `field_examples`.
        options: what the rows are.

    `totals` and `n_rows` are complete once the iterator `parts` is exhausted. Raises UsageError
    where there are no models.
    """

    def __init__(
        self,
        models: Mapping[str, AnyModel],
        fields: Mapping[str, list[Any]],
        options: RowOptions | None = None,
    ) -> None:
        if not models:
            raise UsageError("Give at least one model.")
        self.models, self.fields = models, fields
        self.options = RowOptions() if options is None else options
        self.totals: dict[str, float] = {}
        self.n_rows = 0
        self._before = _Before()
        scores = [label for label, model in models.items() if not model.is_distribution]
        if scores:
            warnings.warn(
                f"The scores of {', '.join(scores)} do not sum to one; their surprisal is that of "
                "no probabilities.",
                stacklevel=3,
            )

    @property
    def in_parts(self) -> bool:
        """Whether the rows of a line depend on that line alone, so that `parts` may be given
        documents in pieces.
        """
        return "\n" not in (self.options.regions or "") and not any(
            not model.reading.has_lines or (self.options.carry and model.remembers)
            for model in self.models.values()
        )

    @property
    def examples(self) -> dict[str, list[Any]]:
        """The columns in their order, with a value of each type that occurs in them."""
        own: dict[str, list[Any]] = {name: [0] for name in PLACE} | {"word": [""]}
        own.pop("document")
        if self.options.regions is not None:
            own["region"] = [0]
        for label in self.models:
            for measure in self.options.measures:
                name = f"{measure}.{label}" if len(self.models) > 1 else measure
                own[name] = [_EXAMPLES.get(measure, 0)]
        taken = {f"{n}_given" if n in own or n == "document" else n: n for n in self.fields}
        given = {name: self.fields[field] for name, field in taken.items()}
        return {"document": [""], **given, **own}

    def parts(self, documents: Iterable[tuple[Document, bool]]) -> Iterator[Columns]:
        """The columns for each document, or piece of one; with each comes whether it is the first
        piece.

        Warns of documents without words. Raises LangmodelsError where there are no words at all.
        """
        names, empty = list(self.examples), []
        given = names[1 : 1 + len(self.fields)]
        with track("Surprisal") as meter:
            for document, begins in documents:
                if begins:
                    self._before = _Before()
                columns = self._columns(document)
                if columns is None:
                    empty.append(document.id)
                    continue
                n = len(columns["word"])
                for name, field in zip(given, self.fields, strict=True):
                    columns[name] = [document.fields.get(field)] * n
                self.n_rows += n
                yield {name: columns[name] for name in names}
                meter.advance()
        if not self.n_rows:
            raise LangmodelsError(
                "There are no words in the documents; give at least one with words."
            )
        if empty:
            warnings.warn(
                f"{len(empty):,} documents have no words, and so no rows; the first is {empty[0]}.",
                stacklevel=3,
            )

    def _columns(self, document: Document) -> Columns | None:
        """The rows of a document, or of the next part of one; None where there are no words."""
        text, before, options = document.text, self._before, self.options
        marks = np.empty(0, np.int64)
        if options.regions is not None:
            text, marks = _without_marks(text, options.regions, begins=before.characters == 0)
        columns = self._measures_of(document.id, text, marks) if text.strip() else None
        self._before = before.and_then(text, marks, columns)
        return columns

    def _measures_of(self, document: str, text: str, marks: IndexArray) -> Columns:
        """The rows of a text in which there are words; `marks`: where regions begin in it."""
        options, before = self.options, self._before
        blanks = options.blanks if options.unit == "word" else "before"
        found = {
            label: word_surprisals(model, text, blanks=blanks, carry=options.carry)
            for label, model in self.models.items()
        }
        rows = self._rows(text, found)
        columns = _places(document, text, rows, before)
        if options.regions is not None:
            region = before.regions + np.searchsorted(marks, rows.spans[:, 0], side="right")
            columns["region"] = (1 + region).tolist()
        n = len(rows.spans)
        for label, words in found.items():
            self.totals[label] = self.totals.get(label, 0.0) + float(words.target_bits.sum())
            row_of = self._row_of(words, rows)
            for name, values in self._measured(self.models[label], words, row_of).items():
                filled = values + [None] * (n - len(values))
                columns[f"{name}.{label}" if len(self.models) > 1 else name] = filled
        return columns

    def _rows(self, text: str, found: Mapping[str, WordSurprisals]) -> _Rows:
        first = next(iter(found.values()))
        if self.options.unit == "word":
            spans = np.stack([first.starts, first.ends], axis=1)
            with_ends = any(words.corpus.vocabulary.ends for words in found.values())
        else:
            for words in found.values():
                if words.corpus.tokenizer != first.corpus.tokenizer:
                    raise UsageError(
                        "Models with different tokens have no rows in common; use words as the "
                        "unit, or make a table for each model."
                    )
            spans = _token_spans(first, text)
            with_ends = first.corpus.vocabulary.ends
        is_end = np.zeros(len(spans), np.bool_)
        if self.options.ends and with_ends:
            breaks = _breaks(text)
            lines = breaks[np.unique(np.searchsorted(breaks, spans[:, 0]))]
            at = np.searchsorted(spans[:, 0], lines)
            spans = np.insert(spans, at, np.stack([lines, lines], axis=1), axis=0)
            is_end = np.insert(is_end, at, True)
        return _Rows(spans, is_end)

    def _row_of(self, words: WordSurprisals, rows: _Rows) -> IndexArray:
        """The row of each of a model's targets, (n,); -1 where it has none."""
        row_of = np.full(len(words.word_of), -1, np.int64)
        inside = words.word_of >= 0
        own = np.flatnonzero(~rows.is_end)
        row_of[inside] = own[words.word_of[inside] if self.options.unit == "word" else slice(None)]
        if rows.is_end.any() and not inside.all():
            row_of[~inside] = np.flatnonzero(rows.is_end)
        return row_of

    def _measured(
        self, model: AnyModel, words: WordSurprisals, row_of: IndexArray
    ) -> dict[str, list[Any]]:
        n = int(row_of.max(initial=-1)) + 1
        kept = row_of >= 0
        tokens = np.bincount(row_of[kept], minlength=n)
        bits = np.bincount(row_of[kept], weights=words.target_bits[kept], minlength=n)
        unknown = (words.corpus.targets == Vocabulary.unk_id)[kept]
        values: dict[str, list[Any]] = {
            "surprisal": bits.tolist(),
            "unknown": (np.bincount(row_of[kept], weights=unknown, minlength=n) > 0).tolist(),
            "tokens": tokens.tolist(),
        }
        values |= _before(model, words, row_of, n, self.options.measures)
        if n > 0:
            missing = np.flatnonzero(tokens == 0).tolist()
            for name in ("surprisal", "unknown"):
                for row in missing:  # words whose tokens are a neighbour's, `</s>` not predicted
                    values[name][row] = None
        return {name: values[name] for name in self.options.measures}


def _places(document: str, text: str, rows: _Rows, before: "_Before") -> dict[str, list[Any]]:
    """Where each row stands, so much of the document being before: the columns of `PLACE`."""
    starts, ends = rows.spans.T
    line = np.searchsorted(_breaks(text), starts)
    first = np.append(True, line[1:] != line[:-1])
    begins = np.flatnonzero(first)
    sentence = np.cumsum(first)
    n = len(starts)
    return {
        "document": [document] * n,
        "sentence": (before.sentences + sentence).tolist(),
        "position": (np.arange(n) - begins[sentence - 1] + 1).tolist(),
        "word": [
            EOS if end else text[a:b]
            for a, b, end in zip(starts.tolist(), ends.tolist(), rows.is_end.tolist(), strict=True)
        ],
        "start": (before.characters + starts).tolist(),
        "end": (before.characters + ends).tolist(),
    }


def _breaks(text: str) -> IndexArray:
    """The offsets at which the L lines of a text end, (L,)."""
    return np.array([*(i for i, c in enumerate(text) if c == "\n"), len(text)], np.int64)


def _token_spans(words: WordSurprisals, text: str) -> IndexArray:
    """The offsets of the tokens of a model in a text, (T, 2), ends of sentences left out."""
    tokenizer, read = words.corpus.tokenizer, words.corpus.text or ""
    if len(read) != len(text):
        raise LangmodelsError(
            "Cleaning changes the length of this text, so tokens cannot be located in it; clean it "
            "first."
        )
    ends = tokenizer.token_ends(read)
    tokens = tokenizer.tokenize_lines(read)
    gaps = tokenizer.gaps(read)
    before = (
        np.zeros(len(ends), np.int64) if gaps is None else np.array([len(g) for g in gaps[:-1]])
    )
    starts = np.append(0, ends[:-1]) + before
    spans = np.stack([starts, ends], axis=1)
    if tokenizer.ends:
        spans = spans[[token != tokenizer.line_end for token in tokens]]
    return spans


def _before(
    model: AnyModel, words: WordSurprisals, row_of: IndexArray, n: int, measures: Sequence[str]
) -> dict[str, list[Any]]:
    """The columns of context, entropy and rank at the first target of each of n rows."""
    first = row_of >= 0
    first[1:] &= row_of[1:] != row_of[:-1]
    at = row_of[first]
    found: dict[str, list[Any]] = {}

    def put(name: str, values: Array) -> None:
        column = np.full(n, None, object)
        column[at] = values[first].tolist()
        found[name] = column.tolist()

    if "context" in measures:
        put("context", model.contexts_used(words.corpus))
    if not {"entropy", "rank"}.isdisjoint(measures):
        looked = model.from_distributions(words.corpus, _entropy_and_rank, 2, first)
        put("rank", looked[:, 1].astype(np.int64))
        if model.is_distribution:
            put("entropy", looked[:, 0])
        else:
            found["entropy"] = [None] * n
    return found


def _entropy_and_rank(log_p: FloatArray, targets: IntArray) -> FloatArray:
    """The entropy of each distribution (k, V) in bits, and the rank of its target in it, (k, 2)."""
    own = log_p[np.arange(len(targets)), targets]
    rank = 1 + np.count_nonzero(log_p > own[:, None], axis=1)
    p = np.exp(log_p)
    bits = np.einsum("kv,kv->k", p, np.where(p > 0, log_p, 0.0)) / -math.log(2)
    return np.stack([bits, rank], axis=1)


def _without_marks(text: str, mark: str, *, begins: bool) -> tuple[str, IndexArray]:
    """A text without the marks between regions, and where in it each region but the first begins.

    A mark with blanks around it stands for one of them. `begins`: whether the text begins a
    document, or else a line of one.
    """
    first, *parts = text.split(mark)
    kept, length, after_space = [first], len(first), first[-1:].isspace() or not (first or begins)
    starts = []
    for part in parts:
        part = part.lstrip(" ") if after_space else part
        starts.append(length)
        kept.append(part)
        length += len(part)
        after_space = part[-1:].isspace() if part else after_space
    return "".join(kept), np.array(starts, np.int64)
