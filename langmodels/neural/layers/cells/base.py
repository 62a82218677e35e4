"""The base class of recurrent layers, unrolled over time and differentiated by hand.

Arrays are time-major: (T, B, width) for T steps of B sequences. The loop over time contains only
what depends on the step before, written into preallocated arrays. The input's contribution to all
pre-activations is one matrix product before the loop; the gradients of the weights are single
products after it; the derivatives of the gates are computed for a block of steps at a time.

Logistic gates are computed as 1 / (1 + exp(z)) from negated pre-activations: the sign (and, for the
LSTM, the 2 in tanh(z) = 2 sigmoid(2z) - 1) is put into scaled copies of the weights, so that three
calls compute all gates of a step. Few calls matter doubly, since threads that share a batch wait
for each other's Python between calls.
"""

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np

from langmodels.arrays import Array
from langmodels.neural.layers.base import (
    Generator,
    affine_backward,
    draw_mask,
    rows,
    sum_by_row,
)
from langmodels.neural.layers.sequence import SequenceLayer, State

_BLOCK = 65_536  # elements (steps, B, H) of a block of gate derivatives


class Recurrent(SequenceLayer[State]):
    """One recurrent layer over a whole (T, B) chunk; its state is (h,), or (h, c) for an LSTM.

    Parameters: `input` (inputs, G H), `hidden` (H, G H) and `bias` (G H) for G gates side by side.
    """

    gates: int
    n_states = 1

    def __init__(self, inputs: int, hidden: int) -> None:
        width = self.gates * hidden
        super().__init__({"input": (inputs, width), "hidden": (hidden, width), "bias": (width,)})
        self.hidden = self.outputs = hidden
        self._scale: Array | None = None
        self._mask: Array | None = None

    def initialise(self, rng: Generator) -> None:
        """Uniform within 1/sqrt(H)."""
        bound = self.hidden**-0.5
        for array in self.values.values():
            array[...] = rng.uniform(-bound, bound, array.shape)

    def refresh(self) -> None:
        """Copy the weights, scaled by `_scale` (G H,) if the cell has one."""
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
        """Zero a random fraction of the hidden-to-hidden weights until the next `refresh`.

        One mask for all steps (DropConnect; Merity, Keskar and Socher 2018, section 2).
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
        """The initial state of `batch` sequences: zeros, (B, H) each."""
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
        """Hidden states (T, B, H) after each of T steps; `final_state` is the state after the last.

        `x` are inputs (T, B, E), or token ids (T, B), which stand for rows of `embedding` (V, E)
        or, without one, for one-hot vectors. `state` is the initial state, by default zero. `keep`
        (T, B) is 0 where the state is reset to zero before a step, and 1 elsewhere.
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
        weight, bias = self._scaled["input"], self._scaled["bias"]
        if x.dtype.kind not in "iu":
            np.matmul(rows(x), weight, out=rows(z))
        elif embedding is None:
            np.take(weight, x, axis=0, out=z, mode="clip")
        else:  # map the table, then look up its rows
            table = embedding @ weight
            table += bias
            np.take(table, x, axis=0, out=z, mode="clip")
            return
        z += bias

    def _series(self, k: int, steps: int, batch: int) -> tuple[Array, Array]:
        """State array k before and after every step, (T, B, H) each; views of one array unless
        states are reset.
        """
        name, dtype = f"state {k}", self.values["bias"].dtype
        if self._keep is None:
            both = self.space.array(name, (steps + 1, batch, self.hidden), dtype)
            return both[:-1], both[1:]
        both = self.space.array(name, (2, steps, batch, self.hidden), dtype)
        return both[0], both[1]

    def _hand_on(self, t: int) -> None:
        """Copy the states after step t to those before t + 1, with resets."""
        if self._keep is not None and t + 1 < len(self._keep):
            for before, after in zip(self._before, self._after, strict=True):
                np.multiply(after[t], self._keep[t + 1], out=before[t + 1])

    @abstractmethod
    def _run(self, z: Array) -> None:
        """Compute the states after every step, given the input's part of the pre-activations, (T,
        B, G H).
        """

    # Backward -------------------------------------------------------------------------------

    def backward(self, dy: Array, final: State | None = None) -> Array:
        """The gradient with respect to the input, or to `embedding`.

        `dy` (T, B, H) is the gradient of the outputs; afterwards it holds the total dL/dh_t, with
        the contribution of later steps. `final` is the gradient of the state after the last step.
        Afterwards `initial_gradient` is that of the state before the first step.
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
        affine_backward(x, dz, self.gradients["input"], self.gradients["bias"])
        dx = self.space.array("dx", x.shape, dz.dtype)
        return np.matmul(dz, self.values["input"].T, out=dx)

    def _tokens_backward(self, dz: Array) -> Array:
        """`_inputs_backward` for token ids: gradients are first summed by token."""
        weight = self.values["input"]
        size = len(weight if self._embedding is None else self._embedding)
        table = sum_by_row(size, self._x.ravel(), dz)
        if self._embedding is None:
            self.gradients["input"][...] = table
            table.sum(axis=0, out=self.gradients["bias"])
            return table
        return self._inputs_backward(self._embedding, table)

    def _hidden_backward(self, dz: Array) -> None:
        np.matmul(rows(self._before[0]).T, rows(dz), out=self.gradients["hidden"])
        if self._mask is not None:
            self.gradients["hidden"] *= self._mask

    def _blocks(self, steps: int, batch: int) -> Iterator[slice]:
        """Slices of time, the last first."""
        size = max(1, _BLOCK // (batch * self.hidden))
        for end in range(steps, 0, -size):
            yield slice(max(0, end - size), end)

    @abstractmethod
    def _run_back(self, dh: Array, dz: Array, carry: State) -> None:
        """Complete `dh` (T, B, H), and compute `dz` (T, B, G H) and the gradient of `hidden`.

        `carry` holds the gradient of the state after the last step, and in the end that before the
        first.
        """
