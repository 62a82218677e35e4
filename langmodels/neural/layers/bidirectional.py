"""A recurrent layer in each direction over the same steps."""

import numpy as np

from langmodels.arrays import Array
from langmodels.neural.layers.base import Layer
from langmodels.neural.layers.cells import make_cell


class Bidirectional(Layer):
    """Two independent recurrent layers, one forward and one backward in time.

    y_t = [forward state after t; backward state after t] (Schuster and Paliwal 1997). Parameters:
    those of the two, as `forward.*` and `backward.*`.
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
        """(T, B, E), or token ids (T, B) for rows of `embedding`, to (T, B, 2H).

        `keep` (T, B) is 0 where the forward state is reset to zero before a step; `keep_back` is
        the same for the backward layer.
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
        """(T, B, 2H) to (T, B, E), or to the gradient of `embedding`."""
        forward, backward = self.directions.values()
        left = np.ascontiguousarray(dy[:, :, : self.hidden])
        right = np.ascontiguousarray(dy[::-1, :, self.hidden :])
        dx = forward.backward(left)
        d_right = backward.backward(right)
        dx += d_right[::-1] if self._embedded else d_right
        return dx
