"""Counts and smoothing: a table of bigrams, and their probabilities by each smoothing method."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from langmodels.arrays import Array
from langmodels.models.base import LanguageModel
from langmodels.ngram import NGramModel
from langmodels.ngram.methods import SMOOTHINGS, make_smoothing
from langmodels.ngram.smoothing import predicted_counts
from langmodels.playground.classroom import Classroom
from langmodels.playground.fields import Fields
from langmodels.playground.panels.next_word import room_of
from langmodels.playground.room import Room
from langmodels.teaching.bigrams import choose_words, counts_after

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
"""The smoothing methods that the page has formulas of."""
MOST = 20
"""Most rows and columns of the table."""


def bigrams(
    room: Room,
    rows: Sequence[str],
    columns: Sequence[str],
    options: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    """Counts of bigrams, and each method's probabilities of them.

    `options`: the options of each method, by its name. In the result, `counts[i][j]` is how often
    `columns[j]` came after `rows[i]`. For each method and row, `probs` are the probabilities of the
    columns, `rest` that of all other words together, `zeros` that of all words which never came
    after the row's word, and `sums` the sum over the whole vocabulary.
    """
    counts, vocabulary = room.counts(2), room.splits.train.vocabulary
    firsts, seconds = (words[:MOST] for words in choose_words(counts, vocabulary, rows, columns))
    at = [vocabulary.id(t) for t in firsts]
    picked = np.array([vocabulary.id(t) for t in seconds], np.int64)
    table = np.stack([counts_after(counts, row) for row in at])
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
    """The sum of each row over all columns that were not picked."""
    others = np.ones(values.shape[1], np.bool_)
    others[picked] = False
    rest: Array = values[:, others].sum(axis=1)
    return rest


def fitted(room: Room, name: str, options: Mapping[str, float]) -> NGramModel:
    """A bigram model of the room's text with a smoothing method; recent ones are cached."""

    def fit() -> LanguageModel[Any]:
        splits = room.splits
        return NGramModel(2, make_smoothing(name, **options)).fit(splits.train, splits.validation)

    model: NGramModel = room.keep(f"bigrams {name} {sorted(options.items())}", fit)
    return model


def options_of(fields: Fields) -> dict[str, dict[str, float]]:
    """The options of methods that the page's sliders set; others are estimated or defaults."""
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
    room = room_of(classroom, fields)
    return bigrams(room, fields.names("rows"), fields.names("columns"), options_of(fields))


ACTIONS = {"counts": _counts}
