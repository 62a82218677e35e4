"""What a scan is worth: the linear recurrence of minimal GRUs by steps, by stretches, and a GRU.

    python benchmarks/scan.py [--quick] [--output FILE]

Times are processor time on one thread, the least of several, by turns.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from langmodels.arrays import Array
from langmodels.neural.layers import scan
from langmodels.neural.layers.base import Workspace
from langmodels.neural.layers.cells import make_cell
from langmodels.neural.layers.cells.base import Recurrent
from langmodels.neural.layers.parameters import Parameters
from langmodels.threads import Workers

LENGTHS = (64, 512, 4096)
WIDTHS = (16, 64, 256, 512, 1024, 4096)
CHUNKS = ((16, 32, 128), (4, 512, 128), (1, 2048, 128), (1, 8192, 64))
"""Batch, steps, units."""


def least(calls: Mapping[str, Callable[[], object]], turns: int) -> dict[str, float]:
    """The shortest processor time of each call, in milliseconds; all take turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(turns):
        for name, call in calls.items():
            began = time.process_time()
            call()
            times[name].append(time.process_time() - began)
    return {name: 1e3 * min(values) for name, values in times.items()}


def scans(turns: int) -> list[str]:
    """The time of the sequential scan over that of the chunked one, for lengths and widths."""
    rng = np.random.default_rng(0)
    titles = " | ".join(f"{width:,}" for width in WIDTHS)
    lines = [f"| steps | {titles} |", f"| --: |{' --: |' * len(WIDTHS)}"]
    for length in LENGTHS:
        cells = []
        for width in WIDTHS:
            decay = rng.uniform(0, 1, (length, 1, width)).astype(np.float32)
            inputs = rng.normal(size=decay.shape).astype(np.float32)
            first, out = np.zeros((1, width), np.float32), np.empty_like(inputs)
            given = (decay, inputs, first, out, Workspace())
            calls = {
                "sequential": partial(scan.sequential_scan, *given),
                "chunked": partial(scan.chunked_scan, *given),
            }
            times = least(calls, turns)
            cells.append(f"{times['sequential'] / times['chunked']:.2f}")
        lines.append(f"| {length:,} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return lines


def layer(name: str, width: int) -> Recurrent:
    """A layer with parameters of its own."""
    made = make_cell(name, width, width)
    values = Parameters(made.shapes, np.float32)
    made.bind(values.arrays, values.like().arrays)
    made.initialise(np.random.default_rng(0))
    made.refresh()
    return made


def run(made: Recurrent, x: Array) -> None:
    """Forward and backward."""
    h = made.forward(x)
    made.backward(np.ones_like(h))


def chunks(turns: int) -> list[str]:
    """A layer on one chunk."""
    lines = [
        "| batch, steps, units | minimal GRU | its loop over steps | GRU |",
        "| --- | --: | --: | --: |",
    ]
    for batch, steps, width in CHUNKS:
        x = np.random.default_rng(0).normal(size=(steps, batch, width)).astype(np.float32)
        looped = layer("mingru", width)
        looped.scan = scan.sequential_scan  # type: ignore[attr-defined]
        layers = {"scan": layer("mingru", width), "steps": looped, "gru": layer("gru", width)}
        times = least({name: partial(run, made, x) for name, made in layers.items()}, turns)
        cells = " | ".join(f"{times[name]:.1f} ms" for name in layers)
        lines.append(f"| {batch:,}, {steps:,}, {width:,} | {cells} |")
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Measure, write tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer turns")
    parser.add_argument("--output", type=Path, help="where to write the tables, as Markdown")
    arguments = parser.parse_args()
    turns = 5 if arguments.quick else 25
    with Workers(1):
        lines = [
            "# What a scan is worth",
            "",
            "h(t) = a(t) h(t-1) + b(t): time of a loop over all steps over that of stretches side "
            "by side. Columns: numbers in a step (batch times units).",
            "",
            *scans(turns),
            "",
            "A layer, forward and backward, on one chunk:",
            "",
            *chunks(turns),
        ]
    if arguments.output is not None:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
