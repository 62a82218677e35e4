"""How a network is trained: all settings in one place."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from langmodels.errors import UsageError, check_whole
from langmodels.neural.training.optimizers import OPTIMIZERS
from langmodels.neural.training.schedules import SCHEDULES


@dataclass(frozen=True)
class TrainingOptions:
    """Hyper-parameters of training.

    At most one of `clip_norm` (Pascanu, Mikolov and Bengio 2013) and `clip_value` is given. Polyak
    averaging of the weights is exponentially weighted. The same seed and threads give the same
    weights, bit for bit.

    Args:
        optimizer: rule by which gradients change weights: sgd, momentum, adagrad, rmsprop, adam or
            adamw.
        learning_rate: the first learning rate.
        schedule: of the learning rate: constant, step, cosine, plateau or cooldown (falls in the
            last three tenths).
        warmup: steps of linear rise before it, a quarter of all steps at most.
        final_rate: where cosine and cooldown end, as a fraction of the first learning rate.
        decay_factor: what step and plateau multiply the rate by.
        decay_every: epochs of step between decays, or of plateau without a better validation loss.
        epochs: passes over the training text, at most.
        tokens: of training in all, to the end of a step, in place of whole epochs; schedules end
            with them. none: as the epochs have.
        batch_size: sequences side by side.
        steps: tokens over which gradients are propagated back before the chain is cut.
        shuffled: whether chunks of `steps` come in random order, each from a zero state, and not as
            one stream.
        beta2: decay of the averages of squared gradients in adam and adamw.
        clip_norm: the gradient is shortened to this Euclidean norm where it is longer.
        clip_value: every component of the gradient is held within plus or minus this.
        l2: weight of |w|^2 / 2 in the objective; for adamw the decoupled decay.
        patience: stop after so many epochs without a better validation loss; none: never.
        average: decay of a moving average of the weights, which is then what is evaluated and kept.
        seed: of first weights, order and dropout.
        threads: parts of a batch that are worked on at once; none: as many as pay off.

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
    seed: int = 0
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
        """Steps of training where an epoch has so many batches and tokens."""
        if self.tokens is None:
            return self.epochs * n_batches
        return max(1, -(-self.tokens * n_batches // n_tokens))


def whole_numbers(given: int | Iterable[int]) -> tuple[int, ...]:
    """A setting of one or several whole numbers; one may stand by itself. Raises UsageError."""
    numbers = tuple(given) if isinstance(given, Iterable) else (given,)
    for number in numbers:
        check_whole(number=number)
    return numbers


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"There is no {name} {value!r}; choose one of {', '.join(choices)}.")
