"""The calculation of an n-gram model, line by line, is what the model says."""

import pickle

import numpy as np
import pytest

from langmodels import make_model
from langmodels.datasets import find_source
from langmodels.errors import UsageError
from langmodels.models.unigram import UnigramModel
from langmodels.ngram import NGramModel, prune
from langmodels.ngram.counting import count_ngrams
from langmodels.teaching.calculation import FORMULAS, calculation
from langmodels.text.corpus import Corpus

SENTENCES = ("She looked at the heron .", "water water water zebra", "It")


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus.from_text(find_source("wonderland.txt").read()[:30_000], min_count=2)


@pytest.mark.filterwarnings("ignore::langmodels.ngram.discounts.SmoothingWarning")
@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("name", FORMULAS)
def test_figures_add_up_to_what_the_model_says(name: str, order: int, corpus: Corpus) -> None:
    model = make_model(name, order=order).fit(corpus)
    assert isinstance(model, NGramModel)
    counts = count_ngrams(corpus.ids, len(corpus.vocabulary), 4)
    for sentence in SENTENCES:
        tokens = [*model.tokenize(sentence), "</s>"]
        scores = model.token_scores(sentence)
        for i, (token, log_p) in enumerate(zip(tokens, scores, strict=True)):
            found = calculation(model, counts, tokens[:i], token)
            assert found.prob == pytest.approx(np.exp(log_p), rel=1e-5)
            assert found.orders[-1].order == min(order, i + 2)
            lower = found.uniform
            if len(found.orders) > 1:  # each line goes on from the one before
                for line in found.orders:
                    assert line.lower == pytest.approx(lower, rel=1e-12)
                    lower = line.prob


def test_lines_of_discounting_follow_from_their_counts(corpus: Corpus) -> None:
    model = NGramModel(3).fit(corpus)
    counts = count_ngrams(corpus.ids, len(corpus.vocabulary), 3)
    for line in calculation(model, counts, ["looked", "at"], "the").orders:
        assert line.count >= 1
        assert line.discount in model.discounts[line.order - 1]
        assert line.share == pytest.approx((line.count - line.discount) / line.total, rel=1e-6)


@pytest.mark.parametrize("smoothing", ["mle", "laplace", "lidstone"])
def test_unigrams_add_up_too(smoothing: str, corpus: Corpus) -> None:
    model = UnigramModel(smoothing=smoothing).fit(corpus)
    counts = count_ngrams(corpus.ids, len(corpus.vocabulary), 2)
    found = calculation(model, counts, ["looked", "at"], "the")
    assert found.prob == pytest.approx(model.prob("the"))
    assert [line.context for line in found.orders] == [()]


def test_models_of_other_counts_are_refused(corpus: Corpus) -> None:
    counts = count_ngrams(corpus.ids, len(corpus.vocabulary), 2)
    with pytest.raises(UsageError, match="all n-grams"):
        calculation(NGramModel(3).fit(corpus), counts, [], "the")
    with pytest.raises(UsageError, match="all n-grams"):
        calculation(NGramModel(2, min_counts=(1, 2)).fit(corpus), counts, [], "the")
    for smoothing in ("modified_kneser_ney", "jelinek_mercer", "katz"):
        model = NGramModel(2, smoothing).fit(corpus)
        rare = calculation(model, counts, ["looked"], "at")
        assert rare.prob == pytest.approx(model.prob("at", "looked"), rel=1e-5)
        with pytest.raises(UsageError, match="as they were fitted"):
            calculation(pickle.loads(pickle.dumps(model)), counts, ["looked"], "at")
        pruned = prune(model, max_ngrams=len(corpus.vocabulary))
        with pytest.raises(UsageError, match="as they were fitted"):
            calculation(pruned, counts, ["looked"], "at")
