"""Testing any number of damaged files: `python -m tests.faults --cases 100000`.

Now and then it says how far it is. After Ctrl-C it ends what was begun, and prints the counts.
"""

import argparse
import fnmatch
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from .cases import run
from .wholes import make_wholes

_BATCH = 50
_EVERY = 20.0  # seconds between two reports


def main() -> int:
    """Make and judge cases, and print figures; return 1 if there was a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--files", default="*", metavar="PATTERN", help="of these alone")
    args = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        wholes = make_wholes(Path(folder))
    wholes = {name: wholes[name] for name in fnmatch.filter(wholes, args.files)}
    if not wholes:
        parser.error(f"there is no file {args.files}")
    outcomes: Counter[tuple[str, str]] = Counter()
    context = multiprocessing.get_context("spawn")
    said = began
    with ProcessPoolExecutor(args.jobs, context) as pool:
        with _unheard_interrupts():  # by the workers, which begin here, either
            left = {
                pool.submit(run, wholes, args.seed, range(i, min(i + _BATCH, args.cases)))
                for i in range(0, args.cases, _BATCH)
            }
        while left:
            try:
                done, left = wait(left, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt:
                left = {batch for batch in left if not batch.cancel()}
                continue
            for found, wrong in (batch.result() for batch in done):
                outcomes += found
                for fault in wrong:
                    print(fault, file=sys.stderr, flush=True)
            if time.perf_counter() - said > _EVERY:
                said = time.perf_counter()
                print(f"{_counted(outcomes)} of {args.cases:,}", file=sys.stderr, flush=True)
    print(f"{'file':24}{'sentence':>10}{'sound':>10}{'fault':>10}")
    for name in [*wholes, "all"]:
        row = [
            sum(
                n
                for (file, what), n in outcomes.items()
                if what == outcome and name in (file, "all")
            )
            for outcome in ("sentence", "sound", "fault")
        ]
        print(f"{name:24}" + "".join(f"{n:>10,}" for n in row))
    print(f"{_counted(outcomes)}, seed {args.seed}, {time.perf_counter() - began:,.0f} s")
    if outcomes.total() < args.cases:
        return 130
    return int(any(outcome == "fault" for _, outcome in outcomes))


@contextmanager
def _unheard_interrupts() -> Iterator[None]:
    """Ctrl-C waits for the end of the block; processes that begin inside never hear of it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _counted(outcomes: Counter[tuple[str, str]]) -> str:
    faults = sum(n for (_, outcome), n in outcomes.items() if outcome == "fault")
    return f"{outcomes.total():,} cases, {faults:,} faults"


if __name__ == "__main__":
    sys.exit(main())
