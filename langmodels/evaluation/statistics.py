"""Confidence intervals, paired tests and growth exponents.

Losses of neighbouring tokens are correlated, so the units of resampling are documents, where the
text has enough of them, or blocks of neighbouring characters. Both are cut in the raw text, at the
same places for models with different tokens; that allows paired tests of a word model against a
character model.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from langmodels.arrays import FloatArray, IndexArray

RESAMPLES = 2000
FLIPS = 9999
CONFIDENCE = 0.95
_RESOLVED = 2.326
"""Standard deviations of a normal distribution that a hundredth of the resamples lies beyond."""
POWER = 0.8
_MIN_BLOCKS, _MAX_BLOCKS, _BLOCK = 20, 400, 200
_MIN_DOCUMENTS = 20
"""With fewer documents, 95 % intervals cover less (92 % with ten): then blocks are resampled."""
_BATCH = 1_000_000  # random signs drawn at once, which bounds memory


def block_edges(characters: int) -> FloatArray:
    """Edges of B blocks of equal length in a text of so many characters, (B + 1,), from 0 to its
    length.

    Blocks have 200 characters, shorter ones where there would be fewer than 20 blocks, longer ones
    where there would be more than 400.
    """
    n = min(_MAX_BLOCKS, max(_MIN_BLOCKS, characters // _BLOCK))
    return np.linspace(0.0, characters, n + 1)


def document_edges(starts: IndexArray) -> FloatArray | None:
    """Edges of B blocks of whole documents, (B + 1,), from 0 to the length of the text; None where
    there are fewer than 20 documents.

    `starts` (D + 1,): the offset of the first character of each of D documents, then the length of
    the text. Up to 400 documents are a block each; of more, neighbours are grouped in 400 blocks.
    """
    edges = np.unique(starts)
    n = len(edges) - 1
    if n < _MIN_DOCUMENTS:
        return None
    kept = np.linspace(0, n, min(n, _MAX_BLOCKS) + 1).round().astype(np.int64)
    found: FloatArray = edges[kept].astype(np.float64)
    return found


class Places:
    """Where the edges of blocks lie among the targets of a model.

    Args:
        edges: edges of B blocks, in characters, (B + 1,).
        ends: the character offset at which each target ends, ascending, in consecutive arrays.

    `n`: the number of targets. `at`: after how many targets a running total must be known to
    interpolate it at the edges, ascending. Memory does not grow with the text.
    """

    def __init__(self, edges: FloatArray, ends: Iterable[IndexArray]) -> None:
        self.n = 0
        at, position = [np.zeros(1, np.int64)], [np.zeros(1)]
        for some in ends:
            before = np.searchsorted(some, edges, side="right")
            near = np.unique(np.concatenate([[1], before, before + 1, [len(some)]]))
            near = near[(near > 0) & (near <= len(some))]
            at.append(self.n + near)
            position.append(some[near - 1].astype(np.float64))
            self.n += len(some)
        self._edges = edges
        self.at, self._position = np.concatenate(at), np.concatenate(position)

    @property
    def sizes(self) -> FloatArray:
        """How many targets each block has, (B,); parts of targets count as fractions."""
        return self.differences(self.at.astype(np.float64))

    def differences(self, totals: FloatArray) -> FloatArray:
        """By how much a running total grows in each block, (B,).

        `totals`: the total after each of the targets `at`, (len(at),).
        """
        at_edges = np.interp(self._edges, self._position, totals)
        at_edges[0] = 0.0  # targets that take up no characters may come first
        found: FloatArray = np.diff(at_edges)
        return found


class BlockSums:
    """`block_sums` for costs that arrive in consecutive arrays."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._totals = np.zeros(len(places.at))
        self._n, self._total = 0, 0.0

    def add(self, costs: FloatArray) -> None:
        """The costs of the next targets, (n,)."""
        if not len(costs):
            return
        totals = costs.astype(np.float64)
        totals[0] += self._total
        np.cumsum(totals, out=totals)
        at = self._places.at
        first, last = np.searchsorted(at, [self._n, self._n + len(costs)], side="right")
        self._totals[first:last] = totals[at[first:last] - self._n - 1]
        self._n, self._total = self._n + len(costs), float(totals[-1])

    @property
    def sums(self) -> FloatArray:
        """The sum of the costs in each block, (B,)."""
        return self._places.differences(self._totals)


def block_sums(costs: FloatArray, ends: IndexArray, edges: FloatArray) -> FloatArray:
    """The sum of costs in each block, (B,).

    Args:
        costs: the cost of each target, (n,).
        ends: the character offset at which each target ends, ascending, (n,).
        edges: edges of the blocks, in characters, (B + 1,).

    The cost of a target that straddles an edge is divided in proportion to the characters on either
    side, so that the sums over blocks and over targets are equal.
    """
    blocks = BlockSums(Places(edges, [ends]))
    blocks.add(costs)
    return blocks.sums


@dataclass(frozen=True)
class Resampled:
    """A figure computed from resamples of what it was measured on.

    `means` (R,), one a resample; `freedom`: degrees of freedom of their spread; `n`: how many
    blocks there were.
    """

    means: FloatArray
    freedom: float
    n: int

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Percentiles of the expanded percentile interval (Hesterberg 2015, "What Teachers Should
        Know About the Bootstrap", section 4.3), which makes up for the bootstrap's being too narrow
        with few blocks or seeds.
        """
        from scipy.special import stdtrit  # slow to import

        tail = float(stdtrit(self.freedom, (1 - confidence) / 2)) * self._expansion
        return self._percentile(tail), self._percentile(-tail)

    def p_value(self) -> float:
        """Two-sided p of the hypothesis that the figure is zero: that of the interval that just
        touches it. At least 1 / (FLIPS + 1), as of the other test.
        """
        from scipy.special import ndtri, stdtr

        below = (np.count_nonzero(self.means <= 0) + 0.5) / (len(self.means) + 1)
        z = float(ndtri(min(below, 1 - below)))
        if z < -_RESOLVED:
            centre, side = self._percentile(0), _RESOLVED if below > 0.5 else -_RESOLVED
            distance = abs(self._percentile(side) - centre)
            z = -max(_RESOLVED, _RESOLVED * abs(centre) / distance) if distance else -math.inf
        p = 2 * float(stdtr(self.freedom, z / self._expansion))
        return min(1.0, max(p, 1 / (FLIPS + 1)))

    def _percentile(self, z: float) -> float:
        """What lies as far up as `z` standard deviations do in a normal distribution.

        Beyond what so many resamples resolve, which the t distribution of few seeds asks for, the
        distance from the middle grows as in a normal distribution.
        """
        from scipy.special import ndtr

        known = min(max(z, -_RESOLVED), _RESOLVED)
        found = float(np.quantile(self.means, ndtr(known)))
        if known == z:
            return found
        middle = float(np.median(self.means))
        return middle + (found - middle) * z / known

    def detectable(self, confidence: float = CONFIDENCE, power: float = POWER) -> float:
        """The smallest true value that is told from zero with this power, at this confidence."""
        from scipy.special import stdtrit

        quantiles = stdtrit(self.freedom, [(1 + confidence) / 2, power])
        return float(quantiles.sum() * self.means.std())

    @property
    def _expansion(self) -> float:
        return math.sqrt(self.n / (self.n - 1))


def resample(
    losses: Sequence[FloatArray],
    signs: Sequence[float] = (1.0,),
    sizes: FloatArray | None = None,
    *,
    seed: int = 0,
) -> Resampled | None:
    """The hierarchical bootstrap: blocks are drawn with replacement, and for every model, seeds.

    `losses`: of each model, what it pays for every block with every seed, (S, B); their means over
    blocks of these `sizes` (B,), and over seeds, are summed with these `signs`. All models are
    resampled on the same blocks, and each in its own seeds: what their mean deviates by is drawn
    from a normal distribution with its variance, for two or three seeds have but a few resamples.
    The degrees of freedom are Satterthwaite's (1946). None for less than two blocks, or where
    anything is infinite.
    """
    n = losses[0].shape[1]
    if n < 2 or not all(np.isfinite(each).all() for each in losses):
        return None
    counts = np.random.default_rng([seed, n]).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    per = n if sizes is None else counts @ sizes
    total = np.zeros(n)
    offsets = np.zeros(RESAMPLES)
    parts: list[tuple[float, int]] = []  # variances, and their degrees of freedom
    for i, (each, sign) in enumerate(zip(losses, signs, strict=True)):
        total += sign * each.mean(axis=0)
        n_seeds = len(each)
        if n_seeds < 2:
            continue
        means = each.sum(axis=1) / (n if sizes is None else sizes.sum())
        variance = float(means.var(ddof=1)) / n_seeds
        drawn = np.random.default_rng([seed, n, 2, i]).normal(size=RESAMPLES)
        offsets += math.sqrt(variance) * drawn
        parts.append((variance, n_seeds - 1))
    over_blocks = counts @ total / per
    parts.append((float(over_blocks.var()), n - 1))
    whole = sum(v for v, _ in parts)
    spread = sum(v**2 / freedom for v, freedom in parts)
    return Resampled(over_blocks + offsets, whole**2 / spread if spread else n - 1.0, n)


def bootstrap_interval(
    sums: FloatArray,
    sizes: FloatArray | None = None,
    *,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """Bootstrap confidence interval of a mean, the sum of `sums` over the sum of `sizes`.

    Args:
        sums: the cost of each block, (B,), or of each block with each of S seeds, (S, B).
        sizes: the size of each block, (B,); None: all have size 1.
        seed: of the resampling.
        confidence: the probability with which the interval covers the mean.

    Returns its lower and upper end, both NaN where `resample` returns None.
    """
    found = resample([np.atleast_2d(sums)], sizes=sizes, seed=seed)
    return (math.nan, math.nan) if found is None else found.interval(confidence)


def effect_size(
    sums: FloatArray,
    sizes: FloatArray | None = None,
    *,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> tuple[float, tuple[float, float]]:
    """Cohen's d of paired differences, their mean over their standard deviation, and its interval.

    Args:
        sums: the difference of two models' costs in each block, (B,).
        sizes: the size of each block, (B,), or None for size 1. Differences are per unit of size,
            and mean and deviation are weighted by size.
        seed: of the resampling.
        confidence: the probability with which the interval covers the effect.

    The interval is that of the bootstrap over blocks, without resamples whose differences are all
    equal. Effect and interval are NaN where the differences of all blocks are equal.
    """
    n = len(sums)
    sizes = np.ones(n) if sizes is None else sizes

    def moments(counts: FloatArray | IndexArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of each of R resamples, (R,) each; how often each drew each block,
        (R, B).
        """
        total = counts @ sizes
        means = counts @ sums / total
        return means, counts @ (np.square(sums) / sizes) / total - np.square(means)

    (mean,), _ = moments(np.ones((1, n)))
    spread = float(np.average(np.square(sums / sizes - mean), weights=sizes))
    if n < 2 or spread <= 1e-24 * float(mean) ** 2:  # rounding
        return math.nan, (math.nan, math.nan)
    counts = np.random.default_rng([seed, n]).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    means, variances = moments(counts)
    differ = variances > 1e-12 * spread  # without this, rounding alone would count as a deviation
    # The bootstrap variance is too small by (n - 1) / n, and so is the variance of the sample.
    effects = means[differ] / np.sqrt(variances[differ] * (n / (n - 1)) ** 2)
    effect = float(mean) / math.sqrt(spread * n / (n - 1))
    return effect, Resampled(effects, n - 1.0, n).interval(confidence)


def paired_p_values(differences: FloatArray, *, seed: int = 0) -> FloatArray:
    """Two-sided p-values, (P,), of the hypothesis that paired differences have mean zero.

    `differences` (P, B): those of P pairs of models in B blocks. By approximate randomization,
    which flips the signs of differences at random (Noreen 1989, "Computer-Intensive Methods for
    Testing Hypotheses"); the same flips serve all pairs. No p-value is below 1 / (FLIPS + 1).
    """
    n = differences.shape[1]
    observed = np.abs(differences.sum(axis=1))
    if n < 2:
        return np.ones(len(differences))
    rng = np.random.default_rng([seed, n, 1])
    as_large = np.zeros(len(differences), np.int64)
    rows = max(1, _BATCH // n)
    for begin in range(0, FLIPS, rows):
        signs = rng.integers(0, 2, size=(min(rows, FLIPS - begin), n), dtype=np.int8) * 2.0 - 1.0
        # The tolerance: flipping no sign, or all, must count as at least as large as observed.
        sums = np.abs(differences @ signs.T)
        as_large += np.count_nonzero(sums >= observed[:, None] * (1 - 1e-12), axis=1)
    p: FloatArray = np.where(observed == 0, 1.0, (as_large + 1) / (FLIPS + 1))
    return p


def paired_p_value(differences: FloatArray, *, seed: int = 0) -> float:
    """`paired_p_values` for one pair, whose `differences` are (B,)."""
    return float(paired_p_values(differences[None], seed=seed)[0])


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values, corrected for multiple tests by Holm's step-down method (1979), in order."""
    order = np.argsort(p_values, kind="stable")
    corrected = [0.0] * len(p_values)
    worst = 0.0
    for rank, index in enumerate(order.tolist()):
        worst = max(worst, min(1.0, p_values[index] * (len(p_values) - rank)))
        corrected[index] = worst
    return corrected


@dataclass(frozen=True)
class Exponent:
    """The exponent a of y ~ x^a, `value`, and its standard `error`; NaN where unknown."""

    value: float
    error: float

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "–"
        value = round(self.value, 2) + 0.0  # no "-0.00"
        return f"{value:.2f}" + ("" if math.isnan(self.error) else f" ± {self.error:.2f}")


def growth_exponent(x: Sequence[float], y: Sequence[float]) -> Exponent:
    """Fit y = c x^a by least squares on logarithms; returns a with its standard error.

    Points that are not positive and finite are left out. NaN where fewer than two different x
    remain; the standard error needs three points.
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
