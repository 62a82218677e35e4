"""The full-context model: p(x_t | x_1 .. x_{t-1}) with an unlimited context."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, ClassVar, Self

import numpy as np

from langmodels.arrays import Array, BoolArray, FloatArray, occurrences
from langmodels.checks import LOG_PROB, WEIGHT, Expected, check_arrays, check_values
from langmodels.errors import LangmodelsError, UsageError
from langmodels.fullcontext.counts import ContextCounts
from langmodels.fullcontext.fitting import Paths, fit_weights
from langmodels.fullcontext.holdout import blocks, hold_out
from langmodels.fullcontext.interpolated import InterpolatedProbabilities
from langmodels.fullcontext.matching import Match, Matcher
from langmodels.fullcontext.relative import RelativeFrequencies
from langmodels.fullcontext.smoothing import N_FEATURES, N_GATES, default_weights
from langmodels.fullcontext.tree import ContextTree
from langmodels.models.base import LanguageModel
from langmodels.tensors import StoredArrays
from langmodels.text.corpus import AnyText, Corpus
from langmodels.text.reading import Reading
from langmodels.text.sequences import Sequences

SMOOTHINGS = ("kneser_ney", "none")


class FullContextModel(LanguageModel[Match]):
    """An n-gram model of unbounded order, over a suffix array of the training text.

    With Kneser-Ney smoothing it starts from the longest suffix of the history that occurs in the
    training text, and interpolates with the shorter ones that branch
    (`langmodels.fullcontext.smoothing`). Without smoothing p is the relative frequency of the next
    token after the whole history. After an unseen history that is 0 / 0: the model then predicts
    uniformly, and `known_histories` says for which tokens.

    Discounts are fitted to the validation text. Without one they are fitted to a block at the end
    of the training text, given the counts of the rest (for short texts, to several such blocks),
    and then the whole training text is counted.

    Args:
        smoothing: kneser_ney or none.
        held_out: share of the training text, up to 0.5, to which discounts are fitted without a
            validation text; 0: not fitted.
    """

    kind: ClassVar[str] = "full-context"

    def __init__(self, smoothing: str = "kneser_ney", *, held_out: float = 0.1) -> None:
        if smoothing not in SMOOTHINGS:
            raise UsageError(
                f"There is no smoothing {smoothing!r} for the full context; "
                f"choose one of {', '.join(SMOOTHINGS)}."
            )
        if not 0 <= held_out <= 0.5:
            raise UsageError(f"The held-out share must lie between 0 and 0.5, not {held_out}.")
        self.smoothing = smoothing
        self.held_out = held_out

    def fit(self, corpus: AnyText, validation: AnyText | None = None) -> Self:
        """Count the corpus, and fit the discounts to the validation text or to parts of the corpus.

        Raises LangmodelsError for an empty corpus.
        """
        corpus, validation = self.adopt(corpus, validation)
        self._unk_share = 1.0 / self.vocabulary.n_predictable
        self._weights = default_weights()
        counts = self._count(corpus)
        if self.smoothing == "none":
            self._model: RelativeFrequencies | InterpolatedProbabilities = RelativeFrequencies(
                counts, self._base()
            )
            return self
        if validation is not None:
            paths = [self._paths(counts, validation)]
        else:
            paths = self._held_out_paths(corpus)
        self._weights, self._unk_share = fit_weights(paths, self.vocabulary.n_predictable)
        self._model = InterpolatedProbabilities.compute(counts, self._base(), self._weights)
        return self

    def _count(self, text: Sequences) -> ContextCounts:
        tree = ContextTree.build(text.ids, text.offsets, len(self.vocabulary))
        return ContextCounts(Matcher(tree, self.vocabulary.bos_id))

    def _held_out_paths(self, corpus: Corpus) -> list[Paths]:
        """Blocks of the corpus, as held-out text given the counts of the rest."""
        paths = []
        unk = self.vocabulary.unk_id
        closed = not (corpus.ids == unk).any()
        for begin, end in blocks(len(corpus.ids), self.held_out):
            rest, held = hold_out(corpus.ids, corpus.offsets, begin, end)
            if len(rest.ids) < len(rest.offsets):
                continue
            if closed:
                # With the vocabulary of the training text no token is <unk>: take tokens unseen in
                # the rest for it.
                seen = occurrences(rest.ids, len(self.vocabulary)) > 0
                held = replace(held, held=np.where(seen[held.ids], held.ids, np.int32(unk)))
            paths.append(self._paths(self._count(rest), held))
        return paths

    def _paths(self, counts: ContextCounts, held: Sequences) -> Paths:
        matches = counts.matcher.match(held.ids, held.offsets)
        return Paths.of(counts, matches, held.targets, self.vocabulary.unk_id)

    def _base(self) -> FloatArray:
        """Log p below the empty context, (V,): the fitted p(``<unk>``), and the rest uniform."""
        others = self.vocabulary.n_predictable - 1
        share = self._unk_share if others else 1.0
        base = np.full(len(self.vocabulary), np.log1p(-share) - np.log(others) if others else 0.0)
        base[self.vocabulary.unk_id] = np.log(share)
        base[self.vocabulary.bos_id] = -np.inf
        return base

    def start(self) -> Match:
        return self._model.counts.matcher.start

    def advance(self, state: Match, token: int) -> Match:
        self.vocabulary.check_id(token)
        return self._model.advance(state, token)

    def log_distribution(self, state: Match) -> FloatArray:
        return self._model.log_distribution(state)

    def log_prob_next(self, state: Match, token: int) -> float:
        self.vocabulary.check_id(token)
        return self._model.log_prob(state, token)

    def score_sequences(self, sequences: Sequences) -> FloatArray:
        scores = self._model.score(sequences.ids, sequences.offsets)
        return scores[0] if isinstance(scores, tuple) else scores

    def known_histories(self, corpus: Corpus) -> BoolArray:
        """For every target, whether its whole history is the beginning of a training sequence,
        (n_tokens,).

        Where it is not, relative frequencies are undefined.
        """
        self._check_corpus(corpus)
        relative = RelativeFrequencies(self._model.counts, self._base())
        return relative.score(corpus.ids, corpus.offsets)[1]

    @property
    def n_parameters(self) -> int:
        """Stored probabilities and back-off weights; without smoothing, the number of tokens."""
        counts = self._model.counts
        if self.smoothing == "none":
            return int(counts.occurrences[0])
        return len(counts.tree.pair_symbol) + len(counts.tree.low) + self._weights.size

    @property
    def caveat(self) -> str:
        """Without smoothing: what is zero, and what replaces 0 / 0."""
        if self.smoothing != "none":
            return ""
        return (
            "Not smoothed: what never followed a known history has probability zero; after a "
            "history never seen it is 0/0, and the uniform distribution stands in."
        )

    def used_in(self, state: Match, length: int) -> int:
        """The length of the longest known suffix of the context.

        Without smoothing: the whole length, or 0 if the whole context was not seen.
        """
        return min(state.length, length)

    def config(self) -> dict[str, Any]:
        return {**self.get_params(), "unk_share": self._unk_share}

    def arrays(self) -> dict[str, Array]:
        tree = self._model.counts.tree
        arrays = {f.name: getattr(tree, f.name) for f in fields(tree) if f.name != "n_symbols"}
        if isinstance(self._model, InterpolatedProbabilities):
            arrays["log_pair"] = self._model.log_pair
            arrays["log_backoff"] = self._model.log_backoff
        return {**arrays, "weights": self._weights}

    @classmethod
    def restore(cls, config: dict[str, Any], arrays: Mapping[str, Array], reading: Reading) -> Self:
        check_values(config, {"smoothing": str, "held_out": float, "unk_share": float})
        if not 0 <= config["unk_share"] <= 1:
            raise LangmodelsError(f"its probability of <unk> cannot be {config['unk_share']}.")
        model = cls(config["smoothing"], held_out=config["held_out"])
        model.reading, vocabulary = reading, reading.vocabulary
        tree = ContextTree.restore(arrays, len(vocabulary))
        sizes = {"pairs": len(tree.pair_node), "nodes": len(tree.low)}
        check_arrays(arrays, _EXPECTED, sizes)
        model._unk_share, model._weights = config["unk_share"], arrays["weights"]
        counts = ContextCounts(Matcher(tree, vocabulary.bos_id))
        if model.smoothing == "none":
            model._model = RelativeFrequencies(counts, model._base())
        else:
            check_arrays(arrays, _SMOOTHED, sizes)
            model._model = InterpolatedProbabilities(
                counts, model._base(), model._weights, arrays["log_pair"], arrays["log_backoff"]
            )
            if not np.allclose(model._model.sums(), 1, atol=1e-6, rtol=0):
                raise LangmodelsError("its arrays are damaged: probabilities do not sum to 1.")
        model.check_start()
        if isinstance(arrays, StoredArrays) and not arrays.verify():
            model.check_walk()  # a file of version 0.1
        return model


_EXPECTED = {"weights": Expected("float64", (N_FEATURES, N_GATES), **WEIGHT)}
_SMOOTHED = {
    "log_pair": Expected("float64", ("pairs",), **LOG_PROB),
    "log_backoff": Expected("float64", ("nodes",), **LOG_PROB),
}
"""The expected arrays of a file, besides those of the tree."""
