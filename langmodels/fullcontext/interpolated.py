"""Smoothed probabilities of unbounded order, tabulated for all branching contexts."""

import math
from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np

from langmodels.arrays import FloatArray, IndexArray, IntArray
from langmodels.fullcontext.counts import ABSENT, ContextCounts, Contexts
from langmodels.fullcontext.matching import LEAF, Match, Matches, targets_of
from langmodels.fullcontext.smoothing import Gates, own_share


class _Edge(NamedTuple):
    """A matched context that does not branch, on an edge of the tree."""

    above: int  # the branching context above
    log_backoff: float
    symbols: IntArray  # symbols that follow it
    log_own: FloatArray  # log of its own share of the probability of each


class InterpolatedProbabilities:
    """The recursion of `smoothing`, tabulated.

    ``log_pair`` (pairs,) is log p(symbol | node) for what follows each node, ``log_backoff``
    (nodes,) log g(node), ``base`` (V,) log p below the empty context.
    """

    def __init__(
        self,
        counts: ContextCounts,
        base: FloatArray,
        weights: FloatArray,
        log_pair: FloatArray,
        log_backoff: FloatArray,
    ) -> None:
        self.counts = counts
        self.base = base
        self.weights = weights
        self.log_pair = log_pair
        self.log_backoff = log_backoff
        self._edge_gates = lru_cache(maxsize=1 << 16)(self._gates_of_edge)

    @classmethod
    def compute(cls, counts: ContextCounts, base: FloatArray, weights: FloatArray) -> Self:
        """All probabilities, from the empty context to the deepest."""
        tree = counts.tree
        contexts = counts.nodes(slice(None))
        gates = Gates.of(contexts, weights)
        p = own_share(
            gates,
            contexts,
            tree.pair_node,
            tree.pair_count,
            counts.pair_occurrences(slice(None)),
        )
        del contexts
        by_level = np.argsort(tree.level[tree.pair_node], kind="stable")
        ends = np.cumsum(np.bincount(tree.level[tree.pair_node]))
        top = by_level[: ends[0]]
        p[top] += gates.backoff[0] * np.exp(base[tree.pair_symbol[top]])
        above = counts.find(tree.parent[tree.pair_node].astype(np.int64), tree.pair_symbol)
        for begin, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
            pair = by_level[begin:end]
            p[pair] += gates.backoff[tree.pair_node[pair]] * p[above[pair]]
        return cls(counts, base, weights, np.log(p), np.log(gates.backoff))

    def sums(self) -> FloatArray:
        """Sum of p over all symbols after every branching context, (nodes,)."""
        tree, counts = self.counts.tree, self.counts
        p, backoff = np.exp(self.log_pair), np.exp(self.log_backoff)
        pair_above = counts.find(tree.parent[tree.pair_node].astype(np.int64), tree.pair_symbol)
        below = np.where(pair_above == ABSENT, np.nan, p[pair_above])
        first = tree.pair_node == 0  # below the empty context is the base
        below[first] = np.exp(self.base)[tree.pair_symbol[first]]
        n = len(tree.low)
        own = np.bincount(tree.pair_node, p, n)
        taken = np.bincount(tree.pair_node, below, n)
        sums = np.empty(n)
        by_level = np.argsort(tree.level, kind="stable")
        for nodes in np.split(by_level, np.cumsum(np.bincount(tree.level))[:-1]):
            above = sums[tree.parent[nodes]] if nodes[0] else np.exp(self.base).sum()
            sums[nodes] = own[nodes] + backoff[nodes] * (above - taken[nodes])
        return sums

    def advance(self, state: Match, symbol: int) -> Match:
        return self.counts.matcher.advance(state, symbol)

    def log_distribution(self, state: Match) -> FloatArray:
        tree, offsets = self.counts.tree, self.counts.offsets
        edge = self._edge(state)
        node = state.node if edge is None else edge.above
        path, passed = [], 0.0
        while True:
            path.append((node, passed))
            passed += float(self.log_backoff[node])
            if node == 0:
                break
            node = int(tree.parent[node])
        log_p: FloatArray = self.base + passed
        for node, passed in reversed(path):
            pairs = slice(int(offsets[node]), int(offsets[node + 1]))
            log_p[tree.pair_symbol[pairs]] = self.log_pair[pairs] + passed
        if edge is not None:
            log_p += edge.log_backoff
            log_p[edge.symbols] = np.logaddexp(log_p[edge.symbols], edge.log_own)
        return log_p

    def log_prob(self, state: Match, symbol: int) -> float:
        edge = self._edge(state)
        log_p = self._log_prob_at(state.node if edge is None else edge.above, symbol)
        if edge is not None:
            log_p += edge.log_backoff
            own = edge.log_own[edge.symbols == symbol]
            if len(own):
                log_p = float(np.logaddexp(log_p, own[0]))
        return log_p

    def _log_prob_at(self, node: int, symbol: int) -> float:
        passed = 0.0
        while True:
            pair = self.counts.find_one(node, symbol)
            if pair != ABSENT:
                return passed + float(self.log_pair[pair])
            passed += float(self.log_backoff[node])
            if node == 0:
                return passed + float(self.base[symbol])
            node = int(self.counts.tree.parent[node])

    def _edge(self, state: Match) -> "_Edge | None":
        """The probabilities of a match on an edge; None for one at a node."""
        counts, tree, node = self.counts, self.counts.tree, state.node
        if node == LEAF:
            above = int(tree.leaf_parent[state.low])
            symbols = tree.following[state.low : state.high]
            symbols = symbols[symbols < tree.n_symbols]
            types = branches = total = len(symbols)
            occurrences = np.ones(total, dtype=np.int64)
        elif state.length < tree.depth[node]:
            above = int(tree.parent[node])
            pairs = slice(int(counts.offsets[node]), int(counts.offsets[node + 1]))
            symbols = tree.pair_symbol[pairs]
            types, total = len(symbols), int(counts.occurrences[node])
            branches = int(counts.branches[node])
            occurrences = counts.pair_occurrences(pairs)
        else:
            return None
        kind = (state.length, int(tree.depth[above]), types, branches, total, node == LEAF)
        discount, blend, backoff = self._edge_gates(*kind)
        discounted = blend * (1 - discount) / max(types, 1)
        relative = (1 - blend) * (1 - backoff) * occurrences / max(total, 1)
        return _Edge(above, math.log(backoff), symbols, np.log(discounted + relative))

    def _gates_of_edge(
        self, length: int, above: int, types: int, branches: int, occurrences: int, once: bool
    ) -> tuple[float, float, float]:
        """The gates of one context on an edge: discount, blend and back-off weight; see
        `Contexts`.
        """
        contexts = Contexts(
            np.array([length]),
            np.array([above]),
            np.array([types]),
            np.array([branches]),
            np.array([occurrences]),
            np.array([True]),
            np.array([once]),
            np.array([[types > 0, 0.0, 0.0]]),
        )
        gates = Gates.of(contexts, self.weights)
        return float(gates.discounts[0, 0]), float(gates.blend[0]), float(gates.backoff[0])

    def score(self, ids: IntArray, offsets: IndexArray) -> FloatArray:
        """Log p of every target, (targets,)."""
        counts = self.counts
        matches = counts.matcher.match(ids, offsets)
        symbol = ids[targets_of(ids, offsets)]
        on_edge = counts.on_edge(matches)
        edges = matches[on_edge]
        node = matches.node
        node[on_edge] = counts.above(edges)
        scores = self._log_probs_at(node, symbol)
        scores[on_edge] = self._on_edges(edges, symbol[on_edge], scores[on_edge])
        return scores

    def _on_edges(self, edges: Matches, symbol: IntArray, log_above: FloatArray) -> FloatArray:
        """Log p of symbols after contexts on edges, given log p after the nodes above, (k,)."""
        contexts = self.counts.edges(edges)
        gates = Gates.of(contexts, self.weights)
        log_p = log_above + np.log(gates.backoff)
        occurrences = self.counts.edge_occurrences(edges, symbol)
        hit = np.flatnonzero(occurrences)
        own = own_share(gates, contexts, hit, np.ones_like(hit), occurrences[hit])
        log_p[hit] = np.logaddexp(log_p[hit], np.log(own))
        return log_p

    def _log_probs_at(self, node: IndexArray, symbol: IntArray) -> FloatArray:
        """Log p of each symbol after each branching context."""
        tree = self.counts.tree
        log_p = np.zeros(len(node))
        open_ = np.arange(len(node))
        while len(open_):
            at, wanted = node[open_], symbol[open_]
            pair = self.counts.find(at, wanted)
            found = pair != ABSENT
            log_p[open_[found]] += self.log_pair[pair[found]]
            open_, at = open_[~found], at[~found]
            log_p[open_] += self.log_backoff[at]
            top = at == 0
            log_p[open_[top]] += self.base[symbol[open_[top]]]
            open_, at = open_[~top], at[~top]
            node[open_] = tree.parent[at]
        return log_p
