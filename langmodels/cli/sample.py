"""`langmodels sample`: text from a model."""

import argparse
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from langmodels.cli import streams
from langmodels.cli.model_names import add_model_argument, load_models
from langmodels.cli.options import add_corpus_options, add_json_option, add_plot_option
from langmodels.cli.output import format_log_probability, print_json
from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.decoding import Decoding
from langmodels.teaching.prediction import plot_predictions, predict_next

PARTING = "---"
EPILOG = """\
examples:
  langmodels sample tale.lm
  langmodels sample tale.lm "The heron" --seed 7 --number 3
  langmodels sample mkn:order=6 "The heron" --level char --max-tokens 300
  langmodels sample tale.lm "The heron" --temperature 0.7 --top-p 0.9
  langmodels sample tale.lm,mkn "The heron" --temperature 0.5,1,1.5 --plot bold.png
  langmodels sample tale.lm "The heron" --greedy
  langmodels sample tale.lm "The heron" --beam 8 --number 8

Texts of several lines are separated by a line of three hyphens; --json separates any.
The same command gives the same text; another --seed gives another.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_model_argument(parser, several=True)
    parser.add_argument("prompt", nargs="?", default="", help="text to continue (default: empty)")
    parser.add_argument(
        "--max-tokens",
        "-m",
        type=int,
        default=100,
        metavar="N",
        help="most tokens of a text (default: 100)",
    )
    parser.add_argument(
        "--number", "-n", type=int, default=1, metavar="N", help="number of texts (default: 1)"
    )
    parser.add_argument("--greedy", action="store_true", help="always take the most probable token")
    parser.add_argument(
        "--temperature",
        "--temperatures",
        type=_temperatures,
        default=(1.0,),
        metavar="T[,T...]",
        help="below 1 sharper, above 1 flatter; with several, texts are drawn at each in turn "
        "(default: 1)",
    )
    parser.add_argument(
        "--top-k", type=int, metavar="K", help="draw from the K most probable tokens"
    )
    parser.add_argument(
        "--top-p",
        type=float,
        metavar="P",
        help="draw from the most probable tokens of total probability P",
    )
    parser.add_argument("--unk", action="store_true", help="allow <unk> to be drawn")
    parser.add_argument(
        "--beam",
        type=int,
        metavar="WIDTH",
        help="print the most probable texts found by beam search",
    )
    add_plot_option(parser, "what each model expects after the prompt, at each temperature,")
    add_corpus_options(parser)
    add_json_option(parser)


def _temperatures(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"temperatures are numbers with commas between, not {text!r}"
        ) from None


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Print the texts, the prompt in front of each."""
    if args.number < 1 or args.max_tokens < 1:
        raise UsageError("--number and --max-tokens must be at least 1.")
    draws = [Decoding(t, args.top_k, args.top_p, args.unk) for t in args.temperature]
    if args.greedy:
        if args.temperature != (1.0,) or args.top_k or args.top_p:
            raise UsageError("--greedy draws nothing: leave out the options of drawing.")
        draws = [Decoding(0.0, unk=args.unk)]
    named = load_models(args.models, args)
    samples = []
    for name, model in named:
        if args.beam is not None:
            samples += [{"model": name, **found} for found in _search(args, model)]
            continue
        for how in draws:
            about = {"model": name, "temperature": how.temperature}
            samples += [{**about, **found} for found in _draw(args, model, how)]
    if args.plot:
        plot_predictions(
            [
                predict_next(model, args.prompt, name=name, temperature=how.temperature or 0.01)
                for name, model in named
                for how in draws
            ],
            args.plot,
        )
    if args.json:
        print_json(samples)
        return None
    _print(samples, console, args)
    return None


def _print(samples: list[dict[str, Any]], console: Console, args: argparse.Namespace) -> None:
    kinds = {_head(sample) for sample in samples}
    parted = any("\n" in sample["text"] for sample in samples)
    before = None
    for i, sample in enumerate(samples):
        if len(kinds) > 1 and _head(sample) != before:
            before = _head(sample)
            console.print(Text(before, "bold"))
        elif i and parted:
            console.print(PARTING)
        if not console.is_terminal:  # Rich would change tabs and control characters
            p = f"   p = {format_log_probability(sample['log_prob'])}" if args.beam else ""
            streams.write(f"{sample['text']}{p}\n")
            continue
        text = Text(sample["text"])
        if sample["text"].startswith(sample["prompt"]):
            text.stylize("bold", 0, len(sample["prompt"]))
        if args.beam is not None:
            text.append(f"   p = {format_log_probability(sample['log_prob'])}", "dim")
        console.print(text, soft_wrap=True)


def _head(sample: dict[str, Any]) -> str:
    at = sample.get("temperature", 1.0)
    return str(sample["model"]) + ("" if at == 1 else f" at temperature {at:g}")


def _draw(
    args: argparse.Namespace, model: LanguageModel[Any], how: Decoding
) -> list[dict[str, Any]]:
    rng = np.random.default_rng(args.seed)
    found = []
    for _ in range(args.number):
        tokens = model.sample(
            args.prompt,
            max_tokens=args.max_tokens,
            temperature=how.temperature,
            top_k=how.top_k,
            top_p=how.top_p,
            unk=how.unk,
            seed=rng,
        )
        found.append(_sample(model, args.prompt, tokens))
    return found


def _search(args: argparse.Namespace, model: LanguageModel[Any]) -> list[dict[str, Any]]:
    if args.greedy or args.temperature != (1.0,) or args.top_k or args.top_p or args.unk:
        raise UsageError("Beam search draws nothing: leave out the options of drawing.")
    if args.beam < args.number:
        raise UsageError(f"A beam of {args.beam} finds no {args.number} texts; widen it.")
    found = model.complete(args.prompt, max_tokens=args.max_tokens, width=args.beam)
    return [
        {**_sample(model, args.prompt, tokens), "log_prob": log_prob}
        for tokens, log_prob in found[: max(args.number, 1)]
    ]


def _sample(model: LanguageModel[Any], prompt: str, tokens: list[str]) -> dict[str, Any]:
    before = list(model.tokenize(prompt))
    return {
        "prompt": model.tokenizer.detokenize(before),
        "text": model.tokenizer.detokenize([*before, *tokens]),
        "tokens": tokens,
    }
