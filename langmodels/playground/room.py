"""Rooms: a text read at a level, and the models trained on it."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from langmodels.errors import LangmodelsError
from langmodels.models.base import LanguageModel
from langmodels.ngram.counting import NGramCounts, count_ngrams
from langmodels.text.splits import Splits


@dataclass
class Text:
    """A text that can be chosen.

    `key`: its name in requests and links. `language`: a code (ISO 639-1), empty for a text in no
    known language, None until it is guessed.
    """

    key: str
    name: str
    description: str
    read: Callable[[], str] = field(repr=False)
    level: str | None = None
    language: str | None = None

    def record(self) -> dict[str, Any]:
        """What the page is sent."""
        return {
            "key": self.key,
            "name": self.name,
            "description": self.description,
            "level": self.level,
            "language": self.language or "",
        }


@dataclass
class Slot:
    """A model of a room. `status`: waiting, training, ready or failed."""

    name: str
    status: str = "waiting"
    note: str = ""
    progress: float = 0.0
    seconds: float = 0.0
    model: LanguageModel[Any] | None = field(default=None, repr=False)

    def record(self) -> dict[str, Any]:
        """What the page is sent."""
        status, model = self.status, self.model  # in this order: what is ready has a model
        return {
            "name": self.name,
            "status": status,
            "note": self.note,
            "progress": self.progress,
            "seconds": self.seconds,
            "kind": None if model is None else model.kind,
            "parameters": None if model is None else model.n_parameters,
            "context_length": None if model is None else model.context_length,
            "is_distribution": True if model is None else model.is_distribution,
        }


class Room:
    """A text read at a level, and its models."""

    def __init__(self, text: Text, level: str, splits: Splits) -> None:
        self.text, self.level, self.splits = text, level, splits
        self.slots: dict[str, Slot] = {}
        self.kept: dict[str, Any] = {}
        """Results that panels have computed and may need again; see `keep`."""
        self._lock = threading.Lock()
        self._counts: NGramCounts | None = None

    def ready(self, names: Sequence[str] | None = None) -> list[tuple[str, LanguageModel[Any]]]:
        """(name, model) of the models that are ready: of these names, or all."""
        slots = list(self.slots.values())  # at once: others add models
        if names is not None:
            slots = [self.slots[n] for n in names if n in self.slots]
        return [(slot.name, slot.model) for slot in slots if slot.model is not None]

    def model(self, name: str) -> LanguageModel[Any]:
        """A model by name. Raises LangmodelsError unless it is ready."""
        slot = self.slots.get(name)
        if slot is None or slot.model is None:
            raise LangmodelsError(f"The model {name} is not ready.")
        return slot.model

    def counts(self, order: int) -> NGramCounts:
        """The n-gram counts of the training part, up to this order or a higher one."""
        with self._lock:
            if self._counts is None or self._counts.order < order:
                train = self.splits.train
                self._counts = count_ngrams(train.ids, len(train.vocabulary), order)
            return self._counts

    def keep(self, name: str, make: Callable[[], Any], most: int = 40) -> Any:
        """The result of `make`, cached by name; beyond `most` results the oldest is dropped."""
        with self._lock:
            if name in self.kept:
                return self.kept[name]
        made = make()
        with self._lock:
            self.kept[name] = made
            while len(self.kept) > most:
                del self.kept[next(iter(self.kept))]
        return made

    def record(self) -> dict[str, Any]:
        """What the page is sent: facts about the text, and its models."""
        train, test = self.splits.train, self.splits.test
        tokenizer = train.tokenizer
        return {
            "text": self.text.key,
            "name": self.text.name,
            "level": self.level,
            "unit": tokenizer.unit,
            "separator": tokenizer.separator,
            "ends": tokenizer.ends,
            "tokens": train.n_tokens,
            "types": len(train.vocabulary),
            "characters": len(train.text or ""),
            "test_tokens": test.n_tokens,
            "language": self.text.language or "",
            "examples": _examples(test.text or "", tokenizer.ends),
            "models": [slot.record() for slot in list(self.slots.values())],
        }


def _examples(text: str, ends: bool) -> list[str]:
    """Lines of the test part to try models on, as none was seen in training.

    For texts that are streams, only the beginnings of lines.
    """
    lines = [line.strip() for line in text.split("\n")]
    lines = [line for line in lines if line]
    fit = [line for line in lines if 12 <= len(line) <= 70]
    chosen = (fit or [line[:60] for line in lines])[:: max(1, len(fit) // 8)][:8]
    return chosen if ends else [line[:24].rstrip() for line in chosen]
