"""Scoring with networks that read a fixed number of context tokens, in batches of windows."""

from collections.abc import Callable

import numpy as np

from langmodels.arrays import Array, BoolArray, FloatArray
from langmodels.neural.layers.softmax import OutputLayer, Scoring
from langmodels.neural.training.batches import Windows

_AT_ONCE = 4096  # windows in a batch


def score_windows(
    windows: Windows,
    top: Callable[[Array], Array],
    output: OutputLayer,
    scoring: Scoring,
    wanted: BoolArray | None = None,
) -> FloatArray:
    """The values of `scoring` for the target of each window, (len(windows), *scoring.numbers).

    Args:
        windows: the targets with their contexts.
        top: maps contexts (length, N) to the inputs (N, H) of the output layer.
        output: the output layer.
        scoring: what to compute for each target.
        wanted: (len(windows),), false at targets whose result is zero; None: all are wanted.
    """
    scores = np.zeros((len(windows), *scoring.numbers))
    every = np.arange(len(windows)) if wanted is None else np.flatnonzero(wanted)
    for begin in range(0, len(every), _AT_ONCE):
        index = every[begin : begin + _AT_ONCE]
        chunk = windows.chunk(index)
        scores[index] = scoring.values(output, top(chunk.inputs), chunk.targets[0])
    return scores
