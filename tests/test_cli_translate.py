"""`langmodels translate` on the command line."""

import json
from dataclasses import replace

import pytest

from langmodels.cli.main import main
from langmodels.datasets.pairs import PublishedResult
from langmodels.datasets.tasks import TASKS, make_task

TINY = "encoder-decoder:hidden=16:epochs=25:batch_size=16:learning_rate=0.01"


@pytest.fixture
def trained(tmp_path, capsys):
    path = str(tmp_path / "numbers.lm")
    task = "numbers?size=50&digits=2"
    assert main(["translate", path, "--task", task, "--train", "--model", TINY, "--json"]) == 0
    return path, json.loads(capsys.readouterr().out)


def test_trains_counts_and_translates(trained, capsys):
    path, report = trained
    assert report["training"]["epochs"] >= 4
    test = report["test"]
    assert sum(g["pairs"] for g in test["by_length"]) == test["pairs"] == 5
    assert 0 <= test["sequence_error_rate"] <= 1
    arguments = ["--task", "numbers?size=50&digits=2", "--width", "3"]
    assert main(["translate", path, *arguments]) == 0
    assert "wrong targets" in capsys.readouterr().out
    sources = ["twenty one", "six", "twenty one"]
    assert main(["translate", path, *sources, "--json", "-k", "2"]) == 0
    found = json.loads(capsys.readouterr().out)["translations"]
    assert [f["source"] for f in found] == sources
    assert all(len(f["targets"]) == 2 for f in found)
    draws = ["translate", path, "twenty one", "--sample", "-k", "4", "--seed", "3", "--json"]
    assert main(draws) == 0
    first = json.loads(capsys.readouterr().out)["translations"][0]["targets"]
    assert len(first) == 4
    assert all(target["log_prob"] < 0 for target in first)
    assert main(draws) == 0
    assert json.loads(capsys.readouterr().out)["translations"][0]["targets"] == first
    assert main(["translate", path, "twenty one"]) == 0
    assert capsys.readouterr().out.strip().isdigit()


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        ([], 2, "Give a text"),
        (["--train"], 2, "--task"),
        (["six"], 1, "There is no file"),
        (["--task", "cooking"], 2, "no task"),
        (["--task", "numbers?size=50&digits=2", "--train", "--model", "mkn"], 2, "translate"),
        (
            ["--task", "numbers?size=50&digits=2", "--train", "--model", "encoder-decoder:wings=2"],
            2,
            "wings",
        ),
        (["six", "--width", "0"], 2, "at least 1"),
    ],
)
def test_what_makes_no_sense_is_one_line(arguments, status, complaint, tmp_path, capsys):
    assert main(["translate", str(tmp_path / "x.lm"), *arguments]) == status
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


def test_other_models_do_not_translate(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("to be or not to be\n" * 5)
    model = str(tmp_path / "mkn.lm")
    assert main(["train", "--corpus", str(text), "--output", model]) == 0
    capsys.readouterr()
    assert main(["translate", model, "six"]) == 1
    assert "does not translate" in capsys.readouterr().err


def test_what_others_report_stands_beside(trained, request, capsys):
    path, _ = trained
    found = make_task("numbers?size=50&digits=2")
    other = PublishedResult("an oracle", None, 12.5, "the same numbers", "nobody 2020")
    TASKS.register("oracles", lambda: replace(found, published=(other,)))
    request.addfinalizer(lambda: TASKS.unregister("oracles"))
    assert main(["translate", path, "--task", "oracles"]) == 0
    assert "12.50 %" in capsys.readouterr().out
    assert main(["translate", path, "--task", "oracles", "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)["published"]
    assert (shown["system"], shown["token_error_rate"]) == ("an oracle", None)
