"""Scoring with networks that see so many tokens and no more: many windows at a time."""

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
    """What `scoring` gives for each window, (len(windows), *numbers), zeros for those not `wanted`.

    `top`: the hidden vectors (N, H) of inputs (length, N).
    """
    scores = np.zeros((len(windows), *numbers))
    every = np.arange(len(windows)) if wanted is None else np.flatnonzero(wanted)
    for begin in range(0, len(every), _AT_ONCE):
        index = every[begin : begin + _AT_ONCE]
        chunk = windows.chunk(index)
        scores[index] = scoring(output, top(chunk.inputs), chunk.targets[0])
    return scores
