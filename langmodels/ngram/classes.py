"""The class n-gram model: an n-gram model of word classes, which predict the words in them."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from langmodels.arrays import Array, FloatArray, IntArray
from langmodels.checks import LOG_PROB, Expected, check_arrays
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.orders import OfOrder
from langmodels.ngram.clustering import cluster
from langmodels.ngram.counting import count_ngrams
from langmodels.ngram.methods import make_smoothing
from langmodels.ngram.normalization import context_sums
from langmodels.ngram.tables import MAX_ORDER, NGramTables, State, longest
from langmodels.text.corpus import AnyText
from langmodels.text.reading import Reading
from langmodels.text.sequences import Sequences

_SUMS = 1e-3
"""How far from 1 rounding may move a sum of probabilities."""
_EXPECTED = {
    "class_of": Expected("int32", ("words",), low=0, below="classes"),
    "log_share": Expected("float64", ("words",), **LOG_PROB),
}


class ClassModel(OfOrder, LanguageModel[State]):
    """p(w_t | w_1 ... w_{t-1}) = p(c_t | c_{t-N+1} ... c_{t-1}) p(w_t | c_t), c_t the class of w_t.

    Every word has one class. The first factor is an n-gram model of classes, smoothed; the second
    is the relative frequency of the word in its class. Brown, Della Pietra, deSouza, Lai and Mercer
    (1992), "Class-based n-gram models of natural language", equation 1. A rare word profits from
    the contexts of its whole class, a frequent one is better predicted by an n-gram model of words:
    mix the two. Classes are found by exchange (`clustering`).

    `<unk>`, `<s>` and `</s>` each have a class of their own; words that never occur are in that of
    `<unk>`.

    Args:
        order: N, the length of the longest n-grams of classes.
        classes: number of classes, besides those of the boundaries and `<unk>`.
        smoothing: smoothing method of the n-grams of classes, a name in `SMOOTHINGS`.
        sweeps: maximal number of passes over all words in which each may move to another class.
    """

    kind = "class"

    def __init__(
        self,
        order: int = 4,
        classes: int = 200,
        *,
        smoothing: str = "modified_kneser_ney",
        sweeps: int = 10,
    ) -> None:
        if not 1 <= order <= MAX_ORDER:
            raise UsageError(f"The order lies between 1 and {MAX_ORDER}, not {order}.")
        if classes < 1 or sweeps < 0:
            raise UsageError("A class model needs at least one class, and 0 or more sweeps.")
        if not make_smoothing(smoothing).is_distribution:
            raise UsageError(f"{smoothing} gives no probabilities; choose another smoothing.")
        self.order, self.classes = order, classes
        self.smoothing, self.sweeps = smoothing, sweeps

    def fit(self, corpus: AnyText, validation: AnyText | None = None) -> Self:
        """Find the classes, then count and smooth them; see `NGramModel.fit` for `validation`."""
        corpus, validation = self.adopt(corpus, validation)
        vocabulary = self.vocabulary
        bigrams = count_ngrams(corpus.ids, len(vocabulary), 2)
        self.class_of = cluster(bigrams, self.classes, vocabulary.n_special, self.sweeps)
        size = int(self.class_of.max(initial=0)) + 1
        size = max(size, vocabulary.n_special)
        # Words that never occur count once, so that they have some probability within their class.
        often = np.maximum(bigrams.counts[0], 1).astype(np.float64)
        total = np.bincount(self.class_of, often, size)
        self.log_share = np.log(often / total[self.class_of])

        smoothing = make_smoothing(self.smoothing)
        ids = self.class_of[corpus.ids]
        if smoothing.uses_held_out:
            cut = len(ids) * 9 // 10 if validation is None else len(ids)
            held_out = ids[cut:] if validation is None else self.class_of[validation.ids]
            part = count_ngrams(ids[: max(cut, 1)], size, self.order)
            smoothing.tune(part, held_out)
        self.tables = smoothing.estimate(count_ngrams(ids, size, self.order))
        return self

    def words_of(self, number: int) -> list[str]:
        """The words of class `number`, in the order of the vocabulary."""
        return self.vocabulary.decode(np.flatnonzero(self.class_of == number).tolist())

    @property
    def n_classes(self) -> int:
        """The number of classes, with those of the boundaries and `<unk>`."""
        return self.tables.vocabulary_size

    # The interface --------------------------------------------------------------------------

    def start(self) -> State:
        """The context `<s>`."""
        return self.tables.start()

    def advance(self, state: State, token: int) -> State:
        """The context after one more token; its class becomes part of the state."""
        self.vocabulary.check_id(token)
        return self.tables.advance(state, int(self.class_of[token]))

    def log_distribution(self, state: State) -> FloatArray:
        """Log p(next | context) in nats, (V,)."""
        log_p: FloatArray = self.tables.log_distribution(state)[self.class_of] + self.log_share
        return log_p

    def log_prob_next(self, state: State, token: int) -> float:
        """Log p(token | context) in nats."""
        self.vocabulary.check_id(token)
        of_class, _ = self.tables.score_next(state, int(self.class_of[token]))
        return of_class + float(self.log_share[token])

    def score_sequences(self, sequences: Sequences) -> FloatArray:
        """See `LanguageModel`."""
        of_class, _ = self.tables.score(self.class_of[sequences.ids])
        scores: FloatArray = (of_class + self.log_share[sequences.ids])[sequences.is_target]
        return scores

    @property
    def n_parameters(self) -> int:
        """Probabilities and back-off weights of the class n-grams, plus class and p(w | c) of each
        word.
        """
        tables = self.tables
        return sum(map(len, [*tables.log_prob, *tables.backoff])) + 2 * len(self.class_of)

    def used_in(self, state: State, length: int) -> int:
        """The length of the longest suffix of the context whose sequence of classes was seen in
        training.
        """
        return min(length, longest(state))

    # Files ----------------------------------------------------------------------------------

    def arrays(self) -> dict[str, Array]:
        """The tables of the classes, and the class and log p(w | c) of each word."""
        words: dict[str, Array] = {"class_of": self.class_of, "log_share": self.log_share}
        return {**self.tables.to_arrays(), **words}

    @classmethod
    def restore(cls, config: dict[str, Any], arrays: Mapping[str, Array], reading: Reading) -> Self:
        """Inverse of `config` and `arrays`. Raises LangmodelsError where they do not fit."""
        model = cls(**config)
        model.reading = reading
        model.tables = NGramTables.from_arrays(arrays, model.order)
        model.tables.check()
        sizes = {"words": len(reading.vocabulary), "classes": model.n_classes}
        check_arrays(arrays, _EXPECTED, sizes)
        class_of, share = arrays["class_of"], arrays["log_share"]
        sums = [*context_sums(model.tables), np.bincount(class_of, np.exp(share))]
        sums[-1] = sums[-1][sums[-1] > 0]  # only classes that have words
        if not all(np.allclose(z, 1, atol=_SUMS, rtol=0) for z in sums):
            raise LangmodelsError("its arrays are damaged: probabilities do not sum to 1.")
        model.class_of, model.log_share = _own(class_of), share
        model.check_start()
        return model


def _own(ids: Array) -> IntArray:
    """A copy in memory of an array that may be mapped: it is read at every step."""
    result: IntArray = np.array(ids)
    return result
