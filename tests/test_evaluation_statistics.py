"""Intervals, tests and exponents against known answers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langmodels.evaluation.significance import neighbour_tests
from langmodels.evaluation.statistics import (
    BlockSums,
    Exponent,
    Places,
    block_edges,
    block_sums,
    bootstrap_interval,
    growth_exponent,
    holm,
    paired_p_value,
)


@given(st.lists(st.floats(0, 20), min_size=1, max_size=60), st.integers(1, 5))
def test_block_sums_add_up_to_the_total(costs: list[float], width: int) -> None:
    ends = np.arange(1, len(costs) + 1) * width
    edges = block_edges(int(ends[-1]))
    sums = block_sums(np.array(costs), ends, edges)
    assert len(sums) == len(edges) - 1
    assert sums.sum() == pytest.approx(sum(costs))


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.floats(0, 9, allow_subnormal=False)),
        min_size=1,
        max_size=60,
    ),
    st.integers(1, 7),
    st.integers(1, 60),
    st.integers(1, 60),
)
def test_block_sums_do_not_depend_on_how_costs_are_cut_in_pieces(
    targets: list[tuple[int, float]], blocks: int, one: int, other: int
) -> None:
    widths, costs = zip(*targets, strict=True)
    ends, paid = np.cumsum(widths), np.array(costs)
    edges = np.linspace(0, ends[-1], blocks + 1)
    whole = np.interp(edges, np.append(0, ends), np.append(0, np.cumsum(paid)))
    places = Places(edges, (ends[k : k + one] for k in range(0, len(ends), one)))
    found = BlockSums(places)
    for k in range(0, len(paid), other):
        found.add(paid[k : k + other])
    whole[0] = 0  # the first targets may take up no characters
    assert found.sums.tolist() == np.diff(whole).tolist()
    assert found.sums.sum() == pytest.approx(sum(costs))
    counted = np.interp(edges, np.append(0, ends), np.arange(len(ends) + 1))
    counted[0] = 0
    assert places.sizes.tolist() == np.diff(counted).tolist()


def test_a_target_across_an_edge_is_divided_in_proportion() -> None:
    sums = block_sums(np.array([4.0, 2.0]), np.array([8, 10]), np.array([0.0, 2.0, 10.0]))
    assert sums.tolist() == pytest.approx([1.0, 5.0])


def test_the_interval_of_a_mean_is_close_to_the_normal_one() -> None:
    values = np.random.default_rng(1).normal(5.0, 2.0, 400)
    low, high = bootstrap_interval(values)
    half = 1.96 * values.std() / math.sqrt(400)
    assert low == pytest.approx(values.mean() - half, abs=0.03)
    assert high == pytest.approx(values.mean() + half, abs=0.03)
    assert bootstrap_interval(values) == (low, high)


def test_intervals_cover_the_true_mean_as_often_as_they_should() -> None:
    # Skewed values, as losses are: exponential ones with mean 1. 200 trials put a true coverage
    # of 95 % between 90 and 99 % but for one time in thousands.
    rng = np.random.default_rng(3)
    bounds = [bootstrap_interval(rng.exponential(size=100), seed=i) for i in range(200)]
    covered = sum(low <= 1.0 <= high for low, high in bounds)
    assert 0.9 <= covered / 200 <= 0.99


def test_infinite_losses_and_single_blocks_have_no_interval() -> None:
    for values in (np.array([1.0]), np.array([1.0, math.inf])):
        assert all(map(math.isnan, bootstrap_interval(values)))


def test_paired_p_values_of_known_cases() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, 200)
    assert paired_p_value(noise - noise.mean() + 1.0) == pytest.approx(1e-4)
    assert paired_p_value(np.zeros(200)) == 1.0
    # By symmetry the p of (1, 1, 1) is the share of sign vectors with |sum| >= 3: 2 of 8.
    assert paired_p_value(np.ones(3)) == pytest.approx(0.25, abs=0.02)


def test_paired_p_values_are_uniform_where_nothing_differs() -> None:
    rng = np.random.default_rng(5)
    p = np.array([paired_p_value(rng.normal(size=25), seed=i) for i in range(100)])
    assert 0.35 < np.mean(p < 0.5) < 0.65
    assert np.mean(p < 0.05) < 0.13


def test_holm_corrects_known_p_values() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_growth_exponents_and_their_errors_are_those_of_a_regression() -> None:
    x = [1.0, 2.0, 4.0, 8.0]
    exact = growth_exponent(x, [3 * v**1.5 for v in x])
    assert exact.value == pytest.approx(1.5)
    assert exact.error == pytest.approx(0.0, abs=1e-9)
    assert math.isnan(growth_exponent([1, 2], [1, 2]).error)
    assert math.isnan(growth_exponent([2, 2, 2], [1, 2, 3]).value)
    # Slope and standard error of a hand-worked regression of ln y = (0, 1, 1) on ln x = (0, 1, 2).
    rough = growth_exponent(np.exp([0.0, 1.0, 2.0]).tolist(), np.exp([0.0, 1.0, 1.0]).tolist())
    assert rough.value == pytest.approx(0.5)
    assert rough.error == pytest.approx(math.sqrt(1 / 6 / 2))
    assert str(rough) == "0.50 ± 0.29"
    assert str(Exponent(-0.001, 0.0)) == "0.00 ± 0.00"


def test_differences_within_rounding_are_not_significant() -> None:
    sizes = np.full(50, 10.0)
    for each, p in ((1e-7, 1.0), (1e-3, 0.0)):
        (found,) = neighbour_tests([("a", np.zeros(50)), ("b", each * sizes)], sizes)
        assert found.corrected == pytest.approx(p, abs=0.002)
