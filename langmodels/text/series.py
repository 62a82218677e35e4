"""Series of numbers as sequences of symbols: bins estimated from the training part, and decoding.

A model of the bins gives p(bin | context). Numbers within a bin have a density of their own,
uniform between two edges and exponential beyond the outer ones, so that every model of bins is also
a density of the numbers:

    log p(x | context) = log p(bin of x | context) + log p(x | bin)

The second term is -log(width) in an inner bin. Without it, coarse bins look better than fine ones;
with it, models on different bins can be compared.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import regex

from langmodels.arrays import FloatArray, IndexArray
from langmodels.errors import LangmodelsError, UsageError
from langmodels.text.bins import DEFAULT_BINS, Quantizer, check_bins
from langmodels.text.tokenization import Tokenizer


class SeriesTokenizer(Tokenizer):
    """Numbers between white space, discretised; a token is a number that stands for its bin.

    `bins` and `binning` ("quantile" or "uniform") say how bins are made when a training corpus is
    read; with `differences` they are bins of the differences between consecutive numbers (n numbers
    are then n - 1 tokens). `quantizer` are existing bins, as given by `Quantizer.config`, and
    `start` the number from which differences are summed when decoding: the last training number.

    >>> tokenizer = SeriesTokenizer(bins=2).fit("1 2 3 10")
    >>> tokenizer.tokenize("0 2.4 2.6 99")
    ['1.5', '1.5', '6.5', '6.5']
    """

    level = "series"
    unit = "number"
    usual_order = 3
    learns = True

    def __init__(
        self,
        bins: int = DEFAULT_BINS,
        binning: str = "quantile",
        differences: bool = False,
        quantizer: Mapping[str, Any] | None = None,
        start: float = 0.0,
    ) -> None:
        check_bins(bins, binning)
        self.bins = bins
        self.binning = binning
        self.differences = differences
        self.start = start
        self._quantizer = None if quantizer is None else Quantizer.from_config(quantizer)

    @property
    def quantizer(self) -> Quantizer:
        """The bins. Raises UsageError if the tokenizer is not fitted."""
        if self._quantizer is None:
            raise UsageError("The bins of a series come from a training text; fit to one first.")
        return self._quantizer

    @property
    def at_breaks(self) -> bool:
        return True

    def fit(self, text: str) -> "SeriesTokenizer":
        """A tokenizer with bins made from a text; itself if it already has bins."""
        if self._quantizer is not None:
            return self
        numbers = parse_numbers(text)
        if len(numbers) <= self.differences:
            raise LangmodelsError("There are too few numbers in the series to make bins from.")
        quantizer = Quantizer.fit(self.values(text), self.bins, self.binning)
        return SeriesTokenizer(
            self.bins, self.binning, self.differences, quantizer.config(), float(numbers[-1])
        )

    def values(self, text: str) -> FloatArray:
        """The values to discretise: the numbers of a text or, with `differences`, their
        differences.
        """
        numbers = parse_numbers(text)
        if not self.differences:
            return numbers
        decimals = _decimals(text)
        steps = np.diff(numbers)
        return np.round(steps, decimals) if decimals <= 15 else steps

    def tokenize(self, text: str) -> Sequence[str]:
        labels = self.quantizer.labels
        return [labels[i] for i in self.quantizer.index(self.values(text)).tolist()]

    def safe_cut(self, text: str) -> int:
        if self.differences:
            return 0  # a cut would lose a difference
        return max(text.rfind("\n"), text.rfind(" "), text.rfind("\t")) + 1

    def detokenize(self, tokens: Iterable[str]) -> str:
        """The number of each token as text; with `differences`, their sums from `start` on."""
        tokens = list(tokens)
        if not self.differences:
            return " ".join(tokens)
        return " ".join(f"{number:.10g}" for number in self.numbers(tokens).tolist())

    def numbers(self, tokens: Iterable[str], rng: np.random.Generator | None = None) -> FloatArray:
        """Decode tokens to numbers: the labels of the bins, or with `rng` a random number from
        each.

        With `differences`, n tokens give n + 1 numbers, `start` first. Boundary symbols and `<unk>`
        are skipped.
        """
        values = np.array([float(t) for t in tokens if is_number(t)])
        if rng is not None:
            values = self.quantizer.draw(self.quantizer.index(values), rng)
        if self.differences:
            return np.concatenate([[self.start], self.start + np.cumsum(values)])
        return values

    def lost_nats(self, text: str) -> tuple[IndexArray, FloatArray]:
        """The cost of the decimals of each number, given its bin.

        Returns the end in the text of each token's number and the white space after it, and -log
        p(number | bin) in nats, both (n,), where numbers have as many decimals as the most precise
        one.
        """
        ends = np.array([m.end() for m in regex.finditer(r"\S+\s*", text)], np.int64)
        step = 10.0 ** -_decimals(text)
        costs = self.quantizer.grid_costs(self.values(text), step)
        return ends[int(self.differences) :], costs

    def __repr__(self) -> str:
        learnt = f"{self._quantizer.n_bins} made" if self._quantizer else "none made yet"
        return (
            f"SeriesTokenizer(bins={self.bins} ({learnt}), binning={self.binning!r}, "
            f"differences={self.differences})"
        )

    def config(self) -> dict[str, Any]:
        return {
            "bins": self.bins,
            "binning": self.binning,
            "differences": self.differences,
            "quantizer": None if self._quantizer is None else self._quantizer.config(),
            "start": self.start,
        }


def parse_numbers(text: str) -> FloatArray:
    """The numbers between white space, (n,).

    Raises LangmodelsError for what is not a number, and for infinities and NaN.
    """
    words = text.split()
    try:
        numbers = np.array(list(map(float, words)))
    except ValueError:
        wrong = next(word for word in words if not is_number(word))
        raise LangmodelsError(
            f"A series needs numbers between white space, and {wrong[:40]!r} is none; name the "
            "column of a table as in data.csv?series=price."
        ) from None
    if not np.isfinite(numbers).all():
        wrong = words[int(np.flatnonzero(~np.isfinite(numbers))[0])]
        raise LangmodelsError(f"A series needs finite numbers, and {wrong[:40]!r} is none.")
    return numbers


def is_number(word: str) -> bool:
    """Whether Python reads a word as a number, infinity and NaN included."""
    try:
        float(word)
    except ValueError:
        return False
    return True


def _decimals(text: str) -> int:
    """The number of decimals of the most precise number in a text."""
    longest = 0
    for fraction, exponent in regex.findall(r"(?:\.(\d*))?(?:[eE]([+-]?\d+))?(?=\s|$)", text):
        longest = max(longest, len(fraction) - int(exponent or 0))
    return min(longest, 300)
