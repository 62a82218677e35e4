"""Work that is shared: --jobs and --scheduler."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from langmodels.execution import Jobs, executor


def add_workers_options(
    group: argparse._ActionsContainer, *, default: int | None = None, usual: str = "1"
) -> None:
    """For work that can be shared; `workers_of` opens what is asked for. `usual`: what None is."""
    group.add_argument(
        "--jobs",
        type=int,
        default=default,
        metavar="N",
        help=f"processes that share the work; results do not depend on it (default: {usual})",
    )
    group.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="have a Dask cluster do it: tcp://HOST:PORT, or local for one of --jobs workers on "
        "this machine (default: as many as processors)",
    )


@contextmanager
def workers_of(args: argparse.Namespace) -> Iterator[Jobs | None]:
    """What --jobs and --scheduler ask for: a number, or an executor as long as the block."""
    if args.scheduler is None:
        yield args.jobs
        return
    with executor(args.jobs, args.scheduler) as cluster:
        yield cluster
