"""`langmodels evaluate`: how well a saved model predicts a text."""

import argparse
import math
from typing import Any

import numpy as np
from rich.console import Console

from langmodels.cli.options import (
    add_json_option,
    add_seed_option,
    add_split_options,
    add_text_options,
    cleaning_for,
    open_text,
    text_of,
)
from langmodels.cli.output import facts_table, format_perplexity, print_json
from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.registry import load
from langmodels.text.cleaning import clean
from langmodels.text.corpus import Corpus
from langmodels.text.series import SeriesTokenizer
from langmodels.text.splits import DEFAULT_FRACTIONS, WAYS, split_text
from langmodels.text.tokenization import Tokenizer
from langmodels.text.vocabulary import Vocabulary

NAME = "evaluate"
HELP = "measure how well a saved model predicts a text"
PARTS = ("all", "train", "validation", "test")
EPILOG = """\
examples:
  langmodels evaluate tale.lm --corpus other.txt
  langmodels train --corpus book.txt --split contiguous --output book.lm
  langmodels evaluate book.lm --corpus book.txt --part test

The text is cut into tokens as the model's training text was, and encoded with the model's
vocabulary. What the tokens do not say (the spelling of words that count as <unk>, the space between
words) is not in the bits per character, which are then too low to set beside a character model's;
`langmodels compare` is fair to both.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL", help="a model file")
    group = parser.add_argument_group("the text")
    group.add_argument(
        "--corpus", metavar="NAME", required=True, help="a file, -, or a corpus by name"
    )
    group.add_argument(
        "--part",
        choices=PARTS,
        default="all",
        help="which part of the text, divided as in training (default: all of it)",
    )
    add_text_options(group)
    add_split_options(group)
    add_seed_option(parser, "--split lines")
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Score the text and print the averages."""
    if args.part == "all" and (args.split or args.fractions):
        raise UsageError("--split and --fractions need --part train, validation or test.")
    model = load(args.model)
    report = measure(model, _read(args, model))
    report = {"model": str(args.model), "corpus": args.corpus, "part": args.part, **report}
    if args.json:
        print_json(report)
        return None
    bits = report["bits_per_token"]
    excluding = format_perplexity(report["perplexity_without_oov"])
    unpaid = _unpaid(model.tokenizer, report["oov_tokens"])
    rows = {
        "text": f"{report['tokens']:,} tokens in {report['sequences']:,} "
        f"sequence{'s' * (report['sequences'] != 1)}, "
        f"{report['characters']:,} characters",
        "unknown": f"{report['oov_tokens']:,} tokens ({100 * report['oov_rate']:.2f} %)",
        "perplexity": f"{format_perplexity(report['perplexity'])} per token"
        + (f" ({excluding} without the unknown ones)" if report["oov_tokens"] else ""),
        "cross-entropy": f"{bits:.4f} bits per token = {bits * math.log(2):.4f} nats",
        "per character": f"{report['bits_per_character']:.4f} bits"
        + (f" (not in it: {', '.join(unpaid)})" if unpaid else ""),
    }
    if report["zero_probability_tokens"]:
        rows["impossible"] = (
            f"{report['zero_probability_tokens']:,} tokens have probability zero; "
            "a smoothed model has none"
        )
    if not model.is_distribution:
        rows["note"] = "the model's scores are no probabilities; they were renormalised"
    part = "" if args.part == "all" else f", {args.part} part"
    console.print(facts_table(rows, title=f"{args.model} on {args.corpus}{part}"))
    return None


def _unpaid(tokenizer: Tokenizer, unknown: int) -> list[str]:
    """What of the text the tokens do not say, so that the model's bits leave it out."""
    missing = {
        "spelling": unknown > 0,
        "capitals": getattr(tokenizer, "lower", False),
        "decimals": isinstance(tokenizer, SeriesTokenizer),
        "spacing": not tokenizer.reversible,
    }
    return [what for what, is_so in missing.items() if is_so]


def measure(model: LanguageModel[Any], corpus: Corpus) -> dict[str, Any]:
    """Averages of a model's log probabilities over a corpus."""
    log_probs = model.normalized().score_corpus(corpus)
    unknown = corpus.targets == Vocabulary.unk_id
    known = log_probs[~unknown]
    loss = -float(log_probs.mean())
    return {
        "tokens": corpus.n_tokens,
        "sequences": corpus.n_sequences,
        "characters": corpus.characters,
        "oov_tokens": int(unknown.sum()),
        "oov_rate": float(unknown.mean()),
        "zero_probability_tokens": int(np.isneginf(log_probs).sum()),
        "perplexity": _exp(loss),
        "perplexity_without_oov": _exp(-float(known.mean())) if len(known) else math.nan,
        "bits_per_token": loss / math.log(2),
        "bits_per_character": -float(log_probs.sum()) / math.log(2) / corpus.characters,
    }


def _exp(loss: float) -> float:
    return math.exp(loss) if loss < 700 else math.inf


def _read(args: argparse.Namespace, model: LanguageModel[Any]) -> Corpus:
    source = text_of(args)
    text = clean(open_text(source), cleaning_for(args, model))
    if args.part != "all":
        parts = split_text(
            "".join(text),
            fractions=args.fractions or DEFAULT_FRACTIONS,
            by=args.split or WAYS[0],
            at_breaks=model.tokenizer.at_breaks,
            seed=args.seed,
        )
        text = iter([parts[PARTS.index(args.part) - 1]])
    return Corpus.from_text(
        text, model.tokenizer, vocabulary=model.vocabulary, name=f"{source.name}"
    )
