"""Sweeps are chosen by the validation text alone; seeds are a source of variation."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from langmodels.cli.main import main
from langmodels.errors import UsageError
from langmodels.evaluation import compare, running, scale
from langmodels.evaluation.candidates import make_candidates
from langmodels.evaluation.comparison import Comparison
from langmodels.evaluation.significance import all_pairs
from langmodels.evaluation.statistics import (
    bootstrap_interval,
    effect_size,
    paired_p_value,
    paired_p_values,
    resample,
)
from langmodels.presets import Setting
from langmodels.text.splits import Splits

TEXT = "".join(f"the {a} {b} and the {b} ran .\n" for a in "abcdefgh" for b in "uvwxyz" * 2)

pytestmark = pytest.mark.filterwarnings("ignore::langmodels.ngram.SmoothingWarning")


def test_a_sweep_stands_for_all_its_settings_or_some_drawn() -> None:
    name = "lidstone:order=1|2|3:alpha=0.1|1"
    found = make_candidates([name, "unigram"], ["word"], Setting())
    assert [c.label for c in found] == [
        *(f"lidstone order={n} alpha={a}" for n in (1, 2, 3) for a in (0.1, 1)),
        "unigram",
    ]
    assert {c.sweep.settings for c in found if c.sweep} == {6}
    drawn = [c.label for c in make_candidates([name], ["word"], Setting(seed=4), 3)]
    assert len(drawn) == 3
    assert set(drawn) < {c.label for c in found}
    assert drawn == [c.label for c in make_candidates([name], ["word"], Setting(seed=4), 3)]
    assert len(make_candidates([name], ["word"], Setting(), 100)) == 6
    for wrong in ("mkn:order=2|", "mkn:order|2", "mkn:ordr=2|3"):
        with pytest.raises(UsageError):
            make_candidates([wrong], ["word"], Setting())
    with pytest.raises(UsageError, match="is a sweep"):
        scale(["mkn:order=2|3"], TEXT)
    many = ":".join(["lidstone", *(f"order={'|'.join(map(str, range(1, 40)))}" for _ in range(2))])
    with pytest.raises(UsageError, match="draw some"):
        make_candidates([many], ["word"], Setting())


def test_the_setting_is_chosen_by_validation_loss_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the test text likes another setting best, that one is not taken."""
    train, validation = TEXT[:1500], TEXT[1500:2200]
    test = "the a u ran ran ran .\nran the ran u .\n" * 20  # n-grams are of no use here
    splits = Splits.from_parts(([train], [validation], [test]), "word", how="by hand")
    models = ["unigram", "lidstone:order=1|2|3:alpha=0.1"]
    found = compare(models, splits, cache=tmp_path).results
    (sweep,) = found.sweeps
    assert sweep.settings == len(sweep.tries) == 3
    tried = [t.validation.perplexity for t in sweep.tries]
    assert tried == sorted(tried)
    assert [t.chosen for t in sweep.tries] == [True, False, False]
    assert min(sweep.tries, key=lambda t: t.perplexity) is not sweep.tries[0]
    assert sweep.tries[0].options == {"order": 2}
    assert {m.label for m in found.models} == {"unigram", "lidstone order=2 alpha=0.1"}
    for model in found.models:
        assert model.validation is not None
        fresh = [t for t in sweep.tries if t.label == model.label]
        assert all(t.validation == model.validation for t in fresh)
    shown = str(Comparison(found).to_json())
    assert "validation" in shown

    def never(*_: Any) -> Any:
        raise AssertionError("measured again")

    monkeypatch.setattr(running, "measure", never)
    again = compare(["lidstone:order=1|2|3:alpha=0.1"], splits, cache=tmp_path).results
    assert again.sweeps[0].tries == sweep.tries  # resumed, nothing was trained


def test_the_command_says_how_many_were_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    base = ["compare", "--corpus", str(tmp_path / "a.txt"), "--no-cache"]
    sweep = ["--models", "unigram,lidstone:order=1|2|3:alpha=0.1|1", "--random", "4"]
    report = str(tmp_path / "out.md")
    assert main([*base, *sweep, "--against", "all", "--report", report]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "4 of its 6 settings, drawn at random, were trained" in shown
    assert "the best of 4 settings on the validation text" in shown
    assert "All pairs" in shown
    assert "would show four times in five" in shown
    assert "Settings tried" in Path(report).read_text()
    assert main([*base, "--models", "unigram", "--random", "2"]) == 2
    capsys.readouterr()
    assert main([*base, "--models", "unigram,mkn", "--against", "all", "--json", "-q"]) == 0
    (test,) = json.loads(capsys.readouterr().out)["tests"]
    assert test["detectable"] > 0
    assert test["effect_interval"][0] < test["effect"] < test["effect_interval"][1]


def test_several_seeds_widen_intervals_and_change_nothing_else() -> None:
    rng = np.random.default_rng(1)
    blocks = rng.gamma(2, 1, 100)
    one = bootstrap_interval(blocks)
    alike = bootstrap_interval(np.array([blocks, blocks, blocks]))
    assert alike == pytest.approx(one, rel=1e-6)
    apart = bootstrap_interval(blocks + np.array([[-0.5], [0.0], [0.5]]))
    assert apart[0] < one[0] - 0.3
    assert apart[1] > one[1] + 0.3
    assert all(map(math.isnan, bootstrap_interval(np.array([[1.0, math.inf], [1.0, 1.0]]))))


def test_the_hierarchical_bootstrap_covers_the_truth() -> None:
    # 60 trials put a true coverage of 95 % at 52 or more but for one time in a hundred.
    rng = np.random.default_rng(2)
    held = wrong = 0
    for trial in range(60):
        shared = rng.gamma(2, 1, 60)
        pair = [shared + rng.normal(0, 0.5, 60) + rng.normal(0, 0.1, (3, 1)) for _ in range(2)]
        found = resample(pair, (-1.0, 1.0), np.ones(60), seed=trial)
        assert found is not None
        low, high = found.interval()
        held += low <= 0 <= high
        wrong += found.p_value() < 0.05
        assert (found.p_value() < 0.05) == (not low <= 0 <= high) or abs(low * high) < 1e-3
    assert held >= 52
    assert wrong <= 8


@pytest.mark.parametrize("n_seeds", [2, 3, 5])
def test_seeds_that_differ_more_than_blocks_give_the_interval_of_student(n_seeds: int) -> None:
    """Resamples of two or three seeds are a few values, within which t's tails do not lie."""
    rng = np.random.default_rng(n_seeds)
    starts = rng.normal(size=n_seeds)
    losses = 5 + starts[:, None] + 0.001 * rng.normal(size=60)
    low, high = bootstrap_interval(losses)
    error = starts.std(ddof=1) / math.sqrt(n_seeds)
    t = {2: 12.706, 3: 4.303, 5: 2.776}[n_seeds]
    assert (low + high) / 2 == pytest.approx(5 + starts.mean(), abs=0.2 * t * error)
    assert (high - low) / 2 == pytest.approx(t * error, rel=0.1)


@pytest.mark.parametrize("n_seeds", [2, 3])
def test_what_differs_far_more_than_seeds_do_is_told_apart(n_seeds: int) -> None:
    rng = np.random.default_rng(6)
    shared = rng.gamma(2, 1, 60)
    starts = np.array([-0.02, 0.02, 0.0])[:n_seeds, None]
    pair = [shared + starts, (shared + rng.normal(0.5, 0.002, 60))[None]]
    found = resample(pair, (-1.0, 1.0), np.ones(60))
    assert found is not None
    # t = 0.5 / 0.02 with one degree of freedom, 0.5 / (0.02 / sqrt(3)) with two.
    assert found.p_value() == pytest.approx({2: 0.0255, 3: 0.000533}[n_seeds], rel=0.25)


def test_effect_size_and_detectable_difference_of_a_normal_sample() -> None:
    rng = np.random.default_rng(3)
    differences = rng.normal(0.5, 1.0, 400)
    effect, (low, high) = effect_size(differences)
    assert effect == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert low < effect < high
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt((1 + 0.5**2 / 2) / 400), rel=0.15)
    found = resample([differences[None]])
    assert found is not None
    assert found.detectable() == pytest.approx((1.96 + 0.84) / 20, rel=0.1)
    assert math.isnan(effect_size(np.full(7, 0.1))[0])
    assert math.isnan(effect_size(np.zeros(3))[0])


def test_the_effect_has_the_sign_of_the_difference() -> None:
    """Nine short documents against one long one; by hand, weighted by their sizes."""
    sums, sizes = np.array([*[1.0] * 9, -90.0]), np.array([*[10.0] * 9, 210.0])
    mean = -81 / 300
    variance = (90 * (0.1 - mean) ** 2 + 210 * (-90 / 210 - mean) ** 2) / 300 * 10 / 9
    effect, (low, high) = effect_size(sums, sizes)
    assert effect == pytest.approx(mean / math.sqrt(variance))
    assert -10 < low < effect < high < 10
    even, bounds = effect_size(sums, np.full(10, 7.0))
    plain, plain_bounds = effect_size(sums / 7)
    assert (even, *bounds) == pytest.approx((plain, *plain_bounds))


def test_pairs_are_tested_together_as_they_are_one_by_one() -> None:
    rng = np.random.default_rng(4)
    differences = rng.normal(0.1, 1.0, (4, 30))
    together = paired_p_values(differences, seed=5)
    assert together.tolist() == [paired_p_value(d, seed=5) for d in differences]
    ranked = [(name, rng.gamma(2, 1 + k, 40)) for k, name in enumerate("abc")]
    tests = all_pairs(ranked, np.ones(40))
    assert [(t.better, t.worse) for t in tests] == [("a", "b"), ("a", "c"), ("b", "c")]
    raw = sorted(t.p for t in tests)
    assert min(t.corrected for t in tests) == pytest.approx(min(1, 3 * raw[0]))
