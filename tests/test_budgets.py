"""Budgets of time: what they become, and that the figures can be had again without them."""

import heapq
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from langmodels import presets, progress
from langmodels.cli.main import main
from langmodels.errors import LangmodelsError, UsageError
from langmodels.evaluation import budgets, compare, running, scale
from langmodels.evaluation.budgets import parse_budget, time_slots
from langmodels.evaluation.candidates import Trial, make_candidates
from langmodels.evaluation.forecast import Forecast, Work
from langmodels.evaluation.levels import Material
from langmodels.evaluation.measuring import Plan, Run, measure
from langmodels.evaluation.running import forecast_of
from langmodels.evaluation.speeds import Speed, expected_times, measure_speeds
from langmodels.presets import Setting
from langmodels.text.levels import make_tokenizer
from langmodels.text.splits import Splits

TEXT = "the cat sat on the mat .\nthe dog sat on the log .\na cat ran .\nthe log ran .\n" * 40
PLAN = Plan(growth=(0.5,), contexts=(1,), calibration=5, sample=5)
GRU = "gru:hidden=8:batch_size=4:steps=8"


def measure_as(monkeypatch: pytest.MonkeyPatch, speeds: Callable[..., list[Speed]]) -> None:
    """Whoever has speeds measured gets these."""
    for user in ("budgets", "speeds"):
        monkeypatch.setattr(f"langmodels.evaluation.{user}.measure_speeds", speeds)


def test_a_budget_is_a_name_or_a_time_with_a_unit() -> None:
    assert [parse_budget(b) for b in ("quick", "90s", "10m", "1.5h")] == [None, 90, 600, 5400]
    for text in ("10", "0m", "10 m", "-1m", "fast", "nan"):
        with pytest.raises(UsageError, match="10m"):
            parse_budget(text)


@pytest.mark.parametrize(("n", "jobs"), [(1, 4), (6, 2), (7, 2), (7, 3), (3, 1)])
def test_slots_keep_every_process_busy_to_the_end(n: int, jobs: int) -> None:
    slots = time_slots(60.0, n, jobs)
    free = [0.0] * min(n, jobs)
    for slot in slots:  # the next trial goes to the process that is free first
        heapq.heapreplace(free, free[0] + slot)
    assert len(slots) == n
    assert free == pytest.approx([60.0] * min(n, jobs))


def test_tokens_of_training_are_what_the_time_leaves() -> None:
    speed = Speed(training=1000, scoring=5000, rest=2)
    # 20 s less 2 s of the rest and 2 * 1500 / 5000 s of the test text; an epoch costs 10 s and
    # 500 / 5000 s of validation, the second one has 17.4 - 10.1 - 0.1 s.
    assert speed.tokens(20, 10_000, 500, 1500) == 17_000
    assert speed.tokens(2.6, 10_000, 500, 1500) == 0
    # A part of an epoch ends with as much validation as a whole one.
    assert speed.tokens(7.7, 10_000, 10_000, 1500) == 3_100
    assert speed.tokens(4.6, 10_000, 10_000, 1500) == 0
    assert speed.tokens(15, 10_000, 10_000, 1500) == 10_000
    assert replace(speed, again=True).tokens(7.7, 10_000, 10_000, 1500) == 1_100


def test_networks_have_the_time_that_is_left_and_figures_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    speeds = [Speed(20.0, 1e6, 0.0), Speed(20.0, 1e6, 0.0), Speed(20.0, 1e6, 1e6)]
    measure_as(monkeypatch, lambda trials, *_: speeds[: len(trials)])
    monkeypatch.setattr(budgets.time, "monotonic", lambda: 0.0)
    own = f"{GRU}:tokens=900"
    said: list[str] = []
    monkeypatch.setattr(budgets, "say", said.append)
    names = ["mkn", GRU, own, "rnn:hidden=4", "lstm:hidden=4"]
    found = compare(names, TEXT, budget="100s", plan=PLAN)
    models = {model.label: model for model in found.results.models}
    assert set(models) == {
        "modified-kneser-ney",
        "gru hidden=8 batch_size=4 steps=8",
        "gru hidden=8 batch_size=4 steps=8 tokens=900",
        "rnn hidden=4",
    }
    limited = models["gru hidden=8 batch_size=4 steps=8"]
    # 97 of 100 s at 20 a second, shared by two, as the third is left out.
    assert limited.options["tokens"] == 960
    assert found.results.settings["budget"] == "100s"
    assert any("960 tokens of training, at 20 a second" in line for line in said)
    assert "too little" in found.results.failures["lstm hidden=4"]
    once = {label for label, model in models.items() if len(model.growth) == 1}
    assert once == {limited.label, "rnn hidden=4"}
    again = compare([f"{GRU}:tokens=960"], TEXT, plan=PLAN)
    assert again.results.models[0].perplexity == limited.perplexity


def test_a_network_that_others_contain_has_one_share(monkeypatch: pytest.MonkeyPatch) -> None:
    measure_as(monkeypatch, lambda trials, *_: [Speed(20.0, 1e9, 0.5)] * len(trials))
    monkeypatch.setattr(budgets.time, "monotonic", lambda: 0.0)
    given: list[tuple[list[str], list[float]]] = []

    def run(trials: Sequence[Trial], *_: Any, expected: list[Work], **options: Any) -> Any:
        seconds = [work.seconds for work in expected]
        given.append(([trial.candidate.name for trial in trials], seconds))
        assert all(trial.candidate.options["tokens"] > 500 for trial in trials)
        return {}, dict.fromkeys(range(len(trials)), LangmodelsError("not run"))

    monkeypatch.setattr(budgets, "run_trials", run)
    material = Material(Splits.from_text(TEXT, make_tokenizer("word")))

    def planned(names: list[str], jobs: int) -> tuple[list[str], list[float]]:
        trials = [Trial(each, 0) for each in make_candidates(names, ["word"], Setting())]
        budgets.run_within(100.0, trials, material, PLAN, jobs=jobs)
        return given[-1]

    lstm, mixture, rnn = "lstm:hidden=4", "mixture:hidden=4:order=2", "rnn:hidden=4"
    names = [mixture, "gru:hidden=4", lstm, rnn, "dynamic:hidden=4"]
    order = ["lstm", "gru", "rnn", "mixture", "dynamic"]
    assert planned(names, 1) == (order, pytest.approx([32.0, 32.0, 32.0, 0.5, 0.5]))
    assert planned(names, 2) == (order, pytest.approx([48.25, 96.5, 48.25, 0.5, 0.5]))
    # Here no process trains another network after the LSTM, and the mixture could not wait for it.
    assert planned([lstm, mixture, rnn], 2)[1] == pytest.approx([48.5, 97.0, 48.5])
    assert planned([lstm, mixture], 1)[1] == pytest.approx([96.5, 0.5])


@pytest.mark.parametrize(
    ("names", "ends"), [(["mkn", GRU], [100.0, None]), (["mkn"], [None]), ([GRU], [None])]
)
def test_time_left_is_that_of_the_budget_only_while_networks_are_to_come(
    monkeypatch: pytest.MonkeyPatch, names: list[str], ends: list[float | None]
) -> None:
    measure_as(monkeypatch, lambda *_: [Speed(20.0, 1e6, 0.0)])
    monkeypatch.setattr(budgets.time, "monotonic", lambda: 0.0)
    given: list[float | None] = []

    def run(*trials: Any, until: float | None, **options: Any) -> Any:
        given.append(until)
        return running.run_trials(*trials, until=until, **options)

    monkeypatch.setattr(budgets, "run_trials", run)
    compare(names, TEXT, budget="100s", plan=PLAN)
    assert given == ends


def test_what_is_finished_stands_in_a_table_while_networks_are_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    monkeypatch.setattr(running, "say", said.append)
    names = [f"{GRU}:epochs=1", "unigram", "mkn:order=3"]
    compare(names, TEXT, plan=replace(PLAN, growth=()), jobs=1)
    assert not [line for line in said if "So far" in line], "no network is left"
    said.clear()
    compare([*names[1:], names[0]], TEXT, plan=replace(PLAN, growth=()), jobs=1)
    begin = said.index("So far, 2 models, best first:")
    ranked = [line.split()[0] for line in said[begin + 1 : begin + 3]]
    assert ranked == ["modified-kneser-ney", "unigram"]
    assert any(line.startswith("gru") for line in said[begin + 3 :])


def test_a_large_text_leaves_growth_out_and_has_larger_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measure_as(monkeypatch, lambda *_: [Speed(20.0, 1e6, 0.0)])
    monkeypatch.setattr("langmodels.evaluation.speeds._WORTH_IT", 10)
    monkeypatch.setattr(presets, "SIZES", (presets.Size(0), presets.Size(9, 1, 0.6, 32, 32)))
    found = compare(["mkn", "rnn:hidden=4"], TEXT, budget="30s", plan=PLAN)
    assert [len(model.growth) for model in found.results.models] == [1, 1]
    options = {model.label: model.options for model in found.results.models}["rnn hidden=4"]
    assert (options["batch_size"], options["steps"]) == (32, 32)


def test_speed_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("langmodels.evaluation.speeds._LONG_ENOUGH", 0.0)
    material = Material(Splits.from_text(TEXT, make_tokenizer("word")))
    candidates = make_candidates([GRU, f"bidirectional-{GRU}"], ["word"], Setting())
    trials = [Trial(candidate, 0) for candidate in candidates]
    gru, cloze = measure_speeds(trials, material, PLAN, 1)
    assert 0 < min(gru.training, gru.scoring, gru.rest) <= gru.scoring < 1e9
    assert gru.rest < 1e3
    assert cloze.training == cloze.scoring > 0
    assert not gru.again, "training has scored the validation text"


def test_a_budget_counts_from_when_the_text_was_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    measure_as(monkeypatch, lambda *_: [Speed(20.0, 1e6, 0.0)])
    monkeypatch.setattr(budgets.time, "monotonic", lambda: 100.0)
    found = compare([GRU], TEXT, budget="100s", plan=PLAN, began=75.0)
    # Of 75 s that are left the tables have 0.4 of the 25 that are gone.
    assert found.results.models[0].options["tokens"] == 1200  # 97 % of 65 s at 20 a second
    with pytest.raises(LangmodelsError, match="nothing of the budget is left"):
        compare([GRU], TEXT, budget="100s", plan=PLAN, began=0.0)


def test_what_training_found_of_the_validation_text_is_not_worked_out_again() -> None:
    material = Material(Splits.from_text(TEXT, make_tokenizer("word")))
    names = [f"{GRU}:epochs=3:average=0.9", "transformer:width=8:epochs=2", "cache:order=2"]
    for candidate in make_candidates(names, ["word"], Setting()):
        run = measure(Trial(candidate, 0), material.at("word"), replace(PLAN, growth=()))
        assert isinstance(run, Run)
        splits = material.at("word").splits
        model: Any = candidate.make(0).fit(splits.train, splits.validation)
        assert run.validation == pytest.approx(model.cross_entropy(splits.validation), rel=1e-9)


@pytest.mark.filterwarnings("error")
def test_the_beginning_of_a_text_is_not_warned_of() -> None:
    """It is measured before anything is said, and the whole text may have what it lacks."""
    material = Material(Splits.from_text(TEXT, make_tokenizer("word")))
    trials = [Trial(each, 0) for each in make_candidates(["absolute", "mkn"], ["word"], Setting())]
    assert all(speed.training > 0 for speed in measure_speeds(trials, material, PLAN, 1))


def test_how_long_it_will_take(monkeypatch: pytest.MonkeyPatch) -> None:
    material = Material(Splits.from_text(TEXT, make_tokenizer("word")))
    names = ["mkn", f"{GRU}:epochs=3", f"{GRU}:epochs=1"]
    trials = [Trial(candidate, 0) for candidate in make_candidates(names, ["word"], Setting())]
    speeds = [Speed(400.0, 1000.0, 1.0, again=True), *[Speed(100.0, 1000.0, 2.0)] * 2]
    measure_as(monkeypatch, lambda *_: speeds)
    usual, measured = expected_times(trials, material, PLAN, 1)
    assert not measured, "the text is small"
    assert usual[1].seconds > usual[2].seconds
    monkeypatch.setattr("langmodels.evaluation.speeds._WORTH_IT", 10)
    found, measured = expected_times(trials, material, PLAN, 1)
    assert measured
    parts = material.splits.train, material.splits.validation, material.splits.test
    train, validation, test = (part.n_tokens for part in parts)
    scored = 3 * test / 1000  # for both sizes of the training text, and calibration
    counted = 1.5 * train / 400 + (2 * test + validation) / 1000 + 1
    longer, shorter = (
        1.5 * epochs * train / 100 + 2 * epochs * validation / 1000 + scored + 2
        for epochs in (3, 1)
    )
    assert [work.seconds for work in found] == pytest.approx([counted, longer, shorter])
    half, whole = (longer - scored - 2 - 6 * validation / 1000) / 3 * np.array([1, 2])
    assert found[1].told == pytest.approx([t + 3 * validation / 1000 for t in (half, whole)])
    assert not found[0].told
    limited = make_candidates([f"{GRU}:tokens=1000"], ["word"], Setting())
    network = Trial(limited[0], 0)
    measure_as(monkeypatch, lambda *_: speeds[1:2])
    ((work,), _) = expected_times([network], material, PLAN, 1)
    epochs = [-(-1000 // n) for n in (train / 2, train)]  # of as many tokens, whatever the text
    assert work.told == pytest.approx([10 + n * validation / 1000 for n in epochs])
    one, two = (forecast_of(found, trials, jobs).left() for jobs in (1, 2))
    assert one == pytest.approx(counted + longer + shorter, rel=1e-3)
    assert two == pytest.approx(max(longer, counted + shorter), rel=1e-3), "the longest is first"


def test_time_left_is_said_by_what_is_heard_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar is in seconds: those behind, and those that the forecast gives."""
    out = io.StringIO()
    monkeypatch.setattr(progress.Lines, "SILENCE", (0.05, 0.05))
    monkeypatch.setattr("langmodels.evaluation.speeds._WORTH_IT", 10)
    speeds = [Speed(1e5, 1e5, 0.0), Speed(1e3, 1e5, 0.0)]
    measure_as(monkeypatch, lambda *_: speeds)
    heard: list[tuple[int, str, float]] = []
    reach = Forecast.reach

    def noted(self: Forecast, i: int, stage: str, share: float) -> None:
        heard.append((i, stage, share))
        reach(self, i, stage, share)

    monkeypatch.setattr(Forecast, "reach", noted)
    progress.enable(Console(file=out, width=100))
    try:
        compare(["mkn", f"{GRU}:epochs=2"], TEXT * 3, plan=PLAN)
    finally:
        progress.enable(None)
    assert re.search(r"^About [\d.]+ s, if no network stops early\.$", out.getvalue(), re.MULTILINE)
    assert {i for i, *_ in heard} == {1}, "the second of the trials trains"
    # On half of the text, and on all; quick training is repeated.
    assert len({stage for _, stage, _ in heard}) >= 2
    assert heard[-1][2] == 1.0


def test_what_makes_no_sense_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--budget", "10x"]) == 2
    assert "10m" in capsys.readouterr().err
    with pytest.raises(UsageError, match="several sizes"):
        scale(["mkn"], TEXT, budget="10m")
