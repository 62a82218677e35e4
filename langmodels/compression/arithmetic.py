"""Arithmetic coding with whole numbers.

Witten, Neal and Cleary 1987, "Arithmetic Coding for Data Compression"; with carries and bytes, as
in the range encoding of Martin 1979.
"""

from collections.abc import Iterable
from typing import Protocol

import numpy as np

from langmodels.arrays import FloatArray

TOTAL = 1 << 32
"""What the sizes of all symbols sum to, at most."""

_RANGE = 1 << 64
_LOWEST = 1 << 56  # below it the range gives away a byte
_BYTES = 8


class Sizes(Protocol):
    """Which of the numbers below `total` stand for which symbol."""

    total: int

    def of(self, symbol: int) -> tuple[int, int, float]:
        """The first number of a symbol, that after its last, and its probability."""

    def at(self, number: int) -> tuple[int, int, int]:
        """The symbol that a number stands for, its first number, and that after its last."""


class Table:
    """Sizes of all symbols of a distribution.

    A symbol has 2^32 p numbers, less what gives every other one at least one, so that whatever the
    model thinks impossible can be written in 32 bits; the symbol `never` has none. `log_p` (V,) is
    in nats.
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
    """Sizes of symbols that are listed one by one, only as far as the one that is needed.

    The same numbers for each as in a `Table`; `n` symbols at most are listed, each with its
    probability.
    """

    total = TOTAL

    def __init__(self, outcomes: Iterable[tuple[int, float]], n: int) -> None:
        self._outcomes, self._scale = outcomes, TOTAL - 2 * n

    def of(self, symbol: int) -> tuple[int, int, float]:
        """See `Sizes`. Once only."""
        end, scale = 0, self._scale
        for listed, p in self._outcomes:
            size = int(p * scale) + 1
            if listed == symbol:
                return end, end + size, p
            end += size
        raise ValueError(f"the symbol {symbol} is not listed")

    def at(self, number: int) -> tuple[int, int, int]:
        """See `Sizes`. Once only; numbers that are left over are the last symbol's."""
        symbol = begin = end = 0
        scale = self._scale
        for symbol, p in self._outcomes:  # noqa: B007 - the last one is returned
            begin, end = end, end + int(p * scale) + 1
            if number < end:
                break
        return symbol, begin, end


class Encoder:
    """Writes symbols as a number between 0 and 1, in bytes."""

    def __init__(self) -> None:
        self._low, self._range = 0, _RANGE
        self._out = bytearray()

    def write(self, sizes: Sizes, symbol: int) -> float:
        """Write a symbol by sizes that the reader will have as well; return its probability."""
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
        """All that was written, in the fewest bytes; zeros may be thought to follow."""
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
    """Reads what an `Encoder` wrote, by the same sizes."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, _BYTES
        self._value = int.from_bytes(data[:_BYTES].ljust(_BYTES, b"\0"), "big")
        self._range = _RANGE

    def read(self, sizes: Sizes) -> int:
        """The next symbol. Raises EOFError where all that was written has been read."""
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
