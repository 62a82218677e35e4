"""Series of numbers as sequences of symbols: bins learnt from the training part, and the way back.

A model of the bins gives p(bin | context). What lies in a bin follows a density of its own, uniform
between two edges and exponential beyond the outer ones, so that every model of bins is a density of
the numbers as well:

    log p(x | context) = log p(bin of x | context) + log p(x | bin)

The second term is -log(width) in an inner bin. Without it, coarse bins look better than fine ones;
with it, models on different bins can be compared.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import regex
from numpy.typing import ArrayLike, NDArray

from langmodels.corpus import Corpus
from langmodels.errors import LangmodelsError, UsageError
from langmodels.model import LanguageModel
from langmodels.tokenization import TOKENIZERS, Tokenizer
from langmodels.vocabulary import Vocabulary

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]

DEFAULT_BINS = 32
MAX_BINS = 100_000


def _quantile_edges(values: FloatArray, bins: int) -> FloatArray:
    """Edges between equally many values; fewer where values repeat so often that edges coincide."""
    return np.unique(np.quantile(values, np.arange(1, bins) / bins))


def _uniform_edges(values: FloatArray, bins: int) -> FloatArray:
    """Edges at equal distances from the smallest value to the largest."""
    return np.unique(np.linspace(values.min(), values.max(), bins + 1)[1:-1])


BINNINGS: dict[str, Callable[[FloatArray, int], FloatArray]] = {
    "quantile": _quantile_edges,
    "uniform": _uniform_edges,
}


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
        """Bins from training values (n,), by "quantile" or "uniform" edges.

        Bins without a training value are merged with a neighbour, so there may be fewer than
        `bins`. Raises UsageError for fewer than two bins or an unknown binning, LangmodelsError for
        values that are not finite or all equal.
        """
        if not 2 <= bins <= MAX_BINS:
            raise UsageError(f"The number of bins must lie between 2 and {MAX_BINS:,}, not {bins}.")
        if binning not in BINNINGS:
            raise UsageError(f"There is no binning {binning!r}; choose {' or '.join(BINNINGS)}.")
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
        if not len(edges):  # nearly all values are one value
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
        """The bin of each value."""
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

        Every multiple in an inner bin is equally probable, and those beyond an outer edge form a
        geometric distribution, so that probabilities in a bin sum to one.
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
        """A number at random from each bin: uniform in inner bins, exponential in the outer."""
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
        """The bins as JSON can hold them."""
        return {
            "edges": self.edges.tolist(),
            "medians": self.medians.tolist(),
            "tails": list(self.tails),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Quantizer":
        """Inverse of `config`. Raises LangmodelsError where the numbers are no bins."""
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


class SeriesTokenizer(Tokenizer):
    """Numbers between white space as bins; a token is a number that stands for its bin.

    `bins` and `binning` ("quantile" or "uniform") say how bins are made, which happens when a
    training corpus is read; `differences` makes them of the steps from each number to the next
    (n numbers are n - 1 tokens then). `quantizer` are bins made before, as `Quantizer.config` gives
    them, and `start` the number from which differences are summed up again: the last training
    number.

    >>> tokenizer = SeriesTokenizer(bins=2).fit("1 2 3 10")
    >>> tokenizer.tokenize("0 2.4 2.6 99")
    ['1.5', '1.5', '6.5', '6.5']
    """

    level = "series"
    learns = True

    def __init__(
        self,
        bins: int = DEFAULT_BINS,
        binning: str = "quantile",
        differences: bool = False,
        quantizer: Mapping[str, Any] | None = None,
        start: float = 0.0,
    ) -> None:
        if binning not in BINNINGS:
            raise UsageError(f"There is no binning {binning!r}; choose {' or '.join(BINNINGS)}.")
        if not 2 <= bins <= MAX_BINS:
            raise UsageError(f"The number of bins must lie between 2 and {MAX_BINS:,}, not {bins}.")
        self.bins = bins
        self.binning = binning
        self.differences = differences
        self.start = start
        self._quantizer = None if quantizer is None else Quantizer.from_config(quantizer)

    @property
    def quantizer(self) -> Quantizer:
        """The bins. Raises UsageError before they are made."""
        if self._quantizer is None:
            raise UsageError("The bins of a series come from a training text; fit to one first.")
        return self._quantizer

    @property
    def at_breaks(self) -> bool:
        return True

    def fit(self, text: str) -> "SeriesTokenizer":
        """The tokenizer with bins made from a text; itself where it has bins already."""
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
        """What is put into bins: the numbers of a text or, with `differences`, their steps."""
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
            return 0  # a cut would lose the step over it
        return max(text.rfind("\n"), text.rfind(" "), text.rfind("\t")) + 1

    def detokenize(self, tokens: Iterable[str]) -> str:
        """The number of each token; with `differences`, their sums from `start` on."""
        tokens = list(tokens)
        if not self.differences:
            return " ".join(tokens)
        return " ".join(f"{number:.10g}" for number in self.numbers(tokens).tolist())

    def numbers(self, tokens: Iterable[str], rng: np.random.Generator | None = None) -> FloatArray:
        """The series that tokens stand for: a random number out of each bin, or its label.

        With `differences`, n tokens give n + 1 numbers, `start` first. What is no number, as the
        boundary symbols and `<unk>`, is left out.
        """
        values = np.array([float(t) for t in tokens if _is_number(t)])
        if rng is not None:
            values = self.quantizer.draw(self.quantizer.index(values), rng)
        if self.differences:
            return np.concatenate([[self.start], self.start + np.cumsum(values)])
        return values

    def lost_nats(self, text: str) -> tuple[IndexArray, FloatArray]:
        """What it takes to tell the numbers of a text from their bins, as decimals.

        Returns the characters of the text up to and with each token's number and the white space
        after it, and -log p(number | bin) in nats, both (n,), for numbers with as many decimals as
        the most precise one has.
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


TOKENIZERS[SeriesTokenizer.level] = SeriesTokenizer


def parse_numbers(text: str) -> FloatArray:
    """The numbers between white space, (n,).

    Raises LangmodelsError for what is not a number, and for infinities and NaN.
    """
    words = text.split()
    try:
        numbers = np.array(list(map(float, words)))
    except ValueError:
        wrong = next(word for word in words if not _is_number(word))
        raise LangmodelsError(
            f"A series needs numbers between white space, and {wrong[:40]!r} is none; name the "
            "column of a table as in data.csv?series=price."
        ) from None
    if not np.isfinite(numbers).all():
        wrong = words[int(np.flatnonzero(~np.isfinite(numbers))[0])]
        raise LangmodelsError(f"A series needs finite numbers, and {wrong[:40]!r} is none.")
    return numbers


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _decimals(text: str) -> int:
    """Decimals of the most precise number in a text."""
    longest = 0
    for fraction, exponent in regex.findall(r"(?:\.(\d*))?(?:[eE]([+-]?\d+))?(?=\s|$)", text):
        longest = max(longest, len(fraction) - int(exponent or 0))
    return min(longest, 300)


def log_densities(model: LanguageModel[Any], text: str) -> FloatArray:
    """Log density of each number of a series given those before it, in nats, (n,).

    The model must be one of series. The mean over a text never seen is what to compare models on
    different bins by. -inf where the vocabulary lacks the bin. Raises UsageError for a model of
    something else, LangmodelsError for what is not a series.
    """
    tokenizer = model.tokenizer
    if not isinstance(tokenizer, SeriesTokenizer):
        raise UsageError("Densities are for models of series (level series).")
    corpus = Corpus.from_text(text, tokenizer, vocabulary=model.vocabulary)
    scores = model.score_corpus(corpus) + tokenizer.quantizer.log_densities(tokenizer.values(text))
    return np.where(corpus.targets == Vocabulary.unk_id, -np.inf, scores)


def sample_series(
    model: LanguageModel[Any], n: int, prompt: str = "", *, seed: int | None = None, **options: Any
) -> FloatArray:
    """Numbers that a model of series draws after a prompt: bins, then a number out of each.

    `options` are those of `LanguageModel.sample`. Gives n numbers, or with differences n + 1, the
    first of which is the last of the prompt, or of the training text without one.
    """
    tokenizer = model.tokenizer
    if not isinstance(tokenizer, SeriesTokenizer):
        raise UsageError("Only a model of series (level series) draws numbers.")
    rng = np.random.default_rng(seed)
    tokens = model.sample(prompt, max_tokens=n, seed=rng, **options)
    drawn = tokenizer.numbers(tokens, rng)
    if tokenizer.differences and prompt.split():
        drawn = drawn + (parse_numbers(prompt)[-1] - tokenizer.start)
    return drawn
