"""A context tree that is updated with every symbol: the statistics of the adaptive model.

Contexts are read backwards from the predicted symbol, so that the suffixes of the history are a
path from the root. As in a suffix tree, nodes are the contexts that branch: a node of depth d is a
context of d symbols, and its children differ in the symbol before those. The time to read a symbol
is proportional to the nodes on that path.
"""

from collections import deque
from collections.abc import Container, Iterator
from typing import NamedTuple

LONGEST = 1024
"""The longest context in symbols; longer ones with the same end are not distinguished."""

_MOST = 40  # most nodes on a path, which else grows with the text in repetitive texts
_KEPT = 4096  # steps that can be undone
_DISCOUNT = 0.7
_BLEND = 0.4  # b: weight of occurrences against branch counts
_MEMORY = 500.0  # effective memory of a gate, so that it follows the text
_ONE_BY_ONE = 16  # symbols of an edge compared one by one, as most differ early


class Node:
    """A context, `text[end - depth : end]`, and the symbols that followed it.

    `branches` counts for each symbol the children in which it occurred (without children, its
    occurrences), `n_branches` is the sum; `occurrences` and `n_occurrences` count occurrences. Most
    contexts occur once: their dictionaries are shared. `gate` is a cached reference to the gate of
    the node's kind, and `branch` a cached factor of it; both are invalid, and `gate` None, after
    branch counts have changed.
    """

    __slots__ = (
        "branch",
        "branches",
        "children",
        "depth",
        "end",
        "gate",
        "n_branches",
        "n_occurrences",
        "occurrences",
    )

    def __init__(
        self,
        depth: int,
        end: int,
        branches: dict[int, int],
        occurrences: dict[int, int],
        n_occurrences: int,
    ) -> None:
        self.depth, self.end = depth, end
        self.children: dict[int, Node] = _CHILDLESS
        self.branches, self.n_branches = branches, len(branches)
        self.occurrences, self.n_occurrences = occurrences, n_occurrences
        self.gate: Gate | None = None
        self.branch = 0.0

    def add_child(self, symbol: int, child: "Node") -> None:
        """Set the child for a symbol."""
        if self.children is _CHILDLESS:
            self.children = {}
        self.children[symbol] = child


_CHILDLESS: dict[int, Node] = {}  # shared, never modified


Gate = list[float]
"""EM statistics of a kind of context: the weight of predictions left to shorter contexts, and of
all.
"""


Level = tuple[dict[int, int], dict[int, int], Gate, float, float]
"""A context followed by some symbol: its branch counts, its occurrences, its gate, and the factors
on (branch count - discount) and on occurrences in its own share of a symbol's probability. A plain
tuple, as a NamedTuple takes three times as long to create.
"""


class _Path(NamedTuple):
    """The nodes that are suffixes of the history, shortest first, and where the match ends: after
    `matched` symbols on the edge to `below`, or at the last node (`below` is None).

    `levels` are the contexts followed by some symbol, shortest first; a symbol that followed one
    followed all shorter ones.
    """

    nodes: list[Node]
    below: Node | None
    matched: int
    levels: list[Level]


class _Change(NamedTuple):
    """The changes of one `push`, for undoing it."""

    symbol: int
    nodes: list[Node]  # with a new occurrence, without the new leaf
    n_branched: int  # how many of these, from the deepest, have a new branch count
    split: tuple[Node, int, Node] | None  # parent, symbol of the child, the former child
    leaf: tuple[Node, int] | None  # parent, symbol of its new child
    gates: list[tuple[Gate, float, float]]  # with their former values


class GrowingTree:
    """Counts of everything read, and p(x | all of it).

    In a context u, longest first, with v the next shorter one,

        p(x | u) = (1 - g) [(1 - b) (c(u, x) - D) / (c(u) - D t(u)) + b n(u, x) / n(u)] + g p(x | v)

    where c counts branches (Kneser-Ney's counts), n occurrences, t(u) is the number of symbols seen
    after u, and the back-off weight g is learnt online by EM for each kind of context: by its
    length, its t, c and whether it is on an edge. That is how the escape probabilities of PPMZ and
    PPMII are learnt (Bloom 1998, "Solving the Problems of Context Modeling"; Shkarin 2002, "PPM:
    One Step to Practicality"); contexts of unbounded length are those of PPM* (Cleary, Teahan and
    Witten 1995). Below the empty context is the uniform distribution over `n_predictable` symbols.

    Only sums, products and quotients of floats are computed, in a fixed order, so that results are
    identical on all machines.
    """

    def __init__(self, n_predictable: int) -> None:
        self._uniform = 1.0 / n_predictable
        self._text: list[int] = []
        self._root = Node(0, 0, {}, {}, 0)
        self._begin = 0
        self._gates: dict[int, Gate] = {}  # by kind of context
        self._once: dict[int, dict[int, int]] = {}  # by symbol, the shared counts {symbol: 1}
        self._changes: deque[_Change | int] = deque(maxlen=_KEPT)
        self._found: _Path | None = None

    @property
    def n_undone(self) -> int:
        """The number of steps that can be undone."""
        return len(self._changes)

    @property
    def n_counts(self) -> int:
        """The number of counts: pairs of a context and a symbol after it."""
        total, nodes = 0, [self._root]
        while nodes:
            node = nodes.pop()
            total += len(node.branches)
            nodes += node.children.values()
        return total

    @property
    def matched(self) -> int:
        """The length of the longest suffix of the history that occurred before."""
        return self._path().matched

    def begin(self, mark: int) -> None:
        """Start a sequence with a symbol that is not predicted; contexts do not reach back beyond
        it.
        """
        self._changes.append(self._begin)
        self._begin = len(self._text)
        self._text.append(mark)
        self._found = None

    def prob(self, symbol: int) -> float:
        """p(symbol | everything read)."""
        p = self._uniform
        for branches, occurrences, (passed, all_of), branch, occurrence in self._path().levels:
            share = passed / all_of
            p *= share
            count = branches.get(symbol)
            if count:
                own = branch * (count - _DISCOUNT) + occurrence * occurrences[symbol]
                p += (1 - share) * own
        return p

    def outcomes(self) -> Iterator[tuple[int, float]]:
        """Lazily yield the symbols that followed some context, with their probabilities: those of
        the longest context first, in the order of first occurrence.
        """
        levels = []
        left = 1.0
        for branches, occurrences, (passed, all_of), branch, occurrence in reversed(
            self._path().levels
        ):
            share = passed / all_of
            given = left * (1 - share)
            levels.append((branches, occurrences, given * branch, given * occurrence))
            left *= share
        left *= self._uniform
        longer: dict[int, int] = {}
        for n, (symbols, *_) in enumerate(levels):
            if len(symbols) > len(longer):
                shorter = levels[n:]
                for symbol in symbols:
                    if symbol not in longer:
                        p = left
                        for branches, occurrences, branch, occurrence in shorter:
                            p += branch * (branches[symbol] - _DISCOUNT)
                            p += occurrence * occurrences[symbol]
                        yield symbol, p
                longer = symbols

    @property
    def seen(self) -> Container[int]:
        """All symbols read."""
        return self._root.branches

    def unseen(self) -> float:
        """The probability of each symbol not among the `outcomes`."""
        p = self._uniform
        for _, _, (passed, all_of), _, _ in self._path().levels:
            p *= passed / all_of
        return p

    def push(self, symbol: int) -> None:
        """Read a symbol: update gates and counts of all suffixes of the history."""
        path = self._path()
        gates = self._learn_gates(path.levels, symbol)
        nodes = path.nodes
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
            if node.n_occurrences == 1:  # its counts are shared
                node.occurrences, node.branches = dict(node.occurrences), dict(node.branches)
            node.occurrences[symbol] = node.occurrences.get(symbol, 0) + 1
            node.n_occurrences += 1
        n_branched = 0
        for node in reversed(nodes):
            count = node.branches.get(symbol, 0)
            node.branches[symbol] = count + 1
            node.n_branches += 1
            node.gate = None
            n_branched += 1
            if count:  # shorter contexts have counted this branch
                break
        text.append(symbol)
        self._changes.append(_Change(symbol, nodes, n_branched, split, leaf, gates))
        self._found = None

    def pop(self) -> None:
        """Undo the last `push` or `begin`; at most `n_undone` of them."""
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
            node.gate = None
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
        """Walk down the tree along the reversed history."""
        text, node = self._text, self._root
        n, depth = len(text), 0
        reach = min(n - self._begin, LONGEST)
        nodes = [node]
        below = None
        while depth < reach and len(nodes) < _MOST:
            child = node.children.get(text[n - 1 - depth])
            if child is None:
                break
            depth += 1
            if depth < child.depth:
                depth = self._along(child, depth, reach)
                if depth < child.depth:
                    below = child
                    break
            nodes.append(child)
            node = child
        levels = [
            (
                node.branches,
                node.occurrences,
                node.gate or self._gate(node),
                node.branch,
                _BLEND / node.n_occurrences,
            )
            for node in nodes
            if node.n_occurrences
        ]
        if below is not None:
            self._gate(below)
            gate = self._gate_of(below, depth, True)
            each = below.branch, _BLEND / below.n_occurrences
            levels.append((below.branches, below.occurrences, gate, *each))
        return _Path(nodes, below, depth, levels)

    def _along(self, child: Node, matched: int, reach: int) -> int:
        """How many symbols of the history match on the edge to a child, the first of which does."""
        text, end, n = self._text, child.end, len(self._text)
        stop = min(child.depth, reach)
        singly = min(stop, matched + _ONE_BY_ONE)
        while matched < singly and text[n - 1 - matched] == text[end - 1 - matched]:
            matched += 1
        if singly == matched < stop:
            if text[n - stop : n - matched] == text[end - stop : end - matched]:
                return stop
            while text[n - 1 - matched] == text[end - 1 - matched]:
                matched += 1
        return matched

    def _gate(self, node: Node) -> Gate:
        node.branch = (1 - _BLEND) / (node.n_branches - _DISCOUNT * len(node.branches))
        node.gate = gate = self._gate_of(node, node.depth, False)
        return gate

    def _gate_of(self, node: Node, depth: int, on_edge: bool) -> Gate:
        types, total = len(node.branches), node.n_branches
        types = types if types < 6 else min(5 + types.bit_length(), 10)
        total = total if total < 5 else 4 + min(total.bit_length(), 6)
        kind = (min(depth, 12) << 8 | types << 4 | total) << 1 | on_edge
        gate = self._gates.get(kind)
        if gate is None:
            gate = self._gates[kind] = [2.0 * types / (types + total), 2.0]
        return gate

    def _learn_gates(self, levels: list[Level], symbol: int) -> list[tuple[Gate, float, float]]:
        """One EM step for the gates of contexts that a symbol followed; returns their former
        values.
        """
        p = self._uniform
        passed_on = []
        for branches, occurrences, gate, branch, occurrence in levels:
            share = gate[0] / gate[1]
            passed = p = share * p
            count = branches.get(symbol)
            if count:
                own = branch * (count - _DISCOUNT) + occurrence * occurrences[symbol]
                p += (1 - share) * own
            passed_on.append((gate, passed / p))
        before = []
        reached = 1.0
        for gate, share in reversed(passed_on):
            passed, weight = gate
            before.append((gate, passed, weight))
            passed += reached * share
            weight += reached
            if weight > _MEMORY:
                passed, weight = passed / 2, weight / 2
            gate[0], gate[1] = passed, weight
            reached *= share
            if reached < 1e-4:
                break
        before.reverse()  # reversed: contexts of one kind share a gate
        return before

    def _leaf(self, depth: int, end: int, symbol: int) -> Node:
        """A new leaf: a context that a symbol follows for the first time."""
        once = self._once.get(symbol)
        if once is None:
            once = self._once[symbol] = {symbol: 1}
        return Node(depth, end, once, once, 1)

    def _split(self, below: Node, depth: int) -> Node:
        """A new node at `depth` on the edge to `below`, so far its only child."""
        branches, occurrences = dict.fromkeys(below.branches, 1), dict(below.occurrences)
        node = Node(depth, below.end, branches, occurrences, below.n_occurrences)
        node.children = {self._text[below.end - 1 - depth]: below}
        return node


def _take(counts: dict[int, int], symbol: int) -> None:
    if counts[symbol] == 1:
        del counts[symbol]
    else:
        counts[symbol] -= 1
