"""`langmodels rescore`: put n-best lists in the order that a model prefers."""

import argparse
from collections.abc import Iterator
from typing import Any

from rich.console import Console

from langmodels.cli import streams
from langmodels.cli.files import InputFile
from langmodels.cli.ngram_files import add_input_options, read_model
from langmodels.cli.options import add_errors_option, add_json_option
from langmodels.cli.output import UNITS, print_json
from langmodels.datasets import read_chunks
from langmodels.interchange import cell
from langmodels.models.base import LanguageModel
from langmodels.models.nbest import MARK, Hypothesis, read_nbest, rescore
from langmodels.ngram.arpa import is_arpa_name
from langmodels.registry import load
from langmodels.text.lines import split_lines

EPILOG = """\
examples:
  langmodels rescore news.lm --nbest nbest.txt > rescored.txt
  langmodels rescore news.arpa.gz --nbest nbest.txt.gz --weight 0.5 --best
  langmodels rescore news.lm --weight 0.8 --length-bonus 0.5 < nbest.txt

A line of a list is `id ||| hypothesis ||| score`, the score being the last field and others being
allowed between them; or the hypothesis alone, and then a blank line ends each list; or a JSON
object with the fields id, hypothesis and score. The total is score + weight * log p + bonus *
number of words. Each line is printed with log p and the total as two more fields, the best of each
list first.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "model", type=InputFile, metavar="MODEL", help="a model file or an ARPA file"
    )
    parser.add_argument(
        "--nbest", type=InputFile, default="-", metavar="FILE", help="the lists (default: input)"
    )
    parser.add_argument(
        "--weight", type=float, default=1.0, metavar="W", help="of the model's log p (default: 1)"
    )
    parser.add_argument(
        "--length-bonus", type=float, default=0.0, metavar="B", help="for each word (default: 0)"
    )
    parser.add_argument(
        "--unit", choices=UNITS, default="nats", help="unit of log p (default: nats)"
    )
    parser.add_argument(
        "--best", action="store_true", help="print the best hypotheses only, after their ids"
    )
    parser.add_argument("--encoding", default="utf-8", help="encoding of the lists")
    add_errors_option(parser)
    add_input_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Read, score, sort and print."""
    arpa = is_arpa_name(args.model)
    model: LanguageModel[Any] = read_model(args.model, args.level) if arpa else load(args.model)
    unit = UNITS[args.unit]
    lists = rescore(
        model,
        read_nbest(_lines(args)),
        weight=args.weight / unit,
        length_bonus=args.length_bonus,
    )
    if args.json:
        shown = [ranked[:1] for ranked in lists] if args.best else lists
        print_json([[_entry(h, unit) for h in ranked] for ranked in shown])
        return None
    for i, ranked in enumerate(lists):
        if args.best:
            best = ranked[0]
            labelled = len(best.fields) > 1
            streams.write(f"{best.list_id} {MARK} " * labelled + f"{best.text}\n")
            continue
        if i and len(ranked[0].fields) == 1:  # no ids: what parts lists is a blank line
            streams.write("\n")
        for h in ranked:
            fields = (*h.fields, cell(h.log_prob / unit, 6), cell(h.total, 6))
            streams.write(f" {MARK} ".join(fields) + "\n")
    return None


def _entry(h: Hypothesis, unit: float) -> dict[str, str | float]:
    return {
        "id": h.list_id,
        "hypothesis": h.text,
        "score": h.score,
        "log_prob": h.log_prob / unit,
        "total": h.total,
    }


def _lines(args: argparse.Namespace) -> Iterator[str]:
    for lines in split_lines(read_chunks(args.nbest, args.encoding, errors=args.errors)):
        yield from lines
