"""The learning rate over the course of training."""

import math
from dataclasses import dataclass

from langmodels.errors import UsageError

SCHEDULES = ("constant", "step", "cosine", "plateau", "cooldown")

_COOLING = 0.3  # share of all steps


@dataclass
class Schedule:
    """The learning rate as a multiple of the initial one; each schedule starts with `warmup` steps
    of linear increase, at most a quarter of all steps.

    "constant"; "step": times `factor` after every `every` epochs; "cosine": down to `final` along
    half a cosine over all steps (Loshchilov and Hutter 2017, equation 5, one period); "plateau":
    times `factor` whenever the validation loss has not fallen for `every` epochs; "cooldown":
    constant, and down to `final` over the last three tenths of all steps, by one minus the square
    root of the share of these that is done (Hagele et al. 2024, "Scaling Laws and Compute-Optimal
    Training Beyond Fixed Training Durations", section 3). Raises UsageError for an unknown kind.
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
        """The multiple at a step, counted from 0."""
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
        """Report the validation loss of an epoch, on which "plateau" depends."""
        if validation_loss < self.best:
            self.best, self.waited = validation_loss, 0
            return
        self.waited += 1
        if self.kind == "plateau" and self.waited >= self.every:
            self.scale *= self.factor
            self.waited = 0
