"""N-gram models as weighted automata, in the text format of OpenFst.

A state is a context; an arc is a word with its weight -ln p (tropical semiring). From every context
an arc labelled `<eps>` leads to the next shorter one, with minus the log back-off weight (Allauzen,
Mohri and Roark 2003, "Generalized algorithms for constructing statistical language models"). As
epsilon arcs they admit paths that back off although the word has an arc; probabilities are exact if
they are read as failure arcs.
"""

import os
from collections.abc import Iterator

import numpy as np

from langmodels.arrays import Array, BoolArray
from langmodels.errors import LangmodelsError
from langmodels.ngram.automaton import ROOT, Automaton
from langmodels.ngram.tables import NGramTables
from langmodels.progress import track
from langmodels.storage import atomic_write
from langmodels.text.byte_fields import encode_tokens
from langmodels.text.vocabulary import Vocabulary

EPSILON = "<eps>"
_WRITE = 1 << 17  # lines formatted at a time


def is_fst_name(path: str | os.PathLike[str]) -> bool:
    """Whether a name ends in .fst."""
    return os.fspath(path).lower().endswith(".fst")


def write_fst(
    path: str | os.PathLike[str], tables: NGramTables, vocabulary: Vocabulary
) -> tuple[int, int]:
    """Write tables as an automaton; returns the numbers of states and of arcs.

    An arc is a line `state state word word weight`, a final state a line `state weight`; the first
    line leaves the start state. If the vocabulary has no `</s>`, every state is final.

    Raises LangmodelsError for stupid backoff, for a token that contains white space, and where the
    file cannot be written.
    """
    _check_expressible(tables, vocabulary)
    graph = _Graph(Automaton(tables), vocabulary)
    arcs, begin = graph.arcs, graph.begin
    at_begin = graph.source[arcs] == begin
    with atomic_write(path) as file, track("Writing arcs", total=len(arcs)) as meter:
        if begin != ROOT:
            file.write(graph.backoff_lines(np.array([begin])))
        for which in (arcs[at_begin], arcs[~at_begin]):
            for some in _batches(which):
                file.write(graph.arc_lines(some))
                meter.advance(len(some))
        for some in _batches(graph.backing[graph.backing != begin]):
            file.write(graph.backoff_lines(some))
        file.write(graph.final_lines())
    return graph.n_states, len(arcs) + len(graph.backing)


def _check_expressible(tables: NGramTables, vocabulary: Vocabulary) -> None:
    """Raise LangmodelsError if the format cannot express a model or one of its tokens."""
    if tables.unseen_backoff:
        raise LangmodelsError(
            "Stupid backoff charges for contexts that were never seen, which an automaton cannot "
            "say; use another smoothing method."
        )
    for token in vocabulary.tokens:
        if token == EPSILON or not token or token.split() != [token]:
            raise LangmodelsError(
                f"The token {token!r} cannot be a label: in this format labels are words between "
                f"blanks, and {EPSILON} is none."
            )


class _Graph:
    """The states and arcs of a back-off automaton, numbered as OpenFst's text has them.

    Contexts (C,) of the automaton are states if they lead back to themselves; only these have a
    `number`. `arcs` and `finals` are rows, without the first, of n-grams: those that extend a state
    by a word, and by `</s>`. `source` gives the context that each extends. `backing` are the states
    with a back-off arc: all but the empty context. `begin` is the context `<s>`, the start state.
    """

    def __init__(self, automaton: Automaton, vocabulary: Vocabulary) -> None:
        self._tokens = np.array(vocabulary.tokens, dtype=object)
        self._words = automaton.words[1:]
        self._log_prob = automaton.ngrams["log_prob"][1:]
        self._following = automaton.ngrams["following"][1:]
        contexts = automaton.contexts[:-1]
        self._links, self._backoff = contexts["link"], contexts["backoff"]
        places = np.arange(len(contexts))
        is_state = automaton.ngrams["following"][: len(contexts)] == places
        self._number = np.cumsum(is_state) - 1
        self.n_states = int(is_state.sum())
        self.begin = int(self._following[Vocabulary.bos_id])
        self.source = np.repeat(places, np.diff(automaton.contexts["start"]))
        usable: BoolArray = (
            is_state[self.source] & (self._words != Vocabulary.bos_id) & (self._log_prob > -100)
        )
        self._ends = vocabulary.eos_id is not None
        is_end = self._words == vocabulary.eos_id if self._ends else np.zeros_like(usable)
        self.arcs, self.finals = np.flatnonzero(usable & ~is_end), np.flatnonzero(usable & is_end)
        self.backing = np.flatnonzero(is_state & (places != ROOT))

    def arc_lines(self, some: Array) -> bytes:
        """The arcs of words in rows `some` of the n-grams."""
        labels = self._tokens[self._words[some]].tolist()
        sources, targets = self._number[self.source[some]], self._number[self._following[some]]
        columns = (sources.tolist(), targets.tolist(), labels, labels, self._weights(some))
        return _lines("%d\t%d\t%s\t%s\t%.7g", columns)

    def backoff_lines(self, some: Array) -> bytes:
        """The back-off arcs of the contexts `some`."""
        weights = (0.0 - self._backoff[some].astype(np.float64)).tolist()
        columns = (self._number[some].tolist(), self._number[self._links[some]].tolist(), weights)
        return _lines(f"%d\t%d\t{EPSILON}\t{EPSILON}\t%.7g", columns)

    def final_lines(self) -> bytes:
        """The final states: with the weights of `</s>`, or all states if there is none."""
        if not self._ends:
            return _lines("%d", (range(self.n_states),))
        states = self._number[self.source[self.finals]].tolist()
        return _lines("%d\t%.7g", (states, self._weights(self.finals)))

    def _weights(self, some: Array) -> list[float]:
        weights: list[float] = (-self._log_prob[some].astype(np.float64) + 0.0).tolist()
        return weights


def _batches(which: Array) -> Iterator[Array]:
    """Divide an array into pieces whose lines are formatted at a time."""
    for at in range(0, len(which), _WRITE):
        yield which[at : at + _WRITE]


def _lines(form: str, columns: tuple[object, ...]) -> bytes:
    rows = zip(*columns, strict=True)
    text = "".join(f"{line}\n" for line in map(form.__mod__, rows))
    return encode_tokens(text)
