"""The n-gram model: every way of asking for a probability gives the same one."""

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_ngram_smoothing import joined, random_text

from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.blanks import FillingModel
from langmodels.ngram import (
    SMOOTHINGS,
    NGramModel,
    NGramTables,
    SmoothingWarning,
    child_index,
    count_ngrams,
    make_smoothing,
    scoring,
)
from langmodels.ngram.child_index import ChildIndex, Halving, Level
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.vocabulary import Vocabulary

pytestmark = pytest.mark.filterwarnings("ignore::langmodels.ngram.SmoothingWarning")

LINES = """the cat sat on the mat
the dog sat on the log
a cat and a dog ran on and on
the cat ran to the dog , and the dog ran to the cat
the mat was on the log and the cat was on the mat
"""


def words(text: str = LINES, **options: Any) -> Corpus:
    return Corpus.from_text(text, make_tokenizer("whitespace"), **options)


# Looking up -----------------------------------------------------------------------------------


def pruned(rng: np.random.Generator, vocabulary_size: int, order: int) -> NGramTables:
    """Random tables in which the suffixes of n-grams may be missing, as pruning leaves them."""
    column = [np.arange(vocabulary_size, dtype=np.int32)]
    child_start = []
    for _ in range(1, order):
        chosen = [
            np.flatnonzero(rng.random(vocabulary_size) < rng.choice([0.0, 0.2, 0.9]))
            for _ in range(len(column[-1]))
        ]
        # <s> follows nothing.
        kept = [c[c != 1] for c in chosen]
        column.append(np.concatenate([*kept, np.empty(0, np.int64)]).astype(np.int32))
        child_start.append(np.cumsum([0, *map(len, kept)], dtype=np.int32))
    log_prob = [-rng.random(len(c)).astype(np.float32) - 0.1 for c in column]
    log_prob[0][1] = -np.inf
    backoff = [rng.normal(0, 1, len(c)).astype(np.float32) for c in column[:-1]]
    for weights in backoff:
        weights[rng.random(len(weights)) < 0.3] = 0.0
    return NGramTables(column, child_start, log_prob, backoff)


def direct(t: NGramTables, history: list[int], word: int) -> tuple[float, int]:
    """Log p and matched length by the definition of back-off, with n-grams in a dictionary."""
    stored: dict[tuple[int, ...], tuple[float, float]] = {}
    grams: list[tuple[int, ...]] = [()]
    for k in range(1, t.order + 1):
        if k > 1:
            starts = t.child_start[k - 2]
            grams = [
                (*g, int(w))
                for i, g in enumerate(grams)
                for w in t.words[k - 1][starts[i] : starts[i + 1]]
            ]
        else:
            grams = [(w,) for w in range(t.vocabulary_size)]
        for i, gram in enumerate(grams):
            weight = float(t.backoff[k - 1][i]) if k < t.order else 0.0
            stored[gram] = (float(t.log_prob[k - 1][i]), weight)
    context = tuple(history[max(0, len(history) - t.order + 1) :])
    charge = 0.0
    while (*context, word) not in stored:
        charge += stored.get(context, (0.0, 0.0))[1]
        context = context[1:]
    return charge + stored[(*context, word)][0], len(context) + 1


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), order=st.integers(1, 4))
def test_batches_single_queries_and_distributions_agree_on_pruned_tables(
    seed: int, order: int
) -> None:
    rng = np.random.default_rng(seed)
    t = pruned(rng, 6, order)
    ids = rng.integers(0, 6, 40).astype(np.int32)
    ids[0] = 1
    scores, lengths = t.score(ids)
    history: list[int] = []
    state = t.start()
    for i, word in enumerate(ids.tolist()):
        if word == 1:
            state, history = t.start(), [1]
            assert scores[i] == -np.inf
            continue
        expected, length = direct(t, history, word)
        assert scores[i] == pytest.approx(expected, abs=1e-5)
        assert lengths[i] == length
        log_p, found = t.score_next(state, word)
        assert (log_p, found) == (pytest.approx(expected, abs=1e-5), length)
        assert t.log_distribution(state)[word] == pytest.approx(expected, abs=1e-5)
        history.append(word)
        state = t.advance(state, word)


@pytest.mark.parametrize("name", SMOOTHINGS)
def test_batches_agree_with_the_loop_across_blocks(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, held_out, size = random_text(1), random_text(9, sentences=40), 27
    t = make_smoothing(name).estimate(count_ngrams(joined(text), size, 4))
    ids = joined(held_out)
    expected = []
    state = t.start()
    for word in ids.tolist():
        if word == 1:
            state = t.start()
            expected.append((-math.inf, 1))
        else:
            expected.append(t.score_next(state, word))
            state = t.advance(state, word)
    whole = t.score(ids)
    monkeypatch.setattr(scoring, "_BLOCK", 7)
    blocks = t.score(ids)
    for scores, lengths in (whole, blocks):
        assert lengths.tolist() == [n for _, n in expected]
        assert scores.tolist() == pytest.approx([p for p, _ in expected], abs=1e-9)


def test_a_state_holds_no_more_than_matters() -> None:
    model = NGramModel(3).fit(words())
    end = model.state("the cat sat on the mat")
    # "mat" only ends sentences or goes on to "was"; "the mat" is a context, longer ones are cut.
    assert len(end) == 2
    assert model.state("zebra sat on") == model.state("the dog sat on")
    assert hash(model.state("sat on")) == hash(model.state("dog sat on"))
    assert model.state("zebra") == model.state("gnu gnu") == model.tables.advance((), 0)
    assert model.context_used("the cat sat on") == 2
    assert model.context_used("the cat zebra") == 0
    assert model.context_used("zebra the") == 1
    assert model.context_used("") == 0
    assert NGramModel(3, "stupid_backoff").fit(words()).context_used("cat zebra the") == 1


# The model ------------------------------------------------------------------------------------


def test_figures_of_a_fit() -> None:
    corpus = words()
    model = NGramModel(3).fit(corpus)
    assert model.ngram_counts == count_ngrams(corpus.ids, len(corpus.vocabulary), 3).sizes
    assert model.n_parameters == sum(model.ngram_counts) + sum(model.ngram_counts[:2])
    assert model.context_length == 2
    assert [len(d) for d in model.discounts] == [3, 3, 3]
    assert NGramModel(2, "mle").fit(corpus).discounts == []


def test_full_scores() -> None:
    model = NGramModel(3).fit(words())
    corpus = words("the cat sat\nthe zebra ran\n", vocabulary=model.vocabulary)
    scores, lengths, oov = model.full_scores(corpus)
    assert np.array_equal(scores, model.score_corpus(corpus))
    # "cat sat </s>" and "zebra ran" never occur.
    assert lengths.tolist() == [2, 3, 3, 1, 2, 1, 1, 1]
    assert oov.tolist() == [False] * 5 + [True, False, False]
    assert model.score_next(model.state("the cat"), model.vocabulary.id("sat"))[1] == 3


def test_held_out_weights_come_from_the_validation_text_or_the_last_tenth() -> None:
    text = "\n".join(" ".join(f"w{w}" for w in s) for s in random_text(1))
    corpus = words(text)
    validation = words(text, vocabulary=corpus.vocabulary)
    given_text = NGramModel(3, "jelinek_mercer").fit(corpus, validation)
    own_text = NGramModel(3, "jelinek_mercer").fit(corpus)
    # A text seen before deserves all trust in the longest context.
    assert given_text.fitted["weights"][2][3] > 0.8 > own_text.fitted["weights"][2][3]
    assert NGramModel(2, "jelinek_mercer").fit(words("a b")).perplexity(words("a b")) > 1


def test_scores_of_stupid_backoff_can_be_normalized() -> None:
    corpus = words()
    model = NGramModel(3, "stupid_backoff").fit(corpus)
    assert not model.is_distribution
    fixed = model.normalized()
    assert fixed.is_distribution
    assert fixed.normalized() is fixed
    for context in ("", "the", "the cat", "zebra"):
        assert fixed.distribution(context).sum() == pytest.approx(1, abs=1e-5)
        assert model.distribution(context).sum() != pytest.approx(1, abs=1e-3)
    assert model.perplexity(corpus) == fixed.perplexity(corpus)
    assert FillingModel(model).fill("the ___ sat") == FillingModel(fixed).fill("the ___ sat")
    mkn = NGramModel(3).fit(corpus)
    assert mkn.normalized() is mkn


@pytest.mark.parametrize("name", SMOOTHINGS)
def test_models_survive_their_files(name: str, tmp_path: Any) -> None:
    corpus = words()
    model = NGramModel(3, name).fit(corpus)
    model.save(tmp_path / "m.lm")
    loaded = LanguageModel.load(tmp_path / "m.lm")
    assert isinstance(loaded, NGramModel)
    assert np.array_equal(loaded.score_corpus(corpus), model.score_corpus(corpus))
    assert loaded.state("the cat") == model.state("the cat")
    assert loaded.fitted == model.fitted
    assert loaded.is_distribution == model.is_distribution
    assert (loaded.order, loaded.smoothing.name) == (3, name)
    assert loaded.get_params() == model.get_params()
    # A loaded model's arrays are read-only; asking must not write to them.
    assert loaded.prob("cat", "the") == model.prob("cat", "the")
    assert np.array_equal(loaded.distribution("the"), model.distribution("the"))


def test_draws_follow_the_distribution() -> None:
    corpus = words()
    for name in ("modified_kneser_ney", "katz", "mle", "stupid_backoff"):
        model = NGramModel(3, name).fit(corpus).normalized()
        rng = np.random.default_rng(4)
        for context in ("the", "the cat", "on the", "zebra"):
            state = model.state(context)
            for unk in (True, False):
                p = model.distribution(context)
                if not unk:
                    p[0] = 0
                p /= p.sum()
                n = 2000
                drawn = Counter(model.sample_next(state, rng, unk=unk) for _ in range(n))
                seen = np.array([drawn[w] for w in range(len(p))])
                # Within five standard deviations, and never what cannot be.
                assert (np.abs(seen - n * p) <= 5 * np.sqrt(n * p * (1 - p)) + 1e-9).all()


def test_a_model_that_knows_only_unknown_words_can_be_drawn_from() -> None:
    t = make_smoothing("mle").estimate(count_ngrams(np.array([1, 0, 0], np.int32), 2, 2))
    model = NGramModel(2, "mle").fit(words("a a"))
    model = NGramModel.from_tables(t, replace(model.reading, vocabulary=Vocabulary([], ends=False)))
    assert model.sample_next(model.start(), np.random.default_rng(0), unk=False) == 0


def test_whole_contexts_are_used_or_not_at_all() -> None:
    model = NGramModel(3, "mle").fit(words("the cat sat\nthe dog sat"))
    assert model.context_used("the cat") == 2
    assert model.context_used("dog cat") == 0
    assert model.context_used("the") == 1  # after <s>
    assert model.context_used("cat") == 0  # never after <s>
    assert "0/0" in model.caveat
    backing_off = NGramModel(3, "mle", backoff=True).fit(words("the cat sat\nthe dog sat"))
    assert backing_off.context_used("dog cat") == 1
    assert "0/0" not in backing_off.caveat


def test_files_from_before_there_was_a_choice_back_off() -> None:
    model = NGramModel(2, "mle", backoff=True).fit(words("the cat sat"))
    config = {**model.config(), "options": {}}
    old = NGramModel.restore(config, model.arrays(), model.reading)
    assert old.smoothing.get_params() == {"backoff": True}


def test_bad_requests_are_refused() -> None:
    for order in (0, 101):
        with pytest.raises(UsageError, match="order"):
            NGramModel(order)
    with pytest.raises(UsageError, match="smoothing"):
        NGramModel(2, "smooth")
    with pytest.raises(TypeError):
        NGramModel(2, "kneser_ney", alpha=3)
    with pytest.raises(TypeError):
        NGramModel(2, make_smoothing("mle"), alpha=3)
    model = NGramModel(2).fit(words())
    with pytest.raises(LangmodelsError, match="size"):
        NGramModel.from_tables(model.tables, words("a b").reading)
    arrays = model.tables.to_arrays()
    with pytest.raises(LangmodelsError, match="missing"):
        NGramTables.from_arrays(arrays, 3)
    arrays["ngram.1.child_start"] = arrays["ngram.1.child_start"][:-1]
    with pytest.raises(LangmodelsError, match="damaged"):
        NGramTables.from_arrays(arrays, 2)


def test_discounts_that_cannot_be_estimated_are_reported() -> None:
    with pytest.warns(SmoothingWarning, match="1-gram and 2-gram counts .* 0.5, 1, 1.5") as said:
        model = NGramModel(2).fit(words("a a a a"))
    assert len(said) == 1
    assert model.discounts == [[0.5, 1.0, 1.5]] * 2


@pytest.mark.parametrize(
    ("smoothing", "discounts", "what"),
    [
        ("absolute_discounting", [0.75], r"the discount to be estimated; using 0\.75"),
        ("katz", [0.5, 0.75, 2.5 / 3, 0.875, 0.9], "Good-Turing discounts .* half a count"),
    ],
)
def test_defaults_of_discounts_are_reported(
    smoothing: str, discounts: list[float], what: str
) -> None:
    with pytest.warns(SmoothingWarning, match=what):
        model = NGramModel(1, smoothing=smoothing).fit(words("a a a a"))
    assert model.discounts[0] == pytest.approx(discounts)


@pytest.mark.parametrize("smoothing", ["modified_kneser_ney", "stupid_backoff"])
def test_short_and_long_sequences_are_scored_alike(
    smoothing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = NGramModel(4, smoothing).fit(words())
    sentences = "the cat sat on a zebra and the dog ran\nthe dog sat\n" * 20
    text = Corpus.from_text(sentences, model.tokenizer, vocabulary=model.vocabulary)
    assert len(text.ids) > NGramTables.short
    array_code = model.full_scores(text)
    monkeypatch.setattr(NGramTables, "short", 10**6)
    for looped, expected in zip(model.full_scores(text), array_code, strict=True):
        assert looped == pytest.approx(expected, abs=1e-6)


def random_level(rng: np.random.Generator, parents: int, n_words: int, last: bool) -> Level:
    sizes = np.minimum(rng.integers(0, 9, parents) ** 3 // 9, n_words)
    starts = np.append(0, np.cumsum(sizes)).astype(np.int32)
    words = np.concatenate([np.sort(rng.choice(n_words, n, replace=False)) for n in sizes])
    log_prob, backoff = -rng.random((2, len(words))).astype(np.float32)
    return Level(starts, words.astype(np.int32), log_prob, None if last else backoff)


@pytest.mark.parametrize("n_words", [500, 300_000])
def test_children_are_found_by_hash_tables_as_by_halving(n_words: int) -> None:
    rng = np.random.default_rng(4)
    first = random_level(rng, 200, n_words, last=False)
    second = random_level(rng, len(first.words), n_words, last=True)
    names = rng.permutation(300)[:200]
    index = ChildIndex(first, names, 300, n_words)
    below = ChildIndex(second, index.slots, index.n_slots, n_words)
    assert index.tells_apart
    assert below.tells_apart
    for level, known, table, own in (
        (first, names, index, np.arange(200)),
        (second, index.slots, below, np.arange(len(first.words))),
    ):
        there = rng.integers(0, len(level.words), 5_000)
        owner = np.repeat(own, np.diff(level.child_start))[there]
        parents = np.concatenate([owner, rng.integers(0, len(own), 20_000)])
        words = np.concatenate([level.words[there], rng.integers(0, n_words, 20_000)])
        expected = Halving(level).find(parents, words.astype(np.int32))
        assert 5_000 <= len(expected.hits) < len(parents)
        found = table.find(known[parents], words.astype(np.int32))
        assert (found.hits == expected.hits).all()
        assert (found.missed == expected.missed).all()
        assert (found.nodes == table.slots[expected.nodes]).all()
        assert (found.log_prob == expected.log_prob).all()
        if level.backoff is None:
            assert found.backoff is None
        else:
            assert found.backoff is not None
            assert expected.backoff is not None
            assert (found.backoff == expected.backoff).all()


@pytest.mark.parametrize("tables", [0, 1, 2, 4])
def test_scores_are_the_same_with_and_without_hash_tables(
    tables: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    text = " ".join(f"w{i}" for i in np.minimum(rng.geometric(0.2, 5_000), 20))
    corpus = words(text.replace("w9 ", ".\n"))
    model = NGramModel(5, "witten_bell").fit(corpus)
    monkeypatch.setattr(NGramTables, "short", 0)

    def scored(indexed: int) -> tuple[NGramTables, Any]:
        sizes = iter([0] * indexed + [1 << 60] * 4)
        monkeypatch.setattr(child_index, "_bytes", lambda *_: next(sizes))
        own = replace(model.tables)
        return own, own.score(corpus.ids)

    _, (expected, lengths) = scored(0)
    own, (found, same) = scored(tables)
    kinds = [type(finder) for finder in own._finders.after(0)]
    assert kinds == [ChildIndex] * tables + [Halving] * (4 - tables)
    assert (found == expected).all()
    assert (same == lengths).all()
    assert set(lengths.tolist()) == {1, 2, 3, 4, 5}


def test_a_long_text_is_scored_by_unigrams_alone() -> None:
    corpus = Corpus.from_text("the cat sat on the mat\n" * 60)
    model = NGramModel(1, "mle").fit(corpus)
    assert model.score_corpus(corpus)[:7].tolist() == pytest.approx(
        model.token_scores("the cat sat on the mat").tolist()
    )
