"""The record of a training run, epoch by epoch."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Epoch:
    """The figures of one epoch.

    Losses are means of -log p in nats per token, the training loss over the steps of the epoch.
    Gradient norms are Euclidean, before clipping, the mean and the largest over the steps.
    """

    number: int
    train_loss: float
    validation_loss: float | None
    learning_rate: float
    gradient_norm: float
    largest_gradient_norm: float
    clipped: float  # fraction of the steps whose gradient was clipped by norm
    tokens_per_second: float
    seconds: float


@dataclass
class Running:
    """Sums over the steps of the current epoch so far, and the largest gradient norm."""

    loss: float = 0.0
    targets: int = 0
    norm: float = 0.0
    largest: float = 0.0
    clipped: int = 0
    seconds: float = 0.0
    updates: int = 0


@dataclass
class History:
    """The record of a training run.

    `stopped` is "" after all epochs, "early" after early stopping, "interrupted" after Ctrl-C;
    `best_epoch` is the number of the epoch whose weights were kept, from 0.
    """

    epochs: list[Epoch] = field(default_factory=list)
    best_epoch: int | None = None
    stopped: str = ""

    @property
    def best_loss(self) -> float:
        """The lowest validation loss; infinite if none was finite."""
        losses = [e.validation_loss for e in self.epochs if e.validation_loss is not None]
        return min((loss for loss in losses if not math.isnan(loss)), default=math.inf)

    def as_dict(self) -> dict[str, Any]:
        """The history as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "History":
        """Inverse of `as_dict`."""
        return cls(**{**values, "epochs": [Epoch(**e) for e in values["epochs"]]})


def validation_loss(model: Any) -> float | None:
    """The lowest validation loss in the training of a network, in nats per token.

    None for other models, and if there was no validation text.
    """
    history = getattr(model, "history", None)
    loss = history.best_loss if isinstance(history, History) else math.inf
    return loss if math.isfinite(loss) else None


def was_interrupted(model: Any) -> bool:
    """Whether Ctrl-C ended the training of a model, or of one of its parts; `fit` returned all the
    same.
    """
    parts = [*getattr(model, "models", []), *([model.base] if hasattr(model, "base") else [])]
    history = getattr(model, "history", None)
    return getattr(history, "stopped", "") == "interrupted" or any(map(was_interrupted, parts))
