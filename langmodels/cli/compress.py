"""`langmodels compress`: arithmetic coding of a file with a language model."""

import argparse
from typing import Any

from rich.console import Console

from langmodels.cli.files import InputFile, OutputFile
from langmodels.cli.options import add_carry_option, add_json_option
from langmodels.cli.output import facts_table, make_table, print_json
from langmodels.compression import Compressed, compress
from langmodels.datasets.files import read_bytes
from langmodels.errors import LangmodelsError
from langmodels.evaluation.compressors import compressed_sizes
from langmodels.registry import load
from langmodels.storage import atomic_write

EPILOG = """\
examples:
  langmodels compress book.txt
  langmodels compress book.txt --output book.lmz
  langmodels compress book.txt --model tale.lm --output book.lmz

Arithmetic coding: the file has the size of the model's cross-entropy, plus a header of some 30
bytes. Without --model, a full-context model of bytes starts empty and learns as it reads. With one,
its tokens are coded, and what tokenization loses (spaces, unknown words, capitals) as bytes; any
file is restored exactly. The table also shows the compressors of Python's standard library.

Probabilities are rounded to multiples of 2^-32. A file can be read on another machine if that
rounds the model's floats to the same multiples; `langmodels decompress` reports it otherwise.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "input", type=InputFile, metavar="FILE", help="any file; - for standard input"
    )
    parser.add_argument(
        "--model",
        type=InputFile,
        metavar="MODEL",
        help="a model file (default: a byte model that starts empty and adapts)",
    )
    parser.add_argument(
        "--output",
        "-o",
        type=OutputFile,
        metavar="FILE",
        help="compressed file to write (default: measure only)",
    )
    add_carry_option(parser)
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Compress the file, write it if asked for, and show the sizes."""
    data = read_bytes(args.input)
    if not data:
        raise LangmodelsError(f"{args.input} is empty; there is nothing to compress.")
    model = None if args.model is None else load(args.model)
    found = compress(data, model, carry=args.carry)
    if args.output:
        with atomic_write(args.output) as file:
            file.write(found.data)
    sizes = {_name(args.model, found): len(found.data), **compressed_sizes(data)}
    if args.json:
        print_json(_report(args, data, found, sizes))
        return None
    table = make_table("", "bytes", "bits a byte", left=("",))
    for name, size in {args.input: len(data), **sizes}.items():
        table.add_row(name, f"{size:,}", f"{8 * size / len(data):.3f}")
    console.print(table)
    rows = {
        "cross-entropy": f"{found.bits / 8:,.0f} bytes, in {found.n_tokens:,} tokens"
        + (f"; {found.residue_bits / 8:,.0f} are what they lose" if found.residue_bits else "")
    }
    if args.output:
        rows["file"] = args.output
    if found.by_bytes:
        rows["note"] = "The model's tokens cannot be found in this file; it was written by bytes."
    console.print(facts_table(rows))
    return None


def _name(model: str | None, found: Compressed) -> str:
    return "adaptive, by bytes" if model is None or found.by_bytes else model


def _report(
    args: argparse.Namespace, data: bytes, found: Compressed, sizes: dict[str, int]
) -> dict[str, Any]:
    return {
        "input": args.input,
        "output": args.output,
        "bytes": len(data),
        "tokens": found.n_tokens,
        "cross_entropy": found.bits,
        "residue": found.residue_bits,
        "by_bytes": found.by_bytes,
        "sizes": [
            {"name": name, "bytes": size, "bits_per_byte": 8 * size / len(data)}
            for name, size in sizes.items()
        ],
    }
