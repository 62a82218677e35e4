"""Scoring whole texts: word by word where they are short, else in blocks on all cores."""

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from langmodels.arrays import FloatArray, IntArray
from langmodels.ngram.lookup import LengthArray
from langmodels.threads import parallel_map, slices

_BLOCK = 1 << 17
"""Positions scored at a time. In far shorter ones threads wait for each other and gain nothing."""


class TextScorer:
    """What can score a word and a block, and so whole texts."""

    short: ClassVar[int] = 100
    """Positions up to which a loop is faster than array code."""

    @property
    @abstractmethod
    def order(self) -> int:
        """N, the length of the longest n-grams."""

    @abstractmethod
    def step(self, state: Any, word: int) -> tuple[float, int, tuple[Any, ...]]:
        """Log p(word | state) in nats, the length of the n-gram that gave it, the next state."""

    @abstractmethod
    def score_block(self, ids: IntArray, bos: int) -> tuple[FloatArray, LengthArray]:
        """`score` for a text that fits in the cache."""

    def score(self, ids: IntArray, bos: int = 1) -> tuple[FloatArray, LengthArray]:
        """Score every position of a text whose sequences begin with `<s>`.

        Args:
            ids: (T,) word ids.
            bos: the id of `<s>`; what it begins does not depend on what comes before.

        Returns:
            Log p of each word given the words before it in its sequence, (T,) nats, -inf at `<s>`;
            and the length of the n-gram that gave it, (T,).
        """
        if len(ids) <= self.short:
            return self._score_short(ids, bos)
        scores = np.empty(len(ids), np.float64)
        lengths = np.empty(len(ids), np.int16)

        def run(block: slice) -> None:
            # The context of a block's first position reaches back over N-1 tokens.
            back = min(block.start, self.order - 1)
            some, length = self.score_block(ids[block.start - back : block.stop], bos)
            scores[block], lengths[block] = some[back:], length[back:]

        parallel_map(run, slices(len(ids), _BLOCK))
        return scores, lengths

    def _score_short(self, ids: IntArray, bos: int) -> tuple[FloatArray, LengthArray]:
        scores, lengths = [], []
        state: tuple[Any, ...] = ()
        for word in ids.tolist():
            log_p, length, state = self.step(() if word == bos else state, word)
            scores.append(log_p)
            lengths.append(length)
        return np.array(scores, np.float64), np.array(lengths, np.int16)
