"""Balanced brackets: the smallest language for which a model needs a stack."""

from dataclasses import dataclass
from math import log2
from typing import ClassVar

import numpy as np

from langmodels.arrays import BoolArray, FloatArray, IndexArray
from langmodels.datasets.synthetic.automaton import run
from langmodels.datasets.synthetic.base import (
    Generator,
    binary_entropy,
    parameter,
    spell,
    whole_lines,
)
from langmodels.errors import UsageError

_PAIRS = ["()", "[]", "{}", "<>"]


@dataclass(frozen=True)
class BracketSource(Generator):
    """Strings of balanced brackets of several types (a Dyck language), one a line.

    The strings are those of the probabilistic grammar

        LINE -> ( S ) S   with probability 1 / types, for each type of bracket
        S    -> ( S ) S   with probability p / types
        S    ->           with probability 1 - p

    Read from the left, every character is one choice of a rule: an opening bracket, or else the one
    closing bracket that fits, or the end of the line where nothing is open. The grammar is not
    ambiguous, so the text tells which choices were made, and the entropy rate is the mean of their
    entropies: log2(types) bits at the start of a line and h(p) + p log2(types) elsewhere, where h
    is the binary entropy. It takes p < 1/2 for lines to end for certain (each S makes 2 p others).

    With `depth` > 0, brackets are never nested deeper: at that depth the next character is a
    closing bracket, which costs nothing, and p may be larger.

    How often characters stand at which depth follows from the balance of ways up and down: with one
    share for depth 0, line starts have 1 - p, depth 1 has 1 / (1 - p), and each further depth has p
    / (1 - p) times the one before. The deepest of all, which always leads up, has 1 - p times that.
    """

    kind: ClassVar[str] = "brackets"
    summary: ClassVar[str] = "balanced brackets: what a stack is needed for"

    types: int = parameter(3, 1, 4, "of bracket")
    p: float = parameter(0.4, 0.01, 0.9, "the probability that a bracket is opened")
    depth: int = parameter(0, 0, 1000, "of nesting at most; 0 sets no limit and needs p < 0.5")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.p >= 0.5 and self.depth == 0:
            raise UsageError(
                f"synthetic:brackets with p={self.p} nests without end; choose p below 0.5 or set "
                "a depth."
            )

    @property
    def alphabet(self) -> str:
        """Every character of the text: newline, opening brackets, closing ones in that order."""
        pairs = _PAIRS[: self.types]
        return "\n" + "".join(pair[0] for pair in pairs) + "".join(pair[1] for pair in pairs)

    def generate(self) -> str:
        """Return whole lines of together about `length` characters (fewer than that)."""
        rng = self._text_rng()
        opened = rng.random(self.length) < self.p
        deepest = 1 + (self.depth or self.length)

        # States: 0 at the start of a line, 1 + d where d brackets are open.
        def step(states: IndexArray, opens: BoolArray) -> IndexArray:
            after = states + np.where(opens & (states < deepest), 1, -1)
            return np.where(states == 0, 2, after)

        depths = np.maximum(run(step, opened, 0) - 1, 0)
        change = np.diff(depths)  # +1, -1, or 0 for the end of a line
        ids = np.where(change > 0, rng.integers(1, self.types + 1, self.length), 0)
        opening, closing = _partners(change, depths[1:])
        ids[closing] = ids[opening] + self.types
        return whole_lines(spell(ids, self.alphabet))

    def log_probs(self, text: str) -> FloatArray:
        """See :meth:`Generator.log_probs`."""
        ids = self._ids(text, self.alphabet)
        opens, closes = (ids > 0) & (ids <= self.types), ids > self.types
        change = opens.astype(np.int64) - closes
        after = np.cumsum(change)
        before = after - change
        limit = self.depth or len(ids)
        starts = np.concatenate([[True], ids[:-1] == 0])[: len(ids)]
        p = np.where(opens, self.p / self.types, 1.0 - self.p)
        p[opens & starts] = 1.0 / self.types
        p[closes & (before == limit)] = 1.0
        p[opens & (before >= limit)] = 0.0
        p[~opens & starts] = 0.0
        p[(ids == 0) & (before != 0)] = 0.0
        p[after < 0] = 0.0
        if len(after) and after.min() >= 0:  # else there are closing brackets without partners
            opening, closing = _partners(change, after)
            p[closing[ids[closing] != ids[opening] + self.types]] = 0.0
        with np.errstate(divide="ignore"):
            return np.log(p)

    @property
    def entropy_bits(self) -> float:
        """Bits per character, newlines included."""
        choice = binary_entropy(self.p) + self.p * log2(self.types)
        starts = 1 - self.p
        if self.depth:
            nested = (self.p / (1 - self.p)) ** np.arange(self.depth) / (1 - self.p)
            nested[-1] *= 1 - self.p
            free = 1 + float(nested[:-1].sum())
            total = starts + free + float(nested[-1])
        else:
            free = 1 + 1 / (1 - 2 * self.p)
            total = starts + free
        return (starts * log2(self.types) + free * choice) / total

    @property
    def entropy_note(self) -> str:
        """What `entropy_bits` is."""
        return "exact: the entropy of one choice of a grammar rule a character, newlines included"


def _partners(change: IndexArray, after: IndexArray) -> tuple[IndexArray, IndexArray]:
    """Positions of the opening brackets, and of the closing bracket of each.

    `change` is +1, -1 or 0 at every character, `after` the depth behind it. Among the brackets of
    one level opening and closing ones take turns, so sorting by level puts partners side by side.
    """
    brackets = np.flatnonzero(change)
    level = after[brackets] + (change[brackets] < 0)
    brackets = brackets[np.argsort(level, kind="stable")]
    # At each level one bracket may still be open at the end of the text; it has no partner.
    opening = change[brackets] > 0
    paired = np.flatnonzero(opening[:-1] & ~opening[1:])
    return brackets[paired], brackets[paired + 1]
