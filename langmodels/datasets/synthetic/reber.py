"""The embedded Reber grammar: strings whose last symbols depend on the second."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from langmodels.arrays import FloatArray
from langmodels.datasets.synthetic.automaton import Automaton
from langmodels.datasets.synthetic.base import Generator, parameter, spell

ALPHABET = "BTPSXVE\n"

# Reber's grammar: from each node two branches, each taken half of the time, or only one.
_REBER: list[list[tuple[str, int]]] = [
    [("B", 1)],
    [("T", 2), ("P", 3)],
    [("S", 2), ("X", 4)],
    [("T", 3), ("V", 5)],
    [("X", 3), ("S", 6)],
    [("P", 4), ("V", 6)],
    [("E", 7)],
]
_END = len(_REBER)


@dataclass(frozen=True)
class ReberSource(Generator):
    """Strings of the embedded Reber grammar, one a line.

    A Reber string is a walk through a small graph from B to E that takes one of two branches with
    equal probability at every fork (Reber 1967). An embedded string wraps one in B T .. T E or
    B P .. P E: the last symbol but one repeats the second across a stretch of any length, which is
    what the grammar is for (Hochreiter & Schmidhuber 1997, section 5.1). `depth` is how often
    strings are wrapped: 0 is the plain grammar, 1 the embedded one.

    The grammar is a deterministic automaton, the newline leads back to its start, and every fork
    costs a bit: the entropy rate is the share of symbols that are chosen at a fork, which is also
    (entropy of a string) / (expected length of a string, newline included).
    """

    kind: ClassVar[str] = "reber"
    summary: ClassVar[str] = "the embedded Reber grammar: one long dependency a line"

    depth: int = parameter(1, 0, 6, "times a string is wrapped; 0 is the plain Reber grammar")

    @cached_property
    def _automaton(self) -> Automaton:
        nodes: list[list[tuple[str, int]]] = []
        end = _build(nodes, self.depth)
        nodes.append([("\n", 0)])
        dead = end + 1  # where impossible symbols lead; the next line starts afresh
        probabilities = np.zeros((dead + 1, len(ALPHABET)))
        successors = np.full((dead + 1, len(ALPHABET)), dead)
        successors[:, ALPHABET.index("\n")] = 0
        for node, branches in enumerate(nodes):
            for symbol, after in branches:
                probabilities[node, ALPHABET.index(symbol)] = 1 / len(branches)
                successors[node, ALPHABET.index(symbol)] = after
        return Automaton(probabilities, successors)

    def generate(self) -> str:
        """Return whole strings, each with its newline, of together about `length` characters."""
        text = spell(self._automaton.sample(self.length, self._text_rng()), ALPHABET)
        return text[: text.rfind("\n") + 1] or text

    def log_probs(self, text: str) -> FloatArray:
        """See :meth:`Generator.log_probs`."""
        return self._automaton.log_probs(self._ids(text, ALPHABET))

    @cached_property
    def entropy_bits(self) -> float:
        """Bits per character, newlines included."""
        return self._automaton.entropy_rate()

    @property
    def entropy_note(self) -> str:
        """What `entropy_bits` is."""
        return "exact: a bit for each fork of the grammar, over all characters and newlines"


def _build(nodes: list[list[tuple[str, int]]], depth: int) -> int:
    """Append the nodes of the grammar wrapped `depth` times; return the node after its last symbol.

    The nodes are those from len(nodes) on, the first first; the returned one is not yet there.
    """
    first = len(nodes)
    if depth == 0:
        nodes += [[(symbol, first + after) for symbol, after in node] for node in _REBER]
        return first + _END
    fork: list[tuple[str, int]] = []
    nodes += [[("B", first + 1)], fork]
    closing = []
    for symbol in "TP":
        fork.append((symbol, len(nodes)))
        closing.append(_build(nodes, depth - 1))
        nodes.append([(symbol, 0)])  # where to is known below
    last = len(nodes)
    for symbol, node in zip("TP", closing, strict=True):
        nodes[node] = [(symbol, last)]
    nodes.append([("E", last + 1)])
    return last + 1
