"""A guess at the language of a text, from its letters and its commonest words."""

from collections import Counter
from collections.abc import Mapping

import regex

_BY_LETTERS: Mapping[str, str] = {
    "ja": r"[\p{Hiragana}\p{Katakana}]",
    "ko": r"\p{Hangul}",
    "zh": r"\p{Han}",
    "th": r"\p{Thai}",
    "hi": r"\p{Devanagari}",
    "bn": r"\p{Bengali}",
    "ta": r"\p{Tamil}",
    "he": r"\p{Hebrew}",
    "fa": r"[پچژگ]",
    "ar": r"\p{Arabic}",
    "el": r"\p{Greek}",
    "uk": r"[іїєґ]",
    "ru": r"\p{Cyrillic}",
}
"""Letters by which a language is recognised. A language whose letters others use, too, comes after
these others."""
_ENOUGH = {"fa": 0.01, "uk": 0.01, "ja": 0.05}
"""The share of such letters that decides for a language; a quarter for all others."""

_COMMONEST = """
en the of and to in that it was he his with is for as had you not be her
de der die und das ist nicht ein zu den mit von er sich auf sie dem eine
fr le la les de des et est un une que il dans pas qui en du pour elle au
es el la los de que y en un una no se las con por su del para es lo
it il la di che e un una non per in del si le con era gli da della
pt o a de que e do da em um uma não os se com para as no na era
nl de het een en van ik dat is niet in te hij met op zijn was aan
pl i w nie się na z do to że jest jak o po ale co tak za był
tr bir ve bu da de için çok ne ile o gibi daha var mi her
"""
_BY_WORDS: Mapping[str, frozenset[str]] = {
    language: frozenset(words)
    for language, *words in (line.split() for line in _COMMONEST.strip().splitlines())
}
"""Languages of the Latin alphabet, and the commonest words of each."""
_SAMPLE = 20_000
_LEAST = 0.08
"""The share of words that must be among the commonest ones of a language."""
DENSE = frozenset({"zh", "ja", "th"})
"""Languages that are written without blanks between words."""
KNOWN = (*_BY_WORDS, *_BY_LETTERS)


def guess_language(text: str) -> str:
    """The code (ISO 639-1) of a text's language, guessed from its beginning; empty if unknown.

    Languages are recognised by their scripts, and nine of the Latin alphabet by their commonest
    words. The guess is only used for headings and the direction of lines.
    """
    sample = text[:_SAMPLE]
    letters = len(regex.findall(r"\p{L}", sample))
    if letters == 0:
        return ""
    for language, pattern in _BY_LETTERS.items():
        if len(regex.findall(pattern, sample)) > letters * _ENOUGH.get(language, 0.25):
            return language
    words = Counter(regex.findall(r"\p{L}+", sample.lower()))
    shares = {
        language: sum(words[word] for word in common) / max(1, words.total())
        for language, common in _BY_WORDS.items()
    }
    best = max(shares, key=lambda language: shares[language])
    return best if shares[best] >= _LEAST else ""
