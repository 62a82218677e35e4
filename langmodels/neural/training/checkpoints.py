"""Checkpoints: files from which an interrupted training run resumes."""

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
    """Everything that the rest of a run depends on: arrays, and scalars as JSON values."""

    arrays: Mapping[str, Array]
    figures: Mapping[str, Any]


class Checkpoint:
    """A file from which a run resumes exactly, written every `seconds` and after every epoch.

    `identity` is what must be equal in the run that resumes: settings and data, as JSON values.
    """

    def __init__(
        self, path: str | os.PathLike[str], identity: dict[str, Any], seconds: float = 300
    ) -> None:
        self.path = Path(path)
        self.identity = json.dumps(identity, sort_keys=True)
        self.seconds = seconds
        self._saved = time.monotonic()

    def due(self) -> bool:
        """Whether `seconds` have passed since the last one."""
        return time.monotonic() - self._saved >= self.seconds

    def begin(self, state: TrainingState) -> None:
        """Write the initial state, which shows that there is room for the file.

        Raises LangmodelsError if it cannot be written.
        """
        self._save(state)

    def check_writable(self) -> None:
        """Raise LangmodelsError if the next checkpoint could not be written."""
        check_writable(self.path)

    def keep(self, state: TrainingState) -> None:
        """Write the state of a run, replacing the one before.

        If that fails there is a warning and the run goes on: its result is worth more than a
        checkpoint.
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
        """The settings in which another run differs, for a message: values of scalars, names of
        texts.
        """
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
        """The state in the file; None if there is no file yet.

        Raises LangmodelsError if it belongs to another run or is damaged.
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
        """The error for a state that is incomplete or invalid."""
        return LangmodelsError(
            f"{self.path} is not a complete checkpoint ({why}); remove it to begin anew."
        )
