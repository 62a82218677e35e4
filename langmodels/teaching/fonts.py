"""Fonts that have the characters of a picture's labels, whatever their script."""

import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import regex

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHAPED = r"[\p{Arabic}\p{Hebrew}\p{Syriac}\p{Devanagari}\p{Bengali}\p{Tamil}\p{Telugu}\p{Thai}]"
_GLYPHS = "(?i)glyph .* missing from"
"""Matplotlib's warning that a character is drawn as a box."""


def fit_fonts(figure: "Figure", kind: str) -> None:
    """Set fonts that have the characters of all texts of a figure, as far as there are any.

    `kind`: png, svg or pdf. Warns of characters that no font on this computer has, and of scripts
    whose letters this version of matplotlib does not join.
    """
    from matplotlib.text import Text

    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    wanted = {c for text in texts for c in text.get_text() if c.isprintable()}
    families, missing = _families(wanted)
    if len(families) > 1:
        for text in texts:
            text.set_fontfamily(families)
    if missing:
        shown = " ".join(sorted(missing)[:8])
        warnings.warn(
            f"No font of this computer has {len(missing):,} characters of the labels ({shown}); "
            "they are drawn as boxes. Install one of their script, such as Noto Sans.",
            stacklevel=3,
        )
    if kind != "svg" and not _shapes() and regex.search(_SHAPED, "".join(wanted)):
        warnings.warn(
            "The labels are in a script whose letters join; matplotlib before 3.11 draws them one "
            "by one. Write an .svg file, which a browser draws rightly.",
            stacklevel=3,
        )


def quiet_about_glyphs() -> None:
    """Ignore matplotlib's own warnings of missing characters, as `fit_fonts` has warned."""
    warnings.filterwarnings("ignore", _GLYPHS, UserWarning)


def _families(wanted: set[str]) -> tuple[list[str], set[str]]:
    """The default font and as many others as are needed; and the characters that none has."""
    from matplotlib import font_manager

    families = [font_manager.FontProperties().get_name()]
    missing = wanted - _characters(font_manager.findfont(families[0]))
    for name, path in _candidates(missing) if missing else ():
        found = missing & _characters(path)
        if found:
            families.append(name)
            missing -= found
        if not missing:
            break
    return families, missing


def _candidates(missing: set[str]) -> Iterator[tuple[str, str]]:
    """(name, file) of upright fonts: those of the missing scripts first, then sans serif ones.

    Fonts that were installed after matplotlib made its list come last.
    """
    from matplotlib import font_manager

    scripts = {unicodedata.name(c, "").partition(" ")[0].lower() for c in missing}
    known = font_manager.fontManager.ttflist
    upright = {
        entry.name: entry.fname
        for entry in known
        if entry.style == "normal" and entry.weight in (400, "normal", "regular", "book")
    }

    def rank(name: str) -> tuple[bool, bool, bool, str]:
        low = name.lower()
        return not any(s and s in low for s in scripts), "sans" not in low, "ui" in low, name

    yield from sorted(upright.items(), key=lambda item: rank(item[0]))
    listed = {entry.fname for entry in known}
    for path in sorted(font_manager.findSystemFonts()):
        if path not in listed and _characters(path) & missing:
            font_manager.fontManager.addfont(path)
            yield font_manager.fontManager.ttflist[-1].name, path


def _characters(path: str) -> set[str]:
    """The characters in a font file; empty if it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        codes: Iterable[int] = FT2Font(path).get_charmap()
    except (RuntimeError, OSError):
        return set()
    return {chr(code) for code in codes}


def _shapes() -> bool:
    """Whether matplotlib shapes complex scripts (from 3.11 on)."""
    from matplotlib import ft2font

    return hasattr(ft2font, "__libraqm_version__")
