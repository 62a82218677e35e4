"""Long short-term memory."""

import numpy as np

from langmodels.arrays import Array
from langmodels.neural.layers.base import Generator
from langmodels.neural.layers.cells.base import Recurrent
from langmodels.neural.layers.sequence import State


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber 1997) with a forget gate (Gers,
    Schmidhuber and Cummins 2000).

        i, f, o = sigmoid(x W + h_{t-1} U + b)                input, forget and output gate
        g = tanh(x W + h_{t-1} U + b)                         candidate
        c_t = f c_{t-1} + i g
        h_t = o tanh(c_t)

    Each gate has its own columns of W, U and b, in the order i, f, g, o.
    """

    gates = 4
    n_states = 2

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)
        self._scale = np.repeat([-1.0, -1.0, -2.0, -1.0], hidden)

    def initialise(self, rng: Generator) -> None:
        """As the base class, but 1 for the bias of the forget gate (Jozefowicz, Zaremba and
        Sutskever 2015).
        """
        super().initialise(rng)
        self.values["bias"][self.hidden : 2 * self.hidden] = 1

    def activations(self) -> dict[str, Array]:
        """See `SequenceLayer`."""
        i, f, _, o = self._gates.transpose(1, 0, 2, 3)
        arrays = {
            "input gate": i,
            "forget gate": f,
            "candidate": self._beside[:, 0],
            "output gate": o,
            "cell": self._after[1],
            "hidden": self._after[0],
        }
        return {name: array.copy() for name, array in arrays.items()}

    def _series(self, k: int, steps: int, batch: int) -> tuple[Array, Array]:
        """As the base class, but c_{t-1} is stored beside g_t, (T, 2, B, H), so that one call
        multiplies i by g_t and f by c_{t-1}.
        """
        if k == 0:
            return super()._series(k, steps, batch)
        dtype = self.values["bias"].dtype
        beside = self.space.array("g, c", (steps + 1, 2, batch, self.hidden), dtype)
        self._beside = beside[:-1]
        if self._keep is None:
            return beside[:-1, 1], beside[1:, 1]
        return beside[:-1, 1], self.space.array("c", (steps, batch, self.hidden), dtype)

    def _run(self, z: Array) -> None:
        h_before, (h_after, c_after) = self._before[0], self._after
        (steps, batch, width), dtype = h_after.shape, z.dtype
        weight, one, two = self._scaled["hidden"], np.ones((), dtype), np.full((), 2, dtype)
        recurrent = self.space.array("recurrent", (batch, 4 * width), dtype)
        # By gate, (steps, 4, B, H), so that each call works on contiguous memory.
        self._gates = gates = self.space.array("gates", (steps, 4, batch, width), dtype)
        self._products = self.space.array("i g, f c", (steps, 2, batch, width), dtype)
        self._tanh_c = self.space.array("tanh c", h_after.shape, dtype)
        by_gate = self._by_gate(recurrent)
        for t, (gate, beside, products, tanh_c) in enumerate(
            zip(gates, self._beside, self._products, self._tanh_c, strict=True)
        ):
            np.matmul(h_before[t], weight, out=recurrent)
            np.add(recurrent, z[t], out=recurrent)
            np.exp(recurrent, out=recurrent)
            np.add(recurrent, one, out=recurrent)
            np.divide(one, by_gate, out=gate)
            g, c = beside[0], c_after[t]
            np.multiply(gate[2], two, out=g)
            np.subtract(g, one, out=g)
            np.multiply(gate[:2], beside, out=products)
            np.add(products[0], products[1], out=c)
            np.tanh(c, out=tanh_c)
            np.multiply(gate[3], tanh_c, out=h_after[t])
            self._hand_on(t)

    def _by_gate(self, z: Array) -> Array:
        """A view (..., 4, B, H) of (..., B, 4 H)."""
        return z.reshape(*z.shape[:-1], 4, self.hidden).swapaxes(-2, -3)

    def _run_back(self, dh: Array, dz: Array, carry: State) -> None:
        dh_later, dc = carry
        keep, transposed = self._keep, self._weight.T
        steps, batch, width = dh.shape
        gates, products, h, tanh_c = self._gates, self._products, self._after[0], self._tanh_c
        dz_gates = self._by_gate(dz)
        share = self.space.array("share", (batch, width), dh.dtype)
        for block in self._blocks(steps, batch):
            # dL/dz = slope dL/dc_t for i, f and g; dL/dz = slope dL/dh_t for o.
            slope = self.space.array("slope", gates[block].shape, dh.dtype)
            np.subtract(1, gates[block], out=slope)
            slope[:, :2] *= products[block]  # i (1 - i) g and f (1 - f) c
            np.multiply(products[block, 0], self._beside[block, 0], out=slope[:, 2])
            np.subtract(gates[block, 0], slope[:, 2], out=slope[:, 2])  # i (1 - g^2)
            slope[:, 3] *= h[block]  # o (1 - o) tanh(c)
            dc_dh = self.space.array("dc/dh", h[block].shape, dh.dtype)
            np.multiply(h[block], tanh_c[block], out=dc_dh)
            np.subtract(gates[block, 3], dc_dh, out=dc_dh)  # o (1 - tanh(c)^2)
            for t in range(block.stop - 1, block.start - 1, -1):
                k, dht, dzt = t - block.start, dh[t], dz_gates[t]
                np.add(dht, dh_later, out=dht)
                np.multiply(dht, dc_dh[k], out=share)
                np.add(dc, share, out=dc)
                np.multiply(dc, slope[k, :3], out=dzt[:3])
                np.multiply(dht, slope[k, 3], out=dzt[3])
                np.matmul(dz[t], transposed, out=dh_later)
                np.multiply(dc, gates[t, 1], out=dc)
                if keep is not None:
                    dh_later *= keep[t]
                    dc *= keep[t]
        self._hidden_backward(dz)
