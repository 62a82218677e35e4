"""Calibration: whether events with predicted probability p occur with frequency p."""

import math
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from langmodels.models.base import LanguageModel
from langmodels.text.corpus import Corpus
from langmodels.text.vocabulary import Vocabulary

BANDS = (0.0, 0.001, 0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
"""The edges of the probability bands."""


@dataclass(frozen=True)
class Band:
    """The predictions with a probability from `low` to `high`: their number `n`, their mean
    `predicted` probability, and the `observed` frequency.
    """

    low: float
    high: float
    n: int
    predicted: float
    observed: float


@dataclass(frozen=True)
class Calibration:
    """The calibration of a model on the first `tokens` targets of a test text.

    `expected_bits` is the mean entropy of the distributions, `paid_bits` the mean loss: equal for a
    calibrated model, while an overconfident one expects less than it pays. `accuracy` is how often
    the most probable token occurs, `confidence` its mean probability. `misplaced` is half the sum
    over bands of |predicted - observed| probability mass per token.
    """

    tokens: int
    expected_bits: float
    paid_bits: float
    accuracy: float
    confidence: float
    misplaced: float
    bands: list[Band]


def calibrate(model: LanguageModel[Any], test: Corpus, tokens: int) -> Calibration:
    """Measure calibration, from the distributions before the first `tokens` targets of a corpus."""
    edges = np.array(BANDS)
    n, mass, hits = (np.zeros(len(BANDS) - 1) for _ in range(3))
    entropy, paid, right, confidence = [], [], [], []
    for state, target in islice(model.walk(test), tokens):
        log_p = np.delete(model.log_distribution(state), Vocabulary.bos_id)
        token = target - (target > Vocabulary.bos_id)
        p = np.exp(log_p)
        band = np.minimum(np.searchsorted(edges, p, side="right") - 1, len(n) - 1)
        n += np.bincount(band, minlength=len(n))
        mass += np.bincount(band, weights=p, minlength=len(n))
        hits[band[token]] += 1
        positive = p > 0
        entropy.append(-float(p[positive] @ log_p[positive]))
        paid.append(-float(log_p[token]))
        best = int(np.argmax(p))
        right.append(best == token)
        confidence.append(float(p[best]))
    count = np.maximum(n, 1)
    return Calibration(
        len(paid),
        float(np.mean(entropy)) / math.log(2),
        float(np.mean(paid)) / math.log(2),
        float(np.mean(right)),
        float(np.mean(confidence)),
        float(np.abs(mass - hits).sum()) / 2 / len(paid),
        [
            Band(*row)
            for row in zip(
                BANDS[:-1],
                BANDS[1:],
                n.astype(int).tolist(),
                (mass / count).tolist(),
                (hits / count).tolist(),
                strict=True,
            )
        ],
    )
