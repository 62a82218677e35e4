"""Subwords: pieces learnt on the training text, or taken over from a tokenizer that is there.

What learns and applies pieces are the packages `tokenizers` and `sentencepiece`, which are not
installed with the core of this one.
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
"""What stands for a blank in pieces that are made of characters."""
BYTE_PIECE = regex.compile(r"<0x[0-9A-F]{2}>")
"""What stands for a byte there."""

_AT_ONCE = 8_192  # characters that are cut together
_BYTES = 256
_PROBE = "A b  c\n\te\u0301 \u00e9 \u6f22 \U0001f642's \ufb01\n\n"
"""What no tokenizer can put together again unless it keeps every byte."""
_EDGE = regex.compile(r"(?<=\S)\s")  # white space after a word: pieces never run over it


class SubwordTokenizer(Tokenizer):
    """Pieces of UTF-8 text, learnt on the training text; the text is one stream, ends included.

    Every byte is a piece, so that nothing is unknown. A piece that is not whole characters is
    written with a lone surrogate for each byte, as Python writes undecodable bytes.

    Args:
        vocab: pieces in all, the 256 bytes included.
        model: pieces learnt before, in the JSON of the package `tokenizers`; a `tokenizer.json` of
            somebody else's is for `PiecesTokenizer`.
    """

    reversible = True
    learns = True
    unit = "piece"
    separator = ""
    usual_order = 5

    def __init__(self, vocab: int = 2000, model: str | None = None) -> None:
        if vocab <= _BYTES:
            raise UsageError(f"The {_BYTES} bytes are pieces, too: ask for more than {vocab}.")
        self.vocab = vocab
        self.model = model

    def fit(self, text: str) -> Self:
        """The tokenizer with pieces learnt on a text; itself where it has pieces already.

        Raises LangmodelsError where the package `tokenizers` is missing.
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
        """The library's tokenizer, and its pieces by id as they are written here."""
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
        """A text in stretches that can be cut one by one."""
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
    """Byte-pair encoding: the most frequent neighbours become one piece, again and again.

    Sennrich, Haddow and Birch 2016, "Neural Machine Translation of Rare Words with Subword Units";
    on bytes, within words, as GPT-2 has it.
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
    """The pieces of a model of the package `sentencepiece`; one line is one sequence.

    Pieces are written as that package writes them, a blank as U+2581.

    Args:
        file: the `.model` file, which is kept inside model files.
        model: its contents in base64.
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
                "Name the model that cuts: --level sentencepiece:file=NAME.model (its pieces are "
                "not learnt here; bpe and unigram are)."
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
                processor.id_to_piece(i)  # one that is not UTF-8 is refused here, not when it comes
            return processor
        except (RuntimeError, ValueError, OSError) as error:
            raise LangmodelsError("This is no model of sentencepiece.") from error

    @property
    def types(self) -> Sequence[str]:
        """All pieces but those that stand for no text."""
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
    """The tokenizer of the package `tokenizers` that its JSON describes, for texts of any length.

    Raises LangmodelsError where it is none, or the package is missing.
    """
    package = tokenizers_package()
    with library_errors("be read"):
        cut = package.Tokenizer.from_str(model)
    cut.no_truncation()
    cut.no_padding()
    return cut


@contextmanager
def library_errors(what: str) -> Iterator[None]:
    """What the library raises, plain exceptions, as a sentence: the pieces cannot ..."""
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
    """The printable character that stands for each byte in byte-level pieces, as GPT-2 chose them:
    printable Latin-1 characters for themselves, the others in order from U+0100 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(_BYTES) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(0x100 + i) for i, b in enumerate(others)}


def _characters_before(data: Array) -> IndexArray:
    """How many characters begin in the first 0 .. n bytes of UTF-8, (n + 1,); `data` (n,)."""
    # All bytes but the continuation bytes 10xxxxxx begin a character.
    begun: IndexArray = np.cumsum((data & 0xC0) != 0x80, dtype=np.int64)
    return np.concatenate([np.zeros(1, np.int64), begun])


_PIECE, _PIECE_END = 2, 5
"""Numbers of fields in what sentencepiece tells of a text: its pieces, and in these, their ends."""


def _piece_ends(message: bytes) -> list[int]:
    """Bytes of the text up to and with each piece, from sentencepiece's `SentencePieceText`."""
    pieces = [value for number, value in _fields(message) if number == _PIECE]
    return [dict(_fields(piece)).get(_PIECE_END, 0) for piece in pieces]


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Numbers and values of the fields of a message in Protocol Buffers' encoding."""

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
