"""Recurrent layers: Elman network, LSTM and GRU, unrolled over time and differentiated by hand.

Arrays are time-major: (T, B, width) for T steps of B sequences. Inside the loop over time stands
only what the recurrence forces there, written into arrays that exist already. The input's share of
all pre-activations is one matrix product before the loop; the gradients of the weights are single
products after it; all derivatives of the gates are computed a block of steps at a time.

Logistic gates are computed as 1 / (1 + exp(z)) from negated pre-activations: the sign (and, for the
LSTM, the 2 in tanh(z) = 2 sigmoid(2z) - 1) is put into scaled copies of the weights, so that three
calls serve all gates of a step.
"""

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np

from langmodels.neural.layers import Generator, Layer, add_rows, affine_backward, draw_mask, rows
from langmodels.neural.parameters import Array

State = tuple[Array, ...]
"""The arrays (B, H) that a cell carries from step to step: (h,), or (h, c) for an LSTM."""

_BLOCK = 65_536  # elements of (steps, B, H) whose gate derivatives are computed at once


class Recurrent(Layer):
    """One recurrent layer over a whole (T, B) chunk.

    Parameters: `input` (inputs, G H), `hidden` (H, G H) and `bias` (G H) for G gates side by side.
    """

    gates: int
    n_states = 1

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        width = self.gates * hidden
        self.hidden = hidden
        self.shapes = {"input": (inputs, width), "hidden": (hidden, width), "bias": (width,)}
        self._scale: Array | None = None
        self._mask: Array | None = None

    def initialise(self, rng: Generator) -> None:
        """Uniform within 1/sqrt(H)."""
        bound = self.hidden**-0.5
        for array in self.values.values():
            array[...] = rng.uniform(-bound, bound, array.shape)

    def refresh(self) -> None:
        """Scale copies of the weights by `_scale` (G H,), where the cell has one."""
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
        """Zero a fraction of the hidden-to-hidden weights until the next `refresh`.

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
        """The state at the beginning of sequences: zeros, (B, H) each."""
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

        `x`: inputs (T, B, E); or token ids (T, B), which stand for rows of `embedding` (V, E), or
        without one for one-hot vectors. `state` is zero where not given. `keep` (T, B) is 0 where
        the state is to be forgotten before a step, and 1 elsewhere.
        """
        steps, batch = x.shape[:2]
        self._x, self._embedding = x, embedding
        dtype = self.values["bias"].dtype
        z = self.space.array("z", (steps, batch, self.gates * self.hidden), dtype)
        self._project(x, embedding, z)
        self._keep = None if keep is None else keep[:, :, None].astype(dtype)
        states = [self._series(f"state {k}", steps, batch) for k in range(self.n_states)]
        self._before = [before for before, _ in states]
        self._after = [after for _, after in states]
        for k, before in enumerate(self._before):
            before[0] = 0 if state is None else state[k]
            if self._keep is not None:
                before[0] *= self._keep[0]
        self._z = z
        with np.errstate(over="ignore"):  # exp of a large z is infinite, and its gate is 0
            self._run(z)
        return self._after[0]

    @property
    def final_state(self) -> State:
        """The state after the last step of the last `forward`, copied."""
        return tuple(after[-1].copy() for after in self._after)

    @abstractmethod
    def activations(self) -> dict[str, Array]:
        """Every gate and state of the last `forward` by name, (T, B, H) each, as copies."""

    def _project(self, x: Array, embedding: Array | None, z: Array) -> None:
        weight, bias = self._scaled["input"], self._scaled["bias"]
        if x.dtype.kind in "iu":
            # A linear map of a looked-up row is a row of the mapped table.
            table = weight if embedding is None else embedding @ weight
            np.take(table, x, axis=0, out=z, mode="clip")
        else:
            np.matmul(rows(x), weight, out=rows(z))
        z += bias

    def _series(self, name: str, steps: int, batch: int) -> tuple[Array, Array]:
        """The states before and after every step; views of one array unless some are forgotten."""
        dtype = self.values["bias"].dtype
        if self._keep is None:
            both = self.space.array(name, (steps + 1, batch, self.hidden), dtype)
            return both[:-1], both[1:]
        both = self.space.array(name, (2, steps, batch, self.hidden), dtype)
        return both[0], both[1]

    def _hand_on(self, t: int) -> None:
        """Make the states after step t those before t + 1, except for what is forgotten."""
        if self._keep is not None and t + 1 < len(self._keep):
            for before, after in zip(self._before, self._after, strict=True):
                np.multiply(after[t], self._keep[t + 1], out=before[t + 1])

    @abstractmethod
    def _run(self, z: Array) -> None:
        """Fill the states after every step, given the input's share of the pre-activations."""

    # Backward -------------------------------------------------------------------------------

    def backward(self, dy: Array, final: State | None = None) -> Array:
        """Gradient with respect to the input, or to `embedding`, from that of the hidden states.

        `dy` (T, B, H) is used up: afterwards it holds the whole of dL/dh_t, later steps included.
        `final`: gradient with respect to the state after the last step. `initial_gradient` is
        afterwards that of the state before the first one.
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
        """As `_inputs_backward` with the gradients summed by token first."""
        weight = self.values["input"]
        size = len(weight if self._embedding is None else self._embedding)
        table = self.space.array("dtable", (size, dz.shape[1]), dz.dtype)
        table.fill(0)
        add_rows(table, self._x.ravel(), dz)
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
        """Stretches of time, last first."""
        size = max(1, _BLOCK // (batch * self.hidden))
        for end in range(steps, 0, -size):
            yield slice(max(0, end - size), end)

    @abstractmethod
    def _run_back(self, dh: Array, dz: Array, carry: State) -> None:
        """Make `dh` (T, B, H) whole, fill `dz` (T, B, G H) and the gradient of `hidden`.

        `carry` holds the gradient with respect to the state after the last step, and in the end
        that before the first.
        """


class Elman(Recurrent):
    """h_t = tanh(x_t W + h_{t-1} U + b), the simple recurrent network of Elman (1990).

    With `relu` instead of tanh, U begins as the identity and b as zero (Le, Jaitly and Hinton 2015,
    "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units").
    """

    gates = 1

    def __init__(self, inputs: int, hidden: int, *, relu: bool = False) -> None:
        super().__init__(inputs, hidden)
        self.relu = relu

    def initialise(self, rng: Generator) -> None:
        """As the base class; for `relu` U = I, b = 0 and small input weights."""
        super().initialise(rng)
        if self.relu:
            self.values["input"][...] = rng.normal(0, 0.03, self.shapes["input"])
            self.values["hidden"][...] = np.eye(self.hidden)
            self.values["bias"].fill(0)

    def activations(self) -> dict[str, Array]:
        """See `Recurrent`."""
        return {"hidden": self._after[0].copy()}

    def _run(self, z: Array) -> None:
        before, after, weight = self._before[0], self._after[0], self._scaled["hidden"]
        for t in range(len(z)):
            h = after[t]
            np.matmul(before[t], weight, out=h)
            np.add(h, z[t], out=h)
            if self.relu:
                np.maximum(h, 0, out=h)
            else:
                np.tanh(h, out=h)
            self._hand_on(t)

    def _run_back(self, dh: Array, dz: Array, carry: State) -> None:
        (later,) = carry
        h, keep, transposed = self._after[0], self._keep, self._weight.T
        for block in self._blocks(*h.shape[:2]):
            slope = self.space.array("slope", h[block].shape, h.dtype)
            if self.relu:
                np.greater(h[block], 0, out=slope, casting="unsafe")
            else:
                np.multiply(h[block], h[block], out=slope)
                np.subtract(1, slope, out=slope)
            for t in range(block.stop - 1, block.start - 1, -1):
                np.add(dh[t], later, out=dh[t])
                np.multiply(dh[t], slope[t - block.start], out=dz[t])
                np.matmul(dz[t], transposed, out=later)
                if keep is not None:
                    later *= keep[t]
        self._hidden_backward(dz)


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber 1997).

    With a forget gate (Gers, Schmidhuber and Cummins 2000): i, f, o = sigmoid(x W + h U + b) and
    g = tanh(x W + h U + b), each with columns of its own, in the order i, f, g, o;
    c_t = f c_{t-1} + i g, h_t = o tanh(c_t). The forget gate's bias begins at 1.
    """

    gates = 4
    n_states = 2

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)
        self._scale = np.repeat([-1.0, -1.0, -2.0, -1.0], hidden)

    def initialise(self, rng: Generator) -> None:
        """As the base class, and 1 for the bias of the forget gate."""
        super().initialise(rng)
        self.values["bias"][self.hidden : 2 * self.hidden] = 1

    def activations(self) -> dict[str, Array]:
        """See `Recurrent`."""
        i, f, _, o = self._split(self._z)
        arrays = {
            "input gate": i,
            "forget gate": f,
            "candidate": self._g,
            "output gate": o,
            "cell": self._after[1],
            "hidden": self._after[0],
        }
        return {name: array.copy() for name, array in arrays.items()}

    def _split(self, z: Array) -> list[Array]:
        return np.split(z, 4, axis=-1)

    def _run(self, z: Array) -> None:
        (h_before, c_before), (h_after, c_after) = self._before, self._after
        weight, shape = self._scaled["hidden"], z.shape[1:]
        recurrent = self.space.array("recurrent", shape, z.dtype)
        self._g = g = self.space.array("g", h_after.shape, z.dtype)
        self._tanh_c = tanh_c = self.space.array("tanh c", h_after.shape, z.dtype)
        i, f, s, o = self._split(z)
        for t in range(len(z)):
            zt, gt, ct = z[t], g[t], c_after[t]
            np.matmul(h_before[t], weight, out=recurrent)
            np.add(zt, recurrent, out=zt)
            np.exp(zt, out=zt)
            np.add(zt, 1, out=zt)
            np.divide(1, zt, out=zt)
            np.multiply(s[t], 2, out=gt)
            np.subtract(gt, 1, out=gt)
            np.multiply(f[t], c_before[t], out=ct)
            np.multiply(i[t], gt, out=tanh_c[t])
            np.add(ct, tanh_c[t], out=ct)
            np.tanh(ct, out=tanh_c[t])
            np.multiply(o[t], tanh_c[t], out=h_after[t])
            self._hand_on(t)

    def _run_back(self, dh: Array, dz: Array, carry: State) -> None:
        dh_later, dc = carry
        keep, transposed = self._keep, self._weight.T
        steps, batch, width = dh.shape
        z, g, tanh_c, c_before = self._z, self._g, self._tanh_c, self._before[1]
        i, f, _, o = self._split(z)
        dz_c = dz.reshape(steps, batch, 4, width)[:, :, :3]
        dz_o = dz[:, :, 3 * width :]
        share = self.space.array("share", (batch, width), dh.dtype)
        for block in self._blocks(steps, batch):
            # What each pre-activation's gradient is a multiple of: dc for i, f and g, dh for o.
            slope = self.space.array("slope", z[block].shape, z.dtype)
            np.subtract(1, z[block], out=slope)
            slope *= z[block]
            slope_i, slope_f, slope_g, slope_o = self._split(slope)
            slope_i *= g[block]
            slope_f *= c_before[block]
            slope_g *= i[block]
            slope_g *= 4  # tanh(z) = 2 sigmoid(2z) - 1
            slope_o *= tanh_c[block]
            slope_c = slope.reshape(-1, batch, 4, width)[:, :, :3]
            dc_dh = self.space.array("dc/dh", (len(slope), batch, width), z.dtype)
            np.multiply(tanh_c[block], tanh_c[block], out=dc_dh)
            np.subtract(1, dc_dh, out=dc_dh)
            dc_dh *= o[block]
            for t in range(block.stop - 1, block.start - 1, -1):
                k = t - block.start
                np.add(dh[t], dh_later, out=dh[t])
                np.multiply(dh[t], dc_dh[k], out=share)
                np.add(dc, share, out=dc)
                np.multiply(dc[:, None], slope_c[k], out=dz_c[t])
                np.multiply(dh[t], slope_o[k], out=dz_o[t])
                np.matmul(dz[t], transposed, out=dh_later)
                np.multiply(dc, f[t], out=dc)
                if keep is not None:
                    dh_later *= keep[t]
                    dc *= keep[t]
        self._hidden_backward(dz)


class GRU(Recurrent):
    """Gated recurrent unit (Cho et al. 2014), with the reset gate after the matrix product.

    r, u = sigmoid(x W + h U + b), n = tanh(x W_n + b_n + r (h U_n + b')),
    h_t = (1 - u) n + u h_{t-1}. This variant (the one of cuDNN and PyTorch) needs one product a
    step and a second bias b', `hidden_bias`; Cho et al. have n = tanh(x W_n + (r h) U_n + b_n).
    """

    gates = 3

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)
        self.shapes["hidden_bias"] = (hidden,)
        self._scale = np.repeat([-1.0, -1.0, 1.0], hidden)

    def activations(self) -> dict[str, Array]:
        """See `Recurrent`."""
        r, u, _ = np.split(self._z, 3, axis=-1)
        arrays = {
            "reset gate": r,
            "update gate": u,
            "candidate": self._n,
            "hidden": self._after[0],
        }
        return {name: array.copy() for name, array in arrays.items()}

    def _run(self, z: Array) -> None:
        before, after = self._before[0], self._after[0]
        width = self.hidden
        weight, bias = self._scaled["hidden"], self.values["hidden_bias"]
        recurrent = self.space.array("recurrent", z.shape[1:], z.dtype)
        self._n = n = self.space.array("n", after.shape, z.dtype)
        self._hn = hn = self.space.array("hn", after.shape, z.dtype)
        gates, from_x = z[:, :, : 2 * width], z[:, :, 2 * width :]
        recurrent_gates, recurrent_n = recurrent[:, : 2 * width], recurrent[:, 2 * width :]
        r, u = z[:, :, :width], z[:, :, width : 2 * width]
        for t in range(len(z)):
            s, nt, ht = gates[t], n[t], after[t]
            np.matmul(before[t], weight, out=recurrent)
            np.add(s, recurrent_gates, out=s)
            np.exp(s, out=s)
            np.add(s, 1, out=s)
            np.divide(1, s, out=s)
            np.add(recurrent_n, bias, out=hn[t])
            np.multiply(r[t], hn[t], out=nt)
            np.add(nt, from_x[t], out=nt)
            np.tanh(nt, out=nt)
            np.subtract(before[t], nt, out=ht)
            np.multiply(ht, u[t], out=ht)
            np.add(ht, nt, out=ht)
            self._hand_on(t)

    def _run_back(self, dh: Array, dz: Array, carry: State) -> None:
        (later,) = carry
        keep, transposed, before = self._keep, self._weight.T, self._before[0]
        steps, batch, width = dh.shape
        z, n, hn = self._z, self._n, self._hn
        r, u = z[:, :, :width], z[:, :, width : 2 * width]
        dz_all = dz.reshape(steps, batch, 3, width)
        slope_n = self.space.array("slope n", n.shape, n.dtype)
        through = self.space.array("through", (batch, width), dh.dtype)
        for block in self._blocks(steps, batch):
            # Every pre-activation's gradient is a multiple of dh; the third is that of h U_n + b'.
            slope = self.space.array("slope", (*n[block].shape[:2], 3, width), z.dtype)
            slope_r, slope_u, slope_hn = slope[:, :, 0], slope[:, :, 1], slope[:, :, 2]
            candidate = slope_n[block]
            np.multiply(n[block], n[block], out=candidate)
            np.subtract(1, candidate, out=candidate)
            np.subtract(1, u[block], out=slope_u)
            candidate *= slope_u
            slope_u *= u[block]
            np.subtract(before[block], n[block], out=slope_r)
            slope_u *= slope_r
            np.multiply(candidate, r[block], out=slope_hn)
            np.subtract(1, r[block], out=slope_r)
            slope_r *= slope_hn
            slope_r *= hn[block]
            for t in range(block.stop - 1, block.start - 1, -1):
                np.add(dh[t], later, out=dh[t])
                np.multiply(dh[t][:, None], slope[t - block.start], out=dz_all[t])
                np.matmul(dz[t], transposed, out=later)
                np.multiply(dh[t], u[t], out=through)
                np.add(later, through, out=later)
                if keep is not None:
                    later *= keep[t]
        self._hidden_backward(dz)
        dz_all[:, :, 2].reshape(-1, width).sum(axis=0, out=self.gradients["hidden_bias"])
        np.multiply(dh, slope_n, out=dz_all[:, :, 2])


CELLS: dict[str, type[Recurrent]] = {"rnn": Elman, "lstm": LSTM, "gru": GRU}
