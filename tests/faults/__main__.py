"""Damaged files for as long as one likes: `python -m tests.faults --cases 100000`."""

import argparse
import fnmatch
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from .cases import run
from .wholes import make_wholes

_BATCH = 200


def main() -> int:
    """Make and judge cases; print figures. 1 where there was another outcome."""
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
    faults: list[str] = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(args.jobs, context) as pool:
        batches = [
            pool.submit(run, wholes, args.seed, range(i, min(i + _BATCH, args.cases)))
            for i in range(0, args.cases, _BATCH)
        ]
        for batch in as_completed(batches):
            found, wrong = batch.result()
            outcomes += found
            faults += wrong
            for fault in wrong:
                print(fault, file=sys.stderr, flush=True)
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
    print(f"{args.cases:,} cases, seed {args.seed}, {time.perf_counter() - began:,.0f} s")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
