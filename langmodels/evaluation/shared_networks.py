"""Networks that are models of a comparison, and parts of others as well, are trained once.

`mixture`, for one, contains the network of `lstm`. The process that trains the latter leaves it in
a folder, where the process that trains the former finds it, if it comes later and runs on the same
machine; otherwise it trains the network itself. Figures are the same either way, and what a model
costs includes the training of its parts.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from langmodels.evaluation.candidates import Trial
from langmodels.interchange import json_text
from langmodels.kinds import find_kind
from langmodels.models.files import pack, unpack
from langmodels.models.model import Model
from langmodels.tensors import open_arrays, save_arrays
from langmodels.text.corpus import Corpus

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Training:
    """What training cost: seconds, and the growth of memory in bytes, None where it is unknown."""

    seconds: float = 0.0
    peak: int | None = None

    def __add__(self, later: "Training") -> "Training":
        known = [peak for peak in (self.peak, later.peak) if peak is not None]
        return Training(self.seconds + later.seconds, max(known, default=None))


def _keys(model: Model, level: str) -> list[str]:
    """The key of a model at a level, and then the keys of all its parts.

    Unfitted models with one key learn the same from the same text. The key is empty where a model
    cannot be kept.
    """
    inside = [key for part in model.parts for key in _keys(part, level)]
    told = repr([level, model.kind, model.get_params(), inside])
    key = hashlib.sha256(told.encode()).hexdigest()[:32] if _can_be_kept(model) else ""
    return [key, *inside]


def _can_be_kept(model: Model) -> bool:
    """Whether options and kinds determine an unfitted model and its parts.

    They do not where a part has been fitted, nor where a class has inherited its kind: a file would
    restore the class that it inherits from.
    """
    own = find_kind(model.kind) is type(model)
    return own and not model.is_fitted and all(map(_can_be_kept, model.parts))


def _keys_of_trial(trial: Trial) -> list[str]:
    return _keys(trial.make(), trial.candidate.level)


def containing(trials: Sequence[Trial]) -> dict[int, list[int]]:
    """Which trials contain networks that are trials themselves: their indices, and of these."""
    keys = {i: _keys_of_trial(trial) for i, trial in enumerate(trials) if trial.candidate.random}
    own = {key: i for i, (key, *_) in keys.items() if key}
    found = {i: [own[key] for key in inside if key in own] for i, (_, *inside) in keys.items()}
    return {i: others for i, others in found.items() if others}


@dataclass(frozen=True)
class SharedNetworks:
    """A folder of fitted networks that other models contain; `keys` are those worth keeping.

    Nothing is kept in a folder that does not exist, as on another machine.
    """

    folder: str = ""
    keys: frozenset[str] = frozenset()

    @classmethod
    @contextmanager
    def among(cls, trials: Sequence[Trial]) -> Iterator["SharedNetworks"]:
        """A context manager: a folder for the networks that several trials train, while they do."""
        found = {other for others in containing(trials).values() for other in others}
        if not found:
            yield cls()
            return
        keys = frozenset(_keys_of_trial(trials[i])[0] for i in found)
        try:
            # On Windows, a worker that is being stopped may still have a file open.
            place = tempfile.TemporaryDirectory(prefix="langmodels-", ignore_cleanup_errors=True)
        except OSError:  # nowhere to write: each model trains its own
            yield cls()
            return
        with place as folder:
            yield cls(folder, keys)

    def complete(self, model: M, level: str, train: Corpus) -> tuple[M, Training]:
        """An unfitted model with those of its parts fitted that were kept, and what that cost."""
        cost = Training()
        wholes: dict[int, Model] = {}
        for part in model.parts if self.keys else ():
            if part.is_fitted:
                continue
            key = _keys(part, level)[0]
            found = self._load(key, train) if key in self.keys else None
            whole, own = found or self.complete(part, level, train)
            if whole is not part:
                wholes[id(part)] = whole
                cost += own
        if wholes:
            model = model.with_parts(lambda part: wholes.get(id(part), part))
        return model, cost

    def keep(self, trial: Trial, model: Model, train: Corpus, cost: Training) -> None:
        """Keep the fitted model of a trial, if others contain it, with what its training cost."""
        key = _keys_of_trial(trial)[0] if self.keys else ""
        if key not in self.keys or not Path(self.folder).is_dir():
            return
        with suppress(Exception):  # a full disk, a model that no file can hold: it is trained again
            metadata, arrays = pack(model)
            save_arrays(self._path(key, train), arrays, {**metadata, "cost": json_text(cost)})

    def _load(self, key: str, train: Corpus) -> tuple[Model, Training] | None:
        path = self._path(key, train)
        with suppress(Exception):  # it is there no longer, or its class restores no model
            if not path.is_file():
                return None
            metadata, arrays = open_arrays(path, mmap=False)
            return unpack(metadata, arrays), Training(**json.loads(metadata["cost"]))
        return None

    def _path(self, key: str, train: Corpus) -> Path:
        """The file for a model fitted to the beginning of the text that `train` is."""
        return Path(self.folder) / f"{key}-{train.n_tokens}.lm"
