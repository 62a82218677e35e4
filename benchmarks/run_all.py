"""Run every benchmark of this folder and put their tables into one page.

    python benchmarks/run_all.py [--quick] [--only NAME ...]

Each benchmark is a script that takes --quick and --output; it writes its part to
`benchmarks/results/NAME.md`, and the page is `benchmarks/results/README.md`. One that fails, or is
left out by --only, keeps its earlier part, and the page says so. Each part ends with a line on the
machine that it was measured on.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import langmodels

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER / "results"
PACKAGES = ("numpy", "scipy", "torch", "kenlm", "nltk")


def benchmarks() -> list[str]:
    """The names of all benchmark scripts."""
    return sorted(p.stem for p in FOLDER.glob("[a-z]*.py") if p.stem != Path(__file__).stem)


def run(name: str, quick: bool) -> str:
    """Run a script; print a line on how it went."""
    output = RESULTS / f"{name}.md"
    began = time.perf_counter()
    command = [sys.executable, str(FOLDER / f"{name}.py"), "--output", str(output)]
    done = subprocess.run([*command, *(["--quick"] if quick else [])], cwd=FOLDER.parent)
    seconds = time.perf_counter() - began
    if done.returncode:
        return f"{name}: failed with status {done.returncode}; its earlier table is shown, if any"
    text = output.read_text(encoding="utf-8").rstrip()
    output.write_text(f"{text}\n\nMeasured on {machine()}.\n", encoding="utf-8")
    return f"{name}: {'quick, ' if quick else ''}{seconds:.0f} s"


def machine() -> str:
    """The machine and the versions that figures are from."""
    known = [
        f"{_processor()} ({os.cpu_count()} processors, {platform.system()} {platform.machine()})",
        f"Python {platform.python_version()}",
        f"langmodels {langmodels.__version__}",
    ]
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            known.append(f"{package} {metadata.version(package)}")
    return ", ".join(known)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def demoted(text: str) -> str:
    """A report with its headings one level lower."""
    return "\n".join(f"#{line}" if line.startswith("#") else line for line in text.splitlines())


def page(reports: list[str]) -> str:
    """All reports in one page."""
    parts = [demoted(p.read_text(encoding="utf-8")) for p in sorted(RESULTS.glob("*.md"))
             if p.name != "README.md"]  # fmt: skip
    where = "Made by `python benchmarks/run_all.py`; each part ends with where it was measured."
    lines = ["# Benchmarks", "", where, ""]
    lines += [f"- {report}" for report in reports]
    return "\n\n".join(["\n".join(lines), *parts]).rstrip() + "\n"


def main() -> int:
    """Run the scripts asked for, and write the page; return 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smaller and less exact")
    parser.add_argument("--only", nargs="+", choices=benchmarks(), metavar="NAME")
    arguments = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    reports = []
    for name in benchmarks():
        if arguments.only and name not in arguments.only:
            reports.append(f"{name}: not run this time; its earlier table is shown, if any")
            continue
        print(f"== {name}", flush=True)
        reports.append(run(name, arguments.quick))
        print(reports[-1], flush=True)
    (RESULTS / "README.md").write_text(page(reports), encoding="utf-8")
    return 1 if any("failed" in report for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
