"""Models on a command line: files, or names of models that are trained first."""

import argparse
from typing import Any, TypeVar

from langmodels.cli.files import ModelNames
from langmodels.cli.texts import load_training
from langmodels.datasets import Source
from langmodels.errors import LangmodelsError
from langmodels.models.base import LanguageModel
from langmodels.names import Registry, file_labels, split_names
from langmodels.neural.training.history import was_interrupted
from langmodels.presets import Setting
from langmodels.registry import MODELS, check_no_file, is_finished, load, make_model
from langmodels.text.corpus import Corpus


def add_model_argument(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add the argument for models: files, or registered models to be trained on --corpus."""
    parser.add_argument(
        "models" if several else "model",
        type=ModelNames,
        metavar="MODEL[,MODEL...]" if several else "MODEL",
        help="a model file, or the name of a model to train on --corpus first, for example "
        "mkn or mkn:order=3" + ("; several separated by commas" if several else ""),
    )


def load_models(text: str, args: argparse.Namespace) -> list[tuple[str, LanguageModel[Any]]]:
    """The models of such an argument with their labels; those that are not files are trained.

    Raises LangmodelsError for names that are neither a file nor a model.
    """
    models: list[tuple[str, LanguageModel[Any]]] = []
    corpora: tuple[Corpus, Corpus | None, Source] | None = None
    labels = file_labels(split_names(text))
    for name in split_names(text):
        if is_finished(name):
            models.append((labels[name], load(name)))
            continue
        check_model_name(name, MODELS)
        if corpora is None:
            corpora = load_training(args)
        train, validation, _ = corpora
        setting = Setting(train.tokenizer.level, seed=args.seed, tokens=train.n_tokens)
        models.append((name, completed(make_model(name, setting).fit(train, validation))))
    return models


M = TypeVar("M")


def completed(model: M) -> M:
    """The model itself, which was just fitted. Raises KeyboardInterrupt if Ctrl-C ended its
    training.

    Networks then return normally, but a command must not go on with half-trained ones.
    """
    if was_interrupted(model):
        raise KeyboardInterrupt
    return model


def check_model_name(text: str, *registries: Registry[Any]) -> None:
    """Raise LangmodelsError for a name that is neither a file nor in these registries."""
    name = text.partition(":")[0]
    if any(name in names for names in registries):
        return
    check_no_file(text)
    hints = [names.hint(name) for names in registries]
    hint = next((h for h in hints if "did you mean" in h), hints[0])
    raise LangmodelsError(f"There is neither a file nor a model called {text!r}; {hint}")
