"""Numbers as people read them, and tables as data that every kind of output can print."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

DASH = "–"
"""For what does not exist or cannot be measured."""


@dataclass(frozen=True)
class Table:
    """A table of strings. `left`: how many first columns hold names, the others hold figures.

    `notes` stand below it; `emphasis` are rows set apart (the limit).
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1
    notes: Sequence[str] = ()
    emphasis: frozenset[int] = field(default_factory=frozenset)


def figure(value: float | None, digits: int = 2) -> str:
    """A number with so many decimals; "infinite" and a dash where it is none."""
    if value is None or math.isnan(value):
        return DASH
    if math.isinf(value):
        return "infinite"
    return f"{round(value, digits) + 0.0:,.{digits}f}"  # no "-0.00"


def perplexity(value: float) -> str:
    """Four significant digits or so."""
    if not math.isfinite(value):
        return figure(value)
    return figure(value, 0 if value >= 10_000 else 1 if value >= 100 else 2)


def interval(bounds: tuple[float, float] | None, digits: int = 3) -> str:
    """Two numbers."""
    if bounds is None or any(map(math.isnan, bounds)):
        return DASH
    return f"{figure(bounds[0], digits)}-{figure(bounds[1], digits)}"


def count(value: float) -> str:
    """A number of things: whole, and in millions or powers of ten where it is long."""
    if not math.isfinite(value):
        return figure(value)
    if value >= 1e9:
        return f"{value:.0e}".replace("e+", "e")
    if value >= 1e7:
        return f"{value / 1e6:,.0f} M"
    return f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    """A time, in the unit that suits it."""
    if seconds is None or math.isnan(seconds):
        return DASH
    if seconds < 1e-3:
        return f"{seconds * 1e6:.3g} µs" if seconds < 9.995e-5 else f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def size(n_bytes: float | None) -> str:
    """An amount of memory (powers of 1000)."""
    if n_bytes is None:
        return DASH
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= scale:
            value = n_bytes / scale
            return f"{value:.1f} {unit}" if value < 100 else f"{value:.0f} {unit}"
    return f"{n_bytes:.0f} B"


def percent(share: float) -> str:
    """A share; never 0 % for what is not nothing."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    value = 100 * share
    return f"{value:.0f} %" if value >= 10 or value == 0 else f"{value:.1f} %"


def p_value(p: float) -> str:
    """As journals print it."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def times(exponent: float) -> str:
    """What doubling multiplies by, from a growth exponent."""
    return DASH if math.isnan(exponent) else f"x {2**exponent:.2f}"


SIGNS = {"␣": " ", "↵": "\n", "⇥": "\t"}
"""What stands for characters that a table or a list cannot show."""


_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Those that open and close embeddings, overrides and isolates make what stands there read as
# something else. The marks of Arabic and Hebrew text, U+200E, U+200F and U+061C, cannot.
_STEERING = re.compile(f"{_CONTROLS.pattern}|[\u202a-\u202e\u2066-\u2069]")
_JOINERS = "\u200c\u200d"
"""What stands inside the words of Persian and Hindi, and in emoji."""
_NO_TEXT = re.compile("[\ud800-\udfff]")


def listed(token: str) -> str:
    r"""A token in a list with one a line: as it is, unless it would not come back from there.

    >>> print(listed("co-op"), listed("10\u00a0kg") == "10\u00a0kg", listed(" "), listed("\n"))
    co-op True ␣ ↵
    """
    plain = token.strip() == token and len(token.splitlines()) == 1
    plain = plain and not _CONTROLS.search(token) and not _NO_TEXT.search(token)
    return token if plain else visible(token)


def visible(token: str, space: str = "␣") -> str:
    r"""A token as it can be printed: white space and control characters by a sign.

    A byte that is no whole character, which stands in a piece as a lone surrogate, is shown as it
    is; so are the joiners between letters.

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
    r"""A text that cannot steer a terminal: control characters but line ends and tabs as \xNN, and
    those that turn the direction of what follows as \uNNNN.

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
