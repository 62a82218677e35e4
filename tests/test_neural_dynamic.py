"""Dynamic evaluation: a network that is trained further on the text that it scores."""

import numpy as np
import pytest

from langmodels.cli.main import main
from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.neural import (
    CharacterAwareModel,
    DynamicModel,
    FeedForwardModel,
    GRUModel,
    LSTMModel,
    RNNModel,
    TransformerModel,
)
from langmodels.neural.dynamic import RATES
from langmodels.neural.training.batches import Chunk
from langmodels.registry import load
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer

TOKENIZER = make_tokenizer("char")
TRAIN = Corpus.from_text("the cat sat on the mat and the dog sat on the log " * 30, TOKENIZER)
SMALL = {"hidden": 12, "embedding": 6, "epochs": 2, "batch_size": 8, "steps": 16}


def corpus(text: str) -> Corpus:
    return Corpus.from_text(text, TOKENIZER, vocabulary=TRAIN.vocabulary)


@pytest.fixture(scope="module", params=[LSTMModel, GRUModel, RNNModel, TransformerModel])
def base(request):
    if request.param is TransformerModel:
        small = {"width": 12, "heads": 2, "layers": 2, "window": 9, "epochs": 2}
        return TransformerModel(**small, batch_size=8, steps=16).fit(TRAIN)
    return request.param(**SMALL).fit(TRAIN)


def test_batched_scores_equal_stepping(base):
    model = DynamicModel(base, rate=0.01, every=7).fit(TRAIN)
    text = corpus("a dog and a cat and a log and a mat sat on a hat " * 4)
    fast = model.score_corpus(text)
    np.testing.assert_allclose(fast, LanguageModel.score_sequences(model, text), atol=1e-4)
    assert np.abs(fast[:7] - base.score_corpus(text)[:7]).max() < 1e-5
    assert np.abs(fast - base.score_corpus(text)).max() > 0.01


def test_with_a_rate_of_zero_scores_are_those_of_the_network(base):
    model = DynamicModel(base, rate=0.0).fit(TRAIN)
    text = corpus("on the mat sat the cat " * 10)
    np.testing.assert_allclose(model.score_corpus(text), base.score_corpus(text), atol=1e-5)


def test_weights_with_zero_gradients_in_training_do_not_change(base):
    model = DynamicModel(base, rate=0.01).fit(TRAIN)
    model.rms[:] = 0
    text = corpus("on the mat sat the cat " * 10)
    np.testing.assert_allclose(model.score_corpus(text), base.score_corpus(text), atol=1e-5)


def test_two_steps_change_the_weights_as_in_the_formula():
    base = LSTMModel(**SMALL, dtype="float64").fit(TRAIN)
    model = DynamicModel(base, rate=0.02, decay=0.1, every=5).fit(TRAIN)
    ids = corpus("the hat on the dog").ids
    state = model.start()
    for token in ids[1:12].tolist():
        state = model.advance(state, token)
    # Five inputs, the last target read; five more; the eleventh token begins the third chunk.
    network = base.make_network(len(base.vocabulary))
    trained = base.network.parameters.flat
    weights, carried = trained.copy(), None
    for k in (0, 5):
        network.parameters.flat[...] = weights
        network.refresh()
        if carried:
            network.restore_carried(carried)
        inputs, targets = ids[k : k + 5, None], ids[k + 1 : k + 6, None]
        network.loss(Chunk(inputs, targets, None, k == 0), 1 / 5, None)
        carried = network.carried()
        step = network.gradients.flat / (model.rms + 0.2 * model.rms.mean())
        weights = weights - 0.02 * step + 0.1 * (trained - weights)
    np.testing.assert_allclose(state.weights, weights, rtol=0, atol=1e-12)


def test_rms_is_that_of_gradients_of_single_chunks():
    base = GRUModel(**SMALL, dtype="float64", learning_rate=0.01).fit(TRAIN)
    model = DynamicModel(base, rate=0.1).fit(TRAIN)
    network = base.network
    squares, n = np.zeros(base.n_parameters), 0
    for k in range(0, len(TRAIN.ids) - 21, 20):
        inputs, targets = TRAIN.ids[k : k + 20, None], TRAIN.ids[k + 1 : k + 21, None]
        network.loss(Chunk(inputs, targets, None, k == 0), 1 / 20, None)
        squares, n = squares + network.gradients.flat**2, n + 1
    # Other chunks of the same text: of the same size, and alike from weight to weight.
    expected = np.sqrt(squares / n)
    assert model.rms.mean() == pytest.approx(expected.mean(), rel=0.1)
    assert np.corrcoef(model.rms, expected)[0, 1] > 0.95


def test_scores_improve_on_a_repetitive_text():
    base = LSTMModel(**SMALL, learning_rate=0.01).fit(TRAIN)
    text = corpus("toast hams " * 60)
    model = DynamicModel(base).fit(TRAIN, text)
    assert model.rate == max(RATES)
    late = slice(-100, None)
    assert model.score_corpus(text)[late].mean() > base.score_corpus(text)[late].mean() + 0.1
    assert model.base.network.parameters.flat is base.network.parameters.flat


def test_no_rate_is_chosen_after_interrupted_training():
    base = LSTMModel(**SMALL).fit(TRAIN)
    base.history.stopped = "interrupted"
    held_out = corpus("toast hams " * 60)
    assert DynamicModel(base).fit(TRAIN, held_out).rate == 3e-4
    base.history.stopped = ""
    assert DynamicModel(base).fit(TRAIN, held_out).rate in RATES


def test_states_are_immutable():
    model = DynamicModel(LSTMModel(**SMALL), rate=0.05, every=3).fit(TRAIN)
    state = model.state("the dog")
    before = model.log_distribution(state)
    model.score_corpus(corpus("a mat " * 20))
    assert np.array_equal(model.log_distribution(state), before)


@pytest.mark.parametrize(
    ("options", "what"),
    [({"rate": -1.0}, "rate"), ({"decay": 1.0}, "decay"), ({"every": 0}, "every")],
)
def test_invalid_settings_raise_usage_errors(options, what):
    with pytest.raises(UsageError, match=what):
        DynamicModel(LSTMModel(), **options)


def test_networks_that_cannot_carry_a_state_raise_usage_errors(base):
    learned = TransformerModel(positions="learned")
    for other in (LSTMModel(window=5), CharacterAwareModel(), FeedForwardModel(), learned):
        with pytest.raises(UsageError, match="Dynamic evaluation needs"):
            DynamicModel(other)
    other = Corpus.from_text("xyz" * 50, TOKENIZER)
    with pytest.raises(UsageError, match="another vocabulary"):
        DynamicModel(base).fit(other)


def test_a_dynamic_model_is_trained_and_scored_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("the cat sat on the mat and the dog on the log\n" * 30)
    command = ["train", "--corpus", "text.txt", "--level", "char", "--checkpoint", "c", "-o", "m"]
    assert main([*command, "--model", "dynamic:hidden=8:epochs=2:rate=0.001:every=10"]) == 0
    model = load("m")
    assert isinstance(model, DynamicModel)
    assert (model.rate, model.every, len(model.base.history.epochs)) == (0.001, 10, 2)
    capsys.readouterr()
    assert main(["info", "m"]) == 0
    assert "LSTMModel: hidden 8" in " ".join(capsys.readouterr().out.split())
    assert main([*command, "--model", "dynamic:every=nought"]) == 2
