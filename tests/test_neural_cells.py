"""Recurrent layers and losses against PyTorch's figures and against finite differences."""

from pathlib import Path

import numpy as np
import pytest
from neural_checks import bind, numerical_gradient

from langmodels.neural.layers.base import Dropout, Embedding, Linear, Workspace, add_rows
from langmodels.neural.layers.cells import CELLS, Elman, Recurrent
from langmodels.neural.layers.scan import chunked_scan, sequential_scan
from langmodels.neural.layers.softmax import Softmax

DATA = Path(__file__).parent / "data"
TORCH_NAMES = ["rnn", "lstm", "gru"]
CELL_NAMES = [*TORCH_NAMES, "mingru"]


def from_torch(kind: str, z, suffix: str) -> Recurrent:
    """A recurrent layer with the parameters of one PyTorch layer (weights transposed)."""
    w_ih, w_hh = z[f"param.rnn.weight_ih_{suffix}"].T, z[f"param.rnn.weight_hh_{suffix}"].T
    b_ih, b_hh = z[f"param.rnn.bias_ih_{suffix}"], z[f"param.rnn.bias_hh_{suffix}"]
    layer = bind(CELLS[kind](*w_ih.shape[:1], w_hh.shape[0]))
    layer.values["input"][...] = w_ih
    layer.values["hidden"][...] = w_hh
    layer.values["bias"][...] = b_ih + b_hh
    if kind == "gru":
        width = layer.hidden
        layer.values["bias"][2 * width :] = b_ih[2 * width :]
        layer.values["hidden_bias"][...] = b_hh[2 * width :]
    layer.refresh()
    return layer


def assert_gradients(kind: str, layer: Recurrent, z, suffix: str) -> None:
    def equal(ours, name):
        np.testing.assert_allclose(ours, z[f"grad.rnn.{name}_{suffix}"], rtol=0, atol=1e-12)

    equal(layer.gradients["input"].T, "weight_ih")
    equal(layer.gradients["hidden"].T, "weight_hh")
    equal(layer.gradients["bias"], "bias_ih")
    if kind == "gru":
        width = layer.hidden
        both = np.r_[layer.gradients["bias"][: 2 * width], layer.gradients["hidden_bias"]]
        equal(both, "bias_hh")
    else:
        equal(layer.gradients["bias"], "bias_hh")


def output_layer(z) -> Softmax:
    layer = bind(Softmax(*z["param.output.weight"].shape[::-1]))
    layer.values["weight"][...] = z["param.output.weight"]
    layer.values["bias"][...] = z["param.output.bias"]
    return layer


@pytest.mark.parametrize("through_table", [False, True], ids=["dense", "table"])
@pytest.mark.parametrize("kind", TORCH_NAMES)
def test_two_layer_network_equals_pytorch(kind, through_table):
    """Hidden states, logits, loss and every gradient, with the input embedded or looked up."""
    z = np.load(DATA / f"torch_{kind}.npz")
    tokens, targets = z["tokens"], z["targets"]
    embedding = bind(Embedding(*z["param.embedding.weight"].shape))
    embedding.values["weight"][...] = z["param.embedding.weight"]
    first, second = from_torch(kind, z, "l0"), from_torch(kind, z, "l1")
    output = output_layer(z)

    if through_table:
        h = first.forward(tokens, embedding=embedding.values["weight"])
    else:
        h = first.forward(embedding.forward(tokens))
    h = second.forward(h)
    np.testing.assert_allclose(h, z["hidden_states"], rtol=0, atol=1e-12)
    flat = h.reshape(-1, h.shape[-1])
    logits = flat @ output.values["weight"].T + output.values["bias"]
    np.testing.assert_allclose(logits, z["logits"].reshape(logits.shape), rtol=0, atol=1e-12)
    loss, dh = output.loss(flat, targets.ravel(), 1 / targets.size)
    assert loss / targets.size == pytest.approx(float(z["loss_mean_nats"]), abs=1e-12)

    d_input = first.backward(second.backward(dh.reshape(h.shape)))
    if through_table:
        d_embedding = d_input
    else:
        embedding.backward(d_input)
        d_embedding = embedding.gradients["weight"]
    np.testing.assert_allclose(d_embedding, z["grad.embedding.weight"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        output.gradients["weight"], z["grad.output.weight"], rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(output.gradients["bias"], z["grad.output.bias"], rtol=0, atol=1e-12)
    assert_gradients(kind, first, z, "l0")
    assert_gradients(kind, second, z, "l1")


@pytest.mark.parametrize("kind", TORCH_NAMES)
def test_layers_compose_to_a_bidirectional_network(kind):
    """Two layers of two directions each, built from one-directional ones, equal PyTorch's."""
    z = np.load(DATA / f"torch_{kind}_bidirectional.npz")
    tokens, targets = z["tokens"], z["targets"]
    x = z["param.embedding.weight"][tokens]
    levels = [
        (from_torch(kind, z, f"l{k}"), from_torch(kind, z, f"l{k}_reverse")) for k in range(2)
    ]
    output = output_layer(z)
    for forward, backward in levels:
        x = np.concatenate([forward.forward(x), backward.forward(x[::-1])[::-1]], axis=-1)
    np.testing.assert_allclose(x, z["hidden_states"], rtol=0, atol=1e-12)
    loss, dh = output.loss(x.reshape(-1, x.shape[-1]), targets.ravel(), 1 / targets.size)
    assert loss / targets.size == pytest.approx(float(z["loss_mean_nats"]), abs=1e-12)
    d = dh.reshape(x.shape)
    for k, (forward, backward) in reversed(list(enumerate(levels))):
        width = forward.hidden
        left = forward.backward(d[:, :, :width].copy())
        right = backward.backward(d[::-1, :, width:].copy())
        d = left + right[::-1]
        assert_gradients(kind, forward, z, f"l{k}")
        assert_gradients(kind, backward, z, f"l{k}_reverse")


def recurrent_layers():
    return [*(CELLS[name](3, 4) for name in CELL_NAMES), Elman(3, 4, relu=True)]


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("layer", recurrent_layers(), ids=[*CELL_NAMES, "relu"])
def test_recurrent_gradients_by_finite_differences(layer, reset):
    """All parameters, the input, the first state; loss on all hidden states and the last state."""
    rng = np.random.default_rng(1)
    bind(layer)
    for array in layer.values.values():
        array[...] = rng.normal(0, 0.5, array.shape)
    x = rng.normal(size=(5, 2, 3))
    state = tuple(rng.normal(size=(2, 4)) for _ in range(layer.n_states))
    weights = rng.normal(size=(5, 2, 4))
    final_weights = tuple(rng.normal(size=(2, 4)) for _ in range(layer.n_states))
    keep = np.ones((5, 2))
    if reset:
        keep[0, 1] = keep[3, 0] = 0

    def loss():
        layer.refresh()
        h = layer.forward(x, state, keep=keep if reset else None)
        total = (h * weights).sum()
        return total + sum(
            (s * w).sum() for s, w in zip(layer.final_state, final_weights, strict=True)
        )

    loss()
    dx = layer.backward(weights.copy(), final_weights)
    for name, array in layer.values.items():
        np.testing.assert_allclose(
            layer.gradients[name], numerical_gradient(loss, array), atol=1e-7, err_msg=name
        )
    initial = [d.copy() for d in layer.initial_gradient]
    np.testing.assert_allclose(dx, numerical_gradient(loss, x), atol=1e-7)
    for k in range(layer.n_states):
        np.testing.assert_allclose(initial[k], numerical_gradient(loss, state[k]), atol=1e-7)


@pytest.mark.parametrize("layer", recurrent_layers(), ids=[*CELL_NAMES, "relu"])
def test_chunks_with_carried_state_equal_one_long_chunk(layer):
    bind(layer, np.float32)
    x = np.random.default_rng(0).normal(size=(7, 3, 3)).astype(np.float32)
    whole = layer.forward(x).copy()
    first = layer.forward(x[:4]).copy()
    second = layer.forward(x[4:], layer.final_state)
    np.testing.assert_allclose(np.concatenate([first, second]), whole, atol=1e-6)


@pytest.mark.parametrize("layer", recurrent_layers(), ids=[*CELL_NAMES, "relu"])
def test_a_reset_state_equals_that_of_a_new_sequence(layer):
    bind(layer)
    x = np.random.default_rng(0).normal(size=(6, 1, 3))
    keep = np.ones((6, 1))
    keep[4] = 0
    h = layer.forward(x, keep=keep).copy()
    np.testing.assert_allclose(h[4:], layer.forward(x[4:]), atol=1e-14)


@pytest.mark.parametrize("kind", CELL_NAMES)
def test_token_ids_without_embedding_equal_one_hot_vectors(kind):
    rng = np.random.default_rng(0)
    layer = bind(CELLS[kind](5, 4))
    tokens = rng.integers(0, 5, (6, 2))
    weights = rng.normal(size=(6, 2, 4))
    h = layer.forward(np.eye(5)[tokens]).copy()
    layer.backward(weights.copy())
    expected = {k: g.copy() for k, g in layer.gradients.items()}
    np.testing.assert_allclose(layer.forward(tokens), h, atol=1e-14)
    layer.backward(weights.copy())
    for name, gradient in layer.gradients.items():
        np.testing.assert_allclose(gradient, expected[name], atol=1e-13)


def test_extreme_inputs_give_finite_states_and_no_warning():
    for name in CELL_NAMES:
        layer = bind(CELLS[name](1, 4), np.float32)
        h = layer.forward(np.array([[[1e6]], [[-1e6]]], np.float32))
        assert np.isfinite(h).all()
        assert np.isfinite(layer.backward(np.ones_like(h))).all()


def test_mingru_computes_the_equations_of_the_paper():
    rng = np.random.default_rng(3)
    layer = bind(CELLS["mingru"](3, 4))
    for array in layer.values.values():
        array[...] = rng.normal(size=array.shape)
    layer.refresh()
    x, h = rng.normal(size=(70, 2, 3)), rng.normal(size=(2, 4))
    found = layer.forward(x, (h,))
    for t in range(70):
        gate, candidate = np.split(x[t] @ layer.values["input"] + layer.values["bias"], 2, axis=1)
        gate = 1 / (1 + np.exp(-gate))
        h = (1 - gate) * h + gate * candidate
        np.testing.assert_allclose(found[t], h, atol=1e-12)


@pytest.mark.parametrize("steps", [0, 1, 3, 48, 101])
def test_chunked_scan_equals_sequential_scan(steps):
    """Forwards, backwards in time, and in place."""
    rng = np.random.default_rng(steps)
    decay, inputs = rng.uniform(0, 1, (steps, 2, 3)), rng.normal(size=(steps, 2, 3))
    first = rng.normal(size=(2, 3))
    for a, b in ((decay, inputs), (decay[::-1], inputs[::-1])):
        sequential, chunked = np.empty_like(b), b
        sequential_scan(a, b, first, sequential, Workspace())
        h = first
        for t in range(steps):
            h = a[t] * h + b[t]
            np.testing.assert_allclose(sequential[t], h)
        chunked_scan(a, b, first, chunked, Workspace())
        np.testing.assert_allclose(chunked, sequential, rtol=0, atol=1e-13)


def test_relu_cell_is_initialised_to_the_identity():
    layer = bind(Elman(2, 3, relu=True))
    h = layer.forward(np.zeros((50, 1, 2)), (np.array([[1.0, 2.0, 3.0]]),))
    np.testing.assert_array_equal(h[-1], [[1, 2, 3]])


def test_forget_gate_bias_is_initialised_to_one():
    layer = bind(CELLS["lstm"](2, 3))
    np.testing.assert_array_equal(layer.values["bias"][3:6], 1)


def test_softmax_gradient_and_normalisation():
    rng = np.random.default_rng(0)
    layer = bind(Softmax(4, 7, excluded=(1,)))
    layer.values["bias"][...] = rng.normal(size=7)
    h = rng.normal(size=(5, 4))
    targets = np.array([0, 2, 6, 2, 3])
    loss, dh = layer.loss(h, targets, 0.5)

    def value():
        return 0.5 * layer.loss(h, targets, 0.5)[0]

    dh = dh.copy()
    expected = {k: g.copy() for k, g in layer.gradients.items()}
    np.testing.assert_allclose(dh, numerical_gradient(value, h), atol=1e-8)
    for name, array in layer.values.items():
        np.testing.assert_allclose(expected[name], numerical_gradient(value, array), atol=1e-8)
    log_p = layer.log_distribution(h)
    assert (log_p[:, 1] == -np.inf).all()
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1, atol=1e-14)
    np.testing.assert_allclose(layer.log_prob(h, targets), log_p[np.arange(5), targets])
    assert loss == pytest.approx(-log_p[np.arange(5), targets].sum())


def test_softmax_of_huge_logits_is_finite():
    layer = bind(Softmax(1, 3), np.float32)
    layer.values["weight"][...] = [[1e4], [0], [-1e4]]
    loss, dh = layer.loss(np.ones((1, 1), np.float32), np.array([2]), 1.0)
    assert loss == pytest.approx(2e4)
    assert np.isfinite(dh).all()


def test_linear_gradient():
    rng = np.random.default_rng(0)
    layer = bind(Linear(3, 2))
    x, weights = rng.normal(size=(4, 2, 3)), rng.normal(size=(4, 2, 2))

    def value():
        return (layer.forward(x) * weights).sum()

    value()
    dx = layer.backward(weights).copy()
    expected = {k: g.copy() for k, g in layer.gradients.items()}
    np.testing.assert_allclose(dx, numerical_gradient(value, x), atol=1e-8)
    for name, array in layer.values.items():
        np.testing.assert_allclose(expected[name], numerical_gradient(value, array), atol=1e-8)


@pytest.mark.parametrize("size", [10, 1000])
def test_add_rows_sums_repeated_indices(size):
    rng = np.random.default_rng(0)
    index, source = rng.integers(0, size, 500), rng.normal(size=(500, 3))
    target = rng.normal(size=(size, 3))
    expected = target.copy()
    np.add.at(expected, index, source)
    add_rows(target, index, source)
    np.testing.assert_allclose(target, expected, atol=1e-12)


def test_dropout_keeps_the_mean_and_applies_its_mask_to_the_gradient():
    layer = bind(Dropout(0.3), np.float32)
    x = np.ones((50, 20, 100), np.float32)
    y = layer.forward(x, np.random.default_rng(0)).copy()
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.7)}
    assert y.mean() == pytest.approx(1, abs=0.01)
    np.testing.assert_array_equal(layer.backward(np.ones_like(x)), y)
    assert layer.forward(x, None) is x
    assert layer.backward(x) is x


def test_shared_dropout_applies_one_mask_to_all_steps():
    layer = bind(Dropout(0.5, shared_steps=True))
    y = layer.forward(np.ones((6, 4, 10)), np.random.default_rng(0))
    assert (y == y[0]).all()
    assert 0 < (y[0] == 0).mean() < 1
