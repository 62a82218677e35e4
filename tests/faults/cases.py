"""Cases by number: the same seed and number are the same damaged file."""

import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .mutations import damage
from .outcomes import Fault, judge


def case(wholes: dict[str, bytes], seed: int, number: int) -> tuple[str, bytes]:
    """The name of the file that is damaged, and its damaged contents."""
    rng = np.random.default_rng([seed, number])
    name = list(wholes)[number % len(wholes)]
    return name, damage(wholes[name], name, rng)


def run(
    wholes: dict[str, bytes], seed: int, numbers: Iterable[int]
) -> tuple[Counter[tuple[str, str]], list[str]]:
    """The number of outcomes of each kind by file, and a line on each fault."""
    outcomes: Counter[tuple[str, str]] = Counter()
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            name, data = case(wholes, seed, number)
            path = Path(folder) / name
            path.write_bytes(data)
            try:
                outcomes[name, judge(path)] += 1
            except Fault as fault:
                outcomes[name, "fault"] += 1
                faults.append(f"case {number} of seed {seed}, {name}: {fault}")
            path.unlink()
    return outcomes, faults
