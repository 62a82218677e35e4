"""Sampling the next word of a back-off model without computing its whole distribution."""

from bisect import bisect_left
from collections.abc import Iterator

import numpy as np

from langmodels.models.decoding import plain_decoding
from langmodels.ngram.tables import NGramTables, State

_MAX_ATTEMPTS = 1000


def draw(tables: NGramTables, state: State, rng: np.random.Generator, *, unk: bool = False) -> int:
    """A word drawn from p(w | state); without `unk`, from p(w | state, w is not `<unk>`).

    A uniform number selects one of the words stored after the longest context, or the rest of the
    distribution. The rest is proportional to the probabilities after the next shorter context:
    words are drawn there until one is not among those stored (rejection sampling). The expected
    number of attempts is at most the back-off weight, which is rarely above 1.

    The tables must be a distribution. After too many rejections (where `<unk>` has nearly all the
    probability, or rounding leaves a context some that no shorter one can supply) the whole
    distribution is computed.
    """
    attempts = iter(range(_MAX_ATTEMPTS))
    try:
        while True:
            word = _draw(tables, state, len(state), rng, attempts)
            if unk or word != 0:
                return word
    except StopIteration:
        return plain_decoding(unk).choose(tables.log_distribution(state), rng)


def _draw(
    tables: NGramTables,
    state: State,
    length: int,
    rng: np.random.Generator,
    attempts: Iterator[int],
) -> int:
    """A word drawn after the last `length` words of the context.

    Raises StopIteration when `attempts` are used up.
    """
    next(attempts)
    while length and state[length - 1] < 0:
        length -= 1
    if length == 0:
        cumulative = tables.unigram_cumulative
        at = np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")
        return int(at)
    node = state[length - 1]
    starts, words = tables.child_start[length - 1], tables.words[length]
    begin, end = int(starts[node]), int(starts[node + 1])
    cumulative = np.cumsum(np.exp(tables.log_prob[length][begin:end], dtype=np.float64))
    total = float(cumulative[-1]) if end > begin else 0.0
    # Without probability left to back off with, rounding must not suggest some.
    everything = total if tables.backoff[length - 1][node] == -np.inf else max(total, 1.0)
    point = rng.random() * everything
    if point < total:
        return int(words[begin + int(np.searchsorted(cumulative, point, side="right"))])
    column = words.data
    while True:
        word = _draw(tables, state, length - 1, rng, attempts)
        at = bisect_left(column, word, begin, end)
        if at == end or column[at] != word:
            return word
