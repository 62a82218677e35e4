"""`langmodels attention`: the attention weights of a Transformer over a text."""

import argparse

from rich.console import Console
from rich.text import Text

from langmodels.cli.model_names import add_model_argument, load_models
from langmodels.cli.options import add_corpus_options, add_json_option, add_plot_option
from langmodels.cli.output import make_table, print_json, visible
from langmodels.errors import UsageError
from langmodels.teaching.attention import Attention, attention_of, plot_attention

MOST = 3  # tokens shown of those that a step attends to
EPILOG = """\
examples:
  langmodels attention transformer.lm "She looked at the heron."
  langmodels attention transformer "She looked at the heron." --corpus wonderland.txt
  langmodels attention transformer.lm "She looked at the heron." --plot attention.png

Each row is a token that is read: for each layer, it shows the tokens (itself included) that get the
most attention, with their share, on average over the heads.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_model_argument(parser)
    parser.add_argument("text", metavar="TEXT", help="the text to read")
    add_plot_option(parser, "the weights")
    add_corpus_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Print a table, and draw a picture if asked for."""
    named = load_models(args.model, args)
    if len(named) != 1:
        raise UsageError(f"attention takes one model, not {len(named)}.")
    name, model = named[0]
    attention = attention_of(model, args.text, name)
    if args.plot:
        plot_attention(attention, args.plot)
    if args.json:
        print_json(attention.records())
        return None
    print_attention(attention, console)
    return None


def print_attention(attention: Attention, console: Console) -> None:
    """Print a row for every token, a column for every layer."""
    layers = [f"layer {k + 1}" for k in range(len(attention.by_layer))]
    table = make_table("read", *layers, left=("read", *layers), title=attention.model)
    for step, token in enumerate(attention.tokens):
        cells = [
            "  ".join(
                f"{visible(attention.tokens[i])} {share:.0%}"
                for i, share in attention.most(layer, step, MOST)
            )
            for layer in range(len(layers))
        ]
        table.add_row(Text(visible(token)), *map(Text, cells))
    console.print(table)
