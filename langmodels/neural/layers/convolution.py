"""Causal convolution over time; its state is the last inputs before a chunk."""

import numpy as np

from langmodels.arrays import Array
from langmodels.errors import UsageError
from langmodels.neural.layers.base import Generator, add_rows, rows, sum_rows
from langmodels.neural.layers.parameters import Shape
from langmodels.neural.layers.sequence import SequenceLayer, State

ACTIVATIONS = {"relu": 0.0, "tanh": -1.0}
"""Activations by name, with their lower bounds, which stand for missing steps in max-pooling."""


class CausalConvolution(SequenceLayer[State]):
    """A causal convolution, an activation f, and max-pooling over the last steps.

        a_t = f(sum_{k < width} x_{t-k} W_k + b)
        y_t = max(a_t, a_{t-1}, .., a_{t-pooling+1})

    For each of the `widths` there are `channels` filters; their outputs are concatenated, so that
    y_t has `outputs` = channels len(widths) components. Inputs before the start of a sequence are
    zero, and max-pooling ignores activations before it.

    The state is the last max(widths) - 1 inputs (B, K, E) and, with pooling, the last pooling - 1
    activations (B, K, outputs), newest first. No gradient flows into it.

    Parameters: `weight.{width}` (width E, channels), the rows of W_0 first, and `bias` (outputs,).
    """

    def __init__(
        self,
        inputs: int,
        widths: tuple[int, ...],
        channels: int,
        *,
        activation: str = "relu",
        pooling: int = 1,
    ) -> None:
        if not widths or min(widths) < 1 or channels < 1 or pooling < 1:
            raise UsageError("Convolution widths, channels and pooling must be at least 1.")
        if len(set(widths)) < len(widths):
            raise UsageError(f"Convolution widths must differ from each other: {widths}.")
        if activation not in ACTIVATIONS:
            raise UsageError(
                f"There is no activation {activation!r}; choose one of {', '.join(ACTIVATIONS)}."
            )
        self.inputs, self.widths, self.channels = inputs, widths, channels
        self.activation, self.pooling = activation, pooling
        self.outputs = channels * len(widths)
        weights: dict[str, Shape] = {f"weight.{w}": (w * inputs, channels) for w in widths}
        super().__init__({**weights, "bias": (self.outputs,)})
        self._reach = max(widths)
        self._floor = ACTIVATIONS[activation]

    def initialise(self, rng: Generator) -> None:
        """W uniform in [-1/sqrt(width E), 1/sqrt(width E)], b = 0."""
        for width in self.widths:
            weight = self.values[f"weight.{width}"]
            bound = len(weight) ** -0.5
            weight[...] = rng.uniform(-bound, bound, weight.shape)

    def zero_state(self, batch: int) -> State:
        """See `SequenceLayer`: inputs of zero, and activations at their lower bound.

        Without pooling there are no activations, and with widths of 1 no inputs.
        """
        dtype = self.values["bias"].dtype
        state = []
        if self._reach > 1:
            state.append(np.zeros((batch, self._reach - 1, self.inputs), dtype))
        if self.pooling > 1:
            state.append(np.full((batch, self.pooling - 1, self.outputs), self._floor, dtype))
        return tuple(state)

    @property
    def final_state(self) -> State:
        """A copy of the state after the last step of the last `forward`."""
        state = []
        if self._reach > 1:
            state.append(self._columns[-1, :, :-1].copy())
        if self.pooling > 1:
            state.append(np.stack([self._lagged(k)[-1] for k in range(self.pooling - 1)], axis=1))
        return tuple(state)

    def activations(self) -> dict[str, Array]:
        """See `SequenceLayer`."""
        return {"activation": self._a.copy()}

    # Forward --------------------------------------------------------------------------------

    def forward(
        self,
        x: Array,
        state: State | None = None,
        *,
        keep: Array | None = None,
        embedding: Array | None = None,
    ) -> Array:
        """See `SequenceLayer`: y (T, B, outputs)."""
        steps, batch = x.shape[:2]
        self._tokens: Array | None = None
        self._embedding = embedding
        if embedding is not None:
            self._tokens = x
            x = np.take(embedding, x, axis=0, mode="clip")
        before = list(self.zero_state(batch) if state is None else state)
        self._alive = None if keep is None else self._unbroken(keep, x.dtype)
        self._columns = self.space.array(
            "columns", (steps, batch, self._reach, self.inputs), x.dtype
        )
        past = before.pop(0) if self._reach > 1 else None
        for k in range(self._reach):
            self._shift(x, past, k, self._columns[:, :, k])
            if self._alive is not None and k:
                self._columns[:, :, k] *= self._alive[k]
        a = self.space.array("a", (steps, batch, self.outputs), x.dtype)
        columns, flat = rows(self._columns.reshape(steps, batch, -1)), rows(a)
        for part, width in self._parts():
            flat[:, part] = columns[:, : width * self.inputs] @ self.values[f"weight.{width}"]
        a += self.values["bias"]
        if self.activation == "relu":
            np.maximum(a, 0, out=a)
        else:
            np.tanh(a, out=a)
        self._a, self._past = a, before[0] if before else None
        return self._pool() if self.pooling > 1 else a

    def _parts(self) -> list[tuple[slice, int]]:
        """For each width, its columns of a_t and the width."""
        c = self.channels
        return [(slice(k * c, (k + 1) * c), width) for k, width in enumerate(self.widths)]

    def _unbroken(self, keep: Array, dtype: np.dtype[np.generic]) -> list[Array]:
        """For each lag k, (T, B, 1): 1 if x_{t-k} belongs to the sequence of x_t, else 0."""
        kept = keep[:, :, None].astype(dtype)
        alive = [np.ones_like(kept)]
        for k in range(1, max(self._reach, self.pooling)):
            now = alive[-1].copy()
            now[k - 1 :] *= kept[: max(0, len(kept) - k + 1)]
            alive.append(now)
        return alive

    def _shift(self, x: Array, past: Array | None, k: int, out: Array) -> None:
        """Write x_{t-k} to `out` (T, B, n), from x (T, B, n), or for t < k from `past` (B, K, n),
        newest first.
        """
        early = min(k, len(x))
        for t in range(early):
            assert past is not None
            out[t] = past[:, k - t - 1]
        out[early:] = x[: len(x) - early]

    def _lagged(self, k: int) -> Array:
        """a_{t-k} (T, B, outputs), or the lower bound of f where a sequence started since then."""
        out = np.empty_like(self._a)
        self._shift(self._a, self._past, k, out)
        if self._alive is not None and k:
            out[...] = np.where(self._alive[k] > 0, out, self._floor)
        return out

    def _pool(self) -> Array:
        """The maxima y (T, B, outputs); keeps in `_which` the lag k of each maximum."""
        best = self.space.array("best", self._a.shape, self._a.dtype)
        best[...] = self._a
        self._which = np.zeros(self._a.shape, np.int16)
        for k in range(1, self.pooling):
            earlier = self._lagged(k)
            better = earlier > best
            self._which[better] = k
            np.copyto(best, earlier, where=better)
        return best

    # Backward -------------------------------------------------------------------------------

    def backward(self, dy: Array, final: State | None = None) -> Array:
        """The gradient with respect to the input, or to `embedding`; `final` is ignored."""
        dz = self._unpool(dy) if self.pooling > 1 else dy
        if self.activation == "relu":
            dz *= self._a > 0
        else:
            dz *= 1 - self._a * self._a
        steps, batch = dz.shape[:2]
        columns = rows(self._columns.reshape(steps, batch, -1))
        d_columns = self.space.array("d columns", self._columns.shape, dz.dtype)
        d_columns.fill(0)
        flat, d_flat = rows(dz), rows(d_columns.reshape(steps, batch, -1))
        for part, width in self._parts():
            size = width * self.inputs
            mine = np.ascontiguousarray(flat[:, part])
            np.matmul(columns[:, :size].T, mine, out=self.gradients[f"weight.{width}"])
            d_flat[:, :size] += mine @ self.values[f"weight.{width}"].T
        sum_rows(flat, self.gradients["bias"])
        dx = self.space.array("dx", (steps, batch, self.inputs), dz.dtype)
        dx[...] = d_columns[:, :, 0]
        for k in range(1, min(self._reach, steps)):
            late = d_columns[k:, :, k]
            dx[: steps - k] += late if self._alive is None else late * self._alive[k][k:]
        if self._tokens is None or self._embedding is None:
            return dx
        table = self.space.array("dtable", self._embedding.shape, dz.dtype)
        table.fill(0)
        add_rows(table, self._tokens.ravel(), rows(dx))
        return table

    def _unpool(self, dy: Array) -> Array:
        """Map dL/dy to dL/da, (T, B, outputs): the gradient of a maximum goes to its argument."""
        da = self.space.array("da", dy.shape, dy.dtype)
        da.fill(0)
        for k in range(min(self.pooling, len(dy))):
            da[: len(dy) - k] += np.where(self._which[k:] == k, dy[k:], 0)
        return da
