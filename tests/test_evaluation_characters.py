"""Bits per character: nothing of the text may go unpaid, and nothing be paid twice."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import langmodels
from langmodels.errors import LangmodelsError
from langmodels.evaluation.alignment import Strings, align
from langmodels.evaluation.characters import CODE_POINTS, Speller, text_costs
from langmodels.evaluation.comparison import compare
from langmodels.evaluation.measuring import Plan
from langmodels.models.unigram import UnigramModel
from langmodels.text.corpus import Corpus
from langmodels.text.levels import TOKENIZERS as LEVELS
from langmodels.text.levels import make_tokenizer
from langmodels.text.splits import Splits
from langmodels.text.tokenization import SymbolTokenizer, Tokenizer, WhitespaceTokenizer
from langmodels.text.words import WordTokenizer

TRAIN = 'The cat sat.\n\n"Oh dear," said the cat. A dog sat on the cat\n' * 20
TOKENIZERS = [
    WordTokenizer(),
    WordTokenizer(lower=True),
    WordTokenizer(pattern=r"[a-z]+"),
    WhitespaceTokenizer(),
    SymbolTokenizer(),
    SymbolTokenizer(2),
]


def splits(tokenizer: Tokenizer, test: str, train: str = TRAIN) -> Splits:
    return Splits.from_parts((train, train, test), tokenizer)


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=repr)
@given(text=st.text("aBc .\n\"é'1\t", min_size=1, max_size=60))
@settings(max_examples=60)
def test_alignment_gives_back_the_text(tokenizer: Tokenizer, text: str) -> None:
    if isinstance(tokenizer, SymbolTokenizer) and tokenizer.width == 2:
        text = text.replace(" ", "").replace("\n", "").replace("\t", "")
    found = align(text, tokenizer)
    gaps = dict(zip(found.with_gap.tolist(), found.gaps, strict=True))
    again = found.lead
    for i, surface in enumerate(found.surfaces):
        again += gaps.get(i, "") + surface
        assert found.ends[i] == len(again)
    assert again + found.tail == text
    assert found.is_end.any() == (tokenizer.ends and len(found.tokens) > 0)
    if found.is_end.any():
        assert found.tail == ""
        assert found.ends[-1] == len(text)
    if len(found.tokens):  # the targets are those of the corpus
        expected = Corpus.from_text(text, tokenizer)
        ids = expected.vocabulary.encode(list(found.tokens))
        ids[found.is_end] = expected.vocabulary.id("</s>")
        assert ids.tolist() == expected.targets.tolist()


@pytest.mark.parametrize("level", ["word", "whitespace", "symbols", "char", "byte"])
def test_every_target_has_one_cost(level: str) -> None:
    parts = splits(make_tokenizer(level), 'The dog  sat.\n"Zebras, " said\n\n\nthe cat é')
    costs = text_costs(parts)
    assert len(costs.ends) == len(costs.extra) == parts.test.n_tokens
    assert (np.diff(costs.ends) >= 0).all()
    assert costs.ends[-1] == len(parts.test.text or "")
    assert (costs.extra >= 0).all()
    assert costs.extra.sum() == pytest.approx(sum(costs.parts.values()))


def test_an_unknown_word_pays_for_its_letters() -> None:
    test = "The cat sat.\nThe dax sat.\nThe zqxjkvzqxjkv sat.\n"
    costs = text_costs(splits(WordTokenizer(), test))
    # Targets: 5 a line, the unknown words are 1, 6 and 11 (the first is known).
    assert costs.parts["spelling"] > 0
    known, short, long = costs.extra[[1, 6, 11]]
    assert known < 0.2 < short < long
    assert long > 12 * math.log(10)  # twelve letters that are rare or unheard of


def test_regular_spacing_is_almost_free_and_a_surprise_is_not() -> None:
    usual = text_costs(
        splits(WordTokenizer(), 'The cat sat.\n\n"Oh dear," said the cat. A dog sat on the cat\n')
    )
    odd = text_costs(
        splits(
            WordTokenizer(), 'The  cat sat .\n\n" Oh dear , " said the cat. A dog sat on the cat\n'
        )
    )
    assert usual.parts["spacing"] < 3
    assert odd.parts["spacing"] > usual.parts["spacing"] + 10


def test_lower_casing_pays_for_capitals() -> None:
    tokenizer = WordTokenizer(lower=True)
    usual = text_costs(splits(tokenizer, "The cat sat.\nThe dog sat.\n"))
    odd = text_costs(splits(tokenizer, "THE cAt sat.\nThe dog Sat.\n"))
    assert 0 < usual.parts["capitals"] < odd.parts["capitals"]
    assert "capitals" not in text_costs(splits(WordTokenizer(), "The cat")).parts


def test_unseen_symbols_of_streams_are_chosen_from_all_there_are() -> None:
    train = "abab"
    chars = text_costs(splits(make_tokenizer("char"), "aé", train))
    assert chars.extra.tolist() == pytest.approx([0, math.log(CODE_POINTS - 2)])
    data = text_costs(splits(make_tokenizer("byte"), "éa", train))
    assert data.extra.tolist() == pytest.approx([math.log(254), math.log(254), 0])
    assert data.ends.tolist() == [1, 1, 2]


def test_spelling_is_a_distribution_over_strings() -> None:
    speller = Speller(["ab", "ba", "abba", " "])
    letters = ["a", "b", " "]
    strings = [""]
    total = 0.0
    for _ in range(7):
        strings = [s + c for s in strings for c in letters]
        total += float(np.exp(-speller.costs(Strings.of(strings))).sum())
    assert 0.5 < total < 1


def test_boundary_marks_in_the_text_are_aligned() -> None:
    test = "the <s> cat </s> sat\n<unk> the\n"
    for tokenizer in (WhitespaceTokenizer(), WordTokenizer(lower=True, pattern=r"\S+")):
        costs = text_costs(splits(tokenizer, test, "the <s> cat\nthe cat sat\n" * 3))
        assert np.isfinite(costs.extra).all()
        assert costs.ends[-1] == len(test)


def test_tokens_that_are_not_in_the_text_are_refused() -> None:
    parts = splits(WordTokenizer(lower=True), "İstanbul sat")
    with pytest.raises(LangmodelsError, match="occur in the text"):
        text_costs(parts)


class PairTokenizer(Tokenizer):
    """Two characters a token, and nothing lost: one class, and one line in the registry."""

    level = "pairs"
    reversible = True

    def tokenize(self, text: str) -> Sequence[str]:
        return [text[i : i + 2] for i in range(0, len(text), 2)]

    def detokenize(self, tokens: Iterable[str]) -> str:
        return "".join(tokens)

    def safe_cut(self, text: str) -> int:
        return len(text) // 2 * 2


def test_levels_of_one_and_of_several_characters_compare(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    LEVELS.register("pairs", PairTokenizer)
    request.addfinalizer(lambda: LEVELS.unregister("pairs"))
    text = "the cat sat on the mat, the dogs sat on a log.\n" * 400 + "a zebra ran.\n"
    splits = Splits.from_text(text, make_tokenizer("pairs"))
    plan = Plan(growth=(), contexts=(1,), calibration=10, sample=10)
    comparison = compare(["unigram"], splits, levels=["pairs", "char"], plan=plan)
    found = {m.level: m for m in comparison.results.models}
    model = UnigramModel().fit(splits.train)
    unknown = splits.test.targets == splits.test.vocabulary.unk_id
    assert unknown.any()
    tokens = PairTokenizer().tokenize(splits.test.text or "")
    speller = Speller(PairTokenizer().tokenize(splits.train.text or ""))
    spelled = speller.costs(Strings.of([tokens[i] for i in np.flatnonzero(unknown)])).sum()
    nats = spelled - model.score_corpus(splits.test).sum()
    bits = nats / math.log(2) / len(splits.test.text or "")
    assert found["pairs"].bits_per_character == pytest.approx(bits)
    assert found["pairs"].bits_per_character < found["char"].bits_per_character
    assert len(comparison.results.tests) == 1
    alone = compare(["unigram"], splits, plan=plan).results
    assert alone.per == "char"
    assert alone.models[0].bits_per_character == pytest.approx(bits)
    assert alone.levels[0].separator == ""
    model.save(tmp_path / "pairs.lm")
    loaded = langmodels.load(tmp_path / "pairs.lm")
    assert loaded.score("the cat") == model.score("the cat")
    assert loaded.sample_text("the ", seed=1) == model.sample_text("the ", seed=1)
