"""Intervals, tests and growth exponents: how sure a figure is.

Losses along a text depend on one another, so the unit that is resampled is a document, where the
text has several, or a block of neighbouring characters. These are those of the raw text: models
with different units share them, which is what makes a paired test between a word model and a
character model possible.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from langmodels.arrays import FloatArray, IndexArray

RESAMPLES = 2000
FLIPS = 9999
CONFIDENCE = 0.95
POWER = 0.8
_MIN_BLOCKS, _MAX_BLOCKS, _BLOCK = 20, 400, 200
_MIN_DOCUMENTS = 20
"""Of fewer documents, intervals cover less than they say (92 % of ten): blocks are resampled."""
_BATCH = 1_000_000  # numbers drawn at once


def block_edges(characters: int) -> FloatArray:
    """Ends of equal blocks of a text of so many characters, (B + 1,), the first one 0.

    Blocks have 200 characters or more, unless there would be fewer than 20 of them, or more than
    400.
    """
    n = min(_MAX_BLOCKS, max(_MIN_BLOCKS, characters // _BLOCK))
    return np.linspace(0.0, characters, n + 1)


def document_edges(starts: IndexArray) -> FloatArray | None:
    """Ends of D documents, (B + 1,), the first one 0; None where there are less than 20.

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


class Places:
    """Where the edges of blocks lie among targets that end at characters `ends`, some at a time.

    `n`: how many targets there are. Nothing is kept but the ends on both sides of each edge.
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
        """How many targets each block has, (B,)."""
        return self.differences(self.at.astype(np.float64))

    def differences(self, totals: FloatArray) -> FloatArray:
        """For each block, (B,), by how much a total grows in it, known after the targets `at`."""
        at_edges = np.interp(self._edges, self._position, totals)
        at_edges[0] = 0.0  # targets that take up no characters may come first
        found: FloatArray = np.diff(at_edges)
        return found


class BlockSums:
    """`block_sums` of costs that come some at a time."""

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
        """What each block costs, (B,)."""
        return self._places.differences(self._totals)


def block_sums(costs: FloatArray, ends: IndexArray, edges: FloatArray) -> FloatArray:
    """What each block costs, (B,): `costs` (n,) of targets that end at characters `ends` (n,).

    A target that straddles an edge is divided in proportion; the sum over blocks is the sum of the
    costs.
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
        from scipy.special import ndtr, stdtrit  # slow to import

        tail = stdtrit(self.freedom, (1 - confidence) / 2) * self._expansion
        low, high = np.quantile(self.means, ndtr([tail, -tail]))
        return float(low), float(high)

    def p_value(self) -> float:
        """Two-sided p of the hypothesis that the figure is zero: that of the interval that just
        touches it. At least that of one resample in as many as there are.
        """
        from scipy.special import ndtri, stdtr

        below = (np.count_nonzero(self.means <= 0) + 0.5) / (len(self.means) + 1)
        z = ndtri(min(below, 1 - below)) / self._expansion
        return min(1.0, 2 * float(stdtr(self.freedom, z)))

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
    """The hierarchical bootstrap: blocks are drawn with replacement, and of every model, seeds.

    `losses`: of each model, what it pays for every block with every seed, (S, B); their means over
    blocks of these `sizes` (B,), and over seeds, are summed with these `signs`. All models are
    resampled on the same blocks, and each in its own seeds, whose deviations are widened by
    sqrt(S / (S - 1)), by which a sample's are too small. The degrees of freedom are Satterthwaite's
    (1946). None for less than two blocks, or where anything is infinite.
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
        by_seed = (counts @ each.T) / np.broadcast_to(per, RESAMPLES)[:, None]
        chances = np.full(n_seeds, 1 / n_seeds)
        drawn = np.random.default_rng([seed, n, 2, i]).multinomial(n_seeds, chances, RESAMPLES)
        deviation = (drawn * by_seed).sum(axis=1) / n_seeds - by_seed.mean(axis=1)
        offsets += sign * deviation * math.sqrt(n_seeds / (n_seeds - 1))
        means = each.sum(axis=1) / (n if sizes is None else sizes.sum())
        parts.append((float(means.var(ddof=1)) / n_seeds, n_seeds - 1))
    over_blocks = counts @ total / per
    parts.append((float(over_blocks.var()), n - 1))
    variance = sum(v for v, _ in parts)
    spread = sum(v**2 / freedom for v, freedom in parts)
    return Resampled(over_blocks + offsets, variance**2 / spread if spread else n - 1.0, n)


def bootstrap_interval(
    sums: FloatArray,
    sizes: FloatArray | None = None,
    *,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """Interval of the mean, what all blocks cost (B,) over their sizes (B,), by the bootstrap.

    Blocks are of size 1 unless `sizes` are given; the larger counts for more. `sums` may be (S, B),
    those of S seeds; see `resample`.
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
    """Cohen's d of paired differences of blocks, mean over standard deviation; its interval.

    `sums`: by how much all in a block differs, (B,). Of blocks with `sizes` (B,) the difference is
    that over the size, and the larger count for more, in the mean and in the deviation. By the
    bootstrap over blocks, as `bootstrap_interval`, without resamples in which nothing differs. Not
    a number where nothing does.
    """
    n = len(sums)
    sizes = np.ones(n) if sizes is None else sizes

    def moments(counts: FloatArray | IndexArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance where blocks are drawn so often, (R, B)."""
        total = counts @ sizes
        means = counts @ sums / total
        return means, counts @ (np.square(sums) / sizes) / total - np.square(means)

    (mean,), _ = moments(np.ones((1, n)))
    spread = float(np.average(np.square(sums / sizes - mean), weights=sizes))
    if n < 2 or spread <= 1e-24 * float(mean) ** 2:  # rounding
        return math.nan, (math.nan, math.nan)
    counts = np.random.default_rng([seed, n]).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    means, variances = moments(counts)
    differ = variances > 1e-12 * spread  # but for rounding
    # The variances of resamples are too small by as much as that of a sample.
    effects = means[differ] / np.sqrt(variances[differ] * (n / (n - 1)) ** 2)
    effect = float(mean) / math.sqrt(spread * n / (n - 1))
    return effect, Resampled(effects, n - 1.0, n).interval(confidence)


def paired_p_values(differences: FloatArray, *, seed: int = 0) -> FloatArray:
    """Two-sided p of the hypothesis that paired differences of blocks have mean zero.

    `differences` (P, B), of P pairs; the result is (P,). Approximate randomization: the sign of
    each difference is flipped at random (Noreen 1989, "Computer-Intensive Methods for Testing
    Hypotheses"), for all pairs alike. At least 1 / (FLIPS + 1).
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
        # Rounding must not make a resample that flips nothing look smaller than what was seen.
        sums = np.abs(differences @ signs.T)
        as_large += np.count_nonzero(sums >= observed[:, None] * (1 - 1e-12), axis=1)
    p: FloatArray = np.where(observed == 0, 1.0, (as_large + 1) / (FLIPS + 1))
    return p


def paired_p_value(differences: FloatArray, *, seed: int = 0) -> float:
    """`paired_p_values` of one pair, (B,)."""
    return float(paired_p_values(differences[None], seed=seed)[0])


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
