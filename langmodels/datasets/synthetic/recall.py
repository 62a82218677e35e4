"""Long-range recall: a symbol to be repeated after a stretch of others."""

from dataclasses import dataclass
from math import log2
from typing import ClassVar

import numpy as np

from langmodels.arrays import FloatArray, IndexArray
from langmodels.datasets.synthetic.base import LETTERS, Generator, parameter, spell
from langmodels.errors import UsageError

_CUES = LETTERS.upper()


@dataclass(frozen=True)
class RecallSource(Generator):
    """Lines such as `Kabdac..K`: a cue, distractors, and the cue again.

    The cue is one of `cues` capital letters, the distractors are `lag` (or up to `lag + spread`,
    every number equally likely) letters from `distractors` small ones, all uniform and independent.
    The second capital is certain to whoever remembers the first: an n-gram model of order n does
    when lag < n - 1, and a recurrent network when it has learnt to.

    A line is determined by its cue, its lag and its distractors and determines them, so its entropy
    is the sum of theirs, log2(cues) + log2(spread + 1) + E[lag] log2(distractors) bits, and the
    entropy rate is that over the expected length E[lag] + 3, the newline counted.
    """

    kind: ClassVar[str] = "recall"
    summary: ClassVar[str] = "a cue to repeat after a stretch of distractors"

    cues: int = parameter(8, 1, 26, "number of different cues")
    lag: int = parameter(10, 0, 100_000, "distractors between a cue and its recall, at least")
    spread: int = parameter(0, 0, 100_000, "by how much the number of distractors varies")
    distractors: int = parameter(4, 1, 26, "number of different distractors")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lag + self.spread + 3 > self.length:
            raise UsageError(
                f"synthetic:recall with a lag of up to {self.lag + self.spread} needs a length of "
                f"at least {self.lag + self.spread + 3}, not {self.length}."
            )

    @property
    def alphabet(self) -> str:
        """Every character of the text: newline, cues, distractors."""
        return "\n" + _CUES[: self.cues] + LETTERS[: self.distractors]

    def generate(self) -> str:
        """Return whole lines of together at most about `length` characters."""
        rng = self._text_rng()
        n_lines = max(1, round(self.length / (self.lag + self.spread / 2 + 3)))
        cues = rng.integers(1, self.cues + 1, n_lines)
        lags = rng.integers(self.lag, self.lag + self.spread + 1, n_lines)
        ends = np.cumsum(lags + 3)
        ids = rng.integers(self.cues + 1, self.cues + 1 + self.distractors, int(ends[-1]))
        ids[ends - lags - 3] = ids[ends - 2] = cues
        ids[ends - 1] = 0
        return spell(ids, self.alphabet)

    def log_probs(self, text: str) -> FloatArray:
        """See :meth:`Generator.log_probs`."""
        ids = self._ids(text, self.alphabet)
        positions = np.arange(len(ids))
        is_end, is_cue = ids == 0, (ids > 0) & (ids <= self.cues)
        # The first character of each position's line, and the cues before the position in it.
        starts = np.concatenate([[True], is_end[:-1]])[: len(ids)]
        first = np.maximum.accumulate(np.where(starts, positions, 0))
        cues_seen: IndexArray = np.cumsum(is_cue) - is_cue
        cues_before: IndexArray = cues_seen - cues_seen[first]
        column = positions - first
        # After d distractors the recall comes with probability P(lag = d | lag >= d).
        d = column - 1
        left = self.lag + self.spread - d + 1  # lags that are still possible, if d >= self.lag
        recall = np.where(d < self.lag, 0.0, 1.0 / np.maximum(left, 1)) * (left > 0)
        distractor = np.where(left > 0, 1.0 - recall, 0.0) / self.distractors
        p = np.where(is_cue, recall * (ids == ids[first]), distractor)
        p[is_end | (cues_before != 1)] = 0.0
        p[(column == 0) & is_cue] = 1.0 / self.cues
        p[(cues_before == 2) & is_end] = 1.0
        with np.errstate(divide="ignore"):
            return np.log(p)

    @property
    def entropy_bits(self) -> float:
        """Bits per character, newlines included."""
        lag = self.lag + self.spread / 2
        bits = log2(self.cues) + log2(self.spread + 1) + lag * log2(self.distractors)
        return bits / (lag + 3)

    @property
    def forgetful_bits(self) -> float:
        """Bits per character of the best predictor that knows everything but the cue."""
        return self.entropy_bits + log2(self.cues) / (self.lag + self.spread / 2 + 3)

    @property
    def entropy_note(self) -> str:
        """What `entropy_bits` is."""
        return f"exact; at least {self.forgetful_bits:.4f} for a model that forgets the cue"
