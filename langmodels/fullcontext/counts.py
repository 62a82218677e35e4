"""Statistics of contexts: which symbols follow, how often, and in how many branches."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from langmodels.arrays import BoolArray, FloatArray, IndexArray
from langmodels.fullcontext.matching import LEAF, Matcher, Matches

ABSENT = -1


@dataclass(frozen=True)
class Contexts:
    """Statistics of k contexts; each field is (k,), but for `shares`."""

    length: IndexArray  # in symbols
    above: IndexArray  # length of the next shorter branching context
    types: IndexArray  # distinct symbols that follow
    branches: IndexArray  # sum of their branch counts
    occurrences: IndexArray  # occurrences followed by a symbol
    on_edge: BoolArray  # not branching, so every branch count is one
    once: BoolArray  # occurs once
    shares: FloatArray  # (k, 3) symbols with a branch count of 1, 2, 3 or more per branch

    def __getitem__(self, index: NDArray[np.integer] | slice) -> "Contexts":
        return Contexts(*(getattr(self, field.name)[index] for field in fields(self)))

    def __len__(self) -> int:
        return len(self.length)

    def distinct(self) -> tuple[IndexArray, IndexArray]:
        """Indices of contexts with distinct statistics, and for every context that of its equal,
        (k,).
        """
        columns = [getattr(self, field.name) for field in fields(self)]
        rows = np.column_stack([np.ascontiguousarray(c, dtype=np.float64) for c in columns])
        _, first, kind = np.unique(
            rows.view(np.dtype((np.void, rows.strides[0]))), return_index=True, return_inverse=True
        )
        return first, kind.reshape(-1)

    @classmethod
    def concatenate(cls, first: "Contexts", second: "Contexts") -> "Contexts":
        return cls(
            *(np.concatenate([getattr(c, f.name) for c in (first, second)]) for f in fields(cls))
        )


class ContextCounts:
    """Queries for the statistics of contexts, branching (nodes) or not (on an edge of the tree)."""

    def __init__(self, matcher: Matcher) -> None:
        self.matcher = matcher
        self.tree = tree = matcher.tree
        n_nodes = len(tree.low)
        self._keys = tree.pair_node * np.int64(tree.n_symbols) + tree.pair_symbol
        self.offsets = np.zeros(n_nodes + 1, dtype=np.int64)
        self.types = np.bincount(tree.pair_node, minlength=n_nodes)
        np.cumsum(self.types, out=self.offsets[1:])
        self.branches = np.bincount(tree.pair_node, tree.pair_count, n_nodes).astype(np.int64)
        # Running number of sorted contexts at which the text ends.
        self.ended = np.zeros(len(tree.following) + 1, dtype=np.int64)
        np.cumsum(tree.following == tree.n_symbols, out=self.ended[1:])
        self.occurrences = self.following(tree.low, tree.high)

    def following(self, low: NDArray[np.integer], high: NDArray[np.integer]) -> IndexArray:
        """How many of the sorted contexts ``low`` to ``high`` are followed by any symbol,
        elementwise.
        """
        total: IndexArray = high - low - (self.ended[high] - self.ended[low])
        return total

    def find(self, node: IndexArray, symbol: NDArray[np.integer]) -> IndexArray:
        """Index of each (node, symbol) among the tree's pairs; `ABSENT` where there is none."""
        key = node * np.int64(self.tree.n_symbols) + symbol
        at = np.minimum(self._keys.searchsorted(key), len(self._keys) - 1)
        return np.where(self._keys[at] == key, at, ABSENT)

    def find_one(self, node: int, symbol: int) -> int:
        """`find` for one pair."""
        key = node * self.tree.n_symbols + symbol
        at = int(self._keys.searchsorted(key))
        return at if at < len(self._keys) and self._keys[at] == key else ABSENT

    def pair_occurrences(self, pair: NDArray[np.integer] | slice) -> IndexArray:
        """How often the context of each pair is followed by its symbol."""
        tree = self.tree
        node = tree.pair_node[pair]
        return self.matcher.count(tree.low[node], tree.high[node], tree.pair_symbol[pair])

    def nodes(self, node: NDArray[np.integer] | slice) -> Contexts:
        """Statistics of branching contexts."""
        tree = self.tree
        index = np.arange(len(tree.low))[node]
        sizes = self.types[index]
        pair = np.repeat(self.offsets[index] - np.cumsum(sizes) + sizes, sizes)
        pair += np.arange(len(pair))
        owner = np.repeat(np.arange(len(index)), sizes)
        kind = np.minimum(tree.pair_count[pair], 3) - 1
        per_kind = np.bincount(owner * 3 + kind, minlength=3 * len(index)).reshape(-1, 3)
        never = np.zeros(len(index), dtype=bool)
        branches = self.branches[index]
        return Contexts(
            tree.depth[index].astype(np.int64),
            tree.depth[tree.parent[index]].astype(np.int64),
            sizes,
            branches,
            self.occurrences[index],
            never,
            never,
            per_kind / np.maximum(branches, 1)[:, None],
        )

    def on_edge(self, matches: Matches) -> BoolArray:
        """Whether each matched context is on an edge and not a branching context, (k,)."""
        longer = matches.length < self.tree.depth[np.maximum(matches.node, 0)]
        on_edge: BoolArray = (matches.node == LEAF) | longer
        return on_edge

    def above(self, matches: Matches) -> IndexArray:
        """The node above each match on an edge, (k,)."""
        tree, once = self.tree, matches.node == LEAF
        leaf = np.where(once, matches.low, 0)
        above = np.where(once, tree.leaf_parent[leaf], tree.parent[np.where(once, 0, matches.node)])
        return above.astype(np.int64)

    def edges(self, matches: Matches) -> Contexts:
        """Statistics of matched contexts that lie on edges."""
        tree, once = self.tree, matches.node == LEAF
        lower = np.where(once, 0, matches.node)
        seen = (tree.following[np.where(once, matches.low, 0)] != tree.n_symbols).astype(np.int64)
        types = np.where(once, seen, self.types[lower])
        shares = np.zeros((len(types), 3))
        shares[:, 0] = types > 0
        return Contexts(
            matches.length,
            tree.depth[self.above(matches)].astype(np.int64),
            types,
            np.where(once, seen, self.branches[lower]),
            np.where(once, seen, self.occurrences[lower]),
            np.ones(len(types), dtype=bool),
            once,
            shares,
        )

    def edge_occurrences(self, matches: Matches, symbol: NDArray[np.integer]) -> IndexArray:
        """How often ``symbol`` follows matched contexts that lie on edges."""
        return self.matcher.count(matches.low, matches.high, symbol)
