"""`langmodels scale`: how models grow with the text and with the context."""

import argparse

from rich.console import Console

from langmodels.cli.compare import (
    add_evaluation_options,
    evaluation_arguments,
    model_names,
    show,
)
from langmodels.cli.workers import workers_of
from langmodels.evaluation.report.terminal import render_scaling
from langmodels.evaluation.scaling import scale

EPILOG = """examples:
  langmodels scale --corpus wonderland.txt
  langmodels scale --corpus book.txt --level char --models full-context,mkn --doublings 6
  langmodels scale --models unigram,mkn:order=3,mkn:order=6 --report scaling.html"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_evaluation_options(parser, jobs=1)  # several processes would disturb the times
    parser.add_argument(
        "--doublings",
        type=int,
        default=4,
        metavar="N",
        help="train on texts from n / 2^N to n (default: 4)",
    )


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Measure, print, and write the report."""
    splits, _, keywords = evaluation_arguments(args)
    with workers_of(args) as jobs:
        comparison = scale(
            model_names(args), splits, doublings=args.doublings, jobs=jobs, **keywords
        )
    rendered = render_scaling(comparison.results)
    return show(comparison, rendered, args, console, ("growth of quality", "growth of time"))
