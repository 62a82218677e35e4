"""`langmodels decompress`: restore a file that `langmodels compress` wrote."""

import argparse

from rich.console import Console

from langmodels.cli.files import InputFile, OutputFile
from langmodels.cli.options import add_json_option
from langmodels.cli.output import facts_table, print_json
from langmodels.compression import decompress
from langmodels.datasets.files import read_bytes
from langmodels.registry import load
from langmodels.storage import atomic_write

EPILOG = """\
examples:
  langmodels decompress book.lmz --output book.txt
  langmodels decompress book.lmz --model tale.lm --output book.txt

Nothing is written if anything is wrong: checksums detect a damaged file, another model, and a
machine on which the model gives other probabilities, and the message says which it is.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("input", type=InputFile, metavar="FILE", help="a compressed file")
    parser.add_argument(
        "--model",
        type=InputFile,
        metavar="MODEL",
        help="the model file that it was compressed with",
    )
    parser.add_argument(
        "--output", "-o", type=OutputFile, metavar="FILE", required=True, help="file to write"
    )
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Decompress, check, write."""
    packed = read_bytes(args.input)
    data = decompress(packed, None if args.model is None else load(args.model))
    with atomic_write(args.output) as file:
        file.write(data)
    if args.json:
        print_json({"input": args.input, "output": args.output, "bytes": len(data)})
        return None
    console.print(facts_table({"file": f"{args.output}, {len(data):,} bytes"}))
    return None
