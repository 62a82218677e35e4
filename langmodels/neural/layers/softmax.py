"""Output layers: from hidden vectors to distributions over the vocabulary, with cross-entropy."""

from abc import abstractmethod
from collections.abc import Callable

import numpy as np

from langmodels.arrays import Array, FloatArray
from langmodels.models.scores import check_distributions
from langmodels.neural.layers.base import Embedding, Generator, Layer, sum_rows
from langmodels.neural.layers.parameters import Shape

_BLOCK = 131_072  # logits exponentiated at once: fits in the L2 cache
_CHUNK = 2**24  # logits computed at once in scoring: bounds memory
_MEASURED = 2**18  # probabilities measured at once: there are several copies


class OutputLayer(Layer):
    """log p(w | h) for every w of the vocabulary, normalised exactly."""

    @abstractmethod
    def loss(self, h: Array, targets: Array, scale: float) -> tuple[float, Array]:
        """The sum of -log p(target) in nats, and the gradient of `scale` times it.

        `h` (N, H), `targets` (N,) token ids. Overwrites `gradients`; the gradient returned is with
        respect to `h`, (N, H), in an array of the layer.
        """

    @abstractmethod
    def log_prob(self, h: Array, targets: Array) -> FloatArray:
        """Log p of each target in nats, (N,)."""

    @abstractmethod
    def log_distribution(self, h: Array) -> FloatArray:
        """Log p of every token in nats, (N, H) to (N, V)."""


Scoring = Callable[[OutputLayer, Array, Array], FloatArray]
"""A function of an output layer, hidden vectors (N, H) and targets (N,) that returns (N,) or (N,
numbers).
"""


def log_prob(output: OutputLayer, h: Array, targets: Array) -> FloatArray:
    """Log p of each target in nats, (N,); a `Scoring`."""
    return output.log_prob(h, targets)


def measuring(measure: Callable[[FloatArray, Array], FloatArray], vocabulary: int) -> Scoring:
    """A `Scoring` that applies `measure` to whole distributions, (k, V) log p and (k,) targets."""
    size = max(1, _MEASURED // vocabulary)

    def scoring(output: OutputLayer, h: Array, targets: Array) -> FloatArray:
        parts = (slice(k, k + size) for k in range(0, len(h), size))
        found = [measure(output.log_distribution(h[part]), targets[part]) for part in parts]
        return np.concatenate(found)

    return scoring


class Softmax(OutputLayer):
    """p(w | h) proportional to exp(h . v_w + b_w): `weight` (V, H), `bias` (V,).

    Token ids in `excluded` have probability zero. If `tied` to an embedding, it shares its matrix.
    """

    def __init__(
        self,
        inputs: int,
        vocabulary: int,
        excluded: tuple[int, ...] = (),
        *,
        tied: Embedding | None = None,
    ) -> None:
        shapes: dict[str, Shape] = {"bias": (vocabulary,)}
        if tied is None:
            shapes["weight"] = (vocabulary, inputs)
        super().__init__(shapes)
        self.excluded = list(excluded)
        self._owner: Layer = tied or self

    def initialise(self, rng: Generator) -> None:
        """Weights uniform within 1/sqrt(H), bias zero."""
        if "weight" in self.shapes:
            bound = self.shapes["weight"][1] ** -0.5
            self.values["weight"][...] = rng.uniform(-bound, bound, self.shapes["weight"])

    def _logits(self, h: Array) -> Array:
        logits = self.space.array("logits", (len(h), len(self.values["bias"])), h.dtype)
        return np.matmul(h, self._owner.values["weight"].T, out=logits)

    def loss(self, h: Array, targets: Array, scale: float) -> tuple[float, Array]:
        """See `OutputLayer`."""
        logits = self._logits(h)
        total = softmax_loss(logits, self.values["bias"], targets, scale, self.excluded)
        return total, self._backward(h, logits)

    def _backward(self, h: Array, d_logits: Array) -> Array:
        np.matmul(d_logits.T, h, out=self._owner.gradients["weight"])
        sum_rows(d_logits, self.gradients["bias"])
        dh = self.space.array("dh", h.shape, h.dtype)
        return np.matmul(d_logits, self._owner.values["weight"], out=dh)

    def log_prob(self, h: Array, targets: Array) -> FloatArray:
        """See `OutputLayer`."""
        result = np.empty(len(h))
        size = max(1, _CHUNK // len(self.values["bias"]))
        for begin in range(0, len(h), size):
            part = slice(begin, begin + size)
            logits = self._logits(h[part])
            result[part] = log_softmax_at(logits, self.values["bias"], targets[part], self.excluded)
        return result

    def log_distribution(self, h: Array) -> FloatArray:
        """See `OutputLayer`."""
        logits = (self._logits(h) + self.values["bias"]).astype(np.float64)
        logits[:, self.excluded] = -np.inf
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        check_distributions(logits)
        return logits


def softmax_loss(
    logits: Array, bias: Array, targets: Array, scale: float, excluded: list[int]
) -> float:
    """The sum of -log softmax(logits + bias)[target]; `logits` becomes the gradient of `scale`
    times it.

    `logits` (N, V), `targets` (N,). All passes are made over a block of rows that stays in the
    cache.
    """
    total = 0.0
    size = max(1, _BLOCK // logits.shape[1])
    for begin in range(0, len(logits), size):
        z, target = logits[begin : begin + size], targets[begin : begin + size]
        index = np.arange(len(z))
        sums, at_target = _exponentiate(z, bias, target, index, excluded)
        total += float(np.log(sums, dtype=np.float64).sum() - at_target.sum(dtype=np.float64))
        np.divide(scale, sums, out=sums)
        z *= sums[:, None]
        z[index, target] -= scale
    return total


def log_softmax_at(logits: Array, bias: Array, targets: Array, excluded: list[int]) -> FloatArray:
    """Log softmax(logits + bias)[target] of every row, (N,); `logits` (N, V) is overwritten."""
    result = np.empty(len(logits))
    size = max(1, _BLOCK // logits.shape[1])
    for begin in range(0, len(logits), size):
        z, target = logits[begin : begin + size], targets[begin : begin + size]
        sums, at_target = _exponentiate(z, bias, target, np.arange(len(z)), excluded)
        result[begin : begin + size] = at_target - np.log(sums, dtype=np.float64)
    return result


def _exponentiate(
    z: Array, bias: Array, target: Array, index: Array, excluded: list[int]
) -> tuple[Array, Array]:
    """Replace z by exp(z + bias - max); returns its row sums, and z + bias - max at the targets."""
    np.add(z, bias, out=z)
    for token in excluded:
        z[:, token] = -np.inf
    np.subtract(z, z.max(axis=1, keepdims=True), out=z)
    at_target = z[index, target]
    np.exp(z, out=z)
    return np.matmul(z, np.ones(z.shape[1], z.dtype)), at_target
