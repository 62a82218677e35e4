"""Scoring whole texts: short ones word by word, long ones in blocks, in parallel."""

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from langmodels.arrays import FloatArray, IntArray
from langmodels.ngram.lookup import LengthArray
from langmodels.threads import parallel_map, slices

_BLOCK = 1 << 17
"""Positions per block. With much shorter blocks threads wait for each other."""


class TextScorer:
    """A mixin that scores whole texts, given `step` for a word and `score_block` for a block."""

    short: ClassVar[int] = 100
    """The longest text for which a loop over words is faster than array code."""

    @property
    @abstractmethod
    def order(self) -> int:
        """N, the length of the longest n-grams."""

    @abstractmethod
    def step(self, state: Any, word: int) -> tuple[float, int, tuple[Any, ...]]:
        """Log p(word | state) in nats, the length of the longest n-gram found, and the next
        state.
        """

    @abstractmethod
    def score_block(self, ids: IntArray, bos: int) -> tuple[FloatArray, LengthArray]:
        """`score` for a block of a text, in array code."""

    def score(self, ids: IntArray, bos: int = 1) -> tuple[FloatArray, LengthArray]:
        """Score every position of a text, in which `<s>` starts each sequence.

        Args:
            ids: (T,) word ids.
            bos: the id of `<s>`; the context of a word does not reach back past one.

        Returns:
            Log p of each word given the words before it in its sequence, in nats, (T,), -inf at
            `<s>`; and the length of the longest n-gram found, (T,).
        """
        if len(ids) <= self.short:
            return self._score_short(ids, bos)
        scores = np.empty(len(ids), np.float64)
        lengths = np.empty(len(ids), np.int16)

        def run(block: slice) -> None:
            # A block overlaps the one before by N-1 tokens, the context of its first position.
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
