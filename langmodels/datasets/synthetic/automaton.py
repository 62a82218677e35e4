"""Sources that are automata: the state and the symbol just made determine the next state.

Such a source is called unifilar. Whoever has read its text from the start knows its state, so the
best possible predictor predicts with the state's own distribution, and the entropy rate is exactly

    H = sum over states s of pi(s) H(p(. | s))

with pi the long-run share of time in each state (Shannon 1948, section 7, theorem 5).
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isqrt
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from langmodels.arrays import FloatArray, IndexArray
from langmodels.datasets.synthetic.base import Generator, entropy_of, spell, whole_lines
from langmodels.errors import UsageError

if TYPE_CHECKING:  # slow to import
    import scipy.sparse

Scalar = TypeVar("Scalar", bound=np.generic)

_DENSE = 1500  # states up to which a dense solve is the quickest


def run(
    step: Callable[[IndexArray, NDArray[Scalar]], IndexArray], inputs: NDArray[Scalar], start: int
) -> IndexArray:
    """Return the state before each of T inputs and the last: s[t+1] = step(s[t], inputs[t]).

    The result has shape (T+1,), and s[0] = start. `step` maps arrays of states and inputs, (n,)
    each, to the next states, (n,). The result is that of the plain loop over t, got with about
    sqrt(T) array operations: the inputs are cut into about sqrt(T) segments that run side by side,
    each from a guess of its first state. Where the segment before ended otherwise, the segment is
    run again from the right state, but only until its new path meets the old one: from there on
    they agree for ever, because the inputs are the same. Paths meet soon in any source that forgets
    its past. Where they never do it is still right, and slow.
    """
    total = len(inputs)
    n_segments = max(1, 2 * isqrt(total))
    steps = -(-total // n_segments)
    padded = np.zeros(n_segments * steps, inputs.dtype)
    padded[:total] = inputs
    columns = np.ascontiguousarray(padded.reshape(n_segments, steps).T)  # (steps, n_segments)
    states = np.full((steps + 1, n_segments), start, np.int64)
    for t in range(steps):
        states[t + 1] = step(states[t], columns[t])
    while True:
        wrong = 1 + np.flatnonzero(states[0, 1:] != states[-1, :-1])
        if not len(wrong):
            break
        states[0, wrong] = states[-1, wrong - 1]
        for t in range(steps):
            after = step(states[t, wrong], columns[t, wrong])
            moved = after != states[t + 1, wrong]
            wrong = wrong[moved]
            if not len(wrong):
                break
            states[t + 1, wrong] = after[moved]
    path = np.empty(total + 1, np.int64)
    path[:total] = states[:-1].T.reshape(-1)[:total]
    path[total:] = step(path[total - 1 : total], inputs[total - 1 :]) if total else start
    return path


def thresholds(distributions: FloatArray) -> FloatArray:
    """Cumulative probabilities of distributions (..., k) without the last, for :func:`choose`."""
    bounds: FloatArray = np.cumsum(distributions[..., :-1], axis=-1)
    return bounds


def choose(bounds: FloatArray, u: FloatArray) -> IndexArray:
    """The index drawn by each uniform number `u` (n,) from the row of thresholds (n, k-1), (n,)."""
    index: IndexArray = (u[:, None] >= bounds).sum(axis=1)
    return index


@dataclass(frozen=True)
class Automaton:
    """A probabilistic automaton over symbols 0 .. A-1, with states 0 .. S-1; it starts in 0.

    `probabilities` (S, A): rows sum to one, or to zero in a state that no text leads to.
    `successors` (S, A) int64: the state after each symbol.
    """

    probabilities: FloatArray
    successors: IndexArray

    @classmethod
    def of_lines(cls, arcs: Sequence[Mapping[str, tuple[int, float]]], alphabet: str) -> Self:
        """An automaton that writes lines, each beginning in state 0.

        `arcs`: for each state, (next state, probability) by symbol. An impossible symbol leads to a
        dead state until the end of the line.
        """
        dead = len(arcs)
        probabilities = np.zeros((dead + 1, len(alphabet)))
        successors = np.full((dead + 1, len(alphabet)), dead)
        successors[:, alphabet.index("\n")] = 0
        for state, leaving in enumerate(arcs):
            for symbol, (after, probability) in leaving.items():
                probabilities[state, alphabet.index(symbol)] = probability
                successors[state, alphabet.index(symbol)] = after
        return cls(probabilities, successors)

    def sample(self, length: int, rng: np.random.Generator) -> IndexArray:
        """Draw a sequence of `length` symbols."""
        u = rng.random(length)
        bounds = thresholds(self.probabilities)

        def step(states: IndexArray, draws: FloatArray) -> IndexArray:
            after: IndexArray = self.successors[states, choose(bounds[states], draws)]
            return after

        return choose(bounds[run(step, u, 0)[:-1]], u)

    def log_probs(self, symbols: IndexArray) -> FloatArray:
        """Log probability in nats of each symbol given those before it, (len(symbols),)."""

        def step(states: IndexArray, inputs: IndexArray) -> IndexArray:
            after: IndexArray = self.successors[states, inputs]
            return after

        states = run(step, symbols, 0)[:-1]
        with np.errstate(divide="ignore"):
            return np.log(self.probabilities)[states, symbols]

    def transitions(self) -> "scipy.sparse.csr_array":
        """The Markov chain of the states, (S, S)."""
        import scipy.sparse

        n_states, n_symbols = self.probabilities.shape
        rows = np.repeat(np.arange(n_states), n_symbols)
        entries = (self.probabilities.ravel(), (rows, self.successors.ravel()))
        return scipy.sparse.coo_array(entries, shape=(n_states, n_states)).tocsr()

    def entropy_rate(self) -> float:
        """Entropy rate in bits per symbol; the chain must have one recurrent class."""
        shares = stationary_distribution(self.transitions())
        return float(shares @ entropy_of(self.probabilities))


class LineSource(Generator):
    """A source of lines that is an automaton over the characters of `alphabet`."""

    alphabet: ClassVar[str]

    @cached_property
    @abstractmethod
    def automaton(self) -> Automaton:
        """The automaton that writes the lines; see `Automaton.of_lines`."""

    def generate(self) -> str:
        """Return whole lines of together about `length` characters."""
        symbols = self.automaton.sample(self.length, self._text_rng())
        return whole_lines(spell(symbols, self.alphabet))

    def log_probs(self, text: str) -> FloatArray:
        """See :meth:`Generator.log_probs`."""
        return self.automaton.log_probs(self._ids(text, self.alphabet))

    @cached_property
    def entropy_bits(self) -> float:
        """Bits per character, spaces and newlines included."""
        return self.automaton.entropy_rate()


def stationary_distribution(transitions: "scipy.sparse.csr_array") -> FloatArray:
    """Return pi with pi P = pi, summing to one, (S,), of a chain with one recurrent class.

    Small chains by a dense solve of pi (P - I + 1) = (1 .. 1), where the matrix 1 is all ones and
    so adds sum(pi) = 1 to every equation of pi (P - I) = 0; large ones by Arnoldi iteration for the
    left eigenvector of eigenvalue 1. Raises UsageError where that does not converge, which it does
    not in a chain that almost falls apart into several.
    """
    import scipy.sparse.linalg

    n = transitions.shape[0]
    if n <= _DENSE:
        try:
            shares = np.linalg.solve(transitions.toarray().T - np.eye(n) + 1.0, np.ones(n))
        except np.linalg.LinAlgError as error:
            raise _unsettled() from error
    else:
        try:
            _, vectors = scipy.sparse.linalg.eigs(
                transitions.T, k=1, which="LR", v0=np.full(n, 1.0 / n), maxiter=100 * n
            )
        except scipy.sparse.linalg.ArpackError as error:
            raise _unsettled() from error
        shares = np.real(vectors[:, 0])
        shares /= shares.sum()
    shares = np.maximum(shares, 0.0)
    shares /= shares.sum()
    if not np.abs(shares @ transitions - shares).sum() < 1e-8:
        raise _unsettled()
    result: FloatArray = shares
    return result


def _unsettled() -> UsageError:
    return UsageError(
        "This random source hardly ever leaves some of its states, so its entropy cannot be "
        "computed; choose a larger concentration or another seed."
    )
