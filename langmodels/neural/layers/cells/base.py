"""The base class of recurrent layers, unrolled over time and differentiated by hand.

Arrays are time-major: (T, B, width) for T steps of B sequences. z denotes the pre-activations of
all gates, z_t = x_t W + h_{t-1} U + b. The loop over time contains only what depends on the step
before, written into preallocated arrays. x W + b for all T steps is one matrix product before the
loop; the gradients of the weights are single products after it; the derivatives of the gates are
computed for a block of steps at a time.

A sigmoid is computed as 1 / (1 + exp(-z)). The sign (and, for the LSTM, the 2 in tanh(z) = 2
sigmoid(2z) - 1) is put into scaled copies of the weights, so that three calls (exp, add, divide)
compute all gates of a step. Fewer calls also mean less waiting for Python's global lock where
threads share a batch.
"""

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np

from langmodels.arrays import Array
from langmodels.neural.layers.base import Generator, draw_mask, rows, sum_by_row, sum_rows
from langmodels.neural.layers.sequence import SequenceLayer, State

_BLOCK = 65_536  # elements (steps, B, H) for which gate derivatives are computed at once


class Recurrent(SequenceLayer[State]):
    """A recurrent layer of H units; its state is (h,), or (h, c) for an LSTM, (B, H) each.

    Parameters: `input` W (E, G H), `hidden` U (H, G H) and `bias` b (G H,) for G gates side by
    side. A cell implements `_run` and `_run_back`, its loops over time.
    """

    gates: int
    """G, the number of blocks of H columns of the weights."""
    n_states = 1
    """The number of arrays of the state."""

    def __init__(self, inputs: int, hidden: int) -> None:
        width = self.gates * hidden
        super().__init__({"input": (inputs, width), "hidden": (hidden, width), "bias": (width,)})
        self.hidden = self.outputs = hidden
        self._scale: Array | None = None
        self._mask: Array | None = None

    def initialise(self, rng: Generator) -> None:
        """All parameters uniform in [-1/sqrt(H), 1/sqrt(H)]."""
        bound = self.hidden**-0.5
        for array in self.values.values():
            array[...] = rng.uniform(-bound, bound, array.shape)

    def refresh(self) -> None:
        """Compute the copies of the parameters whose columns are scaled by `_scale` (G H,), if the
        cell has one.
        """
        self._scaled, self._weight, self._mask = self.values, self.values["hidden"], None
        if self._scale is not None:
            scale = self._scale.astype(self.values["bias"].dtype)
            self._scaled = {
                name: np.multiply(
                    self.values[name],
                    scale,
                    out=self.space.array(f"scaled {name}", self.shapes[name], scale.dtype),
                )
                for name in ("input", "hidden", "bias")
            }

    def drop_weights(self, rate: float, rng: Generator) -> None:
        """Zero a random fraction of U until the next `refresh`, and scale the rest by 1 / (1 -
        rate).

        One mask serves all steps (DropConnect; Merity, Keskar and Socher 2018, section 2).
        """
        dtype, shape = self.values["hidden"].dtype, self.shapes["hidden"]
        mask = draw_mask(self.space.array("weight mask", shape, dtype), rate, rng)
        scaled = self.space.array("dropped", shape, dtype)
        self._scaled = {
            **self._scaled,
            "hidden": np.multiply(self._scaled["hidden"], mask, out=scaled),
        }
        weight = self.space.array("weight", shape, dtype)
        self._weight = np.multiply(self.values["hidden"], mask, out=weight)
        self._mask = mask

    def zero_state(self, batch: int) -> State:
        """See `SequenceLayer`: zeros, (B, H) each."""
        dtype = self.values["bias"].dtype
        return tuple(np.zeros((batch, self.hidden), dtype) for _ in range(self.n_states))

    # Forward --------------------------------------------------------------------------------

    def forward(
        self,
        x: Array,
        state: State | None = None,
        *,
        keep: Array | None = None,
        embedding: Array | None = None,
    ) -> Array:
        """See `SequenceLayer`: the hidden states h_t, (T, B, H).

        Token ids without an `embedding` stand for one-hot vectors.
        """
        steps, batch = x.shape[:2]
        self._x, self._embedding = x, embedding
        dtype = self.values["bias"].dtype
        z = self.space.array("z", (steps, batch, self.gates * self.hidden), dtype)
        self._project(x, embedding, z)
        self._keep = None if keep is None else keep[:, :, None].astype(dtype)
        states = [self._series(k, steps, batch) for k in range(self.n_states)]
        self._before = [before for before, _ in states]
        self._after = [after for _, after in states]
        for k, before in enumerate(self._before):
            before[0] = 0 if state is None else state[k]
            if self._keep is not None:
                before[0] *= self._keep[0]
        self._z = z
        with np.errstate(over="ignore"):  # exp overflows to inf for large z: the gate is 0
            self._run(z)
        return self._after[0]

    @property
    def final_state(self) -> State:
        """A copy of the state after the last step of the last `forward`."""
        return tuple(after[-1].copy() for after in self._after)

    def _project(self, x: Array, embedding: Array | None, z: Array) -> None:
        """Write x W + b to z (T, B, G H), with the scaled parameters."""
        weight, bias = self._scaled["input"], self._scaled["bias"]
        if x.dtype.kind not in "iu":
            np.matmul(rows(x), weight, out=rows(z))
        elif embedding is None:
            np.take(weight, x, axis=0, out=z, mode="clip")
        else:  # multiply each row of the embedding once, then look up the products
            table = embedding @ weight
            table += bias
            np.take(table, x, axis=0, out=z, mode="clip")
            return
        z += bias

    def _series(self, k: int, steps: int, batch: int) -> tuple[Array, Array]:
        """Workspaces for state array k before and after every step, (T, B, H) each.

        Without resets both are views of one array (T + 1, B, H).
        """
        name, dtype = f"state {k}", self.values["bias"].dtype
        if self._keep is None:
            both = self.space.array(name, (steps + 1, batch, self.hidden), dtype)
            return both[:-1], both[1:]
        both = self.space.array(name, (2, steps, batch, self.hidden), dtype)
        return both[0], both[1]

    def _hand_on(self, t: int) -> None:
        """Copy the states after step t to those before step t + 1, zeroed where `keep` is 0."""
        if self._keep is not None and t + 1 < len(self._keep):
            for before, after in zip(self._before, self._after, strict=True):
                np.multiply(after[t], self._keep[t + 1], out=before[t + 1])

    @abstractmethod
    def _run(self, z: Array) -> None:
        """The loop over time: fill `_after` with the states after every step.

        `z` (T, B, G H) is x W + b, with the columns scaled by `_scale`. It may be overwritten.
        """

    # Backward -------------------------------------------------------------------------------

    def backward(self, dy: Array, final: State | None = None) -> Array:
        """Map dL/dy (T, B, H) to dL/dx (T, B, E), or to dL/d embedding (V, E) for token ids.

        `final` is dL/d(state after the last step), if the loss depends on it other than through
        the outputs. Afterwards `initial_gradient` is dL/d(state before the first step), and `dy`
        is the total dL/dh_t, which includes the contribution of later steps.
        """
        batch = dy.shape[1]
        dz = self.space.array("dz", self._z.shape, dy.dtype)
        carry = self.zero_state(batch) if final is None else tuple(d.copy() for d in final)
        self._run_back(dy, dz, carry)
        self.initial_gradient: State = carry
        if self._x.dtype.kind not in "iu":
            return self._inputs_backward(rows(self._x), rows(dz)).reshape(self._x.shape)
        return self._tokens_backward(rows(dz))

    def _inputs_backward(self, x: Array, dz: Array) -> Array:
        """Fill the gradients of W and b, and return dL/dx (N, E); x (N, E), dz (N, G H)."""
        np.matmul(x.T, dz, out=self.gradients["input"])
        sum_rows(dz, self.gradients["bias"])
        dx = self.space.array("dx", x.shape, dz.dtype)
        return np.matmul(dz, self.values["input"].T, out=dx)

    def _tokens_backward(self, dz: Array) -> Array:
        """`_inputs_backward` for token ids: dz (N, G H) is first summed by token, (V, G H)."""
        weight = self.values["input"]
        size = len(weight if self._embedding is None else self._embedding)
        table = sum_by_row(size, self._x.ravel(), dz)
        if self._embedding is None:
            self.gradients["input"][...] = table
            table.sum(axis=0, out=self.gradients["bias"])
            return table
        return self._inputs_backward(self._embedding, table)

    def _hidden_backward(self, dz: Array) -> None:
        """Fill the gradient of U, sum_t h_{t-1}^T dz_t."""
        np.matmul(rows(self._before[0]).T, rows(dz), out=self.gradients["hidden"])
        if self._mask is not None:
            self.gradients["hidden"] *= self._mask

    def _blocks(self, steps: int, batch: int) -> Iterator[slice]:
        """Slices of the T steps for which gate derivatives are computed at once, last first."""
        size = max(1, _BLOCK // (batch * self.hidden))
        for end in range(steps, 0, -size):
            yield slice(max(0, end - size), end)

    @abstractmethod
    def _run_back(self, dh: Array, dz: Array, carry: State) -> None:
        """The loop back over time: fill `dz` (T, B, G H), dL/dz, and the gradient of U.

        `dh` (T, B, H) is dL/dh_t through the outputs, to which the contribution of later steps is
        added. `carry` is dL/d(state), (B, H) each: on entry after the last step, on return before
        the first.
        """
