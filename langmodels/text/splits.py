"""Splitting a text into training, validation and test parts, without leaks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from langmodels.arguments import Seed, checked
from langmodels.arrays import IndexArray
from langmodels.errors import LangmodelsError, UsageError
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.lines import parted
from langmodels.text.streams import RawText, TextStream, line_starts, text_stream
from langmodels.text.tokenization import Tokenizer

Fractions = tuple[float, float, float]
DEFAULT_FRACTIONS: Fractions = (0.8, 0.1, 0.1)
WAYS = ("contiguous", "lines", "documents")


@dataclass(frozen=True)
class Splits:
    """Three corpora with one vocabulary, made from the training part alone.

    `how` describes in a few words how the text was divided.
    """

    train: Corpus
    validation: Corpus
    test: Corpus
    how: str

    @classmethod
    @checked
    def from_text(
        cls,
        text: RawText,
        tokenizer: Tokenizer | str = "word",
        *,
        fractions: Fractions = DEFAULT_FRACTIONS,
        by: str = "contiguous",
        seed: Seed = 0,
        cleaning: str = "none",
        **options: Any,
    ) -> "Splits":
        """Clean a text, divide it (see `divide`), and encode the parts.

        `options` are `min_count`, `max_size`, `vocabulary` and `name` of `Corpus.from_text`; by
        default the vocabulary is made from the training part.
        """
        tokenizer = make_tokenizer(tokenizer) if isinstance(tokenizer, str) else tokenizer
        parts = divide(
            text_stream(text).cleaned(cleaning),
            fractions=fractions,
            by=by,
            at_breaks=tokenizer.at_breaks,
            needs_blanks=tokenizer.needs_blanks,
            seed=seed,
        )
        percent = " / ".join(f"{100 * f:g} %" for f in fractions)
        return cls._from_cleaned(
            parts,
            tokenizer,
            cleaning,
            how=f"{by} {percent}",
            **options,
        )

    @classmethod
    @checked
    def from_parts(
        cls,
        parts: tuple[RawText, RawText, RawText],
        tokenizer: Tokenizer | str = "word",
        *,
        cleaning: str = "none",
        how: str = "separate files",
        **options: Any,
    ) -> "Splits":
        """Encode three texts that are already divided: training, validation, test.

        `options` are those of `from_text`.
        """
        return cls._from_cleaned(
            (text_stream(part).cleaned(cleaning) for part in parts),
            make_tokenizer(tokenizer) if isinstance(tokenizer, str) else tokenizer,
            cleaning,
            how=how,
            **options,
        )

    @classmethod
    def _from_cleaned(
        cls,
        parts: Iterable[TextStream],
        tokenizer: Tokenizer,
        cleaning: str,
        *,
        how: str,
        name: str = "",
        **options: Any,
    ) -> "Splits":
        first, *others = parts
        train = Corpus.from_cleaned(
            first,
            tokenizer,
            cleaning,
            name=f"{name} (training part)",
            keep_text=True,
            **options,
        )
        validation, test = (
            Corpus.from_cleaned(
                text,
                train.tokenizer,
                cleaning,
                vocabulary=train.vocabulary,
                name=f"{name} ({part} part)",
                keep_text=True,
            )
            for text, part in zip(others, ("validation", "test"), strict=True)
        )
        return cls(train, validation, test, how)

    def carried(self) -> "Splits":
        """The parts with state carried through the lines of documents."""
        parts = (self.train.carried(), self.validation.carried(), self.test.carried())
        return Splits(*parts, self.how)


def split_text(text: RawText, **options: Any) -> tuple[str, str, str]:
    """The parts of a text as strings; see `divide`."""
    first, second, third = ("".join(part) for part in divide(text, **options))
    return first, second, third


@checked
def divide(
    text: RawText,
    *,
    fractions: Fractions = DEFAULT_FRACTIONS,
    by: str = "contiguous",
    at_breaks: bool = False,
    needs_blanks: bool = False,
    seed: Seed = 0,
) -> tuple[TextStream, TextStream, TextStream]:
    """Divide a text into training, validation and test parts of the given fractions.

    `by` is how: `contiguous` gives three stretches in order, cut at an exact character or, with
    `at_breaks`, at the nearest line break (at a space if there is only one line). `lines` and
    `documents` assign whole ones at random, by the seed, and keep their order; identical ones are
    in the same part, so that none is both trained and tested on. Documents are kept, except by
    `lines`.

    Raises UsageError for impossible fractions and for `documents` of a single document,
    LangmodelsError for a text that is too small and, if it `needs_blanks`, for one with too long a
    stretch without white space.
    """
    if by not in WAYS:
        raise UsageError(f"There is no split {by!r}; choose one of {', '.join(WAYS)}.")
    if not (all(f > 0 for f in fractions) and abs(sum(fractions) - 1) <= 1e-9):
        raise UsageError("The parts of a split must be positive fractions that sum to 1.")
    stream = text_stream(text)
    whole = "".join(parted(stream) if needs_blanks else stream)
    if not whole.strip():
        raise LangmodelsError("There is no text to divide: it is empty or only white space.")
    if by == "lines":
        lines = [f"{line}\n" for line in whole.split("\n") if line.strip()]
        drawn = _drawn(lines, fractions, seed)
        parts = [TextStream(["".join(some)]) for some in drawn]
    elif by == "documents":
        parts = [
            TextStream.of_documents(some)
            for some in _drawn(_documents(whole, stream), fractions, seed)
        ]
    else:
        parts = _stretches(whole, fractions, at_breaks, stream.starts())
    for i, label in enumerate(("training", "validation", "test")):
        held = "".join(parts[i])
        parts[i] = TextStream([held], parts[i].lines)
        if not held.strip():
            raise LangmodelsError(
                f"The text is too small to divide: nothing is left for the {label} part. "
                "Give more text, or a validation and a test file of its own."
            )
    first, second, third = parts
    return first, second, third


def _documents(text: str, stream: TextStream) -> list[str]:
    starts = stream.starts()
    if starts is None:
        raise UsageError(
            "--split documents needs a text of several documents (JSON lines, Parquet, a folder, "
            "several files), and this is one."
        )
    at = line_starts(text, starts).tolist()
    return [text[a:b] for a, b in pairwise(at)]


def _stretches(
    text: str, fractions: Fractions, at_breaks: bool, documents: IndexArray | None
) -> list[TextStream]:
    # Place the test part first: its size is the one that must be exact.
    third = int(len(text) * (1 - fractions[2]) + 1e-6)
    second = int(len(text) * fractions[0] + 1e-6)
    if at_breaks:
        second, third = _near_break(text, second), _near_break(text, third)
    parts = []
    line = 0
    for part in (text[:second], text[second:third], text[third:]):
        n = part.count("\n")
        inside: list[int] = []
        if documents is not None:
            # A document that is cut is a document in both parts; the last line may have no end.
            cuts = np.unique(np.clip(documents - line, 0, n + (not part.endswith("\n"))))
            inside = np.diff(cuts).tolist()
        parts.append(TextStream([part], inside))
        line += n
    return parts


def _near_break(text: str, position: int) -> int:
    """The line break nearest to a position, or the nearest space if no line break is near."""
    reach = max(200, len(text) // 50)
    for mark in ("\n", " "):
        before = text.rfind(mark, max(0, position - reach), position) + 1
        after = text.find(mark, position, position + reach) + 1
        found = [p for p in (before, after) if p]
        if found:
            return min(found, key=lambda p: abs(p - position))
    return position


def _drawn(texts: Sequence[str], fractions: Fractions, seed: int) -> tuple[list[str], ...]:
    """Assign texts to three parts at random, by the seed; their order is kept."""
    number = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    rank = np.random.default_rng(seed).permutation(len(number))
    first = round(fractions[0] * len(number))
    second = round((fractions[0] + fractions[1]) * len(number))
    # If there are few texts, each part gets at least one.
    second = min(max(second, 2), len(number) - 1)
    first = min(max(first, 1), second - 1)
    part = np.where(rank < first, 0, np.where(rank < second, 1, 2))
    parts: tuple[list[str], list[str], list[str]] = ([], [], [])
    for text in texts:
        parts[part[number[text]]].append(text)
    return parts
