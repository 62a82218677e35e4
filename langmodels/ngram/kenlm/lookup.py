"""Log probabilities from KenLM's tables.

Below a node of these tables stand the n-grams that extend it *to the left*: an n-gram is looked up
from its last word backwards. So p(w | c) is read at the end of the longest path w, c_n, c_n-1, ...
and the back-off weights to be added are those on the path of c itself, beyond that length. For a
text this takes one look-up an n-gram length, since the path of each position is the context of the
next.
"""

from math import copysign
from typing import Any, Protocol

import numpy as np

from langmodels.arrays import Array, FloatArray, IndexArray, IntArray
from langmodels.errors import LangmodelsError
from langmodels.ngram.lookup import LengthArray
from langmodels.ngram.scoring import TextScorer
from langmodels.text.vocabulary import Vocabulary

_LOG10 = float(np.log(10.0))
_ABOVE_ONE = 1.0  # log10: what rounding in eight bits does not explain

Nodes = Array
State = tuple[Any, ...]
"""The context: the last word's id in the file, its log10 back-off weight, the word before it, the
weight of both, and so on; no longer than it can matter to what comes."""


class Store(Protocol):
    """One of the two layouts: n-grams as nodes, found by extending others to the left.

    Words are the file's ids; log probabilities and back-off weights are log10. Order N has weights
    of zero.
    """

    sizes: list[int]

    def unigrams(self, words: IntArray) -> tuple[Nodes, Array, Array]:
        """Nodes, log p and back-off weights of words, (M,) each."""

    def extend(
        self, order: int, nodes: Nodes, words: IntArray
    ) -> tuple[IndexArray, Nodes, Array, Array]:
        """Which nodes of the order below have an n-gram with these words before them, and these.

        `nodes` and `words` are (M,). Returns the places in them of the F that do, (F,) rising, and
        the nodes, log p and back-off weights of what was found, (F,) each.
        """

    def unigram(self, word: int) -> tuple[int, float, float]:
        """Node, log p and back-off weight of one word."""

    def child(self, order: int, node: int, word: int) -> tuple[int, float, float] | None:
        """The same of the n-gram that extends a node of the order below, where there is one."""


class KenLMLookup(TextScorer):
    """Scores from a `Store`, with the interface of `NGramTables`.

    `file_ids` (V,): the file's id of each token of the vocabulary. All log probabilities that come
    out are nats.
    """

    unseen_backoff = 0.0
    short = 24

    def __init__(self, store: Store, file_ids: IntArray) -> None:
        self._store = store
        self._file_ids = file_ids
        self._ids = file_ids.tolist()
        self._order = len(store.sizes)

    @property
    def order(self) -> int:
        """N, the length of the longest n-grams."""
        return self._order

    @property
    def vocabulary_size(self) -> int:
        """Number of words V, specials included."""
        return len(self._ids)

    @property
    def ngram_counts(self) -> list[int]:
        """How many n-grams of each order the file has, those included that KenLM filled in."""
        return self._store.sizes

    # Single queries -------------------------------------------------------------------------

    def start(self, bos: int = Vocabulary.bos_id) -> State:
        """The state at the beginning of a sequence."""
        return self.step((), bos)[2]

    def step(self, state: State, word: int) -> tuple[float, int, State]:
        """Log p(word | state) in nats, the length of the n-gram that gave it, the next state."""
        store, order = self._store, self._order
        id = self._ids[word]
        node, log_p, weight = store.unigram(id)
        following = [id, weight]
        length = 1
        for before in state[::2]:
            found = store.child(length + 1, node, before)
            if found is None:
                break
            length += 1
            node, log_p, weight = found
            if length < order:
                following += (before, weight)
        if 2 * length <= len(state):
            log_p += sum(state[2 * length - 1 :: 2])
        # A weight of -0 says that no n-gram continues this context: it changes nothing to come.
        while following and following[-1] == 0.0 and copysign(1.0, following[-1]) < 0.0:
            del following[-2:]
        if word == Vocabulary.bos_id:
            return -np.inf, 1, tuple(following)
        return log_p * _LOG10, length, tuple(following)

    def advance(self, state: State, word: int) -> State:
        """The state after one more word."""
        return self.step(state, word)[2]

    def score_next(self, state: State, word: int) -> tuple[float, int]:
        """Log p(word | state) in nats, and the length of the n-gram that gave it."""
        return self.step(state, word)[:2]

    def backing_off(self, state: State) -> float:
        """Log factor on unigram probabilities, for words never seen after the state, nats."""
        return float(sum(state[1::2])) * _LOG10

    def log_distribution(self, state: State) -> FloatArray:
        """Log p(w | state) of every word, (V,) float64, nats."""
        nodes, log_p, _ = self._store.unigrams(self._file_ids)
        weights = state[1::2]
        scores = log_p.astype(np.float64) + sum(weights)
        at = np.arange(len(scores))
        for k, before in enumerate(state[::2], start=2):
            found, nodes, log_p, _ = self._store.extend(
                k, nodes, np.full(len(at), before, np.int32)
            )
            at = at.take(found)
            scores[at] = log_p.astype(np.float64) + sum(weights[k - 1 :])
        scores *= _LOG10
        scores[Vocabulary.bos_id] = -np.inf
        return _sound(scores)

    # Whole texts ----------------------------------------------------------------------------

    def _score_short(self, ids: IntArray, bos: int) -> tuple[FloatArray, LengthArray]:
        scores, lengths = super()._score_short(ids, bos)
        return _sound(scores), lengths

    def score_block(self, ids: IntArray, bos: int) -> tuple[FloatArray, LengthArray]:
        """See `TextScorer`."""
        words = self._file_ids.take(ids)
        nodes, log_p, weight = self._store.unigrams(words)
        scores = log_p.astype(np.float64)
        lengths = np.ones(len(ids), np.int16)
        weights = [weight]
        begins = ids == bos
        at = np.flatnonzero(~begins[1:]) + 1
        nodes = nodes.take(at)
        for k in range(2, self.order + 1):
            found, nodes, log_p, weight = self._store.extend(k, nodes, words.take(at - (k - 1)))
            at = at.take(found)
            scores[at] = log_p
            lengths[at] = k
            if k < self.order:
                spread = np.zeros(len(ids), np.float32)
                spread[at] = weight
                weights.append(spread)
                # No context reaches back over the beginning of its sequence, or of the text.
                goes_on = np.flatnonzero((at >= k) & ~begins.take(at - (k - 1)))
                at, nodes = at.take(goes_on), nodes.take(goes_on)
        begins[:1] = True
        for k, spread in enumerate(weights, start=1):
            charged = lengths[1:] <= k
            charged &= ~begins[1:]
            scores[1:] += np.where(charged, spread[:-1], np.float32(0))
        scores *= _LOG10
        scores[ids == bos] = -np.inf
        return _sound(scores), lengths


def _sound(scores: FloatArray) -> FloatArray:
    """The same scores. Raises LangmodelsError where they show that the file is damaged."""
    if not scores.max(initial=-np.inf) < _ABOVE_ONE * _LOG10:
        raise LangmodelsError(
            "The binary file is damaged: it holds probabilities that are above 1 or not numbers."
        )
    return scores
