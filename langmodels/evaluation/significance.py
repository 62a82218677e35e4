"""Paired significance tests of models on the blocks of one text."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np

from langmodels.arrays import FloatArray
from langmodels.errors import UsageError
from langmodels.evaluation.results import PairedTest
from langmodels.evaluation.statistics import effect_size, holm, paired_p_values, resample

Ranked = Sequence[tuple[str, FloatArray]]
"""Models, best first: the name of each and its bits in each block of the text, (B,), or with each
of S seeds, (S, B)."""

ALL = "all"
"""The value of `against` that asks for tests of every pair."""

_ROUNDING = 1e-5
"""Bits per character or token: models that differ by less are taken to be the same one, saved in
files with different rounding."""


def paired_tests(
    ranked: Ranked, sizes: FloatArray, against: str | None, seed: int = 0
) -> list[PairedTest]:
    """Tests of each model against the next one, for `against` None; of one model against all
    others, for its name; or of every pair, for `ALL`.

    `sizes`: the size of each block, (B,). p-values are corrected for the number of tests. Raises
    UsageError where there is no model of that name.
    """
    if against is None:
        return neighbour_tests(ranked, sizes, seed)
    if against == ALL:
        return all_pairs(ranked, sizes, seed)
    return one_against_all(ranked, sizes, against, seed)


def neighbour_tests(ranked: Ranked, sizes: FloatArray, seed: int = 0) -> list[PairedTest]:
    """Each model against the next one in the ranking; `sizes` of the blocks, (B,)."""
    return _tests(list(pairwise(ranked)), sizes, seed)


def all_pairs(ranked: Ranked, sizes: FloatArray, seed: int = 0) -> list[PairedTest]:
    """Every model against every other."""
    return _tests(list(combinations(ranked, 2)), sizes, seed)


def one_against_all(
    ranked: Ranked, sizes: FloatArray, name: str, seed: int = 0
) -> list[PairedTest]:
    """The model of this name against every other one. Raises UsageError where there is none."""
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
    """Tests of pairs, whose first model ranks higher; p-values after Holm's correction.

    The test is approximate randomization over blocks, or the hierarchical bootstrap over seeds and
    blocks where a model of the pair was trained with several seeds.
    """
    if not pairs:
        return []
    losses = [(np.atleast_2d(better), np.atleast_2d(worse)) for (_, better), (_, worse) in pairs]
    differences = np.array([worse.mean(axis=0) - better.mean(axis=0) for better, worse in losses])
    p = paired_p_values(differences, seed=seed).tolist()
    resampled = [resample(pair, (-1.0, 1.0), sizes, seed=seed) for pair in losses]
    for i, (pair, found) in enumerate(zip(losses, resampled, strict=True)):
        if abs(differences[i].sum()) <= _ROUNDING * sizes.sum():
            p[i] = 1.0
        elif found is not None and max(map(len, pair)) > 1:
            p[i] = found.p_value()
    tests = []
    for i, ((better, _), (worse, _)) in enumerate(pairs):
        found = resampled[i]
        effect, bounds = effect_size(differences[i], sizes, seed=seed)
        tests.append(
            PairedTest(
                better,
                worse,
                float(differences[i].sum() / sizes.sum()),
                (np.nan, np.nan) if found is None else found.interval(),
                p[i],
                1.0,
                effect,
                bounds,
                np.nan if found is None else found.detectable(),
            )
        )
    corrected = holm(p)
    return [replace(test, corrected=each) for test, each in zip(tests, corrected, strict=True)]
