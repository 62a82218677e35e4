"""The character-aware model: spellings, gradients, words never seen."""

from dataclasses import replace

import numpy as np
import pytest
from neural_checks import bind, check_layer, check_network

from langmodels.errors import UsageError
from langmodels.evaluation.calibration import calibrate
from langmodels.models.base import LanguageModel
from langmodels.models.cache import CacheModel
from langmodels.models.lines import score_batch
from langmodels.models.mixture import MixtureModel
from langmodels.models.unigram import UnigramModel
from langmodels.neural.layers.spelling import Highway, SpelledEmbedding, Spellings
from langmodels.neural.recurrent.character_aware import CharacterAwareModel
from langmodels.neural.training.batches import StreamBatches
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.vocabulary import Vocabulary

RNG = np.random.default_rng(0)
WORDS = ["a", "cat", "cats", "dog", "running"]


def test_words_outside_the_vocabulary_get_ids_of_their_own():
    spellings = Spellings(Vocabulary(WORDS))
    known = len(spellings.codes)
    assert known == 3 + len(WORDS)
    assert len({tuple(row) for row in spellings.codes.tolist()}) == known
    ids = spellings.ids(["dog", "dogs", "a", "dogs", "zebras"])
    assert ids.tolist() == [6, known, 3, known, known + 1]
    assert spellings.ids(["zebras"]).tolist() == [known + 1]
    assert len(spellings.codes) == known + 2
    dog, dogs = (row[row > 0].tolist() for row in spellings.codes[[6, known]])
    assert dogs[:4] == dog[:4]  # begin, d, o, g
    assert len(dogs) == len(dog) + 1
    assert spellings.ids(["x" * 1000]).tolist() == [known + 2]


def test_highway_gradients_equal_finite_differences():
    layer = bind(Highway(3))
    x = RNG.standard_normal((4, 3))
    check_layer(layer, lambda: layer.forward(x), layer.backward)
    before = layer.forward(x)
    assert np.abs(before - x).mean() < 0.3 * np.abs(x).mean()  # carries at first


@pytest.mark.parametrize("highways", [0, 2])
def test_spelled_embedding_gradients_equal_finite_differences(highways):
    """Words shorter than a filter, repeated ones and unseen ones among them."""
    spellings = Spellings(Vocabulary(WORDS))
    layer = bind(SpelledEmbedding(spellings, 2, {1: 2, 3: 2, 5: 1}, highways))
    tokens = np.array([[1, 3, 4], [4, 7, spellings.ids(["gods"])[0]]])
    check_layer(layer, lambda: layer.forward(tokens), layer.backward)


def test_a_word_vector_does_not_depend_on_padding():
    """A word's vector is the same alone and beside a long word."""
    layer = bind(SpelledEmbedding(Spellings(Vocabulary(WORDS)), 4, {2: 3, 6: 3}, 1))
    alone = layer.forward(np.array([3, 4]))
    together = layer.forward(np.array([3, 7, 4]))
    np.testing.assert_allclose(together[[0, 2]], alone, atol=1e-14)


TEXT = (
    """she walked home and he walks home
they talked and she talks
he jumped and they jump
she looked and looks
"""
    * 12
)


def corpus_of(text: str = TEXT, **options) -> Corpus:
    return Corpus.from_text(text, make_tokenizer("word"), keep_text=True, **options)


def small_model(corpus: Corpus) -> CharacterAwareModel:
    """An untrained model in double precision."""
    model = CharacterAwareModel(
        hidden=5, widths=3, filters=2, characters=3, cell="gru", dtype="float64"
    )
    model.adopt(corpus)
    model._network = model.make_network(len(corpus.vocabulary))
    model._network.initialise(1)
    return model


@pytest.mark.parametrize("steps", [2, 30])
def test_network_gradients_equal_finite_differences(steps):
    corpus = corpus_of()
    model = small_model(corpus)
    (chunk,) = next(StreamBatches(corpus, 2, steps).epoch(0))
    check_network(model.network, chunk, restart=lambda: model.network.restore_carried({}))


@pytest.fixture(scope="module")
def fitted() -> tuple[CharacterAwareModel, Corpus]:
    corpus = corpus_of()
    model = CharacterAwareModel(
        hidden=24, filters=4, widths=4, epochs=12, batch_size=8, steps=12, learning_rate=0.01
    )
    return model.fit(corpus, corpus), corpus


def test_unseen_words_are_read_by_their_spelling(fitted):
    """The ending of an unseen word says what follows."""
    model, _ = fitted
    assert "peeked" not in model.vocabulary
    unseen = model.distribution("she peeked")
    unknown = model.distribution(["she", "<unk>"])
    assert np.abs(unseen - unknown).max() > 1e-3
    # After what looks like a past tense comes what comes after one.
    past = model.distribution("she looked")
    assert np.argmax(unseen) == np.argmax(past)
    assert model.prob("<unk>", "she") == model.prob("peeked", "she")


def test_batched_scores_equal_stepping(fitted):
    model, corpus = fitted
    text = "she peeked and he walks\nthey walked home\n"
    held_out = Corpus.read_by(corpus.reading, text)
    assert held_out.n_oov == 1
    scores = model.score_corpus(held_out)
    lines = [model.token_scores(line) for line in text.splitlines()]
    np.testing.assert_allclose(scores, np.concatenate(lines), atol=1e-4)
    context = ["she", "peeked", "and"]
    assert model.log_prob("he", context) == pytest.approx(scores[3], abs=1e-4)
    batch = score_batch(model, text.splitlines())
    np.testing.assert_allclose(scores, batch.log_probs, atol=1e-4)
    without = replace(held_out, unknown=None)
    plain = model.score_corpus(without)
    np.testing.assert_allclose(plain, LanguageModel.score_sequences(model, without), atol=1e-4)
    assert plain[0] == pytest.approx(scores[0], abs=1e-4)
    assert abs(plain[2] - scores[2]) > 1e-4  # after the unseen word, which is <unk> here


@pytest.mark.parametrize("whole", ["alone", "mixture", "cache"])
def test_models_made_of_it_read_unknown_words_as_spelled(fitted, whole):
    part, corpus = fitted
    unigram = UnigramModel().fit(corpus)
    model = {
        "alone": part,
        "mixture": MixtureModel([unigram, CacheModel(part, 0.9, 0.0)], [1e-9, 1]),
        "cache": CacheModel(MixtureModel([part]), 0.9, 0.0),
    }[whole]
    text = "she peeked and he walks"
    held_out = Corpus.read_by(corpus.reading, text)
    scores = part.score_corpus(held_out)
    np.testing.assert_allclose(model.score_corpus(held_out), scores, atol=1e-4)
    np.testing.assert_allclose(model.token_scores(text), scores, atol=1e-4)
    assert model.log_prob("he", "she peeked and") == pytest.approx(scores[3], abs=1e-4)
    walked = [model.log_prob_next(*pair) for pair in model.walk(held_out)]
    np.testing.assert_allclose(walked, scores, atol=1e-4)
    paid = calibrate(model, held_out, held_out.n_tokens).paid_bits
    assert paid == pytest.approx(-scores.mean() / np.log(2), abs=1e-4)


def test_rare_words_are_unk_as_targets_and_spelled_as_inputs():
    corpus = corpus_of(TEXT + "once upon a time\n", min_count=2)
    model = small_model(corpus)
    (chunk,) = next(model.make_batches(corpus, 1).epoch(0))
    assert chunk.targets.max() < len(corpus.vocabulary)
    batches = [c for (c,) in model.make_batches(corpus, 1).epoch(0)]
    assert max(c.inputs.max() for c in batches) >= len(corpus.vocabulary)


def test_a_loaded_model_gives_the_same_scores(fitted, tmp_path):
    model, corpus = fitted
    model.save(tmp_path / "m.lm")
    loaded = CharacterAwareModel.load(tmp_path / "m.lm")
    assert np.array_equal(loaded.score_corpus(corpus), model.score_corpus(corpus))
    assert np.array_equal(loaded.distribution("she peeked"), model.distribution("she peeked"))


@pytest.mark.parametrize(
    "options",
    [{"tied": True}, {"window": 5}, {"embedding": 8}, {"widths": 0}, {"cell": "transistor"}],
    ids=str,
)
def test_invalid_options_raise_usage_errors(options):
    with pytest.raises(UsageError):
        CharacterAwareModel(**options)
