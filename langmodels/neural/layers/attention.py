"""Attention of a decoder to the outputs of an encoder."""

import numpy as np

from langmodels.arrays import Array
from langmodels.errors import UsageError
from langmodels.neural.layers.base import Generator, Layer, Linear, rows
from langmodels.neural.layers.parameters import Shape

SCORES = ("luong", "bahdanau")


class Attention(Layer):
    """y_t = tanh([c_t; h_t] W + b), c_t = sum_s a_ts m_s, a_ts = softmax_s(e_ts).

    h_t (H,) is the decoder's state at step t, m_s (M,) the encoder's output at step s, the memory.
    The scores are, for "luong", e_ts = h_t A m_s (Luong, Pham and Manning 2015, "general" in
    section 3.1), and for "bahdanau", e_ts = v tanh(h_t Q + m_s K) (Bahdanau, Cho and Bengio 2015,
    appendix A.1.2). For both, h_t is the state after the last token read, as in Luong et al., and
    the context c_t does not enter the next state: in training all steps are computed at once.

    Parameters: `combine.weight`, `combine.bias`, and `general` (H, M), or `query` (H, A), `key`
    (M, A) and `v` (A,) with A = H.
    """

    def __init__(self, kind: str, hidden: int, memory: int) -> None:
        if kind not in SCORES:
            raise UsageError(f"There is no attention {kind!r}; choose one of {', '.join(SCORES)}.")
        self.kind, self.hidden = kind, hidden
        self.combine = Linear(memory + hidden, hidden)
        own: dict[str, Shape] = {"general": (hidden, memory)}
        if kind == "bahdanau":
            own = {"query": (hidden, hidden), "key": (memory, hidden), "v": (hidden,)}
        super().__init__(own, {"combine": self.combine})

    def initialise(self, rng: Generator) -> None:
        """Uniform in [-1/sqrt(n), 1/sqrt(n)] for n rows of each matrix (n elements of v)."""
        super().initialise(rng)
        for name in self.shapes:
            if not name.startswith("combine"):
                array = self.values[name]
                bound = len(array) ** -0.5
                array[...] = rng.uniform(-bound, bound, array.shape)

    def forward(self, h: Array, memory: Array, mask: Array | None = None) -> Array:
        """The outputs y (T, B, H) for the decoder's states h (T, B, H) and the memory (S, B, M).

        `mask` (S, B) is false at padding, whose weight is zero; None: no padding. Afterwards
        `weights` (B, T, S) are the attention weights a_ts.
        """
        self._h = h
        self._memory = np.ascontiguousarray(memory.transpose(1, 0, 2))
        scores = self._luong(h) if self.kind == "luong" else self._bahdanau(h)
        if mask is not None:
            scores = np.where(mask.T[:, None], scores, -np.inf)
        scores -= scores.max(axis=2, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=2, keepdims=True)
        self.weights = scores
        context = np.matmul(scores, self._memory).transpose(1, 0, 2)
        self._y = self.combine.forward(np.concatenate([context, h], axis=2))
        np.tanh(self._y, out=self._y)
        return self._y

    def _luong(self, h: Array) -> Array:
        """The scores h_t A m_s, (B, T, S)."""
        self._query = np.ascontiguousarray((h @ self.values["general"]).transpose(1, 0, 2))
        scores: Array = np.matmul(self._query, self._memory.transpose(0, 2, 1))
        return scores

    def _bahdanau(self, h: Array) -> Array:
        """The scores v tanh(h_t Q + m_s K), (B, T, S)."""
        query = (h @ self.values["query"]).transpose(1, 0, 2)
        key = self._memory @ self.values["key"]
        self._both: Array = query[:, :, None] + key[:, None]
        np.tanh(self._both, out=self._both)
        scores: Array = self._both @ self.values["v"]
        return scores

    def backward(self, dy: Array) -> tuple[Array, Array]:
        """Map dL/dy (T, B, H) to dL/dh (T, B, H) and dL/dm (S, B, M)."""
        dy *= 1 - self._y * self._y
        d_in = self.combine.backward(dy)
        size = self._memory.shape[2]
        d_context = np.ascontiguousarray(d_in[:, :, :size].transpose(1, 0, 2))
        dh = np.ascontiguousarray(d_in[:, :, size:])
        a = self.weights
        d_memory = np.matmul(a.transpose(0, 2, 1), d_context)
        d_scores = np.matmul(d_context, self._memory.transpose(0, 2, 1))
        d_scores -= (d_scores * a).sum(axis=2, keepdims=True)
        d_scores *= a
        if self.kind == "luong":
            self._luong_backward(d_scores, dh, d_memory)
        else:
            self._bahdanau_backward(d_scores, dh, d_memory)
        return dh, np.ascontiguousarray(d_memory.transpose(1, 0, 2))

    def _luong_backward(self, d_scores: Array, dh: Array, d_memory: Array) -> None:
        """Fill the gradient of A; add the part through the scores to dh and d_memory (B, S, M)."""
        d_memory += np.matmul(d_scores.transpose(0, 2, 1), self._query)
        d_query = np.matmul(d_scores, self._memory).transpose(1, 0, 2)
        d_query = np.ascontiguousarray(d_query)
        np.matmul(rows(self._h).T, rows(d_query), out=self.gradients["general"])
        dh += d_query @ self.values["general"].T

    def _bahdanau_backward(self, d_scores: Array, dh: Array, d_memory: Array) -> None:
        """Fill the gradients of v, Q and K; add the part through the scores to dh and d_memory."""
        both = self._both
        np.matmul(d_scores.ravel(), rows(both), out=self.gradients["v"])
        d_both = d_scores[..., None] * self.values["v"]
        d_both *= 1 - both * both
        d_query = np.ascontiguousarray(d_both.sum(axis=2).transpose(1, 0, 2))
        d_key = d_both.sum(axis=1)
        np.matmul(rows(self._h).T, rows(d_query), out=self.gradients["query"])
        np.matmul(rows(self._memory).T, rows(d_key), out=self.gradients["key"])
        dh += d_query @ self.values["query"].T
        d_memory += d_key @ self.values["key"].T
