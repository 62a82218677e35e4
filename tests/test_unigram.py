"""The unigram model against counts made by hand."""

import math

import numpy as np
import pytest

from langmodels.errors import UsageError
from langmodels.models.unigram import UnigramModel
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer

TEXT = "a rose is a rose\nis a rose\n"  # a 3, rose 3, is 2, </s> 2: 10 tokens of 5 types and <unk>


@pytest.fixture
def train() -> Corpus:
    return Corpus.from_text(TEXT, make_tokenizer("word"))


def test_maximum_likelihood_is_the_relative_frequency(train: Corpus) -> None:
    model = UnigramModel(alpha=0).fit(train)
    assert model.prob("rose") == pytest.approx(0.3)
    assert model.prob("rose", "is a") == pytest.approx(0.3)
    assert model.prob("violet") == 0
    assert model.score("a rose") == pytest.approx(math.log(0.3 * 0.3 * 0.2))
    entropy = -(2 * 0.3 * math.log(0.3) + 2 * 0.2 * math.log(0.2))
    assert model.cross_entropy(train) == pytest.approx(entropy)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 3.0])
def test_additive_smoothing_is_that_worked_out_by_hand(train: Corpus, alpha: float) -> None:
    model = UnigramModel(alpha).fit(train)
    assert model.prob("is") == pytest.approx((2 + alpha) / (10 + 5 * alpha))
    assert model.prob("violet") == pytest.approx(alpha / (10 + 5 * alpha))
    p = model.distribution("a")
    assert p.sum() == pytest.approx(1)
    assert p[train.vocabulary.bos_id] == 0


def test_the_default_gives_unknown_tokens_some_probability(train: Corpus) -> None:
    other = Corpus.from_text("a violet\n", train.tokenizer, vocabulary=train.vocabulary)
    assert np.isfinite(UnigramModel().fit(train).perplexity(other))
    assert UnigramModel(alpha=0).fit(train).perplexity(other) == math.inf


def test_streams_have_no_end() -> None:
    stream = Corpus.from_text("abab", make_tokenizer("char"))
    model = UnigramModel(alpha=0).fit(stream)
    assert model.distribution() == pytest.approx([0, 0, 0.5, 0.5])
    assert model.context_length == 0
    assert model.context_used("ab") == 0


def test_saved_and_loaded_exactly(train: Corpus, tmp_path: object) -> None:
    model = UnigramModel(0.5).fit(train)
    model.save(f"{tmp_path}/model")
    loaded = UnigramModel.load(f"{tmp_path}/model")
    assert loaded.alpha == 0.5
    assert np.array_equal(loaded.score_corpus(train), model.score_corpus(train))


@pytest.mark.parametrize(
    ("options", "smoothing", "alpha"),
    [
        ({}, "laplace", 1.0),
        ({"smoothing": "mle"}, "mle", 0.0),
        ({"smoothing": "lidstone"}, "lidstone", 0.1),
        ({"smoothing": "lidstone", "alpha": 1.0}, "lidstone", 1.0),
        ({"alpha": 0}, "mle", 0.0),
        ({"alpha": 0.5}, "lidstone", 0.5),
    ],
)
def test_the_smoothing_has_a_name(
    train: Corpus, options: dict[str, object], smoothing: str, alpha: float
) -> None:
    model = UnigramModel(**options).fit(train)  # type: ignore[arg-type]
    assert (model.smoothing, model.alpha) == (smoothing, alpha)
    assert model.config() == {"smoothing": smoothing, "alpha": alpha}


@pytest.mark.parametrize("options", [{"smoothing": "katz"}, {"smoothing": "mle", "alpha": 0.5}])
def test_a_smoothing_that_cannot_be(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"laplace|alpha"):
        UnigramModel(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("alpha", [-1, math.inf, math.nan])
def test_wrong_alpha(alpha: float) -> None:
    with pytest.raises(UsageError, match="alpha"):
        UnigramModel(alpha)


def test_counts_whose_sum_would_be_infinite_are_not_added() -> None:
    with pytest.raises(UsageError, match="from 0 to 1e100"):
        UnigramModel(alpha=1e308)
    assert UnigramModel(alpha=1e100).fit("a rose is a rose").prob("rose") == pytest.approx(0.2)
