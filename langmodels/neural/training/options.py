"""The hyper-parameters of training."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from langmodels.arguments import Seed
from langmodels.errors import UsageError, check_whole
from langmodels.neural.training.optimizers import OPTIMIZERS
from langmodels.neural.training.schedules import SCHEDULES


@dataclass(frozen=True)
class TrainingOptions:
    """Hyper-parameters of training.

    At most one of `clip_norm` (Pascanu, Mikolov and Bengio 2013) and `clip_value` may be given.
    Training is deterministic: the same seed and number of threads give the same weights, bit for
    bit.

    Args:
        optimizer: sgd, momentum, adagrad, rmsprop, adam or adamw.
        learning_rate: learning rate after the warmup.
        schedule: of the learning rate: constant, step, cosine, plateau or cooldown (falls in the
            last 30% of the steps).
        warmup: steps of linear increase of the learning rate, at most a quarter of all steps.
        final_rate: final learning rate of cosine and cooldown, as a fraction of `learning_rate`.
        decay_factor: factor by which step and plateau multiply the learning rate.
        decay_every: epochs between decays of step, or without a better validation loss for plateau.
        epochs: greatest number of passes over the training text.
        tokens: number of tokens to train on, instead of whole epochs; none: `epochs` passes.
        batch_size: sequences per batch.
        steps: steps of truncated back-propagation through time.
        shuffled: whether chunks of `steps` tokens are in random order, each from a zero state, not
            one stream with carried state.
        beta2: decay of the moving average of squared gradients in adam and adamw.
        clip_norm: greatest Euclidean norm of the gradient, to which a longer one is scaled; none:
            no clipping.
        clip_value: greatest absolute value of each gradient component; none: no clipping.
        l2: weight of |w|^2 / 2 in the loss; for adamw the decoupled weight decay.
        patience: epochs without a better validation loss after which training stops; none: never.
        average: decay of an exponential moving average of the weights, which is then kept (Polyak
            averaging); 0: no averaging.
        seed: seed of initial weights, data order and dropout.
        threads: number of threads, each of which takes a part of every batch; none: as many as are
            worth it.

    Raises UsageError for values outside their range.
    """

    optimizer: str = "adam"
    learning_rate: float = 0.005
    schedule: str = "cosine"
    warmup: int = 0
    final_rate: float = 0.0
    decay_factor: float = 0.5
    decay_every: int = 1
    epochs: int = 6
    tokens: int | None = None
    batch_size: int = 16
    steps: int = 16
    shuffled: bool = False
    beta2: float = 0.999
    clip_norm: float | None = 1.0
    clip_value: float | None = None
    l2: float = 0.0
    patience: int | None = 3
    average: float = 0.0
    seed: Seed = 0
    threads: int | None = None

    def __post_init__(self) -> None:
        OPTIMIZERS.find(self.optimizer)
        _one_of("schedule", self.schedule, SCHEDULES)
        for name in ("epochs", "batch_size", "steps", "decay_every", "warmup", "seed"):
            check_whole(**{name: getattr(self, name)})
        for name in ("patience", "threads", "tokens"):
            if getattr(self, name) is not None:
                check_whole(**{name: getattr(self, name)})
        for name in ("epochs", "batch_size", "steps", "decay_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, not {getattr(self, name)}.")
        for name in ("clip_norm", "clip_value", "patience", "threads", "tokens"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name} must be above 0, or None for none, not {value}.")
        for name in ("learning_rate", "decay_factor"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"{name} must be above 0, not {getattr(self, name)}.")
        if self.clip_norm is not None and self.clip_value is not None:
            raise UsageError("Clip the gradient by its norm or by value, not both.")
        if not (0 < self.beta2 < 1 and 0 <= self.final_rate <= 1):
            raise UsageError("beta2 and final_rate must lie between 0 and 1.")
        if not 0 <= self.average < 1:
            raise UsageError(f"average must be at least 0 and below 1, not {self.average}.")
        if self.warmup < 0 or not 0 <= self.l2 < math.inf or self.seed < 0:
            raise UsageError("warmup, l2 and seed must not be negative.")

    def total_steps(self, n_batches: int, n_tokens: int) -> int:
        """The total number of training steps, given the batches and tokens of an epoch."""
        if self.tokens is None:
            return self.epochs * n_batches
        return max(1, -(-self.tokens * n_batches // n_tokens))


def whole_numbers(given: int | Iterable[int]) -> tuple[int, ...]:
    """A tuple of one integer or several. Raises UsageError for other values."""
    numbers = tuple(given) if isinstance(given, Iterable) else (given,)
    for number in numbers:
        check_whole(number=number)
    return numbers


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"There is no {name} {value!r}; choose one of {', '.join(choices)}.")
