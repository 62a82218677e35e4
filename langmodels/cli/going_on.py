"""Training continued from a finished model: `langmodels train --init FILE`."""

import argparse
from typing import Any

from langmodels.cli.texts import carried, min_count_of, open_text, text_of
from langmodels.datasets.sources import Source
from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.neural.base import NetworkModel, NeuralModel
from langmodels.neural.dynamic import DynamicModel
from langmodels.ngram import NGramModel
from langmodels.presets import Setting
from langmodels.registry import MODELS, load, make_model
from langmodels.settings import parse_name
from langmodels.text.corpus import Corpus

_READING = ("level", "pattern", "width", "vocab_size", "vocabulary", "split", "fractions", "test")
_OF_DYNAMIC = ("rate", "decay", "every")


def load_init(args: argparse.Namespace) -> LanguageModel[Any]:
    """The model of --init. Raises UsageError if training cannot continue from it."""
    model = load(args.init)
    if isinstance(model, NGramModel):
        if model.counts is None:
            raise UsageError(
                f"{args.init} did not keep its counts, to which those of more text could be added; "
                "train it with --keep-counts."
            )
    elif not isinstance(network_of(model), NetworkModel):
        raise UsageError(
            "--init goes on from networks and from n-gram models that kept their counts; "
            f"{args.init} holds a {type(model).__name__}."
        )
    return model


def network_of(model: Any) -> Any:
    """The network in a model, or the model itself."""
    return model.base if isinstance(model, DynamicModel) else model


def name_of(model: LanguageModel[Any]) -> str:
    """The registered name of a model from a file."""
    if isinstance(model, NGramModel):
        return model.smoothing.name.replace("_", "-")
    return model.kind if model.kind in MODELS else str(getattr(model, "cell", model.kind))


def continued(
    init: LanguageModel[Any], name: str, options: dict[str, Any], args: argparse.Namespace
) -> LanguageModel[Any]:
    """An untrained model with the settings of `init`, overridden by `options`.

    Raises UsageError if --model names one of another class.
    """
    given = {**parse_name(name)[1], **options}
    named = args.model is not None or args.smoothing is not None
    made = make_model(name, Setting(seed=args.seed), **options) if named else init
    if isinstance(made, DynamicModel) and isinstance(init, NeuralModel):
        return _dynamic(init, given, args)
    if isinstance(init, NGramModel) and isinstance(made, NGramModel):
        if named:
            return make_model(name, Setting(order=init.order, seed=args.seed), **options)
        return NGramModel(**{**init.get_params(), **given})
    if type(made) is not type(init):
        raise UsageError(
            f"{args.init} holds a {type(init).__name__}, which does not become a "
            f"{type(made).__name__}; --model is for options, as {name_of(init)}:epochs=3."
        )
    network = network_of(init)
    own = {key: given.pop(key) for key in _OF_DYNAMIC if key in given and network is not init}
    network = type(network)(**{**network.get_params(), "seed": args.seed, **given})
    if isinstance(init, DynamicModel):
        return DynamicModel(network, **{k: own.get(k, init.get_params()[k]) for k in _OF_DYNAMIC})
    model: LanguageModel[Any] = network
    return model


def _dynamic(
    network: NeuralModel[Any, Any], given: dict[str, Any], args: argparse.Namespace
) -> DynamicModel:
    """A `DynamicModel` of a network that is not trained further. Raises UsageError for other
    options.
    """
    others = [*(f"option {key}" for key in given if key not in _OF_DYNAMIC)]
    others += [f"--{key}" for key in ("checkpoint", "sample") if getattr(args, key) is not None]
    if others:
        raise UsageError(
            f"The network in {args.init} is taken as it is and not trained: dynamic has the "
            f"options {', '.join(_OF_DYNAMIC)} here; leave out {', '.join(others)}."
        )
    return DynamicModel(network, **given)


def load_more(
    init: LanguageModel[Any], args: argparse.Namespace, *, extending: bool
) -> tuple[Corpus, Corpus | None, Source]:
    """The texts of --corpus and --validation, read as the training text of `init` was.

    With `extending` new tokens are added to the vocabulary. Raises UsageError for options on how to
    read a text.
    """
    counts = init.counts if isinstance(init, NGramModel) else None
    refused = [*_READING, *(["min_count"] if counts or not extending else [])]
    for option in refused:
        if getattr(args, option) is not None:
            raise UsageError(
                f"{args.init} says how its text is read and divided; leave out "
                f"--{option.replace('_', '-')}."
            )
    if args.lower or args.clean != "none":
        raise UsageError(f"{args.init} says how its text is cleaned; leave out --clean.")
    reading = init.reading if counts is None else counts.reading
    least = 1 if counts else min_count_of(args, reading.tokenizer)
    source = text_of(args)
    if extending:
        train = Corpus.extending(reading, open_text(source), min_count=least, name=source.name)
    else:
        train = Corpus.read_by(reading, open_text(source), name=source.name)
    validation = None
    if args.validation:
        text = open_text(text_of(args, args.validation))
        validation = Corpus.read_by(train.reading, text, name=args.validation)
    return carried(args, train), validation and carried(args, validation), source
