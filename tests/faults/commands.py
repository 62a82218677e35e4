"""Random command lines: whatever is typed, the answer is a result or a one-line error.

    python -m tests.faults.commands --cases 5000
    python -m tests.faults.commands --cases 300 --processes

The command lines are made from the parsers of the commands, so that new commands and options are
tried as soon as they are there; values are sensible ones, odd ones and hostile ones. The same seed
gives the same command lines. With `--processes` each runs as a process of its own, as in a shell.
"""

import argparse
import contextlib
import io
import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langmodels.cli.files import InputFile, ModelNames, OutputFile, PlotFile, TextName
from langmodels.cli.main import COMMANDS, command_parser, main

TEXT = "the cat sat on the mat .\nthe dog sat on the log .\na cat ran to the dog .\n" * 8

TEXTS: dict[str, bytes] = {
    "text.txt": TEXT.encode(),
    "other.txt": b"a dog ran .\nthe cat slept on the log .\n" * 5,
    "blank.txt": b"\r\n\r\nred fox\r\n\r\n  \r\n",
    "empty.txt": b"",
    "one.txt": b"word",
    "bad.txt": b"the cat\nthe \xff dog\nthe log\n",
    "latin.txt": "le café noir\n".encode("latin-1") * 4,
    "unicode.txt": "Привет, мир! 我爱看书 \u202eevil\u202c e\u0301 👩\u200d👩\u200d👧\n".encode()
    * 4,
    "escape.txt": b"the \x1b[31mcat\x1b]0;x\x07 sat\n" * 4,
    "nul.txt": b"the \0 cat\n",
    "utf16.txt": "the cat sat\n".encode("utf-16") * 3,
    "genome.fa": b">one\nACGTACGTTAGC\n>two\nACGGGTACGT\n" * 6,
    "prices.csv": b"day,close\n" + b"".join(b"%d,%d.5\n" % (i, 100 + i % 7) for i in range(80)),
    "log.csv": b"case,activity\n" + b"".join(b"%d,act%d\n" % (i // 4, i % 3) for i in range(80)),
    "nbest.txt": b"0 ||| the cat sat ||| -1\n0 ||| cat the sat ||| -2\n1 ||| a dog ||| x\n",
    "nbest.jsonl": b'{"id": 1, "hypothesis": "the cat", "score": -1}\n["a"]\n',
    "bad.gz": b"\x1f\x8b\x08\0garbage",
    "bad.lm": b'\x40\0\0\0\0\0\0\0{"a": 1' + b" " * 90,
    "bad.arpa": b"\\data\\\nngram 1=2\n\n\\1-grams:\n-1 a\n\\end\\\n",
    "line.txt": b"the cat sat " * 400,
}

MODELS = {
    "mkn.lm": ("mkn:order=2", "word"),
    "char.lm": ("witten-bell:order=3", "char"),
    "unigram.lm": ("unigram", "whitespace"),
    "rnn.lm": ("rnn:hidden=4:epochs=1", "word"),
    "full.lm": ("full-context", "word"),
    "mixture.lm": ("mixture:order=2:hidden=4:epochs=1", "word"),
}

TRAINED = (
    *(
        "unigram",
        "mkn",
        "mkn:order=2",
        "mle:order=2",
        "katz:order=2",
        "absolute:order=3",
        "laplace",
    ),
    *("full-context", "full-context-mle", "jelinek-mercer:order=2", "stupid-backoff:order=2"),
    *("rnn:hidden=4:epochs=1", "gru:hidden=4:epochs=1", "lstm:hidden=3:epochs=1", "cache:order=2"),
    *("feed-forward:hidden=4:epochs=1:context=2", "mixture:order=2:hidden=2:epochs=1"),
    *("mkn:order=0", "mkn:order=x", "mkn:nonsense=1", "lstn", "", ":", "mkn:", "rnn:epochs=0"),
    *("rnn:hidden=-1", "unigram:alpha=nan", "lidstone:alpha=1e308", "rnn:learning_rate=1e30"),
    "bidirectional-gru:hidden=3:epochs=1",
)

WORDS = (
    *("the cat", "the dog sat on the", "", " ", "xylophone", "the ___ sat", "___", "two\nlines"),
    *("<unk>", "<s>", "</s> the", "\x1b[31mred", "caf\u00e9", "\udcff", "a" * 3000, "--", "-x"),
    *(
        "[bold]x[/bold]",
        "%s %d {0}",
        "\u202e",
        "\u2066x",
        "\0",
        "two thousand and six",
        "1,2",
        "\t",
    ),
)

NUMBERS = (
    *("1", "2", "3", "5", "0", "-1", "1.5", "0.5", "1e-9", "nan", "inf", "-inf", "1e400", "x", ""),
    *("10", "100", "99999999999999999999", "0x10", "1_0", "\u0663", "true", "1,2", "0.8,0.1,0.1"),
)

TEXT_NAMES = (
    *TEXTS,
    *("-", "missing.txt", "folder", ".", "/dev/null", "/dev/zero", "synthetic:reber?length=400"),
    *(
        "synthetic:markov?order=1",
        "synthetic:nothing",
        "prices.csv?series=close",
        "log.csv?events=2",
    ),
    *("prices.csv?series=close,bins=4", "log.csv?events=activity,case=case", "log.csv?events=none"),
    *(
        "text.txt?x",
        "?",
        "wonderland",
        "gutenberg:x",
        "a" * 300,
        "*.txt",
        "\x1b[2J",
        "nu\0l",
        "a\u202etxt",
    ),
)

OUTPUTS = (
    *("out.lm", "out.arpa", "out.arpa.gz", "out.html", "out.json", "out.csv", "out.md", "out.png"),
    *("out.svg", "nowhere/out.lm", "folder", "text.txt", "mkn.lm", "/dev/null", "/dev/full"),
    *("x" * 300, "", " ", "/dev/stdout", "out.lm/", "out\x1b.lm", "link.txt"),
)

CHEAP: dict[str, list[str]] = {
    "compare": ["--corpus=text.txt", "--models=unigram,mkn:order=2", "--jobs=1", "--no-cache"],
    "scale": ["--corpus=text.txt", "--models=unigram", "--jobs=1", "--doublings=1"],
    "article": ["--corpus=one.txt", "--iterations=1"],
    "gradients": ["--corpus=text.txt", "--hidden=3", "--steps=2", "--cells=rnn"],
    "play": ["--corpus=text.txt", "--export=out.html"],
    "recall": ["--models=unigram,mkn:order=2", "--length=300", "--lag=3"],
    "translate": ["--model=encoder-decoder:hidden=3:epochs=1"],
    "sample": ["--max-tokens=5"],
    "predict": ["--corpus=text.txt"],
    "explain": ["--corpus=text.txt"],
    "fill": ["--corpus=text.txt", "--candidates=3"],
    "train": ["--corpus=text.txt", "--model=mkn:order=2", "--output=out.lm"],
    "evaluate": ["--corpus=other.txt"],
}
"""Options of commands whose defaults take long, used unless the case has them."""

_MEMORY = 8 << 30  # bytes that all command lines together may take

SMALL = {"doublings", "iterations", "train", "steps", "hidden", "length", "lag", "jobs", "seeds"}
"""Options whose numbers are kept small: a large one is no fault, but takes long."""

TASKS = (
    "numbers?size=40",
    "numbers?size=40,digits=2",
    "nothing",
    "pairs?x=1",
    "",
    "reverse?size=40",
)


@dataclass
class Case:
    """One command line and what is wrong with its answer, if anything is."""

    arguments: list[str]
    status: int = 0
    fault: str = ""
    seconds: float = 0.0


def make(rng: random.Random) -> list[str]:
    """A random command line."""
    if rng.random() < 0.03:
        return [rng.choice(["--help", "--version", "", "-", "--", "trian", "-q", "-v", *WORDS])]
    name = rng.choice([*COMMANDS])
    parser = command_parser(name)
    groups = [set(g._group_actions) for g in parser._mutually_exclusive_groups]
    positional: list[str] = []
    options: list[str] = []
    given: set[str] = set()
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction):
            if rng.random() < 0.005:
                options.append("--help")
            continue
        values = _values(action, name, rng)
        if not action.option_strings:
            if rng.random() < 0.95:
                positional += values
            continue
        exclusive = any(action in group and given & {a.dest for a in group} for group in groups)
        likely = 0.95 if action.required else 0.12
        if rng.random() < likely and (not exclusive or rng.random() < 0.1):
            given.add(action.dest)
            option = rng.choice(action.option_strings)
            joined = option.startswith("--") and len(values) == 1
            options += [f"{option}={values[0]}"] if joined else [option, *values]
    for option in CHEAP.get(name, []):
        if option.partition("=")[0].removeprefix("--").replace("-", "_") not in given:
            options.append(option)
    if rng.random() < 0.03:
        options.append(rng.choice(["--nonsense", "-z", "--corpus", "--json=1", "--", "-k"]))
    parts = [positional, options] if rng.random() < 0.5 else [options, positional]
    return [name, *parts[0], *parts[1]]


def _values(action: argparse.Action, command: str, rng: random.Random) -> list[str]:
    if action.nargs == 0:
        return []
    n = 1
    if action.nargs in ("+", "*"):
        n = rng.choice([1, 1, 2, 3] if action.nargs == "+" else [0, 1, 1, 2])
    elif action.nargs == "?":
        n = rng.choice([0, 1, 1])
    return [_value(action, command, rng) for _ in range(n)]


def _value(action: argparse.Action, command: str, rng: random.Random) -> str:
    kind: Any = action.type
    odd = rng.random() < 0.04
    if odd:
        pool: Sequence[str] = rng.choice([WORDS, NUMBERS, TEXT_NAMES, OUTPUTS, TRAINED])
        if action.dest in SMALL:
            pool = [n for n in NUMBERS if not n.isascii() or len(n) < 2 or not n.isdigit()]
        elif action.dest == "model" and command in ("train", "translate"):
            pool = TRAINED
        return rng.choice(pool)
    if action.choices is not None:
        return str(rng.choice(list(action.choices)))
    if isinstance(kind, type):
        if issubclass(kind, PlotFile):
            return rng.choice(["out.png", "out.svg", "out.txt", "nowhere/out.png"])
        if issubclass(kind, OutputFile):
            return rng.choice(OUTPUTS[:8] if rng.random() < 0.7 else OUTPUTS)
        if issubclass(kind, ModelNames):
            names = rng.choices([*MODELS, *TRAINED], k=rng.choice([1, 1, 1, 2, 3]))
            return ",".join(names)
        if issubclass(kind, TextName):
            return rng.choice(["text.txt", "other.txt"] if rng.random() < 0.5 else TEXT_NAMES)
        if issubclass(kind, InputFile):
            usual = TEXTS if action.dest in ("file", "nbest") and command != "translate" else MODELS
            return rng.choice([*usual, *(["bad.lm", "bad.arpa", "missing.lm", "folder"])])
    if action.dest in SMALL:
        return rng.choice(["1", "2", "3"])
    if kind in (int, float) or "number" in str(action.help):
        return rng.choice(NUMBERS[:4] if rng.random() < 0.8 else NUMBERS)
    special = {
        "task": TASKS,
        "level": ("word", "char", "byte", "whitespace", "symbols", "char,word", "series", "x"),
        "models": TRAINED,
        "model": TRAINED if command == "train" else ("encoder-decoder:hidden=3:epochs=1", "rnn"),
        "smoothing": ("katz", "kneser_ney", "unigram", "x"),
        "clean": ("none", "lower", "article", "x"),
        "encoding": ("utf-8", "latin-1", "utf-16", "punycode", "idna", "hex", "utf-7", "x", ""),
        "split": ("contiguous", "lines", "x"),
        "fractions": ("0.8,0.1,0.1", "1,0,0", "0.5,0.5,0.5", "a", "1,1"),
        "cells": ("rnn", "lstm,gru", "relu-rnn", "x"),
        "pattern": ("[a-z]+", "(", r"\w+", "", "(a+)+$", "."),
        "weights": ("0.5,0.5", "1", "0,0", "nan,1", "-1,2", "0.3,0.3,0.4"),
        "seed": ("0", "1", "-1", "99999999999999999999", "x"),
        "cache": ("cache", "text.txt", "nowhere/cache"),
    }
    return rng.choice(special.get(action.dest, WORDS))


@contextlib.contextmanager
def sandbox() -> Iterator[dict[Path, bytes]]:
    """A working directory with texts and models; yields its contents by name."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            Path("folder").mkdir()
            for name, data in TEXTS.items():
                Path(name).write_bytes(data)
            Path("link.txt").symlink_to("text.txt")
            for name, (model, level) in MODELS.items():
                train = ["train", "--corpus", "text.txt", "--model", model, "--level", level, "-q"]
                with contextlib.redirect_stdout(io.StringIO()):
                    assert main([*train, "-o", name]) == 0
            yield {p: p.read_bytes() for p in Path().iterdir() if p.is_file()}
        finally:
            os.chdir(here)


def restore(contents: dict[Path, bytes]) -> None:
    """Restore the sandbox."""
    for path in Path().iterdir():
        if path not in contents and path.is_file():
            path.unlink()
    for path, data in contents.items():
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)


class _Standard(io.TextIOWrapper):
    """Standard input for a case."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8")


def run_here(arguments: list[str], limit: int) -> Case:
    """Run a command line in this process; Ctrl-C is pressed after `limit` seconds."""
    out, err = io.StringIO(), io.StringIO()
    case = Case(arguments)
    late: list[int] = []

    def press(number: int, frame: Any) -> None:
        late.append(number)
        raise KeyboardInterrupt

    before, stdin = signal.signal(signal.SIGALRM, press), sys.stdin
    began = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, limit, limit)
    sys.stdin = _Standard(TEXT.encode())
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            case.status = main(arguments)
    except BaseException as error:
        case.fault = f"raised {type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        sys.stdin = stdin
    case.seconds = time.monotonic() - began
    if late:
        case.fault = case.fault or f"took more than {limit} s"
    case.fault = case.fault or fault(arguments, case.status, out.getvalue(), err.getvalue())
    return case


def run_apart(arguments: list[str], limit: int) -> Case:
    """Run a command line as a process of its own."""
    case = Case(arguments)
    package = Path(__file__).resolve().parents[2]
    began = time.monotonic()
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "langmodels", *arguments],
            input=TEXT.encode(),
            capture_output=True,
            timeout=limit,
            check=False,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(package), "HOME": str(Path.cwd())},
        )
    except subprocess.TimeoutExpired:
        case.fault = f"took more than {limit} s"
    except ValueError:  # a NUL, which no shell can hand on
        return case
    else:
        case.status = ended.returncode
        out, err = (s.decode("utf-8", "surrogateescape") for s in (ended.stdout, ended.stderr))
        case.fault = fault(arguments, case.status, out, err)
    case.seconds = time.monotonic() - began
    return case


def fault(arguments: list[str], status: int, out: str, err: str) -> str:
    """What is wrong with an answer, or an empty string."""
    if "Traceback" in err or "Exception ignored" in err:
        return f"a traceback: {err[-600:]}"
    if "should not happen" in err or "not enough memory" in err:
        return err[-600:]
    if status not in (0, 1, 2):
        return f"exit status {status}: {err[-300:]}"
    complaints = [line for line in err.splitlines() if line.startswith("langmodels: error: ")]
    if len(complaints) != (status != 0):
        return f"{len(complaints)} complaints with exit status {status}: {err[-300:]}"
    if re.search(r"(?<![\w.\"])nan(?![\w\"])", out, re.IGNORECASE) and "nan" not in str(arguments):
        return f"a figure that is none: {out[:300]}"
    if re.search("[\x1b\x07\x9b\u202a-\u202e\u2066-\u2069]", err):
        return f"a raw control character: {err[:300]!r}"
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if status == 0 and "--json" in options and "--help" not in options:
        try:
            lines = arguments[0] == "score" and "--summary" not in arguments
            for document in out.splitlines() if lines else [out]:
                json.loads(document, parse_constant=lambda name: 1 / 0)
        except (ValueError, ZeroDivisionError):
            return f"no JSON: {out[:300]}"
    return ""


def trial(cases: int, seed: int, *, processes: bool = False, limit: int = 30) -> list[Case]:
    """Run so many random command lines."""
    rng = random.Random(seed)
    run = run_apart if processes else run_here
    found = []
    with sandbox() as contents:
        for number in range(cases):
            arguments = make(rng)
            case = run(arguments, limit)
            restore(contents)
            if case.fault:
                sys.stderr.write(f"case {number}: {shlex.join(arguments)!a}\n    {case.fault!a}\n")
            found.append(case)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", action="store_true", help="each a process of its own")
    parser.add_argument("--limit", type=int, default=60, help="seconds that a case may take")
    options = parser.parse_args()
    with contextlib.suppress(ImportError):  # Windows has no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    ended = trial(options.cases, options.seed, processes=options.processes, limit=options.limit)
    faults = [case for case in ended if case.fault]
    slowest = max(ended, key=lambda case: case.seconds)
    print(f"{len(ended):,} command lines, {len(faults)} faults;", end=" ")
    print(
        ", ".join(f"status {k}: {n:,}" for k, n in sorted(Counter(c.status for c in ended).items()))
    )
    print(f"slowest: {slowest.seconds:.1f} s, {shlex.join(slowest.arguments)!a}")
    sys.exit(bool(faults))
