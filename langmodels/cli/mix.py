"""`langmodels mix`: interpolate models, merge n-gram models, adapt one to a text."""

import argparse
import warnings
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from langmodels.cli.files import InputFile, TextName
from langmodels.cli.ngram_files import (
    add_input_options,
    add_output_options,
    file_line,
    ngrams_line,
    read_model,
    write_model,
)
from langmodels.cli.options import add_json_option, add_text_options
from langmodels.cli.output import facts_table, format_perplexity, print_json
from langmodels.cli.texts import cleaning_for, corpus_for, open_text, text_of
from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.mixture import MixtureModel
from langmodels.ngram import NGramModel, adapt, merge
from langmodels.ngram.arpa import is_arpa_name
from langmodels.registry import load
from langmodels.text.corpus import Corpus

EPILOG = """\
examples:
  langmodels mix ngram.lm lstm.lm --held-out dev.txt --output both.lm
  langmodels mix news.arpa.gz web.arpa.gz --merge --weights 0.7,0.3 --output one.arpa.gz
  langmodels mix news.lm --adapt letters.txt --output mine.lm

Without --merge the output holds all models, of any kind, and their weights; they must share a
vocabulary. With --merge n-gram models become one n-gram model with the words of all. Weights are
fitted to --held-out by EM; by default they are equal. --adapt trains a model on a small text and
merges it with the large one, with the weight that is best for that text.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "models", nargs="+", type=InputFile, metavar="MODEL", help="a model file or an ARPA file"
    )
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument(
        "--weights", type=parse_weights, metavar="W,W...", help="a weight for each model"
    )
    weights.add_argument(
        "--held-out", type=TextName, metavar="FILE", help="a text to fit the weights to"
    )
    parser.add_argument("--merge", action="store_true", help="merge n-gram models into one")
    parser.add_argument(
        "--adapt", type=TextName, metavar="FILE", help="a small text to adapt one model to"
    )
    add_text_options(parser)
    add_output_options(parser)
    add_input_options(parser)
    add_json_option(parser)


def parse_weights(text: str) -> list[float]:
    """The value of --weights, such as `0.7,0.3`."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"write weights such as 0.7,0.3, not {text!r}") from None


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Mix, save, and print the weights."""
    model: LanguageModel[Any]
    if args.adapt:
        model, weights = _adapted(args)
    elif args.merge:
        model, weights = _merged(args)
    else:
        model, weights = _mixed(args)
    names = _distinct([*args.models, args.adapt] if args.adapt else args.models)
    report: dict[str, Any] = {
        "output": args.output,
        "weights": dict(zip(names, weights, strict=True)),
    }
    if args.held_out:
        report["held_out_perplexity"] = model.perplexity(corpus_for(model, args, args.held_out))
    if args.json:
        print_json(report)
        return None
    rows = {name: f"weight {weight:.4f}" for name, weight in zip(names, weights, strict=True)}
    if isinstance(model, NGramModel):
        rows["n-grams"] = ngrams_line(model)
    if args.held_out:
        perplexity = format_perplexity(report["held_out_perplexity"])
        rows["held out"] = f"{args.held_out}: perplexity {perplexity}"
    console.print(facts_table({**rows, "file": file_line(args.output)}))
    return None


def _distinct(names: list[str]) -> list[str]:
    """The names made unique: repeated ones get a number."""
    return [
        f"{name} ({names[:i].count(name) + 1})" if name in names[:i] else name
        for i, name in enumerate(names)
    ]


def _warn_of_readings(models: Sequence[LanguageModel[Any]]) -> None:
    """Warn if the models have different readings."""
    ways = [tuple(model.reading.metadata().values()) for model in models]
    if len(set(ways)) > 1:
        told = "; ".join(
            dict.fromkeys(f"{m.tokenizer!r} with cleaning {m.reading.cleaning}" for m in models)
        )
        warnings.warn(
            f"These models read text in different ways ({told}); the mixture reads it as the first "
            "does.",
            stacklevel=2,
        )


def _adapted(args: argparse.Namespace) -> tuple[NGramModel, list[float]]:
    if len(args.models) != 1 or args.weights:
        raise UsageError("--adapt takes one model, and finds the weight itself.")
    large = read_model(args.models[0], args.level)
    small = _text(args.adapt, args, large)
    held_out = _text(args.held_out, args, large) if args.held_out else None
    adapted = adapt(large, small, held_out)
    return write_model(adapted, args), adapted.fitted["weights"][0]


def _merged(args: argparse.Namespace) -> tuple[NGramModel, list[float]]:
    models = [read_model(path, args.level) for path in args.models]
    _warn_of_readings(models)
    held_out = _text(args.held_out, args, models[0]) if args.held_out else None
    merged = merge(models, args.weights, validation=held_out)
    return write_model(merged, args), merged.fitted["weights"][0]


def _mixed(args: argparse.Namespace) -> tuple[MixtureModel, list[float]]:
    if args.quantize or is_arpa_name(args.output):
        raise UsageError("An ARPA file or a quantized one holds one n-gram model; add --merge.")
    models: list[LanguageModel[Any]] = [
        read_model(path, args.level) if is_arpa_name(path) else load(path) for path in args.models
    ]
    if any(m.vocabulary != models[0].vocabulary for m in models):
        raise UsageError(
            "These models have different vocabularies. Train them on texts with one vocabulary, "
            "or, if they are n-gram models, add --merge."
        )
    _warn_of_readings(models)
    mixture = MixtureModel(models, args.weights)
    if args.held_out:
        mixture.fit_weights(corpus_for(mixture, args, args.held_out))
    mixture.save(args.output)
    return mixture, mixture.weights.tolist()


def _text(name: str, args: argparse.Namespace, model: LanguageModel[Any]) -> Corpus:
    """A text tokenized as the model's was, with its own vocabulary."""
    source = text_of(args, name)
    cleaning = cleaning_for(args, model)
    return Corpus.from_text(open_text(source), model.tokenizer, cleaning=cleaning, name=source.name)
