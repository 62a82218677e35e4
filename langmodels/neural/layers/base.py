"""The base class of layers, and the basic layers: linear, embedding, dropout."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from langmodels.arrays import Array
from langmodels.neural.layers.parameters import Shape, under

Generator = np.random.Generator


class Workspace:
    """Named scratch arrays that are allocated once and reused in every training step.

    The page faults of a newly allocated large array take as long as the arithmetic on it.
    """

    def __init__(self) -> None:
        self._flat: dict[str, Array] = {}
        self._last: dict[str, Array] = {}

    def array(self, name: str, shape: Shape, dtype: Any) -> Array:
        """An uninitialised array of this shape; it reuses the memory of the last one for `name`."""
        last = self._last.get(name)
        if last is not None and last.shape == shape and last.dtype == dtype:
            return last
        size = math.prod(shape)
        flat = self._flat.get(name)
        if flat is None or flat.size < size or flat.dtype != dtype:
            flat = self._flat[name] = np.empty(size, dtype)
        last = self._last[name] = flat[:size].reshape(shape)
        return last


class Layer:
    """A differentiable function with parameters; it may be composed of other layers.

    A subclass passes the `shapes` of its own parameters and its `parts`, the layers it is composed
    of by name. A parameter p of the part q is the parameter `q.p` of the whole. `Network` binds two
    arrays to every parameter: one in `values`, shared by all replicas, and one in `gradients`, one
    per replica.

    `forward` keeps the activations that `backward` needs until the next `forward`. `backward` takes
    dL/dy, the gradient of the loss with respect to the output; it overwrites `gradients` and
    returns dL/dx. In the code `dx` is short for dL/dx. The arrays that a layer returns belong to it
    and are overwritten by its next call; `backward` may overwrite the array it is given.
    """

    def __init__(
        self,
        shapes: Mapping[str, Shape] | None = None,
        parts: Mapping[str, "Layer"] | None = None,
    ) -> None:
        self.parts = dict(parts or {})
        self.shapes = dict(shapes or {})
        for name, part in self.parts.items():
            self.shapes |= {f"{name}.{key}": shape for key, shape in part.shapes.items()}
        self.values: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}
        self.space = Workspace()

    def bind(self, values: dict[str, Array], gradients: dict[str, Array]) -> None:
        """Set the arrays of the parameters and of their gradients; their shapes are `shapes`."""
        self.values, self.gradients = values, gradients
        for name, part in self.parts.items():
            part.bind(under(name, values), under(name, gradients))

    def initialise(self, rng: Generator) -> None:
        """Initialise the parameters in place; by default those of the parts, in order."""
        for part in self.parts.values():
            part.initialise(rng)

    def refresh(self) -> None:
        """Recompute what is derived from the parameters; called whenever they have changed."""
        for part in self.parts.values():
            part.refresh()


class Linear(Layer):
    """y = x W + b for x (..., n), W (n, m) and b (m,); y = x W without `bias`."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        shapes: dict[str, Shape] = {"weight": (inputs, outputs)}
        super().__init__({**shapes, "bias": (outputs,)} if bias else shapes)

    def initialise(self, rng: Generator) -> None:
        """W and b uniform in [-1/sqrt(n), 1/sqrt(n)]."""
        bound = self.shapes["weight"][0] ** -0.5
        for array in self.values.values():
            array[...] = rng.uniform(-bound, bound, array.shape)

    def forward(self, x: Array) -> Array:
        """Map x (..., n) to y (..., m)."""
        self._x = x
        weight = self.values["weight"]
        y = self.space.array("y", (*x.shape[:-1], weight.shape[1]), x.dtype)
        np.matmul(rows(x), weight, out=rows(y))
        if "bias" in self.values:
            y += self.values["bias"]
        return y

    def backward(self, dy: Array) -> Array:
        """Map dL/dy (..., m) to dL/dx (..., n)."""
        dx = self.space.array("dx", self._x.shape, dy.dtype)
        np.matmul(rows(self._x).T, rows(dy), out=self.gradients["weight"])
        if "bias" in self.values:
            sum_rows(rows(dy), self.gradients["bias"])
        np.matmul(rows(dy), self.values["weight"].T, out=rows(dx))
        return dx


class Embedding(Layer):
    """Maps token ids to rows of a matrix (V, E).

    With `tied` the output layer uses the same matrix. Its backward pass comes first and overwrites
    the gradient of the matrix; the backward pass of the embedding then adds to it.
    """

    def __init__(
        self, vocabulary: int, width: int, *, tied: bool = False, unit_rows: bool = False
    ) -> None:
        super().__init__({"weight": (vocabulary, width)})
        self.tied = tied
        self.unit_rows = tied or unit_rows

    def initialise(self, rng: Generator) -> None:
        """Standard normal; if `tied` or `unit_rows` divided by sqrt(E), for rows of about unit
        length.
        """
        weight = self.values["weight"]
        weight[...] = rng.standard_normal(weight.shape)
        if self.unit_rows:
            weight *= weight.shape[1] ** -0.5

    @property
    def table(self) -> Array | None:
        """The vectors of all tokens, (V, E); None if they are computed on demand."""
        return self.values["weight"]

    def forward(self, tokens: Array) -> Array:
        """Token ids (...) to vectors (..., E)."""
        self._tokens = tokens
        weight = self.values["weight"]
        x = self.space.array("x", (*tokens.shape, weight.shape[1]), weight.dtype)
        return np.take(weight, tokens, axis=0, out=x, mode="clip")

    def backward(self, dx: Array) -> None:
        """Compute the gradient of the matrix from dL/dx of the vectors, (..., E)."""
        gradient = self.gradients["weight"]
        if not self.tied:
            gradient.fill(0)
        add_rows(gradient, self._tokens.ravel(), rows(dx))


class Dropout(Layer):
    """Inverted dropout: y = x m / (1 - rate), with m = 0 with probability `rate` and 1 otherwise.

    Srivastava et al. 2014, scaled in training rather than in testing. With `shared_steps` one mask
    (B, n) serves all time steps of x (T, B, n): "variational" dropout, Gal and Ghahramani 2016,
    section 4.
    """

    def __init__(self, rate: float, *, shared_steps: bool = False) -> None:
        super().__init__()
        self.rate = rate
        self.shared_steps = shared_steps
        self._mask: Array | None = None

    def forward(self, x: Array, rng: Generator | None) -> Array:
        """Draw a mask and apply it to x; without `rng`, outside training, return x itself."""
        if rng is None or self.rate == 0:
            self._mask = None
            return x
        shape = (1, *x.shape[1:]) if self.shared_steps else x.shape
        self._mask = draw_mask(self.space.array("mask", shape, x.dtype), self.rate, rng)
        y = self.space.array("y", x.shape, x.dtype)
        return np.multiply(x, self._mask, out=y)

    @property
    def active(self) -> bool:
        """Whether the last `forward` applied a mask."""
        return self._mask is not None

    def backward(self, dy: Array) -> Array:
        """Map dL/dy to dL/dx: multiply by the mask of `forward`, in place."""
        if self._mask is not None:
            dy *= self._mask
        return dy


class TokenInput:
    """The input of a network's first layer: embedded tokens with dropout.

    If a batch has more tokens than the vocabulary has types, and there is no dropout, the vectors
    are not looked up: the first layer gets the token ids and the embedding matrix, multiplies the V
    rows of the matrix by its weights, and looks up the products.
    """

    def __init__(self, embedding: Embedding, dropout: Dropout) -> None:
        self.embedding, self.dropout = embedding, dropout

    def forward(self, tokens: Array, rng: Generator | None) -> tuple[Array, Array | None]:
        """The arguments `x` and `embedding` of `SequenceLayer.forward`: vectors (T, B, E) and None,
        or token ids (T, B) and the embedding matrix (V, E).
        """
        table = self.embedding.table
        self._by_table = table is not None and self.dropout.rate == 0 and len(table) < tokens.size
        if self._by_table:
            return tokens, table
        return self.dropout.forward(self.embedding.forward(tokens), rng), None

    def backward(self, d: Array) -> None:
        """Back-propagate the gradient of the vectors (T, B, E), or of the matrix (V, E), that
        `forward` returned.
        """
        if not self._by_table:
            self.embedding.backward(self.dropout.backward(d))
        elif self.embedding.tied:
            self.embedding.gradients["weight"] += d
        else:
            self.embedding.gradients["weight"][...] = d


def draw_mask(out: Array, rate: float, rng: Generator) -> Array:
    """Fill an array with 0 with probability `rate`, and 1 / (1 - rate) otherwise."""
    # 16 random bits per element resolve the rate to 1.5e-5 and take a quarter of the time of
    # floating-point draws.
    bits = np.frombuffer(rng.bytes(2 * out.size), np.uint16).reshape(out.shape)
    np.greater_equal(bits, round(rate * 65536), out=out, casting="unsafe")
    out *= 1 / (1 - rate)
    return out


def rows(x: Array) -> Array:
    """Flatten all leading axes: (..., n) to (N, n)."""
    return x.reshape(-1, x.shape[-1])


CACHED = 131_072
"""Elements of a block of rows on which several elementwise passes are made before the next block.

At this size a block stays in the L2 cache, and calls are long enough that threads seldom wait for
each other between them.
"""


def blocks(n: int, size: int) -> Iterator[slice]:
    """Cut range(n) into nearly equal slices of about `size`, at most 1.5 times as long.

    A short last slice would be a call with little work, in which threads wait for each other.
    """
    if n <= size:
        yield slice(0, n)
        return
    count = max(1, min(n, -(-2 * n // (3 * max(1, size)))))
    for k in range(count):
        yield slice(n * k // count, n * (k + 1) // count)


def sum_rows(x: Array, out: Array) -> None:
    """Write the sum over the rows of x (N, n) to `out` (n,); a product is faster than `sum`."""
    np.matmul(np.ones(len(x), x.dtype), x, out=out)


def sum_by_row(size: int, index: Array, source: Array) -> Array:
    """The segment sum (size, n) of `source` (K, n): row r is the sum of source[index == r]."""
    n = len(index)
    # A sparse matrix whose column k has a one in row index[k].
    from scipy.sparse import csc_array  # slow to import, and needed in training only

    selection = csc_array((np.ones(n, source.dtype), index, np.arange(n + 1)), (size, n))
    sums: Array = selection @ source
    return sums


def add_rows(target: Array, index: Array, source: Array) -> None:
    """Scatter-add: target[index[k]] += source[k] for all k; an index may occur more than once."""
    found, place = np.unique(index, return_inverse=True)
    target[found] += sum_by_row(len(found), place, source)
