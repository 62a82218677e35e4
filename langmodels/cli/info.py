"""`langmodels info`: what is in a model file."""

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console

from langmodels.cli import streams
from langmodels.cli.files import InputFile
from langmodels.cli.options import add_json_option
from langmodels.cli.output import (
    facts_table,
    join_settings,
    make_table,
    print_json,
    settings_line,
    visible,
)
from langmodels.formatting import size
from langmodels.models.base import LanguageModel, Model
from langmodels.models.cache import CacheModel
from langmodels.models.files import pack
from langmodels.models.mixture import MixtureModel
from langmodels.neural.dynamic import DynamicModel
from langmodels.ngram import NGramModel
from langmodels.registry import load_any

EPILOG = """\
examples:
  langmodels info tale.lm
  langmodels info tale.lm --arrays
  langmodels info tale.lm --vocabulary > words.txt
"""
SHOWN = 8  # most frequent tokens of the vocabulary


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", type=InputFile, metavar="MODEL", help="a model file")
    parser.add_argument("--arrays", action="store_true", help="list the arrays in the file")
    parser.add_argument(
        "--vocabulary", action="store_true", help="print the tokens instead, one a line"
    )
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Print what the file says of the model."""
    model = load_any(args.model)
    if args.vocabulary:
        tokens = model.vocabulary.tokens
        if args.json:
            print_json(tokens)
        else:
            streams.write("".join(f"{visible(token)}\n" for token in tokens))
        return None
    report = {"file": args.model, "bytes": Path(args.model).stat().st_size, **describe(model)}
    _, arrays = pack(model)
    report["arrays"] = {
        name: {"dtype": str(array.dtype), "shape": array.shape, "bytes": array.nbytes}
        for name, array in arrays.items()
    }
    if args.json:
        print_json(report)
        return None
    vocabulary = model.vocabulary
    frequent = vocabulary.tokens[vocabulary.n_special :][:SHOWN]
    reach = report["context_length"]
    rows = {
        "file": f"{args.model} ({size(report['bytes'])})",
        "model": f"{report['class']} ({report['kind']})",
        "settings": settings_line(model),
        # The edges of bins are for --json; here they would fill the screen.
        "tokens": join_settings(
            {k: v for k, v in report["tokenizer"].items() if not isinstance(v, dict)}
        ),
        "vocabulary": f"{len(vocabulary):,}: {' '.join(map(visible, frequent))} ...",
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


def describe(model: Model) -> dict[str, Any]:
    """What a model says of itself, as plain data."""
    sequences = model if isinstance(model, LanguageModel) else None
    ngram = model if isinstance(model, NGramModel) else None
    return {
        "kind": model.kind,
        "class": type(model).__name__,
        "config": model.config(),
        "tokenizer": {"level": model.tokenizer.level, **model.tokenizer.config()},
        "vocabulary": len(model.vocabulary),
        "context_length": sequences.context_length if sequences else None,
        "parameters": model.n_parameters,
        "is_distribution": sequences is None or sequences.is_distribution,
        "ngrams": ngram.ngram_counts if ngram else [],
        "discounts": ngram.discounts if ngram else [],
        "parts": [f"{type(part).__name__}: {settings_line(part)}" for part in _parts(model)],
    }


def _parts(model: Model) -> list[LanguageModel[Any]]:
    if isinstance(model, MixtureModel):
        return model.models
    return [model.base] if isinstance(model, CacheModel | DynamicModel) else []
