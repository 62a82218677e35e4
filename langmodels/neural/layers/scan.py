"""Elementwise linear recurrences h_t = a_t h_{t-1} + b_t, sequentially or as a parallel scan.

Two steps compose to one with the decay a_2 a_1 and the input a_2 b_1 + b_2, and composition is
associative. So chunks of time can be computed in parallel and combined afterwards (Blelloch 1990,
"Prefix Sums and Their Applications"): more arithmetic in fewer, larger calls, which pays off where
a step has so few elements that the overhead of the call dominates.
"""

import numpy as np

from langmodels.arrays import Array
from langmodels.neural.layers.base import Workspace

_MAX_ELEMENTS, _MIN_STEPS = 512, 64
"""The chunked scan is faster for steps of at most so many elements, and at least so many steps."""


def linear_scan(decay: Array, inputs: Array, first: Array, out: Array, space: Workspace) -> None:
    """Fill `out` (T, ...) with h_t = decay_t h_{t-1} + inputs_t, from h_{-1} = `first` (...).

    `decay` and `inputs` are (T, ...) as well; `out` may be `inputs`.
    """
    if len(decay) < _MIN_STEPS or first.size > _MAX_ELEMENTS:
        sequential_scan(decay, inputs, first, out, space)
    else:
        chunked_scan(decay, inputs, first, out, space)


def sequential_scan(
    decay: Array, inputs: Array, first: Array, out: Array, space: Workspace
) -> None:
    """`linear_scan` by a loop over the T steps."""
    h = first
    step = space.array("step", first.shape, out.dtype)
    for t in range(len(decay)):
        np.multiply(decay[t], h, out=step)
        h = np.add(step, inputs[t], out=out[t])


def chunked_scan(decay: Array, inputs: Array, first: Array, out: Array, space: Workspace) -> None:
    """`linear_scan` over about sqrt(T) chunks in parallel: a loop over the sqrt(T) steps of all
    chunks, each from zero, then a loop over the chunks that adds the decayed state before each.
    """
    steps = max(1, round(len(decay) ** 0.5))
    n = len(decay) // steps
    whole = n * steps

    def chunks(array: Array) -> Array:
        return array[:whole].reshape(n, steps, *first.shape)

    a, b, h = chunks(decay), chunks(inputs), chunks(out)
    # The product of the decays from the beginning of a chunk up to each of its steps.
    through = space.array("through", a.shape, out.dtype)
    product = space.array("product", (n, *first.shape), out.dtype)
    through[:, 0], h[:, 0] = a[:, 0], b[:, 0]
    for t in range(1, steps):
        np.multiply(a[:, t], h[:, t - 1], out=product)
        np.add(product, b[:, t], out=h[:, t])
        np.multiply(through[:, t - 1], a[:, t], out=through[:, t])
    last = first
    for k in range(n):
        through[k] *= last
        h[k] += through[k]
        last = h[k, -1]
    sequential_scan(decay[whole:], inputs[whole:], last, out[whole:], space)
