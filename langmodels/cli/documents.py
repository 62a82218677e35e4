"""`langmodels score` for files of documents: writes the same format, with columns of figures."""

import argparse
import sys
import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass, replace
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
from langmodels.datasets.documents import Request, format_by_name
from langmodels.datasets.shards import (
    Batch,
    LineShard,
    LineWriter,
    ParquetShard,
    Shard,
    Writer,
    holds_documents,
    shard_of,
    stretches,
)
from langmodels.datasets.sources import find_requests
from langmodels.errors import UsageError
from langmodels.execution import executor, mapped, n_workers
from langmodels.interchange import json_text
from langmodels.models.base import LanguageModel
from langmodels.models.texts import FIGURES, TextScore, TextScores, score_texts
from langmodels.packed import STANDARD_INPUT
from langmodels.storage import atomic_write

SMALLEST = 1 << 22
"""The smallest stretch of a file, in bytes, that is given to a worker."""
_SHOWN = 3  # unreadable documents that warnings name


def shards_of(args: argparse.Namespace) -> list[Shard]:
    """The files of documents in --file; empty if lines are scored."""
    requests = find_requests(args.file or "-", args.encoding, args.errors, live=True) or []
    if not all(map(holds_documents, requests)):
        return []
    return [shard_of(request) for request in requests]


def score(
    shards: list[Shard], model: LanguageModel[Any], args: argparse.Namespace, console: Console
) -> None:
    """Score the documents of files, write them, and print the totals."""
    _check(shards, args)
    form = _Form(args.json, args.summary, args.fields, UNITS[args.unit], args.carry)
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
            for part in _parts(pool, shard, model, form, writer):
                bad += part.bad[: max(0, _SHOWN - len(bad))]
                n_bad += len(part.bad)
                n_documents += len(part.scores)
                total = total.plus(part.scores)
                if isinstance(writer, LineWriter):
                    writer.append(part.written)
                elif part.written:
                    streams.write(part.written.decode())
                streams.flush()
            _warn(shard, bad)
    nats = form.nats
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
    """Raise UsageError for options that do not go together."""
    if args.tokens:
        raise UsageError("--tokens is for lines; a document has a single score.")
    if args.errors != "replace":
        raise UsageError(
            "--errors is for lines; a document that is not text gets no score, and does not affect "
            "others."
        )
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
        raise UsageError("Parquet files are scored one at a time, each into another file.")
    if args.output and type(format_by_name(args.output)) is not shards[0].format:
        raise UsageError(f"{args.output} must have the format of {shards[0].request.name}.")


@dataclass(frozen=True)
class _Form:
    """How documents are scored and written, by the options of the command."""

    json: bool
    summary: bool
    fields: list[str]
    nats: float
    carry: bool


@dataclass(frozen=True)
class _Part:
    """A batch of scored documents; `written` is their output."""

    scores: TextScores
    bad: list[tuple[int, str]]
    written: bytes


def _parts(
    pool: Executor, shard: Shard, model: LanguageModel[Any], form: _Form, writer: Writer | None
) -> Iterator[_Part]:
    """Yield the scored parts of a file in order; workers share its stretches where possible."""
    spans = []
    if n_workers(pool) > 1 and shard.request.path != STANDARD_INPUT:
        spans = stretches(shard.request, sys.maxsize, SMALLEST)
    if len(spans) > 1:
        request = shard.settled()
        yield from mapped(pool, _scored, (replace(request, span=s) for s in spans), model, form)
        return
    for batch, scores in _batches(pool, shard, model, form.carry):
        written = b""
        if isinstance(writer, LineWriter) or writer is None:
            written = _written(shard, batch, scores, form)
        else:
            writer.write(batch, np.ones(len(scores), np.bool_), scores.columns(form.nats))
        yield _Part(scores, batch.bad, written)


def _scored(request: Request, model: LanguageModel[Any], form: _Form) -> _Part:
    """Read and score a stretch of a file, in a worker."""
    shard = shard_of(request)
    parts = [TextScores.none()]
    bad: list[tuple[int, str]] = []
    written: list[bytes] = []
    for batch in shard.batches():
        parts.append(score_texts(model, batch.texts, carry=form.carry))
        bad += batch.bad
        written.append(_written(shard, batch, parts[-1], form))
    return _Part(TextScores.joined(parts), bad, b"".join(written))


def _batches(
    pool: Executor, shard: Shard, model: LanguageModel[Any], carry: bool
) -> Iterator[tuple[Batch, TextScores]]:
    """Yield the batches of a file, which is read in this process, with their scores."""
    waiting: deque[Batch] = deque()

    def texts() -> Iterator[list[str]]:
        for batch in shard.batches():
            waiting.append(batch)
            yield batch.texts

    for scores in mapped(pool, _scores, texts(), model, carry):
        yield waiting.popleft(), scores


def _scores(texts: list[str], model: LanguageModel[Any], carry: bool) -> TextScores:
    return score_texts(model, texts, carry=carry)


def _written(shard: Shard, batch: Batch, scores: TextScores, form: _Form) -> bytes:
    """The output for a batch: the documents with new columns, or a JSON object each."""
    if form.summary:
        return b""
    if form.json:
        return _objects(shard, batch, scores, form).encode()
    if not isinstance(shard, LineShard):
        return b""
    return shard.written(batch, list(range(len(scores))), scores.columns(form.nats))


def _objects(shard: Shard, batch: Batch, scores: TextScores, form: _Form) -> str:
    """The JSON objects of a batch, one per line."""
    request = shard.request
    ids = batch.column(request.id) if request.id else [f"{request.path}:{n}" for n in batch.numbers]
    asked = [batch.column(name) for name in form.fields]
    out = []
    for name, score, *values in zip(ids, scores, *asked, strict=True):
        beside = dict(zip(form.fields, values, strict=True))
        out.append(json_text({"id": name, **beside, **score.figures(form.nats)}) + "\n")
    return "".join(out)


def _warn(shard: Shard, bad: list[tuple[int, str]]) -> None:
    if bad:
        some = "; ".join(f"{shard.unit} {number} {reason}" for number, reason in sorted(bad))
        warnings.warn(f"Documents of {shard.request.name} are left out: {some}.", stacklevel=2)


class _Standard:
    """Standard output as a binary file."""

    def write(self, data: bytes) -> int:
        streams.write(data.decode(errors="replace"))
        return len(data)
