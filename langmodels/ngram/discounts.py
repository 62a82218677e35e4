"""Discounts, estimated from counts-of-counts.

Small or unusual data may allow no estimate: the counts-of-counts it needs are zero, or give a
discount that is impossible or zero and would leave no probability for unseen n-grams. The method
then uses a default, and says so with a `SmoothingWarning`.
"""

import warnings
from collections.abc import Sequence

import numpy as np

from langmodels.arrays import FloatArray, IndexArray, IntArray

_ZERO = 1e-9
"""Discounts below this are zero up to rounding."""


class SmoothingWarning(UserWarning):
    """The data allowed no estimate of some parameter, and the smoothing method uses a default."""


def counts_of_counts(counts: IntArray, highest: int) -> IndexArray:
    """(highest + 1,) the number of n-grams with a count of 0, 1, ..., highest."""
    clipped = np.minimum(counts, highest + 1)
    return np.bincount(clipped, minlength=highest + 2)[: highest + 1]


def modified_discounts(n: IndexArray) -> tuple[float, float, float] | None:
    """The discounts D1, D2, D3+ of counts 1, 2, and 3 or more; None if the data allow no estimate.

    `n` (5,) are the `counts_of_counts` up to 4.

    Chen and Goodman (1998), equation 26: Y = n1 / (n1 + 2 n2), Dj = j - (j + 1) Y n(j+1) / nj.
    """
    if n[1:4].all():
        y = n[1] / (n[1] + 2 * n[2])
        discounts = tuple(float(j - (j + 1) * y * n[j + 1] / n[j]) for j in (1, 2, 3))
        if all(_ZERO < d <= j for j, d in enumerate(discounts, start=1)):
            return discounts[0], discounts[1], discounts[2]
    return None


def single_discount(n: IndexArray) -> float | None:
    """D = n1 / (n1 + 2 n2); Ney, Essen and Kneser (1994). None where n1 or n2 is zero."""
    return float(n[1] / (n[1] + 2 * n[2])) if n[1] and n[2] else None


def good_turing_factors(n: IndexArray, cutoff: int) -> FloatArray | None:
    """Katz's discount factors d_r for counts r = 1, ..., k, (k,), where k <= cutoff; higher counts
    are not discounted.

    `n` (cutoff + 2,) are the `counts_of_counts`.

    Katz (1987): with r* = (r + 1) n(r+1) / nr and m = (cutoff + 1) n(cutoff+1) / n1, d_r = (r* / r
    - m) / (1 - m). k is the largest cutoff for which all d_r lie between 0 and 1; None if there is
    none.
    """
    for k in range(cutoff, 1, -1):
        if not n[1 : k + 1].all():
            continue
        r = np.arange(1, k + 1)
        beyond = (k + 1) * n[k + 1] / n[1]
        if beyond >= 1:
            continue
        factors: FloatArray = ((r + 1) * n[2 : k + 2] / (r * n[1 : k + 1]) - beyond) / (1 - beyond)
        if ((factors > _ZERO) & (factors < 1 - _ZERO)).all():
            return factors
    return None


def half_a_count(cutoff: int) -> FloatArray:
    """d_r = (r - 1/2) / r for r = 1, ..., cutoff, (cutoff,): the default of
    `good_turing_factors`.
    """
    r = np.arange(1, cutoff + 1)
    return (r - 0.5) / r


def warn_of_defaults(orders: Sequence[int], what: str, instead: str) -> None:
    """Warn, with a SmoothingWarning, of the orders that use a default, if any."""
    if not orders:
        return
    named = [f"{order}-gram" for order in orders]
    some = " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
    warnings.warn(
        f"The {some} counts of this text do not allow {what} to be estimated; using {instead}.",
        SmoothingWarning,
        stacklevel=5,
    )
