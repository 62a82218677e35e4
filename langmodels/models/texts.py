"""Scoring texts of several lines, such as documents, in batches."""

import functools
import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from langmodels.arguments import checked
from langmodels.arrays import Array, FloatArray, IndexArray
from langmodels.errors import LangmodelsError, UsageError
from langmodels.execution import Jobs, executor, mapped
from langmodels.models.base import LanguageModel
from langmodels.models.scores import perplexity_at
from langmodels.text.sequences import Sequences
from langmodels.text.vocabulary import Vocabulary

AT_ONCE = 1 << 20
"""Characters of text in a batch."""


@dataclass(frozen=True)
class TextScore:
    """The score of a text.

    `log_prob` is the sum over its lines, in nats. `tokens` counts the predicted tokens, with the
    `</s>` of each line if the model predicts it; `oov` the out-of-vocabulary ones among them.
    `characters` counts those of the text, including a line end for each `</s>`.
    """

    log_prob: float
    tokens: int
    oov: int
    characters: int

    @property
    def perplexity(self) -> float:
        """See `perplexity_of`."""
        return perplexity_of(self.log_prob, self.tokens)

    @property
    def bits_per_character(self) -> float:
        """-log2 p per character; an unknown token costs p(`<unk>`), without its spelling."""
        if self.tokens == 0:
            return math.nan
        return -self.log_prob / math.log(2) / self.characters

    def figures(self, nats: float = 1.0) -> dict[str, Any]:
        """The figures by name, as in `FIGURES`; log p in units of `nats` nats (log 10: log10 p)."""
        found = {name: getattr(self, name) for name in FIGURES}
        return {**found, "log_prob": self.log_prob / nats}

    def plus(self, scores: "TextScores") -> "TextScore":
        """The score of this and further texts as one. The sums run from left to right, so that they
        do not depend on the batches.
        """
        every = ([getattr(self, f.name), *getattr(scores, f.name).tolist()] for f in fields(self))
        return TextScore(*(functools.reduce(operator.add, values) for values in every))


def perplexity_of(log_prob: float, tokens: int) -> float:
    """exp(-log_prob / tokens), `log_prob` in nats; NaN for no tokens."""
    return perplexity_at(-log_prob / tokens) if tokens else math.nan


FIGURES: dict[str, type] = {
    "log_prob": float,
    "tokens": int,
    "oov": int,
    "perplexity": float,
    "bits_per_character": float,
}
"""The figures that are printed of a score, in this order, and the type of each."""


@dataclass(frozen=True)
class TextScores:
    """The scores of n texts, an array (n,) of each figure; see `TextScore`."""

    log_prob: FloatArray
    tokens: IndexArray
    oov: IndexArray
    characters: IndexArray

    @classmethod
    def none(cls) -> "TextScores":
        """The scores of no texts."""
        return cls(np.empty(0), *(np.empty(0, np.int64) for _ in range(3)))

    @classmethod
    def joined(cls, parts: Sequence["TextScores"]) -> "TextScores":
        """The scores of several lists of texts, concatenated."""
        columns = ([getattr(part, field.name) for part in parts] for field in fields(cls))
        return cls(*map(np.concatenate, columns))

    def __len__(self) -> int:
        return len(self.tokens)

    def __iter__(self) -> Iterator[TextScore]:
        columns = (getattr(self, field.name).tolist() for field in fields(self))
        return (TextScore(*row) for row in zip(*columns, strict=True))

    def columns(self, nats: float = 1.0) -> dict[str, list[Any]]:
        """The figures by name, as lists with None for NaN; see `TextScore.figures`."""
        arrays = {name: getattr(self, name) for name in FIGURES}
        return {
            name: without_nan(a) for name, a in {**arrays, "log_prob": self.log_prob / nats}.items()
        }

    @property
    def perplexity(self) -> FloatArray:
        """See `TextScore`."""
        with np.errstate(over="ignore"):
            return np.exp(-self._per(self.tokens))

    @property
    def bits_per_character(self) -> FloatArray:
        """See `TextScore`."""
        return -self._per(self.characters) / math.log(2)

    def _per(self, amount: IndexArray) -> FloatArray:
        """Log p divided by `amount`, (n,); NaN for texts of which nothing was predicted."""
        ratio = np.full(len(self), np.nan)
        np.divide(self.log_prob, amount, out=ratio, where=self.tokens > 0)
        return ratio


def without_nan(values: Array) -> list[Any]:
    """The items of an array as a list, with None for NaN."""
    items: list[Any] = values.tolist()
    for i in np.flatnonzero(np.isnan(values)).tolist():
        items[i] = None
    return items


@checked
def score_texts(
    model: LanguageModel[Any], texts: Sequence[str], *, carry: bool = False
) -> TextScores:
    """Score texts together.

    Each is read as a corpus of its own is. For models of lines, a text's log p is the sum over its
    non-blank lines, and with `carry` the model's state is carried through the lines of a text. For
    models of a stream (characters, bytes), and where the cleaning joins lines, a text is one
    sequence.
    """
    characters = np.fromiter(map(model.reading.characters, texts), np.int64, len(texts))
    if len(texts) == 0:
        return TextScores.none()
    if not model.vocabulary.ends:
        sequences = model.sequences_of(texts)
        log_probs = model.scores(sequences)
        tokens, oov = sequences.lengths, _unknown(sequences)
        return TextScores(sequences.sums(log_probs), tokens, oov, characters)
    characters += np.fromiter((not text.endswith("\n") for text in texts), np.int64, len(texts))
    sequences, text_of = model.reading.lines(texts, unknown=model.reads_spelling)
    sequences, kept = sequences.without_empty()
    text_of = text_of[kept]
    if carry:
        starts = np.searchsorted(text_of, np.arange(len(texts) + 1))
        sequences = replace(sequences, documents=starts, carry=True)

    def summed(values: Array) -> FloatArray:
        sums = np.bincount(text_of, values, len(texts))
        return sums.astype(np.float64, copy=False)

    log_prob = summed(sequences.sums(model.scores(sequences)))
    tokens = summed(sequences.lengths).astype(np.int64)
    return TextScores(log_prob, tokens, summed(_unknown(sequences)).astype(np.int64), characters)


def _unknown(sequences: Sequences) -> IndexArray:
    """The number of out-of-vocabulary tokens of each sequence, (S,)."""
    where = np.flatnonzero(sequences.ids == Vocabulary.unk_id)
    owner = np.searchsorted(sequences.offsets, where, side="right") - 1
    return np.bincount(owner, minlength=sequences.n_sequences)


@checked
def score_documents(
    documents: Iterable[Any],
    model: LanguageModel[Any],
    *,
    jobs: Jobs | None = None,
    text: str = "text",
) -> Iterator[TextScore]:
    """Score documents as they are read; yields one score per document, in order.

    Args:
        documents: strings, mappings with the text in the field `text`, or objects with it in an
            attribute of that name, such as `Source.documents()` yields; the iterable may be
            infinite.
        model: the model; one that was opened from a file is memory-mapped once for all processes.
        jobs: a number of processes (None: this one alone), or an open executor such as
            `langmodels.executor(scheduler=...)` gives.
        text: name of the field that holds the text.

    Memory holds a few batches of a million characters. Raises LangmodelsError for a document
    without text.

    >>> import langmodels
    >>> model = langmodels.NGramModel(order=2, smoothing="witten_bell").fit("a rose is a rose")
    >>> good, bad = score_documents(["a rose is a rose", "is is is"], model)
    >>> good.perplexity < bad.perplexity
    True
    """
    batches = in_batches(_texts_of(documents, text))
    with executor(jobs) as pool:
        for scores in mapped(pool, _scores, batches, model):
            yield from scores


@checked
def score_column(texts: Any, model: LanguageModel[Any], figure: str = "perplexity") -> FloatArray:
    """One figure of each text of a column, (n,); NaN where the text is missing or empty.

    `texts` may be a column of a data frame; `figure` is one of `FIGURES`. Raises UsageError for an
    unknown figure, for a single string or a whole frame, and for a cell that is neither a string
    nor missing.

    >>> import langmodels
    >>> model = langmodels.NGramModel(order=2, smoothing="witten_bell").fit("a rose is a rose")
    >>> score_column(["a rose", None], model, "tokens").tolist()
    [3.0, nan]
    """
    if figure not in FIGURES:
        raise UsageError(f"There is no figure {figure!r} of a text, only {', '.join(FIGURES)}.")
    no_column = isinstance(texts, str | Mapping) or hasattr(texts, "columns")
    if no_column or not isinstance(texts, Iterable):
        raise UsageError(
            "A column is a list of texts or a column of a data frame; put a single text in a list."
        )
    parts = [np.empty(0)]
    for batch in in_batches(map(_cell, texts)):
        scores = score_texts(model, batch)
        values = np.asarray(getattr(scores, figure), np.float64)
        parts.append(np.where(scores.tokens > 0, values, np.nan))
    return np.concatenate(parts)


def _cell(value: Any) -> str:
    """The text in a cell of a data frame, empty where it is missing."""
    if isinstance(value, str):
        return value
    if hasattr(value, "as_py"):  # a scalar of Arrow
        return _cell(value.as_py())
    missing = value is None or type(value).__name__ in ("NAType", "NaTType")
    if missing or (isinstance(value, float) and math.isnan(value)):
        return ""
    raise UsageError(f"A column of texts holds strings, not {type(value).__name__}.")


def in_batches(texts: Iterable[str], size: int = AT_ONCE) -> Iterator[list[str]]:
    """Yield texts in batches of about `size` characters."""
    batch: list[str] = []
    held = 0
    for text in texts:
        batch.append(text)
        held += len(text) + 1
        if held >= size:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _scores(texts: Sequence[str], model: LanguageModel[Any]) -> TextScores:
    return score_texts(model, texts)


def _texts_of(documents: Iterable[Any], name: str) -> Iterator[str]:
    for i, document in enumerate(documents, start=1):
        text = document
        if isinstance(document, Mapping):
            text = document.get(name)
        elif not isinstance(document, str):
            text = getattr(document, name, None)
        if not isinstance(text, str):
            raise LangmodelsError(f"Document {i:,} has no text in the field {name!r}.")
        yield text
