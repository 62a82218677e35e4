"""Files from which a training run goes on where it was."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langmodels.arrays import Array
from langmodels.errors import LangmodelsError
from langmodels.storage import open_arrays, save_arrays


@dataclass(frozen=True)
class TrainingState:
    """Everything that the rest of a run depends on: arrays, and figures as JSON can hold them."""

    arrays: Mapping[str, Array]
    figures: Mapping[str, Any]


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

    def save(self, state: TrainingState) -> None:
        """Write the state of a run, in place of the one before."""
        metadata = {
            "format": "langmodels checkpoint",
            "identity": self.identity,
            "state": json.dumps(state.figures),
        }
        save_arrays(self.path, dict(state.arrays), metadata)
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

    def read(self) -> TrainingState | None:
        """The state in the file; None where there is no file yet.

        Raises LangmodelsError where it belongs to another run or is broken.
        """
        if not self.path.exists():
            return None
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
            return TrainingState(arrays, json.loads(metadata["state"]))
        except (KeyError, ValueError) as error:
            raise self.incomplete() from error

    def incomplete(self) -> LangmodelsError:
        """What to raise where a state lacks something, or holds something that cannot be."""
        return LangmodelsError(f"{self.path} is not a complete checkpoint.")
