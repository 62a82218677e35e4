"""`langmodels count`: the n-grams of a text and how often they occur."""

import argparse

from rich.console import Console

from langmodels.cli.files import OutputFile
from langmodels.cli.ngram_files import file_line
from langmodels.cli.options import add_corpus_options, add_json_option, load_training, min_count_of
from langmodels.cli.output import facts_table, print_json
from langmodels.errors import UsageError
from langmodels.ngram import count_ngrams
from langmodels.ngram.counts_file import write_counts

EPILOG = """\
examples:
  langmodels count --corpus news.txt --order 3 --output news.counts
  langmodels count --corpus monday.txt.gz --order 3 --output monday.counts.gz
  langmodels train --counts monday.counts,tuesday.counts --order 3 --level word --output news.lm

A line of the file is an n-gram, a tab and its count; n-grams of all orders are there, with <s> and
</s> around every line of the text, as SRILM writes and reads them. All words are counted, unless
--min-count makes the rarer ones <unk>.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--order", type=int, default=3, metavar="N", help="N (default: 3)")
    parser.add_argument(
        "--output", "-o", type=OutputFile, required=True, metavar="FILE", help="the file to write"
    )
    add_corpus_options(parser, default=None)
    parser.set_defaults(min_count=1)
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Count, write, and say how many there are."""
    if not 1 <= args.order <= 100:
        raise UsageError(f"The order lies between 1 and 100, not {args.order}.")
    corpus, _, source = load_training(args)
    blank = next((t for t in corpus.vocabulary.tokens if t.split() != [t]), None)
    if blank is not None:
        raise UsageError(
            f"In a file of counts words stand between blanks, which {blank!r} cannot; use levels "
            "of words."
        )
    counts = count_ngrams(corpus.ids, len(corpus.vocabulary), args.order)
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
