"""The texts that a command line asks for, as corpora: read, tokenized, divided, encoded."""

import argparse
from collections.abc import Iterator
from typing import Any, TypeVar

from langmodels.cli.options import DEFAULT_LEVEL
from langmodels.datasets import Source, find_source, read_chunks
from langmodels.errors import LangmodelsError, UsageError
from langmodels.formatting import SIGNS
from langmodels.models.base import LanguageModel
from langmodels.models.model import Model
from langmodels.settings import parameters, parse_name
from langmodels.text.corpus import Corpus
from langmodels.text.levels import TOKENIZERS, make_tokenizer
from langmodels.text.lines import lines_of
from langmodels.text.splits import DEFAULT_FRACTIONS, WAYS, Splits, divide
from langmodels.text.streams import TextStream
from langmodels.text.tokenization import Tokenizer
from langmodels.text.vocabulary import BOS, EOS, UNK, Vocabulary

LEVEL_OPTIONS = ("pattern", "width", "lines")
"""Options of the command line that are passed on to the tokenizers of some levels."""
T = TypeVar("T", Corpus, Splits)


def carried(args: argparse.Namespace, text: T) -> T:
    """A corpus or its parts, with state carried from line to line if --carry is given."""
    return text.carried() if getattr(args, "carry", False) else text


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
    """The cleaning that --clean and --lower ask for, unless the tokenizer lower-cases itself."""
    folds = getattr(tokenizer, "lower", False)
    return "lower" if args.lower and args.clean == "none" and not folds else str(args.clean)


def tokenizer_of(args: argparse.Namespace, source: Source) -> Tokenizer:
    """The tokenizer that --level and its options ask for. Raises UsageError if they do not fit."""
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


def vocabulary_options(args: argparse.Namespace, tokenizer: Tokenizer) -> dict[str, Any]:
    """`vocabulary`, `min_count` and `max_size` of `Corpus.from_text`.

    Raises UsageError for options that contradict each other, or do not fit the tokenizer.
    """
    _check_limits(args, tokenizer)
    return {
        "vocabulary": _given_vocabulary(args, tokenizer),
        "min_count": min_count_of(args, tokenizer),
        "max_size": args.vocab_size,
    }


def load_splits(args: argparse.Namespace) -> tuple[Splits, Source]:
    """Training, validation and test parts as the options ask, and the source of the text.

    Raises UsageError for contradictory options, LangmodelsError for texts that cannot be read or
    divided.
    """
    source = text_of(args)
    tokenizer = tokenizer_of(args, source)
    shared = {
        "cleaning": cleaning_of(args, tokenizer),
        "name": source.name,
        **vocabulary_options(args, tokenizer),
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
    """Training and validation parts, in their usual ratio, where --test gives the test text."""
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
    return train, _put_together(*rest)


def _put_together(first: TextStream, second: TextStream) -> TextStream:
    """Join two consecutive parts of a text, which may have been cut in the middle of a line."""
    text = "".join(first)
    lines = [*first.lines]
    if first.lines and second.lines and not text.endswith("\n"):
        lines[-1:] = [first.lines[-1] - 1 + second.lines[0], *second.lines[1:]]
    else:
        lines += second.lines
    return TextStream([text, *second], lines)


def load_training(args: argparse.Namespace) -> tuple[Corpus, Corpus | None, Source]:
    """Training and validation corpora (None without one), and the source of the text.

    They are the whole text, read as a stream, and --validation; or, with --split or --fractions,
    parts of the text. Raises what `load_splits` raises.
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
        name=source.name,
        **vocabulary_options(args, tokenizer),
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


def _check_limits(args: argparse.Namespace, tokenizer: Tokenizer) -> None:
    """Raise UsageError for --vocab-size and --min-count where the vocabulary is a set of pieces."""
    kind = type(tokenizer)
    if kind.types is Tokenizer.types:
        return
    for option, value in (("--vocab-size", args.vocab_size), ("--min-count", args.min_count)):
        if value is not None:
            hint = f"; for another number of them, --level {kind.level}:vocab=N"
            raise UsageError(
                f"{option} is for vocabularies made of the tokens of a text; at --level "
                f"{kind.level} all pieces are in it{hint if 'vocab' in parameters(kind) else ''}."
            )


def _given_vocabulary(args: argparse.Namespace, tokenizer: Tokenizer) -> Vocabulary | None:
    """The vocabulary in the file that --vocabulary names, in its order; None without the option.

    Raises UsageError for a level that learns its tokens, and for options that limit them.
    """
    path = getattr(args, "vocabulary", None)
    if path is None:
        return None
    if tokenizer.learns:
        raise UsageError(f"Level {tokenizer.level} learns its tokens; leave out --vocabulary.")
    if args.min_count is not None or args.vocab_size is not None:
        raise UsageError("--vocabulary says which tokens to keep; give no --min-count beside it.")
    tokens = read_words(path, args.encoding, args.errors)
    if not tokenizer.rare_types:  # such files have signs in the place of white space
        tokens = [SIGNS.get(token, token) for token in tokens]
    return Vocabulary(tokens, ends=tokenizer.ends)


def read_words(path: str, encoding: str = "utf-8", errors: str = "strict") -> list[str]:
    """The distinct tokens in a file with one a line. Raises LangmodelsError if there are none."""
    lines = lines_of(read_chunks(path, encoding, errors=errors))
    tokens = dict.fromkeys(t for line in lines if (t := line.strip()) not in ("", UNK, BOS, EOS))
    if not tokens:
        raise LangmodelsError(f"There are no tokens in {path}: it is empty, or white space alone.")
    return list(tokens)


def corpus_for(
    model: LanguageModel[Any], args: argparse.Namespace, name: str | None = None
) -> Corpus:
    """The text that --corpus (or `name`) names, read with a model's tokenizer and vocabulary."""
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
    """The cleaning that --clean and --lower ask for, by default that of the model's reading."""
    asked = cleaning_of(args, model.tokenizer)
    return model.reading.cleaning if asked == "none" else asked
