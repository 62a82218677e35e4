"""The two functions that make a model, and what follows from them context by context."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Generic, TypeVar

import numpy as np

from langmodels.arrays import BoolArray, FloatArray, IndexArray, IntArray
from langmodels.text.sequences import Sequences

S = TypeVar("S")

Measure = Callable[[FloatArray, IntArray], FloatArray]
"""A function of k distributions, (k, V) log p in nats, and of the k tokens that came, (k,), that
returns a row of numbers for each, (k, numbers).
"""

_TOGETHER = 64  # distributions held at a time: (64, V) float64


class Contexts(ABC, Generic[S]):
    """h = f(h, x) and p = g(h): the abstract functions of a model, and what follows from them
    alone.

    `LanguageModel` documents what states must satisfy.
    """

    @abstractmethod
    def start(self) -> S:
        """h_0: the context at the beginning of a sequence."""

    @abstractmethod
    def advance(self, state: S, token: int) -> S:
        """f: the context after one more token id."""

    @abstractmethod
    def log_distribution(self, state: S) -> FloatArray:
        """g: log p(next | context) in nats for every token id, shape (V,)."""

    def start_after(self, state: S, last: int) -> S:
        """The context at the beginning of a sequence that continues the document of the one before.

        `state` is the context in which the last token of the sequence before, `last`, was
        predicted. Models that carry nothing from one sequence to the next return `start()`.
        """
        return self.start()

    @property
    def remembers(self) -> bool:
        """Whether the model carries state from a sequence to the next one of its document."""
        return type(self).start_after is not Contexts.start_after

    @property
    def context_length(self) -> int | None:
        """The most preceding tokens that p can depend on; None for no limit."""
        return None

    def used_in(self, state: S, length: int) -> int:
        """How many of the last tokens of a context of `length` tokens p(next) depends on."""
        return int(self.lengths_used(np.array([length]))[0])

    def lengths_used(self, lengths: IndexArray) -> IndexArray:
        """`used_in` for contexts of the given lengths, (n,), for models where it depends on the
        length alone.
        """
        limit = self.context_length
        return lengths if limit is None else np.minimum(lengths, limit)

    def walk(self, sequences: Sequences) -> Iterator[tuple[S, int]]:
        """The context before each target, and the target, one sequence after the other.

        State is carried within documents as in `LanguageModel.score_sequences`.
        """
        fresh = sequences.begins_afresh[sequences.offsets[:-1]].tolist()
        state: S | None = None
        last = 0
        for afresh, ids in zip(fresh, sequences.whole(), strict=True):
            state = self.start() if afresh or state is None else self.start_after(state, last)
            last = int(ids[-1])
            tokens = ids[1:].tolist()
            for k, token in enumerate(tokens, 1):
                yield state, token
                if k < len(tokens):
                    state = self.advance(state, token)

    def from_distributions(
        self,
        sequences: Sequences,
        measure: Measure,
        numbers: int,
        wanted: BoolArray | None = None,
    ) -> FloatArray:
        """Numbers that need the whole distribution before each target, such as its entropy.

        Returns (sequences.n_tokens, numbers), in the order of `score_sequences`, with zeros for
        targets where `wanted` (sequences.n_tokens,) is false. Networks override this to compute
        many distributions at a time.
        """
        chosen = np.ones(sequences.n_tokens, np.bool_) if wanted is None else wanted
        index, targets = np.flatnonzero(chosen), sequences.targets
        walk = zip(self.walk(sequences), chosen.tolist(), strict=True)
        states = (state for (state, _), ask in walk if ask)
        found = np.zeros((len(chosen), numbers))
        for k in range(0, len(index), _TOGETHER):
            part = index[k : k + _TOGETHER]
            log_p = [self.log_distribution(state) for state in islice(states, len(part))]
            found[part] = measure(np.stack(log_p), targets[part])
        return found

    def contexts_used(self, sequences: Sequences) -> IndexArray:
        """How many tokens before each target its probability depends on, (n_tokens,)."""
        if not self.remembers:
            sequences = replace(sequences, carry=False)
        fresh = sequences.begins_afresh[sequences.is_input]
        place = np.arange(len(fresh))
        lengths = place - np.maximum.accumulate(np.where(fresh, place, 0))
        if type(self).used_in is Contexts.used_in:
            return self.lengths_used(lengths)
        walk = zip(self.walk(sequences), lengths.tolist(), strict=True)
        return np.fromiter((self.used_in(state, n) for (state, _), n in walk), np.int64)


def in_windows(lengths: IndexArray, window: int, stride: int) -> IndexArray:
    """How many tokens of contexts of the given lengths, (n,), overlapping windows show.

    A window has `window` tokens, of which `<s>` before the context is one, and each begins `stride`
    tokens after the one before.
    """
    read = lengths + 1
    dropped = -(-np.maximum(read - window, 0) // stride) * stride
    used: IndexArray = np.minimum(lengths, read - dropped)
    return used
