"""The registry of tokenizers by name: the levels at which a text can be modelled.

Adding one is one class with a `level`, and one line here or an entry point of another package.
"""

from collections.abc import Mapping
from typing import Any

from langmodels.arguments import checked
from langmodels.errors import UsageError
from langmodels.names import Registry
from langmodels.settings import check_options, parse_name
from langmodels.text.pieces import PiecesTokenizer
from langmodels.text.series import SeriesTokenizer
from langmodels.text.subwords import (
    BPETokenizer,
    SentencePieceTokenizer,
    SubwordTokenizer,
    UnigramTokenizer,
)
from langmodels.text.tokenization import (
    ByteTokenizer,
    CharacterTokenizer,
    SymbolTokenizer,
    Tokenizer,
    WhitespaceTokenizer,
)
from langmodels.text.words import WordTokenizer

_OURS: tuple[type[Tokenizer], ...] = (
    CharacterTokenizer,
    ByteTokenizer,
    WordTokenizer,
    WhitespaceTokenizer,
    SymbolTokenizer,
    SeriesTokenizer,
    BPETokenizer,
    UnigramTokenizer,
    SentencePieceTokenizer,
    PiecesTokenizer,
)

TOKENIZERS: Registry[type[Tokenizer]] = Registry(
    "level",
    {tokenizer.level: tokenizer for tokenizer in _OURS},
    aliases={"character": "char", "characters": "char", "bytes": "byte", "words": "word"},
    group="langmodels.tokenizers",
)


@checked
def make_tokenizer(level: str, **options: Any) -> Tokenizer:
    """The tokenizer of a level; options are given in the name, as `symbols:width=3`, or as
    keywords.

    Raises UsageError for an unknown level or option.

    >>> make_tokenizer("symbols:width=3").tokenize("abcdef")
    ['abc', 'def']
    """
    if not isinstance(level, str):
        raise UsageError(f"A level is a name, not {level!r}.")
    name, given = parse_name(level)
    tokenizer = TOKENIZERS.find(name)
    options = {**given, **options}
    if issubclass(tokenizer, SubwordTokenizer) and "file" in options:
        file = options["file"]
        other = SentencePieceTokenizer if str(file).endswith(".model") else PiecesTokenizer
        raise UsageError(
            f"The level {tokenizer.level} learns its pieces on the training text; pieces of a file "
            f"are --level {other.level}:file={file}."
        )
    check_options(tokenizer, options, f"The level {tokenizer.level}")
    try:
        return tokenizer(**options)
    except TypeError as error:
        raise UsageError(f"The level {name} does not take these options: {error}.") from error


def restore_tokenizer(config: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer stored in a file as its `level` and its `config`.

    Raises UsageError for an unknown level or option.
    """
    options = dict(config)
    tokenizer = TOKENIZERS.find(str(options.pop("level", "")))
    check_options(tokenizer, options, f"The level {tokenizer.level}")
    try:
        return tokenizer.from_config(options)
    except TypeError as error:
        raise UsageError(
            f"The options of level {tokenizer.level} make no sense: {error}."
        ) from error
