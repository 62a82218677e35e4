"""A large file in pieces, so that several workers share it: every piece a task, joined in the end.

A piece is a stretch of whole lines. What comes of all pieces together is what comes of the file.
"""

import shutil
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import numpy as np

from langmodels.addresses import make_folder_of, open_to_read, remove
from langmodels.datasets.shards import shard_of, stretches
from langmodels.filtering.scores import ScoredShard
from langmodels.filtering.tasks import Outcome, Thresholds, Work, drawn, is_done, note
from langmodels.storage import atomic_write

SMALLEST = 1 << 25
"""Bytes of a piece, at least: so many are scored in a few seconds."""
_MOST = 4
"""Pieces for each worker, at most: the last one to end does not keep the others waiting for long.
"""


def pieces_of(work: Work, pool: Executor, thresholds: Thresholds | None) -> list[Work]:
    """The pieces in which a file is filtered; itself where it is small, packed, or done before."""
    workers = getattr(pool, "workers", 1)
    if workers < 2 or is_done(work, thresholds):
        return [work]
    spans = stretches(work.request, _MOST * workers, SMALLEST)
    if len(spans) < 2:
        return [work]
    request = shard_of(work.request).settled()
    pieces = [
        replace(
            work,
            request=replace(request, span=span),
            paths=replace(work.paths, piece=f".{i}-of-{len(spans)}"),
        )
        for i, span in enumerate(spans, start=1)
    ]
    scored_before = is_done(work, None) and not all(is_done(piece, None) for piece in pieces)
    return [work] if scored_before else pieces


def joined(
    work: Work, pieces: Sequence[Work], outcomes: Sequence[Outcome], thresholds: Thresholds | None
) -> Outcome:
    """The outcome of a file from those of its pieces, which are removed once it is written."""
    scored = _joined_scores(work, outcomes)
    if thresholds is None:
        return Outcome(scored, skipped=all(outcome.skipped for outcome in outcomes))
    make_folder_of(work.paths.shard)
    remove(work.paths.beside(".done"))
    with atomic_write(work.paths.shard) as whole:
        for piece in pieces:
            with open_to_read(piece.paths.shard) as part:
                shutil.copyfileobj(part, whole)
    examples = drawn([e for outcome in outcomes for e in outcome.examples])
    note(work, scored, thresholds, examples)
    for piece in pieces:
        remove(piece.paths.shard)
        for ending in (".scores", ".bad", ".json", ".done"):
            remove(piece.paths.beside(ending))
    return Outcome(scored, examples)


def _joined_scores(work: Work, outcomes: Sequence[Outcome]) -> ScoredShard:
    key: list[Any] = work.scoring.key(work.request)
    found = ScoredShard.find(work.paths, key)
    if found is not None:
        return found
    scored = ScoredShard(work.paths, key)
    with scored.writing() as writer:
        for outcome in outcomes:
            shard = outcome.shard
            number = np.array(writer.groups(shard.groups), np.int32)
            for records in shard.records():
                renumbered = records.copy()
                renumbered["group"] = number[records["group"]] if len(number) else 0
                writer.write(renumbered)
            writer.refuse_like(shard)
    return scored
