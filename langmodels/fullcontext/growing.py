"""A context tree that grows with every symbol: the statistics of a model that learns as it reads.

Contexts are read backwards from the symbol that is predicted, so that the suffixes of the history
are a path from the root. Nodes stand where contexts branch, as in a suffix tree: a node of depth d
is a context of d symbols, and its children differ in the symbol before those. Reading a symbol
costs time in the nodes of one path, whatever was read before.
"""

from array import array
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

LONGEST = 1024
"""Symbols of a context beyond which all that end alike are one."""

_MOST = 40  # nodes of a path; a text of one repeated symbol would have as many as it has symbols
_KEPT = 4096  # symbols that can be taken back
_DISCOUNT = 0.7
_BLEND = 0.4  # of occurrences beside branch counts
_MEMORY = 500.0  # weight beyond which a gate forgets, so that it follows the text


class Node:
    """A context: `text[end - depth : end]`, and what came after it.

    `branches` counts for each symbol the children after which it came (its own occurrences where
    there are none), `n_branches` is their sum; `occurrences` and `n_occurrences` count all. Most
    contexts occur once: those share the dictionaries that say so, and have none of their own.
    """

    __slots__ = (
        "branches",
        "children",
        "depth",
        "end",
        "n_branches",
        "n_occurrences",
        "occurrences",
    )

    def __init__(self, depth: int, end: int) -> None:
        self.depth, self.end = depth, end
        self.children: dict[int, Node] = _CHILDLESS
        self.branches: dict[int, int] = {}
        self.occurrences: dict[int, int] = {}
        self.n_branches = self.n_occurrences = 0

    def add_child(self, symbol: int, child: "Node") -> None:
        """Put a child there, in the place of another if need be."""
        if self.children is _CHILDLESS:
            self.children = {}
        self.children[symbol] = child


_CHILDLESS: dict[int, Node] = {}  # shared, and never written to


Gate = list[float]
"""Weight of the times that a context of this kind left the next symbol to a shorter one; of all."""


class _Path(NamedTuple):
    """The nodes that are suffixes of the history, shortest first, and where the tree is left: on
    the edge to the node `below`, after `matched` symbols, or at the last node (None).
    """

    nodes: list[Node]
    below: Node | None
    matched: int


class _Change(NamedTuple):
    """What reading one symbol changed."""

    symbol: int
    nodes: list[Node]  # whose occurrences grew, but for the new leaf
    n_branched: int  # of them, from the deepest: whose branch counts grew
    split: tuple[Node, int, Node] | None  # a node, the child's symbol, the child as it was
    leaf: tuple[Node, int] | None  # a node, the symbol of its new child
    gates: list[tuple[Gate, float, float]]  # as they were


class GrowingTree:
    """Counts of everything read, and p(x | all of it).

    In a context u, longest first, with v the next shorter one,

        p(x | u) = (1 - g) [(1 - b) (c(u, x) - D) / (c(u) - D t(u)) + b n(u, x) / n(u)] + g p(x | v)

    where c counts branches (Kneser-Ney's counts), n occurrences, t(u) is the number of symbols seen
    after u, and g is learnt while reading, by EM, for each kind of context: by its length, its t, c
    and whether it ends on an edge. That is how the escape probabilities of PPMZ and PPMII are
    learnt (Bloom 1998, "Solving the Problems of Context Modeling"; Shkarin 2002, "PPM: One Step to
    Practicality"); contexts of unbounded length are those of PPM* (Cleary, Teahan and Witten 1995).
    Below the empty context is the uniform distribution over `n_predictable` symbols.

    Only sums, products and quotients of floats are taken, in a fixed order.
    """

    def __init__(self, n_predictable: int) -> None:
        self._uniform = 1.0 / n_predictable
        self._text = array("q")
        self._root = Node(0, 0)
        self._begin = 0
        self._gates: dict[tuple[int, int, int, bool], Gate] = {}
        self._once: dict[
            int, dict[int, int]
        ] = {}  # by symbol, the counts of what it came after once
        self._changes: deque[_Change | int] = deque(maxlen=_KEPT)
        self._found: _Path | None = None

    @property
    def n_undone(self) -> int:
        """How many of the last steps can be taken back."""
        return len(self._changes)

    @property
    def n_counts(self) -> int:
        """How many counts there are: pairs of a context and a symbol after it."""
        total, nodes = 0, [self._root]
        while nodes:
            node = nodes.pop()
            total += len(node.branches)
            nodes += node.children.values()
        return total

    @property
    def matched(self) -> int:
        """Symbols in the longest suffix of the present history that was seen before."""
        return self._path().matched

    def begin(self, mark: int) -> None:
        """Begin a sequence with a symbol that is not predicted; no context reaches back beyond."""
        self._changes.append(self._begin)
        self._begin = len(self._text)
        self._text.append(mark)
        self._found = None

    def prob(self, symbol: int) -> float:
        """p(symbol | what was read)."""
        p = self._uniform
        for node, gate in self._levels(self._path()):
            passed = gate[0] / gate[1]
            p = (1 - passed) * _own(node, symbol) + passed * p
        return p

    def distribution(self) -> tuple[dict[int, float], float]:
        """What the contexts give each symbol seen after one; and each symbol's share beside it."""
        p: dict[int, float] = {}
        left = 1.0
        for node, gate in reversed(self._levels(self._path())):
            passed = gate[0] / gate[1]
            given = left * (1 - passed)
            discounted = given * (1 - _BLEND) / (node.n_branches - _DISCOUNT * len(node.branches))
            relative = given * _BLEND / node.n_occurrences
            occurrences = node.occurrences
            for symbol, count in node.branches.items():
                share = discounted * (count - _DISCOUNT) + relative * occurrences[symbol]
                p[symbol] = p.get(symbol, 0.0) + share
            left *= passed
        return p, left * self._uniform

    def push(self, symbol: int) -> None:
        """Read a symbol: learn that it came after all that was read before."""
        path = self._path()
        gates = self._learn_gates(path, symbol)
        nodes = list(path.nodes)
        text, deepest = self._text, nodes[-1]
        n = len(text)
        split = leaf = None
        if path.below is not None:
            key = text[n - deepest.depth - 1]
            split = (deepest, key, path.below)
            node = self._split(path.below, path.matched)
            deepest.add_child(key, node)
            deepest = node
            nodes.append(deepest)
        reach = min(n - self._begin, LONGEST)
        if deepest.depth < reach and len(nodes) < _MOST:
            key = text[n - deepest.depth - 1]
            leaf = (deepest, key)
            deepest.add_child(key, self._leaf(reach, n, symbol))
        for node in nodes:
            if node.n_occurrences == 1:  # it has shared counts
                node.occurrences, node.branches = dict(node.occurrences), dict(node.branches)
            node.occurrences[symbol] = node.occurrences.get(symbol, 0) + 1
            node.n_occurrences += 1
        n_branched = 0
        for node in reversed(nodes):
            count = node.branches.get(symbol, 0)
            node.branches[symbol] = count + 1
            node.n_branches += 1
            n_branched += 1
            if count:  # the shorter contexts have counted this one already
                break
        text.append(symbol)
        self._changes.append(_Change(symbol, nodes, n_branched, split, leaf, gates))
        self._found = None

    def pop(self) -> None:
        """Take back the last `push` or `begin`; at most `n_undone` of them."""
        change = self._changes.pop()
        self._text.pop()
        self._found = None
        if isinstance(change, int):
            self._begin = change
            return
        symbol, nodes, n_branched, split, leaf, gates = change
        for node in nodes[len(nodes) - n_branched :]:
            _take(node.branches, symbol)
            node.n_branches -= 1
        for node in nodes:
            _take(node.occurrences, symbol)
            node.n_occurrences -= 1
        if leaf is not None:
            del leaf[0].children[leaf[1]]
        if split is not None:
            split[0].children[split[1]] = split[2]
        for gate, passed, weight in gates:
            gate[0], gate[1] = passed, weight

    def _path(self) -> _Path:
        if self._found is None:
            self._found = self._find()
        return self._found

    def _find(self) -> _Path:
        """Walk down the tree along the history, backwards."""
        text, node = self._text, self._root
        n, depth = len(text), 0
        reach = min(n - self._begin, LONGEST)
        nodes = [node]
        while depth < reach and len(nodes) < _MOST:
            child = node.children.get(text[n - 1 - depth])
            if child is None:
                break
            end = child.end
            if child.depth > reach or (
                text[n - child.depth : n - depth] != text[end - child.depth : end - depth]
            ):
                stop = min(child.depth, reach)
                matched = depth + 1
                while matched < stop and text[n - 1 - matched] == text[end - 1 - matched]:
                    matched += 1
                return _Path(nodes, child, matched)
            nodes.append(child)
            node, depth = child, child.depth
        return _Path(nodes, None, depth)

    def _levels(self, path: _Path) -> list[tuple[Node, Gate]]:
        """The contexts of a path with something after them, shortest first, each with its gate."""
        found = [
            (node, self._gate(node, node.depth, False)) for node in path.nodes if node.branches
        ]
        if path.below is not None:
            found.append((path.below, self._gate(path.below, path.matched, True)))
        return found

    def _gate(self, node: Node, depth: int, on_edge: bool) -> Gate:
        types, total = len(node.branches), node.n_branches
        types = types if types < 6 else min(5 + types.bit_length(), 10)
        total = total if total < 5 else 4 + min(total.bit_length(), 6)
        kind = (min(depth, 12), types, total, on_edge)
        gate = self._gates.get(kind)
        if gate is None:
            gate = self._gates[kind] = [2.0 * types / (types + total), 2.0]
        return gate

    def _learn_gates(self, path: _Path, symbol: int) -> list[tuple[Gate, float, float]]:
        """One step of EM for the gates of a path after which a symbol came; what they were."""
        p = self._uniform
        passed_on = []
        for node, gate in self._levels(path):
            passed = gate[0] / gate[1] * p
            p = (1 - gate[0] / gate[1]) * _own(node, symbol) + passed
            passed_on.append((gate, passed / p))
        before = []
        reached = 1.0
        for gate, share in reversed(passed_on):
            before.append((gate, gate[0], gate[1]))
            gate[0] += reached * share
            gate[1] += reached
            if gate[1] > _MEMORY:
                gate[0], gate[1] = gate[0] / 2, gate[1] / 2
            reached *= share
            if reached < 1e-4:
                break
        before.reverse()  # of two contexts of one kind, the first to change is the last to restore
        return before

    def _leaf(self, depth: int, end: int, symbol: int) -> Node:
        """A context after which a symbol came for the first time."""
        node = Node.__new__(Node)
        node.depth, node.end, node.children = depth, end, _CHILDLESS
        node.occurrences = node.branches = self._once.setdefault(symbol, {symbol: 1})
        node.n_occurrences = node.n_branches = 1
        return node

    def _split(self, below: Node, depth: int) -> Node:
        """A node on the edge to `below`, its only child so far."""
        node = Node(depth, below.end)
        node.children = {self._text[below.end - 1 - depth]: below}
        node.branches = dict.fromkeys(below.branches, 1)
        node.n_branches = len(below.branches)
        node.occurrences, node.n_occurrences = dict(below.occurrences), below.n_occurrences
        return node

    def __iter__(self) -> Iterator[int]:
        """All that was read, marks included."""
        return iter(self._text)


def _own(node: Node, symbol: int) -> float:
    """What a context itself gives a symbol, of what it does not leave to shorter ones."""
    count = node.branches.get(symbol, 0)
    if not count:
        return 0.0
    discounted = (count - _DISCOUNT) / (node.n_branches - _DISCOUNT * len(node.branches))
    relative = node.occurrences[symbol] / node.n_occurrences
    return (1 - _BLEND) * discounted + _BLEND * relative


def _take(counts: dict[int, int], symbol: int) -> None:
    if counts[symbol] == 1:
        del counts[symbol]
    else:
        counts[symbol] -= 1
