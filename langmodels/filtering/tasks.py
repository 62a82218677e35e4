"""The task of one file: score its documents, and write those that are kept."""

import functools
import json
import math
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from langmodels import progress
from langmodels.addresses import identity, make_folder_of, open_to_read, remove
from langmodels.arrays import FloatArray, IndexArray
from langmodels.datasets.documents import Request
from langmodels.datasets.shards import Batch, Kinds, Shard, Writer, shard_of
from langmodels.filtering.rules import Rule
from langmodels.filtering.scores import RECORD, Paths, Records, ScoredShard
from langmodels.interchange import json_text, structure
from langmodels.models.base import LanguageModel
from langmodels.models.texts import FIGURES, TextScores, score_texts, without_nan
from langmodels.registry import load
from langmodels.storage import atomic_write
from langmodels.streaming import Ahead
from langmodels.threads import cores

SHOWN = 3
"""Number of documents of each part that the report shows as examples."""
_LENGTH = 400  # characters of an example, at most


@dataclass(frozen=True)
class Scoring:
    """How documents are scored: by which models, per `token` or `character`, in what groups.

    `model` and `against`: paths. With `against`, the score is the difference of the two models'
    cross-entropies, as in Moore and Lewis 2010, "Intelligent Selection of Language Model Training
    Data". `by`: the field by which documents are grouped.
    """

    model: str
    against: str | None = None
    per: str = "token"
    by: str | None = None

    def key(self, request: Request) -> list[Any]:
        """All that the scores of a file depend on; equal keys mean equal scores."""
        models = [identity(m) for m in (self.model, self.against) if m is not None]
        how = [self.per, self.by, request.text, request.encoding, *(request.span or ())]
        return [repr(RECORD), models, how, identity(request.path)]


@dataclass(frozen=True)
class Example:
    """A document shown in the report. Those with the lowest `draw` of their part are taken."""

    part: int
    draw: int
    file: str
    document: int
    score: float
    text: str


@dataclass(frozen=True)
class Work:
    """A file to be filtered. With `as_is`, no columns are added to its documents."""

    request: Request
    paths: Paths
    scoring: Scoring
    rule: Rule
    as_is: bool = False

    @property
    def columns(self) -> Kinds:
        """The columns that are added to documents."""
        if self.as_is:
            return {}
        columns = dict(FIGURES)
        if self.scoring.against is not None:
            columns["difference"] = float
        if self.rule.buckets is not None:
            columns["bucket"] = str
        return columns


Thresholds = dict[str, list[float]]
"""By group, the highest score of each part but the last, in bits."""


@dataclass
class Outcome:
    """The result of a file's task; `skipped`: whether an earlier run had done it all."""

    shard: ScoredShard
    examples: list[Example] = field(default_factory=list)
    skipped: bool = False


def filter_shard(work: Work, thresholds: Thresholds | None) -> Outcome:
    """Score the documents of a file and, if there are thresholds, write those that are kept.

    What an earlier run finished is not repeated. Raises LangmodelsError for a file that cannot be
    read.
    """
    key = work.scoring.key(work.request)
    scored = ScoredShard.find(work.paths, key)
    done = None if scored is None or thresholds is None else _written(work, scored, thresholds)
    if scored is not None and (thresholds is None or done is not None):
        return Outcome(scored, done or [], skipped=True)
    shard = shard_of(work.request)
    if scored is None:
        scored = ScoredShard(work.paths, key)
        batches = _scored(work, shard, scored)
    else:
        batches = _stored(shard, scored)
    with ExitStack() as stack:
        total = scored.documents or None
        meter = stack.enter_context(progress.track(work.paths.name, total))
        selection = None
        if thresholds is not None:
            selection = stack.enter_context(_Selection.writing(work, shard, scored, thresholds))
        # Documents are read ahead and written behind, in threads of their own.
        writing = stack.enter_context(ThreadPoolExecutor(1)) if cores() > 1 else None
        last: Future[None] | None = None
        for batch, records in batches:
            if last is not None:
                last.result()
            if selection is not None and writing is not None:
                last = writing.submit(selection.take, batch, records)
            elif selection is not None:
                selection.take(batch, records)
            meter.advance(len(records))
        if last is not None:
            last.result()
    if selection is None or thresholds is None:
        return Outcome(scored)
    note(work, scored, thresholds, selection.examples)
    return Outcome(scored, selection.examples)


def _scored(work: Work, shard: Shard, scored: ScoredShard) -> Iterator[tuple[Batch, Records]]:
    """The documents of a file with their scores, which are stored on the way."""
    with scored.writing() as writer:
        for batch in _read(shard):
            records = _records(batch.texts, work.scoring)
            values = batch.column(work.scoring.by) if work.scoring.by else [None] * len(records)
            records["group"] = writer.groups(values)
            none = np.flatnonzero(np.isnan(records["score"])).tolist()
            tokens = records["tokens"].tolist()
            bad = [*batch.bad, *((batch.numbers[i], _without_score(tokens[i])) for i in none)]
            writer.refuse(work.request, sorted(bad))
            writer.write(records)
            yield batch, records


def _read(shard: Shard) -> Iterator[Batch]:
    if cores() == 1:
        yield from shard.batches()
        return
    with Ahead(shard.batches(), 1) as stream:
        yield from stream


def _stored(shard: Shard, scored: ScoredShard) -> Iterator[tuple[Batch, Records]]:
    """The documents of a file with the scores stored by an earlier run."""
    rest, pieces = np.empty(0, RECORD), scored.records()
    for batch in _read(shard):
        n = len(batch.texts)
        while len(rest) < n:
            rest = np.concatenate([rest, next(pieces)])
        yield batch, rest[:n]
        rest = rest[n:]


def _records(texts: Sequence[str], scoring: Scoring) -> Records:
    """The scores of texts."""
    model = opened(scoring.model)
    records = np.zeros(len(texts), RECORD)
    scores = score_texts(model, texts)
    for name in ("log_prob", "tokens", "oov", "characters"):
        records[name] = getattr(scores, name)
    records["score"] = _bits(scores, scoring.per)
    if scoring.against is not None:
        general = score_texts(opened(scoring.against), texts)
        with np.errstate(invalid="ignore"):  # inf - inf, for texts impossible under both models
            records["score"] -= _bits(general, scoring.per)
    return records


def _without_score(tokens: int) -> str:
    """Why a document has no score, given its number of tokens."""
    return "is impossible under both models" if tokens else "has no tokens"


def _bits(scores: TextScores, per: str) -> FloatArray:
    if per == "character":
        return scores.bits_per_character
    bits = np.full(len(scores), np.nan)
    np.divide(-scores.log_prob / math.log(2), scores.tokens, out=bits, where=scores.tokens > 0)
    return bits


def opened(path: str) -> LanguageModel[Any]:
    """The model in a file, opened once in each process as long as the file stays the same."""
    try:
        same = identity(path)
    except OSError:
        return load(path)  # which says what is wrong
    return _opened(path, *same)


@functools.lru_cache(maxsize=4)
def _opened(path: str, *_: Any) -> LanguageModel[Any]:
    return load(path)


class _Selection:
    """Writes the documents that are kept, and draws examples."""

    def __init__(
        self,
        work: Work,
        writer: Writer,
        scored: ScoredShard,
        thresholds: Thresholds,
        columns: Kinds,
    ) -> None:
        self._work, self._writer, self._kinds = work, writer, columns
        self._scored, self._thresholds = scored, thresholds
        self._table: FloatArray = np.empty((0, 0))
        """The thresholds of each group, (groups, parts - 1)."""
        self.examples: list[Example] = []

    @classmethod
    @contextmanager
    def writing(
        cls, work: Work, shard: Shard, scored: ScoredShard, thresholds: Thresholds
    ) -> Iterator["_Selection"]:
        """A context manager; the output file appears when the block ends."""
        path = work.paths.shard
        make_folder_of(path)
        remove(work.paths.beside(".done"))
        columns = work.columns if shard.takes_columns else {}
        with atomic_write(path) as file, shard.writing(file, path, columns) as writer:
            yield cls(work, writer, scored, thresholds, columns)

    def take(self, batch: Batch, records: Records) -> None:
        """Write the documents of a batch that are kept."""
        rule, scores = self._work.rule, records["score"]
        parts = rule.parts(scores, self._limits(records["group"]))
        keep = rule.kept(parts) & ~np.isnan(scores)
        columns = self._columns(records[keep], parts[keep]) if self._kinds else {}
        self._writer.write(batch, keep, columns)
        self._draw(batch, scores, parts)

    def _limits(self, groups: IndexArray) -> FloatArray:
        """The thresholds of each document, (n, parts - 1)."""
        rule = self._work.rule
        if rule.thresholds is not None:
            return np.tile(rule.thresholds, (len(groups), 1))
        names = self._scored.groups
        if len(self._table) < len(names):
            none = [math.nan] * (len(rule.names) - 1)  # for a group none of which has a score
            table = [self._thresholds.get(name, none) for name in names]
            self._table = np.array(table, np.float64).reshape(len(names), len(none))
        limits: FloatArray = self._table[groups]
        return limits

    def _columns(self, records: Records, parts: IndexArray) -> dict[str, list[Any]]:
        figures = (records[name] for name in ("log_prob", "tokens", "oov", "characters"))
        columns = TextScores(*figures).columns(math.log(10))
        if "difference" in self._kinds:
            columns["difference"] = without_nan(records["score"])
        if "bucket" in self._kinds:
            columns["bucket"] = [self._work.rule.names[part] for part in parts.tolist()]
        return columns

    def _draw(self, batch: Batch, scores: FloatArray, parts: IndexArray) -> None:
        """Choose examples of each part by a hash, so that the choice is the same in every run."""
        draws = np.array(batch.numbers, np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        draws ^= np.uint64(zlib.crc32(self._work.paths.name.encode())) << np.uint64(16)
        draws *= np.uint64(0xC2B2AE3D27D4EB4F)
        for part in range(len(self._work.rule.names)):
            mine = np.flatnonzero((parts == part) & ~np.isnan(scores))
            for i in mine[np.argsort(draws[mine])[:SHOWN]].tolist():
                self.examples.append(
                    Example(
                        part,
                        int(draws[i] >> np.uint64(11)),
                        self._work.request.path,
                        batch.numbers[i],
                        float(scores[i]),
                        batch.texts[i][:_LENGTH],
                    )
                )
        self.examples = drawn(self.examples)


def drawn(examples: Sequence[Example]) -> list[Example]:
    """The `SHOWN` examples of each part with the lowest `draw`."""
    taken: list[Example] = []
    for example in sorted(examples, key=lambda e: (e.part, e.draw)):
        if sum(other.part == example.part for other in taken) < SHOWN:
            taken.append(example)
    return taken


# What an earlier run finished ---------------------------------------------------------------------


def _stamp(work: Work, scored: ScoredShard, thresholds: Thresholds) -> Any:
    """All that the output of a file depends on, as JSON returns it."""
    chosen = {name: thresholds.get(name) for name in scored.groups}
    rule = [work.rule.at_most, work.rule.keep, work.rule.buckets, work.as_is]
    return json.loads(json_text([scored.key, rule, chosen]))


def is_done(work: Work, thresholds: Thresholds | None) -> bool:
    """Whether an earlier run finished a file: its scores or, with thresholds, its output."""
    scored = ScoredShard.find(work.paths, work.scoring.key(work.request))
    if scored is None or thresholds is None:
        return scored is not None
    return _written(work, scored, thresholds) is not None


def note(work: Work, scored: ScoredShard, thresholds: Thresholds, examples: list[Example]) -> None:
    """Note that the output of a file is finished, and what it depended on."""
    done = {
        "stamp": _stamp(work, scored, thresholds),
        "output": identity(work.paths.shard),
        "examples": examples,
        "checksum": _checksum(examples),
    }
    with atomic_write(work.paths.beside(".done"), synced=False) as file:
        file.write(json_text(done).encode())


def _checksum(examples: Any) -> int:
    return zlib.crc32(json_text(examples).encode())


def _written(work: Work, scored: ScoredShard, thresholds: Thresholds) -> list[Example] | None:
    """The examples of a file if an earlier run finished the same output, else None."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        with open_to_read(work.paths.beside(".done")) as file:
            data = json.load(file)
        same = data["stamp"] == _stamp(work, scored, thresholds)
        same = same and data["checksum"] == _checksum(data["examples"])
        if same and data["output"] == identity(work.paths.shard):
            examples: list[Example] = structure(list[Example], data["examples"])
            return examples
    return None
