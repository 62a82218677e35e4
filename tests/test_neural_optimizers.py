"""Optimizers against PyTorch's trajectories, schedules against their definitions."""

from pathlib import Path

import numpy as np
import pytest

from langmodels.errors import UsageError
from langmodels.neural.training.batches import cuts
from langmodels.neural.training.optimizers import OPTIMIZERS, make_optimizer, sum_gradients

DATA = Path(__file__).parent / "data"
SETTINGS = {
    "sgd": ("sgd", 0.1, 0.0),
    "sgd_momentum": ("momentum", 0.1, 0.0),
    "rmsprop": ("rmsprop", 0.01, 0.0),
    "adam": ("adam", 0.01, 0.0),
    "adamw": ("adamw", 0.01, 0.1),
    "adagrad": ("adagrad", 0.1, 0.0),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_trajectory_equals_pytorch(name):
    z = np.load(DATA / "torch_optimizers.npz")
    kind, learning_rate, l2 = SETTINGS[name]
    w = z["w0"].copy()
    optimizer = make_optimizer(kind, len(w), w.dtype, l2)
    for expected in z[f"trajectory.{name}"]:
        optimizer.step(w, z["A"] @ w - z["b"], learning_rate)
        np.testing.assert_allclose(w, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_updates_in_parts_equal_one_update_of_the_whole(kind):
    rng = np.random.default_rng(0)
    whole = rng.normal(size=40_000)
    cut = whole.copy()
    one, two = (make_optimizer(kind, len(whole), whole.dtype, 0.01) for _ in range(2))
    for _ in range(3):
        g = rng.normal(size=len(whole))
        one.step(whole, g.copy(), 0.01)
        two.begin_step()
        for part in cuts(len(cut), 3):
            two.update(cut, g * 2, 0.01, part, factor=0.5)
    np.testing.assert_allclose(cut, whole, rtol=1e-13, atol=1e-15)


def test_l2_is_the_gradient_of_half_the_squared_norm():
    w = np.array([1.0, -2.0])
    make_optimizer("sgd", 2, w.dtype, 0.5).step(w, np.zeros(2), 0.1)
    np.testing.assert_allclose(w, [0.95, -1.9])


def test_unknown_names_raise_usage_errors():
    with pytest.raises(UsageError, match="adam"):
        make_optimizer("adm", 1, float)
    with pytest.raises(UsageError, match="L2"):
        make_optimizer("adam", 1, float, -1.0)


def test_sum_gradients_in_parts_equals_the_whole():
    g, *others = np.random.default_rng(0).standard_normal((3, 100_001))
    expected = g + others[0] + others[1]
    total = sum(sum_gradients(g, others, part) for part in cuts(len(g), 3))
    np.testing.assert_allclose(g, expected)
    assert total == pytest.approx(expected @ expected)
