"""Estimation within an amount of memory: time, disk, peak memory, beside the same without a limit.

    python benchmarks/outofcore.py                                        # 4 million made-up tokens
    python benchmarks/outofcore.py --tokens 1e9 --memory 4G --in-memory 0 --work /scratch
    python benchmarks/outofcore.py --corpus FILE --memory 1G              # a text of your own

A 5-gram model of modified Kneser-Ney, of a tenth of the text and of the whole, each in a process of
its own. Up to --in-memory tokens the same model is also made in memory, and the files are compared.
Where `lmplz` is on the PATH, it estimates the same text with the same amount of memory (`-S`). The
table goes to benchmarks/results/outofcore.md.
"""

import argparse
import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ngram_parts.texts import HELD_OUT, cut_text, make_text

from langmodels.memory import parse_memory

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Cost:
    """What a command took: wall and processor time in seconds, memory and disk in bytes."""

    wall: float
    processor: float
    memory: int
    disk: int

    def row(self, what: str, tokens: int, remark: str = "") -> str:
        """The row of a table."""
        return (
            f"| {tokens:,} | {what} | {self.wall:.1f} s | {self.processor:.1f} s | "
            f"{tokens / self.processor:,.0f} | {self.memory / 1e6:,.0f} MB | "
            f"{self.disk / 1e9:.2f} GB | {remark} |"
        )


def measured(command: Sequence[str], folder: Path, text: Path | None = None) -> Cost:
    """Run a command with a text on standard input; its disk use is the size of `folder`."""
    most, stop = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not stop.wait(0.5):
            most = max(most, sum(_size(path) for path in folder.rglob("*")))

    watcher = threading.Thread(target=watch)
    began = time.perf_counter()
    with Path(text or os.devnull).open("rb") as given:
        process = subprocess.Popen(command, stdin=given, stdout=subprocess.DEVNULL)
        watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    stop.set()
    watcher.join()
    if status:
        sys.exit(f"{command[0]} failed")
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit, most)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:  # removed meanwhile
        return 0


def rows(args: argparse.Namespace, source: Path, folder: Path) -> list[str]:
    """The lines of the table."""
    found = []
    text, work = folder / "text", folder / "work"
    train = [sys.executable, "-m", "langmodels", "train", "--corpus", str(text), "-q"]
    train += ["--level", "whitespace", "--min-count", "1", "--order", str(args.order), "--output"]
    for share in (10, 1):
        n = cut_text(source, text, folder / "held_out", args.tokens // share)
        work.mkdir()
        limited = [*train, str(folder / "limited.lm"), "--memory", args.memory]
        cost = measured([*limited, "--work", str(work)], work)
        found.append(cost.row(f"`--memory {args.memory}`", n))
        print(found[-1], flush=True)
        if n <= args.in_memory:
            cost = measured([*train, str(folder / "whole.lm")], work)
            same = filecmp.cmp(folder / "limited.lm", folder / "whole.lm", shallow=False)
            found.append(cost.row("in memory", n, "the same file" if same else "ANOTHER FILE"))
            print(found[-1], flush=True)
        if shutil.which("lmplz"):
            command = ["lmplz", "-o", str(args.order), "-S", args.memory, "-T", str(work)]
            command += ["--arpa", str(folder / "lmplz.arpa"), "--discount_fallback"]
            found.append(measured(command, work, text).row("`lmplz -S`, ARPA", n))
            print(found[-1], flush=True)
        shutil.rmtree(work)
    return found


def _whole(text: str) -> int:
    return int(float(text))


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--corpus", type=Path, help="a text, one sentence a line (default: made up)"
    )
    parser.add_argument(
        "--tokens", type=_whole, default=4_000_000, help="the larger of the two sizes (1e9 is one)"
    )
    parser.add_argument("--memory", default="400M", help="what estimation may take")
    parser.add_argument(
        "--in-memory",
        type=_whole,
        default=100_000_000,
        help="up to so many tokens are tried in memory too",
    )
    parser.add_argument("--work", type=Path, help="a folder with room for all of it")
    parser.add_argument("--quick", action="store_true", help="a tenth of the tokens")
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "outofcore.md")
    args = parser.parse_args()
    parse_memory(args.memory)
    if args.quick:
        args.tokens //= 10
    with tempfile.TemporaryDirectory(dir=args.work) as name:
        folder = Path(name)
        source = args.corpus
        if source is None:
            source = folder / "source"
            print("Making a text", flush=True)
            make_text(source, args.tokens + 2 * HELD_OUT)
        table = rows(args, source, folder)
    peer = "" if shutil.which("lmplz") else "\nNot found here: lmplz.\n"
    report = (
        "# Estimation within an amount of memory\n\n"
        f"{args.order}-gram models, modified Kneser-Ney, of "
        f"{args.corpus.name if args.corpus else 'a made-up text'}; from text to model file.\n\n"
        "| tokens | | wall | processor | tokens a processor second | peak memory | disk | |\n"
        "| ---: | :-- | ---: | ---: | ---: | ---: | ---: | :-- |\n" + "\n".join(table) + "\n" + peer
    )
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(report)
    print(f"\n{report}\nWritten to {args.output}")


if __name__ == "__main__":
    main()
