"""The training loop: steps, epochs, early stopping, checkpoints, one for all networks."""

import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from langmodels.errors import LangmodelsError
from langmodels.neural.batches import Batches
from langmodels.neural.network import Network
from langmodels.neural.optimizers import make_optimizer, parts, squared_norm
from langmodels.neural.options import TrainingOptions
from langmodels.neural.parameters import Array
from langmodels.neural.schedules import Schedule
from langmodels.neural.workers import Workers
from langmodels.progress import Task, track
from langmodels.storage import open_arrays, save_arrays


class HasTargets(Protocol):
    """What the loop asks of a batch."""

    @property
    def n_targets(self) -> int:
        """Predicted tokens."""


B = TypeVar("B", bound=HasTargets)


@dataclass
class Epoch:
    """What happened in one epoch. Losses are in nats a token, norms before clipping."""

    number: int
    train_loss: float
    validation_loss: float | None
    learning_rate: float
    gradient_norm: float
    largest_gradient_norm: float
    clipped: float
    tokens_per_second: float
    seconds: float


@dataclass
class _Running:
    """Sums over the steps of the epoch under way."""

    loss: float = 0.0
    targets: int = 0
    norm: float = 0.0
    largest: float = 0.0
    clipped: int = 0
    seconds: float = 0.0
    steps: int = 0


@dataclass
class History:
    """The course of a training run. `stopped`: "" (ran to its end), "early" or "interrupted"."""

    epochs: list[Epoch] = field(default_factory=list)
    best_epoch: int | None = None
    stopped: str = ""

    @property
    def best_loss(self) -> float:
        """The lowest validation loss, infinite where there was no validation."""
        losses = [e.validation_loss for e in self.epochs if e.validation_loss is not None]
        return min(losses, default=math.inf)

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "History":
        """Inverse of `as_dict`."""
        return cls(**{**values, "epochs": [Epoch(**e) for e in values["epochs"]]})


class Trainer(Generic[B]):
    """Trains a network on batches.

    `validate` gives the validation loss (nats a token) with the parameters as they are; the
    parameters that had the lowest one are kept. `sample` gives a line to show after every epoch.
    """

    def __init__(
        self,
        network: Network[B],
        batches: Batches[B],
        options: TrainingOptions,
        *,
        validate: Callable[[], float] | None = None,
        sample: Callable[[], str] | None = None,
        checkpoint: "Checkpoint | None" = None,
        description: str = "Training",
    ) -> None:
        self.network, self.batches, self.options = network, batches, options
        self.validate, self.sample, self.checkpoint = validate, sample, checkpoint
        self.description = description
        self.replicas = [network, *(network.replica() for _ in range(batches.n_shards - 1))]
        w = network.parameters.flat
        self.weights = w
        self.optimizer = make_optimizer(options.optimizer, len(w), w.dtype, options.l2)
        self.schedule = Schedule(
            options.schedule,
            options.epochs * batches.steps,
            batches.steps,
            options.warmup,
            options.decay_factor,
            options.decay_every,
        )
        self.average: Array | None = w.copy() if options.average else None
        self.best: Array | None = None
        self.history = History()
        self.running = _Running()
        self.step = 0

    def run(self) -> History:
        """Train to the end, or until early stopping or Ctrl-C; leave the best weights in place.

        Raises LangmodelsError where the loss or a gradient is no longer a number.
        """
        if self.checkpoint is not None:
            self.checkpoint.restore(self)
        total = self.options.epochs * self.batches.steps
        with (
            track(self.description, total=total) as task,
            Workers(len(self.replicas)) as workers,
            _interrupts() as interrupted,
        ):
            task.advance(self.step)
            for number in range(len(self.history.epochs), self.options.epochs):
                if self.history.stopped or not self._epoch(number, workers, task, interrupted):
                    break
        self._keep_best()
        return self.history

    def _epoch(
        self, number: int, workers: Workers, task: Task, interrupted: Callable[[], bool]
    ) -> bool:
        """One epoch, or what is left of it; False where training is to end."""
        for index, shards in enumerate(self.batches.epoch(number)):
            if number * self.batches.steps + index < self.step:
                continue  # done before the checkpoint
            self._step(shards, workers)
            task.advance(1, self._note())
            stop = interrupted()
            if self.checkpoint is not None and (stop or self.checkpoint.due()):
                self.checkpoint.save(self)
            if stop:
                self.history.stopped = "interrupted"
                break
        self._close_epoch(number, task)
        if self.checkpoint is not None and self.history.stopped != "interrupted":
            self.checkpoint.save(self)
        return not self.history.stopped

    def _step(self, shards: Sequence[B], workers: Workers) -> None:
        """Loss and gradient on all shards at once, then one update, also on all parts at once."""
        began = time.perf_counter()
        options, running, n = self.options, self.running, len(shards)
        targets = sum(shard.n_targets for shard in shards)

        def gradients(k: int) -> float:
            replica = self.replicas[k]
            replica.refresh()
            rng = np.random.default_rng([options.seed, self.step, k])
            return replica.loss(shards[k], 1 / targets, rng)

        loss = sum(workers.map(gradients, range(n)))
        g = self.replicas[0].gradients.flat
        others = [replica.gradients.flat for replica in self.replicas[1:n]]

        def combine(part: slice) -> float:
            return sum_gradients(g, others, part)

        pieces = list(parts(len(g), len(self.replicas)))
        norm = math.sqrt(sum(workers.map(combine, pieces)))
        if not (math.isfinite(norm) and math.isfinite(loss)):
            raise LangmodelsError(
                f"Training went astray at step {self.step + 1}: the loss is "
                f"{loss / targets:.4g} and the norm of the gradient {norm:.4g}. "
                "Lower the learning rate or clip the gradient."
            )
        factor = 1.0
        if options.clip_norm is not None and norm > options.clip_norm:
            factor = options.clip_norm / norm
        rate = options.learning_rate * self.schedule.rate(self.step)
        self.optimizer.begin_step()

        def update(part: slice) -> None:
            if options.clip_value is not None:
                np.clip(g[part], -options.clip_value, options.clip_value, out=g[part])
            self.optimizer.update(self.weights, g, rate, part, factor)
            self._move_average(part)

        workers.map(update, pieces)
        self.step += 1
        running.loss += loss
        running.targets += targets
        running.norm += norm
        running.largest = max(running.largest, norm)
        running.clipped += factor < 1
        running.steps += 1
        running.seconds += time.perf_counter() - began

    def _move_average(self, part: slice) -> None:
        if self.average is None:
            return
        # Early weights are far from good; a shorter average forgets them sooner.
        t = self.step + 1
        decay = min(self.options.average, (1 + t) / (10 + t))
        average = self.average[part]
        average += (1 - decay) * (self.weights[part] - average)

    def _close_epoch(self, number: int, task: Task) -> None:
        """Validate, remember, decide whether to go on."""
        r = self.running
        loss = None
        with self._averaged():
            for replica in self.replicas:
                replica.refresh()
            if self.validate is not None:
                loss = self.validate()
            if self.best is None or loss is None or loss < self.history.best_loss:
                self.best = self.weights.copy()
                self.history.best_epoch = number
            if self.sample is not None:
                task.print(self.sample())
        self.history.epochs.append(
            Epoch(
                number,
                r.loss / max(1, r.targets),
                loss,
                self.options.learning_rate * self.schedule.rate(max(0, self.step - 1)),
                r.norm / max(1, r.steps),
                r.largest,
                r.clipped / max(1, r.steps),
                r.targets / max(1e-9, r.seconds),
                r.seconds,
            )
        )
        self.running = _Running()
        if loss is not None:
            self.schedule.observe(loss)
        patience, best = self.options.patience, self.history.best_epoch
        if patience is not None and best is not None and number - best >= patience:
            self.history.stopped = self.history.stopped or "early"

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The averaged weights in place of the last ones, where there is an average."""
        if self.average is None:
            yield
            return
        last = self.weights.copy()
        self.weights[...] = self.average
        try:
            yield
        finally:
            self.weights[...] = last

    def _keep_best(self) -> None:
        if self.best is not None:
            self.weights[...] = self.best
        for replica in self.replicas:
            replica.refresh()

    def _note(self) -> str:
        r = self.running
        loss = r.loss / r.targets
        return (
            f"loss {loss:.3f}, perplexity {math.exp(min(loss, 700)):.2f}, "
            f"{r.targets / max(1e-9, r.seconds):,.0f} tokens/s, gradient {r.norm / r.steps:.2f}"
        )


def sum_gradients(g: Array, others: list[Array], part: slice) -> float:
    """Add a part of the other replicas' gradients to g; return its squared norm."""
    for other in others:
        g[part] += other[part]
    return squared_norm(g, part)


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """A function that says whether Ctrl-C was pressed; a second Ctrl-C interrupts as usual."""
    pressed = False

    def note(number: int, frame: Any) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


class Checkpoint:
    """A file from which a run goes on exactly where it was, written every `seconds` and every
    epoch.

    `identity` is what must be the same in the run that goes on: settings and data, as JSON can hold
    them.
    """

    def __init__(
        self, path: str | os.PathLike[str], identity: dict[str, Any], seconds: float = 300
    ) -> None:
        self.path = Path(path)
        self.identity = json.dumps(identity, sort_keys=True)
        self.seconds = seconds
        self._saved = time.monotonic()

    def due(self) -> bool:
        """Whether the last one was long enough ago."""
        return time.monotonic() - self._saved >= self.seconds

    def save(self, trainer: Trainer[Any]) -> None:
        """Write everything that the run depends on."""
        arrays = {"weights": trainer.weights}
        arrays |= {f"optimizer.{name}": a for name, a in trainer.optimizer.state.items()}
        if trainer.average is not None:
            arrays["average"] = trainer.average
        if trainer.best is not None:
            arrays["best"] = trainer.best
        for k, replica in enumerate(trainer.replicas):
            arrays |= {f"carried.{k}.{name}": a for name, a in replica.carried().items()}
        schedule = trainer.schedule
        state = {
            "step": trainer.step,
            "history": trainer.history.as_dict(),
            "running": asdict(trainer.running),
            "schedule": [schedule.scale, schedule.best, schedule.waited],
        }
        save_arrays(
            self.path,
            arrays,
            {
                "format": "langmodels checkpoint",
                "identity": self.identity,
                "state": json.dumps(state),
            },
        )
        self._saved = time.monotonic()

    def restore(self, trainer: Trainer[Any]) -> None:
        """Go on from the file, where there is one.

        Raises LangmodelsError where it belongs to another run or is broken.
        """
        if not self.path.exists():
            return
        metadata, arrays = open_arrays(self.path)
        if metadata.get("format") != "langmodels checkpoint":
            raise LangmodelsError(f"{self.path} is not a checkpoint; give another name.")
        if metadata.get("identity") != self.identity:
            raise LangmodelsError(
                f"{self.path} belongs to a run with other settings or another text; give the same "
                "ones to go on, or another name to begin anew."
            )
        try:
            state = json.loads(metadata["state"])
            trainer.weights[...] = arrays["weights"]
            for name, array in trainer.optimizer.state.items():
                array[...] = arrays[f"optimizer.{name}"]
            if trainer.average is not None:
                trainer.average[...] = arrays["average"]
            trainer.best = arrays["best"].copy() if "best" in arrays else None
            for k, replica in enumerate(trainer.replicas):
                prefix = f"carried.{k}."
                replica.carry_on(
                    {n[len(prefix) :]: a for n, a in arrays.items() if n.startswith(prefix)}
                )
            trainer.step = trainer.optimizer.steps = state["step"]
            trainer.running = _Running(**state["running"])
            trainer.history = History.from_dict(state["history"])
            schedule = trainer.schedule
            schedule.scale, schedule.best, schedule.waited = state["schedule"]
        except (KeyError, TypeError, ValueError) as error:
            raise LangmodelsError(f"{self.path} is not a complete checkpoint.") from error
