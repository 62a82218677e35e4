"""Files from which a training run goes on where it was."""

import json
import os
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langmodels.arrays import Array
from langmodels.errors import FileWarning, LangmodelsError
from langmodels.storage import check_writable, read_json
from langmodels.tensors import open_arrays, save_arrays


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

    def begin(self, state: TrainingState) -> None:
        """Write the state before the first step, which shows that there is room for it.

        Raises LangmodelsError where it cannot be written.
        """
        self._save(state)

    def check_writable(self) -> None:
        """Raise LangmodelsError where the next state could not be written."""
        check_writable(self.path)

    def keep(self, state: TrainingState) -> None:
        """Write the state of a run, in place of the one before.

        Where that cannot be done there is a warning, and the run goes on: what was learnt is worth
        more than the way back to it.
        """
        try:
            self._save(state)
        except LangmodelsError as error:
            self._saved = time.monotonic()
            warnings.warn(f"{error} Training goes on.", FileWarning, stacklevel=2)

    def _save(self, state: TrainingState) -> None:
        metadata = {
            "format": "langmodels checkpoint",
            "identity": self.identity,
            "state": json.dumps(state.figures),
        }
        save_arrays(self.path, dict(state.arrays), metadata)
        self._saved = time.monotonic()

    def _differences(self, other: str) -> str:
        """What is different in another run: numbers and words as they are, texts by name."""
        here, found = json.loads(self.identity), []
        try:
            there = read_json(other)
        except ValueError:
            there = None
        if not isinstance(there, dict):
            return "which it does not name"
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
        metadata, arrays = open_arrays(
            self.path, mmap=False
        )  # it is written anew while they are used
        if metadata.get("format") != "langmodels checkpoint":
            raise LangmodelsError(f"{self.path} is not a checkpoint; give another name.")
        if metadata.get("identity") != self.identity:
            raise LangmodelsError(
                f"{self.path} belongs to a run with other settings or another text "
                f"({self._differences(metadata.get('identity', '{}'))}); give the same ones to go "
                "on, or another name to begin anew."
            )
        try:
            return TrainingState(arrays, read_json(metadata["state"]))
        except (KeyError, ValueError) as error:
            raise self.incomplete(error) from error

    def incomplete(self, why: Exception) -> LangmodelsError:
        """What to raise where a state lacks something, or holds something that cannot be."""
        return LangmodelsError(
            f"{self.path} is not a complete checkpoint ({why}); remove it to begin anew."
        )
