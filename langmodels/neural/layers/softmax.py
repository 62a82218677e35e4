"""Output layers, which map hidden vectors to p(w | h), with their cross-entropy loss."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from langmodels.arrays import Array, FloatArray
from langmodels.models.scores import check_distributions
from langmodels.neural.layers.base import CACHED, Embedding, Generator, Layer, sum_rows
from langmodels.neural.layers.parameters import Shape

_SCORED = 2**24  # logits computed at once in `log_prob`: 64 MB in float32
_MEASURED = 2**18  # log probabilities given to a measure at once: it makes several copies


class OutputLayer(Layer):
    """log p(w | h) for every w of the vocabulary, normalised exactly."""

    @abstractmethod
    def loss(self, h: Array, targets: Array, scale: float) -> tuple[float, Array]:
        """The cross-entropy sum_n -log p(targets[n] | h[n]) in nats, and dL/dh (N, H) for L =
        `scale` times it.

        `h` is (N, H), `targets` (N,) are token ids. Overwrites `gradients` with those of L.
        """

    @abstractmethod
    def log_prob(self, h: Array, targets: Array) -> FloatArray:
        """Log p(targets[n] | h[n]) in nats, (N,); `h` is (N, H), `targets` (N,)."""

    @abstractmethod
    def log_distribution(self, h: Array) -> FloatArray:
        """Log p(w | h[n]) of every token w in nats, (N, V), in float64; `h` is (N, H)."""


@dataclass(frozen=True)
class Scoring:
    """What to compute for each prediction, an array of the shape `numbers`.

    `values` maps the output layer, hidden vectors (N, H) and targets (N,) to (N, *numbers).
    """

    values: Callable[[OutputLayer, Array, Array], FloatArray]
    numbers: tuple[int, ...] = ()


LOG_PROB = Scoring(lambda output, h, targets: output.log_prob(h, targets))
"""Computes the log p of each target in nats."""


def measuring(
    measure: Callable[[FloatArray, Array], FloatArray], numbers: int, vocabulary: int
) -> Scoring:
    """Computes `measure(log_p, targets)` of whole distributions, so many numbers per prediction.

    `measure` is called with log p (n, V) in nats and targets (n,), for a few predictions at a time.
    """
    size = max(1, _MEASURED // vocabulary)

    def values(output: OutputLayer, h: Array, targets: Array) -> FloatArray:
        parts = (slice(k, k + size) for k in range(0, len(h), size))
        found = [measure(output.log_distribution(h[part]), targets[part]) for part in parts]
        return np.concatenate(found)

    return Scoring(values, (numbers,))


class Softmax(OutputLayer):
    """p(w | h) = exp(h . v_w + b_w) / sum_u exp(h . v_u + b_u), with `weight` v (V, H) and `bias` b
    (V,).

    Token ids in `excluded` have probability zero. With `tied`, v is the matrix of that embedding.
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
        """Draw v uniformly from [-1/sqrt(H), 1/sqrt(H)], unless it is tied; b = 0."""
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
        size = max(1, _SCORED // len(self.values["bias"]))
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
    """The sum over rows n of -log softmax(logits[n] + bias)[targets[n]], in nats.

    `logits` (N, V) is overwritten by the gradient of `scale` times the sum, scale (p - onehot).
    """
    total = 0.0
    size = max(1, CACHED // logits.shape[1])
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
    """Log softmax(logits[n] + bias)[targets[n]] in nats, (N,); `logits` (N, V) is overwritten."""
    result = np.empty(len(logits))
    size = max(1, CACHED // logits.shape[1])
    for begin in range(0, len(logits), size):
        z, target = logits[begin : begin + size], targets[begin : begin + size]
        sums, at_target = _exponentiate(z, bias, target, np.arange(len(z)), excluded)
        result[begin : begin + size] = at_target - np.log(sums, dtype=np.float64)
    return result


def _exponentiate(
    z: Array, bias: Array, target: Array, index: Array, excluded: list[int]
) -> tuple[Array, Array]:
    """Replace z (n, V) by exp(z + bias - m), m being the maximum of z + bias in each row.

    Returns the row sums (n,), and z + bias - m at the targets (n,). `index` is arange(n).
    """
    np.add(z, bias, out=z)
    for token in excluded:
        z[:, token] = -np.inf
    np.subtract(z, z.max(axis=1, keepdims=True), out=z)
    at_target = z[index, target]
    np.exp(z, out=z)
    return np.matmul(z, np.ones(z.shape[1], z.dtype)), at_target
