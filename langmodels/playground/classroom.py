"""What visitors of the page share: texts, and the models trained on them."""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from langmodels.datasets import Source, find_source, list_sources
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.unigram import UnigramModel
from langmodels.neural.base import NeuralModel
from langmodels.neural.training.history import Epoch
from langmodels.ngram import NGramModel
from langmodels.playground.languages import DENSE, guess_language
from langmodels.playground.room import Room, Slot, Text
from langmodels.playground.uploads import read_upload
from langmodels.playground.work import Line
from langmodels.presets import Setting
from langmodels.registry import parse_model
from langmodels.text.levels import make_tokenizer
from langmodels.text.splits import Splits

LEVELS = ("word", "char", "byte", "whitespace", "bpe", "unigram", "symbols")
"""Levels that can be chosen on the page."""

SIX = ("unigram", "mle:order=2", "mkn:order=3", "rnn", "lstm", "transformer")
"""Models trained by default at word levels: one of each kind."""
OF_LETTERS = ("unigram", "mle:order=3", "mkn:order=6", "rnn", "lstm", "transformer")
"""Models trained by default at levels of small units, such as characters."""

CORPORA = (
    "wonderland.txt",
    "lighthouse.de.txt",
    "lighthouse.ar.txt",
    "lighthouse.hi.txt",
    "lighthouse.zh.txt",
    "python-docs",
    "synthetic:markov?order=2",
    "synthetic:reber",
    "synthetic:brackets",
    "synthetic:periodic",
)
"""Texts that can be chosen without an upload; other names are never opened."""

_MOMENT = 400_000
"""N-gram models of texts of fewer tokens are trained at once, without waiting in line."""


@dataclass(frozen=True)
class Limits:
    """Limits to what visitors may ask of the machine."""

    text: int = 1_000_000
    """Characters of a text; longer ones are cut."""
    upload: int = 4_000_000
    """Bytes of an uploaded file."""
    texts: int = 24
    """Uploaded texts that are kept."""
    rooms: int = 12
    """Rooms that are kept."""
    models: int = 24
    """Models in a room."""
    waiting: int = 40
    """Pieces of work that wait in a line."""
    waiting_each: int = 8
    """Pieces of work of one visitor that wait in a line."""
    seconds: float = 300.0
    """Time that a training may take."""
    units: int = 256
    """Any other whole-numbered option of a model, such as the width of a network's layers."""
    order: int = 10
    """Order of an n-gram model."""
    layers: int = 4
    """Layers of a network."""
    epochs: int = 20
    """Epochs of a training."""
    live: int = 16
    """Networks that are trained live, in the panel on training."""
    jobs: int = 24
    """Results of comparisons and the like that are kept."""


@dataclass
class Job:
    """Work that takes a while and is done once for all visitors.

    `status`: absent, waiting, running, ready or failed. `result`: plain data.
    """

    status: str = "absent"
    note: str = ""
    result: Any = None

    def record(self) -> dict[str, Any]:
        """What the page is sent."""
        return {"status": self.status, "note": self.note, "result": self.result}


class Classroom:
    """All texts, and the rooms in which they are read.

    `corpus`: the name of the first text, as `find_source` takes it; `source`: that text itself.
    `level`: the level of its first room. `models`: the models that are trained in every new room,
    None for one of each kind. `files`: (name, model) of loaded models, which are shown in every
    room. Raises UsageError for unknown names of models.
    """

    def __init__(
        self,
        corpus: str = "wonderland.txt",
        models: Sequence[str] | None = None,
        files: Iterable[tuple[str, LanguageModel[Any]]] = (),
        *,
        source: Source | None = None,
        level: str | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self._models = models
        for name in models or ():
            self.make(name, "word")
        self.files = list(files)
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self.reports: OrderedDict[str, Any] = OrderedDict()
        self.live: OrderedDict[str, Any] = OrderedDict()
        self.pool: list[dict[str, Any]] = []
        """Results of Shannon's game that visitors handed in."""
        self._texts: OrderedDict[str, Text] = OrderedDict()
        self._uploaded: OrderedDict[str, Text] = OrderedDict()
        self._rooms: OrderedDict[tuple[str, str], Room] = OrderedDict()
        self._making: dict[tuple[str, str], threading.Lock] = {}
        self._lock = threading.RLock()
        first = source or find_source(corpus)
        self.first = self._offer(first).key
        books = (each.name for each in list_sources() if each.kind == "book" and each.available)
        for name in (*CORPORA, *books):  # only books in the cache: nothing is downloaded
            if name != first.name:
                self._offer(find_source(name))
        self.level = level or first.level or "word"
        waiting, mine = self.limits.waiting, self.limits.waiting_each
        self.training = Line("langmodels-training", most=waiting, each=mine)
        self.measuring = Line("langmodels-measuring", most=waiting, each=mine)
        self.steps = Line("langmodels-steps", most=waiting, each=mine)

    def close(self) -> None:
        """Start no more work."""
        self.training.close()
        self.measuring.close()
        self.steps.close()

    # Texts ----------------------------------------------------------------------------------

    @property
    def texts(self) -> list[Text]:
        """The texts that can be chosen, uploaded ones last."""
        with self._lock:
            return [*self._texts.values(), *self._uploaded.values()]

    def text(self, key: str) -> Text:
        """A text by its key. Raises LangmodelsError for anything else: no file is ever opened."""
        with self._lock:
            found = self._texts.get(key) or self._uploaded.get(key)
            if key in self._uploaded:
                self._uploaded.move_to_end(key)  # the least recently used are dropped first
        if found is None:
            raise LangmodelsError("This text is not here any more; choose or upload another.")
        return found

    def _offer(self, source: Source) -> Text:
        """Add a source to the texts that can be chosen, under its name without folders."""

        def read() -> str:
            pieces, size = [], 0
            for piece in source.open():
                pieces.append(piece)
                size += len(piece)
                if size >= self.limits.text:
                    break
            return "".join(pieces)[: self.limits.text]

        level = source.level if source.level in LEVELS else None
        name = source.name
        if name not in CORPORA and not name.startswith("gutenberg:"):
            name = name.replace("\\", "/").rpartition("/")[2] or "text"
        language = source.language
        text = self._texts[name] = Text(name, name, source.description, read, level, language)
        return text

    def upload(
        self,
        name: str,
        data: bytes,
        encoding: str = "utf-8",
        errors: str = "strict",
        *,
        field: str = "",
        language: str = "",
    ) -> Text:
        """Add an uploaded text; it is kept in memory until newer ones take its place.

        `field`: the field with the text, for a file of documents. `language`: the text's language,
        guessed if empty. Raises LangmodelsError for a file that is too large, and what
        `read_upload` raises.
        """
        if len(data) > self.limits.upload:
            raise LangmodelsError(
                f"The file has {len(data):,} bytes; this page takes {self.limits.upload:,}."
            )
        name = name.replace("\\", "/").rpartition("/")[2][-80:] or "text"
        text, said = read_upload(
            name, data, encoding=encoding, errors=errors, field=field, most=self.limits.text
        )
        if "\0" in text:
            raise LangmodelsError(f"{name} is no plain text: it has NUL characters.")
        if not text.strip():
            raise LangmodelsError(f"{name} is empty, or white space alone.")
        key = f"upload-{secrets.token_hex(6)}"
        language = language or guess_language(text)
        level = "char" if language in DENSE else None
        description = " ".join([f"{len(text):,} characters, uploaded.", *said])
        found = Text(key, name, description, lambda: text, level, language)
        with self._lock:
            self._uploaded[key] = found
            while len(self._uploaded) > self.limits.texts:
                gone, _ = self._uploaded.popitem(last=False)
                for room in [room for room in self._rooms if room[0] == gone]:
                    del self._rooms[room]
        return found

    # Rooms ----------------------------------------------------------------------------------

    def room(self, name: str = "", level: str = "") -> Room:
        """The room of a text at a level; training of its models starts when it is first entered.

        Raises LangmodelsError for a text that is gone or too small, UsageError for an unknown
        level.
        """
        text = self.text(name or self.first)
        level = level or text.level or ("word" if text.key != self.first else self.level)
        if level not in LEVELS:
            raise UsageError(f"The level is one of {', '.join(LEVELS)}.")
        key = text.key, level
        with self._lock:
            if key in self._rooms:
                self._rooms.move_to_end(key)
                return self._rooms[key]
            making = self._making.setdefault(key, threading.Lock())
        with making:  # the first visitor makes a new room, the others wait
            room = self._rooms.get(key) or self._make_room(text, level)
            with self._lock:
                self._rooms[key] = room
                self._making.pop(key, None)
                while len(self._rooms) > self.limits.rooms:
                    self._rooms.popitem(last=False)
        return room

    def _make_room(self, text: Text, level: str) -> Room:
        """Make a room and start the training of its models."""
        tokenizer, written = make_tokenizer(level), text.read()
        if text.language is None:
            text.language = guess_language(written)
        splits = Splits.from_text(written, tokenizer, min_count=tokenizer.min_count, name=text.name)
        room = Room(text, level, splits)
        for label, model in self.files:
            room.slots[label] = Slot(label, "ready", "from a file", 1.0, 0.0, model)
        usual = SIX if tokenizer.rare_types else OF_LETTERS
        for name in usual if self._models is None else self._models:
            try:
                self.add(room, name, who=f"room {text.key} {level}")
            except LangmodelsError as error:
                room.slots[name] = Slot(name, "failed", str(error))
        return room

    # Models ---------------------------------------------------------------------------------

    def make(self, name: str, level: str) -> LanguageModel[Any]:
        """An unfitted model by name and options. Raises UsageError for options above the limits."""
        spec, options = parse_model(name)
        limits = self.limits
        most = {
            "order": limits.order,
            "layers": limits.layers,
            "epochs": limits.epochs,
            "heads": 16,
            "batch_size": 512,
            "steps": 256,
            "window": 256,
            "max_iterations": 100,
            "seed": 2**31,
        }
        for option, value in options.items():
            several = value if isinstance(value, tuple | list) else (value,)
            for one in several:
                if isinstance(one, bool) or not isinstance(one, int):
                    continue
                if one > most.get(option, limits.units):
                    raise UsageError(
                        f"On this page {option} is at most {most.get(option, limits.units)}."
                    )
        return spec.make(Setting(level=level, budget="quick"), options)

    def add(self, room: Room, name: str, who: str) -> Slot:
        """Train a model in a room, unless it is there already; visitors share it.

        Raises UsageError for an unknown name, LangmodelsError for too many models.
        """
        name = name.strip()
        with self._lock:
            slot = room.slots.get(name)
            if slot is not None and slot.status != "failed":
                return slot
            model = self.make(name, room.level)
            if len(room.slots) >= self.limits.models and slot is None:
                raise LangmodelsError(f"There are {len(room.slots)} models here already.")
            slot = Slot(name)
            quick = isinstance(model, NGramModel | UnigramModel)
            quick = quick and room.splits.train.n_tokens < _MOMENT
            if not quick:
                self.training.submit(who, lambda: _fit(room, slot, model, self.limits.seconds))
            room.slots[name] = slot
        if quick:
            _fit(room, slot, model, self.limits.seconds)
        return slot

    # Other work -----------------------------------------------------------------------------

    def job(
        self, key: str, who: str, work: Callable[[], Any] | None = None, *, trains: bool = False
    ) -> Job:
        """The job of a name; with `work` it is started, unless it was before.

        Jobs that train models (`trains`) wait in line with trainings, other jobs do not. Raises
        LangmodelsError where too much is waiting.
        """
        with self._lock:
            job = self._jobs.get(key, Job())
            if work is None or job.status in ("waiting", "running", "ready"):
                return job
            job = Job("waiting")
            line = self.training if trains else self.measuring
            line.submit(who, lambda: _do(job, work))  # or it is refused, and may be asked for again
            self._jobs[key] = job
            while len(self._jobs) > self.limits.jobs:
                self._jobs.popitem(last=False)
            return job


def _do(job: Job, work: Callable[[], Any]) -> bool:
    """Run a job's work; errors become its note. Returns False: there is no more to do.

    Who reads the status meanwhile finds what belongs to it: it is set last.
    """
    job.status = "running"
    try:
        job.result = work()
        job.status = "ready"
    except LangmodelsError as error:
        job.note, job.status = str(error), "failed"
    except Exception as error:  # the thread works on for others
        job.note, job.status = f"{type(error).__name__}: {error}", "failed"
    return False


def _fit(room: Room, slot: Slot, model: LanguageModel[Any], seconds: float) -> bool:
    """Train a model for a slot; errors become its note. Returns False, as `_do` does."""
    slot.status, began = "training", time.monotonic()
    options: dict[str, Any] = {}
    if isinstance(model, NeuralModel):

        def after_epoch(epoch: Epoch) -> None:
            slot.progress = (epoch.number + 1) / model.options.epochs
            spent = time.monotonic() - began
            left = model.options.epochs - epoch.number - 1
            if left and spent * (1 + 1 / (epoch.number + 1)) > seconds:
                raise LangmodelsError(f"It would take longer than {seconds:.0f} seconds.")

        options["after_epoch"] = after_epoch
    try:
        slot.model = model.fit(room.splits.train, room.splits.validation, **options)
        slot.status, slot.progress = "ready", 1.0
    except LangmodelsError as error:
        slot.note, slot.status = str(error), "failed"
    except Exception as error:  # the thread works on for others
        slot.note, slot.status = f"{type(error).__name__}: {error}", "failed"
    slot.seconds = time.monotonic() - began
    return False
