"""What the commands for n-gram models share: reading and writing either kind of file."""

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
"""In which endings names of ARPA files end, to be said after `ends in`."""


def add_input_options(parser: argparse.ArgumentParser) -> None:
    """How ARPA files are read."""
    parser.add_argument(
        "--level",
        metavar="LEVEL",
        help=f"ARPA files: how their text was cut into tokens, one of {', '.join(TOKENIZERS)} "
        "(default: whitespace)",
    )


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Where the result goes, and in what form."""
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
    """For commands that write a model file."""
    parser.add_argument(
        "--quantize", action="store_true", help="write eight bits a probability: a smaller file"
    )


def add_closed_option(parser: argparse.ArgumentParser) -> None:
    """For commands that write a model of certain words."""
    parser.add_argument(
        "--closed",
        action="store_true",
        help="n-gram models: a closed vocabulary, in which <unk> has probability zero and the "
        "other words what it had",
    )


def read_model(path: str, level: str | None = None, cleaning: str | None = None) -> NGramModel:
    """An n-gram model from a file of any kind; hash tables of KenLM's stay where they lie.

    `level` and `cleaning`: how its text was cut, and cleaned before, for the files of other tools.
    """
    tokenizer: Tokenizer | None = None if level is None else make_tokenizer(level)
    model = open_ngrams(path, tokenizer, cleaning)
    if isinstance(model, KenLMModel) and model.header.is_trie:
        return model.listed()
    return model


def write_model(model: NGramModel, args: argparse.Namespace) -> NGramModel:
    """Write a model where --output says, closed and quantized if asked for; return what it was."""
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
    """Whether `write_model` writes a model file, which holds all that a model is."""
    return not is_arpa_name(path) and not is_fst_name(path)


def file_line(path: str) -> str:
    """A file and its size."""
    return f"{path} ({size(Path(path).stat().st_size)})"


def ngrams_line(model: NGramModel) -> str:
    """How many n-grams of each order there are."""
    sizes = model.ngram_counts
    return f"{sum(sizes):,} ({', '.join(f'{n:,}' for n in sizes)} of orders 1 to {len(sizes)})"
