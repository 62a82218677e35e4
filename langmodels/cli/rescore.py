"""`langmodels rescore`: sort n-best lists by the scores of a model."""

import argparse
from collections.abc import Iterator
from typing import Any

from rich.console import Console

from langmodels.cli import streams
from langmodels.cli.files import InputFile
from langmodels.cli.ngram_files import add_input_options, read_model
from langmodels.cli.options import add_errors_option, add_json_option, add_seed_option
from langmodels.cli.output import UNITS, facts_table, print_json
from langmodels.datasets import read_chunks
from langmodels.evaluation.rescoring import Tuning, read_references, tune
from langmodels.interchange import cell
from langmodels.models.nbest import LISTS, MARK, Hypothesis, read_nbest, rescore, with_costs
from langmodels.ngram.arpa import is_arpa_name
from langmodels.registry import load
from langmodels.text.lines import split_lines

EPILOG = """\
examples:
  langmodels rescore news.lm --nbest nbest.txt > rescored.txt
  langmodels rescore news.arpa.gz --nbest nbest.txt.gz --weight 0.5 --best
  langmodels rescore news.lm --weight 0.8 --length-bonus 0.5 < nbest.txt
  langmodels rescore news.lm --nbest dev.txt --tune dev.ref
  langmodels rescore kn.lm lstm.lm --nbest nbest.txt --weight 0.3,0.6 --length-bonus 0.5 --best
  langmodels rescore news.lm --nbest nbest.txt --scores costs.txt --lists kaldi --best

A line of a list is `id ||| hypothesis ||| score`, where the score is the last field and others may
stand before it; or only a hypothesis, and then a blank line ends each list; or a JSON object with
the fields id, hypothesis and score. The total is score + weight * log p + bonus * number of words.
Each line is printed with log p and the total as two more fields, the best of each list first.
Kaldi's lists, with lines `id-1 hypothesis`, `id-2 hypothesis`, are recognised by their numbers;
their costs are lines `id-1 cost` in another file.

--tune fits the weights and the bonus to the word error rate on lists whose references are in a
file, with lines `id ||| text` or `id text`, and prints them with the rate before and after. The
rate after is by cross-validation (weights are fitted on four fifths of the lists and tested on the
rest), with an interval over lists.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "models",
        nargs="+",
        type=InputFile,
        metavar="MODEL",
        help="one or several model files or ARPA files",
    )
    parser.add_argument(
        "--nbest",
        type=InputFile,
        default="-",
        metavar="FILE",
        help="the lists (default: standard input)",
    )
    parser.add_argument(
        "--weight",
        type=_weights,
        default=[1.0],
        metavar="W[,W...]",
        help="weight of log p, one for all models or one for each (default: 1)",
    )
    parser.add_argument(
        "--length-bonus", type=float, default=0.0, metavar="B", help="bonus per word (default: 0)"
    )
    parser.add_argument(
        "--tune",
        type=InputFile,
        metavar="FILE",
        help="fit weights and bonus to these references; print them and the word error rates",
    )
    parser.add_argument(
        "--lists",
        choices=LISTS,
        default=LISTS[0],
        help="format of lines without |||: hypotheses, or Kaldi's (default: detect)",
    )
    parser.add_argument(
        "--scores", type=InputFile, metavar="FILE", help="file with the costs of Kaldi's hypotheses"
    )
    add_seed_option(parser, "the parts of lists in --tune")
    parser.add_argument(
        "--unit", choices=UNITS, default="nats", help="unit of log p (default: nats)"
    )
    parser.add_argument(
        "--best",
        action="store_true",
        help="print only the best hypothesis of each list, after its id",
    )
    parser.add_argument(
        "--encoding", default="utf-8", help="encoding of the lists (default: utf-8)"
    )
    add_errors_option(parser)
    add_input_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Read, score, sort and print."""
    models = [
        read_model(name, args.level) if is_arpa_name(name) else load(name) for name in args.models
    ]
    unit = UNITS[args.unit]
    given = read_nbest(_lines(args, args.nbest), args.lists)
    if args.scores:
        given = with_costs(given, _lines(args, args.scores))
    if args.tune:
        references = read_references(_lines(args, args.tune))
        _print_tuning(tune(models, given, references, seed=args.seed), args, console)
        return None
    weights = args.weight * len(models) if len(args.weight) == 1 else args.weight
    lists = rescore(
        models,
        given,
        weight=[weight / unit for weight in weights],
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
            log_probs = (cell(log_p / unit, 6) for log_p in h.log_probs)
            fields = (*h.fields, *log_probs, cell(h.total, 6))
            streams.write(f" {MARK} ".join(fields) + "\n")
    return None


def _weights(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"weights are numbers with commas between, not {text!r}"
        ) from None


def _entry(h: Hypothesis, unit: float) -> dict[str, Any]:
    return {
        "id": h.list_id,
        "hypothesis": h.text,
        "score": h.score,
        "log_prob": h.log_prob / unit,
        "log_probs": [log_p / unit for log_p in h.log_probs],
        "total": h.total,
    }


def _print_tuning(found: Tuning, args: argparse.Namespace, console: Console) -> None:
    weights = [weight * UNITS[args.unit] for weight in found.weights]
    if args.json:
        print_json({**vars(found), "weights": weights, "unit": args.unit})
        return
    low, high = (f"{100 * bound:+.2f}" for bound in found.interval)
    shown = ",".join(f"{weight:.4g}" for weight in weights)
    rows = {
        "weights": f"--weight {shown} --length-bonus {found.length_bonus:.4g}"
        + (f" --unit {args.unit}" if args.unit != "nats" else ""),
        "before": f"{100 * found.before:.2f} % of {found.words:,} words wrong, by the scores alone",
        "after": f"{100 * found.after:.2f} %, by weights fitted on other lists",
        "difference": f"{100 * found.difference:+.2f} points, 95 % between {low} and {high} "
        f"({found.lists:,} lists)",
        "fitted": f"{100 * found.tuned:.2f} %, by these weights on the lists they were fitted on",
        "at best": f"{100 * found.oracle:.2f} %, by the best hypothesis of every list",
    }
    console.print(facts_table(rows, title="Word error rate"))


def _lines(args: argparse.Namespace, name: str) -> Iterator[str]:
    for lines in split_lines(read_chunks(name, args.encoding, errors=args.errors)):
        yield from lines
