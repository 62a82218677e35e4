"""Training, validation and test parts of a text, without leaks."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from langmodels.errors import LangmodelsError, UsageError
from langmodels.text.cleaning import clean
from langmodels.text.corpus import Corpus, RawText, text_pieces
from langmodels.text.levels import make_tokenizer
from langmodels.text.tokenization import Tokenizer

Fractions = tuple[float, float, float]
DEFAULT_FRACTIONS: Fractions = (0.8, 0.1, 0.1)
WAYS = ("contiguous", "lines")


@dataclass(frozen=True)
class Splits:
    """Three corpora with one vocabulary, which comes from the training part alone.

    `how` says in a few words how the text was divided.
    """

    train: Corpus
    validation: Corpus
    test: Corpus
    how: str

    @classmethod
    def from_text(
        cls,
        text: RawText,
        tokenizer: Tokenizer | str = "word",
        *,
        fractions: Fractions = DEFAULT_FRACTIONS,
        by: str = "contiguous",
        seed: int = 0,
        cleaning: str = "none",
        min_count: int = 1,
        max_size: int | None = None,
        name: str = "",
    ) -> "Splits":
        """Clean a text, divide it (see `split_text`), and encode the parts."""
        tokenizer = make_tokenizer(tokenizer) if isinstance(tokenizer, str) else tokenizer
        whole = "".join(clean(text_pieces(text), cleaning))
        parts = split_text(
            whole, fractions=fractions, by=by, at_breaks=tokenizer.at_breaks, seed=seed
        )
        percent = " / ".join(f"{100 * f:g} %" for f in fractions)
        return cls._from_cleaned(
            ([part] for part in parts),
            tokenizer,
            cleaning,
            how=f"{by} {percent}",
            min_count=min_count,
            max_size=max_size,
            name=name,
        )

    @classmethod
    def from_parts(
        cls,
        parts: tuple[RawText, RawText, RawText],
        tokenizer: Tokenizer | str = "word",
        *,
        cleaning: str = "none",
        how: str = "separate files",
        min_count: int = 1,
        max_size: int | None = None,
        name: str = "",
    ) -> "Splits":
        """Encode three texts that are already divided: training, validation, test."""
        return cls._from_cleaned(
            (clean(text_pieces(part), cleaning) for part in parts),
            make_tokenizer(tokenizer) if isinstance(tokenizer, str) else tokenizer,
            cleaning,
            how=how,
            min_count=min_count,
            max_size=max_size,
            name=name,
        )

    @classmethod
    def _from_cleaned(
        cls,
        parts: Iterable[Iterable[str]],
        tokenizer: Tokenizer,
        cleaning: str,
        *,
        how: str,
        min_count: int,
        max_size: int | None,
        name: str,
    ) -> "Splits":
        first, *others = parts
        train = Corpus.from_cleaned(
            first,
            tokenizer,
            cleaning,
            min_count=min_count,
            max_size=max_size,
            name=f"{name} (training part)",
            keep_text=True,
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
        """The same parts, each as one document over which state is carried."""
        parts = (self.train.carried(), self.validation.carried(), self.test.carried())
        return Splits(*parts, self.how)


def split_text(
    text: str,
    *,
    fractions: Fractions = DEFAULT_FRACTIONS,
    by: str = "contiguous",
    at_breaks: bool = False,
    seed: int = 0,
) -> tuple[str, str, str]:
    """Divide a text into training, validation and test parts of these fractions.

    `contiguous`: three stretches in order, so that nothing in a later part was seen in an earlier
    one; cut to the character, or, `at_breaks`, at the nearest line break (space where there is only
    one line). `lines`: whole lines drawn at random by the seed, kept in order; identical lines go
    to the same part, so that none is both trained and tested on.

    Raises UsageError for impossible fractions, LangmodelsError for a text too small to divide.
    """
    if by not in WAYS:
        raise UsageError(f"There is no split {by!r}; choose one of {', '.join(WAYS)}.")
    if not (all(f > 0 for f in fractions) and abs(sum(fractions) - 1) <= 1e-9):
        raise UsageError("The parts of a split must be positive fractions that sum to 1.")
    if not text.strip():
        raise LangmodelsError("There is no text to divide: it is empty or only white space.")
    if by == "lines":
        parts = _by_lines(text, fractions, seed)
    else:
        parts = _stretches(text, fractions, at_breaks)
    for part, label in zip(parts, ("training", "validation", "test"), strict=True):
        if not part.strip():
            raise LangmodelsError(
                f"The text is too small to divide: nothing is left for the {label} part. "
                "Give more text, or a validation and a test file of its own."
            )
    return parts


def _stretches(text: str, fractions: Fractions, at_breaks: bool) -> tuple[str, str, str]:
    # The test part is measured first: it is the one whose size people compare.
    third = int(len(text) * (1 - fractions[2]) + 1e-6)
    second = int(len(text) * fractions[0] + 1e-6)
    if at_breaks:
        second, third = _near_break(text, second), _near_break(text, third)
    return text[:second], text[second:third], text[third:]


def _near_break(text: str, position: int) -> int:
    """The line break nearest to a position, or the space where no line break is near."""
    reach = max(200, len(text) // 50)
    for mark in ("\n", " "):
        before = text.rfind(mark, max(0, position - reach), position) + 1
        after = text.find(mark, position, position + reach) + 1
        found = [p for p in (before, after) if p]
        if found:
            return min(found, key=lambda p: abs(p - position))
    return position


def _by_lines(text: str, fractions: Fractions, seed: int) -> tuple[str, str, str]:
    lines = [f"{line}\n" for line in text.split("\n") if line.strip()]
    number = {line: i for i, line in enumerate(dict.fromkeys(lines))}
    rank = np.random.default_rng(seed).permutation(len(number))
    first = fractions[0] * len(number)
    second = (fractions[0] + fractions[1]) * len(number)
    part = np.where(rank < round(first), 0, np.where(rank < round(second), 1, 2))
    parts: tuple[list[str], list[str], list[str]] = ([], [], [])
    for line in lines:
        parts[part[number[line]]].append(line)
    return "".join(parts[0]), "".join(parts[1]), "".join(parts[2])
