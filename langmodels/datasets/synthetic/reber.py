"""The embedded Reber grammar: strings whose last symbols depend on the second."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from langmodels.datasets.synthetic.automaton import Automaton, LineSource
from langmodels.datasets.synthetic.base import parameter

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
class ReberSource(LineSource):
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
    alphabet: ClassVar[str] = "BTPSXVE\n"

    depth: int = parameter(1, 0, 6, "times a string is wrapped; 0 is the plain Reber grammar")

    @cached_property
    def automaton(self) -> Automaton:
        """The graph of the grammar."""
        nodes: list[list[tuple[str, int]]] = []
        _build(nodes, self.depth)
        nodes.append([("\n", 0)])
        arcs = [{symbol: (to, 1 / len(node)) for symbol, to in node} for node in nodes]
        return Automaton.of_lines(arcs, self.alphabet)

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
