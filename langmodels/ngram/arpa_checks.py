"""Checks that the probabilities of an ARPA file sum to one after every context."""

import os
import warnings
from pathlib import Path

import numpy as np

from langmodels.arrays import FloatArray
from langmodels.errors import FileWarning, LangmodelsError
from langmodels.ngram.arpa_source import open_arpa
from langmodels.ngram.normalization import context_sums
from langmodels.ngram.tables import NGramTables
from langmodels.ngram.trie import ngram_words
from langmodels.text.vocabulary import Vocabulary

_TOLERANCE = 2e-3
"""How far sums may be from one: figures of four decimals, the coarsest in use, stay within."""
_ABOVE = 1e-3
"""How far above 0 rounding may lift a log probability, in nats."""
_TRIED = 50  # contexts whose single probabilities are checked


def check_sums(path: str | os.PathLike[str], vocabulary: Vocabulary, tables: NGramTables) -> None:
    """Warn, with a FileWarning, of contexts after which probabilities do not sum to one.

    Raises LangmodelsError where a back-off weight lifts a single probability above one. Both
    messages name the context and the line in which it is defined.
    """
    sums = context_sums(tables)
    worst = [float(np.abs(z - 1).max(initial=0)) for z in sums]
    if max(worst) <= _TOLERANCE:
        return
    for length, z in enumerate(sums):
        over = np.flatnonzero(z > 1 + _ABOVE)
        for node in over[np.argsort(-z[over])][:_TRIED].tolist():
            words = _words(tables, length, node)
            log_p = _distribution(tables, words)
            if log_p.max() > _ABOVE:
                word = vocabulary.token(int(log_p.argmax()))
                raise LangmodelsError(
                    f"{_place(path, vocabulary, words)}: the probability of {word!r} after "
                    f"{_shown(vocabulary, words)} is {np.exp(log_p.max()):.4g}, above 1; the "
                    "back-off weight is too high."
                )
    length = 0 if worst[0] > _TOLERANCE else int(np.argmax(worst))
    z = sums[length]
    node = int(np.argmax(np.abs(z - 1)))
    words = _words(tables, length, node)
    n_off = sum(int(np.count_nonzero(np.abs(z - 1) > _TOLERANCE)) for z in sums)
    warnings.warn(
        f"{_place(path, vocabulary, words)}: probabilities do not sum to 1 after {n_off:,} of "
        f"{sum(map(len, sums)):,} contexts, but to {z[node]:.4g} after "
        f"{_shown(vocabulary, words)}. "
        "Perplexities are no measure of such a model.",
        FileWarning,
        stacklevel=2,
    )


def _words(tables: NGramTables, length: int, node: int) -> list[int]:
    if length == 0:
        return []
    words: list[int] = ngram_words(tables, length, slice(node, node + 1))[0].tolist()
    return words


def _distribution(tables: NGramTables, words: list[int]) -> FloatArray:
    state: tuple[int, ...] = ()
    for word in words:
        state = tables.advance(state, word)
    return tables.log_distribution(state)


def _shown(vocabulary: Vocabulary, words: list[int]) -> str:
    return repr(" ".join(vocabulary.decode(words))) if words else "no context at all"


def _place(path: str | os.PathLike[str], vocabulary: Vocabulary, words: list[int]) -> str:
    """The name of the file, with the line of an n-gram if it can be found, for a message."""
    line = _line_of(Path(path), vocabulary.decode(words)) if words else None
    return str(path) if line is None else f"{path}, line {line}"


def _line_of(path: Path, tokens: list[str]) -> int | None:
    """The number of the line that defines an n-gram."""
    wanted = [t.encode("utf-8", "surrogateescape") for t in tokens]
    section = b"\\%d-grams:" % len(tokens)
    inside, number, rest = False, 0, b""
    with open_arpa(path) as file:
        while block := file.read(1 << 20):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                number += 1
                if line.startswith(b"\\"):
                    inside = line.strip() == section
                elif inside and line.split()[1 : len(tokens) + 1] == wanted:
                    return number
    return None
