"""Paired tests of models on the blocks of one text: is the better one really better?"""

from collections.abc import Sequence
from itertools import pairwise

from langmodels.arrays import FloatArray
from langmodels.errors import UsageError
from langmodels.evaluation.results import PairedTest
from langmodels.evaluation.statistics import bootstrap_interval, holm, paired_p_value

Ranked = Sequence[tuple[str, FloatArray]]
"""Models, best first: the name of each, and what it pays for each block of the text, (B,)."""


_ROUNDING = 1e-5
"""Bits that rounding in files makes: what differs by less is the same."""


def neighbour_tests(ranked: Ranked, sizes: FloatArray, seed: int = 0) -> list[PairedTest]:
    """Each model against the next one of the ranking; `sizes` of blocks, (B,)."""
    return _tests(list(pairwise(ranked)), sizes, seed)


def one_against_all(
    ranked: Ranked, sizes: FloatArray, name: str, seed: int = 0
) -> list[PairedTest]:
    """One model against every other. Raises UsageError where there is none of that name."""
    names = [other for other, _ in ranked]
    if name not in names:
        raise UsageError(
            f"There is no model {name!r} with finite figures to test against; there are "
            f"{', '.join(names)}."
        )
    at = names.index(name)
    pairs = [(ranked[min(i, at)], ranked[max(i, at)]) for i in range(len(ranked)) if i != at]
    return _tests(pairs, sizes, seed)


def _tests(
    pairs: Sequence[tuple[tuple[str, FloatArray], tuple[str, FloatArray]]],
    sizes: FloatArray,
    seed: int,
) -> list[PairedTest]:
    """The first of each pair, which ranks higher, against the second; p after Holm's correction."""
    differences = [worse - better for (_, better), (_, worse) in pairs]
    p = [
        paired_p_value(d, seed=seed) if abs(d.sum()) > _ROUNDING * sizes.sum() else 1.0
        for d in differences
    ]
    return [
        PairedTest(
            better,
            worse,
            float(difference.sum() / sizes.sum()),
            bootstrap_interval(difference, sizes, seed=seed),
            raw,
            corrected,
        )
        for ((better, _), (worse, _)), difference, raw, corrected in zip(
            pairs, differences, p, holm(p), strict=True
        )
    ]
