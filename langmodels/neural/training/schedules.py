"""Learning-rate schedules."""

import math
from dataclasses import dataclass

from langmodels.errors import UsageError

SCHEDULES = ("constant", "step", "cosine", "plateau", "cooldown")

_COOLING = 0.3  # fraction of all steps in which "cooldown" decays


@dataclass
class Schedule:
    """The learning rate at each step, as a multiple of `TrainingOptions.learning_rate`.

    It increases linearly to 1 over `warmup` steps, at most a quarter of all. Then, by `kind`:

    - "constant": 1.
    - "step": multiplied by `factor` after every `every` epochs.
    - "cosine": final + (1 - final) (1 + cos(pi u)) / 2, with u from 0 to 1 over the remaining steps
      (Loshchilov and Hutter 2017, equation 5, one period).
    - "plateau": multiplied by `factor` whenever the validation loss has not fallen for `every`
      epochs.
    - "cooldown": 1, then final + (1 - final) (1 - sqrt(u)), with u from 0 to 1 over the last 30% of
      all steps (Hagele et al. 2024, "Scaling Laws and Compute-Optimal Training Beyond Fixed
      Training Durations", section 3).

    `scale`, `best` and `waited` are the state of "plateau": the current multiple, the lowest
    validation loss, and the epochs since. Raises UsageError for an unknown kind.
    """

    kind: str
    total_steps: int
    steps_per_epoch: int
    warmup: int = 0
    factor: float = 0.5
    every: int = 1
    final: float = 0.0
    scale: float = 1.0
    best: float = math.inf
    waited: int = 0

    def __post_init__(self) -> None:
        self.warmup = min(self.warmup, self.total_steps // 4)
        if self.kind not in SCHEDULES:
            raise UsageError(
                f"There is no schedule {self.kind!r}; choose one of {', '.join(SCHEDULES)}."
            )

    def rate(self, step: int) -> float:
        """The multiple of the learning rate at a step, counted from 0."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        if self.kind == "cosine":
            done = (step - self.warmup) / max(1, self.total_steps - self.warmup)
            down = 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
            return self.final + (1 - self.final) * down
        if self.kind == "cooldown":
            cooling = max(1, round(_COOLING * self.total_steps))
            done = max(0.0, 1 - (self.total_steps - step) / cooling)
            return self.final + (1 - self.final) * (1 - math.sqrt(min(1.0, done)))
        if self.kind == "step":
            return float(self.factor ** (step // self.steps_per_epoch // self.every))
        return self.scale

    def observe(self, validation_loss: float) -> None:
        """Take note of the validation loss of an epoch, on which "plateau" depends."""
        if validation_loss < self.best:
            self.best, self.waited = validation_loss, 0
            return
        self.waited += 1
        if self.kind == "plateau" and self.waited >= self.every:
            self.scale *= self.factor
            self.waited = 0
