"""`langmodels score` of documents: the same format comes out, with columns of figures."""

import argparse
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO, Any, cast

import numpy as np
from rich.console import Console

from langmodels.cli import streams
from langmodels.cli.output import (
    UNIT_LABELS,
    UNITS,
    facts_table,
    format_log,
    format_perplexity,
    print_json,
)
from langmodels.cli.workers import workers_of
from langmodels.datasets.documents import format_by_name
from langmodels.datasets.shards import Batch, ParquetShard, Shard, holds_documents, shard_of
from langmodels.datasets.sources import find_requests
from langmodels.errors import UsageError
from langmodels.execution import executor, mapped
from langmodels.interchange import json_text
from langmodels.models.base import LanguageModel
from langmodels.models.texts import FIGURES, TextScore, TextScores, score_texts
from langmodels.storage import atomic_write

_SHOWN = 3  # documents that cannot be read, of which something is said


def shards_of(args: argparse.Namespace) -> list[Shard]:
    """The files of documents that --file names; none where lines are scored."""
    requests = find_requests(args.file or "-", args.encoding, args.errors, live=True) or []
    if not all(map(holds_documents, requests)):
        return []
    return [shard_of(request) for request in requests]


def score(
    shards: list[Shard], model: LanguageModel[Any], args: argparse.Namespace, console: Console
) -> None:
    """Score the documents of files, write them, print the totals."""
    _check(shards, args)
    nats = UNITS[args.unit]
    total = TextScore(0.0, 0, 0, 0)
    n_documents = n_bad = 0
    with ExitStack() as stack:
        pool = stack.enter_context(executor(stack.enter_context(workers_of(args))))
        writer = None
        if not args.summary and not args.json:
            name = args.output or ""
            file = stack.enter_context(atomic_write(name)) if name else cast(IO[bytes], _Standard())
            writer = stack.enter_context(shards[0].writing(file, name, FIGURES))
        for shard in shards:
            bad: list[tuple[int, str]] = []
            for batch, scores in _scored(pool, shard, model, args.carry):
                bad += batch.bad[: max(0, _SHOWN - len(bad))]
                n_bad += len(batch.bad)
                n_documents += len(scores)
                total = total.plus(scores)
                if writer is not None:
                    keep = np.ones(len(scores), np.bool_)
                    writer.write(batch, keep, scores.columns(nats))
                elif args.json and not args.summary:
                    streams.write(_objects(shard, batch, scores, args))
                streams.flush()
            _warn(shard, bad)
    report = {"documents": n_documents, "unreadable": n_bad, **total.figures(nats)}
    if args.summary and args.json:
        print_json({"unit": args.unit, **report, "is_distribution": model.is_distribution})
        return
    where = console if args.summary else streams.SafeConsole(stderr=True)
    where.print(
        facts_table(
            {
                "documents": f"{n_documents:,}"
                + (f"; {n_bad:,} that cannot be read are left out" if n_bad else ""),
                "tokens": f"{total.tokens:,}, of them {total.oov:,} unknown",
                "total": f"{format_log(total.log_prob / nats)} ({UNIT_LABELS[args.unit]})",
                "perplexity": format_perplexity(total.perplexity),
                "bits/char": format_perplexity(total.bits_per_character),
            }
        )
    )


def _check(shards: list[Shard], args: argparse.Namespace) -> None:
    """Raise UsageError for options that make no sense together."""
    if args.tokens:
        raise UsageError("--tokens is for lines; the score of a document is one.")
    if args.fields and not args.json:
        raise UsageError("--fields is for --json; otherwise documents keep all their fields.")
    if args.output and (args.json or args.summary):
        raise UsageError("--output is for whole documents; leave out --json and --summary.")
    if args.json or args.summary:
        return
    if isinstance(shards[0], ParquetShard) and not args.output:
        raise UsageError("Parquet is written to a file; give --output FILE.")
    kinds = {type(shard) for shard in shards}
    if len(shards) > 1 and kinds & {ParquetShard}:
        raise UsageError("Of Parquet files, one at a time is scored into another.")
    if args.output and type(format_by_name(args.output)) is not shards[0].format:
        raise UsageError(f"{args.output} must have the format of {shards[0].request.name}.")


def _scored(
    pool: Any, shard: Shard, model: LanguageModel[Any], carry: bool
) -> Iterator[tuple[Batch, TextScores]]:
    """The batches of a shard with their scores."""
    waiting: deque[Batch] = deque()

    def texts() -> Iterator[list[str]]:
        for batch in shard.batches():
            waiting.append(batch)
            yield batch.texts

    for scores in mapped(pool, _scores, texts(), model, carry):
        yield waiting.popleft(), scores


def _scores(texts: list[str], model: LanguageModel[Any], carry: bool) -> TextScores:
    return score_texts(model, texts, carry=carry)


def _objects(shard: Shard, batch: Batch, scores: TextScores, args: argparse.Namespace) -> str:
    """A JSON object a document."""
    request = shard.request
    ids = batch.column(request.id) if request.id else [f"{request.path}:{n}" for n in batch.numbers]
    asked = [batch.column(name) for name in args.fields]
    out = []
    for name, score, *values in zip(ids, scores, *asked, strict=True):
        beside = dict(zip(args.fields, values, strict=True))
        out.append(json_text({"id": name, **beside, **score.figures(UNITS[args.unit])}) + "\n")
    return "".join(out)


def _warn(shard: Shard, bad: list[tuple[int, str]]) -> None:
    if bad:
        some = "; ".join(f"{shard.unit} {number} {reason}" for number, reason in sorted(bad))
        warnings.warn(f"Documents of {shard.request.name} are left out: {some}.", stacklevel=2)


class _Standard:
    """Standard output as a file of bytes."""

    def write(self, data: bytes) -> int:
        streams.write(data.decode(errors="replace"))
        return len(data)
