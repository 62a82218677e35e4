"""`train --memory`: n-gram models of texts larger than memory."""

import argparse
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from langmodels import __version__
from langmodels.cli.files import STANDARD_INPUT, OutputFolder
from langmodels.cli.texts import cleaning_of, open_text, text_of, tokenizer_of, vocabulary_options
from langmodels.cli.workers import add_workers_options, workers_of
from langmodels.datasets.paths import find_files
from langmodels.errors import UsageError
from langmodels.memory import parse_memory
from langmodels.models.base import LanguageModel
from langmodels.ngram.model import NGramModel
from langmodels.ngram.openfst import is_fst_name
from langmodels.ngram.partitions.fitting import check_in_parts
from langmodels.ngram.partitions.running import fitted_within
from langmodels.presets import Setting
from langmodels.registry import make_model
from langmodels.text.cleaning import clean
from langmodels.text.stored_text import StoredText
from langmodels.text.tokenization import Tokenizer

_WHOLE = (
    "validation", "test", "split", "fractions", "quantize", "closed", "keep_counts", "init",
    "counts",
)  # fmt: skip
"""Options that need the whole text, or the whole model, in memory."""


def add_memory_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for training within an amount of memory."""
    parser.add_argument(
        "--memory",
        metavar="SIZE",
        help="n-gram models: use at most about this much memory per process (4G, 500M), and disk "
        "for the rest; the result is the same",
    )
    parser.add_argument(
        "--work",
        type=OutputFolder,
        metavar="DIR",
        help="with --memory: folder for temporary files (default: that of --output)",
    )
    add_workers_options(parser)


def check_memory_options(args: argparse.Namespace) -> None:
    """Raise UsageError for options that need --memory without it."""
    for option in ("work", "jobs", "scheduler"):
        if args.memory is None and getattr(args, option) is not None:
            raise UsageError(f"--{option} is for --memory; give both.")


@contextmanager
def fitted_on_disk(
    args: argparse.Namespace, name: str, options: dict[str, Any]
) -> Iterator[tuple[NGramModel, StoredText]]:
    """Fit the model of a command line; it must be saved inside the `with` block."""
    memory = parse_memory(args.memory)
    for option in _WHOLE:
        if getattr(args, option):
            spelled = option.replace("_", "-")
            raise UsageError(
                f"--{spelled} needs all of the text or the model in memory; leave out --memory, or "
                f"--{spelled}."
            )
    if is_fst_name(args.output):
        raise UsageError("Automata are written from memory; write a model file, then convert it.")
    source = text_of(args)
    tokenizer = tokenizer_of(args, source)
    cleaning = cleaning_of(args, tokenizer)
    setting = Setting(tokenizer.level, seed=args.seed)
    model = check_in_parts(make_model(name, setting, **options))  # before the text is read

    def make(tokens: int) -> LanguageModel[Any]:
        return make_model(name, replace(setting, tokens=tokens), **options)

    def read(folder: Path) -> StoredText:
        return StoredText.read(
            clean(open_text(source), cleaning),
            tokenizer,
            cleaning,
            folder,
            name=source.name,
            **vocabulary_options(args, tokenizer),
        )

    folder = Path(args.work or Path(args.output).parent)
    key = _key(args, model, memory, tokenizer)
    with (
        workers_of(args) as jobs,
        fitted_within(make, read, memory=memory, folder=folder, key=key, jobs=jobs or 1) as fitted,
    ):
        yield fitted


def _key(
    args: argparse.Namespace, model: NGramModel, memory: int, tokenizer: Tokenizer
) -> str | None:
    """A key of everything that the result depends on: options and the state of files. None for
    standard input.
    """
    names = [args.corpus.partition("?")[0], *([args.vocabulary] if args.vocabulary else [])]
    paths = [path for name in names for path in find_files(name) or ()]
    if STANDARD_INPUT in paths:
        return None
    states = [(os.path.realpath(path), *_state(path)) for path in paths]
    asked = {
        option: str(getattr(args, option, None))
        for option in ("corpus", "encoding", "errors", "lower", "clean")
    }
    asked |= {"level": tokenizer.level, "tokenizer": str(tokenizer.config())}
    asked |= {"min_count": str(args.min_count), "vocab_size": str(args.vocab_size)}
    settings = [model.kind, repr(model), list(model.smoothing.min_counts), memory]
    return json.dumps([__version__, states, asked, settings])


def _state(path: str) -> Iterator[int]:
    status = Path(path).stat()
    yield from (status.st_size, status.st_mtime_ns)
