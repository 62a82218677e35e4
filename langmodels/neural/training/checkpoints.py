"""Files from which a training run goes on where it was."""

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langmodels.errors import LangmodelsError
from langmodels.neural.training.history import History, Running
from langmodels.storage import open_arrays, save_arrays

if TYPE_CHECKING:
    from langmodels.neural.training.trainer import Trainer


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

    def save(self, trainer: "Trainer[Any]") -> None:
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

    def _differences(self, other: str) -> str:
        """What is different in another run: numbers and words as they are, texts by name."""
        there, here = json.loads(other), json.loads(self.identity)
        found = []
        for name in here:
            old, new = there.get(name), here[name]
            if old != new:
                texts = "text" in name or name == "vocabulary"
                found.append(name if texts else f"{name}={old} there, {new} here")
        return "; ".join(found)

    def restore(self, trainer: "Trainer[Any]") -> None:
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
                f"{self.path} belongs to a run with other settings or another text "
                f"({self._differences(metadata.get('identity', '{}'))}); give the same ones to go "
                "on, or another name to begin anew."
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
            trainer.running = Running(**state["running"])
            trainer.history = History.from_dict(state["history"])
            schedule = trainer.schedule
            schedule.scale, schedule.best, schedule.waited = state["schedule"]
        except (KeyError, TypeError, ValueError) as error:
            raise LangmodelsError(f"{self.path} is not a complete checkpoint.") from error
