"""Linear recurrences h_t = a_t h_{t-1} + b_t over whole arrays.

They are associative: two steps compose to one with the decay a_2 a_1 and the input a_2 b_1 + b_2.
So stretches of time can be computed in parallel and combined afterwards (Blelloch 1990, "Prefix
Sums and Their Applications"): more arithmetic in fewer, larger calls, which pays off where a step
is so small that the overhead of the call dominates.
"""

import numpy as np

from langmodels.arrays import Array
from langmodels.neural.layers.base import Workspace

_WORTH = 512
"""Up to so many elements in a step, and from `_STEPS` steps on, stretches are faster than a
loop.
"""
_STEPS = 64


def linear_scan(decay: Array, inputs: Array, first: Array, out: Array, space: Workspace) -> None:
    """Fill `out` (T, ...) with h_t = decay_t h_{t-1} + inputs_t, from h_{-1} = `first` (...).

    `decay` and `inputs` are (T, ...) as well; `out` may be `inputs`.
    """
    if len(decay) < _STEPS or first.size > _WORTH:
        scan_by_steps(decay, inputs, first, out, space)
    else:
        scan_by_stretches(decay, inputs, first, out, space)


def scan_by_steps(decay: Array, inputs: Array, first: Array, out: Array, space: Workspace) -> None:
    """`linear_scan` by a loop over time."""
    h = first
    step = space.array("step", first.shape, out.dtype)
    for t in range(len(decay)):
        np.multiply(decay[t], h, out=step)
        h = np.add(step, inputs[t], out=out[t])


def scan_by_stretches(
    decay: Array, inputs: Array, first: Array, out: Array, space: Workspace
) -> None:
    """`linear_scan` by a loop over the steps of about sqrt(T) stretches, all at once."""
    steps = max(1, round(len(decay) ** 0.5))
    n = len(decay) // steps
    whole = n * steps

    def stretches(array: Array) -> Array:
        return array[:whole].reshape(n, steps, *first.shape)

    a, b, h = stretches(decay), stretches(inputs), stretches(out)
    # The decay from the beginning of its stretch up to each step.
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
    scan_by_steps(decay[whole:], inputs[whole:], last, out[whole:], space)
