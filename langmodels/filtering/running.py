"""Filtering a collection: every file is a task, and the thresholds come from all scores."""

import itertools
import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace

import numpy as np

from langmodels.addresses import absolute, is_address, join, make_folder_of, open_to_read, size
from langmodels.arguments import checked
from langmodels.arrays import FloatArray, IndexArray
from langmodels.datasets.documents import Request, warn_of_rows
from langmodels.datasets.shards import shard_of
from langmodels.datasets.sources import find_requests
from langmodels.errors import LangmodelsError, UsageError, missing
from langmodels.execution import Jobs, completed, executor
from langmodels.filtering.pieces import joined, leave_none, pieces_of
from langmodels.filtering.quantiles import order_statistics
from langmodels.filtering.report import FilterReport, report_of
from langmodels.filtering.rules import Rule
from langmodels.filtering.scores import Paths
from langmodels.filtering.tasks import Outcome, Scoring, Thresholds, Work, filter_shard, opened
from langmodels.progress import track
from langmodels.storage import atomic_write


@checked
def filter_documents(
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str] | Request],
    output: str | os.PathLike[str],
    model: str | os.PathLike[str],
    rule: Rule,
    *,
    against: str | os.PathLike[str] | None = None,
    per: str = "token",
    by: str | None = None,
    as_is: bool = False,
    jobs: Jobs | None = None,
) -> FilterReport:
    r"""Write the documents that a rule keeps, one output file for each input file, into a folder.

    Args:
        inputs: the files: JSON lines, Parquet, or plain text, in which a line is a document. As
            after `langmodels filter`, folders and patterns stand for the files in them, and
            `?text=FIELD` names the field of the text.
        output: the folder. Its subfolder `scores` holds what a later run need not repeat, and
            `bad.jsonl` lists the documents that have no score.
        model: the file of the model.
        rule: which documents are kept.
        against: the file of a model of general text. The score is then the difference of the two
            cross-entropies (Moore and Lewis 2010).
        per: whether scores are in bits per `token` or per `character`.
        by: a field by which documents are grouped; each is compared with those of its group.
        as_is: write documents unchanged, without new columns.
        jobs: number of processes (None: this one only), or an open executor, such as that of
            `langmodels.executor(scheduler=...)`.

    A file that cannot be read is named in the report, and the others are finished. Raises
    UsageError for inputs that the output would replace.

    >>> import json, pathlib, tempfile
    >>> import langmodels
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> langmodels.NGramModel(order=2, smoothing="witten_bell").fit("a rose").save(folder / "m.lm")
    >>> _ = (folder / "in.jsonl").write_text('{"text": "a rose"}\n{"text": "rose a"}\n')
    >>> report = langmodels.filter_documents(
    ...     [str(folder / "in.jsonl")], folder / "out", folder / "m.lm", Rule(keep=0.5)
    ... )
    >>> json.loads((folder / "out" / "in.jsonl").read_text())["text"]
    'a rose'
    """
    if per not in ("token", "character"):
        raise UsageError(f"Scores are per token or per character, not per {per}.")
    requests = [replace(r, path=absolute(r.path)) for r in _requests(inputs)]
    other = None if against is None else absolute(against)
    scoring = Scoring(absolute(model), other, per, by)
    output = absolute(output)  # workers may have another working directory
    works = [
        Work(request, paths, scoring, rule, as_is)
        for request, paths in zip(requests, _paths(requests, output), strict=True)
    ]
    _check(works)
    _check_models(scoring)
    make_folder_of(join(output, "bad.jsonl"))
    failed: dict[str, str] = {}
    with executor(jobs) as pool:
        thresholds: Thresholds = {}
        if rule.thresholds is None:
            outcomes = _run(pool, works, None, failed, "Scoring documents")
            works = [work for work in works if work.request.path in outcomes]
            scored = list(outcomes.values())
            thresholds = _thresholds(scored, rule)
        outcomes = _run(pool, works, thresholds, failed, "Writing documents")
    done = [outcomes[work.request.path] for work in works if work.request.path in outcomes]
    if by is not None and done and not any(name for each in done for name in each.shard.groups):
        warnings.warn(
            f"No document has the field {by!r}, so that all are one group; check its name.",
            stacklevel=2,
        )
    _join_bad(done, join(output, "bad.jsonl"))
    return report_of(done, scoring, rule, thresholds, output, failed)


def _requests(
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str] | Request],
) -> list[Request]:
    """The files to read, and how. Raises LangmodelsError for files that are missing."""
    names = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    requests: list[Request] = []
    for name in names:
        if isinstance(name, Request):
            requests.append(name)
        elif (found := find_requests(os.fspath(name))) is not None:
            requests += found
        else:
            raise missing(os.fspath(name))
    if any(request.path == "-" for request in requests):
        raise UsageError(
            "Standard input cannot be filtered; name files, or score it by `langmodels score`."
        )
    return requests


def _paths(requests: Sequence[Request], output: str) -> list[Paths]:
    """The output paths: files keep their names relative to the folder that they all are in."""
    split = [os.path.splitdrive(request.path) for request in requests]
    paths = [drive.replace(":", "") + rest for drive, rest in split]
    parts = [path.replace(os.sep, "/").split("/") for path in paths]
    levels = zip(*(folder for *folder, _ in parts), strict=False)
    n = len(list(itertools.takewhile(lambda level: len(set(level)) == 1, levels)))
    names = ("/".join(part[n:]) for part in parts)
    return [Paths(output, name) for name in names]


def _check(works: Sequence[Work]) -> None:
    seen: set[str] = set()
    for work in works:
        name = work.paths.name
        shard = shard_of(work.request)
        if name in seen:
            raise UsageError(f"{work.request.path} is named twice; name each file once.")
        seen.add(name)
        if _same(work.paths.shard, work.request.path):
            raise UsageError(f"The output would replace the input {name}; use another folder.")
        if name.lower() in RESERVED or name.lower().startswith("scores/"):
            raise UsageError(
                f"{name} is the name of a file that filtering itself writes; rename the input."
            )
        if not shard.takes_columns:
            warn_of_rows(work.request)
        if not shard.takes_columns and work.rule.buckets is not None:
            raise UsageError(
                f"Buckets are written as a field, and {work.request.path} is plain text, which has "
                "no fields; use JSON lines or Parquet, or keep a share."
            )
        if not shard.takes_columns and work.scoring.by is not None:
            raise UsageError(f"{work.request.path} is plain text, which has no fields.")


def _same(one: str, other: str) -> bool:
    if is_address(one) or is_address(other):
        return one == other
    return os.path.realpath(one) == os.path.realpath(other)


def _check_models(scoring: Scoring) -> None:
    """Open the models before work begins. Raises LangmodelsError for files that are no models."""
    model = opened(scoring.model)
    if scoring.against is None or scoring.per != "token":
        return
    levels = [m.tokenizer.level for m in (model, opened(scoring.against))]
    if len(set(levels)) > 1:
        raise UsageError(
            f"The models have different tokens ({' and '.join(levels)}); compare them per "
            "character (--per character)."
        )


RESERVED = ("bad.jsonl", "report.html", "report.json")
"""Names in the output folder that no file of documents may have."""


@dataclass(eq=False)
class _File:
    """A file to be filtered: its size in bytes, the pieces that it is cut into, and the outcomes of
    those that are done.
    """

    work: Work
    size: int
    pieces: Sequence[Work]
    done: dict[Work, Outcome] = field(default_factory=dict)

    def add(self, piece: Work, outcome: Outcome) -> bool:
        """Note the outcome of a piece; return whether all are done."""
        self.done[piece] = outcome
        return len(self.done) == len(self.pieces)

    def outcome(self, thresholds: Thresholds | None) -> Outcome:
        """The outcome of the file, of which all pieces are done; their files are removed once the
        output is written.
        """
        done = [self.done[piece] for piece in self.pieces]
        whole = done[0] if len(done) == 1 else joined(self.work, self.pieces, done, thresholds)
        if thresholds is not None:
            leave_none(self.work)
        return whole


def _run(
    pool: Executor,
    works: Sequence[Work],
    thresholds: Thresholds | None,
    failed: dict[str, str],
    what: str,
) -> dict[str, Outcome]:
    """The outcome of each file by its path; the error of one that fails is put into `failed`."""
    sizes = [size(work.request.path) for work in works]
    outcomes: dict[str, Outcome] = {}
    with track(what, total=sum(sizes)) as progress:
        files = [
            _File(work, n, pieces_of(work, pool, thresholds))
            for work, n in zip(works, sizes, strict=True)
        ]
        tasks = {
            pool.submit(filter_shard, piece, thresholds): (file, piece)
            for file in sorted(files, key=lambda file: -file.size)
            for piece in file.pieces
        }
        for future in _until_interrupted(completed(pool, list(tasks)), outcomes, len(works)):
            file, piece = tasks[future]
            path = file.work.request.path
            try:
                if file.add(piece, future.result()):
                    outcomes[path] = file.outcome(thresholds)
            except LangmodelsError as error:
                named = path in str(error)
                failed[path] = str(error) if named else f"{path} is not finished: {error}"
            progress.advance(file.size / len(file.pieces), f"{len(outcomes)} of {len(works)} files")
    return outcomes


def _until_interrupted(
    futures: Iterator[Future[Outcome]], outcomes: dict[str, Outcome], n: int
) -> Iterator[Future[Outcome]]:
    """The futures; KeyboardInterrupt gets a message that says how many of n files are done."""
    try:
        yield from futures
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted; {len(outcomes)} of {n} files are done, and the same command goes on "
            "from there."
        ) from None


def _thresholds(outcomes: Sequence[Outcome], rule: Rule) -> Thresholds:
    """The thresholds of each group, from the scores of all files."""
    names = sorted({name for outcome in outcomes for name in outcome.shard.groups})
    number = {name: i for i, name in enumerate(names)}

    def parts() -> Iterator[tuple[FloatArray, IndexArray]]:
        for outcome in outcomes:
            own = np.array([number[name] for name in outcome.shard.groups], np.int64)
            for records in outcome.shard.records():
                scored = ~np.isnan(records["score"])
                yield records["score"][scored], own[records["group"][scored]]

    sizes = np.zeros(len(names), np.int64)
    for _, groups in parts():
        sizes += np.bincount(groups, minlength=len(names))
    ranks = [rule.ranks(int(n)) if n else [] for n in sizes]
    found = order_statistics(parts, ranks)
    return {name: limits for name, limits in zip(names, found, strict=True) if limits}


def _join_bad(outcomes: Sequence[Outcome], path: str) -> None:
    with atomic_write(path) as target:
        for outcome in outcomes:
            with open_to_read(outcome.shard.paths.beside(".bad")) as part:
                shutil.copyfileobj(part, target)
