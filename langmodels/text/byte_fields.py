"""Splitting bytes into words, looking words up and parsing numbers, in array code.

`str.split` and a dictionary take several times as long per word, and hold the interpreter's lock,
so that threads do not help.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from langmodels.arrays import Array, BoolArray, FloatArray, IndexArray, IntArray
from langmodels.threads import parallel_map, slices

_MAX_WORD = 16
"""The longest words, in bytes, that are stored as two 64-bit numbers; longer ones are in a
dictionary.
"""
_MAX_NUMBER = 18
"""The longest numbers, in bytes, that `decimals` parses: their digits fit in 64 bits."""

_WORD = 8  # bytes read at a time
_PADDING = bytes(2 * _WORD + _MAX_NUMBER)
_BLOCK = 1 << 18
"""Fields processed at a time. With much shorter blocks threads wait for each other."""
_LOW_BYTES = np.array([(1 << 8 * n) - 1 for n in range(_WORD + 1)], np.uint64)
_MIX, _SPREAD = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
_SIZE, _HALF, _BELOW_SIZE = np.uint64(56), np.uint64(32), np.uint64((1 << 56) - 1)
"""The bits of a mark that hold the size of the field."""
_WHOLE = np.complex128
"""A dtype of two 64-bit numbers: NumPy gathers one item faster than a pair."""
_BOTH = np.uint16(0x0101)
_TENS = 10.0 ** np.arange(_MAX_NUMBER + 1)
_ZERO, _POINT, _PLUS, _MINUS = b"0.+-"
_LINE_FEED = ord("\n")


WholeArray = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class Fields:
    """Substrings of a text: field i is data[starts[i]:ends[i]]; `data` ends in padding."""

    data: bytes
    starts: IndexArray
    ends: IndexArray

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, i: int) -> bytes:
        return self.data[self.starts[i] : self.ends[i]]

    def __iter__(self) -> Iterator[bytes]:
        for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True):
            yield self.data[start:end]

    def select(self, which: Array | slice) -> "Fields":
        """A subset of the fields, by mask, indices or slice."""
        return replace(self, starts=self.starts[which], ends=self.ends[which])

    @property
    def sizes(self) -> IndexArray:
        """The length of each field in bytes."""
        return self.ends - self.starts


def space_table(characters: bytes) -> BoolArray:
    """The table `is_space` for `split_fields`: (256,), true for the bytes in `characters`."""
    table = np.zeros(256, np.bool_)
    table[list(characters)] = True
    return table


def split_fields(text: bytes, is_space: BoolArray) -> Fields:
    """The fields between white space, as defined by the table `is_space` (256,)."""
    return split_lines(text, is_space)[0]


def split_lines(text: bytes, is_space: BoolArray) -> tuple[Fields, IndexArray]:
    """`split_fields`, and the number of fields before each line feed, (n,)."""
    data = np.frombuffer(text, np.uint8)
    spaces = np.flatnonzero(data <= np.flatnonzero(is_space)[-1].astype(np.uint8))
    kinds = data.take(spaces)
    blank = is_space.take(kinds)
    if not blank.all():
        spaces, kinds = spaces[blank], kinds[blank]
    starts = np.empty(len(spaces) + 1, np.int64)
    starts[0] = 0
    np.add(spaces, 1, out=starts[1:])
    ends = np.append(spaces, len(text))
    before = np.flatnonzero(kinds == _LINE_FEED)
    before += 1
    if ends[-1] == starts[-1]:  # the text ends in white space
        starts, ends = starts[:-1], ends[:-1]
    there = starts != ends
    if not there.all():
        before = np.append(0, np.cumsum(there)).take(before)
        some = np.flatnonzero(there)
        starts, ends = starts.take(some), ends.take(some)
    return Fields(text + _PADDING, starts, ends), before


def encode_text(text: str) -> bytes:
    """UTF-8 bytes; lone surrogates are encoded like other characters."""
    return text.encode("utf-8", "surrogatepass")


def encode_tokens(text: str) -> bytes:
    """UTF-8 bytes, in which each lone surrogate of a piece of a character stands for its byte.

    If there are other lone surrogates, as some texts have, the same as `encode_text`.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return encode_text(text)


# Words ---------------------------------------------------------------------------------------


class WordIndex:
    """Ids of words, for looking up many at a time: a hash table with linear probing.

    `ids` maps words, which are not empty, to ids. The first words are found fastest.
    """

    def __init__(self, ids: Mapping[bytes, int]) -> None:
        ends = np.cumsum(np.fromiter(map(len, ids), np.int64, len(ids)))
        words = Fields(b"".join(ids) + _PADDING, np.append(0, ends)[:-1], ends)
        marks, longer, whole = _marks(words)
        alone = np.zeros(len(ids), np.bool_)
        alone[np.unique(marks, return_index=True)[1]] = True
        alone &= words.sizes <= _MAX_WORD
        pairs = zip(ids.items(), alone.tolist(), strict=True)
        self._others = {word: i for (word, i), is_alone in pairs if not is_alone}
        """Words that are too long for the table, and the second of two with the same mark."""
        bits = (2 * len(ids) + 1).bit_length()  # at least half of the slots stay free
        self._shift, self._mask = np.uint64(64 - bits), (1 << bits) - 1
        owner = np.full(1 << bits, -1, np.int32)
        slot = self._first_slot(marks)
        todo = np.flatnonzero(alone)
        while len(todo):
            free = todo[owner[slot[todo]] < 0][::-1]
            owner[slot[free]] = free  # of several words for a slot, the first gets it
            todo = todo[owner[slot[todo]] != todo]
            slot[todo] = (slot[todo] + 1) & self._mask
        taken = np.flatnonzero(owner >= 0)
        self._marks = np.zeros(1 << bits, np.uint64)  # no word has the mark zero
        self._marks[taken] = marks[owner[taken]]
        self._ids = np.full(1 << bits, -1, np.int32)
        self._ids[taken] = np.fromiter(ids.values(), np.int32, len(ids))[owner[taken]]
        self._whole = np.zeros(1 << bits, _WHOLE)
        some = longer[alone[longer]]
        self._whole[slot[some]] = whole[alone[longer]]

    def find(self, fields: Fields) -> IntArray:
        """The id of each field, (n,); -1 for a field that is not among the words."""
        found = np.empty(len(fields), np.int32)

        def run(block: slice) -> None:
            found[block] = self._find(fields.select(block))

        parallel_map(run, slices(len(fields), _BLOCK))
        return found

    def _find(self, fields: Fields) -> IntArray:
        """`find` for a block of fields."""
        marks, longer, whole = _marks(fields)
        slot = self._first_slot(marks)
        there = self._marks.take(slot)
        todo = np.flatnonzero(there != marks)
        there, wanted, at = there.take(todo), marks.take(todo), slot.take(todo)
        while len(todo):
            goes_on = np.flatnonzero((there != wanted) & (there > 0))  # a free slot ends the search
            todo, wanted, at = todo.take(goes_on), wanted.take(goes_on), at.take(goes_on)
            at += 1
            at &= self._mask
            there = self._marks.take(at)
            slot[todo] = at
        ids = self._ids.take(slot)
        others = longer.take(np.flatnonzero(_differ(self._whole.take(slot.take(longer)), whole)))
        if self._others:
            may_be = (ids.take(others) >= 0) | (fields.sizes.take(others) > _MAX_WORD)
            ids[others] = -1
            for i in others[may_be].tolist():
                ids[i] = self._others.get(fields[i], -1)
        else:
            ids[others] = -1
        return ids

    def _first_slot(self, marks: NDArray[np.uint64]) -> IndexArray:
        """The slot at which the search for each mark starts."""
        slot = marks * _MIX
        slot >>= self._shift
        return slot.view(np.int64)


def _differ(some: WholeArray, others: WholeArray) -> BoolArray:
    """Which items differ; compared as integers, since as complex numbers some are NaN."""
    same = some.view(np.uint64) == others.view(np.uint64)
    differ: BoolArray = same.view(np.uint16) != _BOTH
    return differ


def _marks(fields: Fields) -> tuple[NDArray[np.uint64], IndexArray, WholeArray]:
    """A mark for each field, (n,): a 64-bit hash that is never zero.

    Marks identify fields of up to seven bytes. Also returns the indices of longer fields and their
    first sixteen bytes; fields of up to sixteen bytes are equal if both mark and bytes are.
    """
    data, size = fields.data, fields.sizes
    words = np.ndarray(len(data) - _WORD + 1, "<u8", data, strides=(1,))  # from every byte on
    first = words[fields.starts]
    marks = _LOW_BYTES.take(size, mode="clip")
    marks &= first
    marks |= size.view(np.uint64) << _SIZE
    longer = np.flatnonzero(size >= _WORD)
    whole = np.empty((len(longer), 2), np.uint64)
    sizes = size.take(longer)
    whole[:, 0] = first.take(longer)
    whole[:, 1] = words[fields.starts.take(longer) + _WORD]
    whole[:, 1] &= _LOW_BYTES.take(sizes - _WORD, mode="clip")
    mixed = whole[:, 0] * _MIX
    mixed ^= whole[:, 1] * _SPREAD
    mixed ^= mixed >> _HALF
    mixed &= _BELOW_SIZE
    mixed |= np.minimum(sizes, 255).view(np.uint64) << _SIZE
    marks[longer] = mixed
    return marks, longer, whole.view(_WHOLE).ravel()


# Numbers -------------------------------------------------------------------------------------


def decimals(fields: Fields) -> FloatArray:
    """Parse fields as decimal numbers, such as -1.25; NaN for longer ones or other notations.

    Accurate to float64's last digit.
    """
    values = np.empty(len(fields))

    def run(block: slice) -> None:
        values[block] = _decimals(fields.select(block))

    parallel_map(run, slices(len(fields), _BLOCK))
    return values


def _decimals(fields: Fields) -> FloatArray:
    data, size = np.frombuffer(fields.data, np.uint8), fields.sizes
    digits = np.zeros(len(fields), np.int64)
    n_digits, n_after = np.zeros(len(fields), np.int8), np.zeros(len(fields), np.int8)
    n_points = np.zeros(len(fields), np.int8)
    signs = np.zeros(len(fields), np.bool_)
    for i in range(min(int(size.max(initial=0)), _MAX_NUMBER)):
        characters = data[fields.starts + i]
        inside = size > i
        value = characters - np.uint8(_ZERO)
        is_digit = value < 10
        is_digit &= inside
        np.copyto(digits, digits * 10 + value, where=is_digit)
        n_digits += is_digit
        n_after += is_digit & (n_points > 0)
        n_points += (characters == _POINT) & inside
        if i == 0:
            signs = (characters == _MINUS) | (characters == _PLUS)
    values = digits / _TENS[n_after]
    values[data[fields.starts] == _MINUS] *= -1
    wrong = (n_digits + n_points + signs != size) | (n_points > 1) | (n_digits == 0)
    values[wrong] = np.nan
    return values
