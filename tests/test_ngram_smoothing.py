"""Every smoothing method against a direct computation from the papers' formulas, and by hand."""

import math
import random
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ngram_direct import BOS, Direct, modified_discounts

from langmodels.errors import UsageError
from langmodels.ngram import (
    SMOOTHINGS,
    NGramModel,
    NGramTables,
    SmoothingWarning,
    count_ngrams,
    make_smoothing,
)
from langmodels.ngram.discounts import counts_of_counts, good_turing_factors, single_discount
from langmodels.ngram.normalization import normalized

Text = list[list[int]]


def random_text(seed: int, *, ends: bool = True, sentences: int = 60, words: int = 25) -> Text:
    """Sentences from a sharp random bigram process, so that counts of all sizes occur."""
    rng = random.Random(seed)
    first = 3 if ends else 2
    likely = {w: [rng.randrange(first, words) for _ in range(4)] for w in range(words)}
    text = []
    for _ in range(sentences):
        sentence, word = [BOS], BOS
        for _ in range(rng.randrange(1, 12)):
            word = rng.choice(likely[word]) if rng.random() < 0.8 else rng.randrange(first, words)
            sentence.append(0 if rng.random() < 0.03 else word)  # some <unk>
        text.append([*sentence, 2] if ends else sentence)
    return text


def joined(text: Text) -> np.ndarray[Any, np.dtype[np.int32]]:
    return np.array([w for sentence in text for w in sentence], np.int32)


def tables_of(text: Text, size: int, order: int, name: str, **options: Any) -> NGramTables:
    smoothing = make_smoothing(name, **options)
    return smoothing.estimate(count_ngrams(joined(text), size, order))


def histories(text: Text, order: int, size: int) -> list[list[int]]:
    """Beginnings of sentences seen and unseen, as a model meets them."""
    rng = random.Random(5)
    found = [s[:i] for s in text[:12] for i in range(1, len(s))]
    for _ in range(40):
        found.append([BOS, *(rng.choice([0, *range(3, size)]) for _ in range(rng.randrange(6)))])
    return found


def distribution(tables: NGramTables, history: Sequence[int]) -> np.ndarray[Any, Any]:
    state = tables.start()
    for word in history[1:]:
        state = tables.advance(state, word)
    return np.exp(tables.log_distribution(state))


def assert_agrees(
    tables: NGramTables,
    direct: Callable[[Sequence[int], int], float],
    cases: list[list[int]],
    *,
    total: float | None = 1.0,
) -> None:
    for history in cases:
        p = distribution(tables, history)
        wanted = [0.0 if w == BOS else direct(history, w) for w in range(len(p))]
        assert p == pytest.approx(wanted, rel=2e-6, abs=1e-12), history
        if total is not None:
            assert p.sum() == pytest.approx(total, abs=2e-6)


def direct_method(name: str, d: Direct, tables_discounts: Any) -> Callable[..., float]:
    """p(w | history) of a method as it comes out of the box, computed directly."""

    def single(counts: Callable[[int], dict[Any, int]]) -> Callable[..., float]:
        def one(order: int) -> float:
            n = list(counts(order).values())
            n1, n2 = n.count(1), n.count(2)
            return n1 / (n1 + 2 * n2) if n1 and n2 else 0.75

        values = {k: one(k) for k in range(1, d.order + 1)}
        return lambda h, w: d.discounted(h, w, counts, lambda order, c: values[order])

    if name == "modified_kneser_ney":
        values = {
            k: modified_discounts(list(d.kneser_ney_counts(k).values())) or (0.5, 1.0, 1.5)
            for k in range(1, d.order + 1)
        }
        return lambda h, w: d.discounted(
            h, w, d.kneser_ney_counts, lambda order, c: values[order][min(c, 3) - 1]
        )
    return {
        "mle": d.mle,
        "laplace": lambda h, w: d.additive(h, w, 1.0),
        "lidstone": lambda h, w: d.additive(h, w, 0.1),
        "witten_bell": d.witten_bell,
        "absolute": single(d.plain_counts),
        "kneser_ney": single(d.kneser_ney_counts),
        "katz": lambda h, w: d.katz(h, w, tables_discounts),
        "jelinek_mercer": lambda h, w: d.jelinek_mercer(h, w, lambda order, n: 0.5),
        "stupid_backoff": lambda h, w: d.stupid(h, w, 0.4),
    }[name]


@pytest.mark.filterwarnings("ignore::langmodels.ngram.SmoothingWarning")
@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("ends", [True, False], ids=["ends", "stream"])
@pytest.mark.parametrize("name", SMOOTHINGS)
def test_methods_agree_with_the_formulas(name: str, ends: bool, order: int) -> None:
    text, size = random_text(1, ends=ends), 27  # two words never occur
    smoothing = make_smoothing(name)
    tables = smoothing.estimate(count_ngrams(joined(text), size, order))
    direct = direct_method(name, Direct(text, order, size), smoothing.fitted().get("discounts"))
    total = 1.0 if smoothing.is_distribution else None
    assert_agrees(tables, direct, histories(text, order, size), total=total)


def test_modified_kneser_ney_by_hand() -> None:
    # "<s> a b </s>", "<s> a c </s>", "<s> a b </s>"; a=3, b=4, c=5, V = 5 with <unk>.
    # Continuation counts: a 1, b 1, c 1, </s> 2 (after b and c); sum 5. There is no 3, so that the
    # unigram discounts are 0.5, 1, 1.5.
    # p1(w) = (c - D) / 5 + gamma / 5, gamma = (0.5 + 0.5 + 0.5 + 1) / 5 = 0.5:
    # p1(a) = p1(b) = p1(c) = 0.1 + 0.1 = 0.2, p1(</s>) = 0.2 + 0.1 = 0.3, p1(<unk>) = 0.1.
    # Bigrams: <s> a 3, a b 2, a c 1, b </s> 2, c </s> 1, so n1 = 2, n2 = 2, n3 = 1, Y = 2/6,
    # D1 = 1 - 2/3 = 1/3, D2 = 2 - 3/3 * 1/2 = 3/2, D3 = 3.
    # After a: b twice, c once; gamma = (3/2 + 1/3) / 3 = 11/18.
    # p(b | a) = (2 - 3/2) / 3 + 11/18 * 0.2 = 52/180, p(c | a) = (1 - 1/3) / 3 + 11/90 = 62/180.
    # After <s>: a three times, all of it discounted: p(w | <s>) = p1(w).
    text = [[1, 3, 4, 2], [1, 3, 5, 2], [1, 3, 4, 2]]
    with pytest.warns(SmoothingWarning, match="1-gram counts"):
        tables = tables_of(text, 6, 2, "modified_kneser_ney")
    assert distribution(tables, [1]) == pytest.approx([0.1, 0, 0.3, 0.2, 0.2, 0.2])
    after_a = np.array([11, 0, 33, 22, 52, 62]) / 180
    assert distribution(tables, [1, 3]) == pytest.approx(after_a)
    assert tables.backoff[0][3] == pytest.approx(math.log(11 / 18))


def test_maximum_likelihood_after_an_unseen_context() -> None:
    text = [[1, 3, 4, 3, 5, 2]]
    tables = tables_of(text, 7, 3, "mle")
    assert distribution(tables, [1, 3, 4]) == pytest.approx([0, 0, 0, 1, 0, 0, 0])
    # "5 3" never occurs: 0/0, and 1/6 for every word that can come.
    uniform = pytest.approx(np.array([1, 0, 1, 1, 1, 1, 1]) / 6)
    assert distribution(tables, [1, 5, 3]) == uniform
    assert distribution(tables, [1, 6]) == uniform
    # Backing off: after 3 come 4 and 5 once each.
    tables = tables_of(text, 7, 3, "mle", backoff=True)
    assert distribution(tables, [1, 3, 4]) == pytest.approx([0, 0, 0, 1, 0, 0, 0])
    assert distribution(tables, [1, 5, 3]) == pytest.approx([0, 0, 0, 0, 0.5, 0.5, 0])
    # 6 never occurs: the unigrams remain.
    assert distribution(tables, [1, 6]) == pytest.approx([0, 0, 0.2, 0.4, 0.2, 0.2, 0])


def test_witten_bell_by_hand() -> None:
    # "<s> a a b" (stream): n = 3, two types, V = 3 with <unk>.
    # p1(a) = (2 + 2/3) / 5, p1(b) = (1 + 2/3) / 5, p1(<unk>) = (2/3) / 5.
    # After a: a and b once each, n = 2, two types: p(b | a) = (1 + 2 p1(b)) / 4.
    tables = tables_of([[1, 2, 2, 3]], 4, 2, "witten_bell")
    p_b = (1 + 2 / 3) / 5
    assert tables.log_prob[0][3] == pytest.approx(math.log(p_b))
    assert distribution(tables, [1, 2])[3] == pytest.approx((1 + 2 * p_b) / 4)


def test_laplace_by_hand() -> None:
    # After "a" (3): b once, c once; five words can come: p(b | a) = (1 + 1) / (2 + 5).
    tables = tables_of([[1, 3, 4, 2], [1, 3, 5, 2]], 6, 2, "laplace")
    assert distribution(tables, [1, 3])[4] == pytest.approx(2 / 7)
    assert distribution(tables, [1, 3])[0] == pytest.approx(1 / 7)
    assert distribution(tables, [1, 0])[4] == pytest.approx(1 / 5)  # never seen: uniform


def test_good_turing_factors_by_hand() -> None:
    # n1..n6 = 40, 20, 12, 8, 6, 4; m = 6 * 4 / 40 = 0.6.
    # d1 = (2 * 20 / 40 - 0.6) / 0.4 = 1: not below 1, so the cutoff is lowered to 4:
    # m = 5 * 6 / 40 = 0.75, d1 = (1 - 0.75) / 0.25 = 1, and so on down; no cutoff will do.
    counts = np.repeat([1, 2, 3, 4, 5, 6], [40, 20, 12, 8, 6, 4]).astype(np.int32)
    assert good_turing_factors(counts_of_counts(counts, 6), 5) is None
    # n1..n3 = 100, 30, 12, cutoff 2: m = 3 * 12 / 100 = 0.36;
    # d1 = (60 / 100 - 0.36) / 0.64 = 0.375, d2 = (36 / 60 - 0.36) / 0.64 = 0.375.
    counts = np.repeat([1, 2, 3], [100, 30, 12]).astype(np.int32)
    assert good_turing_factors(counts_of_counts(counts, 3), 2) == pytest.approx([0.375, 0.375])


def test_single_discount_by_hand() -> None:
    assert single_discount(counts_of_counts(np.array([1, 1, 1, 2, 5]), 2)) == pytest.approx(3 / 5)
    assert single_discount(counts_of_counts(np.array([3, 3]), 2)) is None


def test_jelinek_mercer_weights_are_those_of_expectation_maximisation() -> None:
    train, held_out, order, size = random_text(2), random_text(3, sentences=40), 3, 27
    counts = count_ngrams(joined(train), size, order)
    smoothing = make_smoothing("jelinek_mercer", max_iterations=8)
    smoothing.tune(counts, joined(held_out))
    direct = Direct(train, order, size)
    # The same eight steps, token by token. A context's bucket: the binary digits of its count.
    weights: dict[tuple[int, int], float] = {}
    for _ in range(8):
        came: dict[tuple[int, int], float] = {}
        stay: dict[tuple[int, int], float] = {}
        for sentence in held_out:
            for i in range(1, len(sentence)):
                h = direct.context(sentence[:i])
                levels = []  # from the longest context down: bucket, weight, weighted frequency
                while True:
                    n = direct.total(h)
                    if n:
                        bucket = (len(h) + 1, n.bit_length())
                        frequency = direct.successors[h][sentence[i]] / n
                        levels.append((bucket, weights.get(bucket, 0.5), frequency))
                    if not h:
                        break
                    h = h[1:]
                parts, rest = [], 1.0
                for _, weight, frequency in levels:
                    parts.append(rest * weight * frequency)
                    rest *= 1 - weight
                p = sum(parts) + rest / (size - 1)
                reached = 1.0
                for (bucket, _, _), part in zip(levels, parts, strict=True):
                    came[bucket] = came.get(bucket, 0) + reached
                    stay[bucket] = stay.get(bucket, 0) + part / p
                    reached -= part / p
        weights = {b: (stay[b] + 1) / (came[b] + 2) for b in came}
    table = smoothing.fitted()["weights"]
    for (k, digits), weight in weights.items():
        assert table[k - 1][digits] == pytest.approx(weight, abs=1e-9)
    tables = smoothing.estimate(counts)
    assert_agrees(
        tables,
        lambda h, w: direct.jelinek_mercer(h, w, lambda k, n: table[k - 1][n.bit_length()]),
        histories(train, order, size)[::5],
    )


def test_jelinek_mercer_where_the_whole_text_counts_further_than_its_part() -> None:
    """Weights are fitted on counts of nine tenths: 123 tokens of 137 are a binary digit fewer."""
    text = " ".join("abcdefgh"[i * i % 7] for i in range(136))
    weights = NGramModel(1, "jelinek_mercer").fit(text).fitted["weights"][0]
    assert weights[7] > 0.6
    assert weights[8] == weights[7]
    assert weights[1] == 0.5  # nothing is known of contexts that are so rare


def test_options_reach_the_methods() -> None:
    text, size = random_text(4), 27
    d = Direct(text, 3, size)
    cases = histories(text, 3, size)[::9]
    tables = tables_of(text, size, 3, "lidstone", alpha=0.5)
    assert_agrees(tables, lambda h, w: d.additive(h, w, 0.5), cases)
    tables = tables_of(text, size, 3, "mle", backoff=True)
    assert_agrees(tables, lambda h, w: d.mle(h, w, backoff=True), cases)
    tables = tables_of(text, size, 3, "jelinek_mercer", weight=0.7)
    assert_agrees(tables, lambda h, w: d.jelinek_mercer(h, w, lambda k, n: 0.7), cases)
    tables = tables_of(text, size, 3, "kneser_ney", discount=0.6)
    assert_agrees(
        tables, lambda h, w: d.discounted(h, w, d.kneser_ney_counts, lambda k, c: 0.6), cases
    )
    tables = tables_of(text, size, 3, "stupid_backoff", factor=0.2)
    assert_agrees(tables, lambda h, w: d.stupid(h, w, 0.2), cases, total=None)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lidstone", {"alpha": 0.0}),
        ("lidstone", {"alpha": math.inf}),
        ("jelinek_mercer", {"weight": 1.0}),
        ("jelinek_mercer", {"max_iterations": 0}),
        ("kneser_ney", {"discount": 1.5}),
        ("katz", {"cutoff": 1}),
        ("stupid_backoff", {"factor": 0.0}),
        ("kneser", {}),
    ],
)
def test_impossible_options_are_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        make_smoothing(name, **options)


@st.composite
def texts(draw: st.DrawFn) -> Text:
    """One line or a few, of one word or a few; the word 7 never occurs."""
    words = draw(st.sampled_from([[3], [3, 4], [0, 3, 4, 5, 6]]))
    line = st.lists(st.sampled_from(words), max_size=8).map(lambda s: [1, *s, 2])
    return draw(st.lists(line, min_size=1, max_size=8))


@settings(max_examples=100)
@given(text=texts(), order=st.integers(1, 4), name=st.sampled_from(list(SMOOTHINGS)))
def test_every_distribution_sums_to_one_and_smoothed_ones_are_positive(
    text: Text, order: int, name: str
) -> None:
    smoothing = make_smoothing(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmoothingWarning)
        tables = smoothing.estimate(count_ngrams(joined(text), 8, order))
    if not smoothing.is_distribution:
        tables = normalized(tables)
    for history in [[1], [1, 0], [1, 7], *(s[:-1] for s in text)]:
        p = distribution(tables, history)
        assert p[BOS] == 0
        assert p.sum() == pytest.approx(1.0, abs=1e-6)
        assert name == "mle" or (np.delete(p, BOS) > 0).all()
    ids = joined(text)
    assert np.isfinite(tables.score(ids)[0][ids != BOS]).all()


def test_a_discount_of_zero_takes_its_default() -> None:
    # "B red fox ran E", "B red hen ran E", "B a fox sat E": of the bigrams 8 occur once, 2 twice,
    # 2 three times, so that Y = 2/3 and D2 = 2 - 3 Y 2/2 = 0, which leaves nothing after "ran".
    text = [[1, 3, 4, 5, 6, 7, 2], [1, 3, 4, 8, 6, 7, 2], [1, 3, 9, 5, 10, 7, 2]]
    smoothing = make_smoothing("modified_kneser_ney")
    with pytest.warns(SmoothingWarning, match="2-gram counts"):
        tables = smoothing.estimate(count_ngrams(joined(text), 11, 2))
    assert smoothing.fitted()["discounts"][1] == [0.5, 1.0, 1.5]
    assert np.isfinite(tables.score(np.array([1, 4, 5, 6, 2], np.int32))[0][1:]).all()


def test_factors_of_zero_or_one_take_a_lower_cutoff() -> None:
    # n1..n3 = 9, 3, 2, cutoff 2: m = 3 * 2 / 9 = 2/3 and d1 = (2 * 3 / 9 - m) / (1 - m) = 0.
    counts = np.repeat([1, 2, 3], [9, 3, 2]).astype(np.int32)
    assert good_turing_factors(counts_of_counts(counts, 3), 2) is None


def test_normalized_stupid_backoff_is_proportional_to_its_scores() -> None:
    text, size = random_text(6), 27
    scores = tables_of(text, size, 3, "stupid_backoff")
    tables = normalized(scores)
    for history in histories(text, 3, size):
        s = distribution(scores, history)
        assert s.sum() != pytest.approx(1.0, abs=1e-3)
        assert distribution(tables, history) == pytest.approx(s / s.sum(), rel=1e-5)
