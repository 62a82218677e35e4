"""Budgets of time: what they become, and that the figures can be had again without them."""

import heapq
from dataclasses import replace

import pytest

from langmodels import presets
from langmodels.cli.main import main
from langmodels.errors import UsageError
from langmodels.evaluation import budgets, compare, running, scale
from langmodels.evaluation.budgets import (
    Speed,
    expected_seconds,
    measure_speeds,
    parse_budget,
    time_slots,
)
from langmodels.evaluation.candidates import make_candidates
from langmodels.evaluation.levels import Material
from langmodels.evaluation.measuring import Plan
from langmodels.evaluation.running import Trial
from langmodels.presets import Setting
from langmodels.text.levels import make_tokenizer
from langmodels.text.splits import Splits

TEXT = "the cat sat on the mat .\nthe dog sat on the log .\na cat ran .\nthe log ran .\n" * 40
PLAN = Plan(growth=(0.5,), contexts=(1,), calibration=5, sample=5)
GRU = "gru:hidden=8:batch_size=4:steps=8"


def test_a_time_or_a_name() -> None:
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
    # 20 s less 2 s of the rest and (500 + 1500) / 5000 s of scoring; a token costs 1 / 1000 s, and
    # 500 / 10,000 / 5000 s of validation: 17.6 / 0.00101 = 17,425.
    assert speed.tokens(20, 10_000, 500, 1500) == 17_000
    assert speed.tokens(2.3, 10_000, 500, 1500) == 0


def test_networks_have_the_time_that_is_left_and_figures_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    speeds = [Speed(20.0, 1e6, 0.0), Speed(20.0, 1e6, 0.0), Speed(20.0, 1e6, 1e6)]
    monkeypatch.setattr(budgets, "measure_speeds", lambda trials, *_: speeds[: len(trials)])
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
    assert limited.options["tokens"] == 610  # 92 of 100 s, shared by three, at 20 a second
    assert found.results.settings["budget"] == "100s"
    assert any("610 tokens of training, at 20 a second" in line for line in said)
    assert "too little" in found.results.failures["lstm hidden=4"]
    once = {label for label, model in models.items() if len(model.growth) == 1}
    assert once == {limited.label, "rnn hidden=4"}
    again = compare([f"{GRU}:tokens=610"], TEXT, plan=PLAN)
    assert again.results.models[0].perplexity == limited.perplexity


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
    monkeypatch.setattr(budgets, "measure_speeds", lambda *_: [Speed(20.0, 1e6, 0.0)])
    monkeypatch.setattr(budgets, "_A_TOKEN", 1.0)
    monkeypatch.setattr(presets, "LONG", 10)
    found = compare(["mkn", "rnn:hidden=4"], TEXT, budget="30s", plan=PLAN)
    assert [len(model.growth) for model in found.results.models] == [1, 1]
    options = {model.label: model.options for model in found.results.models}["rnn hidden=4"]
    assert (options["batch_size"], options["steps"]) == (32, 32)


def test_speed_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "_LONG_ENOUGH", 0.0)
    material = Material(Splits.from_text(TEXT, make_tokenizer("word")))
    candidates = make_candidates([GRU, f"bidirectional-{GRU}"], ["word"], Setting())
    trials = [Trial(candidate, 0) for candidate in candidates]
    gru, cloze = measure_speeds(trials, material, PLAN, 1)
    assert 0 < min(gru.training, gru.scoring, gru.rest) <= gru.scoring < 1e9
    assert gru.rest < 1e3
    assert cloze.training == cloze.scoring > 0


def test_how_long_it_will_take(monkeypatch: pytest.MonkeyPatch) -> None:
    material = Material(Splits.from_text(TEXT, make_tokenizer("word")))
    names = ["mkn", f"{GRU}:epochs=3", f"{GRU}:epochs=1"]
    trials = [Trial(candidate, 0) for candidate in make_candidates(names, ["word"], Setting())]
    speeds = [Speed(100.0, 1000.0, 2.0), Speed(100.0, 1000.0, 2.0)]
    monkeypatch.setattr(budgets, "measure_speeds", lambda *_: speeds)
    assert expected_seconds(trials, material, PLAN, 1) is None, "the text is small"
    monkeypatch.setattr(budgets, "_LARGE", 10)
    parts = material.splits.train, material.splits.validation, material.splits.test
    train, validation, test = (part.n_tokens for part in parts)
    longer, shorter = (
        1.5 * epochs * train / 100 + 2 * (epochs * validation + test) / 1000 + 2
        for epochs in (3, 1)
    )
    assert expected_seconds(trials, material, PLAN, 1) == pytest.approx(longer + shorter, rel=1e-3)
    assert expected_seconds(trials, material, PLAN, 2) == pytest.approx(longer, rel=1e-3)


def test_what_makes_no_sense_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--budget", "10x"]) == 2
    assert "10m" in capsys.readouterr().err
    with pytest.raises(UsageError, match="several sizes"):
        scale(["mkn"], TEXT, budget="10m")
