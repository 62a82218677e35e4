"""A pattern that repeats for ever, with noise."""

from dataclasses import dataclass
from functools import cached_property
from math import log2
from typing import ClassVar

import numpy as np

from langmodels.arrays import FloatArray, IndexArray
from langmodels.datasets.synthetic.base import LETTERS, Generator, binary_entropy, parameter, spell


@dataclass(frozen=True)
class PeriodicSource(Generator):
    """A random pattern of `period` letters over and over, with errors.

    Each letter is wrong with probability `noise`, and then any of the others. The pattern has no
    shorter period. Whoever knows it and where in it the text is faces independent errors, so the
    entropy rate is exactly h(noise) + noise log2(alphabet - 1) bits, where h is the binary entropy.
    Noise hurts an n-gram model, which knows the place by the last letters only, more than a model
    with a memory.
    """

    kind: ClassVar[str] = "periodic"
    summary: ClassVar[str] = "a repeating pattern with noise"

    period: int = parameter(12, 1, 10_000, "length of the pattern")
    alphabet: int = parameter(4, 2, 26, "number of different characters")
    noise: float = parameter(0.1, 0.0, 1.0, "probability that a letter is wrong")

    @cached_property
    def pattern(self) -> IndexArray:
        """The letters that repeat, as numbers, (period,)."""
        rng = self._structure_rng()
        while True:
            pattern = rng.integers(0, self.alphabet, self.period)
            divisors = [d for d in range(1, self.period) if self.period % d == 0]
            if not any(np.array_equal(pattern, np.roll(pattern, d)) for d in divisors):
                return pattern

    def generate(self) -> str:
        """Return `length` characters, from the start of the pattern, without newlines."""
        rng = self._text_rng()
        ids = np.resize(self.pattern, self.length)
        wrong = rng.random(self.length) < self.noise
        shift = rng.integers(1, self.alphabet, self.length)
        return spell(np.where(wrong, (ids + shift) % self.alphabet, ids), LETTERS)

    def log_probs(self, text: str) -> FloatArray:
        """See :meth:`Generator.log_probs`."""
        ids = self._ids(text, LETTERS[: self.alphabet])
        right = ids == np.resize(self.pattern, len(ids))
        with np.errstate(divide="ignore"):
            return np.log(np.where(right, 1 - self.noise, self.noise / (self.alphabet - 1)))

    @property
    def entropy_bits(self) -> float:
        """Bits per character."""
        return binary_entropy(self.noise) + self.noise * log2(self.alphabet - 1)

    @property
    def entropy_note(self) -> str:
        """What `entropy_bits` is."""
        return "exact: the entropy of the noise, for a model that knows the pattern and the place"
