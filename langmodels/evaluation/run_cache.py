"""A cache of finished runs: a comparison that is repeated or extended trains what is new."""

import functools
import hashlib
import json
import os
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from langmodels.checks import LOG_PROB, Expected, check_arrays
from langmodels.errors import LangmodelsError
from langmodels.evaluation.candidates import Trial
from langmodels.evaluation.levels import Material
from langmodels.evaluation.measuring import AnyRun, ClozeRun, Plan, Run, plan_of
from langmodels.interchange import json_text, structure
from langmodels.storage import cache_folder
from langmodels.tensors import open_arrays, save_arrays

R = TypeVar("R", Run, ClozeRun)


class RunCache:
    """A folder of finished runs, each in a file named by a hash of everything it depends on.

    The hash covers the model and its options, the seed, the ids of all parts of the text, the plan
    and the source code of this package. A run whose file is damaged is measured again. Models with
    code from outside the package, which may change unnoticed, are not stored. Without a folder
    nothing is.
    """

    def __init__(self, folder: str | os.PathLike[str] | None) -> None:
        self.folder = None if folder is None else Path(folder)

    def has(self, trial: Trial, material: Material, plan: Plan) -> bool:
        """Whether there is a file for a trial; it is not read, and may turn out to be damaged."""
        path = self._path(trial, material, plan)
        return path is not None and path.is_file()

    def load(self, trial: Trial, material: Material, plan: Plan) -> AnyRun | None:
        """The stored run of a trial; None where there is none, or its file is damaged."""
        path = self._path(trial, material, plan)
        if path is None or not path.is_file():
            return None
        if trial.candidate.fills_blanks:
            return read_run(path, ClozeRun)
        return read_run(path, Run)

    def save(self, trial: Trial, material: Material, plan: Plan, run: AnyRun) -> None:
        """Store a finished run; without an error where the folder cannot be written."""
        path = self._path(trial, material, plan)
        if path is None:
            return
        arrays = {"scores": run.scores} if isinstance(run, Run) else {}
        rest = {f.name: getattr(run, f.name) for f in fields(run) if f.name not in arrays}
        with suppress(LangmodelsError, OSError):  # a full disk must not cost the results
            path.parent.mkdir(parents=True, exist_ok=True)
            save_arrays(path, arrays, {"run": json_text(rest)})

    def _path(self, trial: Trial, material: Material, plan: Plan) -> Path | None:
        """The file for a trial; None where it is not to be stored."""
        candidate = trial.candidate
        if self.folder is None or not candidate.repeatable:
            return None
        parts = [
            candidate.name,
            candidate.level,
            json.dumps(dict(candidate.options), sort_keys=True, default=repr),
            str(trial.seed),
            material.at(candidate.level).digest,
            repr(plan_of(trial, plan)),
            _code_digest(),
        ]
        name = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
        return self.folder / f"{name}.run"


def read_run(path: Path, kind: type[R]) -> R | None:
    """The run in a file; None where it is damaged."""
    try:
        metadata, arrays = open_arrays(path)
        if "scores" in arrays:
            check_arrays(arrays, {"scores": Expected("float64", ("tokens",), **LOG_PROB)})
        data = json.loads(metadata["run"])
        found: dict[str, Any] = dict(arrays)
        for f in fields(kind):
            if f.name not in arrays:
                found[f.name] = structure(f.type, data[f.name])
        return kind(**found)
    except (LangmodelsError, KeyError, TypeError, ValueError):
        return None


def default_cache_folder() -> Path:
    """The folder in which the command line stores finished runs, beside the downloads."""
    return cache_folder() / "runs"


@functools.cache
def _code_digest() -> str:
    """A hash of the source of this package, so that a change of code makes stored runs void."""
    text = hashlib.sha256()
    folder = Path(__file__).parents[1]
    for path in sorted(folder.rglob("*.py")):
        part = path.relative_to(folder).parts[0]
        if part not in ("cli", "teaching"):  # no figure depends on these
            text.update(path.read_bytes())
    return text.hexdigest()
