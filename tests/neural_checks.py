"""Gradient checks of layers and networks by finite differences."""

from collections.abc import Callable

import numpy as np

from langmodels.neural.layers.base import Layer
from langmodels.neural.network import Network


def bind(layer: Layer, dtype=np.float64, seed=0) -> Layer:
    """Bind a layer to arrays of its own, with random parameters."""
    layer.bind(
        {k: np.zeros(s, dtype) for k, s in layer.shapes.items()},
        {k: np.full(s, np.nan, dtype) for k, s in layer.shapes.items()},
    )
    layer.initialise(np.random.default_rng(seed))
    layer.refresh()
    return layer


def numerical_gradient(f: Callable[[], float], array: np.ndarray, step: float = 1e-6):
    """The gradient of f() with respect to every element of an array, by central differences."""
    result = np.empty_like(array)
    for index in np.ndindex(array.shape):
        kept = array[index]
        array[index] = kept + step
        above = f()
        array[index] = kept - step
        below = f()
        array[index] = kept
        result[index] = (above - below) / (2 * step)
    return result


def check_layer(layer: Layer, f: Callable[[], np.ndarray], back: Callable[[np.ndarray], None]):
    """Assert that the gradients of sum(weights * f()) by all parameters equal finite differences.

    `back` takes the gradient with respect to f() and fills the gradients of the layer.
    """
    weights = np.random.default_rng(5).standard_normal(f().shape)

    def loss() -> float:
        layer.refresh()
        return float((weights * f()).sum())

    loss()
    back(weights.copy())
    kept = {name: g.copy() for name, g in layer.gradients.items()}
    for name, array in layer.values.items():
        np.testing.assert_allclose(
            kept[name], numerical_gradient(loss, array), rtol=1e-6, atol=1e-7, err_msg=name
        )


def check_network(network: Network, batch, *, count: int = 40, restart=None):
    """Assert that the gradient of a network's loss equals finite differences at `count` parameters.

    `restart` is called before every evaluation, for networks that carry a state.
    """
    scale = 0.37

    def loss() -> float:
        if restart is not None:
            restart()
        network.refresh()
        return network.loss(batch, scale, None) * scale

    loss()
    analytic = network.gradients.flat.copy()
    w = network.parameters.flat
    rng = np.random.default_rng(3)
    # One element at least of every array.
    chosen, begin = list(rng.choice(w.size, min(count, w.size), replace=False)), 0
    for shape in network.parameters.shapes.values():
        size = int(np.prod(shape))
        chosen += list(begin + rng.choice(size, min(3, size), replace=False))
        begin += size
    for i in chosen:
        kept, step = w[i], 1e-6
        w[i] = kept + step
        above = loss()
        w[i] = kept - step
        below = loss()
        w[i] = kept
        assert abs(analytic[i] - (above - below) / (2 * step)) < 1e-7, i
