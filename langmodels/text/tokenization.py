"""Text to tokens and back: the interface; characters, bytes, symbols, and what is cut already."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import regex

from langmodels.arrays import IndexArray
from langmodels.errors import LangmodelsError, UsageError, check_whole
from langmodels.text.vocabulary import BOS, EOS

# A noncharacter of Unicode: no text contains it, and str.split keeps it as a word of its own.
_NONCHARACTER = "\ufdd0"
MAX_WIDTH = 10_000
"""Characters in the widest symbols."""
_TO_BLANKS = str.maketrans("\t\n\r", "   ")


class Tokenizer(ABC):
    """A way of cutting text into tokens.

    `level` names it; `ends` says whether every line is a sequence with an end (words) or the whole
    text one endless stream (characters, bytes, symbols); `reversible` whether `detokenize` gives
    back the very text; `learns` whether there is something to `fit` on the training text;
    `splits_lines` whether the tokens of each line are just what white space separates in it, and
    `wide_spaces` whether that is all of Unicode's or blanks, tabs and carriage returns alone.
    `alphabet`: how many tokens there can be at all, None where there is no end to them.
    `rare_types`: whether new types never cease to come, so that limits to the vocabulary are meant
    for it; `changes_text`: whether tokens are not the very text, but what was made of it;
    `min_count`: the least count of known tokens unless another is asked for. `unit`: what
    one of its tokens is called; `usual_order`: of n-gram models of them. `separator`: what is read
    between two tokens that are shown in a row.

    Whoever needs to know something of a level asks for one of these, never for its name.
    """

    level: ClassVar[str]
    ends: bool = False
    reversible: ClassVar[bool] = False
    learns: ClassVar[bool] = False
    splits_lines: ClassVar[bool] = False
    wide_spaces: bool = True
    alphabet: ClassVar[int | None] = None
    rare_types: ClassVar[bool] = False
    min_count: ClassVar[int] = 1
    unit: ClassVar[str] = "token"
    usual_order: ClassVar[int] = 6
    separator: str = " "
    changes_text: ClassVar[bool] = False
    line_end: ClassVar[str] = "\n"

    @abstractmethod
    def tokenize(self, text: str) -> Sequence[str]:
        """The tokens of a text (of one sequence, where `ends`), without boundary symbols."""

    @abstractmethod
    def detokenize(self, tokens: Iterable[str]) -> str:
        """Text that reads like these tokens; exactly the original where `reversible`."""

    def tokenize_lines(self, text: str) -> Sequence[str]:
        """Tokens of a piece of a corpus; where `ends`, each line ends in the token `line_end`."""
        return self.tokenize(text)

    def without_marks(self, text: str) -> tuple[str, int]:
        """A text without `<s>` and `</s>` typed around its lines, and how many there were.

        Only where lines are sequences of words; elsewhere they are characters like others.
        """
        return text, 0

    def is_several(self, token: str) -> bool:
        """Whether what is given as one token is plainly more than one."""
        return len(token) > 1 and len(self.tokenize(token)) > 1

    def gaps(self, text: str) -> Sequence[str] | None:
        """What lies before each of the n tokens of `tokenize_lines` and after the last, (n + 1,).

        None where tokens do not stand in the text one after the other. Tokens that run on over
        white space, as k-mers may, do not fit between these gaps.
        """
        return None

    def token_ends(self, text: str) -> IndexArray:
        """Characters of `text` up to and with each token of `tokenize_lines`, (n,) int64.

        Raises LangmodelsError where tokens do not stand in the text one after the other.
        """
        tokens = self.tokenize_lines(text)
        ends = np.fromiter(map(len, tokens), np.int64, len(tokens))
        if not self.reversible:
            gaps = self.gaps(text)
            if gaps is None or len(gaps) != len(tokens) + 1:
                raise LangmodelsError(
                    f"The tokens must stand in the text in their order; those of {self!r} do not."
                )
            ends += np.fromiter(map(len, gaps[:-1]), np.int64, len(tokens))
        return np.cumsum(ends)

    def reads(self, token: str) -> str:
        """How a token stands in a text as a rule, with the blank before it where it holds one.

        Empty where it is part of a character.
        """
        return token

    def safe_cut(self, text: str) -> int:
        """How much of the beginning of `text` has the same tokens whatever text comes after it."""
        return len(text)

    @property
    def at_breaks(self) -> bool:
        """Whether a text is to be divided at white space, since a cut elsewhere breaks a token."""
        return self.ends

    @property
    def needs_blanks(self) -> bool:
        """Whether a token ends at a blank, so that a text without any is none of such tokens."""
        return self.rare_types

    @property
    def types(self) -> Sequence[str] | None:
        """All tokens that there can be, seen in training or not; None where new ones may come."""
        return None

    def fit(self, text: str) -> "Tokenizer":
        """What this tokenizer becomes once it has seen the training text; itself by default."""
        return self

    def config(self) -> dict[str, Any]:
        """Constructor arguments, for storage."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Tokenizer":
        """The tokenizer that `config` was of."""
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and (self.level, self.config()) == (
            other.level,
            other.config(),
        )

    def __hash__(self) -> int:
        return hash((self.level, repr(self.config())))

    def __repr__(self) -> str:
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.config().items())
        return f"{type(self).__name__}({arguments})"


class _Units(Tokenizer):
    """What characters and bytes share: one stream, or with `lines` each line a sequence."""

    separator = ""
    reversible = True

    def __init__(self, lines: bool = False) -> None:
        self.ends = self.lines = lines

    def config(self) -> dict[str, Any]:
        return {"lines": True} if self.lines else {}


class CharacterTokenizer(_Units):
    """Every character (Unicode code point) is a token, newlines included.

    The text is one stream; with `lines` every line is a sequence with an end, as names in a list
    are, and its newline is no token but that end.
    """

    level = "char"
    unit = "char"
    alphabet = 0x110000

    def tokenize(self, text: str) -> Sequence[str]:
        return text  # a str already is a sequence of its characters

    def detokenize(self, tokens: Iterable[str]) -> str:
        return "".join(tokens)


class ByteTokenizer(_Units):
    """Every byte of the UTF-8 text is a token, written as the character of the same number.

    The text is one stream; with `lines` every line is a sequence with an end.
    """

    level = "byte"
    unit = "byte"
    alphabet = 256

    def tokenize(self, text: str) -> Sequence[str]:
        return text.encode("utf-8", "surrogatepass").decode("latin-1")

    def token_ends(self, text: str) -> IndexArray:
        data = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
        # All bytes of UTF-8 but the continuation bytes 10xxxxxx begin a character.
        return np.cumsum((data & 0xC0) != 0x80, dtype=np.int64)

    def detokenize(self, tokens: Iterable[str]) -> str:
        # A token that is not a byte (a special symbol in a sample) is left as it is written.
        data = b"".join(
            t.encode("latin-1") if len(t) == 1 and ord(t) < 256 else t.encode() for t in tokens
        )
        return data.decode("utf-8", "replace")


_LONG_LINE = 1 << 20  # characters

_MARKS = re.compile(
    rf"^[^\S\n]*{re.escape(BOS)}(?!\S)[^\S\n]*|(?:(?<=\s)|^){re.escape(EOS)}[^\S\n]*$", re.MULTILINE
)


class LineTokenizer(Tokenizer):
    """What tokenizers of words share: one line is one sequence."""

    ends = True
    rare_types = True
    usual_order = 4

    def without_marks(self, text: str) -> tuple[str, int]:
        """See `Tokenizer`."""
        # A single character is looked for several times as fast as a mark.
        if "<" not in text or (BOS not in text and EOS not in text):
            return text, 0
        return _MARKS.subn("", text)

    def is_several(self, token: str) -> bool:
        # Words that another tokenizer cut may be cut further by this one.
        return len(token.split()) > 1

    def safe_cut(self, text: str) -> int:
        cut = text.rfind("\n") + 1
        if cut or len(text) < _LONG_LINE:
            return cut
        # No line end for a megabyte: any space will do.
        return max(text.rfind(" "), text.rfind("\t")) + 1


class WhitespaceTokenizer(LineTokenizer):
    """Text that is already tokenized: whatever stands between white space is a token.

    White space is Unicode's; with `unicode=False` it is tab, blank and carriage return alone, as
    other tools have it: no-break spaces and form feeds then belong to words.
    """

    level = "whitespace"
    splits_lines = True
    line_end = _NONCHARACTER

    def __init__(self, unicode: bool = True) -> None:
        self.unicode = self.wide_spaces = unicode

    def tokenize(self, text: str) -> Sequence[str]:
        if self.unicode:
            return text.split()
        return [t for t in text.translate(_TO_BLANKS).split(" ") if t]

    def tokenize_lines(self, text: str) -> Sequence[str]:
        return self.tokenize(text.replace("\n", f" {_NONCHARACTER} "))

    def gaps(self, text: str) -> Sequence[str]:
        # `\S` is what str.split splits at.
        return re.split(r"\S+|\n" if self.unicode else r"[^\t\n\r ]+|\n", text)

    def detokenize(self, tokens: Iterable[str]) -> str:
        return " ".join(tokens)

    def config(self) -> dict[str, Any]:
        return {} if self.unicode else {"unicode": False}


class SymbolTokenizer(Tokenizer):
    """Symbols: what white space separates, or every `width` characters of what it separates.

    `width=0` reads events ("login click click logout"), `width=1` nucleotides or residues, and
    `width=k` non-overlapping k-mers. The text is one stream, and line breaks mean nothing; with
    `lines` every line is a sequence with an end, as the records of a FASTA file are, and its last
    k-mer may be shorter.
    """

    level = "symbols"
    unit = "symbol"

    def __init__(self, width: int = 0, lines: bool = False) -> None:
        check_whole(width=width)
        if not 0 <= width <= MAX_WIDTH:
            raise UsageError(f"A symbol has 0 to {MAX_WIDTH:,} characters, not {width}.")
        if lines and width == 0:
            raise UsageError("Lines of symbols between white space are read by level whitespace.")
        self.width = width
        self.ends = self.lines = lines
        self.separator = "" if width else " "

    def tokenize(self, text: str) -> Sequence[str]:
        if self.width == 0:
            return text.split()
        return self._kmers("".join(text.split()))

    def tokenize_lines(self, text: str) -> Sequence[str]:
        if not self.lines:
            return self.tokenize(text)
        return self._kmers("\n".join("".join(line.split()) for line in text.split("\n")))

    def _kmers(self, text: str) -> Sequence[str]:
        if self.width == 1:
            return text
        tokens: list[str] = regex.findall(f"[^\n]{{1,{self.width}}}|\n", text)
        return tokens

    def gaps(self, text: str) -> Sequence[str]:
        symbol = rf"\S{{1,{self.width}}}" if self.width else r"\S+"
        return re.split(f"{symbol}|\n" if self.lines else symbol, text)

    @property
    def at_breaks(self) -> bool:
        return self.lines or self.width == 0

    @property
    def needs_blanks(self) -> bool:
        return self.width == 0

    def safe_cut(self, text: str) -> int:
        if self.width == 1:
            return len(text)
        if self.width > 1:
            return text.rfind("\n") + 1 if self.lines else self._whole_symbols(text)
        return max(text.rfind("\n"), text.rfind(" "), text.rfind("\t")) + 1

    def _whole_symbols(self, text: str) -> int:
        """Where the last whole symbol of a stream ends: symbols run on over line breaks."""
        over = len("".join(text.split())) % self.width
        end = len(text)
        while over:
            end -= 1
            over -= not text[end].isspace()
        return end

    def detokenize(self, tokens: Iterable[str]) -> str:
        return self.separator.join(tokens)

    def config(self) -> dict[str, Any]:
        return {"width": self.width, "lines": self.lines}
