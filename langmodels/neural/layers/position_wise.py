"""The position-wise layers of a Transformer: projections, and feed-forward units (GELU, SwiGLU)."""

import math
from abc import abstractmethod
from collections.abc import Iterator

import numpy as np

from langmodels.arrays import Array
from langmodels.neural.layers.base import Generator, Layer, rows, stretches, sum_rows
from langmodels.neural.layers.parameters import Shape

# Elements of a block, over which all passes are made before the next: small enough for the cache,
# and large enough that threads seldom wait for each other between calls.
_BLOCK = 131_072


class Projection(Layer):
    """y = x W (+ b) for x (..., n); weights are initialised uniformly within 1/sqrt(n), biases to
    zero.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool) -> None:
        shapes: dict[str, Shape] = {"weight": (inputs, outputs)}
        super().__init__({**shapes, "bias": (outputs,)} if bias else shapes)
        self.gain = 1.0

    def initialise(self, rng: Generator) -> None:
        """Uniform within `gain` / sqrt(inputs)."""
        weight = self.values["weight"]
        bound = self.gain / math.sqrt(len(weight))
        weight[...] = rng.uniform(-bound, bound, weight.shape)

    def forward(self, x: Array) -> Array:
        """(..., n) to (..., m)."""
        self._x = x
        weight = self.values["weight"]
        y = self.space.array("y", (*x.shape[:-1], weight.shape[1]), x.dtype)
        np.matmul(rows(x), weight, out=rows(y))
        if "bias" in self.values:
            y += self.values["bias"]
        return y

    def backward(self, dy: Array) -> Array:
        """(..., m) to (..., n)."""
        dx = self.space.array("dx", self._x.shape, dy.dtype)
        np.matmul(rows(self._x).T, rows(dy), out=self.gradients["weight"])
        if "bias" in self.values:
            sum_rows(rows(dy), self.gradients["bias"])
        np.matmul(rows(dy), self.values["weight"].T, out=rows(dx))
        return dx


class PositionWise(Layer):
    """y = f(x W) V (+ biases) for each vector x, with `inner` units in between.

    Parameters: `up.weight`, `down.weight`, and with `bias` `up.bias`, `down.bias`.
    """

    widening = 1
    """Inputs of f per unit."""

    def __init__(self, width: int, inner: int, bias: bool) -> None:
        self.up = Projection(width, self.widening * inner, bias)
        self.down = Projection(inner, width, bias)
        super().__init__(parts={"up": self.up, "down": self.down})
        self.inner = inner

    @staticmethod
    @abstractmethod
    def usual(width: int) -> int:
        """The default number of units for a width."""

    def forward(self, x: Array) -> Array:
        """(..., n) to (..., n)."""
        u = self.up.forward(x)
        self._u, shape = rows(u), (u.size // u.shape[-1], self.inner)
        self._s = self.space.array("s", shape, x.dtype)
        self._y = self.space.array("y", (*x.shape[:-1], self.inner), x.dtype)
        with np.errstate(over="ignore"):  # exp of a large number is infinite, and its inverse 0
            for part in self._blocks(shape[0]):
                self._apply(self._u[part], self._s[part], rows(self._y)[part])
        return self.down.forward(self._y)

    def backward(self, dy: Array) -> Array:
        """(..., n) to (..., n)."""
        d_inner = self.down.backward(dy)
        du = self.space.array("du", (*dy.shape[:-1], self.widening * self.inner), dy.dtype)
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
        return stretches(n, _BLOCK // self.inner)

    @abstractmethod
    def _apply(self, u: Array, s: Array, y: Array) -> None:
        """Write f(u) to y (N, inner), and what the derivative needs to s (N, inner)."""

    @abstractmethod
    def _apply_back(self, dy: Array, u: Array, s: Array, y: Array, du: Array) -> None:
        """Write the gradient of u to du; dy and s are overwritten."""


class GELU(PositionWise):
    """f(u) = u Phi(u), with the normal distribution function Phi nearly as in Hendrycks and Gimpel
    2016, section 2: (1 + tanh(c (u + 0.044715 u^3))) / 2 with c = sqrt(2 / pi).
    """

    _c, _a = 2 * math.sqrt(2 / math.pi), 0.044715  # (1 + tanh(z)) / 2 = sigmoid(2 z)

    @staticmethod
    def usual(width: int) -> int:
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
        # f' = s + u s (1 - s) z' with z' = c (1 + 3 a u^2), and u s = f.
        np.multiply(u, u, out=du)
        du *= 3 * self._a * self._c
        du += self._c
        du *= y
        np.subtract(1, s, out=y)
        du *= y
        du += s
        du *= dy


class SwiGLU(PositionWise):
    """f(u) = a sigmoid(a) b, where a and b are the halves of u (Shazeer 2020, equation 5)."""

    widening = 2

    @staticmethod
    def usual(width: int) -> int:
        """8/3 of the width, rounded to a multiple of eight: as many weights as plain units of four
        times the width.
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
        np.multiply(a, s, out=db)  # silu(a), whose derivative is s + silu(a) (1 - s)
        np.subtract(1, s, out=da)
        da *= db
        da += s
        da *= b
        da *= dy
        db *= dy


def _sigmoid_of_negated(z: Array) -> None:
    """In place: 1 / (1 + exp(z))."""
    np.exp(z, out=z)
    z += 1
    np.divide(1, z, out=z)


ACTIVATIONS: dict[str, type[PositionWise]] = {"gelu": GELU, "swiglu": SwiGLU}
