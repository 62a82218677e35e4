"""Numbers in bins and back: bins from the training part, densities that integrate to one."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langmodels.datasets import find_source
from langmodels.errors import LangmodelsError, UsageError
from langmodels.evaluation.comparison import compare
from langmodels.models.densities import log_densities, sample_series
from langmodels.ngram import NGramModel
from langmodels.registry import load
from langmodels.text.bins import BINNINGS, Quantizer
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.series import SeriesTokenizer, parse_numbers
from langmodels.text.splits import Splits

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3))
SERIES = st.lists(NUMBERS, min_size=2, max_size=60).filter(lambda x: len(set(x)) > 1)


# Quantizer ---------------------------------------------------------------------------------


def test_quantiles_and_uniform_bins() -> None:
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 80.0]
    by_quantile = Quantizer.fit(values, 4, "quantile")
    assert by_quantile.edges.tolist() == [2.75, 4.5, 6.25]
    assert by_quantile.medians.tolist() == [1.5, 3.5, 5.5, 43.5]
    assert by_quantile.tails == (pytest.approx(2.75 - 1.5), pytest.approx(43.5 - 6.25))
    assert by_quantile.index([-99, 2.75, 4.4, 1e9]).tolist() == [0, 1, 1, 3]
    # Edges at 20.75, 40.5 and 60.25; the two bins without values are merged.
    uniform = Quantizer.fit(values, 4, "uniform")
    assert uniform.n_bins == 2
    assert uniform.medians.tolist() == [4.0, 80.0]


@pytest.mark.parametrize("binning", BINNINGS)
@given(values=SERIES, bins=st.integers(2, 20))
def test_every_bin_has_training_values_and_a_label_of_its_own(
    binning: str, values: list[float], bins: int
) -> None:
    q = Quantizer.fit(values, bins, binning)
    assert 2 <= q.n_bins <= bins
    assert set(q.index(values).tolist()) == set(range(q.n_bins))
    assert q.index([float(label) for label in q.labels]).tolist() == list(range(q.n_bins))
    assert min(q.tails) > 0
    assert np.isfinite(q.log_densities(values)).all()
    drawn = q.draw(np.arange(q.n_bins), np.random.default_rng(0))
    assert q.index(drawn).tolist() == list(range(q.n_bins))
    again = Quantizer.from_config(json.loads(json.dumps(q.config())))
    assert again.config() == q.config()


def test_densities_within_each_bin_integrate_to_one() -> None:
    q = Quantizer.fit(np.random.default_rng(0).normal(size=500), 6)
    x = np.linspace(-40, 40, 800_001)
    mass = np.bincount(q.index(x), weights=np.exp(q.log_densities(x)) * (x[1] - x[0]))
    assert mass == pytest.approx(np.ones(6), abs=2e-3)


def test_costs_of_decimals_are_a_code_in_each_bin() -> None:
    q = Quantizer.fit(np.round(np.random.default_rng(0).normal(size=500), 2), 6)
    grid = np.arange(-4000, 4001) * 0.01
    mass = np.bincount(q.index(grid), weights=np.exp(-q.grid_costs(grid, 0.01)))
    assert mass == pytest.approx(np.ones(6), abs=1e-9)


def test_draws_have_the_density_of_the_bin() -> None:
    q = Quantizer(np.array([0.0, 2.0]), np.array([-1.0, 1.0, 3.0]), (0.5, 4.0))
    rng = np.random.default_rng(1)
    low, inner, high = (q.draw(np.full(20_000, i), rng) for i in range(3))
    assert low.max() < 0 <= inner.min() < inner.max() < 2 <= high.min()
    assert low.mean() == pytest.approx(-0.5, abs=0.02)
    assert (inner.mean(), inner.std()) == (
        pytest.approx(1, abs=0.02),
        pytest.approx(2 / math.sqrt(12), abs=0.02),
    )
    assert high.mean() == pytest.approx(6, abs=0.15)


@pytest.mark.parametrize(
    ("values", "options", "error", "words"),
    [
        ([], {}, LangmodelsError, "no numbers"),
        ([3, 3, 3], {}, LangmodelsError, "equal 3"),
        ([1, math.inf], {}, LangmodelsError, "finite"),
        ([-1.7e308, 1.7e308], {}, LangmodelsError, "finite"),
        ([1, 2], {"bins": 1}, UsageError, "between 2 and"),
        ([1, 2], {"binning": "clever"}, UsageError, "quantile or uniform"),
    ],
)
def test_impossible_bins_are_refused(
    values: list[float], options: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        Quantizer.fit(values, **options)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"edges": [2, 1], "medians": [0, 1.5, 3], "tails": [1, 1]},
        {"edges": [1], "medians": [0], "tails": [1, 1]},
        {"edges": [1], "medians": [2, 0], "tails": [1, 1]},
        {"edges": [1], "medians": [0, 2], "tails": [0, 1]},
        {"edges": ["x"], "medians": [0, 2], "tails": [1, 1]},
    ],
)
def test_damaged_bins_are_refused(config: dict[str, object]) -> None:
    with pytest.raises(LangmodelsError, match="bins of the series"):
        make_tokenizer("series", quantizer=config)


# Tokenizer ---------------------------------------------------------------------------------


def test_bins_come_from_the_training_part_alone() -> None:
    text = "\n".join(map(str, [*range(80), *range(1000, 1020)]))
    splits = Splits.from_text(text, SeriesTokenizer(bins=4))
    tokenizer = splits.train.tokenizer
    assert isinstance(tokenizer, SeriesTokenizer)
    assert tokenizer.quantizer.edges.max() < 80
    assert splits.test.tokenizer == splits.validation.tokenizer == tokenizer
    assert splits.test.n_oov == 0
    highest = tokenizer.quantizer.labels[-1]
    assert set(splits.test.vocabulary.decode(splits.test.targets)) == {highest}


def test_unfitted_bins_are_an_error() -> None:
    with pytest.raises(UsageError, match="fit"):
        SeriesTokenizer().tokenize("1 2")


@given(SERIES, st.integers(2, 9))
def test_tokens_are_numbers_of_their_own_bin(values: list[float], bins: int) -> None:
    text = "\n".join(map(str, values))
    tokenizer = SeriesTokenizer(bins=bins).fit(text)
    tokens = tokenizer.tokenize(text)
    assert len(tokens) == len(values)
    assert tokenizer.tokenize(tokenizer.detokenize(tokens)) == tokens
    drawn = tokenizer.numbers(tokens, np.random.default_rng(0))
    assert tokenizer.tokenize(" ".join(map(str, drawn))) == tokens
    assert make_tokenizer("series", **json.loads(json.dumps(tokenizer.config()))) == tokenizer


@given(st.lists(st.sampled_from("0123456789 \n"), max_size=60).map("".join), st.integers(1, 7))
@settings(max_examples=50)
def test_reading_in_pieces_changes_nothing(text: str, size: int) -> None:
    tokenizer = SeriesTokenizer(bins=3).fit("1 5 70")
    if not text.split():
        return
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    whole = Corpus.from_text(text, tokenizer)
    assert Corpus.from_text(iter(pieces), tokenizer).ids.tolist() == whole.ids.tolist()


def test_series_of_differences_are_tokenized_and_restored() -> None:
    tokenizer = SeriesTokenizer(bins=2, differences=True).fit("10 11 12 17 22")
    assert tokenizer.quantizer.edges.tolist() == [3.0]
    assert tokenizer.tokenize("100 101 106 105") == ["1", "5", "1"]
    assert tokenizer.detokenize(["1", "5"]) == "22 23 28"
    assert tokenizer.numbers(["5", "</s>", "<unk>", "5"]).tolist() == [22, 27, 32]
    corpus = Corpus.from_text(
        iter(["1 2", " 4 ", "9\n"]), SeriesTokenizer(bins=2, differences=True)
    )
    assert (corpus.n_tokens, corpus.characters) == (3, 8)
    with pytest.raises(LangmodelsError, match="too few"):
        Corpus.from_text("7", SeriesTokenizer(differences=True))


@pytest.mark.parametrize("text", ["1 2 three", "1,5 2,5", "1 nan", "1 -inf"])
def test_texts_that_are_no_numbers_are_refused(text: str) -> None:
    with pytest.raises(LangmodelsError, match=r"numbers, and|white space, and"):
        parse_numbers(text)


def test_what_is_lost_is_paid_for_to_the_last_decimal() -> None:
    tokenizer = SeriesTokenizer(bins=2).fit("0 1 2 3 4 5 6 7")
    q = tokenizer.quantizer
    ends, costs = tokenizer.lost_nats(" 0.5 12.25\n3")
    assert ends.tolist() == [5, 11, 12]
    assert costs == pytest.approx(q.grid_costs([0.5, 12.25, 3], 0.01))
    # Between steps that are small, the cost per step is the density.
    assert costs == pytest.approx(-q.log_densities([0.5, 12.25, 3]) - math.log(0.01), abs=1e-2)


# Models ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seasonal() -> tuple[NGramModel, str]:
    source = find_source("synthetic:seasonal?length=140000&bins=16")
    splits = Splits.from_text(source.read(), make_tokenizer("series", **source.options))
    model = NGramModel(order=3, smoothing="witten_bell").fit(splits.train)
    return model, splits.test.text or ""


def test_density_approaches_the_entropy_and_never_beats_it(
    seasonal: tuple[NGramModel, str],
) -> None:
    model, test = seasonal
    source = find_source("synthetic:seasonal")
    assert source.generator is not None
    limit = -source.generator.entropy_nats_per_number  # type: ignore[attr-defined]
    density = log_densities(model, test).mean()
    unigram = NGramModel(order=1, smoothing="witten_bell")
    blind = log_densities(unigram.fit(Corpus.from_text(test, model.tokenizer)), test).mean()
    assert blind < -1.3  # a normal density of variance 1 has -1.42
    assert limit - 0.35 < density < limit
    # As a code for the decimals, it is the same up to their precision.
    corpus = Corpus.from_text(test, model.tokenizer, vocabulary=model.vocabulary)
    nats = model.tokenizer.lost_nats(test)[1] - model.score_corpus(corpus)  # type: ignore[attr-defined]
    assert nats.mean() == pytest.approx(-density - math.log(0.001), abs=0.01)
    assert source.entropy_bits is not None
    assert nats.sum() / math.log(2) / len(test) > source.entropy_bits


def test_series_models_are_stored_with_their_bins(
    seasonal: tuple[NGramModel, str], tmp_path: object
) -> None:
    model, test = seasonal
    path = f"{tmp_path}/series.lm"
    model.save(path)
    again = load(path)
    assert again.tokenizer == model.tokenizer
    assert log_densities(again, test[:700]).tolist() == log_densities(model, test[:700]).tolist()
    assert again.prob("0.123456", "+0.5 0.7") == model.prob("0.123456", "+0.5 0.7")
    drawn = sample_series(again, 50, "+0.5 +0.7", seed=3)
    assert drawn.tolist() == sample_series(model, 50, "+0.5 +0.7", seed=3).tolist()
    assert drawn.shape == (50,)
    assert len(np.unique(drawn)) == 50
    assert parse_numbers(again.sample_text("0.5", max_tokens=9, seed=1)).shape == (9,)


def test_sampled_differences_go_on_from_the_prompt() -> None:
    steps = np.random.default_rng(0).normal(size=2000)
    text = " ".join(f"{x:.2f}" for x in np.cumsum(steps))
    corpus = Corpus.from_text(text, SeriesTokenizer(bins=8, differences=True))
    model = NGramModel(order=1, smoothing="witten_bell").fit(corpus)
    drawn = sample_series(model, 100, "1000 1001.5", seed=0)
    assert drawn.shape == (101,)
    assert drawn[0] == pytest.approx(1001.5)
    assert np.abs(np.diff(drawn)).max() < 10


def test_densities_need_a_model_of_series() -> None:
    words = NGramModel(order=1, smoothing="witten_bell")
    words.fit(Corpus.from_text("a b c", make_tokenizer("word")))
    with pytest.raises(UsageError, match="series"):
        log_densities(words, "1 2")
    with pytest.raises(UsageError, match="series"):
        sample_series(words, 3)


def test_bits_per_character_of_a_series_are_those_of_a_code() -> None:
    source = find_source("synthetic:seasonal?length=50000")
    corpus = Splits.from_text(source.read(), SeriesTokenizer(bins=16))
    results = compare(
        ["witten-bell:order=3", "unigram"], corpus, levels=["series", "char"], source=source
    ).results
    figures = {(m.label, m.level): m.bits_per_character for m in results.models}
    limit = results.limit.bits if results.limit else math.nan
    best = figures["witten-bell order=3", "series"]
    assert limit < best < limit + 0.1
    assert best < figures["unigram", "series"] < figures["unigram", "char"]
    assert best < figures["witten-bell order=3", "char"]


def test_steps_have_the_decimals_of_the_numbers() -> None:
    tokenizer = SeriesTokenizer(bins=3, differences=True).fit("0.1 0.4 0.9 0.8 1e-3")
    assert tokenizer.values("0.1 0.4 0.9").tolist() == [0.3, 0.5]
    tiny = SeriesTokenizer(bins=2, differences=True)
    assert tiny.fit("1e-200 3e-200 9e-200").quantizer.n_bins == 2
