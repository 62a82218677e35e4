"""`langmodels models`: all models, and all options of one."""

import json

import pytest

from langmodels.cli.main import main
from langmodels.presets import BUDGETS, SIZES, Setting
from langmodels.registry import ALL_MODELS, CLOZE_MODELS, MODELS, PAIR_MODELS
from langmodels.text.levels import TOKENIZERS

NAMES = [name for registry in ALL_MODELS.values() for name in registry]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """What a command line prints."""
    monkeypatch.setenv("COLUMNS", "120")

    def call(*arguments: str) -> str:
        assert main(list(arguments)) == 0
        return capsys.readouterr().out

    return call


def test_all_models_are_listed(run) -> None:
    listed = json.loads(run("models", "--json"))
    assert [entry["name"] for entry in listed] == NAMES
    assert {*MODELS, *CLOZE_MODELS, *PAIR_MODELS} == set(NAMES)
    text = run("models")
    for entry in listed:
        assert f" {entry['name']} " in text
        assert entry["family"]
        assert entry["summary"]
        assert not entry["error"]
    assert "also kn" in text


@pytest.mark.parametrize("name", NAMES)
def test_all_options_of_a_model_are_listed(run, name: str) -> None:
    spec = next(registry[name] for registry in ALL_MODELS.values() if name in registry)
    report = json.loads(run("models", name, "--json"))
    assert [option["name"] for option in report["options"]] == list(spec.parameters)
    text = run("models", name)
    for option in report["options"]:
        assert f" {option['name']} " in text
        assert option["meaning"]
        assert option["type"]
        assert set(option["values"]) == set(TOKENIZERS)
        for level, by_budget in option["values"].items():
            for budget in BUDGETS:
                used = spec.options(Setting(level, budget=budget))[option["name"]]
                assert by_budget[budget] == (list(used) if isinstance(used, tuple) else used)
        assert list(option["long"]) == [str(size.words) for size in SIZES[1:]]
        for size in SIZES[1:]:
            used = spec.options(Setting("word", tokens=size.words))[option["name"]]
            found = option["long"][str(size.words)]["word"]["standard"]
            assert found == (list(used) if isinstance(used, tuple) else used)
        standard = option["values"]["word"]["standard"]
        assert standard == option["default"]


def test_defaults_that_depend_on_the_setting_are_said(run) -> None:
    lines = [line.split() for line in run("models", "lstm").splitlines()]
    assert ["hidden", "all", "64", "128", "256"] in lines
    assert ["word,", "whitespace", "0.02", "0.02", "0.01"] in lines
    assert ["option", "budget", *(f"{size.words:,}" for size in SIZES)] in lines
    assert ["batch_size", "all", *(str(size.batch_size) for size in SIZES)] in lines
    assert ["hidden", "128", "whole", "number", "units", "in", "each", "layer"] in lines


def test_what_was_meant_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "ltsm"]) == 2
    assert "did you mean lstm" in capsys.readouterr().err
    assert main(["train", "--corpus", "x.txt", "--model", "lstm:hiden=3", "-o", "m.lm"]) == 2
    assert "The model lstm has no option 'hiden'; did you mean hidden?" in capsys.readouterr().err
