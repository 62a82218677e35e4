"""What a reading loses of a text: found as it is compressed, put back as it is restored.

A model of words says nothing of blanks between words, of what an unknown word was, or of capitals
where it folds case. These are written out as bytes, token by token, as short as they come: nothing
but an end mark where all is as running text usually has it.
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
_OTHER = "\x02"  # before a gap that is not the usual one, since that may be nothing at all


@dataclass(frozen=True)
class Cut:
    """A file as a model reads it: what is predicted, and what has to be said beside.

    `sequences` has the boundaries of the model; `residue` is what `restore` needs beyond it.
    """

    sequences: Sequences
    residue: bytes


@dataclass
class _Pieces:
    """The targets of a model in a text: what each is called, how it stands there, what is before.

    `surfaces` and `gaps` are those of n targets; the gap n is the rest of the text.
    """

    ids: IntArray
    surfaces: list[str]
    gaps: list[str]


def cut(data: bytes, reading: Reading) -> Cut | None:
    """Cut a file into what a model predicts and the rest; None where that cannot be undone."""
    layout = _Layout(reading)
    try:
        pieces = layout.pieces(data)
    except LangmodelsError:  # tokens that do not stand in the text
        return None
    if pieces is None:
        return None
    found = Cut(layout.sequences(pieces.ids), layout.residue(pieces))
    return found if restore(found, reading) == data else None


def restore(parts: Cut, reading: Reading) -> bytes:
    """Inverse of `cut`. Raises LangmodelsError where the residue does not fit the sequences."""
    layout = _Layout(reading)
    try:
        return layout.restored(parts.sequences.targets, parts.residue)
    except (StopIteration, ValueError) as error:
        raise LangmodelsError("what stands beside the tokens does not fit them.") from error


class _Layout:
    """What is written of each token of a reading: its surface, the gap before it, or neither."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        tokenizer = reading.tokenizer
        self.folds = reading.cleaning != "none" or getattr(tokenizer, "lower", False)
        self.of_bytes = tokenizer.alphabet == 256 and not self.folds
        self.with_gaps = not tokenizer.reversible
        self._usual = lru_cache(maxsize=1 << 16)(self._between)

    def pieces(self, data: bytes) -> _Pieces | None:
        """The tokens of a file. Raises LangmodelsError where they cannot be found in it."""
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
        """Targets, `</s>` included, as sequences with their beginnings."""
        eos = self.reading.vocabulary.eos_id
        ends = np.array([len(ids)]) if eos is None else np.flatnonzero(ids == eos) + 1
        if not len(ids):
            return Sequences(np.empty(0, np.int32), np.zeros(1, np.int64))
        begins = np.append(0, ends[:-1])
        offsets = np.append(0, ends + np.arange(1, len(ends) + 1))
        whole = np.insert(ids, begins, Vocabulary.bos_id)
        return Sequences(whole.astype(np.int32), offsets.astype(np.int64))

    def residue(self, pieces: _Pieces) -> bytes:
        """What has to be said beside the tokens, each piece of it with an end mark."""
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
        """The file. Raises StopIteration or ValueError for a residue of something else."""
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
            raise ValueError("more than there are tokens")
        if self.of_bytes:
            return "".join(parts).encode("latin-1")
        text = "".join(parts) if self.with_gaps or self.folds else self.reading.text(parts)
        return text.encode("utf-8", "surrogateescape")

    def _gap(self, before: str | None, token: int, surface: str) -> str:
        """What usually stands before a token."""
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
        raise ValueError("no end mark")
    for piece in pieces:
        raw = re.sub(rb"\x01[\x01\x02]", lambda found: _RAW[found[0]], piece)
        yield raw.decode("utf-8", "surrogateescape")
