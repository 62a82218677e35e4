"""`langmodels models`: all models, and all options of one."""

import json
from pathlib import Path

import pytest

from langmodels import load, presets
from langmodels.cli.main import main
from langmodels.presets import BUDGETS, SIZES, Setting, Size
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


def test_defaults_follow_the_length_of_the_text(
    run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In every command alike, and what a name says stays."""
    monkeypatch.setattr(presets, "SIZES", (Size(0), Size(100, 1, 0.6, 8, 4)))
    monkeypatch.chdir(tmp_path)
    Path("short.txt").write_text("the cat sat on the mat .\n" * 12)
    Path("long.txt").write_text("the cat sat on the mat .\nthe dog sat on a log .\n" * 60)
    orders = {}
    for text in ("short", "long"):
        run("train", "--corpus", f"{text}.txt", "--output", f"{text}.lm")
        orders[text] = load(f"{text}.lm").context_length
    assert orders == {"short": 3, "long": 4}
    run("train", "--corpus", "long.txt", "--output", "disk.lm", "--memory", "1G")
    assert Path("disk.lm").read_bytes() == Path("long.lm").read_bytes()
    names = "mkn,mkn:order=2,rnn:hidden=4,rnn:hidden=4:epochs=2"
    line = ("compare", "--corpus", "long.txt", "--models", names, "--no-cache", "--jobs", "1")
    found = json.loads(run(*line, "--json"))
    options = {model["label"]: model["options"] for model in found["models"]}
    assert options["modified-kneser-ney"]["order"] == 5
    assert options["modified-kneser-ney order=2"]["order"] == 2
    rnn, own = options["rnn hidden=4"], options["rnn hidden=4 epochs=2"]
    assert (rnn["epochs"], rnn["batch_size"], rnn["steps"]) == (3, 8, 4)
    assert (own["epochs"], own["batch_size"], own["steps"]) == (2, 8, 4)
    said = "Defaults of texts of 100 words and more: n-grams of order 5; recurrent networks of 128"
    assert said in " ".join(run(*line).split())
    by_character = run("compare", "--corpus", "short.txt", "--models", "mkn", "--level", "char")
    assert "Defaults of" not in by_character, "243 characters count as 60 words"


def test_similar_names_are_suggested_for_unknown_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "ltsm"]) == 2
    assert "did you mean lstm" in capsys.readouterr().err
    assert main(["train", "--corpus", "x.txt", "--model", "lstm:hiden=3", "-o", "m.lm"]) == 2
    assert "The model lstm has no option 'hiden'; did you mean hidden?" in capsys.readouterr().err
