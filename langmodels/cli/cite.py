"""`langmodels cite`: what to cite for the methods of a comparison."""

import argparse
from pathlib import Path

from rich.console import Console

from langmodels.cli import streams
from langmodels.cli.files import ModelNames
from langmodels.cli.options import add_json_option
from langmodels.cli.output import print_json
from langmodels.evaluation.citations import Citation, works_for, works_of
from langmodels.evaluation.comparison import Comparison
from langmodels.names import split_names
from langmodels.registry import any_model_spec
from langmodels.settings import parse_name

EPILOG = """\
examples:
  langmodels compare --corpus book.txt --report results.json
  langmodels cite results.json > results.bib
  langmodels cite mkn,lstm

For a saved comparison: the works behind its models, intervals and tests. For names of models: the
works behind these. This package is always listed; common knowledge is not cited.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "what",
        type=ModelNames,
        metavar="FILE.json|MODEL[,MODEL...]",
        help="a comparison saved by --report as JSON, or names of models",
    )
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Print the entries."""
    works = _works(args.what)
    if args.json:
        print_json([{"key": w.key, "kind": w.kind, "fields": w.fields} for w in works])
        return None
    streams.write("\n\n".join(work.bibtex() for work in works) + "\n")
    return None


def _works(what: str) -> list[Citation]:
    if what.endswith(".json") or Path(what).is_file():
        return works_of(Comparison.load(what).results)
    names = [parse_name(name)[0] for name in split_names(what) if name]
    return works_for(any_model_spec(name).name for name in names)
