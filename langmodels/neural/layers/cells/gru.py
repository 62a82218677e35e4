"""The gated recurrent unit."""

import numpy as np

from langmodels.arrays import Array
from langmodels.neural.layers.cells.base import Recurrent
from langmodels.neural.layers.sequence import State


class GRU(Recurrent):
    """Gated recurrent unit (Cho et al. 2014), in the variant of cuDNN and PyTorch.

        r = sigmoid(x W_r + h_{t-1} U_r + b_r)                reset gate
        u = sigmoid(x W_u + h_{t-1} U_u + b_u)                update gate
        n = tanh(x W_n + b_n + r (h_{t-1} U_n + b'))          candidate
        h_t = (1 - u) n + u h_{t-1}

    The columns of `input`, `hidden` and `bias` are in the order r, u, n; b' is `hidden_bias` (H,).
    The reset gate is applied after the product with U_n, so that one product per step is enough;
    Cho et al. have n = tanh(x W_n + (r h_{t-1}) U_n + b_n).
    """

    gates = 3

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)
        self.shapes["hidden_bias"] = (hidden,)
        self._scale = np.repeat([-1.0, -1.0, 1.0], hidden)

    def activations(self) -> dict[str, Array]:
        """See `SequenceLayer`."""
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
            # dL/dz = slope dL/dh_t for r and u, and for a third quantity, h U_n + b'. The slope of
            # n itself, (1 - u) (1 - n^2), is kept for the gradients of W_n and b_n at the end.
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
