"""A Markov source: the next character depends on the last few and on nothing else."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from langmodels.arrays import FloatArray
from langmodels.datasets.synthetic.automaton import Automaton, stationary_distribution
from langmodels.datasets.synthetic.base import LETTERS, Generator, entropy_of, parameter, spell
from langmodels.errors import UsageError

_MAX_CONTEXTS = 50_000


@dataclass(frozen=True)
class MarkovSource(Generator):
    """A stationary Markov source of a given order over the first letters of the alphabet.

    Each of the alphabet**order contexts has its own distribution of the next character, drawn from
    a symmetric Dirichlet distribution: a small concentration makes the source predictable, a large
    one makes it uniform. An n-gram model of order `order + 1` can be exactly right about it, and
    none below can.

    The entropy rate is sum over contexts c of pi(c) H(p(. | c)) with pi the stationary distribution
    of the chain of contexts (Cover & Thomas 2006, theorem 4.2.4). The text begins in that
    distribution, so that every stretch of it has the same statistics.
    """

    kind: ClassVar[str] = "markov"
    summary: ClassVar[str] = "a Markov source: the limit that an n-gram model can reach"

    order: int = parameter(2, 0, 12, "characters that the next one depends on")
    alphabet: int = parameter(4, 2, 26, "number of different characters")
    concentration: float = parameter(0.5, 0.01, 1000.0, "of the Dirichlet prior")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alphabet**self.order > _MAX_CONTEXTS:
            raise UsageError(
                f"synthetic:markov with order={self.order} and alphabet={self.alphabet} has "
                f"{self.alphabet**self.order} contexts; at most {_MAX_CONTEXTS} are allowed, so "
                "lower one of them."
            )

    @cached_property
    def conditionals(self) -> FloatArray:
        """p(next | context), (alphabet**order, alphabet), contexts in alphabetical order."""
        prior = np.full(self.alphabet, self.concentration)
        drawn: FloatArray = self._structure_rng().dirichlet(prior, self.alphabet**self.order)
        return drawn

    @cached_property
    def stationary(self) -> FloatArray:
        """Long-run share of each context, (alphabet**order,)."""
        import scipy.sparse  # slow to import

        n_contexts, a = self.conditionals.shape
        rows = np.repeat(np.arange(n_contexts), a)
        after = (np.arange(n_contexts)[:, None] * a + np.arange(a)) % n_contexts
        chain = scipy.sparse.coo_array(
            (self.conditionals.ravel(), (rows, after.ravel())), shape=(n_contexts, n_contexts)
        )
        return stationary_distribution(chain.tocsr())

    @cached_property
    def _automaton(self) -> Automaton:
        """States: the contexts of length 0, then 1, and so on up to `order`.

        The short ones are only visited at the start, where the distribution of the next character
        is that of the stationary source: p(b | c) = P(cb) / P(c).
        """
        a = self.alphabet
        # P of every string of length k, for k = 0 .. order
        strings = [self.stationary]
        while len(strings) <= self.order:
            strings.insert(0, strings[0].reshape(-1, a).sum(axis=1))
        probabilities, successors = [], []
        first = 0  # the first state of this length
        for k in range(self.order):
            joint = strings[k + 1].reshape(-1, a)
            total = joint.sum(axis=1, keepdims=True)
            probabilities.append(np.divide(joint, total, out=np.zeros_like(joint), where=total > 0))
            first += a**k
            successors.append(first + np.arange(a ** (k + 1)).reshape(-1, a))
        n_contexts = a**self.order
        probabilities.append(self.conditionals)
        after = (np.arange(n_contexts)[:, None] * a + np.arange(a)) % n_contexts
        successors.append(first + after)
        return Automaton(np.concatenate(probabilities), np.concatenate(successors))

    def generate(self) -> str:
        """Return one stationary stretch of `length` characters, without newlines."""
        return spell(self._automaton.sample(self.length, self._text_rng()), LETTERS)

    def log_probs(self, text: str) -> FloatArray:
        """See :meth:`Generator.log_probs`; the first characters are scored as stationary."""
        return self._automaton.log_probs(self._ids(text, LETTERS[: self.alphabet]))

    @property
    def entropy_bits(self) -> float:
        """Entropy rate of the chain."""
        return float(self.stationary @ entropy_of(self.conditionals))

    @property
    def entropy_note(self) -> str:
        """What `entropy_bits` is."""
        return f"exact: the entropy rate of the Markov chain of order {self.order}"
