"""`langmodels gradients`: vanishing and exploding gradients, and gate activations."""

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from langmodels.arrays import FloatArray
from langmodels.cli.files import InputFile
from langmodels.cli.model_names import completed
from langmodels.cli.options import add_corpus_options, add_json_option, add_plot_option
from langmodels.cli.output import bar, make_table, print_json, visible
from langmodels.cli.texts import corpus_for, load_training
from langmodels.errors import UsageError
from langmodels.neural import GRUModel, LSTMModel, RecurrentModel, RNNModel
from langmodels.registry import load
from langmodels.teaching.gradients import (
    NormCourse,
    gate_activations,
    gradient_by_lag,
    gradient_norm_course,
    plot_gradients,
)
from langmodels.text.corpus import Corpus

LAGS = (0, 1, 2, 3, 5, 8, 12, 20, 30, 45)
CELLS: dict[str, Callable[..., RecurrentModel]] = {
    "rnn": RNNModel,
    "relu-rnn": partial(RNNModel, relu=True),
    "gru": GRUModel,
    "lstm": LSTMModel,
}
# Far too large a learning rate over long chunks, so that gradients explode without clipping.
STEEP: dict[str, Any] = {
    "optimizer": "sgd",
    "learning_rate": 5.0,
    "schedule": "constant",
    "steps": 50,
    "batch_size": 32,
    "dropout": 0.0,
    "tied": False,
}
PLAIN: dict[str, Any] = {"steps": 64, "batch_size": 32, "dropout": 0.0, "tied": False}
BAR = 24
EPILOG = """\
How much does the loss at a token depend on the state of the network some tokens before? The norm of
that gradient is printed for each lag, in percent of that at lag 0: the gradient vanishes where it
fades. Then new networks take steps of gradient descent with far too large a learning rate, with and
without clipping the gradient to norm 1: where it explodes, clipping saves the training. --gates
shows the gates of a trained network over a text.

examples:
  langmodels gradients
  langmodels gradients --cells rnn,lstm --train 2 --plot gradients.png
  langmodels gradients --model tale-lstm.lm --gates "She looked at the heron."
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--cells",
        default=",".join(CELLS),
        help=f"networks to compare (default: {','.join(CELLS)})",
    )
    parser.add_argument(
        "--model", type=InputFile, metavar="FILE", help="a trained network instead of --cells"
    )
    parser.add_argument("--hidden", type=int, default=64, help="hidden units (default: 64)")
    parser.add_argument(
        "--train",
        type=int,
        default=0,
        metavar="EPOCHS",
        help="epochs of training before (default: 0)",
    )
    parser.add_argument(
        "--steps", type=int, default=100, help="steps with and without clipping (default: 100)"
    )
    parser.add_argument(
        "--gates", metavar="TEXT", help="show gate activations over this text instead"
    )
    add_plot_option(parser, "both")
    add_corpus_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Measure, and print the tables."""
    if args.hidden < 1 or args.steps < 1 or args.train < 0:
        raise UsageError("--hidden and --steps must be at least 1, --train at least 0.")
    if args.plot and args.gates is not None:
        raise UsageError("--plot draws the gradients, not the gates; leave out one of the two.")
    given = _load(args.model) if args.model else None
    args.level = args.level or (given.tokenizer.level if given else "char")
    if given and args.gates is not None:
        _gates({args.model: given}, args, console)
        return None
    corpus = corpus_for(given, args) if given else load_training(args)[0]
    models = {args.model: given} if given else _fresh(args, corpus)
    if args.gates is not None:
        _gates(models, args, console)
        return None
    # No state lies further back than the longest sequence reaches.
    lags = min(max(LAGS) + 1, int(np.diff(corpus.offsets).max()) - 1)
    by_lag = {
        name: gradient_by_lag(model, corpus, lags=lags, seed=args.seed)[-1]
        for name, model in models.items()
    }
    courses = {
        name: {
            way: gradient_norm_course(
                CELLS[name](hidden=args.hidden, seed=args.seed, **STEEP),
                corpus,
                steps=args.steps,
                clip_norm=clip_norm,
            )
            for way, clip_norm in (("clipped", 1.0), ("not clipped", None))
        }
        for name in models
        if name in CELLS
    }
    if args.plot:
        plot_gradients(by_lag, courses, args.plot)
    if args.json:
        print_json({name: _as_json(by_lag[name], courses.get(name, {})) for name in models})
        return None
    console.print(_lag_table(by_lag))
    if courses:
        console.print(_course_table(courses, args.steps))
    return None


def _lag_table(by_lag: dict[str, FloatArray]) -> Table:
    """The norm of the gradient at each of `LAGS`, in per cent of that at lag 0."""
    table = make_table(
        "lag", *by_lag, title="gradient of the loss by the state `lag` tokens ago, % of that at 0"
    )
    for lag in LAGS:
        if all(lag < len(norms) for norms in by_lag.values()):
            shares = (100 * norms[lag] / norms[0] for norms in by_lag.values())
            table.add_row(str(lag), *(f"{s:.3g}" for s in shares))
    return table


def _course_table(courses: dict[str, dict[str, NormCourse]], steps: int) -> Table:
    """Norms and losses of networks trained with and without clipping."""
    table = make_table(
        "network",
        "clipping",
        "median norm",
        "largest",
        "last loss",
        left=("network", "clipping"),
        title=f"norm of the gradient, before clipping, over {steps} steps",
    )
    for name, ways in courses.items():
        for way, course in ways.items():
            norms = course.norms if len(course.norms) else np.array([np.nan])
            last = "diverged" if course.diverged else f"{course.losses[-1]:.3f}"
            table.add_row(name, way, f"{np.median(norms):.3g}", f"{norms.max():.3g}", last)
    return table


def _load(path: str) -> RecurrentModel:
    model = load(path)
    if not isinstance(model, RecurrentModel):
        raise UsageError(f"{path} holds a {type(model).__name__}; name an RNN, GRU or LSTM.")
    return model


def _fresh(args: argparse.Namespace, corpus: Corpus) -> dict[str, RecurrentModel]:
    """The networks of --cells, trained for --train epochs."""
    models = {}
    for name in map(str.strip, args.cells.split(",")):
        if name not in CELLS:
            raise UsageError(f"There is no cell {name!r}; choose from {', '.join(CELLS)}.")
        epochs = max(args.train, 1)
        model = CELLS[name](
            hidden=args.hidden, epochs=epochs, seed=args.seed, learning_rate=0.01, **PLAIN
        )
        models[name] = completed(model.fit(corpus)) if args.train else model.untrained(corpus)
    return models


def _as_json(norms: FloatArray, courses: dict[str, NormCourse]) -> dict[str, Any]:
    return {
        "gradient_by_lag": norms,
        "courses": {
            way: {"norms": c.norms, "losses": c.losses, "diverged": c.diverged}
            for way, c in courses.items()
        },
    }


def _gates(models: dict[str, RecurrentModel], args: argparse.Namespace, console: Console) -> None:
    """Print the mean of every gate over the units of the last layer, token by token."""
    activations = {name: gate_activations(m, args.gates)[-1] for name, m in models.items()}
    if args.json:
        print_json(activations)
        return
    gated = {
        name: {g: a.mean(axis=1) for g, a in arrays.items() if g.endswith("gate")}
        for name, arrays in activations.items()
    }
    if not any(gated.values()):
        raise UsageError(f"{', '.join(models)}: there are no gates; look at a GRU or an LSTM.")
    for name, gates in gated.items():
        model = models[name]
        if not gates:
            continue
        table = make_table(
            "token", *gates, left=("token", *gates), title=f"{name}: mean activation"
        )
        for i, token in enumerate(model.vocabulary.decode(model.encode(args.gates))):
            cells = [
                f"{g[i]:.2f} {bar(float(g[i]), BAR // 2, console.encoding)}" for g in gates.values()
            ]
            table.add_row(visible(token), *cells)
        console.print(table)
