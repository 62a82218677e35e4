"""`langmodels filter`: keep the documents that a model finds probable, file by file."""

import argparse
import math

from rich.console import Console
from rich.text import Text

from langmodels.addresses import join
from langmodels.cli.files import InputFile, OutputFolder, TextName
from langmodels.cli.options import add_json_option
from langmodels.cli.output import bar, facts_table, make_table, print_json
from langmodels.cli.workers import add_workers_options, workers_of
from langmodels.errors import LangmodelsError, UsageError
from langmodels.filtering import FilterReport, Rule, filter_documents, write_page
from langmodels.filtering.report import (
    bars,
    parts_table,
    thresholds_table,
    visible_text,
)
from langmodels.formatting import Table
from langmodels.interchange import json_text, jsonable
from langmodels.storage import atomic_write

EPILOG = """\
examples:
  langmodels filter web.lm crawl/*.jsonl.gz --output kept --max-perplexity 500
  langmodels filter web.lm crawl --output kept --keep 0.33 --by lang --jobs 2
  langmodels filter web.lm crawl --output bucketed --buckets 3
  langmodels filter law.lm "crawl/*.parquet?text=content" --against web.lm --keep 0.1 -o law

Inputs are files of documents (JSON lines, Parquet, compressed or not; of plain text, each line is a
document), folders and patterns. For each, the output folder has a file of the same name and format,
written whole or not at all, with the documents that are kept: as they were, and with columns of
their log p, tokens, unknown tokens, perplexity and bits a character, unless --as-is. With --buckets
all are kept, and a column says in which bucket each is: three are head, middle and tail.

The score of a document is -log2 p of its lines, blank ones left out, for each token (the ends of
lines are some), or for each character; two to the power of it is its perplexity. With --against it
is the difference of that under two models (Moore and Lewis 2010), and lower than 0 for what the
first one knows better. Shares and buckets are of all documents of all files that have a score, or
of those with the same value of the field --by; the thresholds are exact, and documents that have
the score of a threshold are all on its better side.

The folder also has a report (report.html, report.json), bad.jsonl with every document that has no
score and why, and scores/, by which the same command goes on where it was ended, and another rule
need not score again. A file that cannot be read is named, and the exit status is 1; the others are
finished.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", type=InputFile, metavar="MODEL", help="a model file")
    parser.add_argument(
        "inputs",
        nargs="+",
        type=TextName,
        metavar="INPUT",
        help="files, folders or patterns; ?text=FIELD names the field that holds the text",
    )
    parser.add_argument(
        "--output",
        "-o",
        type=OutputFolder,
        required=True,
        metavar="DIR",
        help="the folder that is written",
    )
    rule = parser.add_argument_group("what is kept, one of").add_mutually_exclusive_group(
        required=True
    )
    rule.add_argument("--max-perplexity", type=float, metavar="X", help="documents up to this one")
    rule.add_argument("--max-bits", type=float, metavar="X", help="documents of at most this score")
    rule.add_argument("--keep", type=float, metavar="SHARE", help="the best share, such as 0.33")
    rule.add_argument(
        "--buckets", type=int, metavar="N", help="all, marked by so many buckets of equal size"
    )
    parser.add_argument("--by", metavar="FIELD", help="thresholds for each value of a field")
    parser.add_argument(
        "--against",
        type=InputFile,
        metavar="MODEL",
        help="a model of general text: the score is the difference of cross-entropies",
    )
    parser.add_argument(
        "--per",
        choices=("token", "character"),
        default="token",
        help="what scores are for each of (default: token)",
    )
    parser.add_argument("--as-is", action="store_true", help="add no columns to documents")
    add_workers_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Filter, report."""
    rule = _rule(args)
    with workers_of(args) as jobs:
        report = filter_documents(
            args.inputs,
            args.output,
            args.model,
            rule,
            against=args.against,
            per=args.per,
            by=args.by,
            as_is=args.as_is,
            jobs=jobs,
        )
    problems = []
    if report.failed:
        problems.append(
            f"{len(report.failed)} of {report.files + len(report.failed)} files could not be "
            f"filtered: {' '.join(report.failed.values())}"
        )
    try:
        write_page(report, join(args.output, "report.html"))
        with atomic_write(join(args.output, "report.json")) as file:
            file.write(f"{json_text(report, 2)}\n".encode())
    except LangmodelsError as error:
        problems.append(str(error))
    if args.json:
        print_json(jsonable(report))
    else:
        _print(report, console)
    if problems:
        raise LangmodelsError(" ".join(problems))
    return None


def _rule(args: argparse.Namespace) -> Rule:
    at_most = args.max_bits
    if args.max_perplexity is not None:
        if args.against or args.per != "token":
            raise UsageError("These scores are no perplexities; give --max-bits.")
        if not args.max_perplexity > 0:
            raise UsageError(f"A perplexity is at least 1, not {args.max_perplexity:g}.")
        at_most = math.log2(args.max_perplexity)
    return Rule(at_most, args.keep, args.buckets)


def _print(report: FilterReport, console: Console) -> None:
    console.print(_terminal(parts_table(report)))
    console.print(_terminal(thresholds_table(report)))
    histogram = make_table("from", "documents", "", left=("",), title=f"Scores ({report.unit})")
    most = max(total for _, total in bars(report)) or 1
    for low, total in bars(report):
        histogram.add_row(f"{low:.2f}", f"{total:,}", bar(total / most, 30, console.encoding))
    console.print(histogram)
    examples = make_table("", report.unit, "a document", left=("", "a document"), title="Examples")
    for example in report.examples:
        text = " ".join(visible_text(example.text).split())[:160]
        examples.add_row(report.parts[example.part].name, f"{example.score:.3f}", Text(text))
    console.print(examples)
    skipped = f"; {report.skipped} were finished before" if report.skipped else ""
    page = join(report.output, "report.html")
    console.print(facts_table({"files": f"{report.files}{skipped}", "report": page}))


def _terminal(table: Table) -> object:
    shown = make_table(*table.columns, title=table.title, left=table.columns[: table.left])
    for row in table.rows:
        shown.add_row(*map(Text, row))
    shown.caption = "\n".join(table.notes) or None
    return shown
