"""A bidirectional recurrent layer."""

import numpy as np

from langmodels.arrays import Array
from langmodels.neural.layers.base import Layer
from langmodels.neural.layers.cells import make_cell


class Bidirectional(Layer):
    """Two independent recurrent layers, one forward and one backward in time.

    y_t = [h_t; g_t], with h_t read from x_1 .. x_t and g_t from x_T .. x_t (Schuster and Paliwal
    1997). Parameters: those of the two layers, as `forward.*` and `backward.*`.
    """

    def __init__(self, cell: str, inputs: int, hidden: int) -> None:
        self.directions = {
            "forward": make_cell(cell, inputs, hidden),
            "backward": make_cell(cell, inputs, hidden),
        }
        self.hidden = hidden
        super().__init__(parts=self.directions)

    def forward(
        self,
        x: Array,
        *,
        keep: Array | None = None,
        keep_back: Array | None = None,
        embedding: Array | None = None,
    ) -> Array:
        """The outputs (T, B, 2H) for inputs (T, B, E), or for token ids (T, B) and their
        `embedding` (V, E).

        `keep` (T, B) is 0 where the state of the forward layer is reset to zero before it reads
        x_t; `keep_back` (T, B) is the same for the backward layer.
        """
        forward, backward = self.directions.values()
        left = forward.forward(x, keep=keep, embedding=embedding)
        y = self.space.array("y", (*x.shape[:2], 2 * self.hidden), left.dtype)
        y[:, :, : self.hidden] = left
        flipped = None if keep_back is None else keep_back[::-1]
        x = np.ascontiguousarray(x[::-1])
        reverse = backward.forward(x, keep=flipped, embedding=embedding)
        self._embedded = embedding is None
        y[:, :, self.hidden :] = reverse[::-1]
        return y

    def backward(self, dy: Array) -> Array:
        """Map dL/dy (T, B, 2H) to dL/dx (T, B, E), or to dL/d embedding (V, E) for token ids."""
        forward, backward = self.directions.values()
        left = np.ascontiguousarray(dy[:, :, : self.hidden])
        right = np.ascontiguousarray(dy[::-1, :, self.hidden :])
        dx = forward.backward(left)
        d_right = backward.backward(right)
        dx += d_right[::-1] if self._embedded else d_right
        return dx
