"""Arithmetic coding in integers.

Witten, Neal and Cleary 1987, "Arithmetic Coding for Data Compression". Carries are propagated and
the output is renormalized by whole bytes, as in the range coder of Martin 1979.
"""

from collections.abc import Iterable
from typing import Protocol

import numpy as np

from langmodels.arrays import FloatArray

TOTAL = 1 << 32
"""Upper bound of the total frequency, the sum of the integer frequencies of all symbols."""

_RANGE = 1 << 64
_LOWEST = 1 << 56  # when the range is no larger, its leading byte is written out
_BYTES = 8


class Sizes(Protocol):
    """Cumulative frequencies: a symbol owns the numbers in [begin, end), all below `total`."""

    total: int

    def of(self, symbol: int) -> tuple[int, int, float]:
        """Return (begin, end, probability) of a symbol."""

    def at(self, number: int) -> tuple[int, int, int]:
        """Return (symbol, begin, end) of the symbol whose interval contains a number."""


class Table:
    """Cumulative frequencies of a whole distribution.

    A symbol of probability p has the frequency floor(p (2^32 - 2V)) + 1. Since it is at least 1,
    even a symbol of probability zero can be coded, in 32 bits. The symbol `never` has frequency 0
    and cannot be coded. `log_p` (V,) holds natural logarithms.
    """

    def __init__(self, log_p: FloatArray, never: int) -> None:
        self._p = np.exp(log_p)
        sizes = np.floor(self._p * (TOTAL - 2 * len(log_p))).astype(np.int64) + 1
        sizes[never] = 0
        self._ends = sizes.cumsum()
        self.total = int(self._ends[-1])

    def of(self, symbol: int) -> tuple[int, int, float]:
        """See `Sizes`."""
        begin = int(self._ends[symbol - 1]) if symbol else 0
        return begin, int(self._ends[symbol]), float(self._p[symbol])

    def at(self, number: int) -> tuple[int, int, int]:
        """See `Sizes`."""
        symbol = int(self._ends.searchsorted(number, side="right"))
        return symbol, *self.of(symbol)[:2]


class Listed:
    """Cumulative frequencies of symbols that are generated one by one, until the one needed.

    `outcomes` yields pairs (symbol, probability), `n` at most; frequencies are those of a `Table`
    with V = `n`. The iterable is consumed, so an object serves for one call of `of` or `at`.
    """

    total = TOTAL

    def __init__(self, outcomes: Iterable[tuple[int, float]], n: int) -> None:
        self._outcomes, self._scale = outcomes, TOTAL - 2 * n

    def of(self, symbol: int) -> tuple[int, int, float]:
        """See `Sizes`. Consumes the outcomes."""
        end, scale = 0, self._scale
        for listed, p in self._outcomes:
            size = int(p * scale) + 1
            if listed == symbol:
                return end, end + size, p
            end += size
        raise ValueError(f"the symbol {symbol} is not listed")

    def at(self, number: int) -> tuple[int, int, int]:
        """See `Sizes`. Consumes the outcomes. Numbers beyond all intervals give the last one."""
        symbol = begin = end = 0
        scale = self._scale
        for symbol, p in self._outcomes:  # noqa: B007 - the last one is returned
            begin, end = end, end + int(p * scale) + 1
            if number < end:
                break
        return symbol, begin, end


class Encoder:
    """Codes a sequence of symbols as the bytes of a binary fraction in [0, 1)."""

    def __init__(self) -> None:
        self._low, self._range = 0, _RANGE
        self._out = bytearray()

    def write(self, sizes: Sizes, symbol: int) -> float:
        """Code a symbol; return its probability. The decoder must be given the same `sizes`."""
        begin, end, p = sizes.of(symbol)
        step = self._range // sizes.total
        self._low += step * begin
        self._range = step * (end - begin)
        if self._low >= _RANGE:
            self._carry()
        while self._range <= _LOWEST:
            self._out.append(self._low >> 56)
            self._low = (self._low << 8) % _RANGE
            self._range <<= 8
        return p

    def finish(self) -> bytes:
        """Return the whole code in the fewest bytes; the decoder reads zeros beyond its end."""
        for n in range(_BYTES + 1):
            free = (1 << 8 * (_BYTES - n)) - 1
            value = (self._low + free) & ~free
            if value < self._low + self._range:
                break
        self._low = value
        if self._low >= _RANGE:
            self._carry()
        self._out += self._low.to_bytes(_BYTES, "big")[:n]
        return bytes(self._out)

    def _carry(self) -> None:
        self._low -= _RANGE
        place = len(self._out) - 1
        while self._out[place] == 255:
            self._out[place] = 0
            place -= 1
        self._out[place] += 1


class Decoder:
    """Decodes what an `Encoder` wrote, given the same `sizes` for each symbol."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, _BYTES
        self._value = int.from_bytes(data[:_BYTES].ljust(_BYTES, b"\0"), "big")
        self._range = _RANGE

    def read(self, sizes: Sizes) -> int:
        """Return the next symbol. Raises EOFError past the end of the code."""
        step = self._range // sizes.total
        symbol, begin, end = sizes.at(min(self._value // step, sizes.total - 1))
        self._value -= step * begin
        self._range = step * (end - begin)
        while self._range <= _LOWEST:
            following = self._data[self._place] if self._place < len(self._data) else 0
            self._place += 1
            if self._place > len(self._data) + _BYTES:
                raise EOFError
            self._value = ((self._value << 8) | following) % _RANGE
            self._range <<= 8
        return symbol
