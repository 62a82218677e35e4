"""Cutting a large file into pieces that several workers share, and joining their results.

A piece is a stretch of whole lines. The joined results are the same as those of the whole file.
"""

import re
import shutil
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import numpy as np

from langmodels.addresses import beginning_like, make_folder_of, open_to_read, remove
from langmodels.datasets.shards import may_be_cut, shard_of, stretches
from langmodels.execution import n_workers
from langmodels.filtering.scores import ScoredShard
from langmodels.filtering.tasks import Outcome, Thresholds, Work, drawn, is_done, note
from langmodels.storage import atomic_write

SMALLEST = 1 << 24
"""Least size of a piece in bytes; it takes a second or two to score."""
_MOST = 1 << 8
"""Most pieces of a file; each has files of its own while the work lasts."""
_NAME = re.compile(r"\d+-of-\d+\.[a-z]+")


def pieces_of(work: Work, pool: Executor, thresholds: Thresholds | None) -> list[Work]:
    """The pieces in which to filter a file; the file itself if it is small, compressed or finished.

    Pieces do not depend on the number of workers, so that a run can continue those of another. A
    single worker takes the whole file, unless an earlier run left pieces of it.
    """
    alone = n_workers(pool) < 2
    if is_done(work, thresholds) or (alone and not _left(work)):
        return [work]
    spans = stretches(work.request, _MOST, SMALLEST)
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


def leave_none(work: Work) -> None:
    """Remove the files of a finished file's pieces."""
    for name in _left(work):
        remove(name)


def _left(work: Work) -> list[str]:
    """The paths of all files that belong to pieces of a file."""
    if not may_be_cut(work.request, SMALLEST):
        return []
    whole = replace(work.paths, piece="").beside(".")
    return [name for name in beginning_like(whole) if _NAME.fullmatch(name, len(whole))]


def joined(
    work: Work, pieces: Sequence[Work], outcomes: Sequence[Outcome], thresholds: Thresholds | None
) -> Outcome:
    """Join the results of a file's pieces into the result of the file."""
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
