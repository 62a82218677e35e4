"""Merging n-gram models into one, and adapting a model to a small text."""

import numpy as np
import pytest
from ngram_data import alice, held_out, sum_error, trained

from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.mixture import MixtureModel
from langmodels.ngram import NGramModel, adapt, merge
from langmodels.ngram.merging import in_vocabulary, union_vocabulary
from langmodels.ngram.trie import ngram_words
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.vocabulary import Vocabulary

pytestmark = pytest.mark.filterwarnings("ignore::langmodels.ngram.SmoothingWarning")


def lines(text: str) -> Corpus:
    return Corpus.from_text(text, make_tokenizer("word"))


@pytest.fixture(scope="module")
def halves() -> tuple[NGramModel, NGramModel]:
    """Models of two texts, with different vocabularies and orders."""
    text = alice()
    cut = int(text.offsets[text.n_sequences // 2])
    words = text.vocabulary.decode(text.ids.tolist())
    parts = []
    for ids in (words[:cut], words[cut:]):
        joined = " ".join(ids).replace("<s> ", "").replace("</s>", "\n")
        parts.append(Corpus.from_text(joined, make_tokenizer("whitespace")))
    return NGramModel(3).fit(parts[0]), NGramModel(4, "witten_bell").fit(parts[1])


@pytest.mark.parametrize("order", [2, 3])
def test_what_is_impossible_stays_impossible(order: int) -> None:
    """Relative frequencies give nothing to what was not seen, and rounding is not to either."""
    text = lines("a b c a b d\nb c a\nc c d a\nd a a b\n")
    model = NGramModel(order, "mle").fit(text)
    ids = np.random.default_rng(0).integers(3, 7, 200)
    held = Corpus.from_text(" ".join(text.vocabulary.decode(ids.tolist())), text.tokenizer)
    expected = model.score_corpus(in_vocabulary(held, text.vocabulary))
    assert np.isneginf(expected).any()
    for merged in (merge([model]), merge([model, model]), merge([model, trained(2)], [1, 0])):
        found = merged.score_corpus(in_vocabulary(held, merged.vocabulary))
        np.testing.assert_allclose(found, expected, atol=1e-5)
    with_smoothed = merge([model, NGramModel(2, "witten_bell").fit(text)])
    assert sum_error(with_smoothed, text) < 1e-5
    assert np.isfinite(with_smoothed.score_corpus(in_vocabulary(held, text.vocabulary))).all()


def test_stored_ngrams_have_the_interpolated_probability() -> None:
    one, two = trained(3), NGramModel(2, "witten_bell").fit(alice())
    merged = merge([one, two], [0.3, 0.7])
    mixture = MixtureModel([one, two], [0.3, 0.7])
    assert merged.ngram_counts == one.ngram_counts
    rng = np.random.default_rng(0)
    for k in (1, 2, 3):
        rows = ngram_words(merged.tables, k, slice(None))
        for i in rng.integers(0, len(rows), 40).tolist():
            row = rows[i].tolist()
            if row[-1] == 1:
                continue
            begins = row[0] == 1 and k > 1
            states = [m.start() if begins else () for m in (one, two)]
            for token in row[begins:-1]:
                states = [m.advance(s, token) for m, s in zip((one, two), states, strict=True)]
            expected = mixture.log_prob_next(tuple(states), row[-1])
            assert merged.tables.log_prob[k - 1][i] == pytest.approx(expected, abs=1e-4)
    assert sum_error(merged, held_out()) < 1e-5
    exact = mixture.perplexity(held_out())
    assert merged.perplexity(held_out()) == pytest.approx(exact, rel=0.02)


def test_one_model_and_weights_of_zero_change_nothing() -> None:
    model = trained(3)
    for merged in (merge([model]), merge([model, model]), merge([model, trained(2)], [1, 0])):
        scores = merged.score_corpus(held_out())
        assert scores == pytest.approx(model.score_corpus(held_out()), abs=1e-3)


def test_vocabularies_are_united(halves: tuple[NGramModel, NGramModel]) -> None:
    one, two = halves
    merged = merge(halves, [0.5, 0.5])
    assert set(merged.vocabulary.tokens) == {*one.vocabulary.tokens, *two.vocabulary.tokens}
    assert merged.order == 4
    text = in_vocabulary(held_out(), merged.vocabulary)
    assert sum_error(merged, text) < 1e-5
    new = next(t for t in two.vocabulary.tokens[3:] if t not in one.vocabulary)
    assert merged.tables.log_prob[0][merged.vocabulary.id(new)] == pytest.approx(
        np.log(0.5) + two.tables.log_prob[0][two.vocabulary.id(new)], abs=1e-5
    )


def test_weights_are_learnt_on_held_out_text(halves: tuple[NGramModel, NGramModel]) -> None:
    learnt = merge(halves, validation=held_out())
    text = in_vocabulary(held_out(), learnt.vocabulary)
    best = learnt.perplexity(text)
    (weights,) = learnt.fitted["weights"]
    assert sum(weights) == pytest.approx(1)
    for weight in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        assert best < merge(halves, [weight, 1 - weight]).perplexity(text) * 1.01
    assert best < min(m.perplexity(in_vocabulary(held_out(), m.vocabulary)) for m in halves)


def test_adapting_helps_on_the_small_texts_kind() -> None:
    small = lines("the otter swam .\nthe otter dived .\nan otter swam and dived .\n" * 5)
    test = lines("the otter dived and swam .\n")
    large = trained(3)
    adapted = adapt(large, small)
    assert "otter" in adapted.vocabulary
    assert sum_error(adapted, in_vocabulary(test, adapted.vocabulary)) < 1e-5
    new = adapted.perplexity(in_vocabulary(test, adapted.vocabulary))
    assert new < large.perplexity(in_vocabulary(test, large.vocabulary))
    # Still a model of the large text.
    old = in_vocabulary(held_out(), adapted.vocabulary)
    assert adapted.perplexity(old) < len(adapted.vocabulary)
    given = adapt(large, small, test)
    assert given.fitted["weights"][0][1] > 0.3


def test_streams_are_merged_and_adapted() -> None:
    tokenizer = make_tokenizer("char")
    one = NGramModel(3).fit(Corpus.from_text("the cat sat on the mat " * 9, tokenizer))
    text = Corpus.from_text("quite the contrary, said the cat; " * 9, tokenizer)
    adapted = adapt(one, text)
    assert not adapted.vocabulary.ends
    assert sum_error(adapted, in_vocabulary(text, adapted.vocabulary), 1) < 1e-5


def test_what_cannot_be_merged_is_refused() -> None:
    words, characters = (
        trained(2),
        NGramModel(2).fit(Corpus.from_text("ab", make_tokenizer("char"))),
    )
    with pytest.raises(UsageError, match="at least one"):
        merge([])
    with pytest.raises(UsageError, match="lines"):
        merge([words, characters])
    octets = NGramModel(2).fit(Corpus.from_text("ab", make_tokenizer("byte")))
    with pytest.raises(UsageError, match="different ways"):
        merge([characters, octets])
    with pytest.raises(UsageError, match="weights"):
        merge([words, words], [1.0])
    with pytest.raises(UsageError, match="line ends"):
        in_vocabulary(held_out(), characters.vocabulary)
    with pytest.raises(LangmodelsError, match="too small"):
        adapt(words, lines("otter\n"))


def test_union_vocabulary() -> None:
    one, two = Vocabulary(["a", "b"]), Vocabulary(["c", "b"])
    assert union_vocabulary([one, two]).tokens == ["<unk>", "<s>", "</s>", "a", "b", "c"]
    assert union_vocabulary([one, Vocabulary(["a", "b"])]) is one
