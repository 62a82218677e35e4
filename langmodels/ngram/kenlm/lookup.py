"""Queries to KenLM's tables, whatever their layout.

The children of a node are the n-grams that extend it *to the left*: an n-gram is looked up from its
last word backwards. p(w | c) is found at the end of the longest path w, c_n, c_n-1, ..., and the
back-off weights to add are those on the path of c beyond that length. In a text the path of a
position is the context of the next one, so each position takes one look-up per n-gram length.
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
_ABOVE_ONE = 1.0  # log10; more than quantization to eight bits explains

Nodes = Array
State = tuple[Any, ...]
"""The context as alternating items: the file's id of the last word, the log10 back-off weight of
it, the id of the word before, the weight of the two, and so on, as far as it can affect later
probabilities.
"""


class Store(Protocol):
    """One of the two layouts. N-grams are nodes, found by extending shorter ones to the left.

    Words are the file's ids; log probabilities and back-off weights are log10, the weights of order
    N zero.
    """

    sizes: list[int]

    def unigrams(self, words: IntArray) -> tuple[Nodes, Array, Array]:
        """Nodes, log p and back-off weights of words, (M,) each."""

    def extend(
        self, order: int, nodes: Nodes, words: IntArray
    ) -> tuple[IndexArray, Nodes, Array, Array]:
        """Look up n-grams: nodes of the order below, (M,), extended by words before them, (M,).

        Returns the ascending indices of the F pairs that were found, (F,), and the nodes, log p and
        back-off weights of their n-grams, (F,) each.
        """

    def unigram(self, word: int) -> tuple[int, float, float]:
        """Node, log p and back-off weight of one word."""

    def child(self, order: int, node: int, word: int) -> tuple[int, float, float] | None:
        """The same for one n-gram, a node of the order below extended by `word`; None if there is
        none.
        """


class KenLMLookup(TextScorer):
    """Scores from a `Store`, with the interface of `NGramTables`.

    `file_ids` (V,) is the file's id of each token of the vocabulary. Results are in nats.
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
        """The number of n-grams of each order, with those that KenLM added as blanks."""
        return self._store.sizes

    # Single queries -------------------------------------------------------------------------

    def start(self, bos: int = Vocabulary.bos_id) -> State:
        """The state at the beginning of a sequence."""
        return self.step((), bos)[2]

    def step(self, state: State, word: int) -> tuple[float, int, State]:
        """Log p(word | state) in nats, the length of the longest n-gram found, and the next
        state.
        """
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
        # KenLM writes a weight of -0.0 if no n-gram continues this context: it need not be in the
        # state.
        while following and following[-1] == 0.0 and copysign(1.0, following[-1]) < 0.0:
            del following[-2:]
        if word == Vocabulary.bos_id:
            return -np.inf, 1, tuple(following)
        return log_p * _LOG10, length, tuple(following)

    def advance(self, state: State, word: int) -> State:
        """The state after one more word."""
        return self.step(state, word)[2]

    def score_next(self, state: State, word: int) -> tuple[float, int]:
        """Log p(word | state) in nats, and the length of the longest n-gram found."""
        return self.step(state, word)[:2]

    def backing_off(self, state: State) -> float:
        """See `NGramLookup`."""
        return float(sum(state[1::2])) * _LOG10

    def log_distribution(self, state: State) -> FloatArray:
        """Log p(w | state) of every word in nats, (V,)."""
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
                # No context reaches back past the start of its sequence.
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
    """The scores themselves. Raises LangmodelsError where one shows that the file is damaged."""
    if not scores.max(initial=-np.inf) < _ABOVE_ONE * _LOG10:
        raise LangmodelsError(
            "The binary file is damaged: some probabilities are above 1 or not numbers."
        )
    return scores
