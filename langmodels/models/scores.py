"""Whether scores are log probabilities at all: a network whose numbers overflow gives none."""

import numpy as np

from langmodels.arrays import FloatArray, IntArray
from langmodels.errors import LangmodelsError
from langmodels.formatting import visible
from langmodels.text.vocabulary import Vocabulary

_ABOVE_ZERO = 1e-3  # what float32 tables may leave of rounding


def check_scores(
    scores: FloatArray, targets: IntArray, vocabulary: Vocabulary, before: int = 0
) -> None:
    """Raise LangmodelsError, naming the token, where a log p (n,) of a target (n,) is none.

    `before`: how many targets of the text stand before these.
    """
    wrong = np.flatnonzero(~(scores <= _ABOVE_ZERO))
    if len(wrong):
        i = int(wrong[0])
        raise LangmodelsError(
            f"log p of {visible(vocabulary.token(int(targets[i])))!r}, token {before + i + 1:,} of "
            f"the text, is {scores[i]:g}, which is no log probability ({len(wrong):,} of "
            f"{len(scores):,} are not); the model cannot be used: train it again, a network with a "
            "smaller learning rate."
        )


def check_distributions(log_p: FloatArray) -> None:
    """Raise LangmodelsError where one of the distributions, (N, V) in nats, has a NaN in it."""
    if np.isnan(log_p).any():
        raise LangmodelsError(
            "After this context the model has no probabilities: its numbers are beyond all bounds. "
            "It cannot be used: train it again, with a smaller learning rate."
        )
