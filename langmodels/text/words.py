"""Words: tokenization at Unicode's word boundaries, and joining words into running text."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import regex

from langmodels.errors import LangmodelsError, UsageError
from langmodels.text.tokenization import LineTokenizer
from langmodels.text.vocabulary import BOS, EOS, UNK

_SECONDS, _SLOWEST = 0.25, 200_000
"""The time limit for a user's pattern: seconds, plus a second per so many characters."""
_TRIES = 20
_LONGEST_PATTERN = 10_000


def _unicode_words() -> str:
    """The regular expression of a token, by Unicode's Word_Break property."""
    extend = r"[\p{WB=Extend}\p{WB=Format}\p{WB=ZWJ}]*+"  # WB4: part of what precedes them
    letter = rf"[\p{{WB=ALetter}}\p{{WB=Hebrew_Letter}}]{extend}"
    digit = rf"\p{{WB=Numeric}}{extend}"
    between_letters = rf"[\p{{WB=MidLetter}}\p{{WB=MidNumLet}}\p{{WB=Single_Quote}}]{extend}"
    between_digits = rf"[\p{{WB=MidNum}}\p{{WB=MidNumLet}}\p{{WB=Single_Quote}}]{extend}"
    letters = rf"{letter}(?:(?:{between_letters})?{letter})*+"  # WB5 to WB7
    digits = rf"{digit}(?:(?:{between_digits})?{digit})*+"  # WB8, WB11, WB12
    picture = rf"\p{{Extended_Pictographic}}{extend}"
    return "|".join(
        (
            # A fast alternative for most words, after which nothing follows that could belong to
            # them.
            r"[A-Za-z]++(?=[ \n,;!?\)\"-])",
            *map(regex.escape, (UNK, BOS, EOS)),
            rf"(?:{letters}|{digits})++",  # WB9, WB10: mp3, 3rd
            rf"(?:\p{{WB=Katakana}}{extend})++",  # WB13
            rf"\p{{RI}}{extend}\p{{RI}}{extend}",  # WB15, WB16: flags
            rf"{picture}(?:(?<=\u200d){picture})*+",  # WB3c: sequences of emoji
            r"--+",
            r"\.\.\.+",
            rf"\S{extend}",
        )
    )


UNICODE_WORDS = _unicode_words()


class WordTokenizer(LineTokenizer):
    r"""Words, numbers and punctuation, split at the word boundaries of Unicode (UAX 29, WB1 to
    WB999).

    Apostrophes, joiners, soft hyphens, combining marks and variation selectors stay inside words;
    emoji sequences and flags are one token each, and so are `<unk>`, `<s>` and `</s>` typed in the
    text, which are unknown words. Unlike in UAX 29, an underscore is a token of its own, and
    several dashes or full stops in a row are one token. Scripts without spaces between words
    (Chinese, Japanese, Thai) are split into characters.

    Not reversible: white space is lost.

    Args:
        lower: whether to lower-case the text first.
        pattern: a regular expression (package `regex`) of a token, without capturing groups, in
            place of Unicode's rules.
        unicode: false: split as version 0.1 did.

    >>> WordTokenizer().tokenize("Don't eat 3.5 pies -- yet!")
    ["Don't", 'eat', '3.5', 'pies', '--', 'yet', '!']
    """

    level = "word"
    unit = "word"
    min_count = 2
    """Words that occur once become `<unk>`, from which models learn about unknown words;
    pre-tokenized text is taken as it is.
    """

    OLD_PATTERN = (
        r"[\p{L}\p{M}]+(?:['’][\p{L}\p{M}]+)*"  # words: don't, l'été
        r"|\p{N}+(?:[.,]\p{N}+)*"  # numbers: 3.5, 1,000
        r"|--+|\.\.\.+"  # dashes and ellipses typed as several marks
        r"|[^\s]"  # any other mark by itself
    )

    def __init__(
        self, lower: bool = False, pattern: str | None = None, unicode: bool = True
    ) -> None:
        self.lower = lower
        self.pattern = pattern
        if pattern is not None and len(pattern) > _LONGEST_PATTERN:
            raise UsageError(f"A token pattern has at most {_LONGEST_PATTERN:,} characters.")
        self.unicode = unicode
        used = pattern or (UNICODE_WORDS if unicode else self.OLD_PATTERN)
        try:
            self._word = regex.compile(used)
            # No token starts with a newline, so that alternative can come last.
            self._word_or_end = regex.compile(f"(?:{used})|\n")
        except regex.error as error:
            raise UsageError(f"The token pattern is not a regular expression: {error}.") from error
        if self._word.groups:
            raise UsageError("The token pattern has capturing groups; write them as (?:...).")
        if self._word.fullmatch(""):
            raise UsageError("The token pattern matches where there is nothing; write + for *.")
        if self._word.fullmatch("\n"):
            raise UsageError("The token pattern matches the end of a line, which is no token.")

    def tokenize(self, text: str) -> Sequence[str]:
        return self._timed(self._word.findall, text)

    def tokenize_lines(self, text: str) -> Sequence[str]:
        tokens = self._timed(self._word_or_end.findall, text)
        if self.pattern is not None and any("\n" in token for token in tokens if token != "\n"):
            raise LangmodelsError(
                "A token of this pattern goes on over the end of a line, where sequences end; "
                r"write [^\S\n] for \s, and [^...\n] for [^...]."
            )
        return tokens

    def gaps(self, text: str) -> Sequence[str]:
        return self._timed(self._word_or_end.split, text)

    def _timed(self, match: Callable[..., list[str]], text: str) -> list[str]:
        """Match with a time limit for a user's pattern, which might backtrack for ever."""
        text = text.lower() if self.lower else text
        if self.pattern is None:
            return match(text)
        seconds = _SECONDS + len(text) / _SLOWEST
        for _ in range(_TRIES):
            began = time.thread_time()
            try:
                return match(text, timeout=seconds)
            except TimeoutError:
                if time.thread_time() - began > seconds / 2:
                    break  # else other processes had the processor
        raise LangmodelsError(
            "The token pattern needs too much time for this text; write it without repeats "
            f"inside repeats: {self.pattern[:60]!r}."
        )

    def detokenize(self, tokens: Iterable[str]) -> str:
        return join_words(tokens)

    def config(self) -> dict[str, Any]:
        return {"lower": self.lower, "pattern": self.pattern, "unicode": self.unicode}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "WordTokenizer":
        """Files of version 0.1 do not say how words are split: as in that version."""
        return cls(**{"unicode": False, **config})


_NO_SPACE_BEFORE = frozenset(".,;:!?)]}%…’”»،؛؟।॥") | {"..."}
_NO_SPACE_AFTER = frozenset("([{“«‘„‚¿¡")
_LOW_QUOTES = {"„": "“", "‚": "‘"}  # closed by marks that open quotations in other languages
# Scripts without spaces between words, with full-width punctuation.
_DENSE = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}"
_WIDE = r"\u3000-\u303f\uff00-\uffef"
_NO_SPACE_BETWEEN = regex.compile(
    rf"[{_DENSE}][{_DENSE}“”‘’]|[”’][{_DENSE}]|[{_WIDE}].|.[{_WIDE}]", regex.DOTALL
)


def join_words(tokens: Iterable[str]) -> str:
    """Join words and punctuation into running text, without spaces before or after marks where none
    belong.

    >>> join_words(["Oh", "dear", "!", "(", "she", "said", ")"])
    'Oh dear! (she said)'
    """
    parts: list[str] = []
    glue = True
    open_quote = False
    low = ""  # closes a quotation opened by a low mark
    last = ""
    for token in tokens:
        closes = token in _NO_SPACE_BEFORE or (token == '"' and open_quote) or token == low
        dense = last > "\u0dff" or token > "\u0dff"
        if not (glue or closes or (dense and _NO_SPACE_BETWEEN.match(last[-1:] + token[:1]))):
            parts.append(" ")
        parts.append(token)
        glue = token in _NO_SPACE_AFTER and token != low
        if token == '"':
            glue = not open_quote
            open_quote = not open_quote
        if token in _LOW_QUOTES or token == low:
            low = _LOW_QUOTES.get(token, "")
        last = token
    return "".join(parts)
