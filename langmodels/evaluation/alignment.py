"""Alignment of the tokens of a corpus with the raw text, and the gaps between them."""

import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from langmodels.arrays import Array, BoolArray, IndexArray
from langmodels.errors import LangmodelsError
from langmodels.text.tokenization import Tokenizer
from langmodels.text.vocabulary import EOS


@dataclass(frozen=True, eq=False)
class Strings:
    """A long sequence of n strings with few distinct ones: string i is `types[ids[i]]`."""

    types: list[str]
    ids: IndexArray

    @classmethod
    def of(cls, strings: Iterable[str]) -> "Strings":
        """Number strings by first occurrence."""
        numbers: defaultdict[str, int] = defaultdict()
        numbers.default_factory = numbers.__len__
        ids = np.fromiter(map(numbers.__getitem__, strings), np.int64)
        return cls(list(numbers), ids)

    def map(self, function: Callable[[str], str]) -> "Strings":
        """`function` of every string; it is called once per type."""
        images = Strings.of(map(function, self.types))
        return Strings(images.types, images.ids[self.ids])

    def after(self, first: str) -> "Strings":
        """The sequence shifted by one: the string before each, and `first` before the first."""
        return Strings([*self.types, first], np.concatenate([[len(self.types)], self.ids])[:-1])

    def counts(self) -> IndexArray:
        """The count of each type."""
        return np.bincount(self.ids, minlength=len(self.types))

    def __getitem__(self, index: Array) -> "Strings":
        return Strings(self.types, self.ids[index])

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[str]:
        return map(self.types.__getitem__, self.ids.tolist())


@dataclass(frozen=True, eq=False)
class Alignment:
    """A text, and the positions in it of the n targets of a model.

    `tokens` are the targets as the model knows them, with `</s>` at line ends (`is_end`). Target i
    is text[starts[i]:ends[i]], which differs from its token if the tokenizer folds case, and is
    empty for `</s>`, whose position is just before the first token of the next line. `together`:
    the tokens of a line have no gaps between them.
    """

    text: str
    tokens: Strings
    is_end: BoolArray
    starts: IndexArray
    ends: IndexArray
    together: bool = False

    @property
    def surfaces(self) -> Strings:
        """The targets as spelled in the text."""
        return Strings.of(_slices(self.text, self.starts, self.ends))

    @property
    def with_gap(self) -> IndexArray:
        """Indices of the targets preceded by a gap: all but the first, and those that begin a line.

        If `together`, only those of `</s>`.
        """
        return np.flatnonzero(self.is_end if self.together else np.r_[False, ~self.is_end[:-1]])

    @property
    def gaps(self) -> Strings:
        """The gap before each target of `with_gap`: white space, or other text that tokenization
        dropped.
        """
        at = self.with_gap
        return Strings.of(_slices(self.text, self.ends[at - 1], self.starts[at]))

    @property
    def lead(self) -> str:
        """The text before the first target."""
        return self.text[: self.starts[0]] if len(self.starts) else ""

    @property
    def tail(self) -> str:
        """The text after the last target."""
        return self.text[self.ends[-1] :] if len(self.ends) else self.text


def align(text: str, tokenizer: Tokenizer) -> Alignment:
    """Locate every token of a text.

    Raises LangmodelsError if the tokens are not consecutive substrings of the text.
    """
    folded = text.lower() if getattr(tokenizer, "lower", False) else text
    tokens = Strings.of(tokenizer.tokenize_lines(text))
    if tokenizer.reversible:
        ends = tokenizer.token_ends(text)
        starts = np.concatenate([[0], ends])[:-1]
    else:
        gaps = tokenizer.gaps(text)
        if gaps is None or len(gaps) != len(tokens) + 1 or len(folded) != len(text):
            raise _not_there(tokenizer)
        lengths = _lengths(tokens.types)[tokens.ids]
        ends = np.cumsum(_lengths(gaps[:-1]) + lengths)
        starts = ends - lengths
    breaks = [tokenizer.ends and token == tokenizer.line_end for token in tokens.types]
    is_break: BoolArray = np.array(breaks, np.bool_)[tokens.ids]
    line = np.cumsum(is_break, dtype=np.int64)[~is_break]
    tokens, starts, ends = tokens[~is_break], starts[~is_break], ends[~is_break]
    found = _slices(folded, starts, ends)
    if not tokenizer.reversible and any(map(operator.ne, found, tokens)):
        raise _not_there(tokenizer)
    no_ends = np.zeros(len(tokens), np.bool_)
    aligned = Alignment(text, tokens, no_ends, starts, ends, tokenizer.reversible)
    return _with_line_ends(aligned, line) if tokenizer.ends and len(tokens) else aligned


def _with_line_ends(aligned: Alignment, line: IndexArray) -> Alignment:
    """Insert `</s>` after the last token of each non-blank line. `line` (n,) is the line of each
    token.
    """
    tokens = Strings.of([*aligned.tokens.types, EOS])  # a text may contain it as a word
    after = np.append(np.flatnonzero(np.diff(line)) + 1, len(line))
    place = np.append(aligned.starts, len(aligned.text))[after]
    return Alignment(
        aligned.text,
        Strings(tokens.types, np.insert(aligned.tokens.ids, after, tokens.ids[-1])),
        np.insert(aligned.is_end, after, True),
        np.insert(aligned.starts, after, place),
        np.insert(aligned.ends, after, place),
        aligned.together,
    )


def _lengths(strings: Sequence[str]) -> IndexArray:
    return np.fromiter(map(len, strings), np.int64, len(strings))


def _slices(text: str, starts: IndexArray, ends: IndexArray) -> Iterator[str]:
    return map(text.__getitem__, map(slice, starts.tolist(), ends.tolist()))


def _not_there(tokenizer: Tokenizer) -> LangmodelsError:
    return LangmodelsError(
        "Bits per character need tokens that occur in the text, in order; those of "
        f"{tokenizer!r} do not."
    )
