"""The scores of the documents of a file: kept beside the output, read in pieces."""

import functools
import json
import os
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from langmodels.addresses import join, make_folder_of, open_to_read, remove, size
from langmodels.datasets.documents import Request
from langmodels.interchange import json_text, structure
from langmodels.storage import atomic_write

RECORD = np.dtype(
    [
        ("score", "<f8"),  # bits; lower is better; NaN where there is nothing to score
        ("log_prob", "<f8"),  # nats
        ("tokens", "<i8"),
        ("oov", "<i8"),
        ("characters", "<i8"),
        ("group", "<i4"),
    ]
)
"""What is kept of a document that has a text."""

_AT_ONCE = 1 << 16  # records that are read together

Records = NDArray[np.void]


@dataclass(frozen=True)
class Paths:
    """Where things are that belong to a file of documents: `name` is its name in the output,
    `piece` an ending for what belongs to a piece of it alone.
    """

    output: str
    name: str
    piece: str = ""

    @property
    def shard(self) -> str:
        """The documents that are kept."""
        return self.beside(".part") if self.piece else join(self.output, self.name)

    def beside(self, ending: str) -> str:
        """A file of the work."""
        return join(self.output, "scores", f"{self.name}{self.piece}{ending}")


@dataclass
class ScoredShard:
    """What is known of a file whose documents were scored.

    `key`: what decides the scores. `groups`: the values of the field that groups are made by.
    `checksum`: CRC-32 of the records.
    """

    paths: Paths
    key: list[Any]
    documents: int = 0
    bad: int = 0
    groups: list[str] = field(default_factory=list)
    checksum: int = 0

    @classmethod
    def find(cls, paths: Paths, key: list[Any]) -> "ScoredShard | None":
        """That of an earlier run; None where there is none, of other scores, or a damaged one."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            with open_to_read(paths.beside(".json")) as file:
                data = json.load(file)
            kinds = (list[Any], int, int, list[str], int)
            values = [structure(kind, data[name]) for kind, name in zip(kinds, _KNOWN, strict=True)]
            known = cls(paths, *values)
            if (
                known.key == key
                and size(paths.beside(".scores")) == known.documents * RECORD.itemsize
                and size(paths.beside(".bad")) == data["bad_bytes"]
                and functools.reduce(_checksum, known.records(), 0) == known.checksum
            ):
                return known
        return None

    @contextmanager
    def writing(self) -> Iterator["ScoreWriter"]:
        """What takes the scores of the file; they are there when the block has ended."""
        make_folder_of(self.paths.beside(""))
        remove(self.paths.beside(".json"))
        with (
            atomic_write(self.paths.beside(".scores")) as scores,
            atomic_write(self.paths.beside(".bad"), synced=False) as bad,
        ):
            yield ScoreWriter(self, scores, bad)
        known = {name: getattr(self, name) for name in _KNOWN}
        known["bad_bytes"] = size(self.paths.beside(".bad"))
        with atomic_write(self.paths.beside(".json"), synced=False) as file:
            file.write(json_text(known).encode())

    def records(self) -> Iterator[Records]:
        """The records of the documents in order, some at a time."""
        with open_to_read(self.paths.beside(".scores")) as file:
            while data := file.read(_AT_ONCE * RECORD.itemsize):
                yield np.frombuffer(data, RECORD)


_KNOWN = ("key", "documents", "bad", "groups", "checksum")
"""What is kept of a file beside its scores."""


def _checksum(before: int, records: Records) -> int:
    return zlib.crc32(records.view(np.uint8).data, before)


class ScoreWriter:
    """Takes the scores of a file."""

    def __init__(self, shard: ScoredShard, scores: IO[bytes], bad: IO[bytes]) -> None:
        self._shard, self._scores, self._bad = shard, scores, bad
        self._numbers: dict[str, int] = {}

    def groups(self, values: Sequence[Any]) -> list[int]:
        """The numbers of groups, which are called as the values."""
        numbers = self._numbers
        names = ["" if value is None else str(value) for value in values]
        found = [numbers.setdefault(name, len(numbers)) for name in names]
        self._shard.groups = list(numbers)
        return found

    def write(self, records: Records) -> None:
        """Keep some more."""
        self._scores.write(records.tobytes())
        self._shard.documents += len(records)
        self._shard.checksum = _checksum(self._shard.checksum, records)

    def refuse_like(self, shard: ScoredShard) -> None:
        """Note those that were noted of a piece of the file."""
        self._shard.bad += shard.bad
        with open_to_read(shard.paths.beside(".bad")) as part:
            shutil.copyfileobj(part, self._bad)

    def refuse(self, request: Request, documents: Sequence[tuple[int, str]]) -> None:
        """Note documents that have no text."""
        self._shard.bad += len(documents)
        for number, reason in documents:
            entry = {"file": os.fspath(request.path), "document": number, "reason": reason}
            self._bad.write(f"{json_text(entry)}\n".encode())
