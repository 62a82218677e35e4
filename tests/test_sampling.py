"""Decoding, on a model whose distributions are known."""

import math
from itertools import pairwise, product
from typing import Any, Self

import numpy as np
import pytest

from langmodels.arrays import FloatArray
from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.decoding import Decoding, beam_search
from langmodels.text.corpus import Corpus
from langmodels.text.reading import Reading
from langmodels.text.tokenization import WhitespaceTokenizer
from langmodels.text.vocabulary import Vocabulary


class Bigram(LanguageModel[int]):
    """A hand-made table p[previous, next] over <unk>, <s>, </s>, a, b."""

    kind = "test-bigram"
    p = np.array(
        [
            [0.2, 0, 0.2, 0.3, 0.3],  # after <unk>
            [0.1, 0, 0.0, 0.6, 0.3],  # after <s>
            [0.2, 0, 0.2, 0.3, 0.3],
            [0.0, 0, 0.5, 0.2, 0.3],  # after a
            [0.0, 0, 0.1, 0.8, 0.1],  # after b
        ]
    )

    def __init__(self) -> None:
        self.reading = Reading(WhitespaceTokenizer(), Vocabulary(["a", "b"]))

    def fit(self, corpus: Corpus, validation: Corpus | None = None) -> Self:
        return self

    def start(self) -> int:
        return 1

    def advance(self, state: int, token: int) -> int:
        return token

    def log_distribution(self, state: int) -> FloatArray:
        with np.errstate(divide="ignore"):
            return np.log(self.p[state])

    n_parameters = 25  # type: ignore[assignment]

    def config(self) -> dict[str, Any]:
        return {}

    def arrays(self) -> dict[str, Any]:
        return {}

    @classmethod
    def restore(cls, *args: Any) -> Self:
        return cls()


MODEL = Bigram()
LOG_P = np.log(np.array([0.1, 1e-30, 0.2, 0.4, 0.3]))
LOG_P[1] = -np.inf


def test_plain_sampling_is_the_distribution_without_unk() -> None:
    p = Decoding().probabilities(LOG_P)
    assert p == pytest.approx([0, 0, 0.2 / 0.9, 0.4 / 0.9, 0.3 / 0.9])
    assert Decoding(unk=True).probabilities(LOG_P) == pytest.approx([0.1, 0, 0.2, 0.4, 0.3])


def test_temperature_raises_probabilities_to_its_inverse() -> None:
    squares = np.array([0, 0, 0.04, 0.16, 0.09])
    assert Decoding(0.5).probabilities(LOG_P) == pytest.approx(squares / squares.sum())
    assert Decoding(0).probabilities(LOG_P).tolist() == [0, 0, 0, 1, 0]
    assert Decoding(1e-3).probabilities(LOG_P)[3] == pytest.approx(1)


def test_top_k_and_nucleus() -> None:
    assert Decoding(top_k=2).probabilities(LOG_P) == pytest.approx([0, 0, 0, 4 / 7, 3 / 7])
    assert Decoding(top_k=99).plain is False
    # 0.4444 < 0.5 <= 0.7778: the smallest set that holds half has two tokens.
    assert Decoding(top_p=0.5).probabilities(LOG_P) == pytest.approx([0, 0, 0, 4 / 7, 3 / 7])
    assert Decoding(top_p=0.4).probabilities(LOG_P).tolist() == [0, 0, 0, 1, 0]


def test_unk_is_drawn_if_nothing_else_is_possible() -> None:
    log_p = np.full(4, -np.inf)
    log_p[0] = 0.0
    assert Decoding().probabilities(log_p).tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(
    "options", [{"temperature": -1}, {"temperature": math.nan}, {"top_k": 0}, {"top_p": 1.5}]
)
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Decoding(**options)


def test_frequencies_of_samples() -> None:
    rng = np.random.default_rng(0)
    decoding = Decoding(unk=True)
    drawn = np.bincount([decoding.choose(LOG_P, rng) for _ in range(20_000)], minlength=5)
    assert drawn / 20_000 == pytest.approx([0.1, 0, 0.2, 0.4, 0.3], abs=0.015)


def test_samples_stop_at_the_end() -> None:
    lengths = [len(MODEL.sample(seed=i, max_tokens=50)) for i in range(400)]
    assert max(lengths) < 50
    assert MODEL.sample("a", greedy=True) == []
    assert MODEL.sample("b", greedy=True, max_tokens=3) == ["a"]


def test_a_wide_beam_finds_what_enumeration_finds() -> None:
    def log_p(tokens: tuple[int, ...], ended: bool) -> float:
        path = [1, *tokens, *([2] if ended else [])]
        p = math.prod(MODEL.p[a, b] for a, b in pairwise(path))
        return math.log(p) if p else -math.inf

    for length in (1, 2, 3, 4):
        everything = [
            (t, log_p(t, ended))
            for n in range(length + 1)
            for t in product((3, 4), repeat=n)
            for ended in (True, False)
            if (n == length) != ended
        ]
        best = sorted(everything, key=lambda e: -e[1])[:3]
        found = beam_search(MODEL, MODEL.start(), width=40, max_tokens=length)[:3]
        best = [e for e in best if e[1] > -math.inf]
        assert [h.log_prob for h in found] == pytest.approx([p for _, p in best])
        assert found[0].ids == best[0][0]


def test_greedy_is_a_beam_of_one_step() -> None:
    (best,) = beam_search(MODEL, MODEL.start(), width=1, max_tokens=1)
    assert MODEL.vocabulary.decode(best.ids) == MODEL.sample(greedy=True, max_tokens=1) == ["a"]
    for width, length in ((0, 3), (3, 0)):
        with pytest.raises(UsageError):
            beam_search(MODEL, MODEL.start(), width=width, max_tokens=length)


def test_the_interface_of_a_hand_made_model() -> None:
    assert MODEL.prob("a") == pytest.approx(0.6)
    assert MODEL.prob("b", context="a") == pytest.approx(0.3)
    assert MODEL.score("a b") == pytest.approx(math.log(0.6 * 0.3 * 0.1))
    assert MODEL.score([3, 4]) == MODEL.score(["a", "b"]) == MODEL.score("a b")
    assert MODEL.token_scores("a b") == pytest.approx(np.log([0.6, 0.3, 0.1]))
    assert MODEL.predict("b", k=2)[0] == ("a", pytest.approx(0.8))
    assert MODEL.complete("b", max_tokens=1, width=1)[0] == (["a"], pytest.approx(math.log(0.8)))
    assert MODEL.sample_text(greedy=True) == "a"
