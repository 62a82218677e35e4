"""`langmodels predict`: the most probable next tokens after a context."""

import argparse

from rich.console import Console
from rich.text import Text

from langmodels.cli.model_names import add_model_argument, load_models
from langmodels.cli.options import add_corpus_options, add_json_option, add_plot_option
from langmodels.cli.output import (
    bar,
    conditional,
    format_probability,
    make_table,
    print_json,
    visible,
)
from langmodels.teaching import Prediction, predict_next
from langmodels.teaching.prediction import plot_predictions

BAR = 24  # characters
EPILOG = """\
examples:
  langmodels predict tale.lm "She looked at the"
  langmodels predict mkn "She looked at the" --corpus wonderland.txt
  langmodels predict unigram,mkn,full-context "She looked at the" -k 5
  langmodels predict tale.lm "She looked at the" --token heron
  langmodels predict unigram,mkn,lstm "She looked at the" --plot next.png
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_model_argument(parser, several=True)
    parser.add_argument("context", nargs="?", default="", help="the context (default: empty)")
    parser.add_argument("-k", type=int, default=10, help="number of tokens to show (default: 10)")
    parser.add_argument("--token", metavar="TOKEN", help="also show the probability of this token")
    parser.add_argument(
        "--temperature",
        type=float,
        default=1.0,
        metavar="T",
        help="reshape the distribution: below 1 sharper, above 1 flatter (default: 1)",
    )
    add_plot_option(parser, "the bars of all models")
    add_corpus_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Print one table a model."""
    predictions = [
        predict_next(model, args.context, args.k, args.token, name, temperature=args.temperature)
        for name, model in load_models(args.models, args)
    ]
    if args.plot:
        plot_predictions(predictions, args.plot)
    if args.json:
        print_json([p.records() for p in predictions])
        return None
    for prediction in predictions:
        _print(prediction, console)
    return None


def _print(prediction: Prediction, console: Console) -> None:
    letter = "p" if prediction.is_distribution else "score"
    separator = prediction.separator
    question = conditional("x", prediction.context, console.width - 20, separator, letter)
    at = "" if prediction.temperature == 1 else f"  at temperature {prediction.temperature:g}"
    console.print(Text.assemble((prediction.model, "bold"), f"  {question}", at))
    if prediction.used != prediction.context:
        seen = conditional("x", prediction.used, console.width - 22, separator, letter)
        console.print(Text(f"what the model sees: {seen}", "dim"))
    table = make_table("rank", "x", letter, "", left=("x", ""))
    rows = list(prediction.candidates)
    scale = rows[0].prob or 1.0
    if prediction.asked is not None and prediction.asked not in rows:
        rows.append(prediction.asked)
    for row in rows:
        drawn = Text(bar(row.prob / scale, BAR, console.encoding), "cyan")
        name = visible(row.token) + ("" if row.known else "*")
        token = Text(name, "bold" if row == prediction.asked else "")
        table.add_row(f"{row.rank:,}", token, format_probability(row.prob), drawn)
    console.print(table)
    if prediction.asked is not None and not prediction.asked.known:
        asked = visible(prediction.asked.token)
        console.print(Text(f"* {asked} is not in the vocabulary; this is {letter}(<unk>)"))
    if prediction.unknown:
        unknown = ", ".join(map(visible, prediction.unknown))
        console.print(Text(f"not in the vocabulary, read as <unk>: {unknown}"))
    if prediction.note:
        console.print(Text(prediction.note))
    if prediction.is_distribution:
        choices = 2.0**prediction.entropy
        console.print(
            f"entropy {prediction.entropy:.2f} bits: as unsure as among {choices:,.0f} "
            "equally probable tokens\n"
        )
    else:
        console.print("The scores of this model do not sum to one; they are no probabilities.\n")
