"""Compare: the models of a room on the test part of its text, and a report."""

import secrets
import tempfile
from pathlib import Path
from typing import Any

from langmodels.errors import LangmodelsError
from langmodels.evaluation import Comparison, compare
from langmodels.evaluation.measuring import PLANS
from langmodels.evaluation.report.verdicts import verdicts
from langmodels.playground.classroom import Classroom
from langmodels.playground.fields import Fields
from langmodels.playground.panels.next_word import Models, room_of
from langmodels.playground.room import Room


def comparison(models: Models, room: Room) -> Comparison:
    """A comparison of finished models on the test part of the room's text."""
    return compare(dict(models), room.splits, plan=PLANS["quick"], jobs=1)


def summary(found: Comparison) -> dict[str, Any]:
    """What the page shows of a comparison: a record for each model, best first, and verdicts."""
    results = found.results
    return {
        "models": found.records(),
        "verdicts": verdicts(results),
        "per": results.per,
        "failures": dict(results.failures),
    }


def _compare(classroom: Classroom, fields: Fields, who: str) -> dict[str, Any]:
    """Start a comparison, or return its state; visitors who compare the same models share it."""
    room = room_of(classroom, fields)
    models = room.ready(fields.some("models"))
    if not models:
        raise LangmodelsError("There is no model to compare yet.")
    names = " ".join(sorted(name for name, _ in models))

    def work() -> dict[str, Any]:
        found = comparison(models, room)
        key = secrets.token_hex(8)
        classroom.reports[key] = _report(found)
        while len(classroom.reports) > classroom.limits.jobs:  # as long as their links
            classroom.reports.popitem(last=False)
        return {**summary(found), "report": key}

    key = f"compare {room.text.key} {room.level} {names}"
    return classroom.job(key, who, work if fields.flag("begin") else None).record()


def _report(found: Comparison) -> bytes:
    """The report as one HTML file."""
    with tempfile.TemporaryDirectory(prefix="langmodels-") as folder:
        path = Path(folder, "report.html")
        found.report(path)
        return path.read_bytes()


ACTIONS = {"compare": _compare}
