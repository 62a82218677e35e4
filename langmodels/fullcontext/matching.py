"""Finding the longest context that occurs in the training text, for all positions of a text.

The symbols that follow the sorted contexts are a Burrows-Wheeler transform, so two rank queries
extend a matched context by the next symbol (backward search; Ferragina and Manzini, 2000). If the
longer context does not occur, the shorter branching ones are tried in turn.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from langmodels.arrays import BoolArray, IndexArray, IntArray
from langmodels.fullcontext.tree import ContextTree

Index = slice | NDArray[np.integer] | BoolArray

LEAF = -1

# A text is matched in stretches of `_STRETCH` symbols in parallel. A stretch starts `_WARM_UP`
# symbols early with an empty history; a match shorter than what it has read so far is correct.
_STRETCH = 512
_WARM_UP = 64
_FEW = 16  # up to so many stretches are faster one by one


def targets_of(ids: IntArray, offsets: IndexArray) -> BoolArray:
    """Which positions are predicted, (n,): all but the first of each sequence."""
    is_target = np.ones(len(ids), dtype=bool)
    is_target[offsets[:-1]] = False
    return is_target


class Match(NamedTuple):
    """The longest suffix of a history that is a known context: the sorted contexts ``low`` to
    ``high`` end with it.

    ``node`` is the shortest branching context that ends with it, `LEAF` if only one context does.
    """

    low: int
    high: int
    length: int
    node: int


@dataclass(frozen=True)
class Matches:
    """Many matches: the fields of `Match` as arrays of one length."""

    low: IndexArray
    high: IndexArray
    length: IndexArray
    node: IndexArray

    def __getitem__(self, index: Index) -> "Matches":
        return Matches(self.low[index], self.high[index], self.length[index], self.node[index])

    def __setitem__(self, index: Index, values: "Matches") -> None:
        for mine, new in zip(self.fields(), values.fields(), strict=True):
            mine[index] = new

    def fields(self) -> tuple[IndexArray, IndexArray, IndexArray, IndexArray]:
        return self.low, self.high, self.length, self.node

    @classmethod
    def repeated(cls, match: Match, n: int) -> "Matches":
        return cls(*(np.full(n, value, dtype=np.int64) for value in match))


class Matcher:
    """Backward search over a context tree. ``bos`` is the symbol that begins every sequence."""

    def __init__(self, tree: ContextTree, bos: int) -> None:
        self.tree = tree
        self._m = len(tree.following)
        self._keys = tree.following[tree.by_symbol] * np.int64(self._m) + tree.by_symbol
        self._node_keys = tree.low.astype(np.int64) * (self._m + 1) + (self._m - tree.high)
        targets = np.bincount(tree.following, minlength=tree.n_symbols + 1)[:-1]
        n_sequences = self._m - int(targets.sum())
        contexts = targets.copy()
        contexts[bos] = n_sequences
        # Maps a rank, which counts targets, to the index of a sorted context.
        self._shift = np.zeros(tree.n_symbols, dtype=np.int64)
        self._shift[1:] = np.cumsum(contexts - targets)[:-1]
        first = int(contexts[:bos].sum())
        self.empty = Match(0, self._m, 0, 0)
        self.start = self._match(first, first + n_sequences, 1)

    def advance(self, match: Match, symbol: int) -> Match:
        """The longest known suffix of a matched context followed by one more symbol."""
        tree = self.tree
        low, high, length, node = match
        while True:
            new_low, new_high = self._extend_one(low, high, symbol)
            if new_low < new_high:
                return self._match(new_low, new_high, length + 1)
            if node == 0:
                return self.empty
            node = int(tree.leaf_parent[low] if node == LEAF else tree.parent[node])
            low, high = int(tree.low[node]), int(tree.high[node])
            length = int(tree.depth[node])

    def extend(self, match: Match, symbol: int) -> Match | None:
        """The whole matched context followed by one more symbol; None if that does not occur."""
        low, high = self._extend_one(match.low, match.high, symbol)
        return self._match(low, high, match.length + 1) if low < high else None

    def _extend_one(self, low: int, high: int, symbol: int) -> tuple[int, int]:
        base = symbol * self._m
        shift = int(self._shift[symbol])
        new_low = int(self._keys.searchsorted(base + low)) + shift
        if high == low + 1:
            return new_low, new_low + (int(self.tree.following[low]) == symbol)
        return new_low, int(self._keys.searchsorted(base + high)) + shift

    def _match(self, low: int, high: int, length: int) -> Match:
        if high == low + 1:
            return Match(low, high, length, LEAF)
        key = low * (self._m + 1) + self._m - high
        return Match(low, high, length, int(self._node_keys.searchsorted(key)))

    def count(
        self, low: NDArray[np.integer], high: NDArray[np.integer], symbol: NDArray[np.integer]
    ) -> IndexArray:
        """How often ``symbol`` follows the sorted contexts ``low`` to ``high``, elementwise."""
        base = symbol * np.int64(self._m)
        found: IndexArray = self._keys.searchsorted(base + high) - self._keys.searchsorted(
            base + low
        )
        return found

    def match(self, ids: IntArray, offsets: IndexArray) -> Matches:
        """The longest known suffix of the history of every target, in order.

        Args:
            ids: (n,) symbols of all sequences; the first of each is not a target.
            offsets: (S + 1,) where the sequences begin, and n.

        Returns:
            Matches of n - S histories.
        """
        found = Matches.repeated(self.empty, len(ids))
        begin, stop = offsets[:-1] + 1, offsets[1:]
        pieces = -((begin - stop) // _STRETCH)
        piece = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        begin, stop = np.repeat(begin, pieces), np.repeat(stop, pieces)
        first = begin + _STRETCH * piece
        last = np.minimum(first + _STRETCH, stop)
        begin = np.maximum(begin, first - _WARM_UP)
        from_start = first - begin == _STRETCH * piece
        state = Matches.repeated(self.empty, len(first))
        state[from_start] = Matches.repeated(self.start, int(from_start.sum()))
        ends = self._run(ids, state, begin, first, last, found)

        guessed = ~from_start & (found.length[first] >= first - begin)
        wrong = np.flatnonzero(guessed & (found.node[first] != LEAF))
        while len(wrong):
            ready = wrong[~np.isin(wrong - 1, wrong)]
            before, guess = ends[ready - 1], found[first[ready]]
            # Of suffixes with the same occurrences, the shortest gives the same prediction.
            off = ready[(before.low != guess.low) | (before.high != guess.high)]
            if len(off) > _FEW:
                ends[off] = self._run(ids, ends[off - 1], first[off], first[off], last[off], found)
            else:
                for k in off.tolist():
                    ends[k] = self._walk(ids, ends[k - 1], int(first[k]), int(last[k]), found)
            wrong = np.setdiff1d(wrong, ready)
        return found[targets_of(ids, offsets)]

    def _run(
        self,
        ids: IntArray,
        state: Matches,
        begin: IndexArray,
        first: IndexArray,
        last: IndexArray,
        found: Matches,
    ) -> Matches:
        """Advance stretches in parallel over ``begin:last``; record matches from ``first`` on in
        ``found``.
        """
        order = np.argsort(begin - last, kind="stable")  # the longest in front
        length = (last - begin)[order]
        begin, first, state = begin[order], first[order], state[order]
        for step in range(int(length.max(initial=0))):
            running = slice(np.count_nonzero(length > step))
            at = begin[running] + step
            noting = np.flatnonzero(at >= first[running])
            found[at[noting]] = state[noting]
            state[running] = self._advance_all(state[running], ids[at])
        return state[np.argsort(order)]

    def _walk(
        self, ids: IntArray, state: Matches, first: int, last: int, found: Matches
    ) -> Matches:
        """`_run` for one stretch: faster than steps of arrays of length one."""
        match = Match(*(int(field) for field in state.fields()))
        noted = []
        for symbol in ids[first:last].tolist():
            noted.append(match)
            match = self.advance(match, symbol)
        found[first:last] = Matches(*np.array(noted, np.int64).T)
        return Matches(*np.array(match, np.int64))

    def _advance_all(self, state: Matches, symbol: IntArray) -> Matches:
        tree = self.tree
        low, high = self.extend_all(state.low, state.high, symbol)
        length, node = state.length + 1, state.node
        failed = np.flatnonzero(low >= high)
        above = node[failed]
        at = state.low[failed]
        while len(failed):
            top = above == 0
            low[failed[top]], high[failed[top]], length[failed[top]] = self.empty[:3]
            failed, above, at = failed[~top], above[~top], at[~top]
            above = np.where(above == LEAF, tree.leaf_parent[at], tree.parent[above])
            at = tree.low[above].astype(np.int64)
            low[failed], high[failed] = self.extend_all(at, tree.high[above], symbol[failed])
            length[failed] = tree.depth[above] + 1
            still = low[failed] >= high[failed]
            failed, above, at = failed[still], above[still], at[still]
        return Matches(low, high, length, self._nodes(low, high))

    def extend_all(
        self, low: IndexArray, high: NDArray[np.integer], symbol: NDArray[np.integer]
    ) -> tuple[IndexArray, IndexArray]:
        """The ranges of sorted contexts after one more symbol each; empty where there are none."""
        base = symbol * np.int64(self._m)
        shift = self._shift[symbol]
        return (
            self._keys.searchsorted(base + low) + shift,
            self._keys.searchsorted(base + high) + shift,
        )

    def _nodes(self, low: IndexArray, high: IndexArray) -> IndexArray:
        node: IndexArray = self._node_keys.searchsorted(low * (self._m + 1) + (self._m - high))
        node[high - low == 1] = LEAF
        return node
