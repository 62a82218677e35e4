"""Subwords by an existing tokenizer of the package `tokenizers`, such as that of a pretrained
model.
"""

import json
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from langmodels.arrays import IndexArray
from langmodels.errors import LangmodelsError, UsageError
from langmodels.text.subwords import (
    BLANK,
    BYTE_PIECE,
    byte_characters,
    library_errors,
    open_tokenizer,
    text_of,
)
from langmodels.text.tokenization import Tokenizer
from langmodels.text.vocabulary import BOS, EOS, UNK

_AROUND = 2000
"""Characters on each side of a cut that are tokenized to verify it."""
_TRIED = 3
_BLANK = re.compile(r"(?<=\w)\s")
_MOST_PIECES = 1 << 22
_PROBES = ("a b", "a  b\n\nc\t d ", "\u00e9 e\u0301 \ufb01 \uff21 \u4e2d I'm . ,")


class PiecesTokenizer(Tokenizer):
    """The pieces of a tokenizer of the package `tokenizers`; the text is one stream.

    Byte-level pieces are written as in `SubwordTokenizer`, others as their tokenizer writes them,
    with U+2581 for a space. If the tokenizer does not normalise text, both are reversible but for a
    space at the very start. Text without a piece becomes an unknown token. The tokenizer's own
    `<s>` and `</s>`, and ids without a piece, are ordinary tokens here, written in square brackets.

    Args:
        file: path of a `tokenizer.json`, whose contents are stored in model files.
        model: the contents of such a file.
        size: number of ids, if a model has more than its tokenizer.
    """

    level = "pieces"
    unit = "piece"
    separator = ""
    usual_order = 5
    changes_text = True
    splits_characters = True

    def __init__(self, file: str | None = None, model: str | None = None, size: int = 0) -> None:
        if file is not None:
            model = text_of(file)
        if model is None:
            raise UsageError(
                "Name the tokenizer's file: --level pieces:file=tokenizer.json (the levels that "
                "learn pieces from the text are bpe and unigram)."
            )
        self.model = model
        self.size = size

    @cached_property
    def reversible(self) -> bool:  # type: ignore[override]
        """Whether `detokenize` restores the text exactly."""
        return all(self.detokenize(self.tokenize(text)) == text for text in _PROBES)

    @cached_property
    def _cut(self) -> Any:
        return open_tokenizer(self.model)

    @cached_property
    def _bytewise(self) -> bool:
        """Whether pieces are byte-level, so that any text can be encoded."""
        return "\u0120" in "".join(self._encoding(" a").tokens)

    @cached_property
    def _prefixed(self) -> bool:
        """Whether the tokenizer puts a space before every text."""
        return "".join(self._encoding("a").tokens).startswith(BLANK)

    @cached_property
    def _unknown(self) -> int | None:
        """The id of the unknown token; None without one."""
        known = json.loads(self.model).get("model", {})
        if isinstance(number := known.get("unk_id"), int):
            return number
        found: int | None = self._cut.token_to_id(known.get("unk_token") or "")
        return found

    @cached_property
    def _pieces(self) -> list[str]:
        """Pieces by the library's ids, made unique."""
        byte_of = {c: bytes([b]) for b, c in byte_characters().items()}
        known = self._cut.get_vocab()
        last = max([self._unknown or 0, *known.values()])
        if max(last, self.size) >= _MOST_PIECES:
            raise LangmodelsError(
                f"A tokenizer has fewer than {_MOST_PIECES:,} pieces; this one has a piece "
                f"{max(last, self.size):,}."
            )
        pieces = [f"[{i}]" for i in range(max(self.size, last + 1))]
        for piece, i in known.items():
            if self._bytewise and all(c in byte_of for c in piece):
                data = b"".join(byte_of[c] for c in piece)
                pieces[i] = data.decode("utf-8", "surrogateescape")
            else:
                pieces[i] = piece
        if self._unknown is not None:
            pieces[self._unknown] = UNK
        seen: set[str] = {BOS, EOS, ""}
        for i, piece in enumerate(pieces):
            while piece in seen:
                piece = f"[{piece}]"
            pieces[i] = piece
            seen.add(piece)
        return pieces

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {piece: i for i, piece in enumerate(self._pieces)}

    @property
    def types(self) -> Sequence[str]:
        """All pieces, by the library's ids."""
        return self._pieces

    def tokenize(self, text: str) -> Sequence[str]:
        pieces, unknown = self._pieces, self._unknown
        cut = self._encoding(text)
        return [
            text[a:b] if i == unknown else pieces[i]
            for i, (a, b) in zip(cut.ids, cut.offsets, strict=True)
        ]

    def detokenize(self, tokens: Iterable[str]) -> str:
        if self._bytewise:
            return "".join(tokens).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        tokens = list(tokens)
        if any(BLANK in token for token in tokens):
            data = b"".join(_byte(token) or token.encode("utf-8", "replace") for token in tokens)
            text = data.decode("utf-8", "replace").replace(BLANK, " ")
            return text.removeprefix(" ") if self._prefixed else text
        ids = [self._numbers[token] for token in tokens if token in self._numbers]
        decoded: str = self._cut.decode(ids, skip_special_tokens=False)
        return decoded

    def reads(self, token: str) -> str:
        number = self._numbers.get(token)
        if self._bytewise or number is None:
            return token
        if BLANK in token or BYTE_PIECE.fullmatch(token):
            return "" if BYTE_PIECE.fullmatch(token) else token.replace(BLANK, " ")
        # Decode it after another piece, which shows whether it starts with a space.
        once, twice = (self._cut.decode([number] * n, skip_special_tokens=False) for n in (1, 2))
        return str(twice[len(once) :])

    def token_ends(self, text: str) -> IndexArray:
        """See `Tokenizer`. The library reports a character split into pieces for all of them; here
        it belongs to the last.
        """
        spans = np.array(self._encoding(text).offsets, np.int64).reshape(-1, 2)
        ends = spans[:, 1].copy()
        ends[:-1] = np.minimum(ends[:-1], spans[1:, 0])
        if len(ends):
            ends[-1] = len(text)
        found: IndexArray = np.maximum.accumulate(ends)
        return found

    def safe_cut(self, text: str) -> int:
        """See `Tokenizer`; found by trial, since the pieces of an unknown tokenizer may span
        anything.

        A cut before the space after a word is safe if the text around it is tokenized the same on
        both sides.
        """
        last = len(text) - _AROUND
        if last <= 0:
            return 0
        for edge in islice(_BLANK.finditer(text, last), _TRIED):
            cut = edge.start()
            before, after = text[max(0, cut - _AROUND) : cut], text[cut : cut + _AROUND // 2]
            if [*self.tokenize(before), *self.tokenize(after)] == [*self.tokenize(before + after)]:
                return cut
        return 0

    def _encoding(self, text: str) -> Any:
        text = text.encode("utf-8", "replace").decode()
        with library_errors("cut this text"):
            return self._cut.encode(text, add_special_tokens=False)

    def config(self) -> dict[str, Any]:
        return {"model": self.model, "size": self.size}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._pieces)} pieces)"


def _byte(piece: str) -> bytes:
    """The byte of a piece such as `<0x0A>`; empty for other pieces."""
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        with suppress(ValueError):
            return bytes.fromhex(piece[3:5])
    return b""
