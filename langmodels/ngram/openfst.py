"""N-gram models as weighted automata, in the text format of OpenFst.

A state is a context; an arc is a word with its weight -ln p (tropical semiring). From every context
an arc labelled `<eps>` leads to the next shorter one, with minus the log back-off weight (Allauzen,
Mohri and Roark 2003, "Generalized algorithms for constructing statistical language models"). As
epsilon arcs they admit paths that back off although the word has an arc; probabilities are exact if
they are read as failure arcs.
"""

import os

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
    if tables.unseen_backoff:
        raise LangmodelsError(
            "Stupid backoff charges for contexts that were never seen, which an automaton cannot "
            "say; use another smoothing method."
        )
    tokens = np.array(vocabulary.tokens, dtype=object)
    for token in vocabulary.tokens:
        if token == EPSILON or not token or token.split() != [token]:
            raise LangmodelsError(
                f"The token {token!r} cannot be a label: in this format labels are words between "
                f"blanks, and {EPSILON} is none."
            )
    automaton = Automaton(tables)
    words, log_prob, following = (
        automaton.words,
        automaton.ngrams["log_prob"],
        automaton.ngrams["following"],
    )
    starts, contexts = automaton.contexts["start"], automaton.contexts[:-1]
    links, backoff = contexts["link"], contexts["backoff"]
    is_state = following[: len(links)] == np.arange(len(links))
    number = np.cumsum(is_state) - 1
    begin = int(following[1 + Vocabulary.bos_id])
    # Arcs of words: that of an n-gram leaves the context that it extends.
    source = np.repeat(np.arange(len(links)), np.diff(starts))
    ngrams = np.arange(1, len(words))
    usable: BoolArray = is_state[source] & (words[1:] != Vocabulary.bos_id) & (log_prob[1:] > -100)
    ends = words[1:] == vocabulary.eos_id if vocabulary.eos_id is not None else usable & False
    arcs, finals = np.flatnonzero(usable & ~ends), np.flatnonzero(usable & ends)
    backing = np.flatnonzero(is_state & (np.arange(len(links)) != ROOT))
    with atomic_write(path) as file, track("Writing arcs", total=len(arcs)) as meter:

        def write(which: Array) -> None:
            for at in range(0, len(which), _WRITE):
                some = which[at : at + _WRITE]
                labels = tokens[words[ngrams[some]]].tolist()
                columns = (
                    number[source[some]].tolist(),
                    number[following[ngrams[some]]].tolist(),
                    labels,
                    labels,
                    (-log_prob[ngrams[some]].astype(np.float64) + 0.0).tolist(),
                )
                file.write(_lines("%d\t%d\t%s\t%s\t%.7g", columns))
                meter.advance(len(some))

        def write_backing(which: Array) -> None:
            for at in range(0, len(which), _WRITE):
                some = which[at : at + _WRITE]
                weights = (0.0 - backoff[some].astype(np.float64)).tolist()
                columns = (number[some].tolist(), number[links[some]].tolist(), weights)
                file.write(_lines(f"%d\t%d\t{EPSILON}\t{EPSILON}\t%.7g", columns))

        first = source[arcs] == begin
        if begin != ROOT:
            write_backing(np.array([begin]))
        write(arcs[first])
        write(arcs[~first])
        write_backing(backing[backing != begin])
        if vocabulary.eos_id is None:
            file.write(_lines("%d", (range(int(is_state.sum())),)))
        else:
            weights = (-log_prob[ngrams[finals]].astype(np.float64) + 0.0).tolist()
            file.write(_lines("%d\t%.7g", (number[source[finals]].tolist(), weights)))
    return int(is_state.sum()), len(arcs) + len(backing)


def _lines(form: str, columns: tuple[object, ...]) -> bytes:
    rows = zip(*columns, strict=True)
    text = "".join(f"{line}\n" for line in map(form.__mod__, rows))
    return encode_tokens(text)
