"""Functions that the measurements of networks share."""

import importlib
import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from langmodels.neural.training.batches import Chunk, cuts

torch: Any = importlib.import_module("torch") if importlib.util.find_spec("torch") else None


class OneBatch:
    """The same random batch again and again."""

    def __init__(self, batch: int, steps: int, vocabulary: int, n_shards: int) -> None:
        rng = np.random.default_rng(0)
        inputs, targets = rng.integers(2, vocabulary, (2, steps, batch)).astype(np.int32)
        chunk = Chunk(inputs, targets, None, True)
        self.shards = [chunk.part(c) for c in cuts(batch, n_shards)]
        self.n_shards = len(self.shards)
        self.n_batches = 1

    def epoch(self, number: int) -> Any:
        """One batch."""
        yield self.shards


def by_turns(functions: list[Callable[[], Any]], seconds: float, turns: int = 4) -> list[float]:
    """Median time of each function in ms, measured in alternating stretches."""
    times: list[list[float]] = [[] for _ in functions]
    for turn in range(turns):
        for function, taken in zip(functions, times, strict=True):
            function()
            end = time.perf_counter() + seconds / turns
            while time.perf_counter() < end or len(taken) <= turn:
                began = time.perf_counter()
                function()
                taken.append(time.perf_counter() - began)
    return [1e3 * statistics.median(taken) for taken in times]


def figures(result: list[float], digits: int = 1) -> str:
    """Cells of a table: our time, PyTorch's, and the ratio."""
    if len(result) == 1:
        return f"{result[0]:.{digits}f} ms | - | -"
    mine, theirs = result
    return f"{mine:.{digits}f} ms | {theirs:.{digits}f} ms | {theirs / mine:.2f}"
