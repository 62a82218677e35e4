"""Relative-entropy pruning and count cut-offs."""

import itertools

import numpy as np
import pytest
from ngram_data import alice, held_out, sum_error, trained

from langmodels.errors import UsageError
from langmodels.ngram import NGramModel, prune
from langmodels.ngram.pruning import importance
from langmodels.ngram.trie import ngram_words, suffixes_of
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer


def small(smoothing: str = "witten_bell", order: int = 2) -> NGramModel:
    text = "a b a c a b\nb a b b c\nc a a b c b a\n"
    return NGramModel(order, smoothing).fit(Corpus.from_text(text, make_tokenizer("word")))


@pytest.mark.parametrize("smoothing", ["modified_kneser_ney", "katz", "witten_bell", "mle"])
@pytest.mark.parametrize("threshold", [1e-7, 1e-4, 0.5])
def test_what_is_left_sums_to_one(smoothing: str, threshold: float) -> None:
    model = NGramModel(3, smoothing).fit(alice().head(8000))
    pruned = prune(model, threshold)
    assert sum(pruned.ngram_counts) < sum(model.ngram_counts)
    assert pruned.ngram_counts[0] == model.ngram_counts[0]
    assert sum_error(pruned, held_out()) < 1e-5
    assert sum_error(pruned, alice(), 2) < 1e-5
    assert not np.isnan(pruned.score_corpus(alice().head(500))).any()


def test_more_pruning_leaves_less_and_costs_more() -> None:
    model = trained(3)
    models = [prune(model, t) for t in (0.0, 1e-7, 1e-6, 1e-5, 1e-4, 1e-2)]
    sizes = [sum(m.ngram_counts) for m in models]
    assert sizes == sorted(sizes, reverse=True)
    assert models[0].ngram_counts == model.ngram_counts
    perplexities = [m.perplexity(held_out()) for m in models]
    assert perplexities == sorted(perplexities)
    assert perplexities[1] < 1.01 * perplexities[0]


def test_a_target_size_is_met() -> None:
    model = trained(3)
    total = sum(model.ngram_counts)
    for target in (total + 5, total, total - 1, total // 2, model.ngram_counts[0] + 10):
        pruned = prune(model, max_ngrams=target)
        assert sum(pruned.ngram_counts) <= min(target, total)
        assert sum(pruned.ngram_counts) >= 0.95 * min(target, total)
    unigrams = prune(model, max_ngrams=model.ngram_counts[0])
    assert unigrams.ngram_counts == [model.ngram_counts[0], 0, 0]
    assert sum_error(unigrams, held_out()) < 1e-5


def test_the_entropy_is_that_of_the_definition() -> None:
    """Leave out one bigram and sum p log(p / p') over all contexts and words."""
    model = small()
    v = len(model.vocabulary)
    cost = importance(model.tables, model.vocabulary.eos_id)[1]
    rows = ngram_words(model.tables, 2, slice(None))
    unigram = np.exp(model.log_distribution(()))
    for i, (context, word) in enumerate(rows.tolist()):
        p = np.exp(model.log_distribution((context,)))
        explicit = np.zeros(v, bool)
        explicit[rows[rows[:, 0] == context, 1]] = True
        explicit[word] = False
        q = np.where(explicit, p, 0.0)
        q += np.where(explicit, 0.0, unigram) * (1 - q.sum()) / (1 - unigram[explicit].sum())
        use = p > 0
        weight = unigram[model.vocabulary.eos_id if context == 1 else context]
        expected = weight * (p[use] * np.log(p[use] / q[use])).sum()
        assert cost[i] == pytest.approx(expected, abs=1e-6)


def test_prefixes_and_suffixes_stay() -> None:
    for threshold in (1e-6, 1e-5, 1e-4):
        pruned = prune(trained(5), threshold)
        assert all((s >= 0).all() for s in suffixes_of(pruned.tables))


def test_probabilities_that_stay_are_unchanged() -> None:
    model, pruned = trained(3), prune(trained(3), 1e-5)
    before = {tuple(r): i for i, r in enumerate(ngram_words(model.tables, 2, slice(None)).tolist())}
    kept = ngram_words(pruned.tables, 2, slice(None)).tolist()
    places = [before[tuple(row)] for row in kept]
    assert np.array_equal(pruned.tables.log_prob[1], model.tables.log_prob[1][places])


def test_pruned_models_keep_what_they_were_made_with() -> None:
    pruned = prune(trained(3), 1e-6)
    assert pruned.discounts == trained(3).discounts
    assert pruned.smoothing.name == "modified_kneser_ney"


def test_impossible_requests_are_refused() -> None:
    model = small()
    for request in ({}, {"threshold": 1e-3, "max_ngrams": 10}, {"threshold": -1.0}):
        with pytest.raises(UsageError):
            prune(model, **request)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="unigrams"):
        prune(model, max_ngrams=1)


# Count cut-offs ------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", ["modified_kneser_ney", "kneser_ney", "witten_bell"])
def test_cut_offs_leave_out_rare_ngrams(smoothing: str) -> None:
    text = alice().head(6000)
    counts: dict[tuple[int, ...], int] = {}
    for ids in text.sequences():
        padded = [1, *ids.tolist(), 2]
        for k in (2, 3):
            for ngram in zip(*(padded[i:] for i in range(k)), strict=False):
                counts[ngram] = counts.get(ngram, 0) + 1
    model = NGramModel(3, smoothing, min_counts=(1, 2, 3)).fit(text)
    for k, limit in ((2, 2), (3, 3)):
        expected = {n for n, c in counts.items() if len(n) == k and c >= limit}
        assert set(map(tuple, ngram_words(model.tables, k, slice(None)).tolist())) == expected
    assert sum_error(model, held_out()) < 1e-5
    # The last number holds for higher orders, and ones change nothing.
    assert NGramModel(3, smoothing, min_counts=(1, 1)).fit(text).ngram_counts == [
        len(text.vocabulary),
        *(len({n for n in counts if len(n) == k}) for k in (2, 3)),
    ]


def test_the_cut_off_mass_goes_to_backing_off() -> None:
    """Bigrams by hand: absolute discounting with D = 0.5."""
    text = Corpus.from_text("a b\na b\na c\n", make_tokenizer("word"))
    model = NGramModel(2, "absolute_discounting", min_counts=(1, 2), discount=0.5).fit(text)
    whole = NGramModel(2, "absolute_discounting", discount=0.5).fit(text)
    a, b = whole.prob("b", "a"), whole.prob("c", "a")
    unigram = np.exp(whole.log_distribution(()))
    p_b, p_c = unigram[whole.vocabulary.id("b")], unigram[whole.vocabulary.id("c")]
    assert a == pytest.approx(1.5 / 3 + 1 / 3 * p_b)
    assert b == pytest.approx(0.5 / 3 + 1 / 3 * p_c)
    # c follows a once: its half of a count is now backed off with as well.
    assert model.prob("b", "a") == pytest.approx(1.5 / 3 + 1.5 / 3 * p_b)
    assert model.prob("c", "a") == pytest.approx(1.5 / 3 * p_c)


def test_impossible_cut_offs_are_refused() -> None:
    for limits in ((2,), (1, 3, 2), (0, 1)):
        with pytest.raises(UsageError, match="Minimum counts"):
            NGramModel(3, min_counts=limits)
    with pytest.raises(UsageError, match="katz"):
        NGramModel(3, "katz", min_counts=(1, 2))


def test_cut_offs_are_saved(tmp_path) -> None:
    model = NGramModel(3, min_counts=(1, 1, 2)).fit(alice().head(3000))
    model.save(tmp_path / "m.lm")
    again = NGramModel.load(tmp_path / "m.lm")
    assert again.smoothing.min_counts == (1, 1, 2)
    for one, two in itertools.zip_longest(again.tables.words, model.tables.words):
        assert np.array_equal(one, two)
