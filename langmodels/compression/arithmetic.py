"""Arithmetic coding with whole numbers.

Witten, Neal and Cleary 1987, "Arithmetic Coding for Data Compression"; with carries and bytes, as
in the range encoding of Martin 1979.
"""

import numpy as np

from langmodels.arrays import FloatArray, IndexArray

TOTAL = 1 << 32
"""What the sizes of a table sum to, at most."""

_RANGE = 1 << 64
_LOWEST = 1 << 56  # below it the range gives away a byte
_BYTES = 8


def table(log_p: FloatArray, never: int) -> IndexArray:
    """Cumulative sizes of a distribution, (V + 1,) int64, from 0 to at most `TOTAL`.

    A symbol has 2^32 p of them, less what gives every other one at least one, so that whatever the
    model thinks impossible can be written in 32 bits; the symbol `never` has none. `log_p` (V,) is
    in nats.
    """
    sizes = np.floor(np.exp(log_p) * (TOTAL - 2 * len(log_p))).astype(np.int64) + 1
    sizes[never] = 0
    cumulative = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=cumulative[1:])
    return cumulative


class Encoder:
    """Writes symbols as a number between 0 and 1, in bytes."""

    def __init__(self) -> None:
        self._low, self._range = 0, _RANGE
        self._out = bytearray()

    def write(self, cumulative: IndexArray, symbol: int) -> None:
        """Write a symbol by a table that the reader will have as well."""
        begin, end, total = (int(cumulative[i]) for i in (symbol, symbol + 1, -1))
        step = self._range // total
        self._low += step * begin
        self._range = step * (end - begin)
        self._carry()
        while self._range <= _LOWEST:
            self._out.append(self._low >> 56)
            self._low = (self._low << 8) % _RANGE
            self._range <<= 8

    def finish(self) -> bytes:
        """All that was written, in the fewest bytes; zeros may be thought to follow."""
        for n in range(_BYTES + 1):
            free = (1 << 8 * (_BYTES - n)) - 1
            value = (self._low + free) & ~free
            if value < self._low + self._range:
                break
        self._low = value
        self._carry()
        self._out += self._low.to_bytes(_BYTES, "big")[:n]
        return bytes(self._out)

    def _carry(self) -> None:
        if self._low < _RANGE:
            return
        self._low -= _RANGE
        place = len(self._out) - 1
        while self._out[place] == 255:
            self._out[place] = 0
            place -= 1
        self._out[place] += 1


class Decoder:
    """Reads what an `Encoder` wrote, by the same tables."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, _BYTES
        self._value = int.from_bytes(data[:_BYTES].ljust(_BYTES, b"\0"), "big")
        self._range = _RANGE

    def read(self, cumulative: IndexArray) -> int:
        """The next symbol. Raises EOFError where all that was written has been read."""
        total = int(cumulative[-1])
        step = self._range // total
        wanted = min(self._value // step, total - 1)
        symbol = int(np.searchsorted(cumulative, wanted, side="right")) - 1
        begin, end = int(cumulative[symbol]), int(cumulative[symbol + 1])
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
