"""Normalisation layers: RMSNorm and layer normalisation."""

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from langmodels.arrays import Array
from langmodels.neural.layers.base import CACHED, Generator, Layer, blocks, rows
from langmodels.neural.layers.parameters import Shape


class RMSNorm(Layer):
    """y = g z, z = x / sqrt(mean(x^2) + eps), for each vector x (Zhang and Sennrich 2019, eq. 4).

    dL/dx = (g dy - z mean(g dy z)) / sqrt(mean(x^2) + eps). The parameter `weight` is g.
    """

    epsilon = 1e-5
    centred = False
    """Whether the mean of x is subtracted first, and a bias added in the end (`LayerNorm`)."""

    def __init__(self, width: int) -> None:
        shapes: dict[str, Shape] = {"weight": (width,)}
        super().__init__({**shapes, "bias": (width,)} if self.centred else shapes)
        self.width = width

    def initialise(self, rng: Generator) -> None:
        """Set g = 1; the bias, if any, stays zero."""
        self.values["weight"].fill(1)

    def forward(self, x: Array) -> Array:
        """Map x (..., n) to y (..., n)."""
        flat, n = rows(x), self.width
        self._x = self.space.array("x", flat.shape, x.dtype)
        self._scale = self.space.array("scale", (len(flat), 1), x.dtype)
        y = self.space.array("y", x.shape, x.dtype)
        for part in self._blocks(len(flat)):
            z, scale, out = self._x[part], self._scale[part], rows(y)[part]
            if self.centred:
                np.subtract(flat[part], flat[part] @ _averaging(n, x.dtype), out=z)
            else:
                z[...] = flat[part]
            # 1 / sqrt(mean + eps) is sqrt(n) / sqrt(sum + n eps).
            np.einsum("ij,ij->i", z, z, out=scale[:, 0])
            scale += n * self.epsilon
            np.sqrt(scale, out=scale)
            np.divide(math.sqrt(n), scale, out=scale)
            z *= scale
            np.multiply(z, self.values["weight"], out=out)
            if self.centred:
                out += self.values["bias"]
        return y

    def backward(self, dy: Array) -> Array:
        """Map dL/dy (..., n) to dL/dx (..., n)."""
        flat, n = rows(dy), self.width
        dx = self.space.array("dx", dy.shape, dy.dtype)
        mean_weight = self.values["weight"] / n
        for gradient in self.gradients.values():
            gradient.fill(0)
        for part in self._blocks(len(flat)):
            d, z, out = flat[part], self._x[part], rows(dx)[part]
            ones = np.ones(len(d), d.dtype)
            np.multiply(d, z, out=out)
            self.gradients["weight"] += ones @ out
            along = (out @ mean_weight)[:, None]
            if self.centred:
                self.gradients["bias"] += ones @ d
                shift = (d @ mean_weight)[:, None]
            np.multiply(d, self.values["weight"], out=out)
            z *= along  # z is not needed again
            out -= z
            if self.centred:
                out -= shift
            out *= self._scale[part]
        return dx

    def _blocks(self, n: int) -> Iterator[slice]:
        return blocks(n, CACHED // self.width)


@lru_cache(maxsize=32)
def _averaging(n: int, dtype: np.dtype[np.generic]) -> Array:
    """The matrix (n, 1) by which rows are multiplied to get their means."""
    return np.full((n, 1), 1 / n, dtype)


class LayerNorm(RMSNorm):
    """y = g (x - mean(x)) / sqrt(var(x) + eps) + b for each vector x (Ba et al. 2016)."""

    centred = True


NORMS: dict[str, type[RMSNorm]] = {"layer": LayerNorm, "rms": RMSNorm}
