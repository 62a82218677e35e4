"""Explanations as data."""

import math

import numpy as np
import pytest

from langmodels.errors import UsageError
from langmodels.fullcontext import FullContextModel
from langmodels.models.unigram import UnigramModel
from langmodels.ngram import NGramModel
from langmodels.teaching import chain_rule, predict_next
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer

TEXT = "a rose is a rose\na rose is red\nthe rose is a flower\n"


def corpus(level: str = "word") -> Corpus:
    return Corpus.from_text(TEXT, make_tokenizer(level))


def test_chain_rule_of_relative_frequencies() -> None:
    model = NGramModel(order=2, smoothing="mle").fit(corpus())
    chain = chain_rule(model, "a rose is red", "bigram")
    # Counts in the text: <s> a 2 of 3; a rose 3 of 4... each bigram over its first word.
    expected = [2 / 3, 3 / 4, 3 / 4, 1 / 3, 1 / 1]
    assert [step.prob for step in chain.steps] == pytest.approx(expected)
    assert math.exp(chain.log_prob) == pytest.approx(math.prod(expected))
    assert [step.used for step in chain.steps] == [("<s>",), ("a",), ("rose",), ("is",), ("red",)]
    assert chain.perplexity == pytest.approx(math.prod(expected) ** (-1 / 5))
    assert chain.tokens == ("a", "rose", "is", "red", "</s>")
    running = [math.prod(expected[: i + 1]) for i in range(5)]
    assert [math.exp(step.running) for step in chain.steps] == pytest.approx(running)


def test_the_context_that_each_model_uses() -> None:
    text = corpus()
    unigram = chain_rule(UnigramModel().fit(text), "a rose is red")
    assert {step.used for step in unigram.steps} == {()}
    trigram = chain_rule(NGramModel(order=3).fit(text), "a rose is red")
    assert trigram.steps[1].used == ("<s>", "a")
    assert trigram.steps[3].used == ("rose", "is")
    # Never seen as a context: the model falls back to what it has seen.
    unseen = chain_rule(NGramModel(order=3).fit(text), "red tulip a rose")
    assert unseen.steps[2].used == ()
    assert unseen.steps[3].used == ("a",)
    whole = chain_rule(FullContextModel().fit(text), "a rose is red")
    assert whole.steps[3].used == ("<s>", "a", "rose", "is")


def test_every_step_is_the_model_s_own_probability() -> None:
    for level in ("word", "char"):
        model = NGramModel(order=3).fit(corpus(level))
        chain = chain_rule(model, "the rose")
        for step in chain.steps:
            assert step.prob == pytest.approx(model.prob(step.token, list(step.context)), rel=1e-5)
        assert chain.log_prob == pytest.approx(model.score("the rose"))
        assert chain.separator == (" " if level == "word" else "")
        assert len(chain.steps) == (3 if level == "word" else 8)


def test_records_are_plain_data() -> None:
    chain = chain_rule(NGramModel(order=2).fit(corpus()), "a tulip", "bigram")
    records = chain.records()
    assert records["model"] == "bigram"
    assert [s["known"] for s in records["steps"]] == [True, False, True]
    assert records["steps"][1]["running"] == pytest.approx(
        records["steps"][0]["log_prob"] + records["steps"][1]["log_prob"]
    )


def test_predictions_have_ranks_and_name_unknown_words() -> None:
    model = NGramModel(order=2, smoothing="mle").fit(corpus())
    found = predict_next(model, "a", k=2)
    assert [(c.rank, c.token) for c in found.candidates] == [(1, "rose"), (2, "flower")]
    even = NGramModel(order=2, smoothing="mle").fit(["a b", "a c", "a d", "a d"])
    tied = predict_next(even, "a", 4, "c")  # b and c are as probable as each other
    assert [(c.rank, c.token) for c in tied.candidates[:3]] == [(1, "d"), (2, "b"), (2, "c")]
    assert tied.candidates[3].rank == 4
    assert tied.asked == tied.candidates[2]
    assert [c.prob for c in found.candidates] == pytest.approx([3 / 4, 1 / 4])
    entropy = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25))
    assert found.entropy == pytest.approx(entropy)
    assert found.used == ("a",)
    assert found.asked is None


def test_scores_are_no_probabilities_and_their_entropy_is_that_of_their_shares() -> None:
    model = NGramModel(order=3, smoothing="stupid_backoff").fit(corpus())
    found = predict_next(model, "a rose", k=3)
    scores = np.exp(model.log_distribution(model.state("a rose")))
    p = scores / scores.sum()
    assert scores.sum() > 1.1
    assert not found.is_distribution
    assert found.candidates[0].prob == pytest.approx(scores.max())
    assert found.entropy == pytest.approx(-(p[p > 0] * np.log2(p[p > 0])).sum())
    assert "p(x" not in found._repr_html_()
    warm = predict_next(model, "a rose", k=3, temperature=2)
    assert warm.is_distribution
    assert warm.candidates[0].prob == pytest.approx(np.sqrt(p).max() / np.sqrt(p).sum())


def test_what_is_certain_has_no_entropy_and_no_sign() -> None:
    model = NGramModel(2, "mle").fit(Corpus.from_text("red fox\nred fox", make_tokenizer("word")))
    assert f"{predict_next(model, 'red').entropy:.2f}" == "0.00"


def test_what_is_said_of_relative_frequencies_after_an_unseen_context() -> None:
    model = NGramModel(order=3, smoothing="mle").fit(corpus())
    assert not chain_rule(model, "a rose is red").note
    assert "0/0" in chain_rule(model, "red rose").note
    assert not predict_next(model, "a rose").note
    found = predict_next(model, "red rose", k=100)
    assert "0/0" in found.note
    assert found.used == ()
    assert [c.prob for c in found.candidates] == pytest.approx([1 / 8] * 8, abs=1e-6)
    backing_off = NGramModel(3, "mle", backoff=True).fit(corpus())
    assert "longest end" in predict_next(backing_off, "red rose").note


def test_each_step_goes_on_from_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    text, many = corpus("char"), "a rose is a flower is a tulip"
    for model in (NGramModel(3).fit(text), FullContextModel().fit(text), UnigramModel().fit(text)):
        used = [model.context_used(many[:i]) for i in range(len(many))]
        monkeypatch.setattr(model, "state", lambda context: 1 / 0)  # would begin anew every time
        steps = chain_rule(model, many).steps
        assert [len([t for t in s.used if t != "<s>"]) for s in steps][: len(many)] == used


def test_the_rank_of_a_token_that_is_asked_for() -> None:
    model = UnigramModel().fit(corpus())
    found = predict_next(model, "tulip a", k=1, token="flower")
    assert found.asked is not None
    assert found.asked.prob == pytest.approx(model.prob("flower"))
    ranked = [token for token, _ in model.predict(k=100)]
    assert model.prob(ranked[found.asked.rank - 1]) == pytest.approx(found.asked.prob)
    assert found.unknown == ("tulip",)
    assert found.used == ()


def test_empty_texts_and_bad_tokens_are_refused() -> None:
    model = UnigramModel().fit(corpus())
    for call in (
        lambda: chain_rule(model, ""),
        lambda: chain_rule(model, " \n"),
        lambda: predict_next(model, k=0),
        lambda: predict_next(model, token="a rose"),
        lambda: predict_next(model, token="<s>"),
    ):
        with pytest.raises(UsageError):
            call()
