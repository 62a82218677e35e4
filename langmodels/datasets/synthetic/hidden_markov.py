"""Hidden Markov sources: letters emitted by hidden states."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isqrt
from typing import Any, ClassVar

import numpy as np

from langmodels.arrays import FloatArray, IndexArray
from langmodels.datasets.synthetic.automaton import (
    choose,
    run,
    stationary_distribution,
    thresholds,
)
from langmodels.datasets.synthetic.base import LETTERS, Generator, parameter, spell

_MAX_TABLE = 2_000_000  # numbers in the table from which the bounds are computed


@dataclass(frozen=True)
class HiddenMarkovGenerator(Generator):
    """A stationary hidden Markov source, given by its transition and emission probabilities.

    No finite context says everything about the state, so no n-gram model is exactly right.

    The entropy rate has no closed form. It lies between two conditional entropies that close in on
    it as n grows (Cover & Thomas 2006, theorem 4.5.1):

        H(Y_n | Y_1 .. Y_n-1, X_1)  <=  rate  <=  H(Y_n | Y_1 .. Y_n-1)

    with Y the letters and X_1 the first state; `entropy_bounds` computes both by summing over all
    strings of as many letters as is feasible.
    """

    @property
    @abstractmethod
    def letters(self) -> str:
        """The letters, ASCII."""

    @abstractmethod
    def make_tables(self) -> tuple[FloatArray, FloatArray]:
        """p(next state | state), (states, states), and p(letter | state), (states, letters)."""

    @cached_property
    def _tables(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        import scipy.sparse  # slow to import

        transitions, emissions = self.make_tables()
        return transitions, emissions, stationary_distribution(scipy.sparse.csr_array(transitions))

    @property
    def transitions(self) -> FloatArray:
        """p(next state | state), (states, states)."""
        return self._tables[0]

    @property
    def emissions(self) -> FloatArray:
        """p(letter | state), (states, letters)."""
        return self._tables[1]

    @property
    def stationary(self) -> FloatArray:
        """Long-run share of each state, which is also the distribution of the first, (states,)."""
        return self._tables[2]

    def generate(self) -> str:
        """Return one stationary stretch of `length` characters, without newlines."""
        rng = self._text_rng()
        first = int(choose(thresholds(self.stationary)[None], rng.random(1))[0])
        moves, letters = thresholds(self.transitions), thresholds(self.emissions)

        def step(states: IndexArray, draws: FloatArray) -> IndexArray:
            return choose(moves[states], draws)

        hidden = run(step, rng.random(self.length), first)[:-1]
        return spell(choose(letters[hidden], rng.random(self.length)), self.letters)

    def log_probs(self, text: str) -> FloatArray:
        """See :meth:`Generator.log_probs`: the forward algorithm (Rabiner 1989, equations 19-21).

        The forward vector, the distribution of the state given the letters so far, is linear in the
        one before it. So the text is cut into about sqrt(T) segments; each is gone through once
        from every state, all segments and states side by side, which gives a matrix a segment;
        these matrices give the vectors at the cuts; and from these all segments are gone through
        again.
        """
        ids = self._ids(text, self.letters)
        n_states = len(self.transitions)
        total, n_segments = len(ids), max(1, 2 * isqrt(len(ids)))
        steps = -(-total // n_segments)
        padded = np.zeros(n_segments * steps, np.int64)
        padded[:total] = ids
        columns = padded.reshape(n_segments, steps).T  # (steps, n_segments)
        letters = np.ascontiguousarray(self.emissions.T)  # (letters, states)

        # forward[b, s] is proportional to the state distribution that follows from state s.
        forward = np.broadcast_to(np.eye(n_states), (n_segments, n_states, n_states))
        for column in columns:
            forward = (forward * letters[column][:, None, :]) @ self.transitions
            forward = forward / np.maximum(forward.sum(axis=(1, 2), keepdims=True), 1e-300)
        belief = np.empty((n_segments, n_states))
        belief[0] = self.stationary
        for b in range(1, n_segments):
            ahead = belief[b - 1] @ forward[b - 1]
            belief[b] = ahead / max(ahead.sum(), 1e-300)

        likelihood = np.empty((steps, n_segments))
        for t, column in enumerate(columns):
            joint = belief * letters[column]
            likelihood[t] = joint.sum(axis=1)
            belief = joint @ self.transitions / np.maximum(likelihood[t], 1e-300)[:, None]
        with np.errstate(divide="ignore"):
            return np.log(likelihood.T.reshape(-1)[:total])

    @cached_property
    def entropy_bounds(self) -> tuple[float, float]:
        """A lower and an upper bound of the entropy rate, in bits per character."""
        # joint[x, y, s]: probability of first state x, letters y so far, and present state s.
        joint = np.diag(self.stationary)[:, None, :]
        given_first, given_none = _entropy(joint.sum(axis=2)), 0.0
        lower, upper = 0.0, np.inf
        while joint.size * len(self.letters) <= _MAX_TABLE:
            seen = joint[:, :, None, :] * self.emissions.T  # (x, y, letter, s)
            strings = seen.sum(axis=3)
            with_first, without = _entropy(strings), _entropy(strings.sum(axis=0))
            lower, upper = with_first - given_first, without - given_none
            given_first, given_none = with_first, without
            joint = seen.reshape(len(joint), -1, len(joint)) @ self.transitions
        return lower, upper

    @property
    def entropy_bits(self) -> float:
        """The lower bound of the entropy rate in bits per character."""
        return self.entropy_bounds[0]

    @property
    def entropy_is_bound(self) -> bool:
        """The rate itself is not known."""
        return True

    @property
    def entropy_note(self) -> str:
        """What `entropy_bits` is."""
        return f"a lower bound; the entropy rate is at most {self.entropy_bounds[1]:.4f}"


@dataclass(frozen=True)
class HiddenMarkovSource(HiddenMarkovGenerator):
    """A random hidden Markov source over the first letters of the alphabet.

    A hidden state stays as it is with probability `stay` and otherwise moves according to a random
    distribution of its own; each state makes letters by its own random distribution (symmetric
    Dirichlet distributions with `concentration`).
    """

    kind: ClassVar[str] = "hmm"
    summary: ClassVar[str] = "a hidden Markov source: its state must be inferred"

    states: int = parameter(4, 1, 32, "number of hidden states")
    alphabet: int = parameter(4, 2, 26, "number of different characters")
    stay: float = parameter(0.8, 0.0, 0.99, "probability that the hidden state stays as it is")
    concentration: float = parameter(0.5, 0.05, 1000.0, "of the Dirichlet priors")

    @property
    def letters(self) -> str:
        """The first letters of the alphabet."""
        return LETTERS[: self.alphabet]

    def make_tables(self) -> tuple[FloatArray, FloatArray]:
        """See :meth:`HiddenMarkovGenerator.make_tables`."""
        rng = self._structure_rng()
        moves = rng.dirichlet(np.ones(self.states), self.states)
        transitions = self.stay * np.eye(self.states) + (1 - self.stay) * moves
        emissions = rng.dirichlet(np.full(self.alphabet, self.concentration), self.states)
        return transitions, emissions


@dataclass(frozen=True)
class DnaSource(HiddenMarkovGenerator):
    """A strand of DNA with CpG islands.

    In most of a vertebrate's genome C is seldom followed by G; in stretches called islands it is as
    frequent as chance has it, and C and G are frequent altogether (Durbin et al. 1998, section
    3.1). Here a first-order Markov chain of bases rules in each of the two regions, and the region
    changes so that stretches have geometric lengths with means `island` and `sea`. The figures are
    made up to have these properties. Whoever sees the letters alone must infer the region from the
    last hundred or so, which is what a long memory is good for.
    """

    kind: ClassVar[str] = "dna"
    summary: ClassVar[str] = (
        "DNA with CpG islands: a hidden region decides which pairs are frequent"
    )
    level: ClassVar[str] = "symbols"
    options: ClassVar[Mapping[str, Any]] = {"width": 1}

    island: float = parameter(300.0, 2.0, 1e6, "mean length of an island, in bases")
    sea: float = parameter(900.0, 2.0, 1e6, "mean length of what lies between islands, in bases")

    @property
    def letters(self) -> str:
        """The four bases."""
        return "ACGT"

    def make_tables(self) -> tuple[FloatArray, FloatArray]:
        """States are the bases of an island, then those of the sea; each makes its own base."""
        stay = (1 - 1 / self.island, 1 - 1 / self.sea)
        transitions = np.block(
            [
                [stay[0] * _ISLAND, (1 - stay[0]) * _SEA],
                [(1 - stay[1]) * _ISLAND, stay[1] * _SEA],
            ]
        )
        return transitions, np.tile(np.eye(4), (2, 1))


# p(next base | base), from A, C, G and T to A, C, G and T.
_ISLAND = np.array(
    [
        [0.17, 0.29, 0.41, 0.13],
        [0.16, 0.37, 0.29, 0.18],
        [0.15, 0.35, 0.37, 0.13],
        [0.07, 0.37, 0.37, 0.19],
    ]
)
_SEA = np.array(
    [
        [0.34, 0.17, 0.23, 0.26],
        [0.37, 0.24, 0.03, 0.36],
        [0.27, 0.20, 0.24, 0.29],
        [0.23, 0.19, 0.23, 0.35],
    ]
)


def _entropy(p: FloatArray) -> float:
    positive = p[p > 0]
    return float(-(positive * np.log2(positive)).sum())
