"""Counts and smoothing: a table of bigrams, and what every smoothing method makes of it."""

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
"""What the page has formulas of, too; others of the registry are not shown."""
MOST = 20


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
    room = room_of(classroom, fields)
    return bigrams(room, fields.names("rows"), fields.names("columns"), options_of(fields))


ACTIONS = {"counts": _counts}
