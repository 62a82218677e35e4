"""How fast text is read: formats of files, and levels of tokens, beside peers.

    python benchmarks/reading.py                  # 40 MB of a made-up text
    python benchmarks/reading.py --corpus FILE    # a text of your own
    python benchmarks/reading.py --megabytes 200

The text is written as plain text, JSON lines and Parquet (with `pyarrow`), plain and compressed, in
documents of 40 lines. Each measurement runs in a process of its own, so that its peak memory is its
own; all alternate over several rounds, and the least processor time of each is shown. `read` takes
the pieces of text as they come, `encode` makes a corpus of them: tokens, vocabulary and ids. Pieces
are learnt before, on the first megabyte. The peers are `str.split`, which makes words and no ids,
and the package `tokenizers`, which makes pieces and their ids. The results go to
benchmarks/results/reading.md.
"""

import argparse
import gzip
import importlib.util
import itertools
import json
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LINES = 40
"""Lines in a document."""
LEVELS = ("whitespace", "word", "char", "byte", "bpe")
PIECES = 2000
_HEAD = 1 << 20  # characters on which pieces are learnt


def make_text(path: Path, megabytes: int) -> None:
    """Random lines whose words have Zipf's distribution."""
    rng = random.Random(1)
    words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(1, 9))) for _ in range(50_000)]
    weights = [1 / (i + 3) for i in range(len(words))]
    with path.open("w") as file:
        while file.tell() < megabytes << 20:
            drawn = iter(rng.choices(words, weights, k=200_000))
            for size in rng.choices(range(5, 30), k=10_000):
                line = [word for _, word in zip(range(size), drawn, strict=False)]
                file.write(" ".join(line).capitalize() + ".\n")


def write_formats(source: Path, folder: Path) -> list[str]:
    """Write the same text in every format; return the names of the files."""
    lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
    texts = ["".join(lines[i : i + LINES]) for i in range(0, len(lines), LINES)]
    records = [{"id": i, "url": f"https://a.example/{i}", "text": t} for i, t in enumerate(texts)]
    (folder / "text.txt").write_text("".join(texts), encoding="utf-8")
    jsonl = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "text.jsonl").write_text(jsonl, encoding="utf-8")
    for name in ("text.txt", "text.jsonl"):
        packed = gzip.compress((folder / name).read_bytes(), 6)
        (folder / f"{name}.gz").write_bytes(packed)
    names = ["text.txt", "text.jsonl", "text.txt.gz", "text.jsonl.gz"]
    if importlib.util.find_spec("pyarrow"):
        import pyarrow
        import pyarrow.parquet

        table = pyarrow.Table.from_pylist(records)
        pyarrow.parquet.write_table(table, folder / "text.parquet")
        names.append("text.parquet")
    return names


def peak() -> int:
    """Bytes of memory that this process had at most; a new one inherits what its parent had where
    only `getrusage` tells.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.findall(r"VmHWM:\s*(\d+)", status.read_text())[0]) * 1024
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found if sys.platform == "darwin" else found * 1024


def measure(what: str, path: str) -> dict[str, float]:
    """One measurement, in this process: seconds, tokens, characters and peak memory in bytes."""
    from langmodels.datasets import find_source
    from langmodels.text.corpus import Corpus
    from langmodels.text.levels import make_tokenizer

    source = find_source(path)
    tokenizer: Any = make_tokenizer(what) if what in LEVELS and what != "bpe" else None
    if what in ("bpe", "tokenizers"):
        head = next(iter(source.open()))[:_HEAD]
        tokenizer = make_tokenizer("bpe", vocab=PIECES).fit(head)
        tokenizer.tokenize(head[:1000])  # what is loaded once, is
    before = peak()
    began = time.process_time()
    tokens = 0
    if what == "read":
        characters = sum(map(len, source.open()))
    elif what == "split":
        characters = 0
        for piece in source.open():
            characters += len(piece)
            tokens += len(piece.split())
    elif what == "tokenizers":
        import tokenizers

        cut = tokenizers.Tokenizer.from_str(tokenizer.config()["model"])
        characters = 0
        for piece in source.open():
            characters += len(piece)
            lines = iter(piece.splitlines(keepends=True))
            while some := list(itertools.islice(lines, 1000)):
                tokens += sum(len(found.ids) for found in cut.encode_batch(some))
    else:
        corpus = Corpus.from_text(source.open(), tokenizer)
        tokens, characters = corpus.n_tokens, corpus.characters
    seconds = time.process_time() - began
    return {
        "seconds": seconds,
        "tokens": tokens,
        "characters": characters,
        "memory": peak() - before,
    }


def measured(what: str, path: Path) -> dict[str, Any]:
    """`measure` in a new process."""
    command = [sys.executable, __file__, "--measure", what, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, help="a text (default: made up)")
    parser.add_argument("--megabytes", type=int, default=40, help="size of the made-up text")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tenth of the text, one round")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "reading.md")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(*args.measure)))
        return
    if args.quick:
        args.megabytes, args.rounds = max(1, args.megabytes // 10), 1
    best: dict[tuple[str, str], dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = args.corpus
        if source is None:
            source = folder / "source.txt"
            make_text(source, args.megabytes)
        files = write_formats(source, folder)
        tasks = [("read", file) for file in files]
        levels = ["split", *LEVELS]
        if importlib.util.find_spec("tokenizers"):
            levels.append("tokenizers")
        else:
            levels.remove("bpe")
        tasks += [(what, "text.txt") for what in levels]
        tasks += [("whitespace", file) for file in files[1:]]
        for _ in range(args.rounds):
            for task in tasks:
                result = measured(task[0], folder / task[1])
                if task not in best or result["seconds"] < best[task]["seconds"]:
                    best[task] = result
    plain = best["read", "text.txt"]["seconds"]
    split = best["split", "text.txt"]["seconds"]
    rows = [
        "| what | file | M characters/s | M tokens/s | processor time | memory |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for (what, file), r in best.items():
        label = {
            "read": "read", "split": "`str.split`", "tokenizers": "`tokenizers`, the same pieces"
        }.get(what, f"encode, level {what}")  # fmt: skip
        peer, name = (plain, "plain text") if what == "read" else (split, "`str.split`")
        if what in ("bpe", "tokenizers"):
            peer, name = best["tokenizers", "text.txt"]["seconds"], "`tokenizers`"
        rate = f"{r['tokens'] / r['seconds'] / 1e6:.2f}" if r["tokens"] else ""
        rows.append(
            f"| {label} | {file.removeprefix('text')} | {r['characters'] / r['seconds'] / 1e6:.1f} "
            f"| {rate} | {r['seconds'] / peer:.2f} x {name} | {r['memory'] / 1e6:.0f} MB |"
        )
    characters = next(iter(best.values()))["characters"]
    report = (
        "# Reading\n\n"
        f"{characters / 1e6:.0f} M characters in documents of {LINES} lines; the least processor "
        f"time of {args.rounds} rounds; memory is what the measurement added to the process. Level "
        f"bpe has {PIECES:,} pieces.\n\n" + "\n".join(rows) + "\n"
    )
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(report)
    print(report)


if __name__ == "__main__":
    main()
