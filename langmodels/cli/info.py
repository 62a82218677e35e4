"""`langmodels info`: the contents of a model file."""

import argparse
from pathlib import Path

from rich.console import Console

from langmodels.cli import streams
from langmodels.cli.files import InputFile
from langmodels.cli.options import add_json_option
from langmodels.cli.output import (
    facts_table,
    make_table,
    print_json,
    visible,
)
from langmodels.formatting import listed, size
from langmodels.models.base import LanguageModel
from langmodels.models.description import describe, join_settings, settings_line
from langmodels.models.model import Model
from langmodels.pretrained import is_pretrained_name
from langmodels.registry import load_any

EPILOG = """\
examples:
  langmodels info tale.lm
  langmodels info tale.lm --arrays
  langmodels info tale.lm --vocabulary > words.txt
"""
LONG = 100  # characters
SHOWN = 8  # most frequent tokens of the vocabulary


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", type=InputFile, metavar="MODEL", help="a model file")
    parser.add_argument("--arrays", action="store_true", help="list the arrays in the file")
    parser.add_argument(
        "--vocabulary", action="store_true", help="print the tokens instead, one per line"
    )
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Print the description of the model."""
    model = load_any(args.model)
    if args.vocabulary:
        tokens = model.vocabulary.tokens
        if args.json:
            print_json(tokens)
        else:
            streams.write("".join(f"{listed(token)}\n" for token in tokens))
        return None
    there = None if is_pretrained_name(args.model) else Path(args.model).stat().st_size
    report = {"file": args.model, "bytes": there, **describe(model)}
    if args.json:
        print_json(report)
        return None
    vocabulary = model.vocabulary
    frequent = vocabulary.tokens[vocabulary.n_special :][:SHOWN]
    reach = report["context_length"]
    rows = {
        "file": args.model + ("" if report["bytes"] is None else f" ({size(report['bytes'])})"),
        "model": f"{report['class']} ({report['kind']})",
        "settings": settings_line(model) or "none",
        "tokens": join_settings({k: v for k, v in report["tokenizer"].items() if _is_short(v)}),
        "vocabulary": f"{len(vocabulary):,}: {' '.join(map(visible, frequent))} ..."
        + ("; closed, p(<unk>) = 0" if report["closed"] else ""),
        "context": _context(model, reach),
        "parameters": f"{report['parameters']:,}",
    }
    if report["ngrams"]:
        rows["n-grams"] = "\n".join(
            f"{n:>14,} of order {k}" for k, n in enumerate(report["ngrams"], start=1)
        )
    if report["discounts"]:
        rows["discounts"] = "\n".join(
            f"{'  '.join(f'{d:.4f}' for d in discounts)}  of order {k}"
            for k, discounts in enumerate(report["discounts"], start=1)
        )
    if report["parts"]:
        rows["made of"] = "\n".join(report["parts"])
    if not report["is_distribution"]:
        rows["note"] = "its scores do not sum to one; they are no probabilities"
    console.print(facts_table(rows))
    if args.arrays:
        table = make_table("array", "dtype", "shape", "size", left=("array", "dtype"))
        for name, entry in report["arrays"].items():
            shape = " x ".join(f"{n:,}" for n in entry["shape"])
            table.add_row(name, entry["dtype"], shape, size(entry["bytes"]))
        console.print(table)
    return None


def _context(model: Model, reach: int | None) -> str:
    if not isinstance(model, LanguageModel):
        return "both sides of a blank"
    return "the whole history" if reach is None else f"the last {reach} tokens"


def _is_short(value: object) -> bool:
    """Whether a setting fits on the screen; edges of bins and learnt pieces are only in --json."""
    return not isinstance(value, dict) and len(str(value)) < LONG
