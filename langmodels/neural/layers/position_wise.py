"""The position-wise layers of a Transformer: linear maps and feed-forward layers (GELU, SwiGLU)."""

import math
from abc import abstractmethod
from collections.abc import Iterator

import numpy as np

from langmodels.arrays import Array
from langmodels.neural.layers.base import CACHED, Generator, Layer, Linear, blocks, rows


class Projection(Linear):
    """A linear layer whose biases start at zero, and whose initial weights have a `gain`."""

    gain = 1.0

    def initialise(self, rng: Generator) -> None:
        """W uniform in [-gain/sqrt(n), gain/sqrt(n)], b = 0."""
        weight = self.values["weight"]
        bound = self.gain / math.sqrt(len(weight))
        weight[...] = rng.uniform(-bound, bound, weight.shape)


class FeedForward(Layer):
    """y = f(x W + b) V + c at each position (Vaswani et al. 2017, section 3.3): the MLP of a block.

    x and y are (..., width), f(u) is (..., inner). W, b and V, c are the parameters `up.weight`,
    `up.bias`, `down.weight` and `down.bias`; without `bias` b = c = 0.
    """

    fan_in = 1
    """Components of u = x W + b that f maps to one unit."""

    def __init__(self, width: int, inner: int, *, bias: bool) -> None:
        self.up = Projection(width, self.fan_in * inner, bias=bias)
        self.down = Projection(inner, width, bias=bias)
        super().__init__(parts={"up": self.up, "down": self.down})
        self.inner = inner

    @staticmethod
    @abstractmethod
    def default_inner(width: int) -> int:
        """The default number of inner units for a width."""

    def forward(self, x: Array) -> Array:
        """Map x (..., width) to y (..., width)."""
        u = self.up.forward(x)
        self._u, shape = rows(u), (u.size // u.shape[-1], self.inner)
        self._s = self.space.array("s", shape, x.dtype)
        self._y = self.space.array("y", (*x.shape[:-1], self.inner), x.dtype)
        with np.errstate(over="ignore"):  # exp(z) overflows to inf, and 1 / (1 + inf) is 0
            for part in self._blocks(shape[0]):
                self._apply(self._u[part], self._s[part], rows(self._y)[part])
        return self.down.forward(self._y)

    def backward(self, dy: Array) -> Array:
        """Map dL/dy (..., width) to dL/dx (..., width)."""
        d_inner = self.down.backward(dy)
        du = self.space.array("du", (*dy.shape[:-1], self.fan_in * self.inner), dy.dtype)
        for part in self._blocks(len(self._u)):
            self._apply_back(
                rows(d_inner)[part],
                self._u[part],
                self._s[part],
                rows(self._y)[part],
                rows(du)[part],
            )
        return self.up.backward(du)

    def _blocks(self, n: int) -> Iterator[slice]:
        return blocks(n, CACHED // self.inner)

    @abstractmethod
    def _apply(self, u: Array, s: Array, y: Array) -> None:
        """Write f(u) to y (N, inner), and the sigmoid in f to s (N, inner); u (N, fan_in inner)."""

    @abstractmethod
    def _apply_back(self, dy: Array, u: Array, s: Array, y: Array, du: Array) -> None:
        """Write dL/du to du, given dL/dy, u, and s and y of `_apply`; dy, s and y may be
        overwritten.
        """


class GELU(FeedForward):
    """f(u) = u Phi(u), with the tanh approximation of the normal distribution function Phi.

    Phi(u) = (1 + tanh(sqrt(2/pi) (u + 0.044715 u^3))) / 2 = sigmoid(c (u + a u^3)) with c = 2
    sqrt(2/pi) (Hendrycks and Gimpel 2016, section 2).
    """

    _c, _a = 2 * math.sqrt(2 / math.pi), 0.044715

    @staticmethod
    def default_inner(width: int) -> int:
        """Four times the width."""
        return 4 * width

    def _apply(self, u: Array, s: Array, y: Array) -> None:
        np.multiply(u, u, out=s)
        s *= -self._c * self._a
        s -= self._c
        s *= u
        _sigmoid_of_negated(s)
        np.multiply(u, s, out=y)

    def _apply_back(self, dy: Array, u: Array, s: Array, y: Array, du: Array) -> None:
        # f = u s with s = sigmoid(z), so f' = s + f (1 - s) z' with z' = c (1 + 3 a u^2).
        np.multiply(u, u, out=du)
        du *= 3 * self._a * self._c
        du += self._c
        du *= y
        np.subtract(1, s, out=y)
        du *= y
        du += s
        du *= dy


class SwiGLU(FeedForward):
    """f([a; b]) = silu(a) b = a sigmoid(a) b (Shazeer 2020, equation 5)."""

    fan_in = 2

    @staticmethod
    def default_inner(width: int) -> int:
        """8/3 of the width, rounded down to a multiple of eight.

        The three matrices then have as many weights as the two of a GELU layer with 4 width units.
        """
        return max(1, width // 3) * 8 if width < 24 else width * 8 // 3 // 8 * 8

    def _apply(self, u: Array, s: Array, y: Array) -> None:
        a, b = u[:, : self.inner], u[:, self.inner :]
        np.negative(a, out=s)
        _sigmoid_of_negated(s)
        np.multiply(a, s, out=y)
        y *= b

    def _apply_back(self, dy: Array, u: Array, s: Array, y: Array, du: Array) -> None:
        a, b = u[:, : self.inner], u[:, self.inner :]
        da, db = du[:, : self.inner], du[:, self.inner :]
        np.multiply(a, s, out=db)  # db = silu(a) dy; silu'(a) = s + silu(a) (1 - s)
        np.subtract(1, s, out=da)
        da *= db
        da += s
        da *= b
        da *= dy
        db *= dy


def _sigmoid_of_negated(z: Array) -> None:
    """Replace z by sigmoid(-z) = 1 / (1 + exp(z))."""
    np.exp(z, out=z)
    z += 1
    np.divide(1, z, out=z)


ACTIVATIONS: dict[str, type[FeedForward]] = {"gelu": GELU, "swiglu": SwiGLU}
