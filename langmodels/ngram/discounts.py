"""What to take off the counts: discounts estimated from counts-of-counts.

Small or odd data may not allow an estimate: the counts-of-counts it needs are zero, or give
something impossible or a discount of zero, which would leave nothing for what was never seen. Each
then has a default, and the method says so with a `SmoothingWarning`.
"""

import warnings
from collections.abc import Sequence

import numpy as np

from langmodels.arrays import FloatArray, IndexArray, IntArray

_ZERO = 1e-9
"""What comes out below this is zero but for rounding."""


class SmoothingWarning(UserWarning):
    """A smoothing method could not estimate something from the data and uses a stated default."""


def counts_of_counts(counts: IntArray, highest: int) -> IndexArray:
    """How many n-grams have the count 0, 1, ..., highest: (highest + 1,)."""
    clipped = np.minimum(counts, highest + 1)
    return np.bincount(clipped, minlength=highest + 2)[: highest + 1]


def modified_discounts(n: IndexArray) -> tuple[float, float, float] | None:
    """D1, D2, D3+ of n-grams that count 1, 2, 3 and more; None where the data does not allow it.

    `n`: (5,) `counts_of_counts`, as in what follows.

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
    """Katz's d_r for counts r = 1, ..., cutoff, (cutoff,); counts above are kept.

    `n`: (cutoff + 2,) `counts_of_counts`.

    Katz (1987): with r* = (r + 1) n(r+1) / nr and m = (cutoff + 1) n(cutoff+1) / n1,
    d_r = (r* / r - m) / (1 - m). A cutoff at which some d_r is not between 0 and 1 is lowered;
    None where none will do.
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
    """d_r = (r - 1/2) / r, as `good_turing_factors` gives them."""
    r = np.arange(1, cutoff + 1)
    return (r - 0.5) / r


def warn_of_defaults(orders: Sequence[int], what: str, instead: str) -> None:
    """Say which orders took a default, if any did."""
    if not orders:
        return
    named = [f"{order}-gram" for order in orders]
    some = " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
    warnings.warn(
        f"The {some} counts of this text do not allow {what} to be estimated; using {instead}.",
        SmoothingWarning,
        stacklevel=5,
    )
