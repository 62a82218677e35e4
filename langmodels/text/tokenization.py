"""Tokenizers: the interface, and those of characters, bytes, symbols and pre-tokenized text."""

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
"""The largest width of symbols, in characters."""
_TO_BLANKS = str.maketrans("\t\n\r", "   ")


class Tokenizer(ABC):
    """A tokenizer: text to tokens, and back.

    Other code asks for these attributes, never for the name of a level.
    """

    level: ClassVar[str]
    """The name of the level, as `--level` takes it."""
    unit: ClassVar[str] = "token"
    """The name of a token in tables."""
    separator: str = " "
    """What is put between tokens for display."""
    ends: bool = False
    """Whether every line is a sequence that ends in `</s>` (words), or the whole text is one stream
    (characters, bytes, symbols)."""
    line_end: ClassVar[str] = "\n"
    """If `ends`: the token that `tokenize_lines` puts at the end of each line."""
    reversible: ClassVar[bool] = False
    """Whether `detokenize` restores the text exactly."""
    changes_text: ClassVar[bool] = False
    """Whether tokens may not be substrings of the text."""
    splits_characters: ClassVar[bool] = False
    """Whether tokens may hold bytes of characters, as lone surrogates."""
    learns: ClassVar[bool] = False
    """Whether it must be fitted to the training text."""
    alphabet: ClassVar[int | None] = None
    """The number of possible tokens, None for no limit."""
    rare_types: ClassVar[bool] = False
    """Whether the vocabulary grows without bound with the text, so that `min_count` and `max_size`
    apply."""
    min_count: ClassVar[int] = 1
    """The default count that a token must have to be in the vocabulary."""
    usual_order: ClassVar[int] = 6
    """The default order of n-gram models."""
    splits_lines: ClassVar[bool] = False
    """Whether the tokens of a line are exactly what white space separates."""
    wide_spaces: bool = True
    """If `splits_lines`: whether white space is all of Unicode's, or only spaces, tabs and carriage
    returns."""

    @abstractmethod
    def tokenize(self, text: str) -> Sequence[str]:
        """The tokens of a text (of one sequence, if `ends`), without boundary symbols."""

    @abstractmethod
    def detokenize(self, tokens: Iterable[str]) -> str:
        """The text of tokens; exactly the original if `reversible`."""

    def tokenize_lines(self, text: str) -> Sequence[str]:
        """The tokens of a piece of a corpus; if `ends`, each line ends in the token `line_end`."""
        return self.tokenize(text)

    def without_marks(self, text: str) -> tuple[str, int]:
        """Remove `<s>` and `</s>` typed around the lines of a text; returns the text and their
        number.

        Only tokenizers of words do; for others they are characters like any.
        """
        return text, 0

    def is_several(self, token: str) -> bool:
        """Whether a string given as one token is clearly several."""
        return len(token) > 1 and len(self.tokenize(token)) > 1

    def gaps(self, text: str) -> Sequence[str] | None:
        """The text before each of the n tokens of `tokenize_lines` and after the last, (n + 1,).

        None if tokens are not consecutive substrings of the text. Tokens that span white space, as
        k-mers may, are not covered.
        """
        return None

    def token_ends(self, text: str) -> IndexArray:
        """The end in `text` of each token of `tokenize_lines`, in characters, (n,) int64.

        Raises LangmodelsError if tokens are not consecutive substrings of the text.
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
        """The usual spelling of a token in a text, with a leading space if it includes one.

        Empty for a part of a character.
        """
        return token

    def safe_cut(self, text: str) -> int:
        """The length of the longest prefix of `text` whose tokens do not depend on what follows."""
        return len(text)

    @property
    def at_breaks(self) -> bool:
        """Whether a text must be split at white space, since other cuts would break tokens."""
        return self.ends

    @property
    def needs_blanks(self) -> bool:
        """Whether tokens end at white space, so that a text needs some."""
        return self.rare_types

    @property
    def types(self) -> Sequence[str] | None:
        """All possible tokens, seen in training or not; None for an open set."""
        return None

    def fit(self, text: str) -> "Tokenizer":
        """The tokenizer fitted to the training text; by default itself."""
        return self

    def config(self) -> dict[str, Any]:
        """The constructor arguments, for storage."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Tokenizer":
        """Inverse of `config`."""
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
    """The base class of characters and bytes: one stream, or with `lines` a sequence per line."""

    separator = ""
    reversible = True

    def __init__(self, lines: bool = False) -> None:
        self.ends = self.lines = lines

    def config(self) -> dict[str, Any]:
        return {"lines": True} if self.lines else {}


class CharacterTokenizer(_Units):
    """Every character (Unicode code point) is a token, newlines included.

    The text is one stream; with `lines` every line is a sequence, such as a name in a list, and
    `</s>` takes the place of its newline.
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
        # Tokens that are not bytes (special symbols in a sample) are kept as written.
        data = b"".join(
            t.encode("latin-1") if len(t) == 1 and ord(t) < 256 else t.encode() for t in tokens
        )
        return data.decode("utf-8", "replace")


_LONG_LINE = 1 << 20  # characters

_MARKS = re.compile(
    rf"^[^\S\n]*{re.escape(BOS)}(?!\S)[^\S\n]*|(?:(?<=\s)|^){re.escape(EOS)}[^\S\n]*$", re.MULTILINE
)


class LineTokenizer(Tokenizer):
    """The base class of tokenizers of words: a line is a sequence."""

    ends = True
    rare_types = True
    usual_order = 4

    def without_marks(self, text: str) -> tuple[str, int]:
        """See `Tokenizer`."""
        # Searching for one character first is several times as fast.
        if "<" not in text or (BOS not in text and EOS not in text):
            return text, 0
        return _MARKS.subn("", text)

    def is_several(self, token: str) -> bool:
        # False for words: a token of another tokenizer may be several of this one.
        return len(token.split()) > 1

    def safe_cut(self, text: str) -> int:
        cut = text.rfind("\n") + 1
        if cut or len(text) < _LONG_LINE:
            return cut
        # No line end for a megabyte: cut at any space.
        return max(text.rfind(" "), text.rfind("\t")) + 1


class WhitespaceTokenizer(LineTokenizer):
    """Pre-tokenized text: tokens are separated by white space.

    White space is as in Unicode; with `unicode=False` only tab, space and carriage return, as in
    other tools: no-break spaces and form feeds are then parts of words.
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
        # `\S` agrees with str.split on what white space is.
        return re.split(r"\S+|\n" if self.unicode else r"[^\t\n\r ]+|\n", text)

    def detokenize(self, tokens: Iterable[str]) -> str:
        return " ".join(tokens)

    def config(self) -> dict[str, Any]:
        return {} if self.unicode else {"unicode": False}


class SymbolTokenizer(Tokenizer):
    """Symbols: separated by white space, or every `width` characters, ignoring white space.

    `width=0` reads events ("login click click logout"), `width=1` nucleotides or residues, and
    `width=k` non-overlapping k-mers. The text is one stream, in which line breaks are ignored; with
    `lines` every line is a sequence, such as a record of a FASTA file, and its last k-mer may be
    shorter.
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
        """The end of the last whole symbol of a stream; symbols may span line breaks."""
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
