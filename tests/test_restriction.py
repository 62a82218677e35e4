"""N-gram models restricted to a word list, beside the sums that the definition asks for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ngram_data import alice, held_out, sum_error, trained

from langmodels.cli.main import main
from langmodels.errors import UsageError
from langmodels.ngram import NGramModel, prune, restrict
from langmodels.ngram.restriction import close
from langmodels.ngram.trie import ngram_words
from langmodels.registry import load

WORDS = ["the", "alice", "said", "rabbit", ",", ".", "white", "hatter", "was", "and", "spaceship"]


def contexts() -> list[list[str]]:
    """Some that are of the words kept, seen or not, and one with an unknown word."""
    return [
        [],
        ["the"],
        ["said", "the"],
        ["the", "hatter"],
        ["white", "rabbit", ","],
        ["zyx", "the"],
    ]


@pytest.mark.parametrize(
    "make",
    [
        lambda: trained(3),
        lambda: prune(trained(3), max_ngrams=6000),
        lambda: NGramModel(3, "witten_bell").fit(alice().head(9000)),
        lambda: NGramModel(1).fit(alice()),
    ],
    ids=["mkn", "pruned", "witten-bell", "unigrams"],
)
def test_words_keep_their_probabilities_and_unk_has_the_rest(make: Any) -> None:
    model = make()
    small = restrict(model, WORDS)
    assert sorted(small.vocabulary.tokens[3:]) == sorted(WORDS[:-1])
    ids = [model.vocabulary.id(token) for token in small.vocabulary.tokens]
    for context in contexts():
        before, after = model.distribution(context), small.distribution(context)
        assert after[1:] == pytest.approx(before[ids[1:]], rel=1e-4)
        assert after[0] == pytest.approx(1 - before[ids[1:]].sum(), rel=1e-4)
    assert small.is_distribution
    assert sum_error(small, held_out().recoded(small.vocabulary)) < 1e-5
    sentence = "the white rabbit said the hatter was white ."
    assert small.score(sentence) == pytest.approx(model.score(sentence), abs=1e-4)


def test_as_kenlms_filter_does() -> None:
    model = trained(3)
    small = restrict(model, WORDS, unnormalized=True)
    assert not small.is_distribution
    known = {*WORDS, "<unk>", "<s>", "</s>"}
    tokens = np.array(model.vocabulary.tokens, dtype=object)
    for k in range(1, 4):
        rows = tokens[ngram_words(model.tables, k, slice(None))].tolist()
        assert small.ngram_counts[k - 1] == sum(known.issuperset(row) for row in rows)
    sentence = "the white rabbit said alice"
    assert small.score(sentence) == pytest.approx(model.score(sentence), abs=1e-5)
    assert small.log_prob("zyx", "the") == pytest.approx(model.log_prob("zyx", "the"), abs=1e-5)


def test_a_closed_model_of_all_its_words_stays_closed() -> None:
    model = close(NGramModel(3, "witten_bell").fit(alice()))
    words = model.vocabulary.tokens[model.vocabulary.n_special :]
    same = restrict(model, words)
    assert same.log_prob("<unk>", "the") == -np.inf
    assert same.log_prob("<unk>", "off with her") == -np.inf
    np.testing.assert_allclose(same.score_corpus(alice()), model.score_corpus(alice()), atol=1e-5)
    assert np.isfinite(restrict(model, words[5:]).log_prob("<unk>", "the"))


def test_what_cannot_be_restricted() -> None:
    with pytest.raises(UsageError, match="knows none of the words"):
        restrict(trained(3), ["zyx", "<s>"])
    stupid = NGramModel(2, "stupid_backoff").fit(alice().head(500))
    with pytest.raises(UsageError, match="do not sum to one"):
        restrict(stupid, WORDS)


def test_contexts_never_seen_cost_as_much_as_before() -> None:
    stupid = NGramModel(3, "stupid_backoff").fit(alice().head(5000))
    small = restrict(stupid, WORDS, unnormalized=True)
    for sentence in ("the rabbit", "hatter said and alice was the rabbit"):
        want = stupid.token_scores(sentence)
        np.testing.assert_allclose(small.token_scores(sentence), want, atol=1e-5)
    assert small.normalized().distribution("hatter said").sum() == pytest.approx(1, abs=1e-5)


def test_the_command_restricts_a_model_to_a_list_of_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    trained(3).save_arpa("alice.arpa")
    Path("words.txt").write_text("\n".join(WORDS))
    listed = ["prune", "alice.arpa", "--vocabulary", "words.txt", "-o"]
    assert main([*listed, "small.arpa"]) == 0
    assert "11 words, 1 of them unknown to the model" in " ".join(capsys.readouterr().out.split())
    small = load("small.arpa")
    assert small.score("the rabbit") == pytest.approx(trained(3).score("the rabbit"), abs=1e-4)
    assert small.distribution("the").sum() == pytest.approx(1, abs=1e-5)
    assert main([*listed, "small.lm", "--unnormalized"]) == 0
    assert load("small.lm").distribution("the").sum() < 0.9
    assert main(["prune", "alice.arpa", "--threshold", "1e-6", "--unnormalized", "-o", "x.lm"]) == 2
    assert main([*listed, "words.txt"]) == 2
