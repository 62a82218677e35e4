"""The "trie" layout: bit-packed entries, sorted by word below every node."""

from bisect import bisect_left
from functools import cached_property
from typing import Any

import numpy as np

from langmodels.arrays import Array, IndexArray, IntArray
from langmodels.ngram.kenlm.binary import Bytes, Header, Parts, damaged
from langmodels.ngram.lookup import find_children
from langmodels.ngram.tables import Float32Array

_QUANTIZED_VERSION, _ARRAY_VERSION = 2, 0
_MOST_BITS = 57  # widest field that eight bytes hold at any bit offset
_UNPACKED = 1 << 24  # orders of up to so many entries are unpacked, 16 bytes each
_CHECKED = 1 << 22  # orders of up to so many entries have their pointers checked


class BitColumn:
    """A bit field of every entry of an order: `width` bits every `stride` bits, starting at bit
    `first`.
    """

    def __init__(self, data: Bytes, n: int, first: int, width: int, stride: int) -> None:
        # A view of the data as overlapping 64-bit numbers, one starting at every byte.
        self._words = np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))
        self._data = data.data
        self._n, self._first, self._stride = n, first, stride
        self._mask = (1 << width) - 1

    def __len__(self) -> int:
        return self._n

    def take(self, at: Array, /, *, mode: str = "clip") -> Array:
        """The field of the entries at indices `at`, (M,) int64; indices are clipped to the
        range.
        """
        bit = np.clip(at, 0, self._n - 1).astype(np.int64, copy=False) * np.int64(self._stride)
        bit += np.int64(self._first)
        values: Array = self._words[bit >> 3]
        bit &= 7
        values >>= bit.view(np.uint64)
        values &= np.uint64(self._mask)
        return values.view(np.int64)

    def __getitem__(self, at: int) -> int:
        byte, shift = divmod(self._first + at * self._stride, 8)
        return int.from_bytes(self._data[byte : byte + 8], "little") >> shift & self._mask


class Pointers:
    """Pointers to children, of which the entries hold only the lower bits.

    `upper` encodes the others: item j is the first entry whose upper bits are at least j.
    """

    def __init__(self, lower: BitColumn, upper: IndexArray, bits: int) -> None:
        self._lower, self._upper, self._bits = lower, upper, bits

    def __len__(self) -> int:
        return len(self._lower)

    def take(self, at: Array, /, *, mode: str = "clip") -> Array:
        """The pointers of the entries at indices `at`, (M,) int64."""
        upper = np.searchsorted(self._upper, at, side="right") - 1
        upper <<= self._bits
        return upper | self._lower.take(at)

    def __getitem__(self, at: int) -> int:
        upper = int(np.searchsorted(self._upper, at, side="right")) - 1
        return upper << self._bits | self._lower[at]


class Floats:
    """Numbers encoded in bit fields: indices into a code book, or the bits of float32."""

    def __init__(self, codes: BitColumn, table: Float32Array | None, sign: int = 0) -> None:
        self._codes, self._table, self._sign = codes, table, np.uint32(sign)

    def __len__(self) -> int:
        return len(self._codes)

    def take(self, at: Array, /, *, mode: str = "clip") -> Float32Array:
        """The numbers of the entries at indices `at`, (M,)."""
        codes = self._codes.take(at)
        if self._table is not None:
            return self._table[codes]
        bits = codes.astype(np.uint32)
        bits |= self._sign
        return bits.view(np.float32)

    def __getitem__(self, at: int) -> float:
        return float(self.take(np.array([at]))[0])


class _Level:
    """The entries of one order above the first, with pointers to their children.

    Order N has neither weights nor pointers. Unless an order is too large, its fields are unpacked
    into arrays at first use, which are several times faster to read.
    """

    def __init__(
        self, words: BitColumn, log_p: Floats, weight: Floats | None, pointers: Any | None
    ) -> None:
        self._packed = words, log_p, weight, pointers
        self._unpacked = len(words) <= _UNPACKED

    def _column(self, i: int, dtype: type) -> Any:
        column = self._packed[i]
        if column is None or not self._unpacked:
            return column
        return column.take(np.arange(len(column))).astype(dtype)

    @property
    def packed_pointers(self) -> Any:
        return self._packed[3]

    @cached_property
    def words(self) -> Any:
        return self._column(0, np.int32)

    @cached_property
    def log_p(self) -> Any:
        return self._column(1, np.float32)

    @cached_property
    def weight(self) -> Any:
        return self._column(2, np.float32)

    @cached_property
    def pointers(self) -> Any:
        return self._column(3, np.int32)

    @cached_property
    def scalars(self) -> tuple[Any, Any, Any, Any]:
        """Words, log p, weights and pointers as sequences of Python numbers."""
        columns = self.words, self.log_p, self.weight, self.pointers
        first, second, third, fourth = (
            column.data if isinstance(column, np.ndarray) else column for column in columns
        )
        return first, second, third, fourth


class TrieStore:
    """A `Store` of a trie. Nodes are the indices of entries within their order."""

    def __init__(self, header: Header, parts: Parts) -> None:
        self.sizes = header.sizes
        n = header.sizes
        parts.take(8 + 8 * n[0])  # hashes of the words: these are read from the end of the file
        tables = _quantization(header, parts)
        kind = [("log_p", "<f4"), ("weight", "<f4"), ("child", "<u8")]
        unigrams = parts.table(kind, n[0] + 2)
        self._unigrams = unigrams[: n[0]]
        self._log_p, self._weight = self._unigrams["log_p"], self._unigrams["weight"]
        if not (np.isfinite(self._weight).all() and (self._log_p <= 0).all()):
            raise damaged("a word's probability is not below 1")
        self._children = unigrams["child"][: n[0] + 1].astype(np.int64)
        self._first = self._children.data
        _check(self._children, n[1], 1)
        self._levels: list[_Level] = []
        for k in range(2, header.order + 1):
            level = _level(header, parts, k, *tables[k - 2])
            self._levels.append(level)
            if k < header.order:
                _check(level.packed_pointers, n[k], k)

    def _pointers(self, order: int) -> Any:
        return self._children if order == 1 else self._levels[order - 2].pointers

    def unigrams(self, words: IntArray) -> tuple[Array, Float32Array, Float32Array]:
        """See `Store`."""
        return words, self._log_p[words], self._weight[words]

    def extend(
        self, order: int, nodes: Array, words: IntArray
    ) -> tuple[IndexArray, IntArray, Float32Array, Float32Array]:
        """See `Store`."""
        level = self._levels[order - 2]
        children = find_children(self._pointers(order - 1), level.words, nodes, words)
        found = np.flatnonzero(children >= 0)
        children = children.take(found)
        weights = (
            np.zeros(len(found), np.float32)
            if level.weight is None
            else level.weight.take(children, mode="clip")
        )
        return found, children, level.log_p.take(children, mode="clip"), weights

    def unigram(self, word: int) -> tuple[int, float, float]:
        """See `Store`."""
        log_p, weight, _ = self._unigrams[word].item()
        return word, log_p, weight

    def child(self, order: int, node: int, word: int) -> tuple[int, float, float] | None:
        """See `Store`."""
        words, log_p, weight, _ = self._levels[order - 2].scalars
        pointers = self._first if order == 2 else self._levels[order - 3].scalars[3]
        begin, end = pointers[node], min(pointers[node + 1], self.sizes[order - 1])
        if begin >= end:
            return None
        at = bisect_left(words, word, begin, end)
        if at == end or words[at] != word:
            return None
        return at, log_p[at], 0.0 if weight is None else weight[at]

    def ngrams(self) -> list[tuple[IntArray, Float32Array, Float32Array | None]]:
        """All n-grams by order: words (n_k, k), first word first, log p and back-off weights
        (n_k,), log10.
        """
        rows: IntArray = np.arange(self.sizes[0], dtype=np.int32)[:, np.newaxis]
        result: list[tuple[IntArray, Float32Array, Float32Array | None]] = [
            (rows, self._log_p, self._weight)
        ]
        for k, level in enumerate(self._levels, start=2):
            starts = self._pointers(k - 1).take(np.arange(self.sizes[k - 2] + 1))
            at = np.arange(self.sizes[k - 1])
            if (np.diff(starts) < 0).any() or starts[0] != 0 or starts[-1] != len(at):
                raise damaged(f"its pointers of order {k - 1} make no sense")
            parents = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
            first = level.words.take(at).astype(np.int32)
            if (first >= self.sizes[0]).any():
                raise damaged(f"it has words beyond its vocabulary in order {k}")
            rows = np.concatenate([first[:, np.newaxis], rows[parents]], axis=1)
            weight = None if level.weight is None else level.weight.take(at)
            result.append((rows, level.log_p.take(at), weight))
        return result


_Tables = tuple[Float32Array, Float32Array]


def _quantization(header: Header, parts: Parts) -> list[_Tables | tuple[None, None]]:
    """The code books of log p and back-off weights, for orders 2 to N; None where not quantized."""
    if not header.is_quantized:
        return [(None, None)] * (header.order - 1)
    version, p_bits, b_bits = parts.take(8)[:3].tolist()
    if version != _QUANTIZED_VERSION:
        raise damaged(f"its quantization is of the unknown version {version}")
    if not (1 <= p_bits <= 25 and 1 <= b_bits <= 25):
        raise damaged(f"codes of {p_bits} and {b_bits} bits make no sense")
    tables: list[_Tables | tuple[None, None]] = []
    for k in range(2, header.order + 1):
        p = parts.table("<f4", 1 << p_bits)
        b = parts.table("<f4", 1 << b_bits) if k < header.order else np.zeros(1, np.float32)
        # Unused codes may stand for anything but numbers above 0.
        if (p > 0).any() or np.isnan(p).any() or np.isnan(b).any():
            raise damaged(f"the probabilities of its order {k} are not below 1")
        tables.append((p, b))
    return tables


def _level(
    header: Header,
    parts: Parts,
    order: int,
    p_table: Float32Array | None,
    b_table: Float32Array | None,
) -> _Level:
    """Read the entries of an order, and the array of upper pointer bits that may precede them."""
    last = order == header.order
    n = header.sizes[order - 1]
    word_bits = header.sizes[0].bit_length()
    if p_table is None or b_table is None:
        p_bits, b_bits = 31, 0 if last else 32
        p_first, b_first = word_bits, word_bits + 31
    else:
        p_bits = len(p_table).bit_length() - 1
        b_bits = 0 if last else len(b_table).bit_length() - 1
        b_first, p_first = word_bits, word_bits + b_bits
    pointer_bits, upper = 0, None
    if not last:
        pointer_bits = header.sizes[order].bit_length()
        if header.is_compressed:
            pointer_bits, upper = _upper_bits(header, parts, order)
    if max(word_bits, pointer_bits) > _MOST_BITS:
        raise damaged(f"entries of {word_bits + p_bits + b_bits + pointer_bits} bits are too wide")
    width = word_bits + p_bits + b_bits + pointer_bits
    data = parts.take(((n + 1) * width + 7) // 8 + 8)

    def column(first: int, bits: int, extra: int = 0) -> BitColumn:
        return BitColumn(data, max(n, 1) + extra, first, bits, width)

    log_p = Floats(column(p_first, p_bits), p_table, sign=1 << 31)
    if last:
        return _Level(column(0, word_bits), log_p, None, None)
    weight = Floats(column(b_first, b_bits), b_table)
    lower = column(word_bits + p_bits + b_bits, pointer_bits, extra=1)
    pointers = lower if upper is None else Pointers(lower, upper, pointer_bits)
    return _Level(column(0, word_bits), log_p, weight, pointers)


def _upper_bits(header: Header, parts: Parts, order: int) -> tuple[int, IndexArray]:
    """The number of pointer bits that an entry holds, and the array that encodes the others."""
    n, n_next = header.sizes[order - 1], header.sizes[order]
    at, head = parts.at, parts.take(2)
    if head[0] != _ARRAY_VERSION:
        raise damaged(f"its pointers are of the unknown version {head[0]}")
    required = n_next.bit_length()
    sizes = [
        (n_next >> (required - chop)) * 64 - (n + 1) * chop
        for chop in range(min(required, int(head[1])) + 1)
    ]
    inline = required - sizes.index(min(sizes))
    length = (n_next >> inline) + 1
    begin = -(-at // 8) * 8 + 8
    parts.take(begin - parts.at)
    upper = parts.table("<i8", length)
    parts.take(at + 8 * (1 + length) + 7 - parts.at)
    return inline, upper


def _check(pointers: Any, n_children: int, order: int) -> None:
    """Check that pointers ascend and are in range; those of large orders are trusted."""
    n = len(pointers)
    starts = pointers.take(np.arange(n) if n <= _CHECKED else np.array([0, n - 1]))
    if starts[0] != 0 or starts[-1] != n_children or (np.diff(starts) < 0).any():
        raise damaged(f"its pointers of order {order} make no sense")
