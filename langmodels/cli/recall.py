"""`langmodels recall`: how long models remember a symbol."""

import argparse
from typing import Any

from rich.console import Console

from langmodels.cli.model_names import completed
from langmodels.cli.options import add_json_option, add_plot_option, add_seed_option
from langmodels.cli.output import make_table, print_json
from langmodels.datasets.synthetic import RecallSource
from langmodels.errors import UsageError
from langmodels.names import split_names
from langmodels.presets import Setting
from langmodels.registry import make_model, model_spec
from langmodels.settings import parse_name
from langmodels.teaching.recall import (
    RECALL_NETWORK,
    plot_recall,
    recall_corpora,
    recall_curve,
)

DEFAULT_MODELS = "witten-bell:order=5,rnn,gru,lstm,transformer"
POINTS = 10  # lags that are measured
ATTENTION: dict[str, Any] = {"width": 48, "heads": 4, "dropout": 0.0, "epochs": 6}
EPILOG = """\
All models are trained on the same lines: a cue, up to --lag distractors, and the cue again. An
n-gram model of order n can see the cue if fewer than n - 1 symbols have come since.

examples:
  langmodels recall
  langmodels recall --lag 20 --plot recall.png
  langmodels recall --models witten-bell:order=8,gru:hidden=32
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--models",
        default=DEFAULT_MODELS,
        metavar="MODEL[,MODEL...]",
        help=f"models to train (default: {DEFAULT_MODELS})",
    )
    parser.add_argument(
        "--lag", type=int, default=40, help="longest distance to the cue (default: 40)"
    )
    parser.add_argument("--cues", type=int, default=4, help="number of different cues (default: 4)")
    parser.add_argument(
        "--length", type=int, default=150_000, help="characters to train on (default: 150000)"
    )
    add_seed_option(parser)
    add_plot_option(parser, "the curves")
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Train, measure, print."""
    if args.lag < 1:
        raise UsageError(f"--lag must be at least 1, not {args.lag}.")
    source = RecallSource(
        cues=args.cues, lag=0, spread=args.lag, distractors=2, length=args.length, seed=args.seed
    )
    train, validation = recall_corpora(source)
    setting = Setting(level="symbols", seed=args.seed)
    models = {}
    for name in split_names(args.models):
        kind, given = parse_name(name)
        spec, reach = model_spec(kind), args.lag + 20
        options = given
        if "heads" in spec.parameters:
            options = {**ATTENTION, "steps": reach, "window": reach, **given}
        elif spec.family == "neural" and kind != "feed-forward":
            options = {**RECALL_NETWORK, "steps": reach, **given}
            if "embedding" not in given and (kind == "char-cnn-lstm" or given.get("one_hot")):
                options.pop("embedding")  # which these have not
        models[name] = completed(make_model(kind, setting, **options).fit(train, validation))
    lags = sorted({round(i * args.lag / POINTS) for i in range(POINTS + 1)})
    curve = recall_curve(models, source, lags, lines=200, seed=args.seed)
    if args.plot:
        plot_recall(curve, args.plot)
    if args.json:
        print_json({"lags": curve.lags, "chance": curve.chance, "accuracy": curve.accuracy})
        return None
    table = make_table(
        "symbols between",
        *map(str, curve.lags),
        left=("symbols between",),
        title=f"cues recalled, % (guessing: {100 * curve.chance:.0f})",
    )
    for name, accuracy in curve.accuracy.items():
        table.add_row(name, *(f"{100 * a:.0f}" for a in accuracy))
    console.print(table)
    return None
