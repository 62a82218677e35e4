"""Words and numbers in text as bytes, found and read by array code.

`str.split` and a dictionary take several times as long for each word, and hold the interpreter's
lock meanwhile, so that a second core is of no use to them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from langmodels.arrays import Array, BoolArray, FloatArray, IndexArray, IntArray
from langmodels.threads import parallel_map, slices

_MAX_WORD = 15
"""Bytes in the longest words that two numbers can stand for; others are kept in a dictionary."""
_MAX_NUMBER = 18
"""Bytes in the longest numbers that `decimals` reads: their digits fit in 64 bits."""

_WORD = 8  # bytes read at a time
_PADDING = bytes(2 * _WORD + _MAX_NUMBER)
_BLOCK = 1 << 15
"""Fields worked on at a time: the arrays of a block stay in the cache."""
_LOW_BYTES = np.array([(1 << 8 * n) - 1 for n in range(_WORD + 1)], np.uint64)
_MIX, _SPREAD = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
_KEY = np.complex128
"""Two numbers of 64 bits in one item, which NumPy gathers faster than a pair."""
_BOTH = np.uint16(0x0101)
_TENS = 10.0 ** np.arange(_MAX_NUMBER + 1)
_ZERO, _POINT, _PLUS, _MINUS = b"0.+-"


KeyArray = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class Fields:
    """Pieces of a text: field i is data[starts[i]:ends[i]], and `data` ends in some padding."""

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
        """Some of the fields."""
        return replace(self, starts=self.starts[which], ends=self.ends[which])

    @property
    def sizes(self) -> IndexArray:
        """How many bytes each has."""
        return self.ends - self.starts


def space_table(characters: bytes) -> BoolArray:
    """(256,) which bytes are white space, for `split_fields`."""
    table = np.zeros(256, np.bool_)
    table[list(characters)] = True
    return table


def split_fields(text: bytes, is_space: BoolArray) -> Fields:
    """What stands between white space."""
    space = np.ones(len(text) + 2, np.bool_)  # one before the text, and one after it
    np.take(is_space, np.frombuffer(text, np.uint8), out=space[1:-1])
    edges = np.flatnonzero(space[1:] != space[:-1])
    return Fields(text + _PADDING, edges[::2], edges[1::2])


def encode_text(text: str) -> bytes:
    """UTF-8, lone surrogates included."""
    return text.encode("utf-8", "surrogatepass")


# Words ---------------------------------------------------------------------------------------


class WordIndex:
    """Ids of words, for looking up many at a time: a hash table with linear probing.

    `ids` says which words, not empty, have which ids. Those that come first are found fastest.
    """

    def __init__(self, ids: Mapping[bytes, int]) -> None:
        ends = np.cumsum(np.fromiter(map(len, ids), np.int64, len(ids)))
        words = Fields(b"".join(ids) + _PADDING, np.append(0, ends)[:-1], ends)
        self._long = {word: i for word, i in ids.items() if len(word) > _MAX_WORD}
        keys = _keys(words)
        numbers = np.fromiter(ids.values(), np.int32, len(ids))
        bits = (2 * len(ids) + 1).bit_length()  # at least half of the slots stay free
        self._shift, self._mask = np.uint64(64 - bits), (1 << bits) - 1
        owner = np.full(1 << bits, -1, np.int32)
        slot = self._first_slot(keys)
        todo = np.flatnonzero(words.sizes <= _MAX_WORD)
        while len(todo):
            free = todo[owner[slot[todo]] < 0][::-1]
            owner[slot[free]] = free  # of several words for one slot, the first has it
            todo = todo[owner[slot[todo]] != todo]
            slot[todo] = (slot[todo] + 1) & self._mask
        taken = np.flatnonzero(owner >= 0)
        self._slots = np.zeros(1 << bits, _KEY)  # no word has a key of zeros
        self._slots[taken] = keys[owner[taken]]
        self._ids = np.full(1 << bits, -1, np.int32)
        self._ids[taken] = numbers[owner[taken]]

    def find(self, fields: Fields) -> IntArray:
        """The id of each field, -1 where it is none of the words."""
        found = np.empty(len(fields), np.int32)

        def run(block: slice) -> None:
            found[block] = self._find(_keys(fields.select(block)))

        parallel_map(run, slices(len(fields), _BLOCK))
        if self._long:
            for i in np.flatnonzero(fields.sizes > _MAX_WORD).tolist():
                found[i] = self._long.get(fields[i], -1)
        return found

    def _find(self, keys: KeyArray) -> IntArray:
        """The ids of the words with these keys, or -1."""
        slot = self._first_slot(keys)
        there = self._slots.take(slot)
        todo = np.flatnonzero(_differ(there, keys))
        while len(todo):
            sizes = there[todo].view(np.uint64)[1::2]
            todo = todo[sizes > 0]  # a free slot ends the search
            after = (slot[todo] + 1) & self._mask
            slot[todo], there[todo] = after, self._slots.take(after)
            todo = todo[_differ(there[todo], keys[todo])]
        return self._ids.take(slot)

    def _first_slot(self, keys: KeyArray) -> IndexArray:
        """Where the search for a key begins."""
        first, second = keys.view(np.uint64).reshape(-1, 2).T
        key = first * _MIX
        key ^= key >> np.uint64(29)
        key += second
        key *= _SPREAD
        key >>= self._shift
        return key.view(np.int64)


def _differ(some: KeyArray, others: KeyArray) -> BoolArray:
    """Which keys are not the same; they are whole numbers, and as they are typed some are NaN."""
    same = some.view(np.uint64) == others.view(np.uint64)
    differ: BoolArray = same.view(np.uint16) != _BOTH
    return differ


def _keys(fields: Fields) -> KeyArray:
    """A key for each field, (n,), the same for the same field: up to 15 bytes, and its length."""
    data, size = fields.data, fields.sizes
    words = np.ndarray(len(data) - _WORD + 1, "<u8", data, strides=(1,))  # from every byte on
    keys = np.empty((len(fields), 2), np.uint64)
    np.bitwise_and(words[fields.starts], _LOW_BYTES.take(size, mode="clip"), out=keys[:, 0])
    np.left_shift(np.minimum(size, 255).view(np.uint64), np.uint64(56), out=keys[:, 1])
    longer = np.flatnonzero(size > _WORD)
    rest = _LOW_BYTES.take(np.clip(size[longer] - _WORD, 0, _WORD - 1))
    keys[longer, 1] |= words[fields.starts[longer] + _WORD] & rest
    return keys.view(_KEY).ravel()


# Numbers -------------------------------------------------------------------------------------


def decimals(fields: Fields) -> FloatArray:
    """The numbers that the fields are, such as -1.25; NaN for what is longer or written otherwise.

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
