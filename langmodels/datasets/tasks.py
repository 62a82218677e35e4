"""Tasks for encoder-decoders that need no download: numbers and dates in words."""

import datetime
import inspect
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from langmodels.datasets.pairs import Pairs, PairSplits
from langmodels.datasets.pronunciation import pronunciation
from langmodels.datasets.queries import parse_query
from langmodels.errors import UsageError
from langmodels.names import Registry
from langmodels.text.tokenization import SymbolTokenizer, WhitespaceTokenizer

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["_", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = ["", "thousand", "million", "billion", "trillion"]
_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
    "twenty": "twentieth",
    "thirty": "thirtieth",
}
_FRACTIONS = (0.8, 0.9)  # where training and validation pairs end


def number_words(number: int) -> list[str]:
    """A whole number from 0 to 10**15 - 1 in words, in British English.

    >>> " ".join(number_words(1206))
    'one thousand two hundred and six'
    """
    if not 0 <= number < 10**15:
        raise UsageError(f"Only numbers from 0 to 10**15 - 1 are put into words, not {number}.")
    if number == 0:
        return ["zero"]
    words: list[str] = []
    for scale in range(len(_SCALES) - 1, -1, -1):
        group = number // 1000**scale % 1000
        if group == 0:
            continue
        if scale == 0 and group < 100 and words:
            words.append("and")
        words += _below_thousand(group)
        if scale:
            words.append(_SCALES[scale])
    return words


def _below_thousand(number: int) -> list[str]:
    hundreds, rest = divmod(number, 100)
    words = [_ONES[hundreds], "hundred"] if hundreds else []
    if rest and hundreds:
        words.append("and")
    return words + (_below_hundred(rest) if rest else [])


def _below_hundred(number: int) -> list[str]:
    if number < 20:
        return [_ONES[number]]
    tens, ones = divmod(number, 10)
    return [_TENS[tens]] + ([_ONES[ones]] if ones else [])


def numbers(size: int = 20_000, digits: int = 9, seed: int = 0) -> PairSplits:
    """Numbers in words to digits: "two hundred and six" to "2 0 6".

    Numbers have 1 to `digits` digits; all lengths are equally frequent as far as there are enough
    numbers, so that sources have one to some thirty words. No number occurs twice. A tenth of the
    pairs is for validation and a tenth for test, at random.

    Raises UsageError for more numbers than there are.
    """
    _check("digits", digits, 1, 15)
    _check("size", size, 20, min(10**digits // 2, 10_000_000))
    rng = np.random.default_rng(seed)
    found: dict[int, None] = {}
    while len(found) < size:
        length = rng.integers(1, digits + 1, size)
        low = np.where(length == 1, 0, 10 ** (length - 1))
        found |= dict.fromkeys(rng.integers(low, 10**length).tolist())
    # Short numbers are used up early; shuffled, all parts have their share of them.
    chosen = rng.permutation(np.array(list(found)[:size])).tolist()
    sources = [number_words(n) for n in chosen]
    targets = [list(str(n)) for n in chosen]
    return _divide("numbers", "numbers in words to digits", sources, targets)


def dates(size: int = 20_000, seed: int = 0) -> PairSplits:
    """Dates in words to ISO 8601: "the third of may nineteen ninety four" to "1994-05-03".

    Days from 1600 to 2099, each worded in one of four ways, two of which put the month first. No
    day occurs twice. A tenth of the pairs is for validation and a tenth for test, at random.

    Raises UsageError for more days than there are.
    """
    first, last = datetime.date(1600, 1, 1).toordinal(), datetime.date(2099, 12, 31).toordinal()
    _check("size", size, 20, last - first + 1)
    rng = np.random.default_rng(seed)
    chosen = first + rng.choice(last - first + 1, size, replace=False)
    wordings = rng.integers(0, 4, size)
    days = [datetime.date.fromordinal(int(n)) for n in chosen]
    sources = [_date_words(d, w) for d, w in zip(days, wordings.tolist(), strict=True)]
    targets = [list(d.isoformat()) for d in days]
    return _divide("dates", "dates in words to ISO 8601", sources, targets)


def _date_words(day: datetime.date, wording: int) -> list[str]:
    month, year = _MONTHS[day.month - 1], _year_words(day.year)
    number = _ordinal(day.day)
    if wording == 0:
        return ["the", *number, "of", month, *year]
    if wording == 1:
        return [month, "the", *number, *year]
    if wording == 2:
        return [month, *number, *year]
    return [_DAYS[day.weekday()], "the", *number, "of", month, *year]


def _ordinal(number: int) -> list[str]:
    *front, last = _below_hundred(number)
    return [*front, _ORDINALS.get(last, f"{last}th")]


def _year_words(year: int) -> list[str]:
    century, rest = divmod(year, 100)
    if 2000 <= year < 2010:
        return number_words(year)
    if rest == 0:
        return [*_below_hundred(century), "hundred"]
    return [*_below_hundred(century), *(["oh"] if rest < 10 else []), *_below_hundred(rest)]


def _divide(
    name: str, description: str, sources: list[list[str]], targets: list[list[str]]
) -> PairSplits:
    cuts = [0, *(round(f * len(sources)) for f in _FRACTIONS), len(sources)]
    train, validation, test = (Pairs(sources[a:b], targets[a:b]) for a, b in pairwise(cuts))
    how = "at random, 80 % / 10 % / 10 %, no item twice"
    words, characters = WhitespaceTokenizer(), SymbolTokenizer(width=1, lines=True)
    return PairSplits(name, description, train, validation, test, how, words, characters)


def _check(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise UsageError(f"{name} must lie between {low} and {high:,} here, not {value:,}.")


TASKS: Registry[Callable[..., PairSplits]] = Registry(
    "task",
    {"numbers": numbers, "dates": dates, "pronunciation": pronunciation},
    group="langmodels.tasks",
)
"""Functions that make the pairs of a task; their parameters are whole numbers."""


def make_task(name: str) -> PairSplits:
    """The task that a name such as `numbers?size=5000&seed=1` describes.

    Raises UsageError for an unknown task or parameter.
    """
    kind, _, query = name.partition("?")
    task = TASKS.find(kind)
    values = {}
    for key, value in parse_query(query, inspect.signature(task).parameters, kind).items():
        try:
            values[key] = int(value)
        except ValueError:
            raise UsageError(f"{kind} needs a whole number for {key}, not {value!r}.") from None
    return task(**values)
