"""Named cleanings, which normalise text before tokenization.

Several are joined by `+` and applied in order: `nfc+lower`.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import regex

from langmodels.names import Registry
from langmodels.text.lines import check_length, lines_of


@dataclass(frozen=True)
class Cleaning:
    """A cleaning: `apply` maps a text in pieces to the cleaned text in pieces.

    `linewise`: every line is cleaned by itself and remains a line.
    """

    apply: Callable[[Iterable[str]], Iterator[str]]
    linewise: bool = True


def clean_article(chunks: Iterable[str]) -> Iterator[str]:
    """The usual preparation of a book for a small character model.

    Strip every line, lower-case it, drop what is not ASCII, skip blank lines, join by single
    spaces.
    """
    first = True
    for line in lines_of(chunks):
        line = line.strip().lower().encode("ascii", "ignore").decode()
        if line:
            yield line if first else f" {line}"
            first = False


def without_accents(text: str) -> str:
    """Remove combining marks and strokes from letters; the result is composed (NFC)."""
    return unicodedata.normalize("NFC", _base_letters(text))


def ascii_punctuation(text: str) -> str:
    """Replace typographic and East Asian punctuation by the closest ASCII marks."""
    return text.translate(_PUNCTUATION)


def clean_ccnet(text: str) -> str:
    """Normalise lines as CCNet does for its models: lower case, no accents, digits as 0, ASCII
    punctuation, no control characters.

    Wenzek et al. 2020, "CCNet: Extracting High Quality Monolingual Datasets from Web Crawl Data",
    and the program that was published with it. Hangul stays decomposed.
    """
    return "\n".join(map(_ccnet_line, text.split("\n")))


def _ccnet_line(line: str) -> str:
    digits: str = _DIGIT.sub("0", _base_letters(line.strip().lower()))
    cleaned: str = _CONTROLS.sub("", digits.translate(_PUNCTUATION))
    return cleaned


def _base_letters(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(c for c in decomposed if unicodedata.category(c) != "Mn")


def _pieces(change: Callable[[str], str]) -> Cleaning:
    """A cleaning that maps characters one by one, so that pieces may be cut anywhere."""
    return Cleaning(lambda chunks: map(change, chunks))


def _lines(change: Callable[[str], str]) -> Cleaning:
    """A cleaning that depends on neighbouring characters within a line."""

    def apply(chunks: Iterable[str]) -> Iterator[str]:
        rest = ""
        for chunk in chunks:
            whole, newline, rest = (rest + chunk).rpartition("\n")
            check_length(rest, "A line that is to be cleaned")
            if newline:
                yield change(whole + newline)
        if rest:
            yield change(rest)

    return Cleaning(apply)


_DIGIT = regex.compile(r"\d")
_CONTROLS = regex.compile(r"[\x00-\x1f\x7f-\x9f]")
_PUNCTUATION = str.maketrans({
    "，": ",", "。": ".", "、": ",", "„": '"', "”": '"', "“": '"', "«": '"', "»": '"', "」": '"',
    "「": '"', "《": '"', "》": '"', "´": "'", "∶": ":", "：": ":", "？": "?", "！": "!", "（": "(",
    "）": ")", "；": ";", "–": "-", "—": " - ", "．": ". ", "～": "~", "’": "'", "‘": "'",
    "…": "...", "━": "-", "〈": "<", "〉": ">", "【": "[", "】": "]", "％": "%", "►": "-",
})  # fmt: skip

CLEANINGS: Registry[Cleaning] = Registry(
    "cleaning",
    {
        "none": Cleaning(iter),
        "lower": _lines(str.lower),
        "nfc": _lines(lambda line: unicodedata.normalize("NFC", line)),
        "nfkc": _lines(lambda line: unicodedata.normalize("NFKC", line)),
        "accents": _lines(without_accents),
        "digits": _pieces(lambda text: _DIGIT.sub("0", text)),
        "punctuation": _pieces(ascii_punctuation),
        "ccnet": _lines(clean_ccnet),
        "article": Cleaning(clean_article, linewise=False),
    },
    group="langmodels.cleanings",
)


def clean(chunks: Iterable[str], how: str) -> Iterator[str]:
    """Apply named cleanings, joined by `+`. Raises UsageError for an unknown name.

    >>> "".join(clean(["Café No. 7"], "accents+digits+lower"))
    'cafe no. 0'
    """
    for cleaning in _steps(how):
        chunks = cleaning.apply(chunks)
    return iter(chunks)


def is_linewise(how: str) -> bool:
    """Whether a named cleaning cleans every line by itself and keeps it a line."""
    return all(cleaning.linewise for cleaning in _steps(how))


def _steps(how: str) -> list[Cleaning]:
    return [CLEANINGS.find(name) for name in how.split("+")]
