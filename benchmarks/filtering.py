"""How fast documents are filtered, beside the usual script: `kenlm`, `json`, `multiprocessing`.

    python benchmarks/filtering.py                      # 80 MB of made-up documents
    python benchmarks/filtering.py --megabytes 400
    python benchmarks/filtering.py --memory 100 500 2000  # and the peak memory for so many MB
    python benchmarks/filtering.py --folder DIR --rounds 0  # make the documents and the model first
    python benchmarks/filtering.py --turns 4            # processor time alone, file by file in turn

Both sides have the same 5-gram model, read the same files (JSON lines, plain, .gz and .zst, and
Parquet), score every line of every document, and write those up to a perplexity with it. Models are
loaded, workers started, and the work was done before, when the clock starts; a file is a task on
either side, and the sides take turns. Of several rounds the best is shown: wall time, which is what
one waits for, and processor time of all processes, which other programs on the machine disturb
less. The results go to benchmarks/results/filtering.md. With `--turns`, for a machine that does
other things as well, the sides take turns at every file, in one process and on one core, and the
least processor time for each file counts; this is printed alone.
"""

import argparse
import contextlib
import functools
import gzip
import importlib.util
import itertools
import json
import math
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
SHARDS = 4
LINES = 20
"""Lines in a document."""
SUCCESSORS = 16
"""Usual successors of each word."""
FORMATS = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")


def make_lines(tokens: int, seed: int) -> list[str]:
    """Random lines whose words have Zipf's distribution, and each some usual successors."""
    rng = np.random.default_rng(7)
    letters = np.array(list("etaoinshrdlucm"))
    words = list(
        dict.fromkeys("".join(rng.choice(letters, rng.integers(1, 10))) for _ in range(60_000))
    )
    cumulative = np.cumsum(1 / (np.arange(len(words)) + 3.0))
    cumulative /= cumulative[-1]
    usual = np.searchsorted(cumulative, rng.random((len(words), SUCCESSORS)))
    rng = np.random.default_rng(seed)
    lanes = 2000
    ids = np.searchsorted(cumulative, rng.random((tokens // lanes, lanes)))
    for before, now in itertools.pairwise(ids):
        follows = rng.random(lanes) < 0.6
        which = (rng.random(lanes) ** 2 * SUCCESSORS).astype(int)
        now[follows] = usual[before, which][follows]
    drawn = np.array(words, object)[ids.T.ravel()].tolist()
    ends = np.cumsum(rng.integers(6, 30, len(drawn) // 6))
    ends = ends[ends < len(drawn)].tolist()
    return [f"{' '.join(drawn[a:b])} ." for a, b in zip([0, *ends], ends, strict=False)]


def write_collections(folder: Path, megabytes: int) -> int:
    """Write the same documents in every format, each into a folder; return their number."""
    lines = make_lines(megabytes * 150_000, seed=1)
    texts = ["\n".join(lines[i : i + LINES]) for i in range(0, len(lines), LINES)]
    rows = [{"id": i, "url": f"https://a.example/{i}", "text": t} for i, t in enumerate(texts)]
    for part in range(SHARDS):
        mine = rows[part::SHARDS]
        plain = "".join(json.dumps(row) + "\n" for row in mine).encode()
        for ending in formats():
            path = folder / ending.strip(".") / f"{part}{ending}"
            path.parent.mkdir(exist_ok=True)
            if ending == ".parquet":
                import pyarrow
                import pyarrow.parquet

                pyarrow.parquet.write_table(pyarrow.Table.from_pylist(mine), path)
            elif ending.endswith(".zst"):
                import zstandard

                path.write_bytes(zstandard.compress(plain))
            else:
                path.write_bytes(gzip.compress(plain, 6) if ending.endswith(".gz") else plain)
    return len(rows)


def formats() -> list[str]:
    """The file formats whose packages are installed."""
    needs = {".jsonl.zst": "zstandard", ".parquet": "pyarrow"}
    return [f for f in FORMATS if f not in needs or importlib.util.find_spec(needs[f])]


# The usual script ---------------------------------------------------------------------------------

model: Any = None
"""The model of the kenlm module, which forked processes share."""


def usual(task: tuple[str, str, float]) -> int:
    """Filter a file as such scripts do; return the number of documents kept."""
    source, target, limit = task
    kept = 0
    if source.endswith(".parquet"):
        import pyarrow
        import pyarrow.parquet

        rows = []
        for batch in pyarrow.parquet.ParquetFile(source).iter_batches():
            for row in batch.to_pylist():
                row["perplexity"] = perplexity(row["text"])
                if row["perplexity"] <= limit:
                    rows.append(row)
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), target)
        return len(rows)
    with opened(source, "r") as lines, opened(target, "w") as out:
        for line in lines:
            row = json.loads(line)
            row["perplexity"] = perplexity(row["text"])
            if row["perplexity"] <= limit:
                out.write(json.dumps(row) + "\n")
                kept += 1
    return kept


def perplexity(text: str) -> float:
    """The perplexity of a document over its lines, as CCNet computes it."""
    total, length = 0.0, 0
    for line in text.split("\n"):
        total += model.score(line)
        length += len(line.split()) + 1
    return float(10.0 ** (-total / length))


def opened(path: str, mode: str) -> Any:
    """Open a text file, compressed as its name says."""
    if path.endswith(".zst"):
        import zstandard

        return zstandard.open(path, f"{mode}t", encoding="utf-8")
    if path.endswith(".gz"):
        # The level that langmodels uses; the default takes twice as long.
        return gzip.open(path, f"{mode}t", 6, encoding="utf-8")
    return open(path, mode, encoding="utf-8")  # noqa: PTH123


# Measuring ----------------------------------------------------------------------------------------


def processor_time() -> float:
    """Processor seconds of this process and all its descendants, running and ended."""
    parents: dict[int, int] = {}
    times: dict[int, float] = {}
    tick = os.sysconf("SC_CLK_TCK")
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            number = int(stat.parent.name)
            parents[number] = int(fields[1])
            times[number] = sum(map(int, fields[11:15])) / tick
    total = 0.0
    for number, seconds in times.items():
        ancestor = number
        while ancestor and ancestor != os.getpid():
            ancestor = parents.get(ancestor, 0)
        total += seconds if ancestor else 0.0
    return total


Side = Callable[[Path, Path, float], None]
"""Filters the documents of a folder into another one, up to a perplexity."""


def sides(folder: Path) -> dict[str, Callable[[], contextlib.AbstractContextManager[Side]]]:
    """The sides that can be measured, by name: functions that open each as a context manager."""
    global model
    import langmodels
    from langmodels.filtering import Rule

    @contextlib.contextmanager
    def ours(scheduler: str | None, jobs: int) -> Iterator[Side]:
        with langmodels.executor(jobs, scheduler) as pool:

            def run(source: Path, target: Path, limit: float) -> None:
                files = sorted(map(str, source.iterdir()))
                rule = Rule(at_most=math.log2(limit))
                langmodels.filter_documents(files, target, folder / "model.lm", rule, jobs=pool)

            yield run

    @contextlib.contextmanager
    def theirs(jobs: int) -> Iterator[Side]:
        with contextlib.ExitStack() as stack:
            pool: Any = None
            if jobs > 1:
                pool = stack.enter_context(multiprocessing.get_context("fork").Pool(jobs))

            def run(source: Path, target: Path, limit: float) -> None:
                target.mkdir(parents=True)
                tasks = [(str(p), str(target / p.name), limit) for p in sorted(source.iterdir())]
                list(map(usual, tasks) if pool is None else pool.imap_unordered(usual, tasks))

            yield run

    found: dict[str, Callable[[], contextlib.AbstractContextManager[Side]]] = {}
    if importlib.util.find_spec("kenlm"):
        import kenlm

        model = kenlm.Model(str(folder / "model.arpa"))
        found["kenlm, 1 process"] = functools.partial(theirs, 1)
        found["kenlm, 2 processes"] = functools.partial(theirs, 2)
    found["langmodels, 1 process"] = functools.partial(ours, None, 1)
    found["langmodels, 2 processes"] = functools.partial(ours, None, 2)
    if importlib.util.find_spec("distributed"):
        found["langmodels, Dask, 2 workers"] = functools.partial(ours, "local", 2)
    return found


def take_turns(folder: Path, limit: float, turns: int) -> str:
    """A table of the processor time of each side, which take turns at every file."""
    import kenlm

    import langmodels
    from langmodels.filtering import Rule
    from langmodels.threads import share_cores

    global model
    model = kenlm.Model(str(folder / "model.arpa"))
    share_cores(os.cpu_count() or 1)
    (folder / "turns").mkdir(exist_ok=True)
    rule = Rule(at_most=math.log2(limit))

    def ours(path: Path) -> None:
        shutil.rmtree(folder / "turns" / "ours", ignore_errors=True)
        out = folder / "turns" / "ours"
        langmodels.filter_documents([str(path)], out, folder / "model.lm", rule)

    def theirs(path: Path) -> None:
        usual((str(path), str(folder / "turns" / path.name), limit))

    for path in sorted((folder / "jsonl").iterdir()):
        ours(path)
    lines = ["| format | `kenlm`, s | langmodels, s | |", "| --- | --: | --: | --: |"]
    for ending in formats():
        paths = sorted((folder / ending.strip(".")).iterdir())
        best = {(side, path): math.inf for side in (theirs, ours) for path in paths}
        for _ in range(turns):
            for path in paths:
                for side in (theirs, ours):
                    began = time.process_time()
                    side(path)
                    best[side, path] = min(best[side, path], time.process_time() - began)
        there, here = (sum(best[side, path] for path in paths) for side in (theirs, ours))
        lines.append(f"| {ending} | {there:.2f} | {here:.2f} | x {there / here:.2f} |")
    return "\n".join(lines)


def compare_scores(ours: Path, theirs: Path) -> float:
    """The largest difference of log10 p per token of any document that is in both outputs."""
    worst = 0.0
    for path in sorted(theirs.iterdir()):
        with opened(str(path), "r") as lines:
            there = {row["id"]: row["perplexity"] for row in map(json.loads, lines)}
        with opened(str(ours / path.name), "r") as lines:
            here = {row["id"]: row["perplexity"] for row in map(json.loads, lines)}
        if len(here.keys() ^ there.keys()) > 2:  # documents just at the limit may differ
            raise SystemExit(f"{path.name}: other documents are kept")
        for name in here.keys() & there.keys():
            worst = max(worst, abs(math.log10(here[name]) - math.log10(there[name])))
    return worst


def peak(folder: Path, documents: Path, megabytes: int) -> float:
    """Peak resident memory, in MB, of filtering a file of `megabytes`, measured from outside."""
    lines = documents.read_bytes()
    source = folder / f"memory{megabytes}.jsonl"
    with source.open("wb") as file:
        while file.tell() < megabytes * 1_000_000:
            file.write(lines)
    command = ["filter", str(folder / "model.lm"), str(source), "-q", "--max-perplexity", "300"]
    out = ["--output", str(folder / f"memory{megabytes}")]
    # A process inherits the peak of the one it was forked from, so it is started by a small one.
    measure = "import os, sys; p = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:]); "
    measure += "_, status, usage = os.wait4(p, 0); print(status, usage.ru_maxrss)"
    whole = [sys.executable, "-c", measure, sys.executable, "-m", "langmodels", *command, *out]
    done = subprocess.run(whole, capture_output=True, text=True, check=True)
    status, used = done.stdout.split()[-2:]
    source.unlink()
    if status != "0":
        raise SystemExit("filtering failed")
    return int(used) / 1000


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=80, help="of plain JSON lines")
    parser.add_argument("--train", type=int, default=3_000_000, help="tokens of the model's text")
    parser.add_argument("--rounds", type=int, default=3, help="0 makes documents and model alone")
    parser.add_argument("--turns", type=int, default=0, help="compare processor time, so often")
    parser.add_argument("--folder", type=Path, help="where these are kept, and found again")
    parser.add_argument("--quick", action="store_true", help="a tenth of the documents, one round")
    parser.add_argument("--memory", type=int, nargs="*", default=[100, 400], metavar="MB")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "filtering.md")
    args = parser.parse_args()
    if args.quick:
        args.megabytes, args.rounds, args.memory = max(4, args.megabytes // 10), 1, []
    import langmodels

    with contextlib.ExitStack() as stack:
        folder = args.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if not (folder / "model.arpa").exists():
            folder.mkdir(exist_ok=True)
            write_collections(folder, args.megabytes)
            trained = make_lines(args.train if not args.quick else 300_000, seed=2)
            corpus = langmodels.Corpus.from_text(trained, "whitespace")
            both = langmodels.NGramModel(5).fit(corpus)
            both.save(folder / "model.lm")
            both.save_arpa(folder / "model.arpa")
        if not args.rounds:
            return
        for name in ("warm", "out"):  # of an earlier run
            shutil.rmtree(folder / name, ignore_errors=True)
        plain = [p.read_bytes() for p in (folder / "jsonl").iterdir()]
        size, n_documents = sum(map(len, plain)) / 1e6, sum(p.count(b"\n") for p in plain)
        del plain
        model = langmodels.load(folder / "model.lm")
        rows = map(json.loads, (folder / "jsonl" / "0.jsonl").read_bytes().splitlines()[:200])
        limit = float(np.median(langmodels.score_column([r["text"] for r in rows], model)))
        if args.turns:
            print(take_turns(folder, limit, args.turns))
            return
        best: dict[tuple[str, str], tuple[float, float]] = {}
        found = sides(folder)
        for i in range(args.rounds):
            for side, opened_side in found.items():
                with opened_side() as run:
                    for ending in formats():
                        shutil.rmtree(folder / "warm", ignore_errors=True)
                        run(folder / ending.strip("."), folder / "warm" / "out", limit)
                    for ending in formats():
                        target = folder / "out" / ending.strip(".") / side / str(i)
                        began, before = time.perf_counter(), processor_time()
                        run(folder / ending.strip("."), target, limit)
                        wall = time.perf_counter() - began
                        processor = processor_time() - before
                        print(f"{side}, {ending}: {wall:.2f} s, {processor:.2f} s", flush=True)
                        known = best.get((ending, side), (wall, processor))
                        best[ending, side] = min(known[0], wall), min(known[1], processor)
        worst = None
        outputs = folder / "out" / "jsonl"
        if (outputs / "kenlm, 1 process").is_dir():
            ours, theirs = (
                outputs / f"{name}, 1 process" / "0" for name in ("langmodels", "kenlm")
            )
            worst = compare_scores(ours, theirs)
        memory = [(mb, peak(folder, folder / "jsonl" / "0.jsonl", mb)) for mb in args.memory]
    lines = [
        "# Filtering documents",
        "",
        f"{n_documents:,} documents, {size:.0f} MB as plain JSON lines, in {SHARDS} files; about "
        "half of them are kept. Rates are of that size in every format.",
        "",
        "| format | | documents/s | MB/s | beside kenlm | MB/s of processor time | beside kenlm |",
        "| --- | --- | --: | --: | --: | --: | --: |",
    ]
    for (ending, side), (wall, processor) in sorted(best.items()):
        peer = best.get((ending, f"kenlm, {'1 process' if '1 process' in side else '2 processes'}"))
        ratios = ("", "")
        if peer is not None:
            ratios = (f"x {peer[0] / wall:.2f}", f"x {peer[1] / processor:.2f}")
        lines.append(
            f"| {ending} | {side} | {n_documents / wall:,.0f} | {size / wall:.1f} | {ratios[0]} | "
            f"{size / processor:.1f} | {ratios[1]} |"
        )
    lines.append("")
    if worst is not None:
        lines += [f"Largest difference between the two in log10 p a token: {worst:.1e}.", ""]
    if memory:
        lines += ["| MB of JSON lines in one file | peak memory of `filter`, MB |", "| --: | --: |"]
        lines += [f"| {mb:,} | {used:.0f} |" for mb, used in memory]
    text = "\n".join(lines).rstrip() + "\n"
    args.output.parent.mkdir(exist_ok=True)
    args.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
