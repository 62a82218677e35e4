"""The course of a training run, in figures."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Epoch:
    """What happened in one epoch. Losses are in nats a token, norms before clipping."""

    number: int
    train_loss: float
    validation_loss: float | None
    learning_rate: float
    gradient_norm: float
    largest_gradient_norm: float
    clipped: float  # share of the steps whose gradient was shortened to `clip_norm`
    tokens_per_second: float
    seconds: float


@dataclass
class Running:
    """Sums over the updates of the epoch under way."""

    loss: float = 0.0
    targets: int = 0
    norm: float = 0.0
    largest: float = 0.0
    clipped: int = 0
    seconds: float = 0.0
    updates: int = 0


@dataclass
class History:
    """The course of a training run. `stopped`: "" (ran to its end), "early" or "interrupted"."""

    epochs: list[Epoch] = field(default_factory=list)
    best_epoch: int | None = None
    stopped: str = ""

    @property
    def best_loss(self) -> float:
        """The lowest validation loss, infinite where none was a number."""
        losses = [e.validation_loss for e in self.epochs if e.validation_loss is not None]
        return min((loss for loss in losses if not math.isnan(loss)), default=math.inf)

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "History":
        """Inverse of `as_dict`."""
        return cls(**{**values, "epochs": [Epoch(**e) for e in values["epochs"]]})


def validation_loss(model: Any) -> float | None:
    """The mean -log p, in nats, of the validation text under a network as it is after training.

    None for models that are no networks, or had no such text.
    """
    history = getattr(model, "history", None)
    loss = history.best_loss if isinstance(history, History) else math.inf
    return loss if math.isfinite(loss) else None


def was_interrupted(model: Any) -> bool:
    """Whether Ctrl-C ended the training of a model, or of a part of it, before its time.

    Networks stop in good order then, and `fit` returns.
    """
    parts = [*getattr(model, "models", []), *([model.base] if hasattr(model, "base") else [])]
    history = getattr(model, "history", None)
    return getattr(history, "stopped", "") == "interrupted" or any(map(was_interrupted, parts))
