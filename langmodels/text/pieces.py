"""Pieces by a tokenizer that is there, of whatever kind: that of a pretrained model."""

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
"""Characters around a cut that are looked at."""
_TRIED = 3
_BLANK = re.compile(r"(?<=\w)\s")
_MOST_PIECES = 1 << 22
_PROBES = ("a b", "a  b\n\nc\t d ", "\u00e9 e\u0301 \ufb01 \uff21 \u4e2d I'm . ,")


class PiecesTokenizer(Tokenizer):
    """Pieces of a text, which is one stream, by a tokenizer of the package `tokenizers`.

    Pieces that are made of bytes are written as in `SubwordTokenizer`; others as their tokenizer
    writes them, a blank as U+2581. Both give back the text, but for a blank that it may have at its
    very beginning, if the tokenizer changes nothing before it cuts. What it has no piece for is a
    token that the vocabulary does not know. What it calls `<s>` and `</s>`, and ids that it has no
    piece for, stand in square brackets: they are tokens like others here.

    Args:
        file: a `tokenizer.json`, which is kept inside model files.
        model: its contents.
        size: ids in all, where a model has more than its tokenizer.
    """

    level = "pieces"
    unit = "piece"
    separator = ""
    usual_order = 5
    changes_text = True

    def __init__(self, file: str | None = None, model: str | None = None, size: int = 0) -> None:
        if file is not None:
            model = text_of(file)
        if model is None:
            raise UsageError(
                "Name the tokenizer that cuts: --level pieces:file=tokenizer.json (its pieces are "
                "not learnt here; bpe and unigram are)."
            )
        self.model = model
        self.size = size

    @cached_property
    def reversible(self) -> bool:  # type: ignore[override]
        """Whether `detokenize` gives back the very text."""
        return all(self.detokenize(self.tokenize(text)) == text for text in _PROBES)

    @cached_property
    def _cut(self) -> Any:
        return open_tokenizer(self.model)

    @cached_property
    def _bytewise(self) -> bool:
        """Whether pieces are made of bytes, so that none is missing."""
        return "\u0120" in "".join(self._encoding(" a").tokens)

    @cached_property
    def _prefixed(self) -> bool:
        """Whether a blank is put before every text."""
        return "".join(self._encoding("a").tokens).startswith(BLANK)

    @cached_property
    def _unknown(self) -> int | None:
        """The id of what there is no piece for."""
        known = json.loads(self.model).get("model", {})
        if isinstance(number := known.get("unk_id"), int):
            return number
        found: int | None = self._cut.token_to_id(known.get("unk_token") or "")
        return found

    @cached_property
    def _pieces(self) -> list[str]:
        """Pieces by the library's ids, each once."""
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
        # After another one, which shows whether there is a blank before it.
        once, twice = (self._cut.decode([number] * n, skip_special_tokens=False) for n in (1, 2))
        return str(twice[len(once) :])

    def token_ends(self, text: str) -> IndexArray:
        """All pieces of one character say that they have all of it; it belongs to the last here."""
        spans = np.array(self._encoding(text).offsets, np.int64).reshape(-1, 2)
        ends = spans[:, 1].copy()
        ends[:-1] = np.minimum(ends[:-1], spans[1:, 0])
        if len(ends):
            ends[-1] = len(text)
        found: IndexArray = np.maximum.accumulate(ends)
        return found

    def safe_cut(self, text: str) -> int:
        """As in `Tokenizer`, by trying: a piece of an unknown tokenizer may run over anything.

        A blank after a word is where a text may be cut, if the text around is cut the same.
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
    """The byte that a piece like `<0x0A>` stands for, nothing for other pieces."""
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        with suppress(ValueError):
            return bytes.fromhex(piece[3:5])
    return b""
