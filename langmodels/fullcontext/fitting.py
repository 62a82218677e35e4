"""Discounts from held-out text: the likelihood of its tokens, its exact gradient, and L-BFGS."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from langmodels.fullcontext.counts import ABSENT, ContextCounts, Contexts
from langmodels.fullcontext.matching import LongArray, Matches
from langmodels.fullcontext.smoothing import (
    N_FEATURES,
    N_GATES,
    FloatArray,
    default_weights,
    features,
)

_STEPS = 80
# Strength of the pull towards the default weights, in nats; what little text leaves undecided.
_PULL = 1.0
# Tokens after contexts with more branching ones above them are left out; texts that repeat
# themselves at length have such contexts.
_MAX_LEVEL = 64


@dataclass(frozen=True)
class Paths:
    """The contexts that each held-out token is predicted from, shortest first.

    Tokens are sorted by the number of their contexts, most first, so that at every level those that
    have a context are in front. Contexts are numbered; steps lie level by level.
    """

    contexts: Contexts  # (k,)
    unknown: NDArray[np.bool_]  # (tokens,)
    level: LongArray  # (levels + 1,) first step of each level
    context: LongArray  # (steps,)
    hit: LongArray  # (hits,) steps whose context has been followed by the token
    count: LongArray  # (hits,) branch counts
    occurrences: LongArray  # (hits,)

    @classmethod
    def of(
        cls, counts: ContextCounts, matches: Matches, targets: NDArray[np.integer], unk: int
    ) -> "Paths":
        """Paths of held-out tokens: ``matches`` of their histories and the tokens themselves."""
        tree = counts.tree
        on_edge = counts.on_edge(matches)
        node = matches.node.copy()
        node[on_edge] = counts.above(matches[on_edge])
        level = tree.level[node] + on_edge
        order = np.argsort(-level, kind="stable")
        order = order[level[order] <= _MAX_LEVEL]
        matches, targets = matches[order], targets[order]
        node, on_edge, level = node[order], on_edge[order], level[order]

        n_nodes = len(tree.low)
        edges = matches[on_edge]
        parent = np.concatenate([tree.parent, node[on_edge]])
        current = node.copy()
        current[on_edge] = n_nodes + np.arange(len(edges.low))
        steps, tokens = [], []
        for height in range(int(level.max(initial=-1)), -1, -1):
            here = int(np.count_nonzero(level >= height))
            steps.append(current[:here].copy())
            tokens.append(targets[:here])
            current[:here] = parent[steps[-1]]
        steps.reverse()
        tokens.reverse()
        sizes = [len(s) for s in steps]
        step = np.concatenate([*steps, np.zeros(0, np.int64)])
        token = np.concatenate([*tokens, np.zeros(0, np.int64)])

        pair = np.full(len(step), ABSENT)
        branching = step < n_nodes
        pair[branching] = counts.find(step[branching], token[branching])
        count, occurrences = np.zeros((2, len(step)), dtype=np.int64)
        found = pair != ABSENT
        count[found] = tree.pair_count[pair[found]]
        occurrences[found] = counts.pair_occurrences(pair[found])
        edge = step[~branching] - n_nodes
        occurrences[~branching] = counts.edge_occurrences(edges[edge], token[~branching])
        count[~branching] = occurrences[~branching] > 0
        used, context = np.unique(step, return_inverse=True)
        n_used = int(np.searchsorted(used, n_nodes))
        hit = np.flatnonzero(count)
        return cls(
            Contexts.concatenate(counts.nodes(used[:n_used]), counts.edges(edges)),
            targets == unk,
            np.cumsum([0, *sizes]),
            context,
            hit,
            count[hit],
            occurrences[hit],
        )


class Likelihood:
    """Negative log-likelihood of held-out tokens in nats, and its gradient.

    Parameters: the weights of the gates, flattened, and the logit of the share of ``<unk>`` in the
    distribution below the empty context.
    """

    def __init__(self, paths: Paths, n_predictable: int) -> None:
        self.paths = paths
        self.others = max(n_predictable - 1, 1)
        contexts = paths.contexts
        self.features = features(contexts)
        self.kind = np.minimum(paths.count, 3) - 1
        self.owner = paths.context[paths.hit]
        branches = np.where(contexts.on_edge, contexts.types, contexts.branches)
        self.per_branch = 1.0 / np.maximum(branches, 1)
        self.relative = paths.occurrences / contexts.occurrences[self.owner]
        self.empty = contexts.branches == 0

    def __call__(self, parameters: FloatArray) -> tuple[float, FloatArray]:
        paths, contexts = self.paths, self.paths.contexts
        n = len(contexts)
        weights = parameters[:-1].reshape(N_FEATURES, N_GATES)
        gate = expit(self.features @ weights)
        top = np.arange(1, 4)
        discounts, blend = gate[:, :3] * top, gate[:, 3]
        backoff = (discounts * contexts.shares).sum(axis=1)
        backoff[self.empty] = 1.0

        owner, kind = self.owner, self.kind
        discounted = (paths.count - discounts[owner, kind]) * self.per_branch[owner]
        relative = (1 - backoff[owner]) * self.relative
        own = np.zeros(len(paths.context))
        own[paths.hit] = blend[owner] * discounted + (1 - blend[owner]) * relative
        passed = backoff[paths.context]

        share = float(expit(parameters[-1]))
        below = np.empty(len(paths.context))
        p = np.where(paths.unknown, share, (1 - share) / self.others)
        for begin, end in self._levels():
            below[begin:end] = p[: end - begin]
            p[: end - begin] = own[begin:end] + passed[begin:end] * p[: end - begin]
        loss = -float(np.log(p).sum())

        slope = -1.0 / p  # of the loss with respect to p, at the level we are at
        at_step = np.empty(len(paths.context))
        for begin, end in reversed(self._levels()):
            at_step[begin:end] = slope[: end - begin]
            slope[: end - begin] *= passed[begin:end]

        at_hit = at_step[paths.hit]
        by_kind = np.bincount(owner * 3 + kind, at_hit, 3 * n).reshape(n, 3)
        counted = np.bincount(owner, at_hit * paths.count, n)
        occurred = np.bincount(owner, at_hit * self.relative, n)
        to_backoff = np.bincount(paths.context, at_step * below, n) - (1 - blend) * occurred
        to_backoff[self.empty] = 0.0
        kept = counted - (by_kind * discounts).sum(axis=1)
        to_gate = np.empty((n, N_GATES))
        to_gate[:, 3] = kept * self.per_branch - (1 - backoff) * occurred
        to_gate[:, :3] = -by_kind * (blend * self.per_branch)[:, None]
        to_gate[:, :3] += to_backoff[:, None] * contexts.shares
        to_gate[:, :3] *= top
        gradient = np.empty_like(parameters)
        gradient[:-1] = (self.features.T @ (to_gate * gate * (1 - gate))).ravel()
        to_share = np.where(paths.unknown, slope, -slope / self.others).sum()
        gradient[-1] = to_share * share * (1 - share)
        return loss, gradient

    def _levels(self) -> list[tuple[int, int]]:
        level = self.paths.level.tolist()
        return list(pairwise(level))


def fit_weights(paths: Paths, n_predictable: int) -> tuple[FloatArray, float]:
    """The weights of the gates, (`N_FEATURES`, `N_GATES`), and the share of ``<unk>``.

    Maximum a posteriori, under a normal prior around the default weights.
    """
    start = np.append(default_weights().ravel(), -np.log(max(n_predictable - 1, 1)))
    likelihood = Likelihood(paths, n_predictable)

    def objective(parameters: FloatArray) -> tuple[float, FloatArray]:
        loss, gradient = likelihood(parameters)
        change = parameters - start
        return loss + 0.5 * _PULL * float(change @ change), gradient + _PULL * change

    found = minimize(
        objective, start, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS, "maxcor": 20}
    )
    weights: FloatArray = found.x[:-1].reshape(N_FEATURES, N_GATES)
    return weights, float(expit(found.x[-1]))
