"""The weights of a linear interpolation, and the weighted mean of probabilities."""

from collections.abc import Sequence

import numpy as np

from langmodels.arrays import FloatArray
from langmodels.errors import UsageError


def check_weights(weights: Sequence[float] | FloatArray | None, n_models: int) -> FloatArray:
    """The weights scaled to sum to one, (n_models,); for None all equal.

    Raises UsageError for a wrong number of weights, a negative one, or none above zero.
    """
    if weights is None:
        return np.full(n_models, 1 / n_models)
    given: FloatArray = np.array(weights, np.float64)
    if given.shape != (n_models,) or not np.isfinite(given).all() or given.min() < 0:
        raise UsageError(f"A mixture of {n_models} models needs as many weights of 0 or more.")
    if given.sum() <= 0:
        raise UsageError("At least one weight of a mixture must be above 0.")
    given /= given.sum()
    return given


def log_mean(log_p: Sequence[FloatArray], weights: FloatArray) -> FloatArray:
    """Log of sum_k weights[k] exp(log_p[k]), elementwise over K arrays of one shape."""
    total = np.full(log_p[0].shape, -np.inf)
    for part, weight in zip(log_p, weights.tolist(), strict=True):
        if weight > 0:
            total = np.logaddexp(total, part + np.log(weight))
    return total


def em_weights(
    log_p: FloatArray,
    start: FloatArray | None = None,
    *,
    tolerance: float = 1e-9,
    max_iterations: int = 1000,
) -> FloatArray:
    """Weights (K,) of a mixture that make held-out tokens most probable, by EM.

    `log_p` (K, N): log p of N tokens under K models, nats. Tokens with probability zero under every
    model are left out; with none left the weights stay at `start` (equal by default). A weight that
    starts at zero stays there. Stops when the mean log p grows by less than `tolerance` nats a
    token.
    """
    weights = np.full(len(log_p), 1 / len(log_p)) if start is None else np.array(start, np.float64)
    peak = log_p.max(axis=0)
    usable = peak > -np.inf
    if not usable.any():
        return weights
    # Only ratios matter to EM; scaling each token's best to 1 keeps small ones from underflowing.
    ratio = np.exp(log_p[:, usable] - peak[usable])
    previous = -np.inf
    for _ in range(max_iterations):
        mixed = weights @ ratio
        if mixed.min() <= 0:  # tokens that have p > 0 only under models of weight zero
            ratio, mixed = ratio[:, mixed > 0], mixed[mixed > 0]
            if not len(mixed):
                return weights
        likelihood = float(np.log(mixed).mean())
        if likelihood - previous < tolerance:
            break
        previous = likelihood
        weights = weights * (ratio @ (1 / mixed)) / ratio.shape[1]
        weights /= weights.sum()
    return weights
