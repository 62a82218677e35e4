"""The CRNN: parity with PyTorch, gradients, carried states, causality."""

from pathlib import Path

import numpy as np
import pytest
from neural_checks import bind, check_layer, check_network, numerical_gradient

from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.neural.layers.base import rows
from langmodels.neural.layers.convolution import CausalConvolution
from langmodels.neural.recurrent.convolutional import (
    ConvolutionalRecurrentModel,
    ConvolutionalRecurrentNetwork,
)
from langmodels.neural.recurrent.network import RecurrentShape
from langmodels.neural.training.batches import Chunk
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer

DATA = Path(__file__).parent / "data"
RNG = np.random.default_rng(0)


def test_outputs_and_gradients_equal_pytorch():
    z = np.load(DATA / "torch_crnn.npz")
    vocabulary, width = z["param.embedding.weight"].shape
    shape = RecurrentShape("lstm", vocabulary, z["param.output.weight"].shape[1], embedding=width)
    filters = z["param.conv.weight"]  # (channels, E, 3), oldest step first
    network = ConvolutionalRecurrentNetwork(shape, "float64", widths=(3,), channels=len(filters))
    network.output.excluded = []  # PyTorch's softmax is over everything
    p, g = network.parameters, network.gradients

    def by_lag(a):
        return a.transpose(2, 1, 0)[::-1].reshape(-1, len(filters))

    p["embedding.weight"][...] = z["param.embedding.weight"]
    p["convolution.weight.3"][...] = by_lag(filters)
    p["convolution.bias"][...] = z["param.conv.bias"]
    p["recurrent.0.input"][...] = z["param.rnn.weight_ih_l0"].T
    p["recurrent.0.hidden"][...] = z["param.rnn.weight_hh_l0"].T
    p["recurrent.0.bias"][...] = z["param.rnn.bias_ih_l0"] + z["param.rnn.bias_hh_l0"]
    p["output.weight"][...] = z["param.output.weight"]
    p["output.bias"][...] = z["param.output.bias"]
    network.refresh()
    h = network.forward(z["tokens"])
    logits = rows(h) @ p["output.weight"].T + p["output.bias"]
    np.testing.assert_allclose(logits, rows(z["logits"]), rtol=0, atol=1e-9)
    targets = z["targets"]
    chunk = Chunk(z["tokens"], targets, None, True)
    loss = network.loss(chunk, 1 / targets.size, None) / targets.size
    assert loss == pytest.approx(float(z["loss_mean_nats"]), abs=1e-9)
    expected = {
        "embedding.weight": z["grad.embedding.weight"],
        "convolution.weight.3": by_lag(z["grad.conv.weight"]),
        "convolution.bias": z["grad.conv.bias"],
        "recurrent.0.input": z["grad.rnn.weight_ih_l0"].T,
        "recurrent.0.hidden": z["grad.rnn.weight_hh_l0"].T,
        "recurrent.0.bias": z["grad.rnn.bias_ih_l0"],
        "output.weight": z["grad.output.weight"],
        "output.bias": z["grad.output.bias"],
    }
    for name, array in expected.items():
        np.testing.assert_allclose(g[name], array, rtol=0, atol=1e-9, err_msg=name)


CASES = [((1,), 1), ((3,), 1), ((2, 4), 1), ((1, 3), 3), ((5,), 8)]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize(("widths", "pooling"), CASES)
def test_layer_gradients_equal_finite_differences(widths, pooling, activation):
    layer = bind(CausalConvolution(3, widths, 2, activation=activation, pooling=pooling))
    x = RNG.standard_normal((6, 2, 3))
    keep = np.ones((6, 2), bool)
    keep[3, 0] = keep[0, 1] = keep[4, 1] = False
    check_layer(layer, lambda: layer.forward(x, keep=keep), layer.backward)
    weights = RNG.standard_normal(layer.forward(x, keep=keep).shape)
    dx = layer.backward(weights.copy()).copy()
    numeric = numerical_gradient(lambda: float((weights * layer.forward(x, keep=keep)).sum()), x)
    np.testing.assert_allclose(dx, numeric, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("widths", "pooling"), CASES)
def test_chunks_with_carried_state_equal_one_long_chunk(widths, pooling):
    """With resets inside the chunks, too."""
    layer = bind(CausalConvolution(3, widths, 2, activation="tanh", pooling=pooling))
    x = RNG.standard_normal((12, 2, 3))
    keep = RNG.random((12, 2)) > 0.2
    whole = layer.forward(x, keep=keep).copy()
    state, pieces = None, []
    for begin, end in [(0, 1), (1, 2), (2, 6), (6, 12)]:
        pieces.append(layer.forward(x[begin:end], state, keep=keep[begin:end]).copy())
        state = layer.final_state
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-12)


@pytest.mark.parametrize(("widths", "pooling"), CASES)
def test_a_new_sequence_does_not_depend_on_the_one_before(widths, pooling):
    layer = bind(CausalConvolution(3, widths, 2, activation="tanh", pooling=pooling))
    x = RNG.standard_normal((9, 1, 3))
    keep = np.ones((9, 1), bool)
    keep[4] = False
    together = layer.forward(x, keep=keep)[4:].copy()
    np.testing.assert_allclose(together, layer.forward(x[4:]), atol=1e-12)


def small_network(**options) -> ConvolutionalRecurrentNetwork:
    shape = RecurrentShape("gru", 7, 5, layers=2, embedding=4)
    network = ConvolutionalRecurrentNetwork(shape, "float64", **options)
    network.initialise(1)
    return network


@pytest.mark.parametrize("steps", [3, 12])
def test_network_gradients_equal_finite_differences(steps):
    """With few tokens (rows looked up) and with more than the vocabulary has (mapped table)."""
    network = small_network(widths=(1, 3), channels=3, pooling=2)
    inputs, targets = RNG.integers(2, 7, (2, steps, 2))
    check_network(network, Chunk(inputs, targets, None, True))


def test_outputs_do_not_depend_on_later_inputs():
    network = small_network(widths=(2, 5), channels=6, pooling=3)
    inputs = RNG.integers(2, 7, (20, 3))
    before = network.forward(inputs).copy()
    for t in (0, 3, 10, 18):
        changed = inputs.copy()
        changed[t + 1 :] = 2 + (changed[t + 1 :] - 1) % 5
        after = network.forward(changed)
        np.testing.assert_array_equal(after[: t + 1], before[: t + 1])
        assert np.abs(after[t + 1] - before[t + 1]).max() > 1e-6


@pytest.fixture(scope="module")
def fitted() -> tuple[ConvolutionalRecurrentModel, Corpus]:
    text = "the cat sat on the mat\na dog ran to the cat\nthe mat sat on a dog\n" * 30
    corpus = Corpus.from_text(text, make_tokenizer("char"))
    model = ConvolutionalRecurrentModel(
        hidden=24, embedding=8, channels=12, widths=(1, 3), pooling=2, cell="gru",
        epochs=8, batch_size=8, steps=20, learning_rate=0.02,
    )  # fmt: skip
    return model.fit(corpus), corpus


def test_it_learns_and_batched_scores_equal_stepping(fitted):
    model, corpus = fitted
    small = corpus.head(300)
    fast = model.score_corpus(small)
    assert fast == pytest.approx(LanguageModel.score_sequences(model, small), abs=1e-4)
    assert -fast.mean() < 0.8  # of log 20 = 3.0


def test_a_loaded_model_gives_the_same_scores(fitted, tmp_path):
    model, corpus = fitted
    model.save(tmp_path / "m.lm")
    loaded = ConvolutionalRecurrentModel.load(tmp_path / "m.lm")
    assert loaded.widths == (1, 3)
    assert np.array_equal(loaded.score_corpus(corpus), model.score_corpus(corpus))


@pytest.mark.parametrize(
    "options",
    [{"widths": ()}, {"widths": (0,)}, {"widths": (2, 2)}, {"channels": 0}, {"pooling": 0},
     {"activation": "cube"}, {"cell": "transistor"}, {"one_hot": True}],
    ids=str,
)  # fmt: skip
def test_invalid_options_raise_usage_errors(options):
    with pytest.raises(UsageError):
        ConvolutionalRecurrentModel(**options)
