"""Causal multi-head self-attention over a sliding window, forward and backward by hand.

The layout is (B, T, C), batch first: the steps of a sequence are contiguous. One product computes
queries, keys and values. As in FlashAttention (Dao et al. 2022, section 3.1), the score matrix is
never stored as a whole: it is computed in blocks of a few sequences and queries, over the keys that
these can see, and a block stays in the CPU's cache during all passes over it. The backward pass
recomputes the blocks, unless there is only one.

A block has a row for each key and a column for each query, because a product with the transposed
queries, which are copied once, is faster than with transposed keys. Scores are exponentiated
directly; only if a sum of exponentials leaves the range in which float32 is accurate is the maximum
of each query subtracted first.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from langmodels.arrays import Array, IntArray
from langmodels.neural.layers.base import Layer, blocks
from langmodels.neural.layers.kv_cache import KVCache
from langmodels.neural.layers.position_wise import Projection

_BLOCK = 65_536  # scores in a block
_QUERIES = 64  # most queries of a sequence in a block
_LARGEST = 1e13  # sums of exponentials in [1e-13, 1e13] need no subtraction of the maximum


class _Block(NamedTuple):
    """Slices of the batch, of the chunk's T queries, and of the M + T keys that these can see."""

    b: slice
    q: slice
    k: slice


class SelfAttention(Layer):
    """y = concat_h(softmax(q_h k_h^T / sqrt(d)) v_h) P, causal (Vaswani et al. 2017, section 3.2).

    The width C is split into `heads` of d = C / heads consecutive dimensions. A step attends to the
    last `window` positions, itself included. With `rotary`, dimensions 2i and 2i + 1 of queries and
    keys are rotated by the angle position * base^(-2i/d), so that scores depend on the distance of
    query and key only (Su et al. 2021, equation 34). Keys and values of earlier chunks come from a
    KV cache; no gradient flows into it.

    Parameters: `qkv.weight` (C, 3 C) and `out.weight` P (C, C), with `bias` also `qkv.bias` (3 C,)
    and `out.bias` (C,).
    """

    base = 10_000.0
    """Base of the rotary angles."""

    def __init__(
        self, width: int, heads: int, window: int, *, rotary: bool = False, bias: bool = False
    ) -> None:
        self.qkv = Projection(width, 3 * width, bias=bias)
        self.out = Projection(width, width, bias=bias)
        super().__init__(parts={"qkv": self.qkv, "out": self.out})
        self.width, self.heads, self.window, self.rotary = width, heads, window, rotary
        self._scale = (width // heads) ** -0.5

    def forward(self, x: Array, cache: KVCache, first: IntArray, since: int = 0) -> Array:
        """Map x (B, T, C) to y (B, T - since, C), attending also to the M positions of `cache`.

        `first` (B, T) is the position at which the sequence of each step started, counted as in
        `KVCache`; earlier positions are masked. Afterwards `self.cache` is the cache for the next
        chunk. Steps before `since` get keys and values but no output; `backward` needs since = 0.
        """
        steps, width = x.shape[1], self.width
        qkv = self.qkv.forward(x)
        self._rotation = self._rotation_factors(cache.position, steps, x.dtype)
        self._rotate(qkv, self._rotation)
        pairs = qkv[:, :, width:].reshape(len(x), steps, 2, width)
        whole = cache.extended(pairs, first[:, -1])
        self.cache = whole.last(self.window - 1)
        self._qkv, self._first, self._n_cached = qkv, first, len(cache)
        self._pairs, self._position = whole.pairs, cache.position
        self._o = self.space.array("o", x.shape, x.dtype)
        self._sums = self.space.array("sums", (len(x), self.heads, 1, steps), x.dtype)
        self._query = self._transposed("query", qkv[:, :, :width])
        self._shifts: list[Array | None] = []
        self._kept: Array | None = None
        key, value = self._keys_and_values()
        out = _by_head(self._o, self.heads)
        all_blocks = list(self._blocks(len(x), steps, since))
        for block in all_blocks:
            b, q, k = block
            p, sums, shift = self._exponentials(key, block)
            self._shifts.append(shift)
            self._sums[b, :, :, q] = sums
            np.matmul(p.swapaxes(2, 3), value[b, :, k], out=out[b, :, q])
            out[b, :, q] /= sums.swapaxes(2, 3)
            if len(all_blocks) == 1:
                self._kept = p
        return self.out.forward(self._o[:, since:])

    def backward(self, dy: Array) -> Array:
        """Map dL/dy (B, T, C) to dL/dx (B, T, C).

        With weights A = softmax(S) and outputs O = A V of a head, dV = A^T dO and dS = A * (dO V^T
        - D), with D the row sums of dO * O (Dao et al. 2022, appendix B.2).
        """
        batch, steps, width = dy.shape
        d_o, size = self.out.backward(dy), width // self.heads
        # A = exp(S) / sums: instead of the blocks of exp(S), divide dO by the sums, once.
        d_out = _by_head(d_o, self.heads)
        d_out /= self._sums.swapaxes(2, 3)
        row_sums = np.einsum(
            "nhd,nhd->nh", *(a.reshape(-1, self.heads, size) for a in (d_o, self._o))
        )
        row_sums = row_sums.reshape(batch, steps, self.heads).transpose(0, 2, 1)[:, :, None]
        d_out_transposed = self._transposed("d out", d_o)
        d_qkv = self.space.array("d qkv", self._qkv.shape, dy.dtype)
        query, old = _by_head(self._qkv[:, :, :width], self.heads), self._n_cached
        key, value = self._keys_and_values()
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
            np.matmul(value[b, :, k], d_out_transposed[b, :, :, q], out=dp)
            dp -= row_sums[b, :, :, q]
            dp *= p
            np.matmul(dp.swapaxes(2, 3), key[b, :, k], out=d_query[b, :, q])
            # Only keys and values of this chunk have a gradient, not the cached ones.
            skipped = max(0, old - k.start)
            own = slice(k.start + skipped - old, k.stop - old)
            for d, weights, of in ((d_key, dp, query), (d_value, p, d_out)):
                # Blocks are in order of time: each is the first to reach the keys at the positions
                # of its own queries, whose gradients it sets; to earlier ones it adds.
                shape = (*p.shape[:2], own.stop - own.start, size)
                part = d[b, :, q] if own == q else self.space.array("part", shape, p.dtype)
                np.matmul(weights[:, :, skipped:], of[b, :, q], out=part)
                if own != q:
                    seen = q.start - own.start
                    d[b, :, own.start : q.start] += part[:, :, :seen]
                    d[b, :, q] = part[:, :, seen:]
        self._rotate(d_qkv, self._rotation.conj())
        return self.qkv.backward(d_qkv)

    def weights(self) -> Array:
        """The attention weights of the last `forward`, (B, heads, T, M + T); rows sum to one.

        The M positions of the cache come first.
        """
        key, _ = self._keys_and_values()
        batch, steps, _ = self._qkv.shape
        weights = np.zeros((batch, self.heads, steps, key.shape[2]), key.dtype)
        for block in self._blocks(batch, steps):
            p, sums, _ = self._exponentials(key, block)
            weights[block.b, :, block.q, block.k] = (p / sums).swapaxes(2, 3)
        return weights

    # Parts ----------------------------------------------------------------------------------

    def _keys_and_values(self) -> tuple[Array, Array]:
        """Keys and values of the cache and the chunk, (B, heads, M + T, d) each, as views."""
        return (
            _by_head(self._pairs[:, :, 0], self.heads),
            _by_head(self._pairs[:, :, 1], self.heads),
        )

    def _transposed(self, name: str, x: Array) -> Array:
        """A copy of x (B, T, C) as (B, heads, d, T)."""
        batch, steps, width = x.shape
        y = self.space.array(name, (batch, width, steps), x.dtype)
        y[...] = x.swapaxes(1, 2)
        return y.reshape(batch, self.heads, -1, steps)

    def _blocks(self, batch: int, steps: int, since: int = 0) -> Iterator[_Block]:
        """Cut the batch and the queries from `since` on into blocks of about `_BLOCK` scores."""
        old = self._n_cached
        for begin in range(since, steps, _QUERIES):
            q = slice(begin, min(begin + _QUERIES, steps))
            k = slice(max(0, old + begin - self.window + 1), old + q.stop)
            each = self.heads * (q.stop - q.start) * (k.stop - k.start)
            for b in blocks(batch, _BLOCK // each):
                yield _Block(b, q, k)

    def _exponentials(self, key: Array, block: _Block) -> tuple[Array, Array, Array | None]:
        """Exponentials of a block's scores (B, heads, K, Q), their sums over the keys (B, heads, 1,
        Q), and the maxima (B, heads, 1, Q) that were subtracted from the scores, or None.
        """
        p = self._scores(key, block)
        ones = _ones(p.shape[2], p.dtype)
        with np.errstate(over="ignore"):
            sums = np.matmul(ones, np.exp(p, out=p))
        if sums.min() > 1 / _LARGEST and sums.max() < _LARGEST:
            return p, sums, None
        p = self._scores(key, block)
        most = p.max(axis=2, keepdims=True)
        p -= most
        return p, np.matmul(ones, np.exp(p, out=p)), most

    def _scores(self, key: Array, block: _Block) -> Array:
        """The scores k . q / sqrt(d) of a block, (B, heads, K, Q), -inf where masked."""
        b, q, k = block
        shape = (b.stop - b.start, self.heads, k.stop - k.start, q.stop - q.start)
        scores = self.space.array("scores", shape, key.dtype)
        np.matmul(key[b, :, k], self._query[b, :, :, q], out=scores)
        offset = q.start + self._n_cached - k.start
        for part, mask in _masks(offset, *shape[2:], self.window, key.dtype):
            scores[:, :, part] += mask
        first, oldest = self._first[b, q], self._position - self._n_cached
        if first.max() > oldest + k.start:
            keys = np.arange(oldest + k.start, oldest + k.stop)[:, None]
            np.copyto(scores, -np.inf, where=(keys < first[:, None])[:, None])
        return scores

    def _rotation_factors(self, position: int, steps: int, dtype: np.dtype[np.generic]) -> Array:
        """The factors of queries [.., 0] and keys [.., 1]: 1 / sqrt(d) and 1, (2, 1, 1), times
        exp(i angle), (T, 2, 1, d / 2), for rotary positions.
        """
        if not self.rotary:
            return np.array([self._scale, 1], dtype).reshape(2, 1, 1)
        size = self.width // self.heads
        angles = np.arange(position, position + steps)[:, None] * (
            self.base ** (-np.arange(0, size, 2) / size)
        )
        factors: Array = np.exp(1j * angles)[:, None] * np.array([self._scale, 1])[:, None]
        return factors[:, :, None].astype(np.result_type(dtype, np.complex64))

    def _rotate(self, qkv: Array, factors: Array) -> None:
        """Scale the queries and rotate queries and keys, in place; pairs of neighbouring
        dimensions are complex numbers.
        """
        if not self.rotary:
            qkv[:, :, : self.width] *= factors[0, 0, 0]
            return
        pairs = qkv.view(factors.dtype).reshape(*qkv.shape[:2], 3, self.heads, -1)[:, :, :2]
        pairs *= factors


@lru_cache(maxsize=32)
def _masks(
    offset: int, n_keys: int, n_queries: int, window: int, dtype: np.dtype[np.generic]
) -> list[tuple[slice, Array]]:
    """The masks to add to the scores of a block: a slice of keys, and 0 or -inf (keys, queries).

    Only keys that some query of the block cannot see need one. `offset` is the number of keys in
    the block before the position of its first query.
    """
    queries, keys = np.arange(offset, offset + n_queries), np.arange(n_keys)[:, None]
    # The first keys are outside the window of the last queries; the last keys are later than the
    # first queries.
    early, late = slice(0, queries[-1] + 1 - window), slice(queries[0] + 1, n_keys)
    masks = []
    for part in (early, late):
        if part.start < part.stop:
            hidden = (keys[part] > queries) | (keys[part] <= queries - window)
            masks.append((part, np.where(hidden, dtype.type(-np.inf), dtype.type(0))))
    return masks


@lru_cache(maxsize=32)
def _ones(n: int, dtype: np.dtype[np.generic]) -> Array:
    return np.ones((1, n), dtype)


def _by_head(x: Array, heads: int) -> Array:
    """A view of x (B, T, C) as (B, heads, T, d)."""
    batch, steps, width = x.shape
    return x.reshape(batch, steps, heads, width // heads).transpose(0, 2, 1, 3)
