"""Options that several commands share: which text, how it is read and divided, what comes out."""

import argparse
import copy
from typing import Any

from langmodels.cli.files import InputFile, PlotFile, TextName
from langmodels.datasets.files import ERRORS
from langmodels.errors import UsageError
from langmodels.text.cleaning import CLEANINGS, clean
from langmodels.text.levels import TOKENIZERS
from langmodels.text.splits import DEFAULT_FRACTIONS, WAYS, Fractions

DEFAULT_CORPUS = "wonderland.txt"
DEFAULT_LEVEL = "word"


def add_corpus_options(
    parser: argparse.ArgumentParser,
    *,
    default: str | None = DEFAULT_CORPUS,
    optional: bool = False,
) -> None:
    """Options that say which text is read and how.

    Without a `default`, --corpus is required unless it is `optional`.
    """
    group = parser.add_argument_group("the text")
    group.add_argument(
        "--corpus",
        type=TextName,
        metavar="NAME",
        required=default is None and not optional,
        default=default,
        help="a file (.gz, .xz, .bz2, .zst too), a folder, a pattern or several files with commas "
        "between them; FASTA, JSON lines and Parquet by their names; a field of documents "
        "(docs.jsonl?text=FIELD,id=FIELD), a column of a table (data.csv?series=COLUMN for "
        "numbers, log.csv?events=COLUMN,case=COLUMN for symbols, ?text=COLUMN for texts), - for "
        "standard input, or a name that `langmodels corpora` lists"
        + (f" (default: {default})" if default else ""),
    )
    add_text_options(group)
    group.add_argument(
        "--level",
        metavar="LEVEL",
        help=f"unit of the models: {', '.join(TOKENIZERS)} "
        f"(default: what the corpus is made for, else {DEFAULT_LEVEL})",
    )
    group.add_argument("--pattern", help="word level: regular expression of a token")
    group.add_argument(
        "--width",
        type=int,
        help="symbols level: characters to a symbol (default: what white space separates)",
    )
    group.add_argument(
        "--lines",
        action="store_true",
        default=None,
        help="levels char, byte and symbols: each line is a sequence with an end, not a stretch of "
        "one stream",
    )
    group.add_argument(
        "--min-count",
        type=int,
        metavar="N",
        help="rarer tokens become <unk> (default: 2 at level word, else 1, which keeps all)",
    )
    group.add_argument(
        "--vocab-size",
        "--max-vocab",
        type=int,
        metavar="N",
        help="keep only the N most frequent tokens",
    )
    add_carry_option(group)
    add_split_options(group)
    group.add_argument(
        "--validation", type=TextName, metavar="FILE", help="a validation text of your own"
    )
    group.add_argument(
        "--test",
        type=TextName,
        metavar="FILE",
        help="a test text of your own, where the command measures",
    )
    add_seed_option(parser)


def add_text_options(group: argparse._ActionsContainer) -> None:
    """How a text is decoded and cleaned."""
    group.add_argument("--encoding", default="utf-8", help="encoding of the files (default: utf-8)")
    add_errors_option(group)
    group.add_argument("--lower", action="store_true", help="lower-case the text")
    group.add_argument(
        "--clean",
        "--normalize",
        type=parse_cleaning,
        default="none",
        metavar="HOW",
        help=f"clean the text first: {', '.join(CLEANINGS)}, or several of them with commas, in "
        "that order (default: none)",
    )


def add_errors_option(group: argparse._ActionsContainer, default: str = "strict") -> None:
    """What becomes of bytes that are no text."""
    group.add_argument(
        "--errors",
        choices=ERRORS,
        default=default,
        help=f"bytes that are no text in this encoding: refuse them, read them as U+FFFD or leave "
        f"them out; they are counted (default: {default})",
    )


def add_carry_option(group: argparse._ActionsContainer) -> None:
    """Whether what networks and caches remember goes over the lines of the text."""
    group.add_argument(
        "--carry",
        action="store_true",
        help="carry state over the lines of a document: networks and caches remember what stood "
        "before a line",
    )


def add_vocabulary_option(parser: argparse.ArgumentParser) -> None:
    """For commands that learn from a whole text."""
    parser.add_argument(
        "--vocabulary",
        type=InputFile,
        metavar="FILE",
        help="the tokens to know, one a line, instead of those of the text; all others are <unk>",
    )


def add_split_options(group: argparse._ActionsContainer) -> None:
    """How a text is divided."""
    group.add_argument(
        "--split",
        metavar="HOW",
        help=f"how the text is divided: {', '.join(WAYS)} (default: {WAYS[0]})",
    )
    group.add_argument(
        "--fractions",
        type=parse_fractions,
        metavar="A,B,C",
        help="training, validation and test fractions "
        f"(default: {','.join(map(str, DEFAULT_FRACTIONS))})",
    )


def add_seed_option(parser: argparse.ArgumentParser, what: str = "all that is random") -> None:
    """Where anything is drawn."""
    parser.add_argument(
        "--seed", type=parse_seed, default=0, metavar="N", help=f"seed of {what} (default: 0)"
    )


def add_json_option(parser: argparse._ActionsContainer) -> None:
    """Every command has it."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def add_plot_option(parser: argparse._ActionsContainer, what: str) -> None:
    """For commands whose result one would rather look at."""
    parser.add_argument(
        "--plot", type=PlotFile, metavar="FILE", help=f"draw {what} into a .png, .svg or .pdf"
    )


def replaced(args: argparse.Namespace, **values: Any) -> argparse.Namespace:
    """The arguments, some of them with other values."""
    other = copy.copy(args)
    vars(other).update(values)
    return other


def parse_seed(text: str) -> int:
    """A seed: a whole number that is not negative."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"a seed is a whole number of at least 0, not {text!r}")
    return int(text)


def parse_fractions(text: str) -> Fractions:
    """`0.8,0.1,0.1` as three numbers."""
    try:
        first, second, third = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"write three fractions such as 0.8,0.1,0.1, not {text!r}"
        ) from None
    return first, second, third


def parse_cleaning(text: str) -> str:
    """Names of cleanings with commas between, as a reading has them."""
    how = "+".join(name.strip() for name in text.split(","))
    try:
        clean((), how)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return how
