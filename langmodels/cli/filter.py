"""`langmodels filter`: keep the documents with good scores under a model, file by file."""

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

Inputs are files of documents (JSON lines, Parquet, compressed or not; in plain text each line is a
document), folders and patterns. For each, a file of the same name and format is written to the
output folder, whole or not at all, with the documents that are kept: unchanged, and with columns of
their log p, tokens, unknown tokens, perplexity and bits per character, unless --as-is. With
--buckets all are kept, and a column names the bucket of each: three are head, middle and tail.

The score of a document is -log2 p of its non-blank lines, per token (ends of lines count) or per
character; per token, two to the power of it is the perplexity. With --against it is the difference
of the scores under two models (Moore and Lewis 2010), and below 0 for what the first model predicts
better. Shares and buckets are of the scored documents of all files, or of those with the same value
of the field --by; thresholds are exact, and all documents with the score of a threshold are on its
better side.

The folder also gets a report (report.html, report.json), bad.jsonl, which lists the documents
without a score and the reasons, and scores/, from which the same command resumes, and another rule
need not score again. If a file cannot be read, it is named, the others are finished, and the exit
status is 1.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", type=InputFile, metavar="MODEL", help="a model file")
    parser.add_argument(
        "inputs",
        nargs="+",
        type=TextName,
        metavar="INPUT",
        help="files, folders or patterns; ?text=FIELD names the field with the text",
    )
    parser.add_argument(
        "--output",
        "-o",
        type=OutputFolder,
        required=True,
        metavar="DIR",
        help="the output folder",
    )
    rule = parser.add_argument_group("what is kept, one of").add_mutually_exclusive_group(
        required=True
    )
    rule.add_argument(
        "--max-perplexity", type=float, metavar="X", help="documents of at most this perplexity"
    )
    rule.add_argument(
        "--max-bits", type=float, metavar="X", help="documents of at most this score in bits"
    )
    rule.add_argument(
        "--keep", type=float, metavar="SHARE", help="the best share of documents, such as 0.33"
    )
    rule.add_argument(
        "--buckets", type=int, metavar="N", help="all documents, in N marked buckets of equal size"
    )
    parser.add_argument(
        "--by", metavar="FIELD", help="separate thresholds for each value of this field"
    )
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
        help="unit of the scores (default: token)",
    )
    parser.add_argument("--as-is", action="store_true", help="add no columns to documents")
    add_workers_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Filter, and print the report."""
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
