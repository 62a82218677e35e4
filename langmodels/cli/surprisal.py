"""`langmodels surprisal`: a table of the surprisal of every word, for reading experiments."""

import argparse
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console

from langmodels.cli import streams
from langmodels.cli.files import InputFile, TableFile, TextName
from langmodels.cli.options import add_carry_option, add_errors_option, add_json_option
from langmodels.cli.output import facts_table, print_json
from langmodels.cli.texts import text_of
from langmodels.errors import UsageError
from langmodels.evaluation.surprisal import BLANKS
from langmodels.evaluation.table_files import Columns, records, save_table, table_text
from langmodels.evaluation.word_table import (
    MEASURES,
    UNITS,
    RowOptions,
    Surprisals,
    field_examples,
)
from langmodels.interchange import json_text
from langmodels.models.base import LanguageModel
from langmodels.names import file_labels
from langmodels.registry import load

EPILOG = """\
examples:
  langmodels surprisal tale.lm --corpus stories.txt --output stories.csv
  langmodels surprisal kn.lm lstm.lm --corpus stories.txt --output stories.parquet
  langmodels surprisal tale.lm --corpus "items.csv?text=sentence" --regions / --output items.csv
  langmodels surprisal tale.lm --corpus stories.txt --measures surprisal --no-ends > words.csv

The table has one row for each word of the text as written (words are what white space separates):
document, sentence, position, word, start and end in the text; and for each model the word's
surprisal in bits, whether it is unknown, its number of tokens, the number of preceding tokens that
the model used, the entropy in bits of the distribution before the word, and its rank in that. The
surprisal is a sum over the word's tokens (pieces, and punctuation attached to it); entropy, rank
and context are those of its first token. Where tokens include blanks, the blank after a word counts
with that word (with --blanks before, with the next one).

The end of a sentence has a row of its own, </s>, where a model predicts it. With these rows, a
column adds up to the surprisal of the text, which `score` and `evaluate` show as log p; the totals
are printed on standard error. Other columns of documents (item, condition) are kept.

Rows are written while plain text is read, whose lines are sequences for most models; a text of
characters, or lines with --carry of a model that remembers, is read first.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "models",
        nargs="+",
        type=InputFile,
        metavar="MODEL",
        help="model files; each has columns of its own",
    )
    parser.add_argument(
        "--corpus",
        type=TextName,
        metavar="NAME",
        required=True,
        help="the text, named as elsewhere; of tables and JSON lines each row is a document "
        "(items.csv?text=FIELD,id=FIELD), whose other fields are kept",
    )
    parser.add_argument("--encoding", default="utf-8", help="encoding of the file (default: utf-8)")
    add_errors_option(parser)
    parser.add_argument(
        "--output",
        "-o",
        type=TableFile,
        metavar="FILE",
        help="a .csv, .tsv, .jsonl or .parquet file (default: CSV on standard output)",
    )
    parser.add_argument(
        "--unit", choices=UNITS, default="word", help="what a row is (default: word)"
    )
    parser.add_argument(
        "--measures",
        metavar="LIST",
        default=",".join(MEASURES),
        help="the measures to compute, with commas between; those after the third take the most "
        "time (default: %(default)s)",
    )
    parser.add_argument(
        "--regions", metavar="MARK", help="the mark that separates the regions of a stimulus"
    )
    parser.add_argument(
        "--blanks",
        choices=BLANKS,
        default=BLANKS[0],
        help="where a blank between two words stands relative to the word that it counts with: "
        "after it or before it (default: %(default)s)",
    )
    parser.add_argument(
        "--no-ends", action="store_true", help="leave out the rows for the ends of sentences"
    )
    add_carry_option(parser)
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Compute the table, write it, and say what it adds up to."""
    models = _loaded(args.models)
    source = text_of(args)
    # A header has the fields of all documents.
    described = list(source.documents()) if source.has_fields else []
    options = RowOptions(
        unit=args.unit,
        measures=[name.strip() for name in args.measures.split(",")],
        ends=not args.no_ends,
        blanks=args.blanks,
        carry=args.carry,
        regions=args.regions,
    )
    surprisals = Surprisals(models, field_examples(described), options)
    if source.has_fields or not surprisals.in_parts:
        whole = described if source.has_fields else source.documents()
        parts = surprisals.parts((document, True) for document in whole)
    else:
        parts = surprisals.parts(source.parts())
    if args.output:
        save_table(args.output, parts, surprisals.examples)
    elif args.json:
        _print_rows(parts, surprisals.totals)
        return None
    else:
        for i, part in enumerate(parts):
            streams.write(table_text(part, ".csv", header=i == 0))
    if args.json:
        print_json({"output": args.output, "rows": None, "totals": surprisals.totals})
        return None
    facts = {label: f"{bits:,.4f} bits in all" for label, bits in surprisals.totals.items()}
    where = console if args.output else streams.SafeConsole(stderr=True)
    where.print(facts_table({"rows": f"{surprisals.n_rows:,}", **facts}))
    return None


def _print_rows(parts: Iterable[Columns], totals: Mapping[str, float]) -> None:
    """What --json prints, a row a line while they come; `totals` are complete after them."""
    before = '{\n  "output": null,\n  "rows": [\n'
    for part in parts:
        for row in records(part):
            streams.write(f"{before}    {json_text(row)}")
            before = ",\n"
    streams.write(f'\n  ],\n  "totals": {json_text(totals)}\n}}\n')


def _loaded(paths: list[str]) -> dict[str, LanguageModel[Any]]:
    """The models by their names in the table; see `file_labels`."""
    twice = [path for path, n in Counter(paths).items() if n > 1]
    if twice:
        raise UsageError(f"{twice[0]} is given twice; give it once.")
    return {label: load(path) for path, label in file_labels(paths).items()}
