"""A full-context model that updates its counts with every token it reads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, ClassVar, Self

import numpy as np

from langmodels.arrays import Array, FloatArray
from langmodels.checks import Expected, check_arrays
from langmodels.errors import LangmodelsError
from langmodels.fullcontext.growing import GrowingTree
from langmodels.memory import without_cycles
from langmodels.models.base import LanguageModel
from langmodels.progress import track
from langmodels.text.corpus import AnyText
from langmodels.text.reading import Reading
from langmodels.text.sequences import Sequences
from langmodels.threads import PerThread

_EXPECTED = {
    "ids": Expected("int32", ("ids",), low=0, below="vocabulary"),
    "offsets": Expected("int64", ("sequences",), low=0, rising=True),
}
_BEGIN = -1


@dataclass(eq=False, slots=True)  # not frozen: that makes them thrice as slow to make
class AdaptiveState:
    """The history since the training text, as a linked list: `before` and one more token, or
    `_BEGIN` for the start of a sequence.
    """

    before: "AdaptiveState | None" = field(repr=False)
    token: int
    length: int

    def __reduce__(self) -> Any:
        """Pickle and copy as a list of tokens: a long linked list exceeds Python's recursion
        limit.
        """
        tokens, state = [], self
        while state.before is not None:
            tokens.append(state.token)
            state = state.before
        return _after, (tokens[::-1],)


def _after(tokens: list[int]) -> AdaptiveState:
    """The state after a list of tokens and `_BEGIN`s."""
    state = AdaptiveState(None, _BEGIN, 0)
    for token in tokens:
        state = AdaptiveState(state, token, state.length + 1)
    return state


@dataclass
class _Live:
    """A tree, and the states that it went through since the training text, for going back."""

    tree: GrowingTree
    states: list[AdaptiveState]


class AdaptiveModel(LanguageModel[AdaptiveState]):
    """A full-context model that counts what it reads: p(x | h) after everything in h was learnt.

    Contexts are all suffixes of the history that occurred before, of any length; see `GrowingTree`
    for the probabilities. `fit` reads a training text first; `of(reading)` starts with empty
    counts. What is learnt from a sequence is forgotten after it, unless state is carried through a
    document (`Sequences.documents`). The model file stores the training text, from which the tree
    is rebuilt at first use.

    Each token takes some 20 microseconds in interpreted Python and some 600 bytes: texts of a few
    million tokens take minutes and gigabytes.
    """

    kind: ClassVar[str] = "adaptive"

    def __init__(self) -> None:
        self._root = AdaptiveState(None, _BEGIN, 0)
        self._lives: PerThread[_Live] = PerThread()

    @classmethod
    def of(cls, reading: Reading) -> Self:
        """A model with empty counts."""
        model = cls()
        model.reading = reading
        model._learn(Sequences(np.empty(0, np.int32), np.zeros(1, np.int64)))
        return model

    def fit(self, corpus: AnyText, validation: AnyText | None = None) -> Self:
        """Read a corpus, sequence by sequence; the validation text is not used."""
        corpus, _ = self.adopt(corpus, validation)
        self._learn(Sequences(corpus.ids, corpus.offsets))
        return self

    def _learn(self, text: Sequences) -> None:
        self._text = text
        self._root = AdaptiveState(None, _BEGIN, 0)
        self._lives = PerThread()

    def _grown(self) -> _Live:
        """A new tree that has read the training text and the start of a sequence."""
        tree = GrowingTree(self.vocabulary.n_predictable)
        bos = self.vocabulary.bos_id
        n = len(self._text.ids)
        with track("Reading the training text", total=n) as meter, without_cycles():
            for ids in self._text.whole():
                tree.begin(bos)
                for token in ids[1:].tolist():
                    tree.push(token)
                meter.advance(len(ids))
        tree.begin(bos)
        return _Live(tree, [self._root])

    def _at(self, state: AdaptiveState) -> GrowingTree:
        """The tree of a state, reached by undoing and redoing steps from its present state."""
        live = self._lives.get(self._grown)
        states, ahead = live.states, []
        if states[-1] is state:
            return live.tree
        while state.before is not None and (
            state.length >= len(states) or states[state.length] is not state
        ):
            ahead.append(state)
            state = state.before
        back = len(states) - 1 - state.length
        if back > live.tree.n_undone:
            fresh = self._grown()
            live.tree, live.states = fresh.tree, fresh.states
            ahead += reversed(states[1 : state.length + 1])
            states = live.states
        else:
            for _ in range(back):
                live.tree.pop()
            del states[state.length + 1 :]
        for step in reversed(ahead):
            if step.token == _BEGIN:
                live.tree.begin(self.vocabulary.bos_id)
            else:
                live.tree.push(step.token)
            states.append(step)
        return live.tree

    def start(self) -> AdaptiveState:
        """The history is empty after the training text."""
        return self._root

    def advance(self, state: AdaptiveState, token: int) -> AdaptiveState:
        """The history with one more token, from which the tree learns when it is next needed."""
        self.vocabulary.check_id(token)
        return AdaptiveState(state, token, state.length + 1)

    def start_after(self, state: AdaptiveState, last: int) -> AdaptiveState:
        """See `Contexts`; what was learnt is kept."""
        ended = AdaptiveState(state, last, state.length + 1)
        return AdaptiveState(ended, _BEGIN, ended.length + 1)

    def outcomes(self, state: AdaptiveState) -> Iterator[tuple[int, float]]:
        """Lazily yield every possible next token with its probability, roughly in descending order.

        Probabilities are computed by sums, products and quotients only, so that they are identical
        on all machines (`compress` depends on it).
        """
        tree = self._at(state)
        return chain(tree.outcomes(), self._unseen(tree))

    def _unseen(self, tree: GrowingTree) -> Iterator[tuple[int, float]]:
        p, seen = tree.unseen(), tree.seen
        for token in range(len(self.vocabulary)):
            if token not in seen and token != self.vocabulary.bos_id:
                yield token, p

    def log_distribution(self, state: AdaptiveState) -> FloatArray:
        """Log p of every token, (V,), in nats."""
        tree = self._at(state)
        p = np.full(len(self.vocabulary), tree.unseen())
        seen = dict(tree.outcomes())
        p[list(seen)] = list(seen.values())
        p[self.vocabulary.bos_id] = 0.0
        with np.errstate(divide="ignore"):
            log_p: FloatArray = np.log(p)
        return log_p

    def log_prob_next(self, state: AdaptiveState, token: int) -> float:
        """Log p(token | context) in nats."""
        self.vocabulary.check_id(token)
        if token == self.vocabulary.bos_id:
            return -np.inf
        return float(np.log(self._at(state).prob(token)))

    def used_in(self, state: AdaptiveState, length: int) -> int:
        """The length of the longest suffix of the context that occurred before."""
        return min(self._at(state).matched, length)

    @property
    def n_parameters(self) -> int:
        """The number of counts: pairs of a context and a token after it."""
        return self._at(self._root).n_counts

    # Files ----------------------------------------------------------------------------------

    def arrays(self) -> dict[str, Array]:
        """The training text, as ids and offsets."""
        return {"ids": self._text.ids, "offsets": self._text.offsets}

    @classmethod
    def restore(cls, config: dict[str, Any], arrays: Mapping[str, Array], reading: Reading) -> Self:
        """See `Model`."""
        check_arrays(arrays, _EXPECTED, {"vocabulary": len(reading.vocabulary)})
        ids, offsets = arrays["ids"], arrays["offsets"]
        begins = np.flatnonzero(ids == reading.vocabulary.bos_id)
        if not np.array_equal(np.append(begins, len(ids)), offsets):
            raise LangmodelsError("the array 'offsets' is damaged: sequences begin elsewhere.")
        model = cls()
        model.reading = reading
        model._learn(Sequences(ids, offsets))
        return model
