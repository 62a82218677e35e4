"""Some random command lines; `python -m tests.faults.commands` tries as many as one likes."""

import random

import pytest
from faults import commands

from langmodels.cli.main import COMMANDS


@pytest.mark.filterwarnings("ignore")
def test_random_command_lines_get_an_answer() -> None:
    cases = commands.trial(60, seed=5, limit=600)
    assert [(case.arguments, case.fault) for case in cases if case.fault] == []


def test_the_same_seed_gives_the_same_command_lines_of_every_command() -> None:
    made = [commands.make(random.Random(seed)) for seed in range(400)]
    assert made == [commands.make(random.Random(seed)) for seed in range(400)]
    assert {arguments[0] for arguments in made} >= set(COMMANDS)


@pytest.mark.parametrize(
    ("status", "out", "err"),
    [
        (1, "", "Traceback (most recent call last):"),
        (1, "", "langmodels: error: this should not happen: x"),
        (139, "", ""),
        (1, "", ""),
        (0, "", "langmodels: error: x"),
        (0, "perplexity nan", ""),
        (0, "{", ""),
        (0, '{"a": NaN}', ""),
        (1, "", "langmodels: error: \x1b[31m"),
    ],
)
def test_faults_are_seen(status: int, out: str, err: str) -> None:
    assert commands.fault(["predict", "--json"], status, out, err)


def test_answers_are_no_faults() -> None:
    assert not commands.fault(["score", "--json"], 0, '{"a": null}', "langmodels: warning: x\n")
    assert not commands.fault(["score", "--", "--json"], 0, "a table", "")
    assert not commands.fault(["score"], 2, "", "langmodels: error: give a model\n")
