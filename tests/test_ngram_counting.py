"""Counting by sorting against counting with dictionaries."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langmodels.errors import LangmodelsError
from langmodels.ngram import NGramCounts, count_ngrams, counting

Gram = tuple[int, ...]


def grams(counts: NGramCounts, order: int) -> list[Gram]:
    """The k-grams in the order of their ids, read off the trie."""
    if order == 1:
        return [(int(w),) for w in counts.words[0]]
    starts, before = counts.child_start[order - 2], grams(counts, order - 1)
    assert starts[0] == 0
    assert starts[-1] == len(counts.words[order - 1])
    return [
        (*before[i], int(w))
        for i in range(len(before))
        for w in counts.words[order - 1][starts[i] : starts[i + 1]]
    ]


def direct(ids: list[int], order: int) -> tuple[Counter[Gram], dict[Gram, set[int]]]:
    count: Counter[Gram] = Counter()
    before: dict[Gram, set[int]] = defaultdict(set)
    for k in range(1, order + 1):
        for i in range(len(ids) - k + 1):
            gram = tuple(ids[i : i + k])
            if 1 not in gram[1:]:
                count[gram] += 1
                before[gram[1:]].add(gram[0])
    return count, before


def check(ids: list[int], size: int, order: int) -> None:
    counts = count_ngrams(np.array(ids, np.int32), size, order)
    count, before = direct(ids, order)
    assert counts.order == order
    assert counts.vocabulary_size == size
    for k in range(1, order + 1):
        found = grams(counts, k)
        assert found == sorted(found)
        assert dict(zip(found, counts.counts[k - 1].tolist(), strict=True)) == {
            **({(w,): 0 for w in range(size)} if k == 1 else {}),
            **{g: c for g, c in count.items() if len(g) == k},
        }
        begin, end = counts.initial_range(k)
        assert [g for g in found if g[0] == 1] == found[begin:end]
        if k > 1:
            shorter = grams(counts, k - 1)
            assert [shorter[i] for i in counts.suffixes[k - 1]] == [g[1:] for g in found]
        if k < order:
            wanted = [len(before[g]) for g in found]
            assert counts.continuation_counts(k).tolist() == wanted
    assert counts.sizes == [len(w) for w in counts.words]


def test_a_small_text_by_hand() -> None:
    # <s> a b a </s> <s> a b </s>
    counts = count_ngrams(np.array([1, 3, 4, 3, 2, 1, 3, 4, 2], np.int32), 5, 3)
    assert counts.counts[0].tolist() == [0, 2, 2, 3, 2]
    assert grams(counts, 2) == [(1, 3), (3, 2), (3, 4), (4, 2), (4, 3)]
    assert counts.counts[1].tolist() == [2, 1, 2, 1, 1]
    assert grams(counts, 3) == [(1, 3, 4), (3, 4, 2), (3, 4, 3), (4, 3, 2)]
    assert counts.counts[2].tolist() == [2, 1, 1, 1]
    assert counts.suffixes[2].tolist() == [2, 3, 4, 1]
    assert counts.continuation_counts(1).tolist() == [0, 0, 2, 2, 1]
    assert counts.continuation_counts(2).tolist() == [0, 1, 1, 1, 1]


texts = st.lists(st.integers(0, 7), min_size=1, max_size=60)


@settings(max_examples=80)
@given(ids=texts, order=st.integers(1, 5))
def test_any_text(ids: list[int], order: int) -> None:
    check([1, *ids], 9, order)


@settings(max_examples=40)
@given(ids=texts, order=st.integers(2, 5), size=st.integers(1, 4))
def test_pieces_are_cut_between_groups(ids: list[int], order: int, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "_PIECE", 1 << size)
        check([1, *ids], 8, order)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=80), st.integers(1, 5), st.integers(1, 30))
def test_stretches_add_up(ids: list[int], order: int, stretch: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "_LONG", 0)
        patch.setattr(counting, "_STRETCH", stretch)
        patch.setattr(counting, "_OFTEN", 0.01)
        patch.setattr(counting, "_NEW", 10.0)
        check(ids, 7, order)


def test_stretches_that_would_save_nothing_are_not_counted_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = np.arange(2, 50, dtype=np.int32)
    monkeypatch.setattr(counting, "_STRETCH", 10)
    assert counting._in_stretches(ids, 50, 2) is None
    assert counting._in_stretches(ids % 2 + 2, 50, 2) is not None


def test_a_text_larger_than_a_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    ids = rng.geometric(0.2, 70_000).clip(max=40).astype(np.int32) + 1
    ids[::50] = 1
    whole = count_ngrams(ids, 42, 4)
    monkeypatch.setattr(counting, "_PIECE", 1 << 10)
    pieces = count_ngrams(ids, 42, 4)
    for name in ("words", "child_start", "counts", "suffixes"):
        for a, b in zip(getattr(whole, name), getattr(pieces, name), strict=True):
            assert np.array_equal(a, b)
    # The counts of all k-grams and of all ends of sequences make up the text.
    starts = int((ids == 1).sum())
    assert whole.counts[1].sum() == len(ids) - starts


def test_a_text_of_one_word() -> None:
    check([1] + [2] * 300, 3, 4)


def test_an_order_longer_than_the_text() -> None:
    counts = count_ngrams(np.array([1, 3, 2], np.int32), 4, 6)
    assert counts.sizes == [4, 2, 1, 0, 0, 0]


def test_a_large_vocabulary() -> None:
    ids = np.array([1, 2**22, 2**22 - 1, 2**22, 2**22 - 1, 5], np.int32)
    counts = count_ngrams(ids, 2**22 + 1, 3)
    assert counts.words[1].tolist() == [2**22, 5, 2**22, 2**22 - 1]
    assert counts.counts[1].tolist() == [1, 1, 1, 2]
    assert counts.sizes[2] == 4


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(LangmodelsError, match="empty"):
        count_ngrams(np.empty(0, np.int32), 3, 2)
    with pytest.raises(LangmodelsError, match="order"):
        count_ngrams(np.array([1, 2], np.int32), 3, 0)
