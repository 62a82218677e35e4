"""Options that several commands share, and what they stand for: texts, splits, models."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from langmodels.cli.files import InputFile, ModelNames, PlotFile, TextName
from langmodels.datasets import Source, find_source, read_chunks
from langmodels.datasets.files import ERRORS
from langmodels.errors import LangmodelsError, UsageError
from langmodels.execution import Jobs, executor
from langmodels.models.base import LanguageModel, Model
from langmodels.names import Registry
from langmodels.neural.training.history import was_interrupted
from langmodels.presets import Setting
from langmodels.registry import MODELS, check_no_file, is_finished, load, make_model
from langmodels.settings import parameters, parse_name
from langmodels.text.cleaning import CLEANINGS, clean
from langmodels.text.corpus import Corpus
from langmodels.text.levels import TOKENIZERS, make_tokenizer
from langmodels.text.lines import lines_of
from langmodels.text.splits import DEFAULT_FRACTIONS, WAYS, Fractions, Splits, divide
from langmodels.text.streams import TextStream
from langmodels.text.tokenization import Tokenizer
from langmodels.text.vocabulary import BOS, EOS, UNK, Vocabulary

DEFAULT_CORPUS = "wonderland.txt"
DEFAULT_LEVEL = "word"
LEVEL_OPTIONS = ("pattern", "width", "lines")
"""Options of the command line that are options of some levels."""


def add_corpus_options(
    parser: argparse.ArgumentParser,
    *,
    default: str | None = DEFAULT_CORPUS,
    optional: bool = False,
) -> None:
    """Options that say which text is read and how.

    Without a `default`, --corpus is required unless it is `optional`.
    """
    group = parser.add_argument_group("the text")
    group.add_argument(
        "--corpus",
        type=TextName,
        metavar="NAME",
        required=default is None and not optional,
        default=default,
        help="a file (.gz, .xz, .bz2, .zst too), a folder, a pattern or several files with commas "
        "between them; FASTA, JSON lines and Parquet by their names; a field of documents "
        "(docs.jsonl?text=FIELD,id=FIELD), a column of a table (data.csv?series=COLUMN for "
        "numbers, log.csv?events=COLUMN,case=COLUMN for symbols, ?text=COLUMN for texts), - for "
        "standard input, or a name that `langmodels corpora` lists"
        + (f" (default: {default})" if default else ""),
    )
    add_text_options(group)
    group.add_argument(
        "--level",
        metavar="LEVEL",
        help=f"unit of the models: {', '.join(TOKENIZERS)} "
        f"(default: what the corpus is made for, else {DEFAULT_LEVEL})",
    )
    group.add_argument("--pattern", help="word level: regular expression of a token")
    group.add_argument(
        "--width",
        type=int,
        help="symbols level: characters to a symbol (default: what white space separates)",
    )
    group.add_argument(
        "--lines",
        action="store_true",
        default=None,
        help="levels char, byte and symbols: each line is a sequence with an end, not a stretch of "
        "one stream",
    )
    group.add_argument(
        "--min-count",
        type=int,
        metavar="N",
        help="rarer tokens become <unk> (default: 2 at level word, else 1, which keeps all)",
    )
    group.add_argument(
        "--vocab-size",
        "--max-vocab",
        type=int,
        metavar="N",
        help="keep only the N most frequent tokens",
    )
    add_carry_option(group)
    add_split_options(group)
    group.add_argument(
        "--validation", type=TextName, metavar="FILE", help="a validation text of your own"
    )
    group.add_argument(
        "--test",
        type=TextName,
        metavar="FILE",
        help="a test text of your own, where the command measures",
    )
    add_seed_option(parser)


def add_text_options(group: argparse._ActionsContainer) -> None:
    """How a text is decoded and cleaned."""
    group.add_argument("--encoding", default="utf-8", help="encoding of the files (default: utf-8)")
    add_errors_option(group)
    group.add_argument("--lower", action="store_true", help="lower-case the text")
    group.add_argument(
        "--clean",
        "--normalize",
        type=parse_cleaning,
        default="none",
        metavar="HOW",
        help=f"clean the text first: {', '.join(CLEANINGS)}, or several of them with commas, in "
        "that order (default: none)",
    )


def add_errors_option(group: argparse._ActionsContainer, default: str = "strict") -> None:
    """What becomes of bytes that are no text."""
    group.add_argument(
        "--errors",
        choices=ERRORS,
        default=default,
        help=f"bytes that are no text in this encoding: refuse them, read them as U+FFFD or leave "
        f"them out; they are counted (default: {default})",
    )


def add_carry_option(group: argparse._ActionsContainer) -> None:
    """Whether what networks and caches remember goes over the lines of the text."""
    group.add_argument(
        "--carry",
        action="store_true",
        help="carry state over the lines of a document: networks and caches remember what stood "
        "before a line",
    )


T = TypeVar("T", Corpus, Splits)


def carried(args: argparse.Namespace, text: T) -> T:
    """A corpus or its parts, as one document each where --carry asks for it."""
    return text.carried() if getattr(args, "carry", False) else text


def add_vocabulary_option(parser: argparse.ArgumentParser) -> None:
    """For commands that learn from a whole text."""
    parser.add_argument(
        "--vocabulary",
        type=InputFile,
        metavar="FILE",
        help="the tokens to know, one a line, instead of those of the text; all others are <unk>",
    )


def add_split_options(group: argparse._ActionsContainer) -> None:
    """How a text is divided."""
    group.add_argument(
        "--split",
        metavar="HOW",
        help=f"how the text is divided: {', '.join(WAYS)} (default: {WAYS[0]})",
    )
    group.add_argument(
        "--fractions",
        type=parse_fractions,
        metavar="A,B,C",
        help="training, validation and test fractions "
        f"(default: {','.join(map(str, DEFAULT_FRACTIONS))})",
    )


def add_seed_option(parser: argparse.ArgumentParser, what: str = "all that is random") -> None:
    """Where anything is drawn."""
    parser.add_argument(
        "--seed", type=parse_seed, default=0, metavar="N", help=f"seed of {what} (default: 0)"
    )


def add_workers_options(
    group: argparse._ActionsContainer, *, default: int | None = None, usual: str = "1"
) -> None:
    """For work that can be shared; `workers_of` opens what is asked for. `usual`: what None is."""
    group.add_argument(
        "--jobs",
        type=int,
        default=default,
        metavar="N",
        help=f"processes that share the work; results do not depend on it (default: {usual})",
    )
    group.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="have a Dask cluster do it: tcp://HOST:PORT, or local for one of --jobs workers on "
        "this machine (default: as many as processors)",
    )


@contextmanager
def workers_of(args: argparse.Namespace) -> Iterator[Jobs | None]:
    """What --jobs and --scheduler ask for: a number, or an executor as long as the block."""
    if args.scheduler is None:
        yield args.jobs
        return
    with executor(args.jobs, args.scheduler) as cluster:
        yield cluster


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Every command has it."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def add_plot_option(parser: argparse._ActionsContainer, what: str) -> None:
    """For commands whose result one would rather look at."""
    parser.add_argument(
        "--plot", type=PlotFile, metavar="FILE", help=f"draw {what} into a .png, .svg or .pdf"
    )


def parse_seed(text: str) -> int:
    """A seed: a whole number that is not negative."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"a seed is a whole number of at least 0, not {text!r}")
    return int(text)


def parse_fractions(text: str) -> Fractions:
    """`0.8,0.1,0.1` as three numbers."""
    try:
        first, second, third = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"write three fractions such as 0.8,0.1,0.1, not {text!r}"
        ) from None
    return first, second, third


def parse_cleaning(text: str) -> str:
    """Names of cleanings with commas between, as a reading has them."""
    how = "+".join(name.strip() for name in text.split(","))
    try:
        clean((), how)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return how


def text_of(args: argparse.Namespace, name: str | None = None) -> Source:
    """The source that --corpus (or `name`) names."""
    return find_source(args.corpus if name is None else name, args.encoding, args.errors)


def open_text(source: Source) -> TextStream:
    """The text of a source in pieces. Raises LangmodelsError at the first NUL character."""
    stream = source.open()

    def checked() -> Iterator[str]:
        before = 0
        for chunk in stream:
            at = chunk.find("\0")
            if at >= 0:
                raise LangmodelsError(
                    f"{source.name} is no plain text: its character {before + at + 1:,} is NUL; if "
                    "the text is UTF-16, say --encoding utf-16, else remove these (tr -d '\\000')."
                )
            before += len(chunk)
            yield chunk

    return TextStream(checked(), stream.lines)


def cleaning_of(args: argparse.Namespace, tokenizer: Tokenizer) -> str:
    """The cleaning that --clean and --lower ask for, beyond what the tokenizer does itself."""
    folds = getattr(tokenizer, "lower", False)
    return "lower" if args.lower and args.clean == "none" and not folds else str(args.clean)


def tokenizer_of(args: argparse.Namespace, source: Source) -> Tokenizer:
    """The tokenizer that --level and its options ask for. Raises UsageError where they clash."""
    level = args.level or source.level or DEFAULT_LEVEL
    options: dict[str, Any] = dict(source.options) if level == source.level else {}
    takes = parameters(TOKENIZERS.find(parse_name(level)[0]))
    if args.lower and "lower" in takes:
        options["lower"] = True
    for option in LEVEL_OPTIONS:
        value = getattr(args, option)
        if value is None:
            continue
        if option not in takes:
            fit = [name for name, cls in TOKENIZERS.working() if option in parameters(cls)]
            raise UsageError(f"--{option} is for --level {' or '.join(fit)}, not {level}.")
        options[option] = value
    return make_tokenizer(level, **options)


def min_count_of(args: argparse.Namespace, tokenizer: Tokenizer) -> int:
    """The least count of a known token: --min-count, by default the tokenizer's."""
    return tokenizer.min_count if args.min_count is None else int(args.min_count)


def load_splits(args: argparse.Namespace) -> tuple[Splits, Source]:
    """Training, validation and test parts as the options ask, and where the text came from.

    Raises UsageError for options that clash, LangmodelsError for texts that cannot be read or
    divided.
    """
    source = text_of(args)
    tokenizer = tokenizer_of(args, source)
    shared = {
        "cleaning": cleaning_of(args, tokenizer),
        "min_count": min_count_of(args, tokenizer),
        "max_size": args.vocab_size,
        "name": source.name,
        "vocabulary": given_vocabulary(args, tokenizer),
    }
    if args.validation and not args.test:
        raise UsageError("Give a --test text with --validation, or neither of them.")
    if args.test:
        test = open_text(text_of(args, args.test))
        if args.validation:
            if args.split or args.fractions:
                raise UsageError(
                    "With --validation and --test there is nothing to divide by --split."
                )
            train, validation = open_text(source), open_text(text_of(args, args.validation))
        else:
            train, validation = _divided(args, source, tokenizer)
        how = f"{source.name} to train on, {args.test} to test on"
        splits = Splits.from_parts((train, validation, test), tokenizer, how=how, **shared)
        return carried(args, splits), source
    splits = Splits.from_text(
        open_text(source),
        tokenizer,
        by=args.split or WAYS[0],
        fractions=args.fractions or DEFAULT_FRACTIONS,
        seed=args.seed,
        **shared,
    )
    return carried(args, splits), source


def _divided(
    args: argparse.Namespace, source: Source, tokenizer: Tokenizer
) -> tuple[TextStream, TextStream]:
    """A training and a validation part where the test text is another, in their usual ratio."""
    first, second, _ = args.fractions or DEFAULT_FRACTIONS
    share = first / (first + second)
    train, *rest = divide(
        open_text(source),
        fractions=(share, (1 - share) / 2, (1 - share) / 2),
        by=args.split or WAYS[0],
        at_breaks=tokenizer.at_breaks,
        needs_blanks=tokenizer.needs_blanks,
        seed=args.seed,
    )
    return train, TextStream.joined(rest)


def load_training(args: argparse.Namespace) -> tuple[Corpus, Corpus | None, Source]:
    """What to train on: the whole text and --validation, or with --split or --fractions its parts.

    The whole text is read as a stream. Raises what `load_splits` raises.
    """
    if args.split or args.fractions or (args.validation and args.test):
        splits, source = load_splits(args)
        return splits.train, splits.validation, source
    if args.test:
        raise UsageError("Training never reads a test text; give --test to `langmodels evaluate`.")
    source = text_of(args)
    tokenizer = tokenizer_of(args, source)
    cleaning = cleaning_of(args, tokenizer)
    train = Corpus.from_text(
        open_text(source),
        tokenizer,
        cleaning=cleaning,
        min_count=min_count_of(args, tokenizer),
        max_size=args.vocab_size,
        vocabulary=given_vocabulary(args, tokenizer),
        name=source.name,
    )
    validation = None
    if args.validation:
        validation = Corpus.from_text(
            open_text(text_of(args, args.validation)),
            train.tokenizer,
            cleaning=cleaning,
            vocabulary=train.vocabulary,
            name=args.validation,
        )
    validation = None if validation is None else carried(args, validation)
    return carried(args, train), validation, source


def given_vocabulary(args: argparse.Namespace, tokenizer: Tokenizer) -> Vocabulary | None:
    """The tokens of the file that --vocabulary names, one a line, in its order, if it is given.

    Raises UsageError where there can be none.
    """
    path = getattr(args, "vocabulary", None)
    if path is None:
        return None
    if tokenizer.learns:
        raise UsageError(f"Level {tokenizer.level} learns its tokens; leave out --vocabulary.")
    if args.min_count is not None or args.vocab_size is not None:
        raise UsageError("--vocabulary says which tokens to keep; give no --min-count beside it.")
    return Vocabulary(read_words(path, args.encoding, args.errors), ends=tokenizer.ends)


def read_words(path: str, encoding: str = "utf-8", errors: str = "strict") -> list[str]:
    """The different tokens of a file, one a line. Raises LangmodelsError where there are none."""
    lines = lines_of(read_chunks(path, encoding, errors=errors))
    tokens = dict.fromkeys(t for line in lines if (t := line.strip()) not in ("", UNK, BOS, EOS))
    if not tokens:
        raise LangmodelsError(f"There are no tokens in {path}: it is empty, or white space alone.")
    return list(tokens)


def corpus_for(
    model: LanguageModel[Any], args: argparse.Namespace, name: str | None = None
) -> Corpus:
    """The text that --corpus (or `name`) names as a model reads it, in the model's vocabulary."""
    source = text_of(args, name)
    corpus = Corpus.from_text(
        open_text(source),
        model.tokenizer,
        vocabulary=model.vocabulary,
        cleaning=cleaning_for(args, model),
        name=source.name,
    )
    return carried(args, corpus)


def cleaning_for(args: argparse.Namespace, model: Model) -> str:
    """The cleaning that --clean and --lower ask for, by default that of the model's training."""
    asked = cleaning_of(args, model.tokenizer)
    return model.reading.cleaning if asked == "none" else asked


def add_model_argument(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """The models of a command: files, or registered models to be trained at once on --corpus."""
    parser.add_argument(
        "models" if several else "model",
        type=ModelNames,
        metavar="MODEL[,MODEL...]" if several else "MODEL",
        help="a model file, or the name of a model to train on --corpus first, for example "
        "mkn or mkn:order=3" + ("; several with commas between" if several else ""),
    )


def load_models(text: str, args: argparse.Namespace) -> list[tuple[str, LanguageModel[Any]]]:
    """The models that a command line names, with a label each; those without a file are trained.

    Raises LangmodelsError for names that are neither a file nor a model.
    """
    names = [text] if is_finished(text) else text.split(",")
    models: list[tuple[str, LanguageModel[Any]]] = []
    corpora: tuple[Corpus, Corpus | None, Source] | None = None
    for name in (n.strip() for n in names):
        if is_finished(name):
            models.append((Path(name).stem, load(name)))
            continue
        check_model_name(name, MODELS)
        if corpora is None:
            corpora = load_training(args)
        train, validation, _ = corpora
        setting = Setting(level=train.tokenizer.level, seed=args.seed)
        models.append((name, completed(make_model(name, setting).fit(train, validation))))
    return models


M = TypeVar("M")


def completed(model: M) -> M:
    """A model that was just fitted. Raises KeyboardInterrupt where Ctrl-C cut its training short.

    Networks stop in good order then, but a command that goes on with them would show half-trained
    figures.
    """
    if was_interrupted(model):
        raise KeyboardInterrupt
    return model


def check_model_name(text: str, *registries: Registry[Any]) -> None:
    """Raise LangmodelsError where a text names no model of these registries."""
    name = text.partition(":")[0]
    if any(name in names for names in registries):
        return
    check_no_file(text)
    hints = [names.hint(name) for names in registries]
    hint = next((h for h in hints if "did you mean" in h), hints[0])
    raise LangmodelsError(f"There is neither a file nor a model called {text!r}; {hint}")
