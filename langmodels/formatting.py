"""Numbers as people read them, and tables as data that every kind of output can print."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

DASH = "–"
"""Stands for a figure that does not exist or cannot be measured."""


@dataclass(frozen=True)
class Table:
    """A table of strings.

    `left`: how many columns, from the first, hold names and are aligned to the left; the others
    hold figures. `notes`: sentences below the table. `emphasis`: the indices of rows that are set
    apart, such as an entropy that no model can beat.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1
    notes: Sequence[str] = ()
    emphasis: frozenset[int] = field(default_factory=frozenset)


def figure(value: float | None, digits: int = 2) -> str:
    """A number with `digits` decimals; "infinite", or a dash for None and NaN."""
    if value is None or math.isnan(value):
        return DASH
    if math.isinf(value):
        return "infinite"
    return f"{round(value, digits) + 0.0:,.{digits}f}"  # no "-0.00"


def perplexity(value: float) -> str:
    """A perplexity with about four significant digits."""
    if not math.isfinite(value):
        return figure(value)
    return figure(value, 0 if value >= 10_000 else 1 if value >= 100 else 2)


def interval(bounds: tuple[float, float] | None, digits: int = 3) -> str:
    """Two bounds as "1.234-1.456"; a dash for None and NaN."""
    if bounds is None or any(map(math.isnan, bounds)):
        return DASH
    return f"{figure(bounds[0], digits)}-{figure(bounds[1], digits)}"


def count(value: float) -> str:
    """A count as a whole number; large ones in millions, or as a power of ten."""
    if not math.isfinite(value):
        return figure(value)
    if value >= 1e9:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    if value >= 1e7:
        return f"{value / 1e6:,.0f} M"
    return f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    """A time in µs, ms, s or min, whichever suits it."""
    if seconds is None or math.isnan(seconds):
        return DASH
    if seconds < 1e-3:
        return f"{seconds * 1e6:.3g} µs" if seconds < 9.995e-5 else f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def size(n_bytes: float | None) -> str:
    """A number of bytes in B, kB, MB or GB (powers of 1000)."""
    if n_bytes is None:
        return DASH
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= scale:
            value = n_bytes / scale
            return f"{value:.1f} {unit}" if value < 100 else f"{value:.0f} {unit}"
    return f"{n_bytes:.0f} B"


def percent(share: float) -> str:
    """A share from 0 to 1 in per cent; only exactly 0 is "0 %"."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    value = 100 * share
    return f"{value:.0f} %" if value >= 10 or value == 0 else f"{value:.1f} %"


def p_value(p: float) -> str:
    """A p-value as journals print it."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def times(exponent: float) -> str:
    """The factor by which doubling the input multiplies a cost that grows with this exponent."""
    return DASH if math.isnan(exponent) else f"x {2**exponent:.2f}"


SIGNS = {"␣": " ", "↵": "\n", "⇥": "\t"}
"""Visible signs, by which white space is shown, and the characters that they stand for."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Characters that begin and end embeddings, overrides and isolates can make a text read as another.
# The direction marks of Arabic and Hebrew text, U+200E, U+200F and U+061C, cannot.
_STEERING = re.compile(f"{_CONTROLS.pattern}|[\u202a-\u202e\u2066-\u2069]")
_JOINERS = "\u200c\u200d"
"""Invisible characters inside words of Persian and Hindi, and inside emoji."""
_NO_TEXT = re.compile("[\ud800-\udfff]")


def listed(token: str) -> str:
    r"""A token for a file with one token a line: as it is, if reading the line gives it back.

    >>> print(listed("co-op"), listed("10\u00a0kg") == "10\u00a0kg", listed(" "), listed("\n"))
    co-op True ␣ ↵
    """
    plain = token.strip() == token and len(token.splitlines()) == 1
    plain = plain and not _CONTROLS.search(token) and not _NO_TEXT.search(token)
    return token if plain else visible(token)


def visible(token: str, space: str = "␣") -> str:
    r"""A token made visible: white space becomes a sign, and control characters an escape.

    A lone surrogate, which stands for an incomplete byte of a subword piece, becomes \xNN. Joiners
    between letters are left as they are.

    >>> print(visible("\n"), visible("\x1b"), visible("\udce6"), visible("\u202e"))
    ↵ \x1b \xe6 \u202e
    """
    named = {character: sign for sign, character in SIGNS.items()} | {" ": space}

    def sign(c: str) -> str:
        if c.isprintable() or (c in _JOINERS and len(token) > 1):
            return c
        return _escaped(chr(ord(c) - 0xDC00) if "\udc80" <= c <= "\udcff" else c)

    return "".join(named.get(c) or sign(c) for c in token)


def printable(text: str) -> str:
    r"""A text that is safe to print on a terminal.

    Control characters, except line ends and tabs, become \xNN, and characters that change the
    direction of the text after them \uNNNN.

    >>> print(printable(chr(27) + "[31mred"), printable("a\u202eb"))
    \x1b[31mred a\u202eb
    """
    return _STEERING.sub(lambda found: _escaped(found[0]), text)


def _escaped(character: str) -> str:
    code = ord(character)
    return (
        f"\\x{code:02x}"
        if code < 1 << 8
        else f"\\u{code:04x}"
        if code < 1 << 16
        else f"\\U{code:08x}"
    )
