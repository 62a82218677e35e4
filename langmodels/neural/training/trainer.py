"""The training loop: steps, epochs, early stopping, checkpoints."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from langmodels.arrays import Array
from langmodels.checks import Expected, check_arrays, check_values
from langmodels.errors import LangmodelsError
from langmodels.neural.layers.parameters import under
from langmodels.neural.network import Network
from langmodels.neural.training.batches import Batches, cuts
from langmodels.neural.training.checkpoints import Checkpoint, TrainingState
from langmodels.neural.training.history import Epoch, History, Running
from langmodels.neural.training.optimizers import make_optimizer, sum_gradients
from langmodels.neural.training.options import TrainingOptions
from langmodels.neural.training.schedules import Schedule
from langmodels.progress import Meter, say, shown, track
from langmodels.threads import Workers

_FIGURES = {"step": int, "history": History, "running": Running, "schedule": list[Any]}
"""The types of the JSON values of a `TrainingState`."""

TRAINING = "Training"
"""The description of training in progress bars."""


class HasTargets(Protocol):
    """A batch, as far as the training loop is concerned."""

    @property
    def n_targets(self) -> int:
        """The number of predicted tokens."""


B = TypeVar("B", bound=HasTargets)


class Trainer(Generic[B]):
    """Trains a network: one gradient step on every batch, validation after every epoch.

    Args:
        network: the network, already initialised; it has the best weights after `run`.
        batches: the training data.
        options: the hyper-parameters.
        n_tokens: tokens of an epoch, of which `options.tokens` is a multiple.
        validate: returns the validation loss of the current weights in nats per token; the weights
            with the lowest loss are kept. None: the last weights are kept.
        sample: returns a line to show after every epoch.
        after_epoch: is called with the figures of every epoch, while the network has the weights
            that were evaluated.
        checkpoint: a file from which to resume, and to which the state is written.
        description: the label of the progress bar.
    """

    def __init__(
        self,
        network: Network[B],
        batches: Batches[B],
        options: TrainingOptions,
        *,
        n_tokens: int = 1,
        validate: Callable[[], float] | None = None,
        sample: Callable[[], str] | None = None,
        after_epoch: Callable[[Epoch], None] | None = None,
        checkpoint: Checkpoint | None = None,
        description: str = "Training",
    ) -> None:
        self.network, self.batches, self.options = network, batches, options
        self.validate, self.sample, self.checkpoint = validate, sample, checkpoint
        self.after_epoch, self.description = after_epoch, description
        self.replicas = [network, *(network.replica() for _ in range(batches.n_shards - 1))]
        w = network.parameters.flat
        self.weights = w
        self.optimizer = make_optimizer(
            options.optimizer,
            len(w),
            w.dtype,
            options.l2,
            beta2=options.beta2,
            decayed=network.decayed(),
        )
        self.total_steps = options.total_steps(batches.n_batches, n_tokens)
        self.epochs = -(-self.total_steps // batches.n_batches)
        self.schedule = Schedule(
            options.schedule,
            self.total_steps,
            batches.n_batches,
            options.warmup,
            options.decay_factor,
            options.decay_every,
            final=options.final_rate,
        )
        self.average: Array | None = w.copy() if options.average else None
        self.best: Array | None = None
        self.history = History()
        self.running = Running()
        self.step = 0
        self.gradient_norm = 0.0

    def run(self) -> History:
        """Train to the end, or until early stopping or Ctrl-C; then restore the best weights.

        Raises LangmodelsError if the loss or a gradient is not finite, and KeyboardInterrupt if
        Ctrl-C was pressed after the last step.
        """
        if self.checkpoint is not None:
            self._resume_or_begin(self.checkpoint)
        with (
            track(self.description, total=self.total_steps) as meter,
            Workers(len(self.replicas)) as workers,
            _interrupts() as interrupted,
        ):
            meter.advance(self.step)
            for number in range(len(self.history.epochs), self.epochs):
                if self.history.stopped or not self._epoch(number, workers, meter, interrupted):
                    break
        self._restore_best()
        if interrupted() and self.history.stopped != "interrupted":
            raise KeyboardInterrupt
        return self.history

    def one_step(self, shards: Sequence[B], workers: Workers) -> float:
        """Take one step on a batch; returns the mean loss in nats per token, before the update.

        Afterwards `gradient_norm` is the Euclidean norm of its gradient, before clipping. Raises
        LangmodelsError if either is not finite.
        """
        before = self.running.loss
        self._step(shards, workers)
        return (self.running.loss - before) / sum(shard.n_targets for shard in shards)

    def _epoch(
        self, number: int, workers: Workers, meter: Meter, interrupted: Callable[[], bool]
    ) -> bool:
        """Run an epoch, or the rest of it after a checkpoint; returns whether to go on training."""
        for index, shards in enumerate(self.batches.epoch(number)):
            if self.step == self.total_steps:
                break  # resumed from a checkpoint after the last step
            if number * self.batches.n_batches + index < self.step:
                continue  # already done before the checkpoint
            self._step(shards, workers)
            meter.advance(1, self._note())
            stop = interrupted()
            if self.checkpoint is not None and (stop or self.checkpoint.due()):
                self.checkpoint.keep(self.state())
            if stop:
                self.history.stopped = "interrupted"
                break
        self._close_epoch(number)
        if self.checkpoint is not None and self.history.stopped != "interrupted":
            self.checkpoint.keep(self.state())
        return not self.history.stopped

    def _step(self, shards: Sequence[B], workers: Workers) -> None:
        """One step: the loss and gradient of each shard on a thread of its own; then the sum of the
        gradients, its norm and the update, with a part of the weights for each thread.
        """
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

        parts = list(cuts(len(g), len(self.replicas)))
        norm = self.gradient_norm = math.sqrt(sum(workers.map(combine, parts)))
        if not (math.isfinite(norm) and math.isfinite(loss)):
            raise LangmodelsError(
                f"Training diverged at step {self.step + 1}: the loss is {loss / targets:.4g} and "
                f"the norm of the gradient {norm:.4g}. "
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

        workers.map(update, parts)
        self.step += 1
        running.loss += loss
        running.targets += targets
        running.norm += norm
        running.largest = max(running.largest, norm)
        running.clipped += factor < 1
        running.updates += 1
        running.seconds += time.perf_counter() - began

    def _move_average(self, part: slice) -> None:
        """Update a slice of the moving average of the weights, if there is one."""
        if self.average is None:
            return
        # Less decay in the first steps, so that the average forgets the initial weights soon.
        t = self.step + 1
        decay = min(self.options.average, (1 + t) / (10 + t))
        average = self.average[part]
        average += (1 - decay) * (self.weights[part] - average)

    def _close_epoch(self, number: int) -> None:
        """Validate, keep the weights if they are the best, record the epoch, decide about early
        stopping.
        """
        r = self.running
        with self._averaged():
            for replica in self.replicas:
                replica.refresh()
            loss = None if self.validate is None else self.validate()
            if self.best is None or loss is None or loss < self.history.best_loss:
                self.best = self.weights.copy()
                self.history.best_epoch = number
            epoch = Epoch(
                number,
                r.loss / max(1, r.targets),
                loss,
                self.options.learning_rate * self.schedule.rate(max(0, self.step - 1)),
                r.norm / max(1, r.updates),
                r.largest,
                r.clipped / max(1, r.updates),
                r.targets / max(1e-9, r.seconds),
                r.seconds,
            )
            self.history.epochs.append(epoch)
            self.running = Running()
            if self.after_epoch is not None:
                self.after_epoch(epoch)
            if self.sample is not None and shown() and self.history.stopped != "interrupted":
                say(self.sample())
        if loss is not None:
            self.schedule.observe(loss)
        patience, best = self.options.patience, self.history.best_epoch
        if patience is not None and best is not None and number - best >= patience:
            self.history.stopped = self.history.stopped or "early"

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """A context in which the network has the averaged weights, if weights are averaged."""
        if self.average is None:
            yield
            return
        last = self.weights.copy()
        self.weights[...] = self.average
        try:
            yield
        finally:
            self.weights[...] = last

    def _restore_best(self) -> None:
        """Set the weights to the best ones, for all replicas."""
        if self.best is not None:
            self.weights[...] = self.best
        for replica in self.replicas:
            replica.refresh()

    def _note(self) -> str:
        """The means of the epoch so far, for the progress bar."""
        r = self.running
        loss = r.loss / r.targets
        return (
            f"loss {loss:.3f}, perplexity {math.exp(min(loss, 700)):.2f}, "
            f"{r.targets / max(1e-9, r.seconds):,.0f} tokens/s, gradient {r.norm / r.updates:.2f}"
        )

    # Checkpoints ----------------------------------------------------------------------------

    def state(self) -> TrainingState:
        """Everything that the rest of the run depends on."""
        arrays = {"weights": self.weights}
        arrays |= {f"optimizer.{name}": a for name, a in self.optimizer.state.items()}
        if self.average is not None:
            arrays["average"] = self.average
        if self.best is not None:
            arrays["best"] = self.best
        if self.step % self.batches.n_batches:  # an epoch starts from zero states
            for k, replica in enumerate(self.replicas):
                arrays |= {f"carried.{k}.{name}": a for name, a in replica.carried().items()}
        schedule = self.schedule
        figures = {
            "step": self.step,
            "history": self.history.as_dict(),
            "running": asdict(self.running),
            "schedule": [schedule.scale, schedule.best, schedule.waited],
        }
        return TrainingState(arrays, figures)

    def resume(self, state: TrainingState) -> None:
        """Restore what `state` returned.

        Raises LangmodelsError if it cannot be a state of this run.
        """
        self._check(state)
        arrays, figures = state.arrays, state.figures
        self.weights[...] = arrays["weights"]
        for name, array in self.optimizer.state.items():
            array[...] = arrays[f"optimizer.{name}"]
        if self.average is not None:
            self.average[...] = arrays["average"]
        self.best = arrays["best"].copy() if "best" in arrays else None
        for k, replica in enumerate(self.replicas):
            replica.restore_carried(under(f"carried.{k}", arrays))
        self.step = self.optimizer.updates = figures["step"]
        self.running = Running(**figures["running"])
        self.history = History.from_dict(figures["history"])
        schedule = self.schedule
        schedule.scale, schedule.best, schedule.waited = figures["schedule"]

    def _resume_or_begin(self, checkpoint: Checkpoint) -> None:
        """Resume from a checkpoint, or write the first one."""
        state = checkpoint.read()
        if state is None:
            checkpoint.begin(self.state())
            return
        try:
            self.resume(state)
        except (LangmodelsError, ValueError, TypeError, LookupError) as error:
            raise checkpoint.incomplete(error) from error
        checkpoint.check_writable()

    def _check(self, state: TrainingState) -> None:
        """Raise LangmodelsError if a state cannot be one of this run."""
        dtype, shape = self.weights.dtype.name, self.weights.shape
        expected = {
            name: Expected(array.dtype.name, array.shape, finite=True)
            for name, array in self.state().arrays.items()
            if not name.startswith("carried.")
        }
        if "best" in state.arrays:
            expected["best"] = Expected(dtype, shape, finite=True)
        if any(name.startswith("carried.") for name in state.arrays):
            shards = next(iter(self.batches.epoch(0)))
            expected |= {
                f"carried.{k}.{name}": wanted
                for k, (replica, shard) in enumerate(zip(self.replicas, shards, strict=True))
                for name, wanted in replica.expected_carried(shard).items()
            }
        check_arrays(state.arrays, expected)
        check_values(state.figures, _FIGURES)
        history, steps = state.figures["history"], self.batches.n_batches
        done = len(history["epochs"])
        best = history["best_epoch"]
        if not (
            done <= self.epochs
            and min(done * steps, self.total_steps) <= state.figures["step"] <= (done + 1) * steps
            and (best is None or 0 <= best < done)
            and [epoch["number"] for epoch in history["epochs"]] == list(range(done))
            and [type(value) for value in state.figures["schedule"]] == [float, float, int]
        ):
            raise LangmodelsError("its numbers of steps and epochs are inconsistent.")


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """A context in which Ctrl-C does not interrupt; yields a function that says whether it was
    pressed. A second Ctrl-C interrupts at once.
    """
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
