"""The options for parallel work: --jobs and --scheduler."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from langmodels.execution import Jobs, executor


def add_workers_options(
    group: argparse._ActionsContainer, *, default: int | None = None, usual: str = "1"
) -> None:
    """Add --jobs and --scheduler, which `workers_of` opens; `usual` describes the default."""
    group.add_argument(
        "--jobs",
        type=int,
        default=default,
        metavar="N",
        help=f"number of parallel processes; does not affect results (default: {usual})",
    )
    group.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="use a Dask cluster: tcp://HOST:PORT, or local for one of --jobs workers on this "
        "machine (default: as many as processors)",
    )


@contextmanager
def workers_of(args: argparse.Namespace) -> Iterator[Jobs | None]:
    """Yields the value of --jobs, or an executor for --scheduler that is open inside the block."""
    if args.scheduler is None:
        yield args.jobs
        return
    with executor(args.jobs, args.scheduler) as cluster:
        yield cluster
