"""A table of surprisal: one row a word or token, as experiments on reading need it."""

import csv
import importlib
import io
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import numpy as np

from langmodels.arguments import checked
from langmodels.arrays import Array, BoolArray, FloatArray, IndexArray, IntArray
from langmodels.datasets.documents import Document
from langmodels.errors import LangmodelsError, UsageError
from langmodels.evaluation.surprisal import WordSurprisals, word_surprisals
from langmodels.interchange import json_text, jsonable
from langmodels.models.base import LanguageModel
from langmodels.progress import track
from langmodels.storage import atomic_write
from langmodels.text.vocabulary import EOS, Vocabulary

AnyModel = LanguageModel[Any]

PLACE = ("document", "sentence", "position", "word", "start", "end")
MEASURES = ("surprisal", "unknown", "tokens", "context", "entropy", "rank")
"""What is said of each word by each model."""

UNITS = ("word", "token")
ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet")


@dataclass(frozen=True)
class SurprisalTable:
    """Columns of equal length by name; None stands for what does not exist.

    `totals`: bits of each model over the whole text, whatever rows and columns were asked for.
    """

    columns: dict[str, list[Any]]
    totals: dict[str, float]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def records(self) -> list[dict[str, Any]]:
        """One dictionary a row."""
        names = list(self.columns)
        return [
            dict(zip(names, row, strict=True)) for row in zip(*self.columns.values(), strict=True)
        ]

    def text(self, ending: str = ".csv") -> str:
        """The table as .csv, .tsv or .jsonl, with a header where there can be one."""
        if ending == ".jsonl":
            return "".join(f"{json_text(record)}\n" for record in self.records())
        out = io.StringIO()
        writer = csv.writer(out, delimiter="\t" if ending == ".tsv" else ",", lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(zip(*map(_cells, self.columns.values()), strict=True))
        return out.getvalue()

    def save(self, path: str) -> None:
        """Write the table, in the format of the path's ending, one of `ENDINGS`.

        Raises UsageError for another ending, LangmodelsError where pyarrow is needed and missing.
        """
        ending = check_ending(path)
        if ending == ".parquet":
            arrow, parquet = parquet_library()
            with atomic_write(path) as file:
                parquet.write_table(arrow.table(self.columns), file)
            return
        with atomic_write(path) as file:
            file.write(self.text(ending).encode("utf-8", "surrogatepass"))


def check_ending(path: str) -> str:
    """The ending of a table's path. Raises UsageError where it is none of `ENDINGS`."""
    ending = PurePath(path).suffix.lower()
    if ending not in ENDINGS:
        raise UsageError(f"A table is written as {', '.join(ENDINGS)}, not {path}.")
    return ending


def parquet_library() -> tuple[Any, Any]:
    """The package pyarrow and its part for Parquet. Raises LangmodelsError where it is missing."""
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise LangmodelsError(
            "Parquet files need the package pyarrow: pip install langmodels[documents]."
        ) from None


@checked
def surprisal_table(
    models: Mapping[str, AnyModel],
    documents: Iterable[Document | str],
    *,
    unit: str = "word",
    measures: Sequence[str] = MEASURES,
    ends: bool = True,
    blanks: str = "after",
    carry: bool = False,
    regions: str | None = None,
) -> SurprisalTable:
    """One row for every word of every document, with what each model says of it.

    A word is what stands between white space, as written. Columns: `document` (its id), fields of
    the document, `region`, `sentence` and `position` (numbered from 1; a sentence is a line that is
    not blank), `word`, `start`, `end` (in the document's text); and for each model, whose label
    follows a full stop where there are several:

    - `surprisal`: bits, summed over the tokens of the word, marks that close up to it included;
    - `unknown`: whether any of these is `<unk>`; `tokens`: how many they are;
    - `context`: tokens before the word that the model made use of;
    - `entropy`: of the distribution before the word's first token, in bits; none for scores that do
      not sum to one;
    - `rank`: of that token among all that may stand there, 1 for the most probable.

    Args:
        models: finished models by label.
        documents: texts, or documents with fields, which become columns.
        unit: "word", or "token" for the tokens of the models, which must then be the same.
        measures: some of `MEASURES`.
        ends: whether the ends of sentences, `</s>`, have rows, where a model predicts them; only
            with them do columns add up to the surprisal of the text.
        blanks: who pays for the blank between words; see `word_surprisals`.
        carry: each document is read in one, over whose lines state is carried.
        regions: a mark that stands between regions of a stimulus; it is taken out of the text, and
            places are those in the text without it.

    Warns of documents without words, which have no rows. Raises UsageError for unknown units and
    measures, LangmodelsError where there are no words at all, and what `word_surprisals` raises.
    """
    if unit not in UNITS:
        raise UsageError(f"A row is a {' or a '.join(UNITS)}, not a {unit!r}.")
    for measure in measures:
        if measure not in MEASURES:
            raise UsageError(f"There is no measure {measure!r}; they are {', '.join(MEASURES)}.")
    if not models:
        raise UsageError("Give at least one model.")
    builder = _Builder(models, unit, tuple(measures), ends, blanks, carry, regions)
    with track("Surprisal") as meter:
        for number, given in enumerate(documents, 1):
            document = Document(given, str(number)) if isinstance(given, str) else given
            builder.add(document)
            meter.advance()
    return builder.table()


@dataclass
class _Rows:
    """The rows of a document: places, (R, 2), and which rows are ends of sentences."""

    spans: IndexArray
    is_end: BoolArray


@dataclass
class _Builder:
    models: Mapping[str, AnyModel]
    unit: str
    measures: tuple[str, ...]
    ends: bool
    blanks: str
    carry: bool
    regions: str | None
    parts: list[tuple[dict[str, list[Any]], dict[str, Any]]] = field(default_factory=list)
    totals: dict[str, float] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)

    def add(self, document: Document) -> None:
        """The rows of one more document."""
        text, marks = document.text, np.empty(0, np.int64)
        if self.regions is not None:
            text, marks = _without_marks(text, self.regions)
        if not text.strip():
            self.empty.append(document.id)
            return
        blanks = self.blanks if self.unit == "word" else "before"
        found = {
            label: word_surprisals(model, text, blanks=blanks, carry=self.carry)
            for label, model in self.models.items()
        }
        rows = self._rows(text, found)
        columns = _places(document.id, text, rows)
        if self.regions is not None:
            region = 1 + np.searchsorted(marks, rows.spans[:, 0], side="right")
            columns["region"] = region.tolist()
        for label, words in found.items():
            self.totals[label] = self.totals.get(label, 0.0) + float(words.target_bits.sum())
            row_of = self._row_of(words, rows)
            for name, values in self._measured(self.models[label], words, row_of).items():
                columns[f"{name}.{label}" if len(self.models) > 1 else name] = values
        self.parts.append((columns, dict(document.fields)))

    def _rows(self, text: str, found: Mapping[str, WordSurprisals]) -> _Rows:
        first = next(iter(found.values()))
        if self.unit == "word":
            spans = np.stack([first.starts, first.ends], axis=1)
            with_ends = any(words.corpus.vocabulary.ends for words in found.values())
        else:
            for words in found.values():
                if words.corpus.tokenizer != first.corpus.tokenizer:
                    raise UsageError(
                        "Models that cut text in different tokens have no rows in common; make "
                        "words the unit, or give the models one by one."
                    )
            spans = _token_spans(first, text)
            with_ends = first.corpus.vocabulary.ends
        is_end = np.zeros(len(spans), np.bool_)
        if self.ends and with_ends:
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
        row_of[inside] = own[words.word_of[inside] if self.unit == "word" else slice(None)]
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
        values |= _before(model, words, row_of, n, self.measures)
        if n > 0:
            missing = np.flatnonzero(tokens == 0).tolist()
            for name in ("surprisal", "unknown"):
                for row in missing:  # what belongs to a neighbour, and ends that are not predicted
                    values[name][row] = None
        return {name: values[name] for name in self.measures}

    def table(self) -> SurprisalTable:
        """All documents, one after the other; warns of those without words."""
        if not self.parts:
            raise LangmodelsError("There are no words: no documents, or empty ones.")
        if self.empty:
            warnings.warn(
                f"{len(self.empty):,} documents have no words, and so no rows; the first is "
                f"{self.empty[0]}.",
                stacklevel=3,
            )
        names = dict.fromkeys(name for columns, _ in self.parts for name in columns)
        given = dict.fromkeys(name for _, fields in self.parts for name in fields)
        taken = {name: f"{name}_given" if name in names else name for name in given}
        table: dict[str, list[Any]] = {"document": []}
        table |= {taken[name]: [] for name in given} | {name: [] for name in names}
        for columns, fields in self.parts:
            n = len(columns["word"])
            for name in given:
                table[taken[name]] += [fields.get(name)] * n
            for name in names:
                column = columns.get(name, [])
                table[name] += column + [None] * (n - len(column))
        return SurprisalTable(table, self.totals)


def _places(document: str, text: str, rows: _Rows) -> dict[str, list[Any]]:
    """Where each row stands: the columns of `PLACE`."""
    starts, ends = rows.spans.T
    line = np.searchsorted(_breaks(text), starts)
    first = np.append(True, line[1:] != line[:-1])
    begins = np.flatnonzero(first)
    sentence = np.cumsum(first)
    n = len(starts)
    return {
        "document": [document] * n,
        "sentence": sentence.tolist(),
        "position": (np.arange(n) - begins[sentence - 1] + 1).tolist(),
        "word": [
            EOS if end else text[a:b]
            for a, b, end in zip(starts.tolist(), ends.tolist(), rows.is_end.tolist(), strict=True)
        ],
        "start": starts.tolist(),
        "end": ends.tolist(),
    }


def _breaks(text: str) -> IndexArray:
    """Where lines end, the last one too, (L,)."""
    return np.array([*(i for i, c in enumerate(text) if c == "\n"), len(text)], np.int64)


def _token_spans(words: WordSurprisals, text: str) -> IndexArray:
    """Where the tokens of a model stand in a text, (T, 2), ends of sentences left out."""
    tokenizer, read = words.corpus.tokenizer, words.corpus.text or ""
    if len(read) != len(text):
        raise LangmodelsError(
            "Cleaning changes the length of this text, so that tokens have no place in it; clean "
            "it before."
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
    """Context, entropy and rank before the first target of each row."""
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
    """Of distributions, (k, V), in bits, and of the targets in them, (k, 2)."""
    own = log_p[np.arange(len(targets)), targets]
    rank = 1 + np.count_nonzero(log_p > own[:, None], axis=1)
    p = np.exp(log_p)
    bits = np.einsum("kv,kv->k", p, np.where(p > 0, log_p, 0.0)) / -math.log(2)
    return np.stack([bits, rank], axis=1)


def _without_marks(text: str, mark: str) -> tuple[str, IndexArray]:
    """A text without the marks between regions, and where in it each region but the first begins.

    A mark with blanks around it stands for one of them.
    """
    if not mark:
        raise UsageError("The mark between regions is empty.")
    kept, begins = "", []
    for i, part in enumerate(text.split(mark)):
        if i:
            part = part.lstrip(" ") if kept[-1:].isspace() else part
            begins.append(len(kept))
        kept += part
    return kept, np.array(begins, np.int64)


def _cells(column: list[Any]) -> list[Any]:
    """A column as CSV has it: whole words for infinite numbers, nothing for None."""
    return [jsonable(value) if isinstance(value, float) else value for value in column]
