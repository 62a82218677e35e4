"""Vanishing and exploding gradients, gate activations, and the classic windowed experiment."""

import numpy as np
import pytest

from langmodels.errors import LangmodelsError
from langmodels.neural import GRUModel, LSTMModel, RNNModel
from langmodels.neural.training.batches import Windows
from langmodels.teaching.article import WINDOW, article_model, run_article
from langmodels.teaching.gradients import (
    gate_activations,
    gradient_by_lag,
    gradient_norm_course,
)
from langmodels.text.cleaning import clean_article
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer

TEXT = "The cat sat on the mat, and the dog sat on the log.\n" * 20


@pytest.fixture(scope="module")
def text() -> Corpus:
    return Corpus.from_text(TEXT, make_tokenizer("char"))


@pytest.mark.parametrize("kind", [RNNModel, LSTMModel, GRUModel])
def test_gradient_by_lag_is_the_finite_difference(kind, text):
    """The norm at a lag, against moving the state there by a little."""
    model = kind(hidden=4, layers=2, dtype="float64").untrained(text)
    norms = gradient_by_lag(model, text, lags=6, samples=1, seed=3)
    assert norms.shape == (2, 6)
    network, top = model.network, model.network.recurrent[-1]
    windows = Windows(text, 6)
    chosen = np.random.default_rng(3).choice(np.flatnonzero(windows.complete), 1)
    chunk = windows.chunk(chosen)
    network.forward(chunk.inputs[:3])
    states = network.final_states

    def loss(h):
        changed = [*states[:-1], (h, *states[-1][1:])]
        out = network.forward(chunk.inputs[3:], changed)
        return network.output.loss(out[-1], chunk.targets[0], 1.0)[0]

    gradient = []
    for j in range(top.hidden):
        shifted = [states[-1][0].copy() for _ in range(2)]
        shifted[0][0, j] += 1e-6
        shifted[1][0, j] -= 1e-6
        gradient.append((loss(shifted[0]) - loss(shifted[1])) / 2e-6)
    assert norms[1, 3] == pytest.approx(np.linalg.norm(gradient), rel=1e-5)


def test_small_recurrent_weights_make_the_gradient_vanish_and_a_memory_cell_does_not(text):
    rnn = RNNModel(hidden=16).untrained(text)
    rnn.network.parameters["recurrent.0.hidden"][...] *= 0.2
    rnn.network.refresh()
    lstm = LSTMModel(hidden=16).untrained(text)
    lstm.network.parameters["recurrent.0.bias"][16:32] = 6.0
    lstm.network.refresh()
    fades = gradient_by_lag(rnn, text, lags=30)[0]
    holds = gradient_by_lag(lstm, text, lags=30)[0]
    assert fades[-1] / fades[0] < 1e-10
    assert holds[-1] / holds[0] > 0.05


def test_asking_for_more_lags_than_the_text_is_long(text):
    short = Corpus.from_text("the", text.tokenizer, vocabulary=text.vocabulary)
    with pytest.raises(LangmodelsError, match="longer"):
        gradient_by_lag(RNNModel(hidden=4).untrained(text), short, lags=50)


def test_clipping_tames_an_exploding_gradient(text):
    model = RNNModel(
        hidden=24, relu=True, optimizer="sgd", learning_rate=0.5, steps=50, schedule="constant"
    )
    without = gradient_norm_course(model, text, steps=40, clip_norm=None)
    clipped = gradient_norm_course(model, text, steps=40, clip_norm=0.5)
    assert len(clipped.norms) == len(clipped.losses) == 40
    assert not clipped.diverged
    assert without.norms[0] == clipped.norms[0]
    assert without.diverged or without.norms.max() > clipped.norms.max()


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (RNNModel, {"hidden"}),
        (
            LSTMModel,
            {"input gate", "forget gate", "candidate", "output gate", "cell", "hidden"},
        ),
        (GRUModel, {"reset gate", "update gate", "candidate", "hidden"}),
    ],
)
def test_gate_activations(kind, names, text):
    model = kind(hidden=5, layers=2).untrained(text)
    first, second = gate_activations(model, "The cat")
    assert set(first) == set(second) == names
    for name, array in first.items():
        assert array.shape == (7, 5)
        if name.endswith("gate"):
            assert ((array > 0) & (array < 1)).all()
    state = model.state("The cat")
    np.testing.assert_allclose(second["hidden"][-1], state[-1][0][0], atol=1e-6)
    if kind is LSTMModel:
        a = first
        cell = a["forget gate"][1:] * a["cell"][:-1] + a["input gate"][1:] * a["candidate"][1:]
        np.testing.assert_allclose(cell, a["cell"][1:], atol=1e-6)
        np.testing.assert_allclose(a["output gate"] * np.tanh(a["cell"]), a["hidden"], atol=1e-6)


def test_the_article_in_small():
    """Two iterations on a text that repeats itself: figures, seeds and 100 characters each."""
    text = Corpus.from_text(clean_article([TEXT]), make_tokenizer("char"))
    seen = []
    model = run_article(text, seen.append, iterations=2, hidden=32, batch_size=16)
    assert [i.epoch.number for i in seen] == [0, 1]
    assert seen[1].epoch.train_loss < seen[0].epoch.train_loss
    for iteration in seen:
        assert len(iteration.seed) == WINDOW
        assert len(iteration.generated) == 100
    again = model.sample_text(seen[1].seed, max_tokens=100, greedy=True)
    assert again == seen[1].generated
    assert model.context_length == WINDOW


def test_the_article_has_its_own_settings():
    model = article_model()
    assert (model.hidden, model.window, model.one_hot) == (128, 10, True)
    assert (model.options.batch_size, model.options.optimizer) == (128, "rmsprop")
    assert model.options.epochs == 25


def test_a_text_shorter_than_a_window_is_refused():
    with pytest.raises(LangmodelsError, match="longer"):
        run_article(Corpus.from_text("abc", make_tokenizer("char")), print)
