"""Checks of scores, which are NaN where a network overflowed, and the perplexity of a loss."""

import math

import numpy as np

from langmodels.arrays import FloatArray, IntArray
from langmodels.errors import LangmodelsError
from langmodels.formatting import visible
from langmodels.text.vocabulary import Vocabulary

_ABOVE_ZERO = 1e-3  # rounding of float32 tables may leave a log p this far above zero
_LARGEST_LOSS = 700.0  # nats; exp of 710 is more than a float holds


def check_scores(
    scores: FloatArray, targets: IntArray, vocabulary: Vocabulary, before: int = 0
) -> None:
    """Raise LangmodelsError, which names the token, for a score (n,) that is NaN or above zero.

    `targets` (n,) are the tokens scored, and `before` is how many targets of the text precede them.
    """
    fine = scores <= _ABOVE_ZERO
    if not fine.all():
        wrong = np.flatnonzero(~fine)
        i = int(wrong[0])
        raise LangmodelsError(
            f"log p of {visible(vocabulary.token(int(targets[i])))!r}, token {before + i + 1:,} of "
            f"the text, is {scores[i]:g}, which is not a log probability ({len(wrong):,} of "
            f"{len(scores):,} are not); the model cannot be used: train it again, a network with a "
            "smaller learning rate."
        )


def check_distributions(log_p: FloatArray) -> None:
    """Raise LangmodelsError for a NaN in the distributions `log_p`, (N, V) in nats."""
    if np.isnan(log_p).any():
        raise LangmodelsError(
            "After this context the model has no probabilities: its numbers are beyond all bounds. "
            "It cannot be used: train it again, with a smaller learning rate."
        )


def perplexity_at(loss: float) -> float:
    """exp(loss), the perplexity at a mean loss in nats per token; infinite where it overflows."""
    return math.exp(loss) if loss < _LARGEST_LOSS else math.inf
