"""Where in the raw text the tokens of a corpus stand, and what lies between them."""

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
    """A long sequence of strings of which few differ: string i is `types[ids[i]]`; `ids` (n,)."""

    types: list[str]
    ids: IndexArray

    @classmethod
    def of(cls, strings: Iterable[str]) -> "Strings":
        """Number strings by their first appearance."""
        numbers: defaultdict[str, int] = defaultdict()
        numbers.default_factory = numbers.__len__
        ids = np.fromiter(map(numbers.__getitem__, strings), np.int64)
        return cls(list(numbers), ids)

    def map(self, function: Callable[[str], str]) -> "Strings":
        """`function` of every string; it is called once a type."""
        images = Strings.of(map(function, self.types))
        return Strings(images.types, images.ids[self.ids])

    def after(self, first: str) -> "Strings":
        """The string before each one, (n,); `first` before the first."""
        return Strings([*self.types, first], np.concatenate([[len(self.types)], self.ids])[:-1])

    def counts(self) -> IndexArray:
        """How often each type occurs."""
        return np.bincount(self.ids, minlength=len(self.types))

    def __getitem__(self, index: Array) -> "Strings":
        return Strings(self.types, self.ids[index])

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[str]:
        return map(self.types.__getitem__, self.ids.tolist())


@dataclass(frozen=True, eq=False)
class Alignment:
    """A text and where in it the targets of a model stand, n in all.

    `tokens`: as the model knows them, `</s>` for the end of a line (`is_end`). Target i stands at
    text[starts[i]:ends[i]], which differs from its token where a tokenizer folds case, and is empty
    for `</s>`: that stands just before the first token of the next line. `together`: there is
    nothing between the tokens of a line.
    """

    text: str
    tokens: Strings
    is_end: BoolArray
    starts: IndexArray
    ends: IndexArray
    together: bool = False

    @property
    def surfaces(self) -> Strings:
        """The targets as they stand in the text."""
        return Strings.of(_slices(self.text, self.starts, self.ends))

    @property
    def with_gap(self) -> IndexArray:
        """The targets with a gap before them: all but the first and those that begin a line.

        Of tokens that stand together, the ends of lines alone.
        """
        return np.flatnonzero(self.is_end if self.together else np.r_[False, ~self.is_end[:-1]])

    @property
    def gaps(self) -> Strings:
        """What lies before each target of `with_gap`: white space, or whatever tokenizing lost."""
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
    """Find every token of a text again.

    Raises LangmodelsError for a tokenizer whose tokens are not in the text, in order.
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
    """Put `</s>` after the last token of each line; blank lines are none. `line` (n,)."""
    tokens = Strings.of([*aligned.tokens.types, EOS])  # which a text may have as a word
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
        "Bits per character need tokens that stand in the text in their order; "
        f"those of {tokenizer!r} do not."
    )
