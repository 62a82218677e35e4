"""Encoding text in pieces as token ids, in array code where tokens are separated by white space."""

import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import regex

from langmodels.arrays import Array, BoolArray, IndexArray, IntArray
from langmodels.errors import UsageError
from langmodels.text.byte_fields import WordIndex, encode_text, space_table, split_lines
from langmodels.text.lines import parted
from langmodels.text.tokenization import Tokenizer
from langmodels.text.vocabulary import (
    BOS,
    EOS,
    UNK,
    TokenIds,
    Vocabulary,
    frequency_order,
)


class MarkWarning(UserWarning):
    """The lines of a text have boundary marks typed around them."""


class BlankWarning(UserWarning):
    """A text to be split into words has hardly any white space."""


# Scripts written without spaces between words.
_UNSPACED = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]"
)
_LETTER = regex.compile(r"\p{L}")
_LOOKED_AT = 10_000  # characters


class Pieces:
    """Iterates over a text in pieces that are cut between tokens."""

    def __init__(self, chunks: Iterable[str], tokenizer: Tokenizer, keep: bool) -> None:
        self._chunks = chunks
        self._tokenizer = tokenizer
        self._keep = keep
        self.characters = 0
        self.kept: list[str] = []

    def __iter__(self) -> Iterator[str]:
        rest = ""
        marked = inside = 0
        # Words are limited in length; a record of symbols, such as a chromosome, may be one long
        # line.
        chunks = _slices(self._chunks)
        for chunk in parted(chunks) if self._tokenizer.needs_blanks else chunks:
            text = rest + chunk
            cut = self._tokenizer.safe_cut(text)
            rest = text[cut:]
            if cut:
                piece, marks = self._piece(text[:cut])
                marked += marks
                inside += self._marks_in(piece)
                yield piece
        if rest:
            piece, marks = self._piece(rest)
            marked += marks
            inside += self._marks_in(piece)
            yield piece
        if marked:
            warnings.warn(
                f"{marked:,} boundary marks ({BOS} or {EOS}) are typed around the lines of the "
                "text; they are taken for the boundaries, not for words.",
                MarkWarning,
                stacklevel=2,
            )
        if inside:
            warnings.warn(
                f"{inside:,} boundary marks ({BOS} or {EOS}) are typed inside the lines of the "
                "text; they are read as unknown words.",
                MarkWarning,
                stacklevel=2,
            )

    def _marks_in(self, piece: str) -> int:
        """The number of boundary marks inside the lines of a piece, for tokenizers of words."""
        if not self._tokenizer.rare_types or (BOS not in piece and EOS not in piece):
            return 0
        return sum(token in (BOS, EOS) for token in self._tokenizer.tokenize(piece))

    def _piece(self, text: str) -> tuple[str, int]:
        if self._tokenizer.rare_types and not self.characters:
            self._look_for_blanks(text[:_LOOKED_AT])
        text, marks = self._tokenizer.without_marks(text)
        self.characters += len(text)
        if self._keep:
            self.kept.append(text)
        return text, marks

    def _look_for_blanks(self, text: str) -> None:
        if text.isascii() or 2 * len(_UNSPACED.findall(text)) <= len(_LETTER.findall(text)):
            return
        warnings.warn(
            "Most of this text is in a script without blanks between words, which level "
            f"{self._tokenizer.level} cannot find there; --level char or --level bpe can.",
            BlankWarning,
            stacklevel=2,
        )


def _slices(chunks: Iterable[str]) -> Iterator[str]:
    """Split chunks into smaller ones, whose ids, eight times as large, take little memory."""
    for chunk in chunks:
        for begin in range(0, len(chunk), _AT_ONCE):
            yield chunk[begin : begin + _AT_ONCE]


_AT_ONCE = 1 << 20
"""Characters encoded at a time."""

_MANY = 1 << 17
"""The length in characters from which indexing the vocabulary pays."""

_LONG = 1 << 22
"""The length in tokens from which ids are stored in the narrowest integer type."""

# What str.split takes for white space.
_SPACES = space_table(b"\t\n\v\f\r\x1c\x1d\x1e\x1f ")
_BLANKS = space_table(b"\t\n\r ")
_OTHER_SPACES = re.compile("[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")

_UNK = 1


class Bounded(NamedTuple):
    """An encoded text: `<s>` before and `</s>` after every line, or `<s>` before a stream."""

    ids: Array
    """int32, or for a long text the narrowest integer type."""
    offsets: IndexArray
    """The offset of each sequence, and the length of `ids`."""
    kept: BoolArray
    """Which lines of the text are sequences, all but blank ones; empty for a stream."""


def index_chunks(
    pieces: Iterable[str], tokenizer: Tokenizer, min_count: int, max_size: int | None
) -> tuple[Bounded, Vocabulary, list[str]]:
    """Encode pieces and make their vocabulary; returns ids, vocabulary and the tokens that became
    `<unk>`.
    """
    numbering = Numbering(tokenizer)
    parts = [_narrow(numbering.read(text)) for text in pieces]
    vocabulary, final = numbering.settle(min_count, max_size)
    tokens = numbering.tokens
    rare: list[str] = []
    for part in parts:
        unknown = final[part] == Vocabulary.unk_id
        if unknown.any():
            rare += [tokens[i] for i in part[unknown].tolist()]
    return with_boundaries(parts, vocabulary, final=final), vocabulary, rare


class Numbering:
    """Numbers tokens by first occurrence, for a text whose vocabulary is known only at its end.

    Id `LINE_END` stands for line ends, id 1 for `<unk>` and boundary marks in the text.
    """

    LINE_END = 0

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._seen: defaultdict[str, int] = defaultdict()
        # No token is empty, so "" is a placeholder.
        self._seen[tokenizer.line_end if tokenizer.ends else ""] = self.LINE_END
        self._seen.update({UNK: _UNK, BOS: _UNK, EOS: _UNK})
        # Special tokens share an id, so new ids start at the size of the dictionary.
        self._seen.default_factory = self._seen.__len__
        self._n_reserved = len(self._seen)
        self._n_indexed = 0
        self._counts = np.zeros(self._n_reserved, np.int64)

    def read(self, text: str) -> IntArray:
        """The ids of a piece of text, new tokens included."""
        seen, tokenizer = self._seen, self._tokenizer
        if tokenizer.splits_lines and len(seen) > 2 * self._n_indexed + self._n_reserved:
            # Index the words known so far: most words of later pieces are among them.
            self._index = WordIndex({encode_text(t): i for t, i in seen.items()})
            self._n_indexed = len(seen)
        if self._n_indexed:
            wide = tokenizer.wide_spaces
            ids = _word_ids(text, self._index, self.LINE_END, seen, wide_spaces=wide)
        else:
            ids = _token_ids(tokenizer.tokenize_lines(text), seen)
        if len(self._counts) < len(seen):
            self._counts = np.append(self._counts, np.zeros(len(seen), np.int64))
        found = np.bincount(ids)
        self._counts[: len(found)] += found
        return ids

    @property
    def tokens(self) -> list[str]:
        """The tokens by their provisional ids."""
        return list(self._seen)

    def settle(self, min_count: int, max_size: int | None) -> tuple[Vocabulary, IntArray]:
        """The vocabulary, and the final id of each provisional id."""
        tokens = self.tokens
        counts = self._counts[: len(tokens)]
        order = frequency_order(counts[self._n_reserved :], min_count, max_size) + self._n_reserved
        order = order[counts[order] > 0]
        kept = [tokens[i] for i in order.tolist()]
        unseen = _unseen(self._tokenizer, self._seen)
        vocabulary = Vocabulary(kept + unseen, ends=self._tokenizer.ends)
        final = np.zeros(len(tokens), np.int32)  # <unk> unless kept
        final[order] = np.arange(len(order), dtype=np.int32) + vocabulary.n_special
        if vocabulary.eos_id is not None:
            final[self.LINE_END] = vocabulary.eos_id
        return vocabulary, final


def _narrow(ids: IntArray) -> Array:
    """Ids in the narrowest integer type, since all parts of a text are kept to the end."""
    return ids.astype(_narrowest(int(ids.max(initial=0))))


def _narrowest(largest: int) -> np.dtype[Any]:
    """The narrowest integer type for ids up to `largest`."""
    return np.min_scalar_type(largest) if largest < 1 << 16 else np.dtype(np.int32)


def _unseen(tokenizer: Tokenizer, seen: Mapping[str, int]) -> list[str]:
    """The tokens of a closed set (`Tokenizer.types`) that a text lacks."""
    return [token for token in tokenizer.types or () if token not in seen]


def encode_chunks(
    pieces: Iterable[str],
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    *,
    unknown: bool = False,
    blank_lines: bool = False,
) -> tuple[Bounded, list[str] | None]:
    """Encode pieces in a given vocabulary; returns ids and the tokens that became `<unk>`.

    Those are collected only if `unknown`, else None. Blank lines are sequences only if
    `blank_lines`.
    """
    if tokenizer.ends != vocabulary.ends:
        raise UsageError(
            f"The {tokenizer.level} tokenizer does not fit this vocabulary: one has line ends, "
            "the other has not."
        )
    kept: list[str] | None = [] if unknown else None
    parts = [_narrow(ids) for ids in encoded(pieces, tokenizer, vocabulary, kept)]
    return with_boundaries(parts, vocabulary, blank_lines=blank_lines), kept


def encoded(
    pieces: Iterable[str],
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    kept: list[str] | None = None,
) -> Iterator[IntArray]:
    """Yield the ids of each piece; tokens that became `<unk>` are appended to `kept`."""
    known: TokenIds | None = None
    for text in pieces:
        if tokenizer.splits_lines and vocabulary.eos_id is not None and len(text) >= _MANY:
            index, end, wide = vocabulary.word_index, vocabulary.eos_id, tokenizer.wide_spaces
            yield _word_ids(text, index, end, kept=kept, wide_spaces=wide)
            continue
        if known is None:
            known = TokenIds(vocabulary.text_ids)
            if vocabulary.eos_id is not None:
                known[tokenizer.line_end] = vocabulary.eos_id
        tokens = tokenizer.tokenize_lines(text)
        ids = _token_ids(tokens, known)
        if kept is not None:
            kept += [tokens[i] for i in np.flatnonzero(ids == Vocabulary.unk_id).tolist()]
        yield ids


def _token_ids(tokens: Sequence[str], ids: dict[str, int]) -> IntArray:
    return np.fromiter(map(ids.__getitem__, tokens), np.int32, len(tokens))


def _word_ids(
    text: str,
    index: WordIndex,
    line_end: int,
    others: dict[str, int] | None = None,
    kept: list[str] | None = None,
    *,
    wide_spaces: bool,
) -> IntArray:
    """The ids of a text for tokenizers with `splits_lines`, in array code.

    `others` assigns ids to words that are not in the index; without it they become `<unk>`, and are
    appended to `kept`.
    """
    if wide_spaces and not text.isascii():
        text = _OTHER_SPACES.sub(" ", text)
    words, lines = split_lines(encode_text(text), _SPACES if wide_spaces else _BLANKS)
    ids = index.find(words)
    missing = np.flatnonzero(ids < 0)
    tokens: list[str] = []
    if others is not None or kept is not None:
        tokens = [word.decode("utf-8", "surrogatepass") for word in words.select(missing)]
    ids[missing] = Vocabulary.unk_id if others is None else _token_ids(tokens, others)
    if kept is not None:
        kept += tokens
    return np.insert(ids, lines, np.int32(line_end))


def with_boundaries(
    parts: list[Array],
    vocabulary: Vocabulary,
    *,
    final: IntArray | None = None,
    blank_lines: bool = False,
) -> Bounded:
    """Concatenate the ids of a text in parts, and insert boundaries.

    `parts` are ids with `</s>` for line ends, cut anywhere; each is released after copying, so that
    memory holds the ids at most twice. `final` maps provisional ids to final ones. `blank_lines`:
    whether blank lines are sequences.
    """
    eos, bos = vocabulary.eos_id, vocabulary.bos_id
    size = sum(map(len, parts))
    dtype = np.dtype(np.int32) if size < _LONG else _narrowest(len(vocabulary))
    if eos is None:
        ids = np.empty(size + 1, dtype)
        ids[0] = bos
    else:
        end = eos if final is None else Numbering.LINE_END
        # An upper bound on the size: unused pages of memory are never touched.
        ids = np.empty(size + sum(int(np.count_nonzero(p == end)) for p in parts) + 2, dtype)
    at = int(eos is None)
    starts: list[IndexArray] = []
    kept: list[BoolArray] = []
    begins = True  # whether the next id starts a line
    parts.reverse()
    while parts:
        part = parts.pop()
        part = part if final is None else final[part]
        if eos is not None and len(part):
            ends = np.flatnonzero(part == eos)
            # The end of a blank line follows another end at once, or is the first of all.
            keeps = np.diff(ends, prepend=-1 if begins else -2) > (0 if blank_lines else 1)
            kept.append(keeps)
            was, begins = begins, len(ends) > 0 and ends[-1] == len(part) - 1
            if not keeps.all():
                part = np.delete(part, ends[~keeps])
                ends = ends[keeps] - np.cumsum(~keeps)[keeps]
            first = np.append(0, ends + 1) if was else ends + 1
            first = first[first < len(part)]
            part = np.insert(part, first, bos)
            starts.append(at + first + np.arange(len(first)))
        ids[at : at + len(part)] = part
        at += len(part)
    if eos is None:
        return Bounded(ids, np.array([0, at], np.int64), np.empty(0, np.bool_))
    if not begins:  # the last line has no end
        ids[at] = eos
        at += 1
        kept.append(np.ones(1, np.bool_))
    offsets = np.concatenate([*starts, [at]]).astype(np.int64)
    return Bounded(ids[:at], offsets, np.concatenate(kept) if kept else np.empty(0, np.bool_))
