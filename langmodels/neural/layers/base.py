"""The base class of layers, and the basic layers: linear, embedding, dropout."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from langmodels.arrays import Array
from langmodels.neural.layers.parameters import Shape, under

Generator = np.random.Generator


class Workspace:
    """Arrays that are allocated once and reused in every step.

    Page faults of newly allocated large arrays take as long as the arithmetic on them.
    """

    def __init__(self) -> None:
        self._flat: dict[str, Array] = {}

    def array(self, name: str, shape: Shape, dtype: Any) -> Array:
        """An uninitialised array of this shape, in the memory of the one last requested by this
        name.
        """
        size = math.prod(shape)
        flat = self._flat.get(name)
        if flat is None or flat.size < size or flat.dtype != dtype:
            flat = self._flat[name] = np.empty(size, dtype)
        return flat[:size].reshape(shape)


class Layer:
    """A differentiable function with parameters; it may be composed of other layers.

    A subclass passes the `shapes` of its own parameters, and its `parts`, other layers by name,
    whose parameters become its own as `part.parameter`. `Network` binds arrays to them: `values`,
    which replicas share, and `gradients`, which each replica has for itself.

    `forward` keeps what `backward` needs until the next `forward`. `backward` takes the gradient of
    the loss with respect to the output, overwrites `gradients`, and returns the gradient with
    respect to the input. The arrays that a layer returns are its own and overwritten by its next
    call; `backward` may overwrite the array it is given.
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
        """Set the arrays of parameters and gradients, of the shapes in `shapes`."""
        self.values, self.gradients = values, gradients
        for name, part in self.parts.items():
            part.bind(under(name, values), under(name, gradients))

    def initialise(self, rng: Generator) -> None:
        """Initialise the parameters, those of the parts in order."""
        for part in self.parts.values():
            part.initialise(rng)

    def refresh(self) -> None:
        """Recompute what is derived from the parameters; called whenever they have changed."""
        for part in self.parts.values():
            part.refresh()


class Linear(Layer):
    """y = x W + b, for x (..., n) and W (n, m)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__({"weight": (inputs, outputs), "bias": (outputs,)})

    def initialise(self, rng: Generator) -> None:
        """Uniform within 1/sqrt(inputs)."""
        bound = self.shapes["weight"][0] ** -0.5
        for array in self.values.values():
            array[...] = rng.uniform(-bound, bound, array.shape)

    def forward(self, x: Array) -> Array:
        """(..., n) to (..., m)."""
        self._x = x
        weight = self.values["weight"]
        y = self.space.array("y", (*x.shape[:-1], weight.shape[1]), x.dtype)
        np.matmul(rows(x), weight, out=rows(y))
        y += self.values["bias"]
        return y

    def backward(self, dy: Array) -> Array:
        """(..., m) to (..., n)."""
        dx = self.space.array("dx", self._x.shape, dy.dtype)
        affine_backward(rows(self._x), rows(dy), self.gradients["weight"], self.gradients["bias"])
        np.matmul(rows(dy), self.values["weight"].T, out=rows(dx))
        return dx


class Embedding(Layer):
    """A row of a matrix (V, E) for each token.

    If the output layer is tied to it, that layer's backward pass comes first and overwrites the
    gradient of the shared matrix; this one adds to it.
    """

    def __init__(
        self, vocabulary: int, width: int, *, tied: bool = False, unit_rows: bool = False
    ) -> None:
        super().__init__({"weight": (vocabulary, width)})
        self.tied = tied
        self.unit_rows = tied or unit_rows

    def initialise(self, rng: Generator) -> None:
        """Normal with unit variance; if tied or with `unit_rows`, with rows of expected length
        one.
        """
        weight = self.values["weight"]
        weight[...] = rng.standard_normal(weight.shape)
        if self.unit_rows:
            weight *= weight.shape[1] ** -0.5

    @property
    def table(self) -> Array | None:
        """The vectors of all tokens, (V, E); None if they are not stored as one array."""
        return self.values["weight"]

    def forward(self, tokens: Array) -> Array:
        """Token ids (...) to (..., E)."""
        self._tokens = tokens
        weight = self.values["weight"]
        x = self.space.array("x", (*tokens.shape, weight.shape[1]), weight.dtype)
        return np.take(weight, tokens, axis=0, out=x, mode="clip")

    def backward(self, dx: Array) -> None:
        """Compute the gradient of the matrix from that of the rows looked up, (..., E)."""
        gradient = self.gradients["weight"]
        if not self.tied:
            gradient.fill(0)
        add_rows(gradient, self._tokens.ravel(), rows(dx))


class Dropout(Layer):
    """Zero a random fraction of the units and scale the rest up (Srivastava et al. 2014).

    With `shared_steps` one mask (B, n) serves all time steps of a (T, B, n) array ("variational"
    dropout: Gal and Ghahramani 2016, section 4).
    """

    def __init__(self, rate: float, *, shared_steps: bool = False) -> None:
        super().__init__()
        self.rate = rate
        self.shared_steps = shared_steps
        self._mask: Array | None = None

    def forward(self, x: Array, rng: Generator | None) -> Array:
        """Apply a new mask to x; without `rng`, outside training, return x itself."""
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
        """Multiply dy by the mask, in place."""
        if self._mask is not None:
            dy *= self._mask
        return dy


class TokenInput:
    """The input of a network's first layer: embedded tokens with dropout.

    Without dropout, and with more tokens than types, the first layer is given the token ids and the
    table of all embeddings instead, so that it multiplies each row of the table only once.
    """

    def __init__(self, embedding: Embedding, dropout: Dropout) -> None:
        self.embedding, self.dropout = embedding, dropout

    def forward(self, tokens: Array, rng: Generator | None) -> tuple[Array, Array | None]:
        """The arguments `x` and `embedding` of `SequenceLayer.forward`."""
        table = self.embedding.table
        self._by_table = table is not None and self.dropout.rate == 0 and len(table) < tokens.size
        if self._by_table:
            return tokens, table
        return self.dropout.forward(self.embedding.forward(tokens), rng), None

    def backward(self, d: Array) -> None:
        """Back-propagate the gradient of what `forward` returned: of each vector, or of the
        table.
        """
        if not self._by_table:
            self.embedding.backward(self.dropout.backward(d))
        elif self.embedding.tied:
            self.embedding.gradients["weight"] += d
        else:
            self.embedding.gradients["weight"][...] = d


def draw_mask(out: Array, rate: float, rng: Generator) -> Array:
    """Fill an array with a dropout mask: zeros, a fraction `rate` of it, and 1 / (1 - rate)."""
    # 16 random bits per element give the rate to five digits, in a quarter of the time.
    bits = np.frombuffer(rng.bytes(2 * out.size), np.uint16).reshape(out.shape)
    np.greater_equal(bits, round(rate * 65536), out=out, casting="unsafe")
    out *= 1 / (1 - rate)
    return out


def rows(x: Array) -> Array:
    """Flatten all leading axes: (..., n) to (N, n)."""
    return x.reshape(-1, x.shape[-1])


def stretches(n: int, size: int) -> Iterator[slice]:
    """Cut range(n) into nearly equal slices of about `size`, at most 1.5 times as long.

    A short last slice would be a call with little work, in which threads wait for each other.
    """
    count = max(1, min(n, -(-2 * n // (3 * max(1, size)))))
    for k in range(count):
        yield slice(n * k // count, n * (k + 1) // count)


def affine_backward(x: Array, dy: Array, weight: Array, bias: Array) -> None:
    """Gradients of W and b in y = x W + b, written to `weight` (n, m) and `bias` (m,)."""
    np.matmul(x.T, dy, out=weight)
    sum_rows(dy, bias)


def sum_rows(x: Array, out: Array) -> None:
    """The sum over the first axis of x (N, n) into `out` (n,); BLAS does it faster than `sum`."""
    np.matmul(np.ones(len(x), x.dtype), x, out=out)


def sum_by_row(size: int, index: Array, source: Array) -> Array:
    """An array (size, n) whose row r is the sum of the source[k] (K, n) with index[k] = r."""
    n = len(index)
    # A sparse matrix whose column k has a one in row index[k].
    from scipy.sparse import csc_array  # slow to import, and needed in training only

    selection = csc_array((np.ones(n, source.dtype), index, np.arange(n + 1)), (size, n))
    sums: Array = selection @ source
    return sums


def add_rows(target: Array, index: Array, source: Array) -> None:
    """target[index[k]] += source[k] for all k, where an index may come more than once."""
    found, place = np.unique(index, return_inverse=True)
    target[found] += sum_by_row(len(found), place, source)
