"""The residue: what cleaning and tokenization lose of a text, and has to be stored beside tokens.

The tokens of a model of words do not tell the blanks between words, the spelling of unknown words,
or, if case is folded, capitals. The residue stores these token by token as bytes. Where a token is
written and spaced as usual, its entry is empty: only an end mark.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from langmodels.arrays import IntArray
from langmodels.errors import LangmodelsError
from langmodels.evaluation.alignment import align
from langmodels.text.cleaning import clean
from langmodels.text.reading import Reading
from langmodels.text.sequences import Sequences
from langmodels.text.vocabulary import Vocabulary

_END = b"\0"
_ESCAPES = {b"\0": b"\1\2", b"\1": b"\1\1"}
_RAW = {written: raw for raw, written in _ESCAPES.items()}
_OTHER = "\x02"  # marks an unusual gap; needed since the unusual gap may be the empty string


@dataclass(frozen=True)
class Cut:
    """A file, divided into what a model predicts and the rest.

    `sequences` holds the tokens, with `<s>` and `</s>` as the model has them; `residue` is what
    `restore` needs besides.
    """

    sequences: Sequences
    residue: bytes


@dataclass
class _Pieces:
    """The n targets of a model in a text.

    `ids` (n,) are their tokens, `surfaces` [n] the characters of the text that each stands for, and
    `gaps` [n + 1] the characters before each, with those after the last; [] if the tokenizer leaves
    nothing between tokens.
    """

    ids: IntArray
    surfaces: list[str]
    gaps: list[str]


def cut(data: bytes, reading: Reading) -> Cut | None:
    """Divide a file into tokens and residue; None if it could not be restored from them exactly."""
    layout = _Layout(reading)
    try:
        pieces = layout.pieces(data)
    except LangmodelsError:  # tokens that cannot be found in the text
        return None
    if pieces is None:
        return None
    found = Cut(layout.sequences(pieces.ids), layout.residue(pieces))
    return found if restore(found, reading) == data else None


def restore(parts: Cut, reading: Reading) -> bytes:
    """Inverse of `cut`. Raises LangmodelsError if the residue does not belong to the sequences."""
    layout = _Layout(reading)
    try:
        return layout.restored(parts.sequences.targets, parts.residue)
    except (StopIteration, ValueError) as error:
        raise LangmodelsError("The residue does not belong to these tokens.") from error


class _Layout:
    """Which entries the residue has for each token: its surface, the gap before it, both, or none.

    `folds`: capitals may be lost, so every surface is stored. `of_bytes`: tokens are single bytes.
    `with_gaps`: the tokenizer is not reversible, so every gap is stored.
    """

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        tokenizer = reading.tokenizer
        self.folds = reading.cleaning != "none" or getattr(tokenizer, "lower", False)
        self.of_bytes = tokenizer.alphabet == 256 and not self.folds
        self.with_gaps = not tokenizer.reversible
        self._usual = lru_cache(maxsize=1 << 16)(self._between)

    def pieces(self, data: bytes) -> _Pieces | None:
        """Tokenize a file; None if cleaning changes its length.

        Raises LangmodelsError if the tokens cannot be found in it.
        """
        vocabulary, tokenizer = self.reading.vocabulary, self.reading.tokenizer
        if self.of_bytes:
            tokens = data.decode("latin-1")
            return _Pieces(vocabulary.encode(tokens), list(tokens), [])
        text = data.decode("utf-8", "surrogateescape")
        cleaned = "".join(clean([text], self.reading.cleaning))
        if len(cleaned) != len(text):
            return None
        if not self.with_gaps:
            found = tokenizer.tokenize_lines(cleaned)
            surfaces = list(found)
            if self.folds:
                ends = np.cumsum([len(token) for token in found]).tolist()
                surfaces = [text[a:b] for a, b in pairwise([0, *ends])]
            return _Pieces(vocabulary.encode(found), surfaces, [])
        aligned = align(cleaned, tokenizer)
        ids = vocabulary.encode(aligned.tokens.types)[aligned.tokens.ids]
        if vocabulary.eos_id is not None:
            ids[aligned.is_end] = vocabulary.eos_id
        starts, ends = aligned.starts.tolist(), aligned.ends.tolist()
        surfaces = [text[a:b] for a, b in zip(starts, ends, strict=True)]
        gaps = [text[a:b] for a, b in zip([0, *ends], [*starts, len(text)], strict=True)]
        return _Pieces(ids, surfaces, gaps)

    def sequences(self, ids: IntArray) -> Sequences:
        """Divide targets (n,), which include `</s>`, into sequences, each preceded by `<s>`."""
        eos = self.reading.vocabulary.eos_id
        ends = np.array([len(ids)]) if eos is None else np.flatnonzero(ids == eos) + 1
        if not len(ids):
            return Sequences(np.empty(0, np.int32), np.zeros(1, np.int64))
        begins = np.append(0, ends[:-1])
        offsets = np.append(0, ends + np.arange(1, len(ends) + 1))
        whole = np.insert(ids, begins, Vocabulary.bos_id)
        return Sequences(whole.astype(np.int32), offsets.astype(np.int64))

    def residue(self, pieces: _Pieces) -> bytes:
        """Return the residue: the entries of all tokens in order, each followed by an end mark."""
        eos, vocabulary = self.reading.vocabulary.eos_id, self.reading.vocabulary
        said: list[str] = []
        before = None
        gaps = iter(pieces.gaps)
        for token, surface in zip(pieces.ids.tolist(), pieces.surfaces, strict=True):
            if token == eos:
                surface = ""
            elif token == Vocabulary.unk_id:
                said.append(surface)
            elif self.folds:
                said.append("" if surface == vocabulary.token(token) else surface)
            if self.with_gaps:
                gap = next(gaps)
                said.append("" if gap == self._gap(before, token, surface) else _OTHER + gap)
                before = None if token == eos else surface
        if self.with_gaps:
            said.append(next(gaps))
        return b"".join(_escaped(piece) + _END for piece in said)

    def restored(self, ids: IntArray, residue: bytes) -> bytes:
        """Rebuild the file from targets (n,) and residue.

        Raises StopIteration or ValueError if the residue belongs to other tokens.
        """
        eos, vocabulary = self.reading.vocabulary.eos_id, self.reading.vocabulary
        said = _pieces(residue)
        parts: list[str] = []
        before = None
        for token in ids.tolist():
            surface = ""
            if token == Vocabulary.unk_id:
                surface = next(said)
            elif token != eos:
                surface = (next(said) if self.folds else "") or vocabulary.token(token)
            if self.with_gaps:
                gap = next(said)
                parts.append(gap[1:] if gap else self._gap(before, token, surface))
                before = None if token == eos else surface
            parts.append(surface)
        if self.with_gaps:
            parts.append(next(said))
        if next(said, None) is not None:
            raise ValueError("the residue has more entries than the tokens need")
        if self.of_bytes:
            return "".join(parts).encode("latin-1")
        text = "".join(parts) if self.with_gaps or self.folds else self.reading.text(parts)
        return text.encode("utf-8", "surrogateescape")

    def _gap(self, before: str | None, token: int, surface: str) -> str:
        """Return the usual gap before a token; "" at the start of a line."""
        if token == self.reading.vocabulary.eos_id:
            return "\n"
        return "" if before is None else self._usual(before, surface)

    def _between(self, one: str, other: str) -> str:
        both = self.reading.text([one, other])
        if both.startswith(one) and both.endswith(other) and len(both) >= len(one) + len(other):
            return both[len(one) : len(both) - len(other)]
        return self.reading.tokenizer.separator


def _escaped(piece: str) -> bytes:
    data = piece.encode("utf-8", "surrogateescape")
    return re.sub(rb"[\x00\x01]", lambda found: _ESCAPES[found[0]], data)


def _pieces(residue: bytes) -> Iterator[str]:
    *pieces, rest = residue.split(_END)
    if rest:
        raise ValueError("the residue does not end with an end mark")
    for piece in pieces:
        raw = re.sub(rb"\x01[\x01\x02]", lambda found: _RAW[found[0]], piece)
        yield raw.decode("utf-8", "surrogateescape")
