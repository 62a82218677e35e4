"""The sorted contexts, the tree above them, and matching, against slow direct computation."""

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langmodels.fullcontext import matching
from langmodels.fullcontext.matching import LEAF, Matcher
from langmodels.fullcontext.suffix_array import sort_contexts
from langmodels.fullcontext.tree import ContextTree

BOS = 1
N_SYMBOLS = 6
Sequences = list[list[int]]

sequences = st.lists(
    st.lists(st.integers(2, 4), max_size=25).map(lambda s: [BOS, *s]), min_size=1, max_size=4
).filter(lambda s: any(len(t) > 1 for t in s))


def joined(texts: Sequences) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.cumsum([0, *map(len, texts)])
    return np.concatenate(texts).astype(np.int32), offsets


def starts_of(offsets: np.ndarray) -> np.ndarray:
    return np.repeat(offsets[:-1], np.diff(offsets))


@given(sequences)
def test_contexts_are_sorted_and_their_common_lengths_right(texts: Sequences) -> None:
    ids, offsets = joined(texts)
    starts = starts_of(offsets)
    order, shared = sort_contexts(ids, starts, np.arange(len(ids)))
    contexts = [ids[starts[p] : p + 1][::-1].tolist() for p in order]
    assert sorted(order.tolist()) == list(range(len(ids)))
    assert contexts == sorted(contexts)
    for before, after, common in zip(contexts, contexts[1:], shared[1:].tolist(), strict=False):
        pairs = [a == b for a, b in zip(before, after, strict=False)]
        assert common == (pairs.index(False) if False in pairs else len(pairs))


@pytest.mark.parametrize("highest", [1, 100, 70_000, 2**31 - 3])
def test_sorting_with_large_symbols(highest: int) -> None:
    ids = np.random.default_rng(0).integers(max(1, highest - 3), highest + 1, 500)
    ids[0] = 0
    order, _ = sort_contexts(ids, np.zeros(500, dtype=int), np.arange(500))
    expected = sorted(range(500), key=lambda p: ids[: p + 1][::-1].tolist())
    assert order.tolist() == expected


def test_sorting_all_the_same() -> None:
    n = 20_000
    ids = np.full(n, 5)
    ids[0] = 1
    order, shared = sort_contexts(ids, np.zeros(n, dtype=int), np.arange(n))
    assert np.array_equal(order, np.arange(n))
    assert np.array_equal(shared[1:], np.arange(n - 1))


def branching_contexts(texts: Sequences) -> list[tuple[int, int, Counter[int]]]:
    """Length, occurrences and branch counts of every context with two left neighbours or more."""
    seen = defaultdict(list)
    for number, text in enumerate(texts):
        for end in range(1, len(text) + 1):
            for length in range(end + 1):
                left = text[end - length - 1] if length < end else ("start", number)
                following = text[end] if end < len(text) else None
                seen[tuple(text[end - length : end])].append((left, following))
    return [
        (len(context), len(found), Counter(x for _, x in set(found) if x is not None))
        for context, found in seen.items()
        if len({left for left, _ in found}) > 1
    ]


@given(sequences)
@settings(max_examples=60)
def test_tree_has_the_branching_contexts_and_their_counts(texts: Sequences) -> None:
    tree = ContextTree.build(*joined(texts), N_SYMBOLS)
    counts: dict[int, Counter[int]] = {u: Counter() for u in range(len(tree.low))}
    for u, x, c in zip(tree.pair_node, tree.pair_symbol, tree.pair_count, strict=True):
        counts[int(u)][int(x)] = int(c)
    found = [
        (int(tree.depth[u]), int(tree.high[u] - tree.low[u]), counts[u])
        for u in range(len(tree.low))
    ]

    def key(node: tuple[int, int, Counter[int]]) -> tuple[int, int, list[tuple[int, int]]]:
        return node[0], node[1], sorted(node[2].items())

    assert sorted(found, key=key) == sorted(branching_contexts(texts), key=key)
    for u in range(1, len(tree.low)):
        above = tree.parent[u]
        assert above < u
        assert tree.low[above] <= tree.low[u] < tree.high[u] <= tree.high[above]
        assert tree.depth[above] < tree.depth[u]
        assert tree.level[u] == tree.level[above] + 1
    for leaf, above in enumerate(tree.leaf_parent):
        inside = (tree.low <= leaf) & (leaf < tree.high)
        assert above == np.flatnonzero(inside)[-1]


def test_tree_of_abracadabra_is_as_drawn_by_hand() -> None:
    letters = {c: i for i, c in enumerate("abcdr", start=2)}
    ids, offsets = joined([[BOS, *(letters[c] for c in "abracadabra")]])
    tree = ContextTree.build(ids, offsets, 7)
    # The contexts that branch: nothing, a, and ab, abr, abra (once at the start, once after d).
    assert sorted(tree.depth.tolist()) == [0, 1, 2, 3, 4]
    following = {
        (int(tree.depth[u]), "abcdr"[x - 2]): int(c)
        for u, x, c in zip(tree.pair_node, tree.pair_symbol, tree.pair_count, strict=True)
    }
    assert following == {
        (0, "a"): 4,  # after <s>, r, c and d
        (0, "b"): 1,
        (0, "r"): 1,
        (0, "c"): 1,
        (0, "d"): 1,
        (1, "b"): 2,  # after <s>a and da
        (1, "c"): 1,
        (1, "d"): 1,
        (2, "r"): 2,
        (3, "a"): 2,
        (4, "c"): 1,
    }


@given(sequences, sequences, st.integers(1, 8), st.integers(0, 5))
@settings(max_examples=80)
def test_matching_finds_the_longest_known_context(
    texts: Sequences, others: Sequences, stretch: int, warm_up: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "_STRETCH", stretch)
        patch.setattr(matching, "_WARM_UP", warm_up)
        matcher = Matcher(ContextTree.build(*joined(texts), N_SYMBOLS), BOS)
        batch = matcher.match(*joined(others))
    known = Counter(
        tuple(t[end - length : end])
        for t in texts
        for end in range(1, len(t) + 1)
        for length in range(end + 1)
    )
    target = 0
    for other in others:
        state = matcher.start
        for end in range(1, len(other)):
            length = next(k for k in range(end, -1, -1) if tuple(other[end - k : end]) in known)
            assert state.length == length
            assert state.high - state.low == known[tuple(other[end - length : end])]
            assert (state.low, state.high, state.node) == (
                batch.low[target],
                batch.high[target],
                batch.node[target],
            )
            # A context may have been read from less far back than the same occurrences reach.
            assert min(batch.length[target], warm_up) == min(length, warm_up)
            state = matcher.advance(state, other[end])
            target += 1
    assert target == len(batch.low)


def test_matching_a_repetitive_text_with_itself() -> None:
    ids, offsets = joined([[BOS, *[2] * 3000], [BOS, *[2, 3] * 900]])
    matcher = Matcher(ContextTree.build(ids, offsets, 4), BOS)
    batch = matcher.match(ids, offsets)
    expected = np.concatenate([np.arange(1, 3001), np.arange(1, 1801)])
    exact = batch.node != LEAF
    assert np.array_equal(batch.length[exact], expected[exact])


def test_matching_a_text_that_is_there_twice() -> None:
    rng = np.random.default_rng(0)
    text = rng.integers(2, 6, 2500).tolist()
    ids, offsets = joined([[BOS, *text], [BOS, *text, *text[:700]], [BOS, *text[1000:]]])
    matcher = Matcher(ContextTree.build(ids, offsets, N_SYMBOLS), BOS)
    for few in (0, 1000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(matching, "_FEW", few)
            batch = matcher.match(ids, offsets)
        target = 0
        for begin, end in pairwise(offsets.tolist()):
            state = matcher.start
            for symbol in ids[begin + 1 : end].tolist():
                found = (batch.low[target], batch.high[target], batch.node[target])
                assert found == (state.low, state.high, state.node)
                state = matcher.advance(state, symbol)
                target += 1
