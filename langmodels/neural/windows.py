"""Scoring with networks of a fixed number of context tokens, many windows at a time."""

from collections.abc import Callable

import numpy as np

from langmodels.arrays import Array, BoolArray, FloatArray
from langmodels.neural.layers.softmax import OutputLayer, Scoring
from langmodels.neural.training.batches import Windows

_AT_ONCE = 4096


def score_windows(
    windows: Windows,
    top: Callable[[Array], Array],
    output: OutputLayer,
    scoring: Scoring,
    numbers: tuple[int, ...] = (),
    wanted: BoolArray | None = None,
) -> FloatArray:
    """The values of `scoring` for each window, (len(windows), *numbers), zeros where not `wanted`.

    `top` maps inputs (length, N) to hidden vectors (N, H).
    """
    scores = np.zeros((len(windows), *numbers))
    every = np.arange(len(windows)) if wanted is None else np.flatnonzero(wanted)
    for begin in range(0, len(every), _AT_ONCE):
        index = every[begin : begin + _AT_ONCE]
        chunk = windows.chunk(index)
        scores[index] = scoring(output, top(chunk.inputs), chunk.targets[0])
    return scores
