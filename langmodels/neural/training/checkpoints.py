"""Checkpoints: files from which an interrupted training run is resumed."""

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
    """Everything that the rest of a run depends on: arrays by name, and JSON values (`figures`)."""

    arrays: Mapping[str, Array]
    figures: Mapping[str, Any]


class Checkpoint:
    """A file from which a run is resumed exactly.

    Args:
        path: the file.
        identity: settings and checksums of the data, as JSON values; the run that resumes must have
            the same.
        seconds: time between two checkpoints within an epoch.
    """

    def __init__(
        self, path: str | os.PathLike[str], identity: dict[str, Any], seconds: float = 300
    ) -> None:
        self.path = Path(path)
        self.identity = json.dumps(identity, sort_keys=True)
        self.seconds = seconds
        self._saved = time.monotonic()

    def due(self) -> bool:
        """Whether `seconds` have passed since the last checkpoint."""
        return time.monotonic() - self._saved >= self.seconds

    def begin(self, state: TrainingState) -> None:
        """Write the initial state.

        Raises LangmodelsError if it cannot be written: before training rather than after hours.
        """
        self._save(state)

    def check_writable(self) -> None:
        """Raise LangmodelsError if the next checkpoint could not be written."""
        check_writable(self.path)

    def keep(self, state: TrainingState) -> None:
        """Write the current state in place of the last one.

        A failure is only a warning: training continues, since its result is worth more than a
        checkpoint.
        """
        try:
            self._save(state)
        except LangmodelsError as error:
            self._saved = time.monotonic()
            warnings.warn(f"{error} Training continues.", FileWarning, stacklevel=2)

    def _save(self, state: TrainingState) -> None:
        metadata = {
            "format": "langmodels checkpoint",
            "identity": self.identity,
            "state": json.dumps(state.figures),
        }
        save_arrays(self.path, dict(state.arrays), metadata)
        self._saved = time.monotonic()

    def read(self) -> TrainingState | None:
        """The state in the file; None if there is no file yet.

        Raises LangmodelsError if it belongs to another run or is damaged.
        """
        if not self.path.exists():
            return None
        # Not mapped, because the file is overwritten while the arrays are in use.
        metadata, arrays = open_arrays(self.path, mmap=False)
        if metadata.get("format") != "langmodels checkpoint":
            raise LangmodelsError(f"{self.path} is not a checkpoint; choose another file name.")
        if metadata.get("identity") != self.identity:
            raise LangmodelsError(
                f"{self.path} belongs to a run with other settings or another text "
                f"({self._differences(metadata.get('identity', '{}'))}); use the same ones to "
                "resume it, or another file name to start a new run."
            )
        try:
            return TrainingState(arrays, read_json(metadata["state"]))
        except (KeyError, ValueError) as error:
            raise self.incomplete(error) from error

    def _differences(self, other: str) -> str:
        """What differs in the identity `other` (JSON), for the error message.

        Settings with both values, texts and vocabularies by name.
        """
        here, found = json.loads(self.identity), []
        try:
            there = read_json(other)
        except ValueError:
            there = None
        if not isinstance(there, dict):
            return "it does not say which"
        for name in here:
            old, new = there.get(name), here[name]
            if old != new:
                texts = "text" in name or name == "vocabulary"
                found.append(name if texts else f"{name}={old} there, {new} here")
        return "; ".join(found)

    def incomplete(self, why: Exception) -> LangmodelsError:
        """The error to raise for a state that is incomplete or invalid."""
        return LangmodelsError(
            f"{self.path} is not a complete checkpoint ({why}); remove it to start a new run."
        )
