"""Thirty students at once: how long a next-word request takes on the loopback address.

    python benchmarks/play.py
    python benchmarks/play.py --students 60 --seconds 30

`langmodels play` runs as a process of its own. Every student types: a request after every word of
sentences of the test part, with pauses in between, for n-gram models. Then again while networks
are trained in the background for some of them. The results go to benchmarks/results/play.md.
"""

import argparse
import http.client
import json
import platform
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
MODELS = ("unigram", "mle:order=2", "mkn:order=3")
ENOUGH = 0.2
"""The 95th percentile of the answers' times should be below this, in seconds."""


class Server:
    """`langmodels play` on the loopback address."""

    def __enter__(self) -> "Server":
        command = [sys.executable, "-m", "langmodels", "play", *MODELS, "--no-browser", "--json"]
        began = time.perf_counter()
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        told = ""
        while not told.endswith("}\n"):
            told += self._process.stdout.readline()
        self.port = int(json.loads(told)["port"])
        ask(self.connection(), "start")
        self.seconds = time.perf_counter() - began
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def connection(self) -> http.client.HTTPConnection:
        """A connection that is kept open, as a browser's is."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)


def ask(connection: http.client.HTTPConnection, name: str, /, **fields: Any) -> dict[str, Any]:
    """The answer to a request."""
    connection.request("POST", f"/api/{name}", json.dumps(fields))
    answer = connection.getresponse()
    found: dict[str, Any] = json.loads(answer.read())
    if answer.status != 200:
        raise SystemExit(f"{name}: {found}")
    return found


def student(server: Server, seed: int, until: float, pause: float, taken: list[float]) -> None:
    """Type sentences word by word, and note how long each answer takes."""
    rng = random.Random(seed)
    connection = server.connection()
    examples = ask(connection, "room")["examples"]
    time.sleep(rng.random() * pause)
    while time.perf_counter() < until:
        words = rng.choice(examples).split()
        for k in range(1, len(words) + 1):
            question = {"models": list(MODELS), "context": " ".join(words[:k]), "k": 10}
            began = time.perf_counter()
            found = ask(connection, "next", temperature=0.8, **question)
            taken.append(time.perf_counter() - began)
            assert len(found["models"]) == len(MODELS)
            time.sleep(rng.expovariate(1 / pause))


def measure(server: Server, students: int, seconds: float, pause: float) -> list[float]:
    """The times of all answers in seconds."""
    taken: list[float] = []
    until = time.perf_counter() + seconds
    threads = [
        threading.Thread(target=student, args=(server, seed, until, pause, taken))
        for seed in range(students)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


def row(name: str, taken: list[float], seconds: float) -> str:
    """A line of the table."""
    p50, p95, p99 = (1000 * float(np.quantile(taken, q)) for q in (0.5, 0.95, 0.99))
    print(f"{name}: {len(taken)} answers, p50 {p50:.1f} ms, p95 {p95:.1f} ms", flush=True)
    rate = len(taken) / seconds
    return f"| {name} | {len(taken):,} | {rate:.0f} | {p50:.1f} | {p95:.1f} | {p99:.1f} |"


def main() -> None:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a few seconds")
    parser.add_argument("--students", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between two words")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "play.md")
    args = parser.parse_args()
    args.seconds = min(args.seconds, 4.0) if args.quick else args.seconds
    rows, worst = [], 0.0
    with Server() as server:
        print(f"the page answers after {server.seconds:.1f} s", flush=True)
        for name, networks in (("n-gram models", 0), ("while networks are trained", 3)):
            for k in range(networks):
                ask(server.connection(), "add", name=f"lstm:hidden={60 + k}")
            taken = measure(server, args.students, args.seconds, args.pause)
            rows.append(row(name, taken, args.seconds))
            worst = max(worst, float(np.quantile(taken, 0.95)))
    verdict = "below" if worst < ENOUGH else "above"
    args.output.write_text(
        f"""# The page for the classroom: {args.students} students at once

Written by `python benchmarks/play.py --students {args.students} --seconds {args.seconds:g}`.

{platform.processor() or platform.machine()}, {platform.system()}, Python \
{platform.python_version()}. Every student types a word each {args.pause:g} s; the answer has the \
ten most probable next tokens of {", ".join(f"`{m}`" for m in MODELS)}. The page answered \
{server.seconds:.1f} s after it was started.

| | answers | a second | p50, ms | p95, ms | p99, ms |
| --- | ---: | ---: | ---: | ---: | ---: |
{chr(10).join(rows)}

The 95th percentiles are {verdict} {1000 * ENOUGH:.0f} ms.
""",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
