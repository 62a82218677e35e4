"""Causal self-attention with several heads over a sliding window, forward and backward by hand.

The layout is (B, T, C): the steps of a sequence are contiguous. Queries, keys and values are
computed by one product. Scores are never stored as a whole: they are computed for a few sequences
and queries at a time, in blocks that stay in the cache during all passes over them, and only over
the keys that are visible to a block. With more than one block, the backward pass recomputes them
instead of reading them from memory (Dao et al. 2022, section 3.1, for GPUs).

A block has a row for each key and a column for each query, since products with transposed queries,
which are made once, are faster than with transposed keys. Scores are exponentiated directly; only
if a sum would be too large or too small for float32 is the maximum of each query subtracted first.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from langmodels.arrays import Array, IntArray
from langmodels.neural.layers.base import Layer, stretches
from langmodels.neural.layers.memory import Memory
from langmodels.neural.layers.position_wise import Projection

_BLOCK = 65_536  # scores computed at once
_QUERIES = 64  # most queries in a block
_LARGEST = 1e13  # sums of exponentials between 1/this and this are accurate


class _Block(NamedTuple):
    """Sequences `b`, queries `q` of the chunk, and the keys `k` of the memory they may look at."""

    b: slice
    q: slice
    k: slice


class SelfAttention(Layer):
    """y = concat_h(softmax(q_h k_h' / sqrt(d)) v_h) P, each step over itself and those before it
    (Vaswani et al. 2017, section 3.2).

    A step attends to at most `window` positions, itself included. With `rotary`, pairs of
    neighbouring dimensions of queries and keys are rotated by angles proportional to the position,
    so that scores depend on distances only (Su et al. 2021, equation 34), with base 10,000. Heads
    are consecutive slices of the width. Gradients do not flow into the memory of the chunk before.

    Parameters: `qkv.weight` (C, 3 C), `out.weight` (C, C), and with `bias` `qkv.bias`, `out.bias`.
    """

    base = 10_000.0

    def __init__(
        self, width: int, heads: int, window: int, *, rotary: bool = False, bias: bool = False
    ) -> None:
        self.qkv, self.out = Projection(width, 3 * width, bias), Projection(width, width, bias)
        super().__init__(parts={"qkv": self.qkv, "out": self.out})
        self.width, self.heads, self.window, self.rotary = width, heads, window, rotary
        self._scale = (width // heads) ** -0.5

    def forward(self, x: Array, memory: Memory, first: IntArray, since: int = 0) -> Array:
        """(B, T, C) to (B, T - since, C), after what `memory` holds.

        `first` (B, T) is the position at which the sequence of each step started, counted as in
        `Memory`. Afterwards `self.memory` is the memory for the next chunk. Steps before `since`
        get no output; then there is no `backward`.
        """
        steps, width = x.shape[1], self.width
        qkv = self.qkv.forward(x)
        self._turn = self._turning(memory.position, steps, x.dtype)
        self._rotate(qkv, self._turn)
        pairs = qkv[:, :, width:].reshape(len(x), steps, 2, width)
        whole = memory.extended(pairs, first[:, -1])
        self.memory = whole.last(self.window - 1)
        self._qkv, self._first, self._before = qkv, first, len(memory)
        self._pairs, self._position = whole.pairs, memory.position
        self._o = self.space.array("o", x.shape, x.dtype)
        self._sums = self.space.array("sums", (len(x), self.heads, 1, steps), x.dtype)
        self._query = self._transposed("query", qkv[:, :, :width])
        self._shifts: list[Array | None] = []
        self._kept: Array | None = None
        key, value = self._remembered()
        out = _by_head(self._o, self.heads)
        blocks = list(self._blocks(len(x), steps, since))
        for block in blocks:
            b, q, k = block
            p, sums, shift = self._exponentials(key, block)
            self._shifts.append(shift)
            self._sums[b, :, :, q] = sums
            np.matmul(p.swapaxes(2, 3), value[b, :, k], out=out[b, :, q])
            out[b, :, q] /= sums.swapaxes(2, 3)
            if len(blocks) == 1:
                self._kept = p
        return self.out.forward(self._o[:, since:])

    def backward(self, dy: Array) -> Array:
        """(B, T, C) to (B, T, C)."""
        batch, steps, width = dy.shape
        d_o, size = self.out.backward(dy), width // self.heads
        # Weights are exponentials over their sum: divide the gradient of a step by the sum, once.
        d_out = _by_head(d_o, self.heads)
        d_out /= self._sums.swapaxes(2, 3)
        inner = np.einsum("nhd,nhd->nh", *(a.reshape(-1, self.heads, size) for a in (d_o, self._o)))
        inner = inner.reshape(batch, steps, self.heads).transpose(0, 2, 1)[:, :, None]
        turned = self._transposed("d out", d_o)
        d_qkv = self.space.array("d qkv", self._qkv.shape, dy.dtype)
        query, old = _by_head(self._qkv[:, :, :width], self.heads), self._before
        key, value = self._remembered()
        d_query, d_key, d_value = (
            _by_head(d_qkv[:, :, n * width : (n + 1) * width], self.heads) for n in range(3)
        )
        for block, shift in zip(self._blocks(batch, steps), self._shifts, strict=True):
            b, q, k = block
            if self._kept is None:
                p = self._scores(key, block)
                if shift is not None:
                    p -= shift
                np.exp(p, out=p)
            else:
                p = self._kept
            dp = self.space.array("d scores", p.shape, p.dtype)
            np.matmul(value[b, :, k], turned[b, :, :, q], out=dp)
            dp -= inner[b, :, :, q]
            dp *= p
            np.matmul(dp.swapaxes(2, 3), key[b, :, k], out=d_query[b, :, q])
            # Only keys of this chunk have a gradient.
            skipped = max(0, old - k.start)
            own = slice(k.start + skipped - old, k.stop - old)
            for d, weights, of in ((d_key, dp, query), (d_value, p, d_out)):
                # Blocks are in order: each is the first to touch the keys at the positions of its
                # own queries.
                shape = (*p.shape[:2], own.stop - own.start, size)
                part = d[b, :, q] if own == q else self.space.array("part", shape, p.dtype)
                np.matmul(weights[:, :, skipped:], of[b, :, q], out=part)
                if own != q:
                    seen = q.start - own.start
                    d[b, :, own.start : q.start] += part[:, :, :seen]
                    d[b, :, q] = part[:, :, seen:]
        self._rotate(d_qkv, self._turn.conj())
        return self.qkv.backward(d_qkv)

    def weights(self) -> Array:
        """The attention weights of the last `forward`, (B, heads, T, M + T).

        The M positions of the memory come first; rows sum to one.
        """
        key, _ = self._remembered()
        batch, steps, _ = self._qkv.shape
        weights = np.zeros((batch, self.heads, steps, key.shape[2]), key.dtype)
        for block in self._blocks(batch, steps):
            p, sums, _ = self._exponentials(key, block)
            weights[block.b, :, block.q, block.k] = (p / sums).swapaxes(2, 3)
        return weights

    # Parts ----------------------------------------------------------------------------------

    def _remembered(self) -> tuple[Array, Array]:
        """Keys and values, (B, heads, M + T, d), as views."""
        return (
            _by_head(self._pairs[:, :, 0], self.heads),
            _by_head(self._pairs[:, :, 1], self.heads),
        )

    def _transposed(self, name: str, x: Array) -> Array:
        """(B, T, C) as (B, heads, d, T), a copy."""
        batch, steps, width = x.shape
        y = self.space.array(name, (batch, width, steps), x.dtype)
        y[...] = x.swapaxes(1, 2)
        return y.reshape(batch, self.heads, -1, steps)

    def _blocks(self, batch: int, steps: int, since: int = 0) -> Iterator[_Block]:
        old = self._before
        for begin in range(since, steps, _QUERIES):
            q = slice(begin, min(begin + _QUERIES, steps))
            k = slice(max(0, old + begin - self.window + 1), old + q.stop)
            each = self.heads * (q.stop - q.start) * (k.stop - k.start)
            for b in stretches(batch, _BLOCK // each):
                yield _Block(b, q, k)

    def _exponentials(self, key: Array, block: _Block) -> tuple[Array, Array, Array | None]:
        """Exponentials of a block's scores, their sums for each query (B, heads, 1, Q), and the
        maxima that were subtracted from the scores, or None.
        """
        p = self._scores(key, block)
        ones = np.ones((1, p.shape[2]), p.dtype)
        with np.errstate(over="ignore"):
            sums = np.matmul(ones, np.exp(p, out=p))
        if sums.min() > 1 / _LARGEST and sums.max() < _LARGEST:
            return p, sums, None
        p = self._scores(key, block)
        most = p.max(axis=2, keepdims=True)
        p -= most
        return p, np.matmul(ones, np.exp(p, out=p)), most

    def _scores(self, key: Array, block: _Block) -> Array:
        """The scores of a block, (B, heads, K, Q), -inf where masked."""
        b, q, k = block
        shape = (b.stop - b.start, self.heads, k.stop - k.start, q.stop - q.start)
        scores = self.space.array("scores", shape, key.dtype)
        np.matmul(key[b, :, k], self._query[b, :, :, q], out=scores)
        offset = q.start + self._before - k.start
        for part, mask in _masks(offset, *shape[2:], self.window, key.dtype):
            scores[:, :, part] += mask
        first = self._first[b, q] - (self._position - self._before)
        if (first > k.start).any():
            keys = np.arange(k.start, k.stop)[:, None]
            np.copyto(scores, -np.inf, where=(keys < first[:, None])[:, None])
        return scores

    def _turning(self, position: int, steps: int, dtype: np.dtype[np.generic]) -> Array:
        """The factors of queries and keys; complex, (T, 2, 1, d / 2), for rotary positions.

        The factor of the queries includes the scale 1 / sqrt(d).
        """
        if not self.rotary:
            return np.array([self._scale, 1], dtype).reshape(2, 1, 1)
        size = self.width // self.heads
        angles = np.arange(position, position + steps)[:, None] * (
            self.base ** (-np.arange(0, size, 2) / size)
        )
        turn: Array = np.exp(1j * angles)[:, None] * np.array([self._scale, 1])[:, None]
        return turn[:, :, None].astype(np.result_type(dtype, np.complex64))

    def _rotate(self, qkv: Array, turn: Array) -> None:
        """Rotate queries and keys in place."""
        if not self.rotary:
            qkv[:, :, : self.width] *= turn[0, 0, 0]
            return
        pairs = qkv.view(turn.dtype).reshape(*qkv.shape[:2], 3, self.heads, -1)[:, :, :2]
        pairs *= turn


@lru_cache(maxsize=32)
def _masks(
    offset: int, n_keys: int, n_queries: int, window: int, dtype: np.dtype[np.generic]
) -> list[tuple[slice, Array]]:
    """Masks to add to the scores of keys that are not visible to all queries: slices of keys, and 0
    or -inf, (keys, queries).

    `offset` is the number of keys before the first query.
    """
    queries, keys = np.arange(offset, offset + n_queries), np.arange(n_keys)[:, None]
    # These are the first keys, outside the window of some queries, and the last ones, later than
    # some.
    early, late = slice(0, queries[-1] + 1 - window), slice(queries[0] + 1, n_keys)
    masks = []
    for part in (early, late):
        if part.start < part.stop:
            hidden = (keys[part] > queries) | (keys[part] <= queries - window)
            masks.append((part, np.where(hidden, dtype.type(-np.inf), dtype.type(0))))
    return masks


def _by_head(x: Array, heads: int) -> Array:
    """(B, T, C) as (B, heads, T, C / heads), a view."""
    batch, steps, width = x.shape
    return x.reshape(batch, steps, heads, width // heads).transpose(0, 2, 1, 3)
