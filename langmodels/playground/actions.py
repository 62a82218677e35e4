"""All requests that a browser can make, by name."""

from collections.abc import Callable, Mapping
from typing import Any

from langmodels import __version__
from langmodels.datasets.files import ERRORS
from langmodels.errors import UsageError
from langmodels.playground.classroom import LEVELS, Classroom
from langmodels.playground.fields import Fields
from langmodels.playground.languages import KNOWN
from langmodels.playground.panels import (
    chain,
    compare,
    counts,
    memory,
    next_word,
    shannon,
    training,
)
from langmodels.playground.panels.next_word import room_of
from langmodels.playground.uploads import endings
from langmodels.registry import MODELS

Action = Callable[[Classroom, Fields, str], dict[str, Any]]
"""From the classroom, the fields of a request and the visitor's name to plain data."""


def _start(classroom: Classroom, fields: Fields, who: str) -> dict[str, Any]:
    """The texts, levels and models to choose from, and limits."""
    return {
        "version": __version__,
        "first": {"text": classroom.first, "level": classroom.level},
        "texts": [text.record() for text in classroom.texts],
        "levels": list(LEVELS),
        "models": [
            {"name": name, "family": spec.family, "summary": spec.summary}
            for name, spec in MODELS.working()
        ],
        "limits": {"text": classroom.limits.text, "upload": classroom.limits.upload},
        "errors": list(ERRORS),
        "endings": endings(),
        "languages": list(KNOWN),
    }


def _room(classroom: Classroom, fields: Fields, who: str) -> dict[str, Any]:
    """A text at a level, and the state of its models."""
    return room_of(classroom, fields).record()


def _add(classroom: Classroom, fields: Fields, who: str) -> dict[str, Any]:
    """Train another model on a text."""
    room = room_of(classroom, fields)
    return classroom.add(room, fields.text("name", most=200), who).record()


ACTIONS: Mapping[str, Action] = {
    "start": _start,
    "room": _room,
    "add": _add,
    **next_word.ACTIONS,
    **chain.ACTIONS,
    **counts.ACTIONS,
    **shannon.ACTIONS,
    **compare.ACTIONS,
    **memory.ACTIONS,
    **training.ACTIONS,
}


def answer(classroom: Classroom, name: str, data: Any, who: str) -> dict[str, Any]:
    """Answer a request. Raises LangmodelsError for an unknown or impossible one."""
    if name not in ACTIONS:
        raise UsageError("There is no such request.")
    return ACTIONS[name](classroom, Fields(data), who)
