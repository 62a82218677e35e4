"""Word classes by the exchange algorithm, which maximises the likelihood of a class bigram model.

Let N(g, h) count how often a word of class g is followed by one of class h, and let N(g, .) and
N(., h) be the sums. Up to a constant, the log-likelihood of a text under the class bigram model is

    F = sum_gh N(g, h) log N(g, h) - sum_g N(g, .) log N(g, .) - sum_h N(., h) log N(., h)

Brown et al. (1992), "Class-based n-gram models of natural language", equation 13 and before; the
algorithm is that of Kneser and Ney (1993) and Martin, Liermann and Ney (1998), "Algorithms for
bigram and trigram word clustering": each word in turn is taken out of its class and put into the
one that maximises F, until no word moves. All classes are tried at once in array code.
"""

from dataclasses import dataclass

import numpy as np

from langmodels.arrays import Array, FloatArray, IndexArray, IntArray
from langmodels.ngram.counting import NGramCounts
from langmodels.progress import track

_LEAST_GAIN = 1e-6
"""Gains in F, in nats, below this are rounding: the word stays."""


@dataclass(frozen=True)
class Neighbours:
    """The words on one side of each word w: items starts[w] to starts[w+1] of `words` and
    `counts`.
    """

    starts: Array
    words: IntArray
    counts: IntArray

    def of(self, word: int) -> tuple[IntArray, IntArray]:
        """The distinct neighbours of a word other than itself, and how often each occurs."""
        part = slice(int(self.starts[word]), int(self.starts[word + 1]))
        words, counts = self.words[part], self.counts[part]
        others = words != word
        return words[others], counts[others]


_Beside = tuple[IndexArray, IndexArray]
"""The distinct classes on one side of a word, and how often each occurs."""


class Exchange:
    """An assignment of words to classes, with the bigram counts of the classes.

    `classes` (V,) is the class of each word. Word ids below `n_fixed` are classes of their own, of
    the same number. The other words move among `n_classes` further classes: initially each of the
    most frequent is alone in one, and all the rest are in the last. Words that do not occur are in
    class 0.
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
        """Visit every word once, the most frequent first, and move it; returns how many changed
        class.
        """
        return sum(map(self._move, self.movable.tolist()))

    def _move(self, word: int) -> bool:
        """Move a word to the class that maximises F; returns whether that is another one."""
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
        """Add a word to the counts of class `at`, or remove it with `sign` -1."""
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
        """The gain in F of adding the word, which is in no class now, to each class,
        (n_classes,).
        """
        some = slice(self.n_fixed, None)
        gain = np.zeros(self.n_classes)
        diagonal = np.full(self.n_classes, itself)
        for transposed, totals, (there, often) in (
            (self.transposed, self.left, after),
            (self.bigrams, self.right, before),
        ):
            was = transposed[there, some]
            changes = _phi(was + often[:, None]) - _phi(was)
            # Both sides of the word contribute to the diagonal, whose change is not additive: see
            # below.
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
    """Find word classes; returns the class of each word, (V,), numbered without gaps. See
    `Exchange`.

    Args:
        counts: n-gram counts of order 2 or higher.
        n_classes: number of classes besides those of the fixed words; fewer only if fewer words
            occur.
        n_fixed: words with ids below it are classes of their own, of the same number.
        sweeps: maximal number of passes over all words.
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
