"""Text in pieces to token ids, by array code where words stand between white space."""

import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import regex

from langmodels.arrays import Array, BoolArray, IndexArray, IntArray
from langmodels.errors import UsageError
from langmodels.text.byte_fields import WordIndex, encode_text, space_table, split_fields
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
    """A text has the marks of boundaries typed around its lines."""


class BlankWarning(UserWarning):
    """A text that is read in words has hardly any blanks between them."""


# Scripts that are written without blanks between words.
_UNSPACED = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]"
)
_LETTER = regex.compile(r"\p{L}")
_LOOKED_AT = 10_000  # characters


class Pieces:
    """A text that comes in chunks, cut where no token is cut."""

    def __init__(self, chunks: Iterable[str], tokenizer: Tokenizer, keep: bool) -> None:
        self._chunks = chunks
        self._tokenizer = tokenizer
        self._keep = keep
        self.characters = 0
        self.kept: list[str] = []

    def __iter__(self) -> Iterator[str]:
        rest = ""
        marked = inside = 0
        # A word has an end; a record of symbols, such as a chromosome, may be one long line.
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
        """How many marks a tokenizer of words finds inside the lines of a piece."""
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
    """The same text in pieces of which the ids, eight times as long, take little memory."""
    for chunk in chunks:
        for begin in range(0, len(chunk), _AT_ONCE):
            yield chunk[begin : begin + _AT_ONCE]


_AT_ONCE = 1 << 20
"""Characters that are read together."""

_MANY = 1 << 17
"""Characters for which it pays to index a vocabulary."""

_LONG = 1 << 22
"""Tokens of a text whose ids are kept in as few bytes as hold them."""

# What str.split takes for white space.
_SPACES = space_table(b"\t\n\v\f\r\x1c\x1d\x1e\x1f ")
_BLANKS = space_table(b"\t\n\r ")
_OTHER_SPACES = re.compile("[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")

_UNK = 1


class Bounded(NamedTuple):
    """A text in ids: `<s>` before every line and `</s>` after it, or `<s>` before a stream."""

    ids: Array
    """Of type int32, those of a long text in as few bytes as hold them."""
    offsets: IndexArray
    """Where each sequence begins, and the length of `ids`."""
    kept: BoolArray
    """Which lines of the text are sequences: all but blank ones; empty for a stream."""


def index_chunks(
    pieces: Iterable[str], tokenizer: Tokenizer, min_count: int, max_size: int | None
) -> tuple[Bounded, Vocabulary, list[str]]:
    """Ids of all pieces, the vocabulary made of them, what became `<unk>`."""
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
    """Ids by first appearance, while a text is read whose vocabulary is not known before its end.

    `LINE_END` stands for line ends, 1 for `<unk>` and what is read as it.
    """

    LINE_END = 0

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._seen: defaultdict[str, int] = defaultdict()
        # No token is empty, so "" only holds the place.
        self._seen[tokenizer.line_end if tokenizer.ends else ""] = self.LINE_END
        self._seen.update({UNK: _UNK, BOS: _UNK, EOS: _UNK})
        # The specials share an id, so ids are not dense here; numbering goes on from the size.
        self._seen.default_factory = self._seen.__len__
        self._n_reserved = len(self._seen)
        self._n_indexed = 0
        self._counts = np.zeros(self._n_reserved, np.int64)

    def read(self, text: str) -> IntArray:
        """The ids of a piece of text."""
        seen, tokenizer = self._seen, self._tokenizer
        if tokenizer.splits_lines and len(seen) > 2 * self._n_indexed + self._n_reserved:
            # Most words of the following pieces are among those known now.
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
        """The tokens by their ids here."""
        return list(self._seen)

    def settle(self, min_count: int, max_size: int | None) -> tuple[Vocabulary, IntArray]:
        """The vocabulary of what was read, and for each id here the one there."""
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
    """The same in as few bytes as hold them: all parts of a text are kept till the end."""
    return ids.astype(_narrowest(int(ids.max(initial=0))))


def _narrowest(largest: int) -> np.dtype[Any]:
    """What holds ids up to this one in the fewest bytes."""
    return np.min_scalar_type(largest) if largest < 1 << 16 else np.dtype(np.int32)


def _unseen(tokenizer: Tokenizer, seen: Mapping[str, int]) -> list[str]:
    """Tokens that a text lacks, but that another one may have."""
    return [token for token in tokenizer.types or () if token not in seen]


def encode_chunks(
    pieces: Iterable[str],
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    *,
    unknown: bool = False,
    blank_lines: bool = False,
) -> tuple[Bounded, list[str] | None]:
    """Ids of pieces in a given vocabulary, and what became `<unk>`.

    Tokens that became `<unk>` are kept where `unknown` asks for them, and blank lines are
    sequences where `blank_lines` does.
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
    """The ids of each piece; what became `<unk>` is added to `kept`."""
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
    """The same for a text that a tokenizer with `splits_lines` reads, by array code.

    `others` has the ids of words that are not in the index; without it they are `<unk>`, and are
    added to `kept`.
    """
    if wide_spaces and not text.isascii():
        text = _OTHER_SPACES.sub(" ", text)
    words = split_fields(encode_text(text), _SPACES if wide_spaces else _BLANKS)
    ids = index.find(words)
    missing = np.flatnonzero(ids < 0)
    tokens: list[str] = []
    if others is not None or kept is not None:
        tokens = [word.decode("utf-8", "surrogatepass") for word in words.select(missing)]
    ids[missing] = Vocabulary.unk_id if others is None else _token_ids(tokens, others)
    if kept is not None:
        kept += tokens
    ends = np.flatnonzero(np.frombuffer(words.data, np.uint8) == ord("\n"))
    return np.insert(ids, np.searchsorted(words.starts, ends), np.int32(line_end))


def with_boundaries(
    parts: list[Array],
    vocabulary: Vocabulary,
    *,
    final: IntArray | None = None,
    blank_lines: bool = False,
) -> Bounded:
    """The ids of a text, whose parts end anywhere, in one array and with boundaries.

    `parts`: ids with line ends as `</s>`; each is given up as it is copied, so that no more than
    the ids of the text are kept twice. `final` maps their ids to others. `blank_lines`: whether
    these are sequences.
    """
    eos, bos = vocabulary.eos_id, vocabulary.bos_id
    size = sum(map(len, parts))
    dtype = np.dtype(np.int32) if size < _LONG else _narrowest(len(vocabulary))
    if eos is None:
        ids = np.empty(size + 1, dtype)
        ids[0] = bos
    else:
        end = eos if final is None else Numbering.LINE_END
        # Pages of memory that blank lines leave unused are never touched.
        ids = np.empty(size + sum(int(np.count_nonzero(p == end)) for p in parts) + 2, dtype)
    at = int(eos is None)
    starts: list[IndexArray] = []
    kept: list[BoolArray] = []
    begins = True  # whether what comes is the beginning of a line
    parts.reverse()
    while parts:
        part = parts.pop()
        part = part if final is None else final[part]
        if eos is not None and len(part):
            is_end = part == eos
            keeps = np.ones(len(part), np.bool_)
            if not blank_lines:
                keeps[1:] = ~(is_end[1:] & is_end[:-1])
                keeps[0] = not (is_end[0] and begins)
            kept.append(keeps[is_end])
            begins, was = bool(is_end[-1]), begins
            if not keeps.all():
                part, is_end = part[keeps], is_end[keeps]
            first = np.flatnonzero(np.append(was, is_end[:-1])[: len(part)])
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
