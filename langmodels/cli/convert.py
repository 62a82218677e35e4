"""`langmodels convert`: convert between ARPA files, model files and other formats."""

import argparse
from pathlib import Path

from rich.console import Console

from langmodels.cli.files import InputFile, OutputFile
from langmodels.cli.ngram_files import (
    ARPA_NAMES,
    add_input_options,
    add_quantize_option,
    file_line,
    ngrams_line,
    read_model,
    write_model,
)
from langmodels.cli.options import add_json_option, parse_cleaning
from langmodels.cli.output import facts_table, print_json
from langmodels.errors import UsageError
from langmodels.ngram.arpa import is_arpa_name
from langmodels.ngram.openfst import is_fst_name
from langmodels.text.cleaning import CLEANINGS

_MODEL_ENDINGS = (".lm", ".model", ".safetensors", "")
EPILOG = """\
examples:
  langmodels convert news.arpa.gz news.lm
  langmodels convert news.lm news.arpa
  langmodels convert news.lm small.lm --quantize
  langmodels convert letters.arpa letters.lm --level char
  langmodels convert en.arpa.bin en.lm --level sentencepiece:file=en.sp.model --normalize ccnet
  langmodels convert news.trie.bin news.arpa
  langmodels convert news.arpa news.fst

ARPA files are what KenLM, SRILM, IRSTLM and others exchange; they may be compressed. Of KenLM's
binary files, tries can be converted to any format; hash tables (probing) do not keep the words of
n-grams, and can only be stored as they are in a model file. A model file opens at once, however
large it is. The output is ARPA if its name ends in .arpa, or in that and .gz, .xz, .bz2 or .zst,
and an automaton in OpenFst's text format if it ends in .fst, with arcs labelled <eps> for backing
off; model files end in .lm, .model or .safetensors, or have no suffix.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "input",
        type=InputFile,
        metavar="INPUT",
        help="an ARPA file, a binary file of KenLM's or a model file",
    )
    parser.add_argument("output", type=OutputFile, metavar="OUTPUT", help="the file to write")
    add_input_options(parser)
    parser.add_argument(
        "--clean",
        "--normalize",
        type=parse_cleaning,
        metavar="HOW",
        help="files of other tools: how the text was cleaned, "
        f"{', '.join(CLEANINGS)}, or several of them with commas",
    )
    add_quantize_option(parser)
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Read the input, write the output, and report on it."""
    kind = _kind(args.output)
    model = write_model(read_model(args.input, args.level, args.clean), args)
    if args.json:
        print_json({"input": args.input, "output": args.output, "ngrams": model.ngram_counts})
        return None
    rows = {"n-grams": ngrams_line(model), "file": f"{file_line(args.output)}, {kind}"}
    console.print(facts_table(rows))
    return None


def _kind(output: str) -> str:
    """The format of the output. Raises UsageError for a name with another suffix."""
    if is_arpa_name(output):
        return "ARPA"
    if is_fst_name(output):
        return "automaton"
    if Path(output).suffix.lower() not in _MODEL_ENDINGS:
        raise UsageError(
            f"Files that end in {Path(output).suffix} are not written; names end in {ARPA_NAMES}, "
            f"or in .fst, or for model files in {', '.join(_MODEL_ENDINGS[:-1])}."
        )
    return "model file"
