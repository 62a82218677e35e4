"""`langmodels prune`: leave out the n-grams that a model can spare."""

import argparse

from rich.console import Console

from langmodels.cli.files import InputFile
from langmodels.cli.ngram_files import (
    add_input_options,
    add_output_options,
    file_line,
    ngrams_line,
    read_model,
    write_model,
)
from langmodels.cli.options import add_json_option
from langmodels.cli.output import facts_table, print_json
from langmodels.ngram import prune

EPILOG = """\
examples:
  langmodels prune news.lm --threshold 1e-8 --output small.lm
  langmodels prune news.arpa.gz --max-ngrams 1000000 --output small.arpa.gz

Relative-entropy pruning (Stolcke 1998): an n-gram goes if the model without it, its back-off
weights made anew, is hardly worse. The threshold is the relative rise of the perplexity that one
n-gram may cost; 1e-9 to 1e-7 are usual. To leave out rare n-grams while training instead, see
`langmodels train --prune`.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "model", type=InputFile, metavar="MODEL", help="an n-gram model file or an ARPA file"
    )
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument(
        "--threshold", type=float, metavar="X", help="leave out what raises the perplexity less"
    )
    size.add_argument(
        "--max-ngrams", type=int, metavar="N", help="leave out the least needed down to N n-grams"
    )
    add_output_options(parser)
    add_input_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Prune, save, and say what is left."""
    model = read_model(args.model, args.level)
    pruned = write_model(prune(model, args.threshold, max_ngrams=args.max_ngrams), args)
    if args.json:
        print_json(
            {
                "input": args.model,
                "output": args.output,
                "ngrams_before": model.ngram_counts,
                "ngrams": pruned.ngram_counts,
            }
        )
        return None
    rows = {
        "before": ngrams_line(model),
        "after": ngrams_line(pruned),
        "file": file_line(args.output),
    }
    console.print(facts_table(rows))
    return None
