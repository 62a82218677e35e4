"""Live training: loss, norm of the gradient and samples of a small network, step by step."""

import secrets
import threading
import time
from typing import Any

from langmodels.errors import LangmodelsError
from langmodels.neural.recurrent.model import RecurrentModel
from langmodels.neural.training.trainer import Trainer
from langmodels.playground.classroom import Classroom
from langmodels.playground.fields import Fields
from langmodels.playground.panels.next_word import room_of
from langmodels.playground.room import Room
from langmodels.playground.work import Line
from langmodels.threads import Workers

CELLS = ("rnn", "relu-rnn", "gru", "lstm")
TURN = 0.25
"""Seconds that one network is trained before the next one's turn."""
STEPS, EVERY = 5000, 100
"""Most steps of a training, and steps between two samples."""
SAMPLE, SAMPLES = 24, 8
"""Words of a sample, and the number of samples that are kept."""
UNATTENDED = 15.0
"""Seconds without a request after which a training stops."""


class Course:
    """A network that is trained live, a quarter of a second for each call of `turn`.

    `options` are those of `RecurrentModel`; each step is one batch. `losses` are in nats a token,
    `norms` those of the gradient before clipping.
    """

    def __init__(self, room: Room, who: str, options: dict[str, Any]) -> None:
        self.key, self.room, self.who = secrets.token_hex(6), room, who
        self.model = RecurrentModel(**options)
        self.losses: list[float] = []
        self.norms: list[float] = []
        self.samples: list[dict[str, Any]] = []
        self.status, self.note = "running", ""
        self.seen = time.monotonic()
        self.seconds = 0.0
        self.in_line = False
        self._lock = threading.Lock()
        self._batches: Any = None
        self._trainer: Trainer[Any] | None = None

    @property
    def step(self) -> int:
        """How many steps were taken."""
        return len(self.losses)

    def turn(self) -> bool:
        """Train for `TURN` seconds; return whether there is more to do."""
        with self._lock:
            if self.status == "running":
                self._turn()
            self.in_line = self.status == "running"
            return self.in_line

    def go_on(self, line: Line) -> None:
        """Wait for turns in a line; once only, however often it was stopped meanwhile.

        Raises LangmodelsError where too much is waiting.
        """
        with self._lock:
            if self.status not in ("running", "stopped"):
                return
            if not self.in_line:
                line.submit(self.who, self.turn)
                self.in_line = True
            self.note, self.status = "", "running"

    def _turn(self) -> None:
        if time.monotonic() - self.seen > UNATTENDED:
            self.note, self.status = "Nobody looked; go on if you like.", "stopped"
            return
        began = time.monotonic()
        try:
            self._work(began + TURN)
        except LangmodelsError as error:
            self.note, self.status = str(error), "failed"
        except Exception as error:  # the thread works on for others
            self.note, self.status = f"{type(error).__name__}: {error}", "failed"
        self.seconds += time.monotonic() - began
        if self.step >= STEPS and self.status == "running":
            self.note, self.status = f"{STEPS:,} steps are enough.", "finished"

    def _work(self, until: float) -> None:
        if self._trainer is None:
            model, train = self.model, self.room.splits.train
            model.untrained(train)
            batches = model.make_batches(train, 1)
            self._trainer = Trainer(model.network, batches, model.options)
            self._batches = _endless(batches)
            self._sample()
        with Workers(1) as workers:
            while time.monotonic() < until and self.step < STEPS:
                loss = self._trainer.one_step(next(self._batches), workers)
                self.norms.append(self._trainer.gradient_norm)
                self.losses.append(loss)
                if self.step % EVERY == 0:
                    self._sample()

    def _sample(self) -> None:
        self.model.network.refresh()
        text = self.model.sample_text(max_tokens=SAMPLE * self._length, seed=self.step)
        self.samples.append({"step": self.step, "text": text})
        del self.samples[:-SAMPLES]

    @property
    def _length(self) -> int:
        return 1 if self.model.tokenizer.rare_types else 4

    def record(self, since: int = 0) -> dict[str, Any]:
        """The state of the training, with the figures of the steps from `since` on."""
        done = self.step
        return {
            "key": self.key,
            "status": self.status,
            "note": self.note,
            "step": done,
            "from": min(since, done),
            "losses": self.losses[since:done],
            "norms": self.norms[since:done],
            "samples": list(self.samples),
            "seconds": self.seconds,
            "clip": self.model.options.clip_norm,
        }


def _endless(batches: Any) -> Any:
    """The batches of all epochs, without end."""
    epoch = 0
    while True:
        yield from batches.epoch(epoch)
        epoch += 1


def options_of(fields: Fields, most: int) -> dict[str, Any]:
    """The options of `RecurrentModel` that the page's controls set."""
    return {
        "cell": fields.one_of("cell", CELLS, "rnn"),
        "hidden": fields.whole("hidden", 32, 1, most),
        "optimizer": fields.one_of("optimizer", ("sgd", "adam"), "adam"),
        "learning_rate": fields.number("rate", 0.01, 1e-6, 1000.0),
        "clip_norm": fields.maybe("clip", 1e-3, 1e6),
        "steps": fields.whole("steps", 16, 1, 128),
        "batch_size": 16,
        "dropout": 0.0,
        "schedule": "constant",
        "seed": fields.whole("seed", 0, 0, 2**31),
    }


def _train(classroom: Classroom, fields: Fields, who: str) -> dict[str, Any]:
    """Start a training; it replaces the visitor's previous one."""
    course = Course(room_of(classroom, fields), who, options_of(fields, 128))
    for key, other in list(classroom.live.items()):
        if other.who == who:
            other.status = "stopped"
            classroom.live.pop(key, None)
    for key, other in list(classroom.live.items()):
        if len(classroom.live) >= classroom.limits.live and other.status != "running":
            classroom.live.pop(key, None)
    if len(classroom.live) >= classroom.limits.live:
        raise LangmodelsError("Many networks are being trained already; try again in a minute.")
    course.go_on(classroom.steps)
    classroom.live[course.key] = course
    return course.record()


def _course(classroom: Classroom, fields: Fields, who: str) -> dict[str, Any]:
    """The state of a training; the field `set` stops it or lets it go on."""
    course: Course | None = classroom.live.get(fields.text("key"))
    if course is None:
        raise LangmodelsError("This training is not here any more; begin it again.")
    course.seen = time.monotonic()
    wanted = fields.one_of("set", ("", "stop", "go on"), "")
    if wanted == "stop" and course.status == "running":
        course.status, course.note = "stopped", ""
    elif wanted == "go on" and course.status == "stopped":
        course.go_on(classroom.steps)
    return course.record(fields.whole("since", 0, 0, 10**9))


ACTIONS = {"train": _train, "course": _course}
