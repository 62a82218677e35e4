"""`langmodels explain`: the probability of a sentence by the chain rule, factor by factor."""

import argparse
import math
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from langmodels.cli.attention import print_attention
from langmodels.cli.model_names import add_model_argument, load_models
from langmodels.cli.options import add_corpus_options, add_json_option, add_plot_option
from langmodels.cli.output import (
    conditional,
    context_line,
    format_log,
    format_log_probability,
    format_perplexity,
    make_table,
    print_json,
    visible,
)
from langmodels.errors import UsageError
from langmodels.neural.transformer.model import TransformerModel
from langmodels.teaching import ChainRule, Step, chain_rule
from langmodels.teaching.attention import attention_of
from langmodels.teaching.chain_rule import plot_chain_rules

TOGETHER = 3  # models shown in one table of 80 columns
LONGEST = 1000  # tokens: each is shown with its whole context
EPILOG = """\
examples:
  langmodels explain tale.lm "She looked at the heron."
  langmodels explain unigram,mkn,full-context "She looked at the heron."
  langmodels explain mle:order=2,mkn:order=2 "She looked at the moon." --corpus wonderland.txt

p(x1, ..., xn) = p(x1) p(x2 | x1) ... p(xn | x1, ..., xn-1) holds for every model. Models differ in
how much of the context they use: it is shown after the bar, with <s> for the beginning of the
sentence. The product so far is given as its logarithm to base 10.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_model_argument(parser, several=True)
    parser.add_argument("sentence", metavar="SENTENCE", help="the sentence to explain")
    add_plot_option(parser, "the surprisal of every token")
    add_corpus_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Print a table for each model, or one table for models with the same tokens."""
    models = load_models(args.models, args)
    for name, model in models:
        n = len(model.tokenize(args.sentence))
        if n > LONGEST:
            raise UsageError(
                f"The sentence has {n:,} tokens to {name}; {LONGEST:,} are explained at most. "
                "`langmodels score --tokens` shows the factors of longer ones."
            )
    chains = [chain_rule(model, args.sentence, name) for name, model in models]
    if args.plot:
        plot_chain_rules(chains, args.plot)
    if args.json:
        print_json([chain.records() for chain in chains])
        return None
    if len(chains) > 1 and len({chain.tokens for chain in chains}) == 1:
        for i in range(0, len(chains), TOGETHER):
            _print_together(chains[i : i + TOGETHER], console)
        console.print(
            "→ log10 of the product so far    | the context that the model uses", style="dim"
        )
    else:
        for chain in chains:
            _print_alone(chain, console)
    for name, model in models:
        if isinstance(model, TransformerModel):
            print_attention(attention_of(model, args.sentence, f"{name} looked at most"), console)
    unknown = dict.fromkeys(visible(s.token) for c in chains for s in c.steps if not s.known)
    if unknown:
        console.print(Text(f"* not in the vocabulary, read as <unk>: {', '.join(unknown)}"))
    for chain in chains:
        if chain.note:
            console.print(Text(f"{chain.model}: {chain.note}"))
    return None


def _print_alone(chain: ChainRule, console: Console) -> None:
    factors = ("x", "factor", "value", "log10 of the product")
    table = make_table(*factors, left=("x", "factor"), title=chain.model)
    width = max(20, console.width - 45)
    for step in chain.steps:
        table.add_row(
            Text(_token(step)),
            Text(_factor(step, chain, width)),
            format_log_probability(step.log_prob),
            _log10(step.running),
        )
    table.add_section()
    product = format_log_probability(chain.log_prob)
    value = "p" if chain.is_distribution else "score"
    table.add_row("", f"{value} of the whole, {len(chain.steps)} factors", product, "")
    table.add_row("", "perplexity", format_perplexity(chain.perplexity), "")
    console.print(table)


def _print_together(chains: Sequence[ChainRule], console: Console) -> None:
    names = [chain.model for chain in chains]
    table = make_table("x", *names, left=("x", *names))
    first = max(len(_token(step)) for chain in chains for step in chain.steps)
    width = max(16, (console.width - first - 4) // len(chains) - 3)
    for i, step in enumerate(chains[0].steps):
        cells = [_cell(chain.steps[i], chain, width) for chain in chains]
        table.add_row(Text(_token(step)), *cells)
    table.add_section()
    table.add_row("product", *(format_log_probability(c.log_prob) for c in chains))
    table.add_row("log10", *(_log10(c.log_prob) for c in chains))
    table.add_row("perplexity", *(format_perplexity(c.perplexity) for c in chains))
    console.print(table)


def _cell(step: Step, chain: ChainRule, width: int) -> Text:
    running = f"→ {_log10(step.running)}"
    value = format_log_probability(step.log_prob)
    context = context_line(step.used, width - 2, chain.separator)
    given = f"| {context or 'nothing'}"
    return Text.assemble(f"{value:<9} ", (running, "dim"), "\n", (given, "dim"), "\n")


def _token(step: Step) -> str:
    return visible(step.token) + ("" if step.known else "*")


def _factor(step: Step, chain: ChainRule, width: int) -> str:
    letter = "p" if chain.is_distribution else "s"
    return conditional(step.token, step.used, width, chain.separator, letter)


def _log10(log_p: float) -> str:
    return format_log(log_p / math.log(10), 2)
