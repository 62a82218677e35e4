"""`langmodels fill`: the most probable words for the blanks of a text."""

import argparse
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from langmodels.cli.files import ModelNames, OutputFile
from langmodels.cli.model_names import check_model_name, completed
from langmodels.cli.options import add_corpus_options, add_json_option, add_plot_option
from langmodels.cli.output import (
    bar,
    format_perplexity,
    format_probability,
    make_table,
    print_json,
    visible,
)
from langmodels.cli.texts import load_splits, load_training
from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.blanks import (
    BlankScores,
    Cloze,
    ClozeModel,
    FillingModel,
    compare_on_blanks,
    split_at_blanks,
)
from langmodels.names import split_names
from langmodels.presets import Setting
from langmodels.registry import (
    CLOZE_MODELS,
    MODELS,
    is_finished,
    load_any,
    make_cloze_model,
    make_model,
)
from langmodels.settings import parse_name
from langmodels.teaching.pictures import Bars, draw_bars
from langmodels.text.corpus import Corpus

BAR = 24  # characters
EPILOG = """\
A blank is written as three underscores. A bidirectional model sees both sides of it. A
left-to-right model proposes the most probable tokens after the left context, and weighs them by the
probability of the whole sequence.

examples:
  langmodels fill bidirectional-lstm "the water in the ___ was cold" --output both.lm
  langmodels fill both.lm "the water in the ___ was cold" -k 5
  langmodels fill both.lm,mkn "the ___ in the ___ was cold"
  langmodels fill bidirectional-gru,mkn,lstm --blanks 500
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "models",
        type=ModelNames,
        metavar="MODEL[,MODEL...]",
        help=f"model files, or models to be trained on --corpus first: {', '.join(CLOZE_MODELS)}, "
        "or any language model, for example mkn:order=3",
    )
    parser.add_argument("text", nargs="?", help="a text with blanks: 'the ___ in the lock'")
    parser.add_argument("-k", type=int, default=10, help="number of fillings to show (default: 10)")
    parser.add_argument(
        "--candidates",
        type=int,
        default=200,
        metavar="N",
        help="left-to-right models: number of words tried in a blank; 0: use the left context "
        "alone (default: 200)",
    )
    parser.add_argument(
        "--blanks",
        type=int,
        metavar="N",
        help="instead of a text: blank N words of the test part of --corpus, and measure how well "
        "each model fills them",
    )
    parser.add_argument(
        "--output", "-o", type=OutputFile, metavar="FILE", help="save the model, if one is trained"
    )
    add_plot_option(parser, "the bars of all models")
    add_corpus_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Fill the text, or measure on blanks."""
    names = split_names(args.models)
    if (args.text is None) == (args.blanks is None):
        raise UsageError("Give a text with blanks, or --blanks with a number.")
    if args.candidates < 0:
        raise UsageError(f"--candidates must be 0 or more, not {args.candidates}.")
    if args.output and len(names) > 1:
        raise UsageError("--output keeps one model; name only one.")
    if args.output and is_finished(names[0]):
        raise UsageError(f"--output is for a model that is trained; {names[0]} is a file already.")
    if args.plot and args.blanks is not None:
        raise UsageError("--plot draws the fillings of a text; --blanks only prints figures.")
    if args.blanks is not None:
        _evaluate(names, args, console)
        return None
    split_at_blanks(args.text)  # fails before the training
    corpora: list[tuple[Corpus, Corpus | None]] = []

    def training() -> tuple[Corpus, Corpus | None]:
        if not corpora:
            corpora.append(load_training(args)[:2])
        return corpora[0]

    results = {}
    for name in names:
        if not is_finished(name):
            check_model_name(name, MODELS, CLOZE_MODELS)
    for name in names:
        model = _load(name) if is_finished(name) else _train(name, args, *training())
        cloze = model if isinstance(model, Cloze) else FillingModel(model, args.candidates)
        results[name] = cloze.fill(args.text, args.k)
    if args.plot:
        draw_bars(
            [
                Bars(name, args.text, [(" … ".join(f.tokens), f.prob) for f in found])
                for name, found in results.items()
            ],
            args.plot,
        )
    if args.json:
        print_json(
            {
                name: [
                    {"tokens": f.tokens, "prob": f.prob, "log_prob": f.log_prob, "text": f.text}
                    for f in found
                ]
                for name, found in results.items()
            }
        )
        return None
    for name, found in results.items():
        table = make_table("rank", "filling", "p", "", left=("filling", ""), title=name)
        scale = found[0].prob if found and found[0].prob > 0 else 1.0
        for rank, filling in enumerate(found, 1):
            tokens = Text(" … ".join(map(visible, filling.tokens)))
            drawn = Text(bar(filling.prob / scale, BAR, console.encoding), "cyan")
            table.add_row(str(rank), tokens, format_probability(filling.prob), drawn)
        console.print(table)
        if found:
            console.print(Text(found[0].text, "dim"))
    return None


def _load(name: str) -> LanguageModel[Any] | ClozeModel:
    model = load_any(name)
    if isinstance(model, LanguageModel | ClozeModel):
        return model
    raise UsageError(f"{name} holds a {type(model).__name__}, which cannot fill blanks.")


def _train(
    name: str, args: argparse.Namespace, train: Corpus, validation: Corpus | None
) -> LanguageModel[Any] | ClozeModel:
    setting = Setting(train.tokenizer.level, seed=args.seed, tokens=train.n_tokens)
    model: LanguageModel[Any] | ClozeModel
    if parse_name(name)[0] in CLOZE_MODELS:
        model = make_cloze_model(name, setting)
    else:
        model = make_model(name, setting)
    completed(model.fit(train, validation))
    if args.output:
        model.save(args.output)
    return model


def _evaluate(names: list[str], args: argparse.Namespace, console: Console) -> None:
    """Measure every model on blanks of the test part."""
    if args.blanks < 1:
        raise UsageError(f"--blanks must be at least 1, not {args.blanks}.")
    splits, source = load_splits(args)
    models: dict[str, Cloze] = {}
    for name in names:
        model = (
            _load(name)
            if is_finished(name)
            else _train(name, args, splits.train, splits.validation)
        )
        if isinstance(model, Cloze):
            models[f"{name}, both sides"] = model
        else:
            models[f"{name}, left context"] = FillingModel(model)
            if args.candidates:
                models[f"{name}, {args.candidates} candidates"] = FillingModel(
                    model, args.candidates
                )
    results = compare_on_blanks(models, splits.test, args.blanks, args.seed)
    if args.json:
        print_json({name: _record(scores) for name, scores in results.items()})
        return
    console.print(_table(results, source.name))


def _record(scores: BlankScores) -> dict[str, Any]:
    return {
        "blanks": len(scores.ranks),
        "accuracy": scores.accuracy,
        "reciprocal_rank": scores.reciprocal_rank,
        "perplexity": scores.perplexity,
    }


def _table(results: Mapping[str, BlankScores], name: str) -> Any:
    n = len(next(iter(results.values())).ranks)
    table = make_table(
        "model",
        "accuracy",
        "mean reciprocal rank",
        "perplexity",
        left=("model",),
        title=f"{n:,} blanks of {name} (test part)",
    )
    for model, scores in results.items():
        table.add_row(
            model,
            f"{100 * scores.accuracy:.1f} %",
            f"{scores.reciprocal_rank:.3f}",
            format_perplexity(scores.perplexity),
        )
    return table
