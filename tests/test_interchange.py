"""Infinite and missing figures: written one way by every command, in JSON and in CSV."""

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from langmodels.cli.main import main
from langmodels.interchange import csv_text, json_text, jsonable, structure

TEXT = "the cat sat on the mat\nthe dog sat on the log\na cat and a dog sat\n" * 20


@dataclass(frozen=True)
class Figures:
    low: float
    high: float
    mean: float
    counts: dict[int, list[float]]
    later: int = 3


def test_infinities_are_words_and_nan_is_null() -> None:
    found = Figures(-math.inf, math.inf, math.nan, {1: [0.5]})
    text = json_text(found)
    assert text == (
        '{"low": "-Infinity", "high": "Infinity", "mean": null, "counts": {"1": [0.5]}, "later": 3}'
    )
    again = structure(Figures, json.loads(text))
    assert (again.low, again.high, again.counts) == (-math.inf, math.inf, {1: [0.5]})
    assert math.isnan(again.mean)
    rows = list(csv.DictReader(csv_text([{"a": math.inf, "b": math.nan, "c": 1.5}]).splitlines()))
    assert rows == [{"a": "Infinity", "b": "", "c": "1.5"}]
    arrays = {"x": np.array([1.0, -np.inf, np.nan], np.float32), "n": np.int32(3)}
    assert jsonable(arrays) == {"x": [1.0, "-Infinity", None], "n": 3}
    text = json_text("a\u2028b\u2029c\u0085d")  # a record is a line for every reader
    assert (text.splitlines(), json.loads(text)) == ([text], "a\u2028b\u2029c\u0085d")


def test_what_an_earlier_version_did_not_write_has_its_default() -> None:
    data = {"low": 1.0, "high": 2.0, "mean": 1.5, "counts": {}}
    assert structure(Figures, data).later == 3
    with pytest.raises(KeyError):
        structure(Figures, {"low": 1.0})


def test_every_command_writes_them_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT)
    Path("new.txt").write_text("the log sat on the cat\n")
    train = ["train", "--corpus", "text.txt", "--model", "mle:order=3", "--output", "mle.lm"]
    assert main(train) == 0
    capsys.readouterr()

    def run(*arguments: str) -> str:
        assert main([*arguments, "--json"]) == 0
        return capsys.readouterr().out

    assert json.loads(run("evaluate", "mle.lm", "--corpus", "new.txt"))["perplexity"] == "Infinity"
    scored = json.loads(run("score", "mle.lm", "the log sat on the cat"))
    assert scored["log_prob"] == "-Infinity"
    (explained,) = json.loads(run("explain", "mle.lm", "the log sat on the cat"))
    assert (explained["unit"], explained["log_prob"]) == ("nats", "-Infinity")
    files = ("--validation", "new.txt", "--test", "new.txt", "--no-cache", "--report", "r.csv")
    compared = json.loads(run("compare", "--corpus", "text.txt", "--models", "mle:order=3", *files))
    assert compared["models"][0]["perplexity"] == "Infinity"
    (row,) = csv.DictReader(Path("r.csv").read_text().splitlines())
    assert (row["perplexity"], row["low"]) == ("Infinity", "")
