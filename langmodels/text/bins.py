"""Bins of real numbers, estimated from data, and the density of numbers within a bin.

Numbers within a bin have a density of their own, uniform between two edges and exponential beyond
the outer ones, which turns probabilities of bins into densities of numbers.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from langmodels.arrays import FloatArray, IndexArray
from langmodels.errors import LangmodelsError, UsageError

DEFAULT_BINS = 32
MAX_BINS = 100_000


def _quantile_edges(values: FloatArray, bins: int) -> FloatArray:
    """Edges between which equally many values lie; fewer if values repeat so often that edges
    coincide.
    """
    return np.unique(np.quantile(values, np.arange(1, bins) / bins))


def _uniform_edges(values: FloatArray, bins: int) -> FloatArray:
    """Edges at equal distances from the smallest value to the largest."""
    return np.unique(np.linspace(values.min(), values.max(), bins + 1)[1:-1])


BINNINGS: dict[str, Callable[[FloatArray, int], FloatArray]] = {
    "quantile": _quantile_edges,
    "uniform": _uniform_edges,
}


def check_bins(bins: int, binning: str) -> None:
    """Raise UsageError for an impossible number of bins or an unknown binning."""
    if not 2 <= bins <= MAX_BINS:
        raise UsageError(f"The number of bins must lie between 2 and {MAX_BINS:,}, not {bins}.")
    if binning not in BINNINGS:
        raise UsageError(f"There is no binning {binning!r}; choose {' or '.join(BINNINGS)}.")


@dataclass(frozen=True, eq=False)
class Quantizer:
    """Bins of real numbers, the outer two open-ended.

    `edges` (B-1,) ascend; bin i holds edges[i-1] <= x < edges[i]. `medians` (B,): the median of the
    training values in each bin. `tails`: mean distance of training values in the first and in the
    last bin from its only edge, the maximum-likelihood scale of an exponential density.
    """

    edges: FloatArray
    medians: FloatArray
    tails: tuple[float, float]

    @classmethod
    def fit(
        cls, values: ArrayLike, bins: int = DEFAULT_BINS, binning: str = "quantile"
    ) -> "Quantizer":
        """Make bins from training values (n,), with "quantile" or "uniform" edges.

        Bins without a training value are merged with a neighbour, so there may be fewer than
        `bins`. Raises UsageError for fewer than two bins or an unknown binning, LangmodelsError for
        values that are not finite or all equal.
        """
        check_bins(bins, binning)
        x = np.sort(np.asarray(values, np.float64).ravel())
        if len(x) == 0:
            raise LangmodelsError("There are no numbers to make bins from.")
        with np.errstate(over="ignore", invalid="ignore"):
            spread = float(x[-1] - x[0])
        if not math.isfinite(spread):
            raise LangmodelsError("A series needs finite numbers of which differences are finite.")
        if spread == 0:
            raise LangmodelsError(
                f"All numbers of the training part equal {x[0]:g}; there is nothing to divide into "
                "bins."
            )
        edges = BINNINGS[binning](x, bins)
        while True:
            cuts = np.searchsorted(x, edges)
            counts = np.diff(cuts, prepend=0, append=len(x))
            empty = np.flatnonzero(counts == 0)
            if not len(empty):
                break
            edges = np.delete(edges, np.minimum(empty, len(edges) - 1))
        if not len(edges):  # nearly all values are equal
            edges, cuts = x[-1:], np.searchsorted(x, x[-1:])
        medians = np.array([np.median(part) for part in np.split(x, cuts)])
        low = float(edges[0] - x[: cuts[0]].mean())
        high = float(x[cuts[-1] :].mean() - edges[-1])
        return cls(edges, medians, (low, high if high > 0 else low))

    @property
    def n_bins(self) -> int:
        """Number of bins B."""
        return len(self.medians)

    @cached_property
    def labels(self) -> list[str]:
        """A short decimal number in each bin, near its median."""
        bounds = [-math.inf, *self.edges.tolist(), math.inf]
        return [
            _short(median, bounds[i], bounds[i + 1])
            for i, median in enumerate(self.medians.tolist())
        ]

    def index(self, values: ArrayLike) -> IndexArray:
        """The index of the bin of each value."""
        return np.searchsorted(self.edges, np.asarray(values, np.float64), side="right")

    def log_densities(self, values: ArrayLike) -> FloatArray:
        """Log p(value | its bin) of each value, in nats per unit of the values."""
        x = np.asarray(values, np.float64)
        bins = self.index(x)
        inner = np.concatenate([[1.0], np.diff(self.edges), [1.0]])
        found: FloatArray = -np.log(inner[bins])
        for outer, edge, scale in self._outer():
            beyond = np.abs(x - edge) / scale + math.log(scale)
            found = np.where(bins == outer, -beyond, found)
        return found

    def grid_costs(self, values: ArrayLike, step: float) -> FloatArray:
        """-log p(value | its bin) in nats for values that are multiples of `step`.

        The multiples in an inner bin are equally probable, those beyond an outer edge have a
        geometric distribution, so that the probabilities in a bin sum to one.
        """
        x = np.asarray(values, np.float64)
        bins = self.index(x)
        ticks = np.ceil(self.edges / step - 1e-6)  # the first multiple at or above each edge
        inner = np.concatenate([[1.0], np.diff(ticks), [1.0]])
        found: FloatArray = np.log(np.maximum(inner, 1.0))[bins]
        for outer, edge, scale in self._outer():
            ratio = step / scale
            steps = np.abs(x - edge) / step
            # The edge itself belongs to the bin above it.
            whole = np.ceil(steps - 1e-6) - 1 if outer == 0 else np.floor(steps + 1e-6)
            geometric = np.maximum(whole, 0) * ratio - math.log(-math.expm1(-ratio))
            found = np.where(bins == outer, geometric, found)
        return found

    def draw(self, bins: ArrayLike, rng: np.random.Generator) -> FloatArray:
        """A random number from each of `bins`: uniform in inner bins, exponential in outer ones."""
        index = np.asarray(bins, np.int64)
        low = np.concatenate([self.edges[:1], self.edges])
        width = np.concatenate([[0.0], np.diff(self.edges), [0.0]])
        drawn: FloatArray = low[index] + width[index] * rng.random(index.shape)
        excess = rng.standard_exponential(index.shape)
        for (outer, edge, scale), side in zip(self._outer(), (-1, 1), strict=True):
            drawn = np.where(index == outer, edge + side * scale * excess, drawn)
        return drawn

    def _outer(self) -> list[tuple[int, float, float]]:
        """(bin, edge, scale) of the first and of the last bin."""
        return [
            (0, float(self.edges[0]), self.tails[0]),
            (self.n_bins - 1, float(self.edges[-1]), self.tails[1]),
        ]

    def config(self) -> dict[str, Any]:
        """The bins as JSON values."""
        return {
            "edges": self.edges.tolist(),
            "medians": self.medians.tolist(),
            "tails": list(self.tails),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Quantizer":
        """Inverse of `config`. Raises LangmodelsError for values that are not bins."""
        try:
            edges = np.array(config["edges"], np.float64)
            medians = np.array(config["medians"], np.float64)
            low, high = (float(scale) for scale in config["tails"])
        except (KeyError, TypeError, ValueError) as error:
            raise LangmodelsError("The bins of the series are not complete.") from error
        found = cls(edges, medians, (low, high))
        if (
            edges.ndim != 1
            or len(edges) == 0
            or not (np.diff(edges) > 0).all()
            or not (np.isfinite([edges[0], edges[-1]]).all() and min(low, high) > 0)
            or medians.shape != (len(edges) + 1,)
            or not np.array_equal(found.index(medians), np.arange(len(medians)))
        ):
            raise LangmodelsError("The bins of the series do not ascend or do not fit together.")
        return found


def _short(value: float, low: float, high: float) -> str:
    """The shortest decimal number in [low, high) within a twentieth of its width from `value`."""
    near = (high - low) / 20
    for digits in range(1, 17):
        number = float(f"{value:.{digits}g}")
        if low <= number < high and abs(number - value) <= min(near, abs(value) / 20 or near):
            return repr(number).removesuffix(".0")
    return repr(value).removesuffix(".0")
