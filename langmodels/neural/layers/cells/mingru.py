"""The minimal gated recurrent unit, whose gate does not depend on the state."""

import numpy as np

from langmodels.arrays import Array
from langmodels.neural.layers.base import Generator
from langmodels.neural.layers.cells.base import Recurrent
from langmodels.neural.layers.scan import linear_scan
from langmodels.neural.layers.sequence import State


class MinGRU(Recurrent):
    """The minimal GRU (Feng, Tung, Hassan, Bengio and Hosseini 2024, "Were RNNs All We Needed?",
    section 3.1): a GRU without hidden-to-hidden weights and without tanh.

        u_t = sigmoid(x_t W_u + b_u)                          update gate
        n_t = x_t W_n + b_n                                   candidate
        h_t = (1 - u_t) h_{t-1} + u_t n_t

    u_t and n_t depend on x_t only, so that they are computed for all steps at once; what remains is
    a linear recurrence (`scan`). In a second layer x_t is a state, which contains the history.
    """

    gates = 2
    scan = staticmethod(linear_scan)

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)
        del self.shapes["hidden"]

    def refresh(self) -> None:
        """Use the parameters as they are; there is nothing to scale."""
        self._scaled = self.values

    def drop_weights(self, rate: float, rng: Generator) -> None:
        """Nothing to do: there are no hidden-to-hidden weights."""

    def activations(self) -> dict[str, Array]:
        """See `SequenceLayer`."""
        arrays = {
            "update gate": self._gate,
            "candidate": self._candidate,
            "hidden": self._after[0],
        }
        return {name: array.copy() for name, array in arrays.items()}

    def _run(self, z: Array) -> None:
        before, after, width = self._before[0], self._after[0], self.hidden
        self._gate, self._candidate = u, n = z[:, :, :width], z[:, :, width:]
        np.negative(u, out=u)
        np.exp(u, out=u)
        u += 1
        np.reciprocal(u, out=u)
        self._decay = decay = self.space.array("decay", after.shape, z.dtype)
        np.subtract(1, u, out=decay)
        if self._keep is not None:
            decay[1:] *= self._keep[1:]  # the state before the first step is already reset
        inputs = self.space.array("inputs", after.shape, z.dtype)
        np.multiply(u, n, out=inputs)
        self.scan(decay, inputs, before[0], after, self.space)
        if self._keep is not None:
            np.multiply(after[:-1], self._keep[1:], out=before[1:])

    def _run_back(self, dh: Array, dz: Array, carry: State) -> None:
        (later,) = carry
        dh[-1] += later
        # dL/dh_t = decay_{t+1} dL/dh_{t+1} + dh_t, the same recurrence backwards in time.
        self.scan(self._decay[:0:-1], dh[-2::-1], dh[-1], dh[-2::-1], self.space)
        du, dn = dz[:, :, : self.hidden], dz[:, :, self.hidden :]
        np.multiply(dh, self._gate, out=dn)
        np.subtract(self._candidate, self._before[0], out=du)
        du *= dn
        slope = self.space.array("inputs", dh.shape, dh.dtype)
        du *= np.subtract(1, self._gate, out=slope)
        np.multiply(dh[0], self._decay[0], out=later)
        if self._keep is not None:
            later *= self._keep[0]
