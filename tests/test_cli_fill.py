"""`langmodels fill` on the command line."""

import json

import pytest

from langmodels.cli.main import main
from langmodels.models.blanks import Cloze
from langmodels.registry import load_any, make_cloze_model

TEXT = "the cat is here and it purrs\nthe dog is here and it barks\n" * 40
TINY = "hidden=8:epochs=2"


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "animals.txt"
    path.write_text(TEXT)
    return str(path)


def test_trains_fills_and_keeps(text, tmp_path, capsys):
    model = str(tmp_path / "both.lm")
    blank = "the ___ is here and it barks"
    arguments = ["--corpus", text, "--level", "word", "-k", "3", "--json"]
    assert main(["fill", f"bidirectional-gru:{TINY}", blank, "--output", model, *arguments]) == 0
    trained = json.loads(capsys.readouterr().out)[f"bidirectional-gru:{TINY}"]
    assert len(trained) == 3
    assert trained[0]["prob"] >= trained[1]["prob"]
    assert isinstance(load_any(model), Cloze)
    assert main(["fill", model, blank, "-k", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[model] == trained
    assert main(["fill", f"{model},mkn:order=3", "the ___ is ___", *arguments[:4]]) == 0
    shown = capsys.readouterr().out
    assert "mkn:order=3" in shown
    assert "rank" in shown
    assert main(["score", model, "the dog"]) == 1
    assert "langmodels fill" in capsys.readouterr().err


def test_counts_how_many_blanks_are_filled(text, capsys):
    names = f"bidirectional-rnn:{TINY},mkn:order=2"
    assert main(["fill", names, "--blanks", "12", "--corpus", text, "--level", "word"]) == 0
    shown = capsys.readouterr().out
    assert "12 blanks" in shown
    assert "both sides" in shown
    assert "left context" in shown
    assert "200 candidates" in shown
    arguments = ["--blanks", "5", "--corpus", text, "--level", "word", "--candidates", "0"]
    assert main(["fill", "mkn:order=2", *arguments, "--json"]) == 0
    (scores,) = json.loads(capsys.readouterr().out).values()
    assert scores["blanks"] == 5
    assert 0 <= scores["accuracy"] <= scores["reciprocal_rank"] <= 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["mkn"], "Give a text"),
        (["mkn", "a ___", "--blanks", "3"], "Give a text"),
        (["mkn", "no blank here"], "no blank"),
        (["bidirectional-gru:size=3", "a ___"], "size"),
        (["mkn,kn", "a ___", "--output", "x.lm"], "only one"),
        (["mkn", "a ___", "--candidates", "-1"], "0 or more"),
        (["mkn", "--blanks", "0"], "at least 1"),
    ],
)
def test_what_makes_no_sense_is_one_line(arguments, complaint, text, capsys):
    assert main(["fill", *arguments, "--corpus", text, "--level", "word"]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


def test_what_is_neither_a_file_nor_a_model(text, capsys):
    assert main(["fill", "mkn,bidirectional-transistor", "a ___", "--corpus", text]) == 1
    assert "did you mean bidirectional-rnn" in capsys.readouterr().err


def test_models_by_name():
    assert (
        make_cloze_model("bidirectional-gru:hidden=7:layers=2").config()["arguments"]["cell"]
        == "gru"
    )


def test_info_knows_a_model_that_fills_blanks(text, tmp_path, capsys):
    model = str(tmp_path / "both.lm")
    arguments = ["--corpus", text, "--level", "word", "--output", model]
    assert main(["fill", f"bidirectional-gru:{TINY}", "the ___ is", *arguments]) == 0
    capsys.readouterr()
    assert main(["info", model]) == 0
    assert "both sides of a blank" in capsys.readouterr().out
