"""Word classes by exchange: every word goes where the bigrams of the classes predict best.

With N(g, h) how often a word of class g is followed by one of class h, and N(g, .) and N(., h) the
sums, the log-likelihood of a text under the class bigram model is, but for a constant,

    F = sum_gh N(g, h) log N(g, h) - sum_g N(g, .) log N(g, .) - sum_h N(., h) log N(., h)

Brown et al. (1992), "Class-based n-gram models of natural language", equation 13 and before; the
algorithm is that of Kneser and Ney (1993) and Martin, Liermann and Ney (1998), "Algorithms for
bigram and trigram word clustering": word after word is taken out of its class and put where F gains
most, until nothing moves. All classes are tried at once in array code.
"""

from dataclasses import dataclass

import numpy as np

from langmodels.arrays import Array, FloatArray, IndexArray, IntArray
from langmodels.ngram.counting import NGramCounts
from langmodels.progress import track

_LEAST_GAIN = 1e-6
"""Nats below which a move is rounding."""


@dataclass(frozen=True)
class Neighbours:
    """What stands on one side of each word: those of word w from `starts[w]` to `starts[w+1]`."""

    starts: Array
    words: IntArray
    counts: IntArray

    def of(self, word: int) -> tuple[IntArray, IntArray]:
        """The neighbours of a word and how often they occur, without the word itself."""
        part = slice(int(self.starts[word]), int(self.starts[word + 1]))
        words, counts = self.words[part], self.counts[part]
        others = words != word
        return words[others], counts[others]


_Beside = tuple[IndexArray, IndexArray]
"""Classes beside a word, and how often each is there."""


class Exchange:
    """Words in classes, and the bigram counts of the classes.

    `classes` (V,) is the class of each word. Words below `n_fixed` have the class of their own
    number and stay there; the others begin in `n_classes` more, the most frequent ones alone, and
    all that have no place then in the last. Words that do not occur are in class 0.
    """

    def __init__(self, counts: NGramCounts, n_classes: int, n_fixed: int) -> None:
        size = counts.vocabulary_size
        first = np.repeat(np.arange(size, dtype=np.int32), np.diff(counts.child_start[0]))
        second, often = counts.words[1], counts.counts[1]
        self.after = Neighbours(counts.child_start[0], second, often)
        order = np.argsort(second, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(second, minlength=size))])
        self.before = Neighbours(starts, first[order], often[order])
        self.itself = np.zeros(size, np.int64)
        same = first == second
        self.itself[first[same]] = often[same]

        self.n_fixed, self.n_classes = n_fixed, n_classes
        frequency = counts.counts[0].copy()
        frequency[:n_fixed] = 0
        ranked = np.argsort(-frequency, kind="stable")
        self.movable = ranked[: np.count_nonzero(frequency)]
        self.classes = np.zeros(size, np.int32)
        self.classes[:n_fixed] = np.arange(n_fixed)
        self.classes[self.movable] = n_fixed + np.minimum(
            np.arange(len(self.movable)), n_classes - 1
        )
        width = n_fixed + n_classes
        pairs = self.classes[first].astype(np.int64) * width + self.classes[second]
        sums = np.bincount(pairs, often, width * width)
        self.bigrams = sums.astype(np.int64).reshape(width, width)
        """(G, G) N(g, h)."""
        self.transposed = self.bigrams.T.copy()
        self.left, self.right = self.bigrams.sum(axis=1), self.bigrams.sum(axis=0)
        """(G,) N(g, .) and N(., h)."""

    def log_likelihood(self) -> float:
        """F in nats."""
        return float(_phi(self.bigrams).sum() - _phi(self.left).sum() - _phi(self.right).sum())

    def sweep(self) -> int:
        """Give every word the chance to move, the most frequent first; how many did."""
        return sum(map(self._move, self.movable.tolist()))

    def _move(self, word: int) -> bool:
        """Put a word where F is highest; whether that is elsewhere."""
        old = int(self.classes[word])
        after, before = self._by_class(self.after, word), self._by_class(self.before, word)
        itself = int(self.itself[word])
        self._add(old, after, before, itself, -1)
        gains = self._gains(after, before, itself)
        new = self.n_fixed + int(gains.argmax())
        if gains[new - self.n_fixed] - gains[old - self.n_fixed] < _LEAST_GAIN:
            new = old
        self._add(new, after, before, itself, 1)
        self.classes[word] = new
        return new != old

    def _by_class(self, neighbours: Neighbours, word: int) -> _Beside:
        """The classes beside a word, and how often each is there."""
        words, counts = neighbours.of(word)
        sums = np.bincount(self.classes[words], counts, len(self.left))
        there = np.flatnonzero(sums)
        return there, sums[there].astype(np.int64)

    def _add(
        self,
        at: int,
        after: _Beside,
        before: _Beside,
        itself: int,
        sign: int,
    ) -> None:
        """Count a word in a class, or with a sign of -1 no longer."""
        for matrix, transposed, totals, (there, often) in (
            (self.bigrams, self.transposed, self.left, after),
            (self.transposed, self.bigrams, self.right, before),
        ):
            matrix[at, there] += sign * often
            transposed[there, at] += sign * often
            totals[at] += sign * (often.sum() + itself)
        for matrix in (self.bigrams, self.transposed):
            matrix[at, at] += sign * itself

    def _gains(
        self,
        after: _Beside,
        before: _Beside,
        itself: int,
    ) -> FloatArray:
        """What F gains where a word, counted nowhere now, goes into each class, (n_classes,)."""
        some = slice(self.n_fixed, None)
        gain = np.zeros(self.n_classes)
        diagonal = np.full(self.n_classes, itself)
        for transposed, totals, (there, often) in (
            (self.transposed, self.left, after),
            (self.bigrams, self.right, before),
        ):
            was = transposed[there, some]
            changes = _phi(was + often[:, None]) - _phi(was)
            # On the diagonal both sides of the word meet: that is one change, not two.
            inside = np.flatnonzero(there >= self.n_fixed)
            own = there[inside] - self.n_fixed
            changes[inside, own] = 0.0
            diagonal[own] += often[inside]
            gain += changes.sum(axis=0)
            total = totals[some]
            gain -= _phi(total + often.sum() + itself) - _phi(total)
        was = self.bigrams.diagonal()[some]
        gain += _phi(was + diagonal) - _phi(was)
        return gain


def _phi(n: Array) -> FloatArray:
    """N log n."""
    from scipy.special import xlogy  # slow to import

    result: FloatArray = xlogy(n, n)
    return result


def cluster(counts: NGramCounts, n_classes: int, n_fixed: int, sweeps: int) -> IntArray:
    """The class of each word, (V,), numbered without gaps; see `Exchange`.

    Args:
        counts: of bigrams, at least.
        n_classes: how many classes there are beside those of the fixed words; none stays empty
            where there are so many words.
        n_fixed: the first so many words are each a class of their own, of the same number.
        sweeps: over all words, at most.
    """
    exchange = Exchange(counts, n_classes, n_fixed)
    with track("Sorting words into classes", total=sweeps) as meter:
        for _ in range(sweeps if len(exchange.movable) > n_classes else 0):
            moved = exchange.sweep()
            meter.advance(note=f"{moved:,} words moved")
            if not moved:
                break
    used = np.bincount(exchange.classes, minlength=n_fixed + n_classes) > 0
    used[:n_fixed] = True
    numbers = np.cumsum(used, dtype=np.int32) - np.int32(1)
    result: IntArray = numbers[exchange.classes]
    return result
