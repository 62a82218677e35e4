"""The simple recurrent network."""

import numpy as np

from langmodels.arrays import Array
from langmodels.neural.layers.base import Generator
from langmodels.neural.layers.cells.base import Recurrent
from langmodels.neural.layers.sequence import State


class Elman(Recurrent):
    """h_t = tanh(x_t W + h_{t-1} U + b), the simple recurrent network of Elman (1990).

    With `relu` instead of tanh, U is initialised to the identity and b to zero (Le, Jaitly and
    Hinton 2015, "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units").
    """

    gates = 1

    def __init__(self, inputs: int, hidden: int, *, relu: bool = False) -> None:
        super().__init__(inputs, hidden)
        self.relu = relu

    def initialise(self, rng: Generator) -> None:
        """As the base class; with `relu` U = I, b = 0 and W normal with deviation 0.03."""
        super().initialise(rng)
        if self.relu:
            self.values["input"][...] = rng.normal(0, 0.03, self.shapes["input"])
            self.values["hidden"][...] = np.eye(self.hidden)
            self.values["bias"].fill(0)

    def activations(self) -> dict[str, Array]:
        """See `SequenceLayer`."""
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
