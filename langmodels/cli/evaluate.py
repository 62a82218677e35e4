"""`langmodels evaluate`: measure how well saved models predict a text."""

import argparse
import math
from dataclasses import replace
from typing import Any

from rich.console import Console, Group
from rich.text import Text

from langmodels.cli.files import InputFile, TextName
from langmodels.cli.options import (
    add_carry_option,
    add_json_option,
    add_seed_option,
    add_split_options,
    add_text_options,
)
from langmodels.cli.output import facts_table, format_perplexity, make_table, print_json
from langmodels.cli.texts import carried, cleaning_for, open_text, text_of
from langmodels.errors import LangmodelsError, UsageError
from langmodels.evaluation.finished import Evaluation, Figures, evaluate, measure
from langmodels.evaluation.report.terminal import rich_tables
from langmodels.evaluation.report.verdicts import pairs_matrix, verdict
from langmodels.evaluation.significance import ALL
from langmodels.formatting import figure, interval, percent
from langmodels.interchange import jsonable
from langmodels.models.base import LanguageModel
from langmodels.names import file_labels
from langmodels.registry import load
from langmodels.text.corpus import Corpus
from langmodels.text.series import SeriesTokenizer
from langmodels.text.splits import DEFAULT_FRACTIONS, WAYS, divide
from langmodels.text.streams import TextStream
from langmodels.text.tokenization import Tokenizer

PARTS = ("all", "train", "validation", "test")
EPILOG = """\
examples:
  langmodels evaluate tale.lm --corpus other.txt
  langmodels evaluate kn.lm lstm.lm --corpus other.txt
  langmodels evaluate kn.lm lstm.lm both.lm --corpus other.txt --against all
  langmodels train --corpus book.txt --split contiguous --output book.lm
  langmodels evaluate book.lm --corpus book.txt --part test

The text is tokenized as the model's training text was, and encoded in the model's vocabulary. What
tokens do not encode (the spelling of <unk>, the spaces between words) is not in the bits per
character, which are then too low to be compared with those of a character model.

Several models are ranked, with 95 % intervals and paired tests of neighbours: by bits per token if
all have the same tokens and vocabulary; else by bits per character of the text, including the costs
of what tokens do not encode, which for words are estimated on a training text (--part test, or
`langmodels compare --models A,B --corpus TRAINING --test TEXT`).
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("models", type=InputFile, metavar="MODEL", nargs="+", help="a model file")
    group = parser.add_argument_group("the text")
    group.add_argument(
        "--corpus",
        type=TextName,
        metavar="NAME",
        required=True,
        help="a file, -, or a corpus by name",
    )
    group.add_argument(
        "--part",
        choices=PARTS,
        default="all",
        help="part of the text to measure on, split as in training (default: all)",
    )
    add_text_options(group)
    add_carry_option(group)
    add_split_options(group)
    parser.add_argument(
        "--against",
        metavar="MODEL",
        help="test this one of several files against all others or, with `all`, every pair "
        "(default: neighbours in the ranking)",
    )
    add_seed_option(parser, "--split lines or documents, and of intervals")
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Score the text, and print the figures."""
    if args.part == "all" and (args.split or args.fractions):
        raise UsageError("--split and --fractions need --part train, validation or test.")
    about = {"corpus": args.corpus, "part": args.part}
    models = {name: load(name) for name in args.models}
    if args.against is not None and args.against not in (ALL, *args.models):
        raise UsageError(
            f"There is no model {args.against} to test against; name one of the files, or all."
        )
    if len(args.models) == 1:
        if args.against is not None:
            raise UsageError("--against tests one model against others; name several.")
        name, model = next(iter(models.items()))
        corpus = Corpus.from_text(
            _parts(args, model)[1], model.tokenizer, vocabulary=model.vocabulary, name=args.corpus
        )
        found = measure(name, model, carried(args, corpus))
        if args.json:
            print_json({"model": name, **about, **jsonable(found)})
        else:
            console.print(facts_table(_facts(found, model), title=_title(name, args)))
        return None
    if len(models) < len(args.models):
        raise UsageError("The same model file is named twice; once is enough.")
    training, text = _parts_for_all(args, models)
    evaluation = evaluate(
        models,
        text,
        training_text=training,
        carry=args.carry,
        seed=args.seed,
        against=args.against,
    )
    if args.json:
        print_json({**about, **jsonable(evaluation)})
    else:
        _print_several(evaluation, models, args, console)
    return None


def _title(name: str, args: argparse.Namespace) -> str:
    return f"{name} on {args.corpus}" + ("" if args.part == "all" else f", {args.part} part")


def _facts(found: Figures, model: LanguageModel[Any]) -> dict[str, str]:
    bits = found.bits_per_token
    excluding = format_perplexity(found.perplexity_without_oov)
    unpaid = _unpaid(model.tokenizer, found.oov_tokens)
    rows = {
        "text": f"{found.tokens:,} tokens in {found.sequences:,} "
        f"sequence{'s' * (found.sequences != 1)}, {found.characters:,} characters",
        "unknown": f"{found.oov_tokens:,} tokens ({100 * found.oov_rate:.2f} %)",
        "perplexity": f"{format_perplexity(found.perplexity)} per token"
        + (f" ({excluding} without the unknown ones)" if found.oov_tokens else ""),
        "cross-entropy": f"{figure(bits, 4)} bits per token = {figure(bits * math.log(2), 4)} nats",
        "per character": f"{figure(found.bits_per_character, 4)} bits"
        + (f" (not in it: {', '.join(unpaid)})" if unpaid else ""),
    }
    if found.zero_probability_tokens:
        rows["impossible"] = f"{found.zero_probability_tokens:,} tokens have probability zero"
    if not found.is_distribution:
        rows["note"] = "the model's scores are no probabilities; they were renormalised"
    elif found.caveat:
        rows["note"] = found.caveat
    return rows


def _print_several(
    evaluation: Evaluation,
    models: dict[str, LanguageModel[Any]],
    args: argparse.Namespace,
    console: Console,
) -> None:
    per = evaluation.per
    called = file_labels(models, endings=True)
    columns = ("model", "tokens", "unknown", "perplexity", f"bits/{per}", "95 % interval")
    table = make_table(*columns, left=("model",), title=_title(f"{len(models)} models", args))
    for found in evaluation.models:
        table.add_row(
            Text(called[found.model] + ("" if found.is_distribution else "*")),
            f"{found.tokens:,}",
            percent(found.oov_rate),
            format_perplexity(found.perplexity),
            figure(found.bits, 3),
            interval(found.interval)
            if found.interval
            else f"{percent(found.zero_probability_tokens / found.tokens)} p = 0",
        )
    console.print(table)
    tests = [
        replace(test, better=called[test.better], worse=called[test.worse])
        for test in evaluation.tests
    ]
    if args.against == ALL and tests:
        console.print(Group(*rich_tables([pairs_matrix(tests, per)])))
    else:
        for test in tests:
            console.print(Text(verdict(test, per)))
    if evaluation.resampled == "documents":
        console.print(f"Intervals and tests are over {evaluation.units:,} documents.")
    if per == "token":
        some = next(iter(models.values()))
        unpaid = _unpaid(some.tokenizer, evaluation.models[0].oov_tokens)
        if unpaid:
            console.print(f"Not in the bits, and the same for all: {', '.join(unpaid)}.")
    else:
        console.print("Perplexities of different tokens do not compare; bits/char do.")
    for found in evaluation.models:
        if found.caveat:
            console.print(Text(f"{called[found.model]}: {found.caveat}"))
    if not all(found.is_distribution for found in evaluation.models):
        console.print("* scores, not probabilities; renormalised at every token here.")


def _unpaid(tokenizer: Tokenizer, unknown: int) -> list[str]:
    """What the tokens do not encode, and the model's bits therefore do not include."""
    missing = {
        "spelling": unknown > 0,
        "capitals": getattr(tokenizer, "lower", False),
        "decimals": isinstance(tokenizer, SeriesTokenizer),
        "spacing": not tokenizer.reversible,
    }
    return [what for what, is_so in missing.items() if is_so]


def _parts(
    args: argparse.Namespace, model: LanguageModel[Any]
) -> tuple[TextStream | None, TextStream]:
    """The training part of the text, if it is split, and the part to measure on, cleaned."""
    text = open_text(text_of(args)).cleaned(cleaning_for(args, model))
    if args.part == "all":
        return None, text
    parts = divide(
        text,
        fractions=args.fractions or DEFAULT_FRACTIONS,
        by=args.split or WAYS[0],
        at_breaks=model.tokenizer.at_breaks,
        needs_blanks=model.tokenizer.needs_blanks,
        seed=args.seed,
    )
    return parts[0], parts[PARTS.index(args.part) - 1]


def _parts_for_all(
    args: argparse.Namespace, models: dict[str, LanguageModel[Any]]
) -> tuple[TextStream | None, TextStream]:
    """`_parts` for several models, which must use the same cleaning."""
    cleanings = {name: cleaning_for(args, model) for name, model in models.items()}
    if len(set(cleanings.values())) > 1:
        said = ", ".join(f"{name} by {how!r}" for name, how in cleanings.items())
        raise LangmodelsError(f"These models read text cleaned in different ways ({said}).")
    breaks = [model for model in models.values() if model.tokenizer.at_breaks]
    return _parts(args, (breaks or list(models.values()))[0])
