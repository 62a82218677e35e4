"""Surprisal of words: sums over tokens, and who pays for the blank between two words."""

import base64
import io
import itertools
import math
from typing import Any

import numpy as np
import pytest

from langmodels.errors import LangmodelsError, UsageError
from langmodels.evaluation import word_surprisals
from langmodels.registry import make_model
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer

TEXT = "the hen sat, and the heron sat;\nthe naïve heron ate the hen.\n" * 6


def fitted(level: str, name: str = "mkn:order=3", **options: Any) -> Any:
    return make_model(name).fit(Corpus.from_text(TEXT, make_tokenizer(level), **options))


@pytest.mark.parametrize("level", ["word", "whitespace", "char", "byte", "bpe:vocab=300"])
@pytest.mark.parametrize("blanks", ["after", "before"])
def test_words_are_those_of_the_text_and_sums_are_scores(level: str, blanks: str) -> None:
    if level.startswith("bpe"):
        pytest.importorskip("tokenizers")
    model = fitted(level)
    text = "  the naïve hen\u00a0sat;\n\nthe ostrich ate?\n"
    found = word_surprisals(model, text, blanks=blanks)
    words = [text[a:b] for a, b in zip(found.starts, found.ends, strict=True)]
    assert words == ["the", "naïve", "hen", "sat;", "the", "ostrich", "ate?"]
    total = -model.score_corpus(Corpus.read_by(model.reading, text)).sum() / math.log(2)
    assert found.bits.sum() + found.rest == pytest.approx(total)
    assert (found.rest > 0) == model.vocabulary.ends
    assert found.n_tokens.sum() == (found.word_of >= 0).sum()
    if level == "word":
        assert found.n_tokens.tolist() == [1, 1, 1, 2, 1, 1, 2]
        assert found.unknown.tolist() == [False] * 5 + [True, True]
        assert found.bits.tolist() == word_surprisals(model, text).bits.tolist()


def test_words_with_their_ends_are_alternatives_to_one_another() -> None:
    """All words that may stand somewhere have probability 1 together, as Oh and Schuler show."""
    model = make_model("mkn:order=3").fit(Corpus.from_text("ab a b aab ba " * 9, "char"))

    def strings(n: int) -> list[str]:  # c stands for all that is unknown
        return ["".join(letters) for letters in itertools.product("abc", repeat=n)]

    words = [word for n in range(1, 5) for word in strings(n)]
    before = model.score("ab ")
    others = model.prob(" ", context="ab ")  # two blanks: no word
    others += np.exp(model.score_many([f"ab {word}" for word in strings(5)]) - before).sum()
    sums = {
        blanks: sum(
            2.0 ** -float(word_surprisals(model, f"ab {word} a", blanks=blanks).bits[1])
            for word in words
        )
        for blanks in ("after", "before")
    }
    assert sums["after"] == pytest.approx(1 - others, abs=1e-6)
    assert sums["before"] != pytest.approx(1 - others, abs=0.1)


def test_pieces_of_sentencepiece() -> None:
    """Blanks are marks of pieces there, and a line's end ends a word, too."""
    sentencepiece = pytest.importorskip("sentencepiece")
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT.splitlines()), model_writer=file, vocab_size=300,
        byte_fallback=True, hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    data = base64.b64encode(file.getvalue()).decode()
    tokenizer = make_tokenizer("sentencepiece", model=data)
    model = make_model("mkn:order=2").fit(Corpus.from_text(TEXT, tokenizer))
    text = "the  heron 漢 sat,\nﬁne"
    for blanks in ("after", "before"):
        found = word_surprisals(model, text, blanks=blanks)
        words = [text[a:b] for a, b in zip(found.starts, found.ends, strict=True)]
        assert words == ["the", "heron", "漢", "sat,", "ﬁne"]
        pieces = [tokenizer.tokenize(word) for word in words]
        assert found.n_tokens.tolist() == list(map(len, pieces))
        total = -model.score_corpus(Corpus.read_by(model.reading, text)).sum() / math.log(2)
        assert found.bits.sum() + found.rest == pytest.approx(total)


def test_what_cannot_be_told_is_said() -> None:
    cleaned = make_model("mkn:order=2").fit(Corpus.from_text(TEXT, cleaning="punctuation"))
    assert len(word_surprisals(cleaned, "the hen – sat").bits) == 4
    with pytest.raises(LangmodelsError, match="cleaning 'punctuation'"):
        word_surprisals(cleaned, "the hen—sat")
    with pytest.raises(UsageError, match="after or before"):
        word_surprisals(cleaned, "the hen", blanks="never")
    marked = word_surprisals(cleaned, "<s> the hen </s>")
    assert marked.starts.tolist() == [4, 8]
    carried = word_surprisals(make_model("cache").fit(TEXT), "ostrich\nostrich", carry=True)
    assert carried.bits[1] < carried.bits[0]
