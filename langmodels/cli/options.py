"""Options that several commands share: which text, how it is read and divided, the output."""

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
        help="a file (also .gz, .xz, .bz2, .zst), a folder, a pattern, or several files with "
        "commas between; FASTA, JSON lines and Parquet files are recognised by their names; a "
        "field of documents (docs.jsonl?text=FIELD,id=FIELD); a column of a table "
        "(data.csv?series=COLUMN for numbers, log.csv?events=COLUMN,case=COLUMN for symbols, "
        "?text=COLUMN for texts); - for standard input; or a name that `langmodels corpora` lists"
        + (f" (default: {default})" if default else ""),
    )
    add_text_options(group)
    group.add_argument(
        "--level",
        metavar="LEVEL",
        help=f"what the tokens are: {', '.join(TOKENIZERS)} "
        f"(default: the level that the corpus is meant for, else {DEFAULT_LEVEL})",
    )
    group.add_argument("--pattern", help="level word: regular expression that matches a token")
    group.add_argument(
        "--width",
        type=int,
        help="level symbols: characters in a symbol (default: what white space separates)",
    )
    group.add_argument(
        "--lines",
        action="store_true",
        default=None,
        help="levels char, byte and symbols: each line is a sequence with an end (default: the "
        "text is one stream)",
    )
    group.add_argument(
        "--min-count",
        type=int,
        metavar="N",
        help="tokens that occur less often become <unk> (default: 2 at level word, else 1)",
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
        "--validation", type=TextName, metavar="FILE", help="take this text for validation"
    )
    group.add_argument("--test", type=TextName, metavar="FILE", help="take this text for testing")
    add_seed_option(parser)


def add_text_options(group: argparse._ActionsContainer) -> None:
    """Options for how a text is decoded and cleaned."""
    group.add_argument("--encoding", default="utf-8", help="encoding of the files (default: utf-8)")
    add_errors_option(group)
    group.add_argument("--lower", action="store_true", help="lower-case the text")
    group.add_argument(
        "--clean",
        "--normalize",
        type=parse_cleaning,
        default="none",
        metavar="HOW",
        help=f"clean the text first: {', '.join(CLEANINGS)}, or several of these with commas "
        "between, applied in that order (default: none)",
    )


def add_errors_option(group: argparse._ActionsContainer, default: str = "strict") -> None:
    """The option for what becomes of bytes that are no text."""
    group.add_argument(
        "--errors",
        choices=ERRORS,
        default=default,
        help="what to do with bytes that are no text in this encoding: refuse them, replace them "
        f"by U+FFFD, or ignore them; a warning counts them (default: {default})",
    )


def add_carry_option(group: argparse._ActionsContainer) -> None:
    """The option for carrying the state of networks and caches from line to line."""
    group.add_argument(
        "--carry",
        action="store_true",
        help="carry state from line to line within a document: networks and caches then remember "
        "the lines before",
    )


def add_vocabulary_option(parser: argparse.ArgumentParser) -> None:
    """The option of a given vocabulary, for commands that learn from a whole text."""
    parser.add_argument(
        "--vocabulary",
        type=InputFile,
        metavar="FILE",
        help="a file with the known tokens, one a line, instead of those of the text; all others "
        "become <unk>",
    )


def add_split_options(group: argparse._ActionsContainer) -> None:
    """Options for how a text is divided into parts."""
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
    """The option of a seed, for commands that draw at random."""
    parser.add_argument(
        "--seed", type=parse_seed, default=0, metavar="N", help=f"seed of {what} (default: 0)"
    )


def add_json_option(parser: argparse._ActionsContainer) -> None:
    """The option --json, which every command has."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def add_plot_option(parser: argparse._ActionsContainer, what: str) -> None:
    """The option of a picture file; `what` says what is drawn."""
    parser.add_argument(
        "--plot", type=PlotFile, metavar="FILE", help=f"draw {what} into a .png, .svg or .pdf"
    )


def replaced(args: argparse.Namespace, **values: Any) -> argparse.Namespace:
    """A copy of the arguments in which some have other values."""
    other = copy.copy(args)
    vars(other).update(values)
    return other


def parse_seed(text: str) -> int:
    """Parse a seed: a whole number of at least 0."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"a seed is a whole number of at least 0, not {text!r}")
    return int(text)


def parse_fractions(text: str) -> Fractions:
    """Parse `0.8,0.1,0.1` as three numbers."""
    try:
        first, second, third = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"write three fractions such as 0.8,0.1,0.1, not {text!r}"
        ) from None
    return first, second, third


def parse_cleaning(text: str) -> str:
    """Parse names of cleanings with commas between; returns them joined by `+`."""
    how = "+".join(name.strip() for name in text.split(","))
    try:
        clean((), how)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return how
