"""`langmodels count`: count the n-grams of a text."""

import argparse

from rich.console import Console
from rich.text import Text

from langmodels.cli.files import OutputFile
from langmodels.cli.ngram_files import file_line
from langmodels.cli.options import add_corpus_options, add_json_option
from langmodels.cli.output import facts_table, make_table, print_json, visible
from langmodels.cli.texts import load_training, min_count_of
from langmodels.errors import UsageError
from langmodels.evaluation.report.terminal import print_wide
from langmodels.ngram import count_ngrams
from langmodels.ngram.counts_file import write_counts
from langmodels.ngram.methods import SMOOTHINGS
from langmodels.teaching.bigrams import BigramTable, bigram_table
from langmodels.text.corpus import Corpus

EPILOG = """\
examples:
  langmodels count --corpus news.txt --order 3 --output news.counts
  langmodels count --corpus monday.txt.gz --order 3 --output monday.counts.gz
  langmodels count --corpus wonderland.txt --table
  langmodels count --corpus wonderland.txt --table the,a,of:river,end,heron --smoothing laplace,kn
  langmodels train --counts monday.counts,tuesday.counts --order 3 --level word --output news.lm

A line of the file is an n-gram, a tab and its count, for n-grams of all orders, with <s> and </s>
around every line of the text, in SRILM's format. All words are counted, unless --min-count makes
rarer ones <unk>.

--table prints the bigram counts c(first, second) of some words and, for every smoothing method, the
smoothed counts c* = p(second | first) c(first), with c(first) the count of all bigrams that start
with the first word.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--order",
        type=int,
        default=3,
        metavar="N",
        help="length of the longest n-grams (default: 3)",
    )
    parser.add_argument("--output", "-o", type=OutputFile, metavar="FILE", help="the file to write")
    parser.add_argument(
        "--table",
        nargs="?",
        const="",
        metavar="FIRST,...:SECOND,...",
        help="print a table of bigrams of these words (default: the most frequent)",
    )
    parser.add_argument(
        "--smoothing",
        metavar="NAME[,NAME...]",
        help=f"with --table: also smoothed counts, by {', '.join(SMOOTHINGS)}",
    )
    add_corpus_options(parser, default=None)
    parser.set_defaults(min_count=1)
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Count, write, and print the number of n-grams."""
    if not 1 <= args.order <= 100:
        raise UsageError(f"The order lies between 1 and 100, not {args.order}.")
    if (args.output is None) == (args.table is None):
        raise UsageError("Name a file with --output, or ask for a --table.")
    if args.smoothing and args.table is None:
        raise UsageError("--smoothing is for a --table; files of counts are not smoothed.")
    corpus, _, source = load_training(args)
    if args.table is not None:
        _table(corpus, args, console)
        return None
    blank = next((t for t in corpus.vocabulary.tokens if t.split() != [t]), None)
    if blank is not None:
        raise UsageError(
            f"A file of counts separates tokens by blanks, so that {blank!r} cannot be written; "
            "use level word or whitespace."
        )
    counts = count_ngrams(corpus.held, len(corpus.vocabulary), args.order)
    write_counts(args.output, counts, corpus.vocabulary)
    distinct = [int((c > 0).sum()) for c in counts.counts]
    if args.json:
        print_json(
            {
                "corpus": source.name,
                "output": args.output,
                "tokens": corpus.n_tokens,
                "min_count": min_count_of(args, corpus.tokenizer),
                "ngrams": distinct,
            }
        )
        return None
    rows = {
        "text": f"{source.name}: {corpus.n_tokens:,} tokens",
        "n-grams": f"{sum(distinct):,} ({', '.join(f'{n:,}' for n in distinct)} of orders 1 to "
        f"{args.order})",
        "file": file_line(args.output),
    }
    console.print(facts_table(rows))
    return None


def _table(corpus: Corpus, args: argparse.Namespace, console: Console) -> None:
    first, _, second = args.table.partition(":")
    firsts, seconds, methods = (
        [part.strip() for part in (text or "").split(",") if part.strip()]
        for text in (first, second, args.smoothing)
    )
    unknown = [word for word in (*firsts, *seconds) if word not in corpus.vocabulary]
    if unknown:
        raise UsageError(f"{unknown[0]!r} is not in the text.")
    table = bigram_table(corpus, firsts, seconds, methods)
    if args.json:
        print_json(table.records())
        return
    _print("c", table, [[f"{c:,}" for c in line] for line in table.counts], console)
    for name, values in table.smoothed.items():
        _print(f"c* of {name}", table, [[f"{c:.3g}" for c in line] for line in values], console)


def _print(title: str, table: BigramTable, cells: list[list[str]], console: Console) -> None:
    columns = [visible(column) for column in table.columns]
    shown = make_table("", *columns, "all", left=("",), title=title)
    for row, line, total in zip(table.rows, cells, table.totals, strict=True):
        shown.add_row(Text(visible(row), "bold"), *line, f"{total:,}")
    print_wide(console, shown)
