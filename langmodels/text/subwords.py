"""Subword tokenizers: learnt on the training text, or models of SentencePiece.

They use the optional packages `tokenizers` and `sentencepiece`.
"""

import base64
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import regex

from langmodels.arrays import Array, IndexArray
from langmodels.errors import LangmodelsError, UsageError, unreadable
from langmodels.text.tokenization import LineTokenizer, Tokenizer
from langmodels.text.vocabulary import UNK

BLANK = "\u2581"
"""Stands for a space in character-based pieces."""
BYTE_PIECE = regex.compile(r"<0x[0-9A-F]{2}>")
"""The notation of a byte in such pieces."""

_AT_ONCE = 8_192  # characters tokenized at a time
_BYTES = 256
_PROBE = "A b  c\n\te\u0301 \u00e9 \u6f22 \U0001f642's \ufb01\n\n"
"""A text that only a lossless tokenizer restores."""
_EDGE = regex.compile(r"(?<=\S)\s")  # no piece spans the boundary before this white space


class SubwordTokenizer(Tokenizer):
    """Byte-level pieces, learnt on the training text; the text is one stream, with its newlines.

    Every byte is a piece, so that there are no unknown tokens. Pieces that are not whole characters
    are written with a lone surrogate for each byte, as Python's `surrogateescape` does.

    Args:
        vocab: number of pieces, with the 256 bytes.
        model: pieces learnt before, as JSON of the package `tokenizers`; for a foreign
            `tokenizer.json` use `PiecesTokenizer`.
    """

    reversible = True
    learns = True
    unit = "piece"
    separator = ""
    usual_order = 5
    splits_characters = True

    def __init__(self, vocab: int = 2000, model: str | None = None) -> None:
        if vocab <= _BYTES:
            raise UsageError(
                f"vocab must be more than {_BYTES}, as every byte is a piece, not {vocab}."
            )
        self.vocab = vocab
        self.model = model

    def fit(self, text: str) -> Self:
        """A tokenizer with pieces learnt on a text; itself if it already has pieces.

        Raises LangmodelsError if the package `tokenizers` is missing.
        """
        if self.model is not None:
            return self
        tokenizers = tokenizers_package()
        empty = tokenizers.Tokenizer(self._empty(tokenizers))
        empty.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        empty.decoder = tokenizers.decoders.ByteLevel()
        empty.train_from_iterator(self._stretches(text), self._trainer(tokenizers))
        return type(self)(self.vocab, empty.to_str())

    def _empty(self, tokenizers: Any) -> Any:
        raise NotImplementedError

    def _trainer(self, tokenizers: Any) -> Any:
        raise NotImplementedError

    @cached_property
    def _applied(self) -> tuple[Any, list[str]]:
        """The library's tokenizer, and its pieces by id in our notation."""
        if self.model is None:
            raise UsageError("Pieces come from a training text; fit to one first.")
        cut = open_tokenizer(self.model)
        byte_of = {c: bytes([b]) for b, c in byte_characters().items()}
        added = {token.content for token in cut.get_added_tokens_decoder().values()}
        pieces = [""] * cut.get_vocab_size()
        for piece, number in cut.get_vocab().items():
            if not 0 <= number < len(pieces):
                raise LangmodelsError(
                    f"Its piece {piece!r} has the number {number}, which is beyond their number."
                )
            pieces[number] = piece
            if piece not in added and byte_of.keys() >= set(piece):
                data = b"".join(byte_of[c] for c in piece)
                pieces[number] = data.decode("utf-8", "surrogateescape")
        with library_errors("cut a text"):
            probe = cut.encode(_PROBE, add_special_tokens=False).ids
        read = "".join(pieces[i] for i in probe)
        if read.encode("utf-8", "surrogateescape") != _PROBE.encode():
            raise LangmodelsError(
                "These pieces do not keep every byte of a text; a tokenizer of another kind is "
                "--level pieces:file=tokenizer.json."
            )
        return cut, pieces

    @property
    def types(self) -> Sequence[str]:
        """All pieces."""
        return self._applied[1]

    def tokenize(self, text: str) -> Sequence[str]:
        cut, pieces = self._applied
        stretches = [s.encode("utf-8", "replace").decode() for s in self._stretches(text)]
        with library_errors("cut this text"):
            found = cut.encode_batch(stretches, add_special_tokens=False)
        return [pieces[i] for stretch in found for i in stretch.ids]

    def detokenize(self, tokens: Iterable[str]) -> str:
        return "".join(tokens).encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    def token_ends(self, text: str) -> IndexArray:
        data = [token.encode("utf-8", "surrogateescape") for token in self.tokenize(text)]
        flat = np.frombuffer(b"".join(data), np.uint8)
        return _characters_before(flat)[np.cumsum([len(d) for d in data], dtype=np.int64)]

    def safe_cut(self, text: str) -> int:
        edges = [edge.start() for edge in _EDGE.finditer(text, max(0, len(text) - _AT_ONCE))]
        return edges[-1] if edges else 0

    def _stretches(self, text: str) -> Iterator[str]:
        """Yield stretches of a text that can be tokenized independently."""
        begin = 0
        while begin < len(text):
            edge = _EDGE.search(text, begin + _AT_ONCE)
            end = edge.start() if edge else len(text)
            yield text[begin:end]
            begin = end

    def config(self) -> dict[str, Any]:
        return {"vocab": self.vocab, "model": self.model}

    def __repr__(self) -> str:
        learnt = "" if self.model is None else ", learnt"
        return f"{type(self).__name__}(vocab={self.vocab}{learnt})"


class BPETokenizer(SubwordTokenizer):
    """Byte-pair encoding: the most frequent pair of neighbouring pieces is merged, repeatedly.

    Sennrich, Haddow and Birch 2016, "Neural Machine Translation of Rare Words with Subword Units";
    on bytes and within words, as in GPT-2.
    """

    level = "bpe"

    def _empty(self, tokenizers: Any) -> Any:
        return tokenizers.models.BPE()

    def _trainer(self, tokenizers: Any) -> Any:
        return tokenizers.trainers.BpeTrainer(
            vocab_size=self.vocab, initial_alphabet=_alphabet(), show_progress=False
        )


class UnigramTokenizer(SubwordTokenizer):
    """The pieces of the most probable segmentation under a unigram model of pieces.

    Kudo 2018, "Subword Regularization"; on bytes.
    """

    level = "unigram"

    def _empty(self, tokenizers: Any) -> Any:
        return tokenizers.models.Unigram()

    def _trainer(self, tokenizers: Any) -> Any:
        return tokenizers.trainers.UnigramTrainer(
            vocab_size=self.vocab, initial_alphabet=_alphabet(), show_progress=False
        )


class SentencePieceTokenizer(LineTokenizer):
    """The pieces of a SentencePiece model; a line is a sequence.

    Pieces are written as in SentencePiece, with U+2581 for a space.

    Args:
        file: path of the `.model` file, whose contents are stored in model files.
        model: the contents of such a file in base64.
    """

    level = "sentencepiece"
    unit = "piece"
    rare_types = False
    min_count = 1
    usual_order = 5
    changes_text = True

    def __init__(self, file: str | None = None, model: str | None = None) -> None:
        if file is not None:
            model = base64.b64encode(_bytes_of(file)).decode()
        if model is None:
            raise UsageError(
                "Name the model's file: --level sentencepiece:file=NAME.model (the levels that "
                "learn pieces from the text are bpe and unigram)."
            )
        self.model = model

    @cached_property
    def _processor(self) -> Any:
        try:
            import sentencepiece
        except ImportError as error:
            raise _missing("sentencepiece") from error
        try:
            model = base64.b64decode(self.model)
            processor = sentencepiece.SentencePieceProcessor(model_proto=model)
            for i in range(processor.get_piece_size()):
                processor.id_to_piece(i)  # fails here for a piece that is not UTF-8
            return processor
        except (RuntimeError, ValueError, OSError) as error:
            raise LangmodelsError("The file is not a sentencepiece model.") from error

    @property
    def types(self) -> Sequence[str]:
        """All pieces but control symbols."""
        sp = self._processor
        ids = range(sp.get_piece_size())
        return [sp.id_to_piece(i) for i in ids if not (sp.is_control(i) or sp.is_unknown(i))]

    def tokenize(self, text: str) -> Sequence[str]:
        sp = self._processor
        unknown = sp.unk_id()
        return [UNK if i == unknown else sp.id_to_piece(i) for i in sp.encode(text)]

    def tokenize_lines(self, text: str) -> Sequence[str]:
        sp = self._processor
        unknown = sp.unk_id()
        tokens: list[str] = []
        lines = text.split("\n")
        for k, ids in enumerate(sp.encode(lines)):
            tokens += [UNK if i == unknown else sp.id_to_piece(i) for i in ids]
            if k + 1 < len(lines):
                tokens.append(self.line_end)
        return tokens

    def detokenize(self, tokens: Iterable[str]) -> str:
        text: str = self._processor.decode([str(token) for token in tokens])
        return text

    def reads(self, token: str) -> str:
        return "" if BYTE_PIECE.fullmatch(token) else token.replace(BLANK, " ")

    def token_ends(self, text: str) -> IndexArray:
        lines = text.split("\n")
        ends: list[int] = []
        before = 0
        for line, found in zip(
            lines, self._processor.encode(lines, out_type="serialized_proto"), strict=True
        ):
            data = np.frombuffer(line.encode("utf-8", "replace"), np.uint8)
            characters = _characters_before(data)
            ends += (before + characters[_piece_ends(found)]).tolist()
            before += len(line) + 1
            ends.append(before)
        return np.array(ends[:-1], np.int64)  # the last line has no end

    def config(self) -> dict[str, Any]:
        return {"model": self.model}

    def __repr__(self) -> str:
        return f"SentencePieceTokenizer({self._processor.get_piece_size()} pieces)"


def open_tokenizer(model: str) -> Any:
    """A tokenizer of the package `tokenizers` from its JSON, without truncation or padding.

    Raises LangmodelsError for invalid JSON and if the package is missing.
    """
    package = tokenizers_package()
    with library_errors("be read"):
        cut = package.Tokenizer.from_str(model)
    cut.no_truncation()
    cut.no_padding()
    return cut


@contextmanager
def library_errors(what: str) -> Iterator[None]:
    """Turn exceptions of the library into a LangmodelsError, "The pieces cannot `what`: ..."."""
    try:
        yield
    except Exception as error:
        raise LangmodelsError(f"The pieces cannot {what}: {error}.") from error


def tokenizers_package() -> Any:
    try:
        import tokenizers
        import tokenizers.decoders
        import tokenizers.models
        import tokenizers.pre_tokenizers
        import tokenizers.trainers
    except ImportError as error:
        raise _missing("tokenizers") from error
    return tokenizers


def _missing(package: str) -> LangmodelsError:
    return LangmodelsError(
        f"Subwords need the package {package}: pip install 'langmodels[subwords]'."
    )


def _alphabet() -> list[str]:
    alphabet: list[str] = tokenizers_package().pre_tokenizers.ByteLevel.alphabet()
    return alphabet


def byte_characters() -> dict[int, str]:
    """The printable character for each byte in byte-level pieces, as in GPT-2: printable Latin-1
    characters stand for themselves, the other bytes are numbered from U+0100 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(_BYTES) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(0x100 + i) for i, b in enumerate(others)}


def _characters_before(data: Array) -> IndexArray:
    """The number of characters that start in the first 0, ..., n bytes of UTF-8 `data` (n,), (n +
    1,).
    """
    # All bytes but the continuation bytes 10xxxxxx begin a character.
    begun: IndexArray = np.cumsum((data & 0xC0) != 0x80, dtype=np.int64)
    return np.concatenate([np.zeros(1, np.int64), begun])


_PIECE, _PIECE_END = 2, 5
"""Field numbers in a `SentencePieceText` message: of the pieces, and within these of their end."""


def _piece_ends(message: bytes) -> list[int]:
    """The end of each piece in bytes of the text, from a `SentencePieceText` message."""
    pieces = [value for number, value in _fields(message) if number == _PIECE]
    return [dict(_fields(piece)).get(_PIECE_END, 0) for piece in pieces]


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the numbers and values of the fields of a Protocol Buffers message."""

    def whole(at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
            shift += 7

    at = 0
    while at < len(message):
        key, at = whole(at)
        value, at = whole(at)
        if key & 7 == 2:  # the length of what follows
            at += value
            yield key >> 3, message[at - value : at]
        else:
            yield key >> 3, value


def _bytes_of(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def text_of(path: str) -> str:
    try:
        return _bytes_of(path).decode()
    except UnicodeDecodeError as error:
        raise LangmodelsError(f"{path} is no tokenizer.json: it is not text.") from error
