"""Printing: JSON, tables, and numbers as people read them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from langmodels import formatting
from langmodels.cli import streams
from langmodels.formatting import figure
from langmodels.interchange import json_text

UNITS: dict[str, float] = {"log10": math.log(10), "bits": math.log(2), "nats": 1.0}
"""Units of log probabilities, in nats."""

UNIT_LABELS = {"log10": "log10 p", "bits": "log2 p", "nats": "ln p"}

LONGEST = 40
"""Most characters of a token that a table shows."""


def print_json(data: Any) -> None:
    """Print one JSON document on standard output; see `interchange` for infinite numbers."""
    streams.write(f"{json_text(data, 2)}\n")


def make_table(*columns: str, title: str | None = None, left: Sequence[str] = ()) -> Table:
    """A table in the house style; columns are aligned right but for those named in `left`."""
    table = Table(
        box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, title_style="bold"
    )
    for column in columns:
        on_left = column in left
        table.add_column(
            column,
            justify="left" if on_left else "right",
            no_wrap=not on_left,
            overflow="fold" if on_left else "ellipsis",
        )
    return table


def facts_table(rows: Mapping[str, str], title: str | None = None) -> Table:
    """A table of names and values, one pair a line."""
    table = Table(
        box=None, show_header=False, title=title, title_justify="left", title_style="bold"
    )
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, Text(value))
    return table


def format_probability(p: float) -> str:
    """A probability with four decimals, or three digits and an exponent where it is small.

    >>> format_probability(0.25), format_probability(0.00001234), format_probability(0.0)
    ('0.2500', '1.23e-05', '0')
    """
    if p == 0:
        return "0"
    return f"{p:.4f}" if p >= 0.001 else f"{p:.2e}"


def format_log(value: float, digits: int = 4) -> str:
    """A log probability; `-inf` for the log of zero, which has to be short in tables."""
    return "-inf" if value == -math.inf else f"{value:.{digits}f}"


def format_log_probability(log_p: float) -> str:
    """The probability exp(log_p), also if it is too small for a float.

    >>> format_log_probability(-2000.0)
    '2.58e-869'
    """
    if log_p == -math.inf or log_p > -690:
        return format_probability(math.exp(log_p))
    exponent = math.floor(log_p / math.log(10))
    return f"{math.exp(log_p - exponent * math.log(10)):.2f}e{exponent}"


def format_perplexity(value: float) -> str:
    """A perplexity with two decimals, four below ten; "infinite" and a dash for none."""
    if not math.isfinite(value):
        return figure(value)
    if value >= 1e15:
        return f"{value:.2e}"
    return f"{value:,.4f}" if value < 10 else f"{value:,.2f}"


def visible(token: str) -> str:
    """A token as a table can show it: shortened, white space and control characters visible.

    >>> visible(" "), visible("x"), visible(chr(10))
    ('␣', 'x', '↵')
    """
    return formatting.visible(token if len(token) <= LONGEST else f"{token[: LONGEST - 1]}…")


def conditional(
    token: str, context: Sequence[str], width: int, separator: str = " ", letter: str = "p"
) -> str:
    """`p(thing | the next big)`, the context cut on its left so that it fits `width` characters.

    >>> conditional("thing", ["is", "the", "next", "big"], 22)
    'p(thing | … next big)'
    """
    if not context:
        return f"{letter}({visible(token)})"
    head = f"{letter}({visible(token)} | "
    return f"{head}{context_line(context, width - len(head) - 1, separator)})"


def context_line(context: Sequence[str], width: int, separator: str = " ") -> str:
    """The last tokens of a context that fit `width` characters, after … where some are missing.

    >>> context_line(["is", "the", "next", "big"], 12)
    '… next big'
    """
    shown = list(map(visible, context[-width - 1 :] if width > 0 else context[-1:]))
    line = separator.join(shown)
    while len(line) > width and len(shown) > 1:
        shown.pop(0)
        line = f"…{separator}{separator.join(shown)}"
    return line


def bar(share: float, width: int, encoding: str = "utf-8") -> str:
    """A bar of `width` characters at most, for a share between 0 and 1; in eighths where possible.

    >>> bar(0.5, 4), bar(0.3, 4, "ascii")
    ('██', '#')
    """
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    if not encoding.lower().replace("-", "").startswith("utf"):
        return "#" * round(eighths / 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
