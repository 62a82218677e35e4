"""`langmodels compare`: several models on one text, in one table."""

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from langmodels.cli import streams
from langmodels.cli.files import ModelNames, OutputFile, OutputFolder, PlotFolder
from langmodels.cli.main import INTERRUPTED
from langmodels.cli.options import (
    DEFAULT_LEVEL,
    add_corpus_options,
    add_json_option,
    add_plot_option,
    replaced,
)
from langmodels.cli.output import print_json
from langmodels.cli.texts import LEVEL_OPTIONS, cleaning_of, load_splits, text_of
from langmodels.cli.workers import add_workers_options, workers_of
from langmodels.datasets import Source
from langmodels.errors import UsageError
from langmodels.evaluation.budgets import parse_budget
from langmodels.evaluation.comparison import Comparison, compare
from langmodels.evaluation.report import FORMATS, check_report_path
from langmodels.evaluation.report.terminal import print_wide, render
from langmodels.evaluation.run_cache import default_cache_folder
from langmodels.interchange import json_text
from langmodels.names import split_names
from langmodels.presets import BUDGETS
from langmodels.text.levels import make_tokenizer
from langmodels.text.splits import Splits

EPILOG = """Words that occur once in the training part are read as <unk>, unless --min-count 1
keeps them.

examples:
  langmodels compare --corpus wonderland.txt
  langmodels compare --corpus book.txt --level char --order 7
  langmodels compare --models unigram,mkn:order=3,mkn:order=5
  langmodels compare --models mkn,lstm,bidirectional-lstm
  langmodels compare --level word,char --models mkn,full-context --report out.html
  langmodels compare --corpus synthetic:reber --json > results.json
  langmodels compare --models "mkn,lstm:hidden=64|128:dropout=0|0.3" --seeds 3 --against all
  langmodels compare --models kn.lm,lstm.lm,mkn:order=5 --corpus book.txt --test new.txt

Several values of an option, with | between them, are a sweep: all settings are trained, and the one
with the least loss on the validation text is compared.

Model files are measured as they are, with their own tokens and vocabulary, beside models that are
trained here on --corpus."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_evaluation_options(parser, jobs=None)
    parser.add_argument(
        "--seeds",
        type=int,
        default=1,
        metavar="N",
        help="train random models with N seeds; show mean and spread (default: 1)",
    )
    parser.add_argument(
        "--against",
        metavar="MODEL",
        help="test this model against all others or, with `all`, every pair of models (default: "
        "neighbours in the ranking)",
    )
    parser.add_argument(
        "--random",
        type=int,
        metavar="N",
        help="train N random settings of each sweep (default: all)",
    )
    parser.add_argument(
        "--compressors",
        action="store_true",
        help="also compress the test text with zlib, bzip2 and xz",
    )
    parser.add_argument("--details", action="store_true", help="also print breakdowns of the loss")
    parser.add_argument(
        "--cache",
        type=OutputFolder,
        metavar="DIR",
        default=None,
        help="folder of finished runs, times included (default: the user's cache folder)",
    )
    parser.add_argument("--no-cache", action="store_true", help="train every model again")


def add_evaluation_options(parser: argparse.ArgumentParser, *, jobs: int | None) -> None:
    """Add the options that `compare` and `scale` share; `jobs` is the default number of processes.

    None: one per network, up to the number of processors.
    """
    add_corpus_options(parser)
    group = parser.add_argument_group("the models")
    group.add_argument(
        "--models",
        type=ModelNames,
        metavar="A,B",
        help="names with options, for example unigram,mkn:order=3, or model files (default: all "
        "models that are compared by default); level=char sets the level of one model",
    )
    group.add_argument(
        "--order", type=int, metavar="N", help="order of n-gram models whose names give none"
    )
    group.add_argument(
        "--budget",
        type=_budget,
        metavar="BUDGET",
        default="standard",
        help=f"what training may cost: {', '.join(BUDGETS)}, or a time for everything (90s, 10m, "
        "2h), of which networks get what is left (default: standard)",
    )
    usual = "one per network, up to the number of processors" if jobs is None else str(jobs)
    add_workers_options(group, default=jobs, usual=usual)
    group.add_argument(
        "--report",
        type=OutputFile,
        nargs="+",
        metavar="FILE",
        help=f"write a report, or several, in the format of each name: {', '.join(FORMATS)}",
    )
    group.add_argument(
        "--figures", type=PlotFolder, metavar="DIR", help="write every plot to this folder, as PDF"
    )
    add_plot_option(group, "the result")
    printed = parser.add_mutually_exclusive_group()
    add_json_option(printed)
    printed.add_argument(
        "--json-lines",
        action="store_true",
        help="print a line of JSON for each model as soon as it is finished; the last line is what "
        "--json prints",
    )


def _budget(text: str) -> str:
    """The value of --budget: a name, or a time."""
    try:
        parse_budget(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def evaluation_arguments(args: argparse.Namespace) -> tuple[Splits, Source, dict[str, Any]]:
    """The splits, their source, and the keyword arguments that `compare` and `scale` share.

    With several levels the text is split at the first one, and at the same characters for the
    others. By default words that occur once are `<unk>`, as in `train`: a model that never saw
    `<unk>` in training can only guess its probability, and the luckiest guess would win the
    comparison.
    """
    for report in args.report or ():
        check_report_path(report)  # before the work starts
    levels = args.level.split(",") if args.level else [text_of(args).level or DEFAULT_LEVEL]
    first = replaced(args, level=levels[0])
    if len(levels) > 1:
        for option in LEVEL_OPTIONS:
            if getattr(args, option) is not None:
                raise UsageError(f"--{option} is for one level, not for {args.level}.")
        if args.lower and args.clean == "none":  # clean for all levels, not in the word tokenizer
            first = replaced(first, lower=False, clean="lower")
        if not make_tokenizer(levels[0]).rare_types:
            first = replaced(first, min_count=None, vocab_size=None)  # these are meant for words
    splits, source = load_splits(first)
    keywords = {
        "levels": levels,
        "order": args.order,
        "seed": args.seed,
        "budget": args.budget,
        "min_count": args.min_count,
        "max_size": args.vocab_size,
        "source": source,
        "on_finished": _print_line if args.json_lines else None,
        "settings": {
            "cleaning": cleaning_of(first, splits.train.tokenizer),
            "command": shlex.join(["langmodels", *sys.argv[1:]]),
        },
    }
    return splits, source, keywords


def _print_line(result: Any) -> None:
    """Print a result as JSON on one line, as soon as it is complete."""
    streams.write(f"{json_text(result)}\n")
    streams.flush()


def model_names(args: argparse.Namespace) -> list[str] | None:
    """The names in --models; None for the default models."""
    return None if args.models is None else [name for name in split_names(args.models) if name]


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Compare, print, and write the report."""
    began = time.monotonic()
    splits, _, keywords = evaluation_arguments(args)
    if args.cache and not args.no_cache and Path(args.cache).is_file():
        raise UsageError(f"--cache {args.cache} is a file; name a folder.")
    cache = None if args.no_cache else args.cache or default_cache_folder()
    with workers_of(args) as jobs:
        comparison = compare(
            model_names(args),
            splits,
            seeds=args.seeds,
            jobs=jobs,
            cache=cache,
            against=args.against,
            draws=args.random,
            compressors=args.compressors,
            began=began,
            **keywords,
        )
    plots = ("quality", "quality and time")
    rendered = render(comparison.results, details=args.details)
    return show(comparison, rendered, args, console, plots)


def show(
    comparison: Comparison,
    rendered: RenderableType,
    args: argparse.Namespace,
    console: Console,
    plots: Sequence[str],
) -> int | None:
    """Print a comparison, as JSON or as `rendered`, and write the files that were asked for.

    Returns the exit status.
    """
    written = []
    try:  # files first: whoever reads what is printed may go away
        for report in args.report or ():
            comparison.report(report)
            written.append(f"Report written to {report}.")
        if args.plot:
            comparison.plot(args.plot, plots)
        if args.figures:
            paths = comparison.figures(args.figures)
            written.append(f"{len(paths)} plots written to {args.figures}.")
    finally:
        if args.json_lines:
            _print_line(comparison.results)
        elif args.json:
            print_json(comparison.to_json())
        else:
            print_wide(console, rendered)
            for line in written:
                console.print(line, soft_wrap=True)
    if comparison.results.unfinished:
        return INTERRUPTED
    return 1 if comparison.results.failures else None
