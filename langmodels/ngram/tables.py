"""Back-off tables: log probabilities and back-off weights of n-grams, and their look-up.

Every smoothing method compiles to these tables, and every ARPA file can be read into them:

    p(w | c) = exp(log_prob[cw])              where the n-gram cw is stored
    p(w | c) = exp(backoff[c]) p(w | c')      where it is not and the context c is
    p(w | c) = p(w | c')                      where neither is

with c' the context c without its first word; Katz (1987), equation 7.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from langmodels.arrays import Array, BoolArray, FloatArray, IntArray
from langmodels.checks import LOG_PROB, Expected, check_arrays
from langmodels.errors import LangmodelsError
from langmodels.ngram.child_index import Finders, Level
from langmodels.ngram.lookup import LengthArray
from langmodels.ngram.scoring import TextScorer
from langmodels.ngram.trie import NGramTrie, expected_structure, structure_from
from langmodels.text.vocabulary import Vocabulary

Float32Array = NDArray[np.float32]

State = tuple[int, ...]
"""The context: item j-1 is the id of the j-gram of the last j tokens, or -1 if it is not stored. At
most N-1 items, and no more than can affect later probabilities.
"""


def longest(state: State) -> int:
    """The length of the longest stored context of a state."""
    return max((n for n, node in enumerate(state, start=1) if node >= 0), default=0)


_PREFIX = "ngram."
"""The prefix of array names in files."""

MAX_ORDER = 100
"""The highest order allowed."""


@dataclass(frozen=True)
class NGramTables(NGramTrie, TextScorer):
    """A back-off model over word ids, orders 1 to N.

    With an n-gram its prefix is stored; its suffix need not be (a pruned model may lack it). Log
    probabilities are at most 0 and never NaN; that of `<s>` (id 1) as a unigram is -inf.
    """

    log_prob: list[Float32Array]
    """By order, (n_k,) log p(last word | the words before it) in nats."""
    backoff: list[Float32Array]
    """By order, 1 to N-1, (n_k,) log of the factor on p(w | c') for words w not stored after c, in
    nats.
    """
    unseen_backoff: float = 0.0
    """Log of the factor for backing off from a context that is not stored; 0 in every distribution.

    Only stupid backoff has another.
    """
    blanks: list[IntArray] = field(default_factory=list)
    """By order, (b_k,) ascending ids of k-grams that are not part of the model, but were added as
    prefixes or suffixes of others, with the probability that backing off gives them. Empty, or of
    length N.

    Pruned models of other tools lack such k-grams; KenLM calls them blanks.
    """

    @property
    def ngram_counts(self) -> list[int]:
        """The number of n-grams of each order, without blanks."""
        blanks = map(len, self.blanks) if self.blanks else [0] * self.order
        return [n - b for n, b in zip(self.sizes, blanks, strict=True)]

    def own(self, order: int, nodes: slice) -> BoolArray:
        """Which k-grams in the range `nodes` are not blanks, (M,)."""
        own = np.ones(nodes.stop - nodes.start, np.bool_)
        if self.blanks:
            blanks = self.blanks[order - 1]
            begin, end = np.searchsorted(blanks, [nodes.start, nodes.stop])
            own[blanks[begin:end] - nodes.start] = False
        return own

    # Looking up -----------------------------------------------------------------------------

    @cached_property
    def _levels(self) -> list[tuple[memoryview, memoryview, memoryview, memoryview]]:
        """By length j of the context: child_start and backoff of order j, words and log_prob of
        order j+1, as memory views, whose items Python reads several times faster than those of
        arrays.
        """
        columns = zip(
            self.child_start, self.backoff, self.words[1:], self.log_prob[1:], strict=True
        )
        return [(a.data, b.data, c.data, d.data) for a, b, c, d in columns]

    @cached_property
    def _unigrams(self) -> memoryview:
        return self.log_prob[0].data

    @cached_property
    def unigram_cumulative(self) -> FloatArray:
        """(V,) cumulative sums of the unigram probabilities."""
        return np.cumsum(np.exp(self.log_prob[0], dtype=np.float64))

    # Single queries -------------------------------------------------------------------------

    def start(self, bos: int = 1) -> State:
        """The state at the beginning of a sequence."""
        return (bos,) if self.order > 1 else ()

    def step(self, state: State, word: int) -> tuple[float, int, State]:
        """Log p(word | state) in nats, the length of the longest n-gram found, and the next
        state.
        """
        log_p: float = self._unigrams[word]
        length = 1
        nodes = [word]
        levels = self._levels
        for parent, (starts, backoff, words, log_prob) in zip(state, levels, strict=False):
            if parent < 0:
                log_p += self.unseen_backoff
            else:
                begin, end = starts[parent], starts[parent + 1]
                if begin < end:
                    at = bisect_left(words, word, begin, end)
                    if at < end and words[at] == word:
                        nodes.append(at)
                        log_p, length = log_prob[at], len(nodes)
                        continue
                log_p += backoff[parent]
            nodes.append(-1)
        n = min(len(nodes), len(levels))
        while n and not self.unseen_backoff:
            # A context without successors and with a back-off weight of one affects no later
            # probability.
            node = nodes[n - 1]
            if node >= 0:
                starts, backoff, _, _ = levels[n - 1]
                if backoff[node] != 0.0 or starts[node] < starts[node + 1]:
                    break
            n -= 1
        return log_p, length, tuple(nodes[:n])

    def advance(self, state: State, word: int) -> State:
        """The state after one more word."""
        return self.step(state, word)[2]

    def score_next(self, state: State, word: int) -> tuple[float, int]:
        """Log p(word | state) in nats, and the length of the longest n-gram found."""
        charge = 0.0
        for length in range(len(state), 0, -1):
            parent = state[length - 1]
            if parent < 0:
                charge += self.unseen_backoff
                continue
            starts, backoff, words, log_prob = self._levels[length - 1]
            end = starts[parent + 1]
            at = bisect_left(words, word, starts[parent], end)
            if at < end and words[at] == word:
                return charge + log_prob[at], length + 1
            charge += backoff[parent]
        return charge + self._unigrams[word], 1

    def backing_off(self, state: State) -> float:
        """See `NGramLookup`."""
        return sum(
            weights[node] if node >= 0 else self.unseen_backoff
            for node, (_, weights, _, _) in zip(state, self._levels, strict=False)
        )

    def log_distribution(self, state: State) -> FloatArray:
        """Log p(w | state) of every word in nats, (V,) float64."""
        charges = [0.0]  # of backing off to contexts of len(state), len(state) - 1, ..., 0 words
        for length in range(len(state), 0, -1):
            node = state[length - 1]
            backoff = self.backoff[length - 1][node] if node >= 0 else self.unseen_backoff
            charges.append(charges[-1] + float(backoff))
        result = self.log_prob[0].astype(np.float64)
        result += charges[-1]
        for length, node in enumerate(state, start=1):
            if node < 0:
                continue
            starts = self.child_start[length - 1]
            children = slice(int(starts[node]), int(starts[node + 1]))
            charge = charges[len(state) - length]
            scores = self.log_prob[length][children].astype(np.float64)
            result[self.words[length][children]] = scores + charge
        return result

    # Whole texts ----------------------------------------------------------------------------

    @cached_property
    def _finders(self) -> Finders:
        """The batched look-up of n-grams of orders 2 to N."""
        weights = (*self.backoff[1:], None)[: self.order - 1]
        columns = zip(self.child_start, self.words[1:], self.log_prob[1:], weights, strict=True)
        return Finders([Level(*column) for column in columns], self.vocabulary_size)

    def score_block(self, ids: IntArray, bos: int) -> tuple[FloatArray, LengthArray]:
        """See `TextScorer`."""
        scores = self.log_prob[0].take(ids).astype(np.float64)
        lengths = np.ones(len(ids), np.int16)
        contexts = np.zeros(len(ids), np.int16)
        at, parents = np.arange(1, len(ids)), ids[:-1]
        backoff = self.backoff[0].take(parents) if self.order > 1 else None
        for k, finder in enumerate(self._finders.after(len(ids)), start=2):
            found = finder.find(parents, ids.take(at))
            if self.unseen_backoff:
                contexts[at] = k - 1
            if backoff is not None:
                scores[at.take(found.missed)] += backoff.take(found.missed)
            at, parents, backoff = at.take(found.hits), found.nodes, found.backoff
            scores[at] = found.log_prob
            lengths[at] = k
            # The n-gram found is the context of the next position.
            at += 1
            if len(at) and at[-1] == len(ids):
                at, parents = at[:-1], parents[:-1]
        if self.unseen_backoff:
            places = np.arange(len(ids))
            begin = np.maximum.accumulate(np.where(ids == bos, places, 0))
            history = np.minimum(places - begin, self.order - 1)
            scores += self.unseen_backoff * (history - contexts)
        return scores, lengths

    # Files ----------------------------------------------------------------------------------

    def to_arrays(self) -> dict[str, Array]:
        """The arrays to store, by name, without the words of unigrams, which are their ids."""
        arrays = self.structure(_PREFIX)
        for k, log_prob in enumerate(self.log_prob, start=1):
            arrays[f"{_PREFIX}{k}.log_prob"] = log_prob
        for k, backoff in enumerate(self.backoff, start=1):
            arrays[f"{_PREFIX}{k}.backoff"] = backoff
        for k, blanks in enumerate(self.blanks, start=1):
            if len(blanks):
                arrays[_blanks(k)] = blanks
        return arrays

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, Array], order: int, unseen_backoff: float = 0.0
    ) -> "NGramTables":
        """Inverse of `to_arrays`; the values are not checked before `check`.

        Raises LangmodelsError if the sizes of the arrays are inconsistent.
        """
        check_arrays(arrays, _expected(arrays, order), values=False)
        log_prob = [arrays[f"{_PREFIX}{k}.log_prob"] for k in range(1, order + 1)]
        backoff = [arrays[f"{_PREFIX}{k}.backoff"] for k in range(1, order)]
        words, child_start = structure_from(arrays, order, len(log_prob[0]), _PREFIX)
        for k, starts in enumerate(child_start, start=1):
            n, n_next = len(log_prob[k - 1]), len(log_prob[k])
            if not (len(starts) == n + 1 and starts[0] == 0 and starts[-1] == n_next):
                raise LangmodelsError(f"the array '{_PREFIX}{k}.child_start' is damaged.")
        blanks = [arrays.get(_blanks(k), np.empty(0, np.int32)) for k in range(1, order + 1)]
        return cls(
            *(words, child_start, log_prob, backoff, unseen_backoff),
            blanks if any(map(len, blanks)) else [],
        )

    def check(self) -> None:
        """Check every value. Raises LangmodelsError where one violates the invariants of the
        tables.
        """
        arrays = self.to_arrays()
        check_arrays(arrays, _expected(arrays, self.order), {"n1": self.vocabulary_size})
        bos = Vocabulary.bos_id
        if len(self.log_prob[0]) > bos and self.log_prob[0][bos] != -np.inf:
            raise LangmodelsError("the array 'ngram.1.log_prob' is damaged: <s> is predicted.")
        for k in range(2, self.order + 1):
            if not self.is_sound(k):
                raise LangmodelsError(f"the array 'ngram.{k}.words' is damaged.")
        for k, blanks in enumerate(self.blanks, start=1):
            if (np.diff(blanks) <= 0).any():
                raise LangmodelsError(f"the array {_blanks(k)!r} is damaged.")


def _blanks(order: int) -> str:
    """The array name of the blanks of an order, in files."""
    return f"{_PREFIX}{order}.blanks"


def _expected(arrays: Mapping[str, Array], order: int) -> dict[str, Expected]:
    """The expected dtypes, shapes and ranges of the arrays of a file."""
    log_prob = {k: Expected("float32", (f"n{k}",), **LOG_PROB) for k in range(1, order + 1)}
    expected = {f"{_PREFIX}{k}.log_prob": own for k, own in log_prob.items()}
    expected |= expected_structure(order, _PREFIX)
    for k in range(1, order + 1):
        if k < order:
            expected[f"{_PREFIX}{k}.backoff"] = Expected("float32", (f"n{k}",), high=100)
        if _blanks(k) in arrays:
            expected[_blanks(k)] = Expected("int32", (f"b{k}",), low=0, below=f"n{k}")
    return expected
