"""What the people on the page share: texts, and the models that were trained on them."""

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
"""What is trained where no models are named: one of each kind."""
OF_LETTERS = ("unigram", "mle:order=3", "mkn:order=6", "rnn", "lstm", "transformer")
"""The same for units that are small."""

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
"""Texts that can be chosen without an upload; other names are never looked up."""

_MOMENT = 400_000
"""Tokens that are counted in a moment: nobody waits in line for that."""


@dataclass(frozen=True)
class Limits:
    """What people may ask of the machine.

    `text`: characters of a text (longer ones are cut); `upload`: bytes of a file. `texts`, `rooms`
    and `models` are kept at most: uploaded texts, texts read at a level, models of one. `waiting`
    trainings in all and `waiting_each` of one person; `seconds` that one may take. `units`: the
    largest size of a network's layers, `order` of n-grams, `layers`, `epochs`. `live` networks are
    trained before people's eyes, `jobs` results kept.
    """

    text: int = 1_000_000
    upload: int = 4_000_000
    texts: int = 24
    rooms: int = 12
    models: int = 24
    waiting: int = 40
    waiting_each: int = 8
    seconds: float = 300.0
    units: int = 256
    order: int = 10
    layers: int = 4
    epochs: int = 20
    live: int = 16
    jobs: int = 24


@dataclass
class Job:
    """Something that takes a while and is done once for all: absent, waiting, running, ready or
    failed. `result` is plain data.
    """

    status: str = "absent"
    note: str = ""
    result: Any = None

    def record(self) -> dict[str, Any]:
        """As the page is told."""
        return {"status": self.status, "note": self.note, "result": self.result}


class Classroom:
    """All texts and rooms. `files`: models that were opened, shown in every room.

    `corpus`: the name of the text to begin with, as `find_source` takes it. `models`: what is
    trained in a room that is entered, None for one of each kind. Raises UsageError for names of
    models that there are not.
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
        """Results of Shannon's game that were handed in."""
        self._texts: OrderedDict[str, Text] = OrderedDict()
        self._uploaded: OrderedDict[str, Text] = OrderedDict()
        self._rooms: OrderedDict[tuple[str, str], Room] = OrderedDict()
        self._making: dict[tuple[str, str], threading.Lock] = {}
        self._lock = threading.RLock()
        first = source or find_source(corpus)
        self.first = self._offer(first).key
        books = (each.name for each in list_sources() if each.kind == "book" and each.available)
        for name in (*CORPORA, *books):  # books that are here already: nothing is downloaded
            if name != first.name:
                self._offer(find_source(name))
        self.level = level or first.level or "word"
        waiting, mine = self.limits.waiting, self.limits.waiting_each
        self.training = Line("langmodels-training", most=waiting, each=mine)
        self.measuring = Line("langmodels-measuring", most=waiting, each=mine)
        self.steps = Line("langmodels-steps", most=waiting, each=mine)

    def close(self) -> None:
        """Train nothing more."""
        self.training.close()
        self.measuring.close()
        self.steps.close()

    # Texts ----------------------------------------------------------------------------------

    @property
    def texts(self) -> list[Text]:
        """What can be chosen."""
        with self._lock:
            return [*self._texts.values(), *self._uploaded.values()]

    def text(self, key: str) -> Text:
        """A text by its key. Raises LangmodelsError for any other name: none is looked up."""
        with self._lock:
            found = self._texts.get(key) or self._uploaded.get(key)
            if key in self._uploaded:
                self._uploaded.move_to_end(key)  # those that nobody uses go first
        if found is None:
            raise LangmodelsError("This text is not here any more; choose or upload another.")
        return found

    def _offer(self, source: Source) -> Text:
        """Let a source be chosen, by its name without its folders."""

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
        """A text that somebody brings: kept in memory while there is room for it.

        `field` names the field that holds the text of a file of documents, `language` what the text
        is written in where it does not tell by itself. Raises LangmodelsError for too much, and
        what `read_upload` raises.
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
        """The room of a text at a level; its models begin to be trained when it is entered first.

        Raises LangmodelsError for a text that is gone or too small, UsageError for no level.
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
        with making:  # one of those who enter a new room makes it, the others wait
            room = self._rooms.get(key) or self._make_room(text, level)
            with self._lock:
                self._rooms[key] = room
                self._making.pop(key, None)
                while len(self._rooms) > self.limits.rooms:
                    self._rooms.popitem(last=False)
        return room

    def _make_room(self, text: Text, level: str) -> Room:
        """A room whose models are begun to be trained."""
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
        """An unfitted model of a name as it is typed. Raises UsageError for too large a one."""
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
        """Train a model in a room, unless it is there; others share it.

        Raises UsageError for a name that makes no sense, LangmodelsError for too many.
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
        """The piece of work of a name; with `work` it is begun, unless it was.

        What `trains` models stands in their line, other work does not wait for them. Raises
        LangmodelsError where too much is waiting.
        """
        with self._lock:
            job = self._jobs.get(key, Job())
            if work is None or job.status in ("waiting", "running", "ready"):
                return job
            job = self._jobs[key] = Job("waiting")
            while len(self._jobs) > self.limits.jobs:
                self._jobs.popitem(last=False)
            line = self.training if trains else self.measuring
            line.submit(who, lambda: _do(job, work))
            return job


def _do(job: Job, work: Callable[[], Any]) -> bool:
    """Do a piece of work; whatever goes wrong is said in it."""
    job.status = "running"
    try:
        job.result = work()
        job.status = "ready"
    except LangmodelsError as error:
        job.status, job.note = "failed", str(error)
    except Exception as error:  # the thread works on for others
        job.status, job.note = "failed", f"{type(error).__name__}: {error}"
    return False


def _fit(room: Room, slot: Slot, model: LanguageModel[Any], seconds: float) -> bool:
    """Train a model; whatever goes wrong is said in its slot."""
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
        slot.status, slot.note = "failed", str(error)
    except Exception as error:  # the thread works on for others
        slot.status, slot.note = "failed", f"{type(error).__name__}: {error}"
    slot.seconds = time.monotonic() - began
    return False
