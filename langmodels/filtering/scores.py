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
"""The record that is kept of each document with a text."""

_AT_ONCE = 1 << 16  # records that are read at a time

Records = NDArray[np.void]


@dataclass(frozen=True)
class Paths:
    """The paths of the files that belong to one file of documents.

    `output`: the folder. `name`: the file's name in it. `piece`: an ending for the files of a piece
    of it, empty for those of the whole.
    """

    output: str
    name: str
    piece: str = ""

    @property
    def shard(self) -> str:
        """The path that the kept documents are written to."""
        return self.beside(".part") if self.piece else join(self.output, self.name)

    def beside(self, ending: str) -> str:
        """The path of a file in the folder `scores`, by its ending."""
        return join(self.output, "scores", f"{self.name}{self.piece}{ending}")


@dataclass
class ScoredShard:
    """A file whose documents have been scored; the records themselves are on disk.

    `key`: all that the scores depend on. `documents` and `bad`: how many have a text, and how many
    have no score. `groups`: the names of groups by number. `checksum`: CRC-32 of the records.
    """

    paths: Paths
    key: list[Any]
    documents: int = 0
    bad: int = 0
    groups: list[str] = field(default_factory=list)
    checksum: int = 0

    @classmethod
    def find(cls, paths: Paths, key: list[Any]) -> "ScoredShard | None":
        """The result of an earlier run; None if there is none, or it is damaged or another."""
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
        """A context manager: the writer of the file's scores, which appear when the block ends."""
        make_folder_of(self.paths.beside(""))
        remove(self.paths.beside(".json"))
        with (
            atomic_write(self.paths.beside(".scores"), synced=False) as scores,
            atomic_write(self.paths.beside(".bad"), synced=False) as bad,
        ):
            yield ScoreWriter(self, scores, bad)
        known = {name: getattr(self, name) for name in _KNOWN}
        known["bad_bytes"] = size(self.paths.beside(".bad"))
        with atomic_write(self.paths.beside(".json"), synced=False) as file:
            file.write(json_text(known).encode())

    def records(self) -> Iterator[Records]:
        """The records of the documents in order, `_AT_ONCE` at a time."""
        with open_to_read(self.paths.beside(".scores")) as file:
            while data := file.read(_AT_ONCE * RECORD.itemsize):
                yield np.frombuffer(data, RECORD)


_KNOWN = ("key", "documents", "bad", "groups", "checksum")
"""The attributes that are stored in the file beside the scores."""


def _checksum(before: int, records: Records) -> int:
    return zlib.crc32(records.view(np.uint8).data, before)


class ScoreWriter:
    """Writes the scores of a file, and notes the documents that have none."""

    def __init__(self, shard: ScoredShard, scores: IO[bytes], bad: IO[bytes]) -> None:
        self._shard, self._scores, self._bad = shard, scores, bad
        self._numbers: dict[str, int] = {}

    def groups(self, values: Sequence[Any]) -> list[int]:
        """The number of each document's group, given the values of the field that groups them."""
        numbers = self._numbers
        names = ["" if value is None else str(value) for value in values]
        found = [numbers.setdefault(name, len(numbers)) for name in names]
        self._shard.groups = list(numbers)
        return found

    def write(self, records: Records) -> None:
        """Append records."""
        self._scores.write(records.tobytes())
        self._shard.documents += len(records)
        self._shard.checksum = _checksum(self._shard.checksum, records)

    def refuse_like(self, shard: ScoredShard) -> None:
        """Note the documents that were noted for a piece of the file."""
        self._shard.bad += shard.bad
        with open_to_read(shard.paths.beside(".bad")) as part:
            shutil.copyfileobj(part, self._bad)

    def refuse(self, request: Request, documents: Sequence[tuple[int, str]]) -> None:
        """Note documents that have no score, as (number, reason)."""
        self._shard.bad += len(documents)
        for number, reason in documents:
            entry = {"file": os.fspath(request.path), "document": number, "reason": reason}
            self._bad.write(f"{json_text(entry)}\n".encode())
