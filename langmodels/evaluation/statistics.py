"""Intervals, tests and growth exponents: how sure a figure is.

Losses along a text depend on one another, so the unit that is resampled is a document, where the
text has several, or a block of neighbouring characters. These are those of the raw text: models
with different units share them, which is what makes a paired test between a word model and a
character model possible.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from langmodels.arrays import FloatArray, IndexArray

RESAMPLES = 2000
FLIPS = 9999
CONFIDENCE = 0.95
_MIN_BLOCKS, _MAX_BLOCKS, _BLOCK = 20, 400, 200
_MIN_DOCUMENTS = 10
"""Of fewer documents, a bootstrap would tell little: blocks inside them are resampled."""
_BATCH = 1_000_000  # numbers drawn at once


def block_edges(characters: int) -> FloatArray:
    """Ends of equal blocks of a text of so many characters, (B + 1,), the first one 0.

    Blocks have 200 characters or more, unless there would be fewer than 20 of them, or more than
    400.
    """
    n = min(_MAX_BLOCKS, max(_MIN_BLOCKS, characters // _BLOCK))
    return np.linspace(0.0, characters, n + 1)


def document_edges(starts: IndexArray) -> FloatArray | None:
    """Ends of D documents, (B + 1,), the first one 0; None where there are less than 10.

    `starts` (D + 1,): with which character each begins, and how many there are. Of more than 400,
    neighbours are put together, so many to a block.
    """
    edges = np.unique(starts)
    n = len(edges) - 1
    if n < _MIN_DOCUMENTS:
        return None
    kept = np.linspace(0, n, min(n, _MAX_BLOCKS) + 1).round().astype(np.int64)
    found: FloatArray = edges[kept].astype(np.float64)
    return found


def block_sums(costs: FloatArray, ends: IndexArray, edges: FloatArray) -> FloatArray:
    """What each block costs, (B,): `costs` (n,) of targets that end at characters `ends` (n,).

    A target that straddles an edge is divided in proportion; the sum over blocks is the sum of the
    costs.
    """
    position = np.concatenate([[0.0], ends])
    total = np.concatenate([[0.0], np.cumsum(costs)])
    sums: FloatArray = np.diff(np.interp(edges, position, total))
    return sums


def bootstrap_interval(
    sums: FloatArray,
    sizes: FloatArray | None = None,
    *,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """Interval of the mean, what all blocks cost (B,) over their sizes (B,), by the bootstrap.

    Blocks are of size 1 unless `sizes` are given; the larger counts for more.
    The percentiles are those of the expanded percentile interval (Hesterberg 2015, "What Teachers
    Should Know About the Bootstrap", section 4.3), which makes up for the bootstrap's being too
    narrow with few blocks.
    """
    n = len(sums)
    if n < 2 or not np.isfinite(sums).all():
        return math.nan, math.nan
    counts = np.random.default_rng([seed, n]).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    means = counts @ sums / (n if sizes is None else counts @ sizes)
    from scipy.special import ndtr, stdtrit  # slow to import

    tail = stdtrit(n - 1, (1 - confidence) / 2) * math.sqrt(n / (n - 1))
    low, high = np.quantile(means, ndtr([tail, -tail]))
    return float(low), float(high)


def paired_p_value(differences: FloatArray, *, seed: int = 0) -> float:
    """Two-sided p of the hypothesis that paired differences of blocks (B,) have mean zero.

    Approximate randomization: the sign of each difference is flipped at random (Noreen 1989,
    "Computer-Intensive Methods for Testing Hypotheses"). At least 1 / (FLIPS + 1).
    """
    n = len(differences)
    observed = abs(float(differences.sum()))
    if observed == 0 or n < 2:
        return 1.0
    rng = np.random.default_rng([seed, n, 1])
    as_large = 0
    rows = max(1, _BATCH // n)
    for begin in range(0, FLIPS, rows):
        signs = rng.integers(0, 2, size=(min(rows, FLIPS - begin), n), dtype=np.int8) * 2.0 - 1.0
        # Rounding must not make a resample that flips nothing look smaller than what was seen.
        as_large += int(np.count_nonzero(np.abs(signs @ differences) >= observed * (1 - 1e-12)))
    return (as_large + 1) / (FLIPS + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979), in the given order."""
    order = np.argsort(p_values, kind="stable")
    corrected = [0.0] * len(p_values)
    worst = 0.0
    for rank, index in enumerate(order.tolist()):
        worst = max(worst, min(1.0, p_values[index] * (len(p_values) - rank)))
        corrected[index] = worst
    return corrected


@dataclass(frozen=True)
class Exponent:
    """The slope of log y over log x, y ~ x^value; `error` is its standard error, NaN if unknown."""

    value: float
    error: float

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "–"
        value = round(self.value, 2) + 0.0  # no "-0.00"
        return f"{value:.2f}" + ("" if math.isnan(self.error) else f" ± {self.error:.2f}")


def growth_exponent(x: Sequence[float], y: Sequence[float]) -> Exponent:
    """Fit y = c x^a by least squares on logarithms; a and its standard error.

    NaN where there are fewer than two different points or something is not positive; the error
    needs three points.
    """
    a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
    good = (a > 0) & (b > 0) & np.isfinite(a) & np.isfinite(b)
    if np.unique(a[good]).size < 2:
        return Exponent(math.nan, math.nan)
    log_x, log_y = np.log(a[good]), np.log(b[good])
    centred = log_x - log_x.mean()
    slope = float(centred @ log_y / (centred @ centred))
    n = len(log_x)
    if n < 3:
        return Exponent(slope, math.nan)
    residual = log_y - log_y.mean() - slope * centred
    return Exponent(slope, math.sqrt(float(residual @ residual) / (n - 2) / (centred @ centred)))
