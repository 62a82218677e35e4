"""Fitting the discounts to held-out text: the likelihood, its exact gradient, and L-BFGS."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from langmodels.arrays import BoolArray, FloatArray, IndexArray
from langmodels.fullcontext.counts import ABSENT, ContextCounts, Contexts
from langmodels.fullcontext.matching import Matches
from langmodels.fullcontext.smoothing import N_FEATURES, N_GATES, default_weights, features, sigmoid

_STEPS = 60
# Strength of the normal prior around the default weights, which decides where data are few.
_PULL = 4.0
# Tokens whose context has more ancestors are left out; they occur in highly repetitive texts.
_MAX_LEVEL = 64
# A lower bound on p, which keeps the loss finite for wild steps of the line search.
_TINY = 1e-100


@dataclass(frozen=True)
class Paths:
    """The contexts from which each held-out token is predicted, from the shortest to the longest.

    A step is a (token, context) pair; steps are stored level by level. Tokens are sorted by the
    number of their contexts, descending, so that those with a context at some level come first.
    Contexts with equal statistics are stored once.
    """

    contexts: Contexts  # (k,) with distinct statistics
    unknown: BoolArray  # (tokens,) whether it is <unk>
    level: IndexArray  # (levels + 1,) first step of each level
    context: IndexArray  # (steps,) index in `contexts`
    count: IndexArray  # (steps,) branch counts of the token
    occurrences: IndexArray  # (steps,) its occurrences

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
        order = np.lexsort((node, -level))  # by node: sequential memory access
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
        contexts = Contexts.concatenate(counts.nodes(used[:n_used]), counts.edges(edges))
        first, alike = contexts.distinct()
        return cls(
            contexts[first],
            targets == unk,
            np.cumsum([0, *sizes]),
            alike[context],
            count,
            occurrences,
        )


class Likelihood:
    """Negative log-likelihood of held-out tokens in nats, and its gradient.

    A function of the parameter vector: the flattened weights of the gates, and the logit of the
    probability of ``<unk>`` in the distribution below the empty context.
    """

    def __init__(self, paths: Paths, n_predictable: int) -> None:
        self.paths = paths
        self.others = max(n_predictable - 1, 1)
        contexts = paths.contexts
        self.features = np.ascontiguousarray(features(contexts).T)
        branches = np.where(contexts.on_edge, contexts.types, contexts.branches)
        self.per_branch = 1.0 / np.maximum(branches, 1)
        self.empty = contexts.branches == 0
        self.count = paths.count.astype(np.float64)
        self.relative = paths.occurrences / np.maximum(contexts.occurrences, 1)[paths.context]
        self.kind = 4 * paths.context + np.minimum(paths.count, 3)

    def __call__(self, parameters: FloatArray) -> tuple[float, FloatArray]:
        paths, contexts, context = self.paths, self.paths.contexts, self.paths.context
        n = len(contexts)
        weights = parameters[:-1].reshape(N_FEATURES, N_GATES)
        # (gates, k); by einsum, as BLAS would lose time on threads for so thin a product.
        gate = sigmoid(np.einsum("fk,fg->gk", self.features, weights))
        top = np.arange(1, 4)[:, None]
        discounts, blend = gate[:3] * top, gate[3]
        backoff = np.einsum("gk,kg->k", discounts, contexts.shares)
        backoff[self.empty] = 1.0

        # The share of a step is linear in the branch count and the relative frequency.
        per_count = blend * self.per_branch
        discounted = np.zeros((n, 4))
        discounted[:, 1:] = (per_count * discounts).T
        per_relative = (1 - blend) * (1 - backoff)
        own = per_count[context] * self.count
        own -= discounted.ravel()[self.kind]
        own += per_relative[context] * self.relative
        passed = backoff[context]

        share = float(sigmoid(parameters[-1]))
        below = np.empty(len(context))
        p = np.where(paths.unknown, share, (1 - share) / self.others)
        for begin, end in self._levels():
            front = p[: end - begin]
            below[begin:end] = front
            front *= passed[begin:end]
            front += own[begin:end]
        np.maximum(p, _TINY, out=p)
        loss = -float(np.log(p).sum())

        slope = -1.0 / p  # gradient of the loss with respect to p at the present level
        at_step = np.empty(len(context))
        for begin, end in reversed(self._levels()):
            at_step[begin:end] = slope[: end - begin]
            slope[: end - begin] *= passed[begin:end]

        by_kind = np.bincount(self.kind, at_step, 4 * n).reshape(n, 4)[:, 1:].T
        counted = np.bincount(context, at_step * self.count, n)
        occurred = np.bincount(context, at_step * self.relative, n)
        to_backoff = np.bincount(context, at_step * below, n) - (1 - blend) * occurred
        to_backoff[self.empty] = 0.0
        kept = counted - (by_kind * discounts).sum(axis=0)
        to_gate = np.empty((N_GATES, n))
        to_gate[3] = kept * self.per_branch - (1 - backoff) * occurred
        to_gate[:3] = (to_backoff * contexts.shares.T - by_kind * per_count) * top
        gradient = np.empty_like(parameters)
        to_gate *= gate * (1 - gate)
        gradient[:-1] = np.einsum("fk,gk->fg", self.features, to_gate).ravel()
        to_share = np.where(paths.unknown, slope, -slope / self.others).sum()
        gradient[-1] = to_share * share * (1 - share)
        return loss, gradient

    def _levels(self) -> list[tuple[int, int]]:
        level = self.paths.level.tolist()
        return list(pairwise(level))


def fit_weights(paths: list[Paths], n_predictable: int) -> tuple[FloatArray, float]:
    """Fit the weights of the gates, (`N_FEATURES`, `N_GATES`), and the probability of ``<unk>``.

    The estimate is maximum a posteriori, with a normal prior around the default weights.
    """
    start = np.append(default_weights().ravel(), -np.log(max(n_predictable - 1, 1)))
    likelihoods = [Likelihood(p, n_predictable) for p in paths]

    def objective(parameters: FloatArray) -> tuple[float, FloatArray]:
        change = parameters - start
        loss, gradient = 0.5 * _PULL * float(change @ change), _PULL * change
        for likelihood in likelihoods:
            part, slope = likelihood(parameters)
            loss, gradient = loss + part, gradient + slope
        return loss, gradient

    from scipy.optimize import minimize  # slow to import, and needed nowhere else

    found = minimize(
        objective, start, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS, "maxcor": 20}
    )
    weights: FloatArray = found.x[:-1].reshape(N_FEATURES, N_GATES)
    return weights, float(sigmoid(found.x[-1]))
