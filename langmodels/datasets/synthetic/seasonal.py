"""A noisy series of numbers that swings."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from langmodels.arrays import BoolArray, FloatArray, IndexArray
from langmodels.datasets.synthetic.base import Generator, parameter, spell

DECIMALS = 3
WIDTH = DECIMALS + 4  # characters of a line: sign, digit, point, decimals, newline
_STEP = 10.0**-DECIMALS
_LARGEST = 10 ** (DECIMALS + 1) - 1  # in steps
_CHARACTERS = "+-.\n0123456789"
_WARM_UP = 10_000  # numbers generated and dropped, after which the series is stationary


@dataclass(frozen=True)
class SeasonalSource(Generator):
    """A stationary autoregressive series of order 2: damped oscillations kept up by noise.

        x_t = 2 d cos(2 pi / period) x_t-1 - d^2 x_t-2 + noise,    noise ~ N(0, sigma^2)

    with d the `damping` per step and sigma such that x has variance 1 (Box & Jenkins 1976, section
    3.2.4). Numbers are written one a line with a sign and three decimals ("+0.125").

    Given the two numbers before it each one is normal, so the differential entropy rate is exactly
    ln(2 pi e sigma^2) / 2 nats a number: the density that no model can exceed on average
    (`entropy_nats_per_number`). Written with decimals it becomes an entropy per character.
    """

    kind: ClassVar[str] = "seasonal"
    summary: ClassVar[str] = "a noisy series of numbers that swings, one a line"
    level: ClassVar[str] = "series"

    period: float = parameter(12.0, 2.0, 1e4, "numbers to a swing")
    damping: float = parameter(0.95, 0.0, 0.999, "share of a swing that is left a number later")

    @property
    def coefficients(self) -> tuple[float, float]:
        """The weights of the last number and of the one before it."""
        return 2 * self.damping * math.cos(2 * math.pi / self.period), -(self.damping**2)

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise, where that of the series is 1."""
        a, b = self.coefficients
        return math.sqrt((1 + b) * ((1 - b) ** 2 - a * a) / (1 - b))

    @property
    def entropy_nats_per_number(self) -> float:
        """The differential entropy rate; may be negative."""
        return 0.5 * math.log(2 * math.pi * math.e * self.sigma**2)

    def generate(self) -> str:
        """Return whole lines, as many as `length` characters hold, at least one."""
        from scipy.signal import lfilter  # slow to import, and needed nowhere else

        n = max(1, self.length // WIDTH)
        noise = self._text_rng().normal(0.0, self.sigma, n + _WARM_UP)
        a, b = self.coefficients
        series = lfilter([1.0], [1.0, -a, -b], noise)[_WARM_UP:]
        return _write(np.clip(np.rint(series / _STEP), -_LARGEST, _LARGEST).astype(np.int64))

    def log_probs(self, text: str) -> FloatArray:
        """See :meth:`Generator.log_probs`.

        A line begun is an interval of numbers, and each character narrows it down: its probability
        is that of the new interval given the old one. The sign of zero is always "+". What rounding
        does to the numbers that the next one depends on is neglected.
        """
        ids = self._ids(text, _CHARACTERS)
        rest = -len(text) % WIDTH
        padded = np.append(ids, self._ids("+0.000\n"[WIDTH - rest :], _CHARACTERS))
        numbers, formed = _read(padded)
        means, deviations = self._predictions(numbers)
        digits = np.abs(numbers)
        negative = padded[::WIDTH] == 1
        low, high = np.full(len(numbers), -_LARGEST), np.full(len(numbers), _LARGEST)
        columns = np.zeros((len(numbers), WIDTH))
        before = np.zeros(len(numbers))
        for column in range(WIDTH):
            if column == 0:
                low, high = np.where(negative, low, 0), np.where(negative, -1, high)
            elif column in (2, WIDTH - 1):
                continue  # the point and the newline are certain
            else:
                unit = 10 ** (DECIMALS - (column - 1 if column == 1 else column - 2))
                first = digits // unit * unit
                last = first + unit - 1
                low, high = np.where(negative, -last, first), np.where(negative, -first, last)
                high = np.where(negative, np.minimum(high, -1), high)
            inside = _log_interval(low, high, means, deviations)
            with np.errstate(invalid="ignore"):
                columns[:, column] = np.where(np.isfinite(inside), inside - before, -np.inf)
            before = inside
        return np.where(formed, columns, -np.inf).ravel()[: len(text)]

    def _predictions(self, numbers: IndexArray) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of each number, given in steps, after those before it."""
        values: FloatArray = numbers * np.float64(_STEP)
        a, b = self.coefficients
        means, deviations = np.zeros(len(values)), np.full(len(values), self.sigma)
        means[2:] = a * values[1:-1] + b * values[:-2]
        correlation = a / (1 - b)  # of neighbours
        means[1:2] = correlation * values[:1]
        deviations[:1], deviations[1:2] = 1.0, math.sqrt(1 - correlation**2)
        return means, deviations

    @cached_property
    def entropy_bits(self) -> float:
        """Bits per character of the decimals."""
        return (self.entropy_nats_per_number - math.log(_STEP)) / math.log(2) / WIDTH

    @property
    def entropy_note(self) -> str:
        """What `entropy_bits` is."""
        density = -self.entropy_nats_per_number
        return f"exact: the noise to {DECIMALS} decimals; log density {density:.4f} nats a number"


def _write(numbers: IndexArray) -> str:
    """Numbers in steps as lines of `WIDTH` characters."""
    table = np.empty((len(numbers), WIDTH), np.int64)
    table[:, 0] = np.where(numbers < 0, 1, 0)
    table[:, 2], table[:, -1] = 2, 3
    rest = np.abs(numbers)
    for column in (*range(WIDTH - 2, 2, -1), 1):
        rest, digit = np.divmod(rest, 10)
        table[:, column] = digit + 4
    return spell(table.ravel(), _CHARACTERS)


def _read(ids: IndexArray) -> tuple[IndexArray, BoolArray]:
    """Inverse of `_write`: numbers in steps, (n,), and a mask of well-formed characters, (n, 7)."""
    table = ids.reshape(-1, WIDTH)
    formed = table >= 4
    formed[:, 0] = table[:, 0] <= 1
    formed[:, 2], formed[:, -1] = table[:, 2] == 2, table[:, -1] == 3
    digits = np.maximum(table[:, [1, *range(3, WIDTH - 1)]] - 4, 0)
    sizes: IndexArray = digits @ 10 ** np.arange(DECIMALS, -1, -1)
    return np.where(table[:, 0] == 1, -sizes, sizes), formed


def _log_interval(
    low: IndexArray, high: IndexArray, means: FloatArray, deviations: FloatArray
) -> FloatArray:
    """Log probability that a normal number, rounded to steps and clipped, is in [low, high]."""
    below = ((low - 0.5) * _STEP - means) / deviations
    above = ((high + 0.5) * _STEP - means) / deviations
    below = np.where(low <= -_LARGEST, -np.inf, below)
    above = np.where(high >= _LARGEST, np.inf, above)
    # Mirror intervals above the mean: differences of probabilities near one lose all digits.
    flip = below > 0
    below, above = np.where(flip, -above, below), np.where(flip, -below, above)
    from scipy.special import log_ndtr  # slow to import

    top, bottom = log_ndtr(above), log_ndtr(below)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.exp(np.minimum(bottom - top, 0.0))
        found: FloatArray = np.where(low > high, -np.inf, top + np.log1p(-ratio))
    return found
