"""The tree of contexts: the contexts of a text that are preceded by different symbols.

Read backwards, the contexts form a tree in which a context's shorter contexts are its ancestors.
Only the branching ones are kept (a suffix tree of the reversed text; Weiner, 1973), so its size is
linear in the text whatever the longest repeat. All steps are array code over the sorted contexts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from langmodels.arrays import Array, IndexArray, IntArray
from langmodels.checks import Expected, check_arrays
from langmodels.errors import LangmodelsError
from langmodels.fullcontext.suffix_array import sort_contexts


@dataclass(frozen=True)
class ContextTree:
    """Sorted contexts, the branching contexts above them, and the symbols that follow.

    Nodes are numbered in preorder, so a parent precedes its children; node 0 is the empty context.
    A node stands for an interval of the sorted contexts.
    """

    following: IntArray  # (m,) the symbol after each sorted context; n_symbols at the end
    low: IntArray  # (nodes,) first sorted context of each node
    high: IntArray  # (nodes,) one past its last
    depth: IntArray  # (nodes,) length of the context, in symbols
    parent: IntArray  # (nodes,) the node of the longest shorter branching context; 0 for node 0
    leaf_parent: IntArray  # (m,) the deepest node each sorted context is in
    level: IntArray  # (nodes,) number of ancestors
    by_symbol: IntArray  # (m,) the sorted contexts in order of the symbol that follows
    pair_node: IntArray  # (pairs,) a node, ascending, with
    pair_symbol: IntArray  # (pairs,) a symbol that follows it, and
    pair_count: IntArray  # (pairs,) the number of its branches in which the symbol does
    n_symbols: int

    @classmethod
    def build(cls, ids: IntArray, offsets: IndexArray, n_symbols: int) -> Self:
        """Build the tree of a text with at least one sequence of two symbols or more.

        Args:
            ids: (n,) symbols below ``n_symbols``; all sequences begin with the same one, which
                occurs nowhere else.
            offsets: (S + 1,) where each sequence begins, and n.
            n_symbols: size of the alphabet.
        """
        n = len(ids)
        starts = np.repeat(offsets[:-1], np.diff(offsets))
        following = np.full(n, n_symbols, dtype=np.int32)
        following[:-1] = ids[1:]
        following[offsets[1:] - 1] = n_symbols
        order, shared = sort_contexts(ids, starts, np.arange(n, dtype=np.int32))
        following = following[order]
        del order, starts

        border = np.full(len(shared) + 1, -1, dtype=np.int32)
        border[1:-1] = shared[1:]
        low, high, depth, parent, leaf_parent = _branching(border)
        level = _levels(parent)
        by_symbol = np.argsort(following, kind="stable").astype(np.int32)
        targets = by_symbol[: np.count_nonzero(following < n_symbols)]
        keys, counts = _pairs(targets, following, low, parent, leaf_parent, n_symbols)
        return cls(
            following=following,
            low=low,
            high=high,
            depth=depth,
            parent=parent,
            leaf_parent=leaf_parent,
            level=level,
            by_symbol=by_symbol,
            pair_node=(keys // n_symbols).astype(np.int32),
            pair_symbol=(keys % n_symbols).astype(np.int32),
            pair_count=counts.astype(np.int32),
            n_symbols=n_symbols,
        )

    @classmethod
    def restore(cls, arrays: Mapping[str, Array], n_symbols: int) -> Self:
        """The tree of arrays from a file.

        Raises LangmodelsError for damaged arrays, which cannot be those of a tree.
        """
        check_arrays(arrays, _EXPECTED, {"symbols": n_symbols, "following": n_symbols + 1})
        tree = cls(**{name: arrays[name] for name in _EXPECTED}, n_symbols=n_symbols)
        nodes = np.arange(len(tree.low))
        for name, wrong in {
            "parent": tree.parent >= np.maximum(nodes, 1),  # preorder: no loops
            "low": tree.low > tree.high,
            "high": tree.high > len(tree.following),
            "depth": (tree.depth <= tree.depth[tree.parent]) & (nodes > 0),
            "level": (tree.level != tree.level[tree.parent] + 1) & (nodes > 0),
            "by_symbol": np.bincount(tree.by_symbol, minlength=len(tree.by_symbol)) != 1,
        }.items():
            if wrong.any():
                raise LangmodelsError(f"the array {name!r} is damaged.")
        if not len(nodes) or tree.level[0] != 0 or tree.depth[0] != 0:
            raise LangmodelsError("its tree of contexts is damaged.")
        return tree


_NODES = Expected("int32", ("nodes",), low=0)
_EXPECTED = {
    "following": Expected("int32", ("contexts",), low=0, below="following"),
    "low": replace(_NODES, below="contexts"),
    "high": _NODES,
    "depth": replace(_NODES, below="contexts"),
    "parent": replace(_NODES, below="nodes"),
    "leaf_parent": Expected("int32", ("contexts",), low=0, below="nodes"),
    "level": replace(_NODES, below="nodes"),
    "by_symbol": Expected("int32", ("contexts",), low=0, below="contexts"),
    "pair_node": Expected("int32", ("pairs",), low=0, below="nodes", rising=True),
    "pair_symbol": Expected("int32", ("pairs",), low=0, below="symbols"),
    "pair_count": Expected("int32", ("pairs",), low=1, below="contexts"),
}
"""The expected arrays of a file."""


def _branching(
    border: IntArray,
) -> tuple[IntArray, IntArray, IntArray, IntArray, IntArray]:
    """The tree of the intervals of ``border`` (m + 1,): common lengths, with -1 at both ends."""
    m = len(border) - 1
    index = np.arange(m + 1, dtype=np.int32)
    before = _last_at_most(border, border)
    before[0] = 0
    repeats = border[before] == border
    leader = np.where(repeats, before, index)
    while True:
        jumped = leader[leader]
        if np.array_equal(jumped, leader):
            break
        leader = jumped
    heads = np.flatnonzero(~repeats)
    low, depth = before[heads], border[heads]
    mirrored = np.ascontiguousarray(border[::-1])
    high = m - _last_at_most(mirrored, mirrored - 1)[m - heads]
    by_start = np.argsort((low.astype(np.int64) << 32) | depth)
    node_of_head = np.zeros(m + 1, dtype=np.int32)
    node_of_head[heads[by_start]] = np.arange(len(heads), dtype=np.int32)
    node_at = node_of_head[leader]  # the node that branches between sorted contexts i - 1 and i
    node_at[[0, m]] = 0
    low, high, depth = (a[by_start].astype(np.int32) for a in (low, high, depth))
    parent = np.where(border[low] >= border[high], node_at[low], node_at[high])
    leaf_parent = np.where(border[:-1] >= border[1:], node_at[:-1], node_at[1:])
    return low, high, depth, parent.astype(np.int32), leaf_parent.astype(np.int32)


def _last_at_most(values: IntArray, bounds: IntArray) -> IntArray:
    """For each i, the last j < i with ``values[j] <= bounds[i]``; -1 where there is none.

    Searches a pyramid of block minima: O(n log n) at worst, O(n) if most are near.
    """
    far = np.iinfo(np.int32).max
    pyramid = [values]
    while len(pyramid[-1]) > 1:
        below = pyramid[-1]
        if len(below) % 2:
            below = np.append(below, np.int32(far))
            pyramid[-1] = below
        pyramid.append(np.minimum(below[::2], below[1::2]))
    found = np.full(len(values), -1, dtype=np.int32)
    seeking = np.arange(len(values), dtype=np.int32)
    for height, minima in enumerate(pyramid[:-1]):
        block = seeking >> height
        left = block - 1
        hit = (block & 1 == 1) & (minima[left] <= bounds[seeking])
        at, who = left[hit], seeking[hit]
        for lower in reversed(pyramid[:height]):
            right = 2 * at + 1
            at = np.where(lower[right] <= bounds[who], right, 2 * at)
        found[who] = at
        seeking = seeking[~hit]
        if not len(seeking):
            break
    return found


def _levels(parent: IntArray) -> IntArray:
    """The number of ancestors of each node, by pointer doubling."""
    level = (np.arange(len(parent)) > 0).astype(np.int32)
    ancestor = parent
    while ancestor.any():
        level = level + level[ancestor]
        ancestor = ancestor[ancestor]
    return level


def _pairs(
    by_symbol: IntArray,
    following: IntArray,
    low: IntArray,
    parent: IntArray,
    leaf_parent: IntArray,
    n_symbols: int,
) -> tuple[IndexArray, IndexArray]:
    """Every (node, symbol that follows it) as ``node * n_symbols + symbol``, sorted, and its count.

    The count is the number of the node's branches in which the symbol follows. Take the contexts
    before one symbol in sorted order: each adds that symbol to the nodes above it up to, and not
    including, the first that also holds its predecessor; there the symbol is in one branch more.
    """
    symbol = following[by_symbol].astype(np.int64)
    previous = np.full(len(by_symbol), -1, dtype=np.int32)
    same = symbol[1:] == symbol[:-1]
    previous[1:][same] = by_symbol[:-1][same]
    node = leaf_parent[by_symbol]
    keys = []
    while len(node):
        keys.append(node * np.int64(n_symbols) + symbol)
        climbing = (low[node] > previous) & (node > 0)
        node, symbol, previous = parent[node[climbing]], symbol[climbing], previous[climbing]
    key = np.sort(np.concatenate(keys))
    first = np.flatnonzero(np.diff(key, prepend=-1))
    return key[first], np.diff(first, append=len(key))
