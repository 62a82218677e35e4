r"""Interpolated Kneser-Ney smoothing of unbounded order, with fitted discounts.

In a context u, longest first, with v the next shorter context that branches,

    p(x | u) = b(u) (c(u, x) - D(u, x)) / c(u)
             + (1 - b(u)) (1 - g(u)) n(u, x) / n(u)
             + g(u) p(x | v)

where c(u, x) is the number of branches of u (one symbol more to the left) in which x follows, c(u)
its sum over x, n the number of occurrences, D(u, x) a discount for a branch count of 1, 2, or 3 and
more, and g(u) = sum_x D(u, x) / c(u) the probability that the discounts free. With b = 1 and
constants for D this is modified Kneser-Ney (Chen and Goodman, 1998) of unbounded order. Contexts
that do not branch are skipped as in the sequence memoizer (Wood et al., 2009), except that the
longest match itself may be one; its branch counts are all 1.

The best discounts D and blend b of branch counts and occurrences depend on the context.
Counts-of-counts, from which discounts are usually estimated, mislead for deep contexts. Instead D =
k sigmoid(w_k . f(u)) for a branch count of k, and b = sigmoid(w . f(u)), with statistics f of the
context and weights w that maximise the likelihood of held-out text.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from langmodels.arrays import FloatArray
from langmodels.fullcontext.counts import Contexts

N_GATES = 4
# Longer contexts are treated as of this length, so that matching need not find it exactly.
_LONGEST = 64
_PIECE = 1 << 16
# About the means and deviations of the log features in English text, which standardise them.
_CENTRE = np.array([1.7, 1.5, 3.0, 4.0])
_SCALE = np.array([0.6, 1.2, 2.0, 3.0])
_SHORT = 7
_LOGS = 4
_FIRST, _SECOND = np.triu_indices(_LOGS)
N_FEATURES: Final = 1 + _LOGS + _LOGS * (_LOGS + 1) // 2 + 3 + _SHORT


def features(contexts: Contexts) -> FloatArray:
    """The features f of k contexts, (k, `N_FEATURES`)."""
    length = np.minimum(contexts.length, _LONGEST)
    counts = (contexts.types, contexts.branches, contexts.occurrences)
    logs = np.stack([np.log1p(length), *(np.log(np.maximum(c, 1)) for c in counts)], axis=1)
    logs = (logs - _CENTRE) / _SCALE
    gap = np.maximum(length - np.minimum(contexts.above, _LONGEST), 1)
    on_edge = contexts.on_edge
    return np.concatenate(
        [
            np.ones((len(contexts), 1)),
            logs,
            logs[:, _FIRST] * logs[:, _SECOND],
            np.stack([on_edge, contexts.once, on_edge * np.log(gap)], axis=1),
            length[:, None] == np.arange(_SHORT),
        ],
        axis=1,
    )


def sigmoid(x: FloatArray) -> FloatArray:
    """The logistic function, clipped away from 0 and 1, so that no context keeps or passes on
    everything.
    """
    from scipy.special import expit  # slow to import, and not needed for loading a model

    y: FloatArray = expit(np.clip(x, -30, 30))
    return y


def default_weights() -> FloatArray:
    """The initial weights, (`N_FEATURES`, `N_GATES`): the same discounts for all contexts."""
    from scipy.special import logit

    weights = np.zeros((N_FEATURES, N_GATES))
    weights[0] = logit([0.75, 0.55, 0.45, 0.5])
    return weights


@dataclass(frozen=True)
class Gates:
    """Discounts, blends and back-off weights of k contexts."""

    discounts: FloatArray  # (k, 3) for branch counts of 1, 2, 3 and more
    blend: FloatArray  # (k,) b
    backoff: FloatArray  # (k,) g; 1 for contexts that nothing follows

    @classmethod
    def of(cls, contexts: Contexts, weights: FloatArray) -> "Gates":
        """The gates of contexts under weights (`N_FEATURES`, `N_GATES`)."""
        out = np.empty((len(contexts), N_GATES))
        for i in range(0, len(contexts), _PIECE):
            piece = slice(i, i + _PIECE)
            out[piece] = features(contexts[piece]) @ weights
        out = sigmoid(out)
        discounts = out[:, :3] * np.arange(1, 4)
        backoff = (discounts * contexts.shares).sum(axis=1)
        backoff[contexts.branches == 0] = 1.0
        return cls(discounts, out[:, 3], backoff)


def own_share(
    gates: Gates,
    contexts: Contexts,
    owner: NDArray[np.integer],
    count: NDArray[np.integer],
    occurrences: NDArray[np.integer],
) -> FloatArray:
    """The first two terms of p(x | u), (n,): the share of the context itself in a symbol that
    follows it.

    Args:
        gates: of the contexts.
        contexts: (k,) contexts.
        owner: (n,) index of the context of each symbol.
        count: (n,) branch counts, at least 1.
        occurrences: (n,) occurrences.
    """
    kind = np.minimum(count, 3) - 1
    branches = np.where(contexts.on_edge, contexts.types, contexts.branches)[owner]
    discounted = (count - gates.discounts[owner, kind]) / branches
    relative = occurrences / contexts.occurrences[owner]
    blend = gates.blend[owner]
    share: FloatArray = blend * discounted + (1 - blend) * (1 - gates.backoff[owner]) * relative
    return share
