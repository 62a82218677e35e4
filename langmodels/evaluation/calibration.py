"""Calibration: whether what a model gives probability p happens in a share p of the cases."""

import math
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from langmodels.models.base import LanguageModel
from langmodels.text.corpus import Corpus
from langmodels.text.vocabulary import Vocabulary

BANDS = (0.0, 0.001, 0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Edges of the probability bands."""


@dataclass(frozen=True)
class Band:
    """Predictions with a probability from `low` to `high`: how many, their mean, how many came."""

    low: float
    high: float
    n: int
    predicted: float
    observed: float


@dataclass(frozen=True)
class Calibration:
    """How the predictions for the first `tokens` targets of a test text came true.

    `expected_bits`: mean entropy of the distributions, what the model expects to pay for a token;
    `paid_bits`: what it pays; equal for a calibrated model, less is overconfidence. `accuracy`: how
    often the most probable token came; `confidence`: its mean probability. `misplaced`: half the
    sum over bands of |predicted - observed| mass per token, the share that is in the wrong band.
    """

    tokens: int
    expected_bits: float
    paid_bits: float
    accuracy: float
    confidence: float
    misplaced: float
    bands: list[Band]


def calibrate(model: LanguageModel[Any], test: Corpus, tokens: int) -> Calibration:
    """Look at the whole distribution before each of the first `tokens` targets of a corpus."""
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
