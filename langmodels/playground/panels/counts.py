"""Counts and smoothing: a table of bigrams, and what every smoothing method makes of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from langmodels.arrays import Array
from langmodels.models.base import LanguageModel
from langmodels.ngram import NGramModel
from langmodels.ngram.methods import SMOOTHINGS, make_smoothing
from langmodels.ngram.smoothing import predicted_counts
from langmodels.playground.classroom import Classroom, Room
from langmodels.playground.fields import Fields
from langmodels.playground.panels.next_word import room_of
from langmodels.text.vocabulary import BOS, Vocabulary

METHODS = (
    "mle",
    "laplace",
    "lidstone",
    "jelinek_mercer",
    "witten_bell",
    "absolute",
    "katz",
    "kneser_ney",
    "modified_kneser_ney",
)
"""What the page has formulas of, too; others of the registry are not shown."""
ROWS, COLUMNS = 6, 8
MOST = 20


def choose(room: Room, rows: Sequence[str], columns: Sequence[str]) -> tuple[list[str], list[str]]:
    """The first and the second words of the table: those asked for, else the most frequent.

    Second words are those that came most often after the first ones, and one that never did.
    """
    counts, vocabulary = room.counts(2), room.splits.train.vocabulary
    # Words tell more than marks do, where there are any.
    is_word = np.array([any(map(str.isalnum, t)) for t in vocabulary.tokens])
    is_word[: vocabulary.n_special] = False
    if not is_word.any():
        is_word[vocabulary.n_special :] = True
    c = np.where(is_word, counts.counts[0], 0)
    firsts = _known(rows, vocabulary, bos=True) or [
        vocabulary.token(i) for i in np.argsort(-c, kind="stable")[:ROWS].tolist()
    ]
    seconds = _known(columns, vocabulary, bos=False)
    if not seconds:
        after = np.zeros(len(vocabulary), np.int64)
        for first in firsts:
            part = slice(*counts.child_start[0][(i := vocabulary.id(first)) : i + 2].tolist())
            after[counts.words[1][part]] += counts.counts[1][part]
        unseen = (after == 0) & (c > 0)
        after[~is_word] = 0
        seconds = [
            vocabulary.token(i)
            for i in np.argsort(-after, kind="stable")[: COLUMNS - 1].tolist()
            if after[i]
        ]
        if unseen.any():
            seconds.append(vocabulary.token(int(np.argmax(np.where(unseen, c, -1)))))
    return firsts[:MOST], seconds[:MOST]


def _known(tokens: Sequence[str], vocabulary: Vocabulary, *, bos: bool) -> list[str]:
    """The tokens of a vocabulary, each once; `<s>` is never predicted."""
    known = dict.fromkeys(t for t in tokens if t in vocabulary)
    return [t for t in known if bos or t != BOS]


def bigrams(
    room: Room,
    rows: Sequence[str],
    columns: Sequence[str],
    options: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    """Counts of bigrams, and each method's probabilities of them.

    `options`: of a method, by its name. `counts[i][j]` is how often `columns[j]` came after
    `rows[i]`; of each method `probs` are the probabilities, `rest` what all other words have
    together, `zeros` what all words have that never came after the row's, `sums` the sum over the
    whole vocabulary.
    """
    firsts, seconds = choose(room, rows, columns)
    counts, vocabulary = room.counts(2), room.splits.train.vocabulary
    at = [vocabulary.id(t) for t in firsts]
    picked = np.array([vocabulary.id(t) for t in seconds], np.int64)
    table = np.zeros((len(at), len(vocabulary)), np.int64)
    for i, row in enumerate(at):
        part = slice(*counts.child_start[0][row : row + 2].tolist())
        table[i, counts.words[1][part]] = counts.counts[1][part]
    methods = []
    for name in METHODS:
        given = dict(options.get(name, {}))
        model = fitted(room, name, given)
        p = np.stack([np.exp(model.log_distribution((row,))) for row in at])
        fitted_values = model.fitted
        methods.append(
            {
                "name": name,
                "options": given,
                "fitted": fitted_values,
                "probs": p[:, picked].tolist(),
                "rest": _rest(p, picked).tolist(),
                "zeros": np.where(table == 0, p, 0.0).sum(axis=1).tolist(),
                "sums": p.sum(axis=1).tolist(),
            }
        )
    return {
        "rows": firsts,
        "columns": seconds,
        "vocabulary": vocabulary.n_predictable,
        "counts": table[:, picked].tolist(),
        "rest": _rest(table, picked).tolist(),
        "totals": table.sum(axis=1).tolist(),
        "types": np.count_nonzero(table, axis=1).tolist(),
        "singletons": (table == 1).sum(axis=1).tolist(),
        "unigrams": [int(predicted_counts(counts, 1)[i]) for i in picked],
        "methods": methods,
    }


def _rest(values: Array, picked: Array) -> Array:
    """What is not in the picked columns, a sum a row."""
    others = np.ones(values.shape[1], np.bool_)
    others[picked] = False
    rest: Array = values[:, others].sum(axis=1)
    return rest


def fitted(room: Room, name: str, options: Mapping[str, float]) -> NGramModel:
    """A model of bigrams, smoothed in a way; those that were asked for lately are remembered."""

    def fit() -> LanguageModel[Any]:
        splits = room.splits
        return NGramModel(2, make_smoothing(name, **options)).fit(splits.train, splits.validation)

    model: NGramModel = room.keep(f"bigrams {name} {sorted(options.items())}", fit)
    return model


def options_of(fields: Fields) -> dict[str, dict[str, float]]:
    """The sliders: what is not given is estimated, or the method's default."""
    found: dict[str, dict[str, float]] = {name: {} for name in SMOOTHINGS}
    for option, methods, low, high in (
        ("alpha", ("lidstone",), 1e-6, 100.0),
        ("discount", ("absolute", "kneser_ney"), 1e-6, 1 - 1e-6),
        ("weight", ("jelinek_mercer",), 1e-6, 1 - 1e-6),
    ):
        value = fields.maybe(option, low, high)
        if value is not None:
            for method in methods:
                found[method][option] = value
    return found


def _counts(classroom: Classroom, fields: Fields, who: str) -> dict[str, Any]:
    room = room_of(classroom, fields, who)
    return bigrams(room, fields.names("rows"), fields.names("columns"), options_of(fields))


ACTIONS = {"counts": _counts}
