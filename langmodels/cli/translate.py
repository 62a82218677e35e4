"""`langmodels translate`: train an encoder-decoder on pairs, apply it, and measure its errors."""

import argparse
import time
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from langmodels.cli.files import InputFile, OutputFile
from langmodels.cli.model_names import completed
from langmodels.cli.options import add_json_option, add_seed_option
from langmodels.cli.output import (
    facts_table,
    format_log,
    format_perplexity,
    make_table,
    print_json,
)
from langmodels.datasets.pairs import PairSplits
from langmodels.datasets.tasks import TASKS, make_task
from langmodels.errors import LangmodelsError, UsageError
from langmodels.evaluation.error_rates import sequence_error_rate, token_error_rate
from langmodels.formatting import duration
from langmodels.models.description import settings_line
from langmodels.neural.encoder_decoder.model import EncoderDecoderModel
from langmodels.presets import Setting
from langmodels.registry import PAIR_MODELS, load
from langmodels.settings import parse_name
from langmodels.storage import check_writable

LENGTHS = 5  # groups of test sources by length
DEFAULT_MODEL = "encoder-decoder"
EPILOG = f"""\
tasks: {", ".join(TASKS)}; with parameters as numbers?size=5000&digits=6

examples:
  langmodels translate numbers.lm --task numbers --train
  langmodels translate numbers.lm "two thousand and six" -k 3
  langmodels translate numbers.lm "two thousand and six" --sample -k 3
  langmodels translate numbers.lm --task numbers --width 5
  langmodels translate fixed.lm --task numbers --train \\
    --model encoder-decoder:attention=none:bidirectional=false
  langmodels translate words.lm --task pronunciation --train --width 5 --checkpoint words.part \\
  --model encoder-decoder:attention=luong:hidden=256:dropout=0.3:batch_size=128:learning_rate=0.002

With --task, the errors on its test pairs are counted, also by length of the source: without
attention (attention=none) a source reaches the decoder as a single vector, and long sources suffer.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "file", type=InputFile, metavar="FILE", help="the file of an encoder-decoder"
    )
    parser.add_argument("sources", nargs="*", metavar="TEXT", help="texts to translate")
    parser.add_argument(
        "--task", metavar="NAME", help="task: pairs to train on and to measure errors on"
    )
    parser.add_argument("--train", action="store_true", help="train on --task and write FILE")
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="NAME[:OPTION=VALUE...]",
        help=f"model to train (default: {DEFAULT_MODEL})",
    )
    parser.add_argument(
        "--width", type=int, default=1, help="width of the beam; 1: greedy (default: 1)"
    )
    parser.add_argument(
        "--sample", action="store_true", help="draw results at random instead of by beam search"
    )
    parser.add_argument("-k", type=int, default=1, help="number of results to show (default: 1)")
    add_seed_option(parser)
    parser.add_argument(
        "--checkpoint",
        type=OutputFile,
        metavar="FILE",
        help="checkpoint of the training, from which it resumes if it exists",
    )
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Train, measure errors, translate, as asked for."""
    if args.train and args.task is None:
        raise UsageError("--train needs pairs to learn from; name them with --task.")
    if not args.sources and args.task is None:
        raise UsageError("Give a text to translate, or --task.")
    if args.k < 1 or args.width < 1:
        raise UsageError("-k and --width must be at least 1.")
    task = None if args.task is None else make_task(args.task)
    report: dict[str, Any] = {}
    if args.train and task is not None:
        model = _train(args, task, report, console)
    else:
        model = _open(args.file)
    if task is not None:
        _count_errors(model, task, args, report, console)
    if args.sources:
        _translate(model, args, report, console)
    if args.json:
        print_json(report)
    return None


def _open(path: str) -> EncoderDecoderModel:
    model = load(path)
    if not isinstance(model, EncoderDecoderModel):
        raise LangmodelsError(
            f"{path} holds a {type(model).__name__}, which does not translate; "
            "train an encoder-decoder with --task and --train."
        )
    return model


def make_model(text: str, seed: int) -> EncoderDecoderModel:
    """An unfitted encoder-decoder from `encoder-decoder:option=value...`. Raises UsageError."""
    name, options = parse_name(text)
    if name not in PAIR_MODELS:
        raise UsageError(
            f"{name} does not translate; the model for it is {' or '.join(PAIR_MODELS)}."
        )
    return PAIR_MODELS[name].make(Setting(), {"seed": seed, **options})


def _train(
    args: argparse.Namespace, task: PairSplits, report: dict[str, Any], console: Console
) -> EncoderDecoderModel:
    check_writable(args.file)
    model = make_model(args.model, args.seed)
    train, validation, _ = task.corpora()
    began = time.perf_counter()
    completed(model.fit(train, validation, checkpoint=args.checkpoint, sample=40))
    seconds = time.perf_counter() - began
    model.save(args.file)
    perplexity = model.perplexity(validation)
    report["training"] = {
        "task": task.name,
        "pairs": len(task.train.sources),
        "seconds": seconds,
        "epochs": len(model.history.epochs),
        "validation_perplexity": perplexity,
        "config": model.config(),
    }
    if not args.json:
        rows = {
            "task": f"{task.description}; {len(task.train.sources):,} training pairs",
            "settings": settings_line(model),
            "parameters": f"{model.n_parameters:,}",
            "validation": f"perplexity {format_perplexity(perplexity)}",
            "time": duration(seconds),
            "file": args.file,
        }
        console.print(facts_table(rows, title="encoder-decoder"))
    return model


def _count_errors(
    model: EncoderDecoderModel,
    task: PairSplits,
    args: argparse.Namespace,
    report: dict[str, Any],
    console: Console,
) -> None:
    """Measure error rates on the test pairs, in all and by length of the source."""
    sources, references = task.test.sources, task.test.references
    found = model.translate(sources, width=args.width)
    lengths = sorted({len(source) for source in sources})
    step = -(-len(lengths) // LENGTHS)
    groups = [lengths[i : i + step] for i in range(0, len(lengths), step)]
    rows = []
    for group in [lengths, *groups]:
        chosen = [i for i, source in enumerate(sources) if group[0] <= len(source) <= group[-1]]
        hypotheses, right = [found[i] for i in chosen], [references[i] for i in chosen]
        rows.append(
            {
                "from": group[0],
                "to": group[-1],
                "pairs": len(chosen),
                "token_error_rate": token_error_rate(hypotheses, right),
                "sequence_error_rate": sequence_error_rate(hypotheses, right),
            }
        )
    report["test"] = {"task": task.name, "width": args.width, **rows[0], "by_length": rows[1:]}
    if task.published:
        report["published"] = [asdict(found) for found in task.published]
    if args.json:
        return
    table = make_table(
        "tokens in source",
        "pairs",
        "token errors",
        "wrong targets",
        title=f"{task.name}, test pairs ({task.how}), beam {args.width}",
    )
    for row, label in zip(rows, ["all", *(f"{g[0]} to {g[-1]}" for g in groups)], strict=True):
        table.add_row(
            label,
            f"{row['pairs']:,}",
            f"{100 * row['token_error_rate']:.2f} %",
            f"{100 * row['sequence_error_rate']:.2f} %",
        )
    console.print(table)
    if task.published:
        console.print(_published_table(task))


def _published_table(task: PairSplits) -> Table:
    table = make_table(
        "published, on other parts of the data",
        "token errors",
        "wrong targets",
        left=("published, on other parts of the data",),
        title=f"{task.name}, as others report it",
    )
    for found in task.published:
        tokens = found.token_error_rate
        table.add_row(
            Text(f"{found.system} ({found.source}; {found.data})"),
            "" if tokens is None else f"{tokens:.2f} %",
            f"{found.sequence_error_rate:.2f} %",
        )
    return table


Found = list[list[tuple[str, float]]]
"""For each source, its targets with their log probabilities."""


def _searched(model: EncoderDecoderModel, args: argparse.Namespace) -> Found:
    found = model.search(args.sources, width=max(args.width, args.k))
    return [
        [
            (model.tokenizer.detokenize(model.vocabulary.decode(h.ids)), h.log_prob)
            for h in hypotheses[: args.k]
        ]
        for hypotheses in found
    ]


def _drawn(model: EncoderDecoderModel, args: argparse.Namespace) -> Found:
    rng = np.random.default_rng(args.seed)
    found: Found = []
    for source in args.sources:
        given = model.given(source)
        draws = [given.sample(seed=rng) for _ in range(args.k)]
        found.append([(model.tokenizer.detokenize(d), given.score(d)) for d in draws])
    return found


def _translate(
    model: EncoderDecoderModel, args: argparse.Namespace, report: dict[str, Any], console: Console
) -> None:
    results = _drawn(model, args) if args.sample else _searched(model, args)
    report["translations"] = [
        {"source": source, "targets": [{"text": t, "log_prob": p} for t, p in targets]}
        for source, targets in zip(args.sources, results, strict=True)
    ]
    if args.json:
        return
    for source, targets in zip(args.sources, results, strict=True):
        if args.k == 1:
            console.print(Text(targets[0][0] if targets else ""))
            continue
        table = make_table("target", "ln p", left=("target",), title=source)
        for text, log_prob in targets:
            table.add_row(Text(text), format_log(log_prob))
        console.print(table)
