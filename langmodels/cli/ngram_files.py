"""Shared by the commands for n-gram models: reading and writing their files."""

import argparse
from pathlib import Path

from langmodels.cli.files import OutputFile
from langmodels.formatting import size
from langmodels.ngram import NGramModel, close, quantize
from langmodels.ngram.arpa import is_arpa_name
from langmodels.ngram.kenlm import KenLMModel
from langmodels.ngram.openfst import is_fst_name
from langmodels.ngram.opening import open_ngrams
from langmodels.packed import COMPRESSIONS
from langmodels.text.levels import TOKENIZERS, make_tokenizer
from langmodels.text.tokenization import Tokenizer

ARPA_NAMES = f".arpa, or in that and {', '.join(COMPRESSIONS)}"
"""The suffixes of ARPA files, as the end of a sentence with `ends in`."""


def add_input_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for reading ARPA files."""
    parser.add_argument(
        "--level",
        metavar="LEVEL",
        help=f"ARPA files: how their text was tokenized, one of {', '.join(TOKENIZERS)} "
        "(default: whitespace)",
    )


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the output."""
    parser.add_argument(
        "--output",
        "-o",
        type=OutputFile,
        required=True,
        metavar="FILE",
        help=f"the file to write; ARPA where the name ends in {ARPA_NAMES}",
    )
    add_quantize_option(parser)


def add_quantize_option(parser: argparse.ArgumentParser) -> None:
    """Add --quantize, for commands that write a model file."""
    parser.add_argument(
        "--quantize", action="store_true", help="write eight bits per probability: a smaller file"
    )


def add_closed_option(parser: argparse.ArgumentParser) -> None:
    """Add --closed, for commands that write an n-gram model."""
    parser.add_argument(
        "--closed",
        action="store_true",
        help="n-gram models: close the vocabulary: <unk> gets probability zero, and the other "
        "words share what it had",
    )


def read_model(path: str, level: str | None = None, cleaning: str | None = None) -> NGramModel:
    """Open an n-gram model from a file of any format; KenLM's hash tables stay mapped.

    `level` and `cleaning` say how the text of a foreign file was tokenized and cleaned.
    """
    tokenizer: Tokenizer | None = None if level is None else make_tokenizer(level)
    model = open_ngrams(path, tokenizer, cleaning)
    if isinstance(model, KenLMModel) and model.header.is_trie:
        return model.listed()
    return model


def write_model(model: NGramModel, args: argparse.Namespace) -> NGramModel:
    """Write a model to --output, closed and quantized if asked for; returns the model as
    written.
    """
    if getattr(args, "closed", False):
        model = close(model)
    if args.quantize:
        model = quantize(model)
    if is_arpa_name(args.output):
        model.save_arpa(args.output)
    elif is_fst_name(args.output):
        model.save_fst(args.output)
    else:
        model.save(args.output)
    return model


def is_model_name(path: str) -> bool:
    """Whether `write_model` writes a model file for this name, and no ARPA file or automaton."""
    return not is_arpa_name(path) and not is_fst_name(path)


def file_line(path: str) -> str:
    """A line with a file and its size."""
    return f"{path} ({size(Path(path).stat().st_size)})"


def ngrams_line(model: NGramModel) -> str:
    """A line with the number of n-grams of each order."""
    sizes = model.ngram_counts
    return f"{sum(sizes):,} ({', '.join(f'{n:,}' for n in sizes)} of orders 1 to {len(sizes)})"
