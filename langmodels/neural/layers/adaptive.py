"""The adaptive softmax, a softmax factored by frequency classes, for large vocabularies."""

from itertools import pairwise

import numpy as np

from langmodels.arrays import Array, FloatArray
from langmodels.errors import UsageError
from langmodels.neural.layers.base import Embedding, Generator
from langmodels.neural.layers.softmax import OutputLayer, Softmax
from langmodels.text.vocabulary import Vocabulary

_NARROWING = 4  # each class has a projection this many times narrower than the one before

_FULL = 10_000  # must not be lowered: model files with a full softmax rely on it
_CUTOFFS = (2_000, 10_000)


def default_cutoffs(vocabulary: int) -> tuple[int, ...]:
    """The default cutoffs for V tokens: (), a full softmax, up to 10,000, where it has the lower
    loss and is hardly slower.
    """
    return _CUTOFFS if vocabulary > _FULL else ()


def check_cutoffs(cutoffs: tuple[int, ...], vocabulary: int) -> None:
    """Raise UsageError unless 1 < cutoffs[0] < cutoffs[1] < ... < `vocabulary`."""
    bounds = [Vocabulary.bos_id, *cutoffs, vocabulary]
    if any(a >= b for a, b in pairwise(bounds)):
        raise UsageError(
            "Cutoffs must increase and lie between 1 and the size of the vocabulary, "
            f"{vocabulary}, exclusive."
        )


class AdaptiveSoftmax(OutputLayer):
    """p(w | h) = p(class of w | h) p(w | class of w, h); frequent words are classes of their own.

    Token ids are ordered by frequency. The head is a softmax over the ids below the first cutoff
    and one entry for each class of rarer words. Class k, the ids from cutoff k up to the next, has
    a softmax of its own, the tail, over h P_k, with the parameter `projection.k` P_k (H, H /
    4^(k+1)) (Goodman 2001; Grave et al. 2017, section 4). Both factors are normalised exactly, and
    so is their product, with a fraction of the multiplications of a full softmax.
    """

    def __init__(
        self, inputs: int, vocabulary: int, cutoffs: tuple[int, ...], *, excluded: int
    ) -> None:
        bounds = [*cutoffs, vocabulary]
        check_cutoffs(cutoffs, vocabulary)
        self.bounds = bounds
        self.head = Softmax(inputs, cutoffs[0] + len(cutoffs), (excluded,))
        self.widths = [max(1, inputs // _NARROWING ** (k + 1)) for k in range(len(cutoffs))]
        self.tails = [
            Softmax(width, stop - start)
            for width, start, stop in zip(self.widths, bounds, bounds[1:], strict=False)
        ]
        super().__init__(
            {f"projection.{k}": (inputs, width) for k, width in enumerate(self.widths)},
            {"head": self.head, **{f"tail.{k}": tail for k, tail in enumerate(self.tails)}},
        )

    def initialise(self, rng: Generator) -> None:
        """Weights uniform within 1/sqrt(fan-in), biases zero."""
        super().initialise(rng)
        for k in range(len(self.tails)):
            projection = self.values[f"projection.{k}"]
            bound = len(projection) ** -0.5
            projection[...] = rng.uniform(-bound, bound, projection.shape)

    def _in_head(self, targets: Array) -> Array:
        """The head's entry for each target, (N,): the id itself, or the entry of its class."""
        group = np.searchsorted(self.bounds[:-1], targets, side="right")
        return np.where(group == 0, targets, self.bounds[0] + group - 1)

    def _members(self, targets: Array, k: int) -> Array:
        """The indices n with targets[n] in class k."""
        start, stop = self.bounds[k], self.bounds[k + 1]
        return np.flatnonzero((targets >= start) & (targets < stop))

    def loss(self, h: Array, targets: Array, scale: float) -> tuple[float, Array]:
        """See `OutputLayer`."""
        total, dh = self.head.loss(h, self._in_head(targets), scale)
        for k, tail in enumerate(self.tails):
            members = self._members(targets, k)
            projection, gradient = self.values[f"projection.{k}"], self.gradients[f"projection.{k}"]
            if not len(members):
                for array in (gradient, *tail.gradients.values()):
                    array.fill(0)
                continue
            part = h[members]
            loss, d_narrow = tail.loss(part @ projection, targets[members] - self.bounds[k], scale)
            total += loss
            np.matmul(part.T, d_narrow, out=gradient)
            dh[members] += d_narrow @ projection.T
        return total, dh

    def log_prob(self, h: Array, targets: Array) -> FloatArray:
        """See `OutputLayer`."""
        result = self.head.log_prob(h, self._in_head(targets))
        for k, tail in enumerate(self.tails):
            members = self._members(targets, k)
            if len(members):
                narrow = h[members] @ self.values[f"projection.{k}"]
                result[members] += tail.log_prob(narrow, targets[members] - self.bounds[k])
        return result

    def log_distribution(self, h: Array) -> FloatArray:
        """See `OutputLayer`."""
        head = self.head.log_distribution(h)
        pieces = [head[:, : self.bounds[0]]]
        for k, tail in enumerate(self.tails):
            within = tail.log_distribution(h @ self.values[f"projection.{k}"])
            pieces.append(head[:, self.bounds[0] + k, None] + within)
        return np.concatenate(pieces, axis=1)


def make_output(
    inputs: int,
    vocabulary: int,
    cutoffs: tuple[int, ...] = (),
    *,
    tied: Embedding | None = None,
) -> OutputLayer:
    """A softmax over the vocabulary, adaptive with `cutoffs`, in which `<s>` has probability 0."""
    if cutoffs:
        return AdaptiveSoftmax(inputs, vocabulary, cutoffs, excluded=Vocabulary.bos_id)
    return Softmax(inputs, vocabulary, (Vocabulary.bos_id,), tied=tied)
