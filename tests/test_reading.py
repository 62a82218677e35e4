"""Readings and sequences: one value for how text is read, one for many sequences."""

import math
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import langmodels
from langmodels.errors import LangmodelsError, UsageError
from langmodels.evaluation.surprisal import word_surprisals
from langmodels.models.cache import CacheModel
from langmodels.models.mixture import MixtureModel
from langmodels.models.texts import score_column, score_documents, score_texts
from langmodels.models.unigram import UnigramModel
from langmodels.neural import DynamicModel, LSTMModel
from langmodels.ngram import NGramModel
from langmodels.teaching.chain_rule import chain_rule
from langmodels.text.cleaning import CLEANINGS
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.lines import LineEndWarning
from langmodels.text.reading import Reading
from langmodels.text.sequences import Sequences
from langmodels.text.splits import Splits
from langmodels.text.vocabulary import Vocabulary
from langmodels.text.words import WordTokenizer

TALE = "The Heron stood\nthe fox ran\n\nThe hen saw the fox\n"


def corpus_of(text: Any = TALE, level: str = "word", **options: Any) -> Corpus:
    return Corpus.from_text(text, make_tokenizer(level), **options)


def test_a_reading_is_one_value() -> None:
    corpus = corpus_of(cleaning="lower")
    again = Reading.restore(corpus.reading.metadata(), corpus.reading.arrays())
    assert again == corpus.reading
    assert again != corpus_of().reading
    assert again.encode("The HERON").tolist() == corpus.reading.encode("the heron").tolist()
    assert again.decode(again.encode("the fox")) == ["the", "fox"]
    assert Corpus.read_by(again, TALE).ids.tolist() == corpus.ids.tolist()


@pytest.mark.parametrize("make", [
    lambda base: base,
    lambda base: MixtureModel([base, UnigramModel()]),
    lambda base: CacheModel(base),
    lambda base: DynamicModel(LSTMModel(hidden=4, epochs=1)),
])  # fmt: skip
def test_saved_parts_keep_their_cleaning(make: Any, tmp_path: Path) -> None:
    model = make(NGramModel(order=2, smoothing="witten_bell"))
    model.fit(corpus_of(cleaning="lower"))
    model.save(tmp_path / "m.lm")
    loaded = langmodels.load(tmp_path / "m.lm")
    for one, other in zip(parts_of(model), parts_of(loaded), strict=True):
        assert other.reading == one.reading
        assert other.score("The Heron") == one.score("The Heron") == other.score("the heron")


def parts_of(model: Any) -> list[Any]:
    base = [model.base] if hasattr(model, "base") else []
    return [model, *getattr(model, "models", base)]


def test_texts_come_in_many_ways(tmp_path: Path) -> None:
    """Strings, lists of lines, streams of pieces and paths are one text."""
    path = tmp_path / "tale.txt"
    path.write_text(TALE, encoding="utf-8")
    whole = Corpus.from_text(TALE)
    lines = TALE.splitlines()
    pieces = iter([TALE[:9], TALE[9:]])
    for text in (lines, tuple(lines), TALE.splitlines(keepends=True), pieces, path):
        corpus = Corpus.from_text(text, "word")
        assert corpus.ids.tolist() == whole.ids.tolist()
        assert corpus.n_sequences == 3
    assert Splits.from_text(["a b c"] * 30, "word").train.n_sequences == 24
    with pytest.raises(LangmodelsError, match=r"nowhere\.txt"):
        Corpus.from_text(tmp_path / "nowhere.txt")
    with pytest.raises(UsageError, match="not 3"):
        Corpus.from_text(3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="strings"):
        Corpus.from_text([1, 2])  # type: ignore[list-item]


def test_columns_are_lines_and_what_names_a_text_is_none(tmp_path: Path) -> None:
    """A string that is a path says nothing of what is in the file; a frame yields its columns."""
    whole = Corpus.from_text(TALE)
    column = np.array(TALE.splitlines(), dtype=object)
    for text in (column, deque(column)):
        assert Corpus.from_text(text).ids.tolist() == whole.ids.tolist()
    path = tmp_path / "tale.txt"
    path.write_text(TALE, encoding="utf-8")
    for model in (UnigramModel(), NGramModel(order=2, smoothing="witten_bell")):
        with pytest.raises(UsageError, match=r"pathlib\.Path"):
            model.fit(str(path))
    assert Corpus.from_text([str(path)], "whitespace").n_tokens == 2
    assert Corpus.from_text("x" * 300).n_tokens == 2
    with pytest.raises(UsageError, match="not a dict"):
        Corpus.from_text({"the fox": "ran"})
    with pytest.raises(UsageError, match="not a SimpleNamespace"):
        Corpus.from_text(SimpleNamespace(columns=["text"]))  # type: ignore[arg-type]


def test_models_are_fitted_to_plain_text() -> None:
    plain = NGramModel(order=2, smoothing="witten_bell").fit(TALE)
    corpus = NGramModel(order=2, smoothing="witten_bell").fit(corpus_of())
    assert plain.score("the fox ran") == corpus.score("the fox ran")
    assert LSTMModel(hidden=4, epochs=1).fit(TALE, "the hen ran").is_fitted


def test_sentences_are_no_tokens() -> None:
    """What is several tokens is refused as one, so that no sentence becomes an unknown word."""
    words = NGramModel(order=2, smoothing="witten_bell").fit(TALE)
    with pytest.raises(UsageError, match="score_many"):
        words.score(["the fox ran", "the hen ran"])
    letters = UnigramModel().fit(corpus_of(level="char"))
    with pytest.raises(UsageError, match="score_many"):
        letters.score(["fox", "hen"])
    assert words.score(["the", "don't", "mr.", "fox"]) < 0  # words that another tokenizer cut
    with pytest.raises(UsageError, match="put it in a list"):
        words.score_many("the fox")


@pytest.mark.parametrize("level", ["word", "whitespace", "char", "symbols"])
def test_many_sequences_are_scored_as_one_at_a_time(level: str) -> None:
    model = NGramModel(order=3, smoothing="witten_bell").fit(corpus_of(level=level))
    texts = ["the fox ran", "", "  ", "The unicorn saw the hen", "<s> x </s>", "a\u2028b\x0cc\rd"]
    many = model.score_many(texts)
    assert many.tolist() == [model.score(text) for text in texts]
    tokens = [model.tokenize(text) for text in texts]
    assert model.score_many(tokens[:4]).tolist() == many[:4].tolist()
    assert model.score_many([]).shape == (0,)
    assert model.score_many(["the fox", "the\nfox"]).tolist() == [
        model.score("the fox"),
        model.score("the\nfox"),
    ]


def test_unknown_tokens_are_kept() -> None:
    reading = corpus_of().reading
    for text in ("the wolf saw a fox", ["the wolf saw", "a fox"]):
        assert Corpus.read_by(reading, text).unknown == ["wolf", "a"]
    assert reading.sequences(["the wolf", "", "a"], unknown=True).unknown == ["wolf", "a"]
    assert corpus_of("a a b c c d", min_count=2).unknown == ["b", "d"]
    long = "the wolf saw a fox\n" * 10_000
    spaced = corpus_of(level="whitespace").reading
    assert Corpus.read_by(spaced, long).unknown == ["wolf", "a"] * 10_000


def test_sequences_in_one_array() -> None:
    vocabulary = Vocabulary(["a", "b"])
    inside = [np.array([3, 4], np.int32), np.array([], np.int32), np.array([4], np.int32)]
    sequences = Sequences.bounded(inside, vocabulary)
    assert sequences.ids.tolist() == [1, 3, 4, 2, 1, 2, 1, 4, 2]
    assert sequences.offsets.tolist() == [0, 4, 6, 9]
    assert sequences.targets.tolist() == [3, 4, 2, 2, 4, 2]
    assert sequences.lengths.tolist() == [3, 1, 2]
    assert [ids.tolist() for ids in sequences.whole()] == [[1, 3, 4, 2], [1, 2], [1, 4, 2]]
    assert sequences.sums(np.arange(6.0)).tolist() == [3, 3, 9]
    rows = Sequences.rows(np.array([[1, 3, 2], [1, 4, 2]]))
    assert rows.n_sequences == 2
    assert rows.targets.tolist() == [3, 2, 4, 2]


def test_state_is_carried_over_a_document() -> None:
    corpus = corpus_of("the fox\nthe hen ran\nfox\n")
    assert [(i.tolist(), t.tolist()) for i, t in corpus.streams()] == [
        (ids[:-1].tolist(), ids[1:].tolist()) for ids in corpus.whole()
    ]
    carried = corpus.carried()
    ((inputs, targets),) = carried.streams()
    assert targets.tolist() == corpus.targets.tolist()
    tokens = corpus.vocabulary.decode(inputs)
    assert tokens == ["<s>", "the", "fox", "<s>", "the", "hen", "ran", "<s>", "fox"]
    assert np.flatnonzero(carried.begins_afresh).tolist() == [0]
    assert carried.head(4).carry
    for make in (LSTMModel(hidden=4, epochs=1, seed=1), CacheModel(UnigramModel())):
        model: Any = make.fit(corpus)
        together, apart = model.score_corpus(carried), model.score_corpus(corpus)
        assert together[:3] == pytest.approx(apart[:3])
        assert np.abs(together[3:] - apart[3:]).max() > 1e-4


@pytest.mark.parametrize("level", ["char", "byte", "word", "whitespace", "symbols:width=3"])
def test_a_text_given_whole_is_read_piece_by_piece(
    level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "the cat sat on the mat.\nA dög and a cat ran\n\nto the mat\n" * 9
    tokenizer = make_tokenizer(level)
    whole = Corpus.from_text(text, tokenizer)
    longest = 0

    def noted(piece: str) -> tuple[str, int]:
        nonlocal longest
        longest = max(longest, len(piece))
        return piece, 0

    monkeypatch.setattr("langmodels.text.indexing._AT_ONCE", 64)
    monkeypatch.setattr(type(tokenizer), "without_marks", lambda _, piece: noted(piece))
    found = Corpus.from_text(text, tokenizer)
    assert found.ids.tolist() == whole.ids.tolist()
    assert found.vocabulary == whole.vocabulary
    assert 0 < longest <= 128
    counts = np.bincount(found.ids, minlength=len(found.vocabulary))
    monkeypatch.setattr("langmodels.arrays._COUNTED", 7)
    assert found.id_counts().tolist() == counts.tolist()


def test_a_pattern_is_not_blamed_for_a_busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = WordTokenizer(pattern=r"\w+")
    late = iter([True, True, False])

    def findall(text: str, timeout: float) -> list[str]:
        if next(late):
            raise TimeoutError
        return text.split()

    monkeypatch.setattr(tokenizer, "_word", SimpleNamespace(findall=findall))
    assert tokenizer.tokenize("red fox") == ["red", "fox"]


def test_cleaning_comes_before_marks_are_looked_for() -> None:
    """In many lines together, one by one, and in a corpus: capitals may hide a mark."""
    text = "<S> a hen </S>\na fox\n"
    corpus = Corpus.from_text(text, "word", cleaning="lower")
    assert corpus.ids.tolist() == corpus.reading.lines([text.rstrip("\n")])[0].ids.tolist()
    one_by_one = [corpus.reading.encode(line).tolist() for line in text.splitlines()]
    assert [ids.tolist() for ids in corpus.sequences()] == one_by_one
    assert corpus.n_oov == 0


@pytest.mark.parametrize(
    "ask",
    [
        lambda model, text: model.score(text),
        lambda model, text: model.score_many(["fox", text]),
        lambda model, text: model.prob("f", context=text),
        lambda model, text: model.predict(text),
        chain_rule,
    ],
)
def test_lines_that_are_one_sequence_are_noticed(
    ask: Callable[[NGramModel, str], object], recwarn: pytest.WarningsRecorder
) -> None:
    """What is several sequences in a corpus is never one without a word."""
    model = NGramModel(order=2, smoothing="witten_bell").fit(corpus_of(level="word"))
    letters = NGramModel(order=2, smoothing="witten_bell").fit(corpus_of(level="char"))
    with pytest.warns(LineEndWarning, match="one sequence with one end"):
        ask(model, "the fox\nran")
    recwarn.clear()
    ask(model, "the fox ran\n")
    ask(letters, "the fox\nran")
    score_texts(model, ["the fox\nran"])
    Corpus.read_by(model.reading, "the fox\nran")
    joining = NGramModel(order=2, smoothing="witten_bell").fit(corpus_of(cleaning="article"))
    ask(joining, "the fox\nran")
    assert not recwarn.list


@pytest.mark.parametrize("cleaning", CLEANINGS)
@pytest.mark.parametrize(
    "level",
    [
        "word",
        "whitespace",
        "char",
        "byte:lines=true",
        "symbols",
        "bpe:vocab=280",
        "unigram:vocab=280",
    ],
)
def test_a_document_costs_what_a_corpus_of_it_costs(level: str, cleaning: str) -> None:
    """Whoever scores documents, and however many come together."""
    if level.startswith(("bpe", "unigram")):
        pytest.importorskip("tokenizers")
    model = NGramModel(order=2, smoothing="witten_bell").fit(
        corpus_of(f"{TALE}A CAFÉ of 12 foxes\n" * 9, level, cleaning=cleaning)
    )
    texts = ["The Hen\nran\n\n  the fox", "the fox\r\nsat 3 ﬁne\n", "a\x0c Cafe\u0301\n", "\n", ""]
    scores = score_texts(model, texts)
    corpora = [Corpus.read_by(model.reading, text) for text in texts[:3]]
    assert scores.tokens.tolist() == [*(corpus.n_tokens for corpus in corpora), *scores.tokens[3:]]
    assert scores.oov.tolist()[:3] == [corpus.n_oov for corpus in corpora]
    costs = [model.score_corpus(corpus).sum() for corpus in corpora]
    assert scores.log_prob[:3] == pytest.approx(costs)
    assert [score.log_prob for score in score_documents(texts, model)] == pytest.approx(
        scores.log_prob
    )
    assert score_column(texts, model, "log_prob")[:3] == pytest.approx(costs)
    words = word_surprisals(model, texts[0])
    assert words.bits.sum() + words.rest == pytest.approx(costs[0] / -math.log(2))


def test_a_stream_of_lines_that_runs_together_is_noticed(recwarn: pytest.WarningsRecorder) -> None:
    """A stream is a text cut anywhere; whoever strips its lines has one long line."""
    lines = ["the fox ran", "the hen sat"]
    with pytest.warns(LineEndWarning, match="these 2 hold no line end"):
        assert Corpus.from_text(line for line in lines).n_sequences == 1
    recwarn.clear()
    for text in (lines, iter(["the fo", "x ran\nthe hen", " sat"]), iter(lines[:1])):
        Corpus.from_text(text)
    assert not recwarn.list


@given(st.lists(st.lists(st.floats(-9, 0), max_size=5), max_size=8))
def test_sums_are_those_of_each_sequence_and_zero_for_empty_ones(values: list[list[float]]) -> None:
    stream = Vocabulary(["a"], ends=False)
    sequences = Sequences.bounded((np.full(len(some), 3, np.int32) for some in values), stream)
    sums = sequences.sums(np.array([value for some in values for value in some]))
    assert sums.tolist() == pytest.approx([math.fsum(some) for some in values])
