"""`langmodels prune`: make an n-gram model smaller by leaving out n-grams or words."""

import argparse

from rich.console import Console

from langmodels.cli.files import InputFile
from langmodels.cli.ngram_files import (
    add_closed_option,
    add_input_options,
    add_output_options,
    file_line,
    ngrams_line,
    read_model,
    write_model,
)
from langmodels.cli.options import add_json_option
from langmodels.cli.output import facts_table, print_json
from langmodels.cli.texts import read_words
from langmodels.errors import UsageError
from langmodels.ngram import prune, restrict

EPILOG = """\
examples:
  langmodels prune news.lm --threshold 1e-8 --output small.lm
  langmodels prune news.arpa.gz --max-ngrams 1000000 --output small.arpa.gz
  langmodels prune news.arpa.gz --vocabulary words.txt --output small.lm

Relative-entropy pruning (Stolcke 1998) drops an n-gram if the model without it, with back-off
weights computed anew, is hardly worse. The threshold is the relative increase of perplexity that
dropping one n-gram may cause; 1e-9 to 1e-7 are usual. To leave out rare n-grams already in
training, see `langmodels train --prune`.

With --vocabulary, only the words in a file, one a line, and their n-grams are kept. Texts of these
words keep their probabilities. The probability of all other words goes to <unk>, in every context,
so that probabilities sum to one. With --unnormalized it is dropped, and they sum to less, as after
KenLM's `filter`; with --closed, <unk> has probability zero and the kept words share it.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "model", type=InputFile, metavar="MODEL", help="an n-gram model file or an ARPA file"
    )
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument(
        "--threshold",
        type=float,
        metavar="X",
        help="drop n-grams that raise the perplexity by a smaller factor than 1 + X",
    )
    size.add_argument(
        "--max-ngrams",
        type=int,
        metavar="N",
        help="drop the least important n-grams until N are left",
    )
    size.add_argument(
        "--vocabulary",
        type=InputFile,
        metavar="FILE",
        help="keep only the words of a list, one per line",
    )
    parser.add_argument(
        "--unnormalized",
        action="store_true",
        help="with --vocabulary: do not add the probability of removed words to <unk>",
    )
    add_closed_option(parser)
    add_output_options(parser)
    add_input_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Prune, save, and say what is left."""
    if args.unnormalized and not args.vocabulary:
        raise UsageError("--unnormalized goes with --vocabulary.")
    if args.closed and (args.unnormalized or not args.vocabulary):
        raise UsageError("--closed goes with --vocabulary, and not with --unnormalized.")
    words = read_words(args.vocabulary) if args.vocabulary else None
    model = read_model(args.model, args.level)
    if words is None:
        smaller = prune(model, args.threshold, max_ngrams=args.max_ngrams)
    else:
        smaller = restrict(model, words, unnormalized=args.unnormalized)
    pruned = write_model(smaller, args)
    known = {} if words is None else {"words": len(words), "vocabulary": len(pruned.vocabulary)}
    if args.json:
        print_json(
            {
                "input": args.model,
                "output": args.output,
                "ngrams_before": model.ngram_counts,
                "ngrams": pruned.ngram_counts,
                **known,
            }
        )
        return None
    vocabulary = {}
    if words is not None:
        lost = len(words) - len(pruned.vocabulary) + pruned.vocabulary.n_special
        vocabulary["vocabulary"] = (
            f"{len(words):,} words, {lost:,} of them unknown to the model" + _unknown(args)
        )
    rows = {
        "before": ngrams_line(model),
        "after": ngrams_line(pruned),
        **vocabulary,
        "file": file_line(args.output),
    }
    console.print(facts_table(rows))
    return None


def _unknown(args: argparse.Namespace) -> str:
    """What became of the probability of the words left out."""
    if args.closed:
        return "; closed, p(<unk>) = 0"
    return "; not normalized" if args.unnormalized else "; <unk> has what the others had"
