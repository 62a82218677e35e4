"""A cache model: tokens seen recently are more likely to come again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from langmodels.arrays import Array, FloatArray, IntArray
from langmodels.checks import check_values
from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.mixture_weights import em_weights
from langmodels.models.parts import (
    check_probabilities,
    common_reading,
    fit_parts,
    part_arrays,
    part_config,
    restore_part,
)
from langmodels.text.corpus import AnyText, Corpus
from langmodels.text.reading import Reading, Text
from langmodels.text.sequences import Sequences
from langmodels.text.vocabulary import Vocabulary

DECAYS = (0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
"""The decays tried on the validation text when none is given."""


@dataclass(frozen=True)
class CacheState:
    """The context of a cache model: the base model's state, the decayed counts by token id, and
    their sum.
    """

    base: Any
    counts: Mapping[int, float]
    total: float


class CacheModel(LanguageModel[CacheState]):
    """A base model interpolated with a decaying unigram cache of the sequence so far.

    p(w | h) = (1 - weight) p_base(w | h) + weight c(w) / sum_v c(v), where a token that is k tokens
    back adds decay^(k-1) to its c; while the cache is empty, p is p_base. Kuhn and De Mori 1990, "A
    Cache-Based Natural Language Model for Speech Recognition"; with exponential decay, Clarkson and
    Robinson 1997, "Language Model Adaptation Using Mixtures and an Exponentially Decaying Cache",
    equation 4.

    A decay or weight that is not given is tuned on the validation text, the decay among `DECAYS`
    and the weight by EM; without such text they are 0.99 and 0.05. The cache is emptied at the
    start of every sequence; `score_document` carries it from each sequence to the next, for a text
    whose lines belong together.

    Args:
        base: the model without a memory.
        decay: factor on every count per token read, above 0 and at most 1; none: tuned on
            validation text.
        weight: interpolation weight of the cache, from 0 to below 1; none: tuned on validation
            text.

    Raises UsageError for values outside their range, and for a base whose scores are not
    probabilities.
    """

    kind = "cache"

    def __init__(
        self,
        base: LanguageModel[Any],
        decay: float | None = None,
        weight: float | None = None,
    ) -> None:
        check_probabilities([base], "a cache")
        if decay is not None and not 0 < decay <= 1:
            raise UsageError(f"The decay of a cache must be above 0 and at most 1, not {decay}.")
        if weight is not None and not 0 <= weight < 1:
            raise UsageError(f"The weight of a cache must be 0 or more and below 1, not {weight}.")
        self.base = base
        self._given = (decay, weight)
        self.decay = 0.99 if decay is None else decay
        self.weight = 0.05 if weight is None else weight
        self._reading = common_reading([base])

    def fit(self, corpus: AnyText, validation: AnyText | None = None) -> Self:
        """Fit the base if it is not fitted, then tune decay and weight on the validation text."""
        corpus, validation = self.adopt(corpus, validation)
        fit_parts([self.base], corpus, validation)
        return self if validation is None else self.fit_cache(validation)

    def fit_cache(self, corpus: Corpus) -> Self:
        """Tune the decay and weight that the constructor was not given on held-out text; the base
        is not changed.
        """
        base = self.base.score_corpus(corpus)
        decay, weight = self._given
        best = -np.inf
        for tried in DECAYS if decay is None else (decay,):
            cache = cache_scores(corpus, tried)
            known = ~np.isnan(cache)
            log_p = np.stack([base[known], cache[known]])
            if weight is None:
                mixed = em_weights(log_p, np.array([1 - self.weight, self.weight]))
                # A weight of one would be a model that only ever repeats itself.
                share = min(float(mixed[1]), 0.99)
            else:
                share = weight
            likelihood = float(self._mix(log_p[0], log_p[1], share).sum())
            if likelihood > best:
                best, self.decay, found = likelihood, tried, share
        if best > -np.inf:
            self.weight = found
        return self

    def start(self) -> CacheState:
        """An empty cache."""
        return CacheState(self.base.start(), {}, 0.0)

    def advance(self, state: CacheState, token: int) -> CacheState:
        """The cache with one more token, everything older in it decayed."""
        return self._remember(state, token, self.base.advance(state.base, token))

    def start_after(self, state: CacheState, last: int) -> CacheState:
        """See `Contexts`; the cache is kept."""
        return self._remember(state, last, self.base.start_after(state.base, last))

    def state(self, context: Text = ()) -> CacheState:
        """See `LanguageModel`; the base reads the context itself, since it may use the spelling of
        unknown words.
        """
        state = super().state(context)
        return replace(state, base=self.base.state(context)) if self.reads_spelling else state

    def walk(self, sequences: Sequences) -> Iterator[tuple[CacheState, int]]:
        """See `Contexts`; the base's own walk, with the cache added to each state."""
        walk = super().walk(sequences)
        if not self.reads_spelling:
            return walk
        both = zip(walk, self.base.walk(sequences), strict=True)
        return ((replace(state, base=base), token) for (state, token), (base, _) in both)

    def _remember(self, state: CacheState, token: int, base: Any) -> CacheState:
        counts = {t: c * self.decay for t, c in state.counts.items()}
        counts[token] = counts.get(token, 0.0) + 1
        return CacheState(base, counts, state.total * self.decay + 1)

    def log_distribution(self, state: CacheState) -> FloatArray:
        """Log of the interpolated distribution in nats, (V,)."""
        log_p = np.array(self.base.log_distribution(state.base), np.float64)
        if not state.counts or self.weight == 0:
            return log_p
        ids = np.fromiter(state.counts.keys(), np.int64, len(state.counts))
        counts = np.fromiter(state.counts.values(), np.float64, len(state.counts))
        log_p += np.log1p(-self.weight)
        log_p[ids] = np.logaddexp(log_p[ids], np.log(self.weight * counts / state.total))
        return log_p

    def log_prob_next(self, state: CacheState, token: int) -> float:
        """Log p(token | context) in nats."""
        base = np.array(self.base.log_prob_next(state.base, token))
        if not state.counts or token == Vocabulary.bos_id:
            return float(base)
        with np.errstate(divide="ignore"):
            cache = np.log(np.array(state.counts.get(token, 0.0) / state.total))
        return float(self._mix(base, cache, self.weight))

    def score_sequences(self, sequences: Sequences) -> FloatArray:
        """See `LanguageModel`; the cache is emptied where no state is carried to a sequence."""
        base = self.base.score_sequences(sequences)
        return self._mixed(base, cache_scores(sequences, self.decay))

    def score_on(self, sequences: Sequences, memory: Any = None) -> tuple[FloatArray, Any]:
        """See `LanguageModel`; the memory is the base's and the cache."""
        base, cache = (None, None) if memory is None else memory
        scores, base = self.base.score_on(sequences, base)
        if cache is None:
            cache = Cached(np.zeros(len(self.vocabulary)), 0)
        found = cache_scores(sequences, self.decay, cache)
        return self._mixed(scores, found), (base, cache.after(sequences.targets, self.decay))

    def _mixed(self, base: FloatArray, cache: FloatArray) -> FloatArray:
        known = ~np.isnan(cache)
        scores = np.array(base, np.float64)
        scores[known] = self._mix(base[known], cache[known], self.weight)
        return scores

    def score_document(self, corpus: Corpus) -> FloatArray:
        """`score_corpus` with the state carried over from each sequence to the next."""
        return self.score_corpus(corpus.carried())

    @property
    def reads_spelling(self) -> bool:
        """Whether the base model does."""
        return self.base.reads_spelling

    @property
    def n_parameters(self) -> int:
        """The parameters of the base, plus the decay and the weight."""
        return self.base.n_parameters + 2

    @staticmethod
    def _mix(base: FloatArray, cache: FloatArray, weight: float) -> FloatArray:
        if weight == 0:
            return base
        mixed: FloatArray = np.logaddexp(base + np.log1p(-weight), cache + np.log(weight))
        return mixed

    def get_params(self) -> dict[str, Any]:
        """See `Configurable`; a decay or weight that was tuned is None."""
        return {"base": self.base, "decay": self._given[0], "weight": self._given[1]}

    def config(self) -> dict[str, Any]:
        return {
            "base": part_config(self.base),
            "decay": self.decay,
            "weight": self.weight,
            "given": self._given,
        }

    def arrays(self) -> dict[str, Array]:
        return part_arrays({"base": self.base})

    @classmethod
    def restore(cls, config: dict[str, Any], arrays: Mapping[str, Array], reading: Reading) -> Self:
        check_values(config, {"decay": float, "weight": float, "given": list[float | None]})
        base = restore_part("base", config["base"], arrays, reading)
        model = cls(base, float(config["decay"]), float(config["weight"]))
        given: Sequence[float | None] = config["given"]
        model._given = (given[0], given[1])
        return model


@dataclass(frozen=True, eq=False)
class Cached:
    """A cache after `age` tokens: the decayed `counts` by token id, (V,)."""

    counts: FloatArray
    age: int

    def after(self, tokens: IntArray, decay: float) -> "Cached":
        """The cache after the further tokens (n,)."""
        n = len(tokens)
        weights = decay ** np.arange(n - 1, -1, -1, dtype=np.float64)
        counts = self.counts * decay**n
        counts += np.bincount(tokens, weights, len(counts))
        return Cached(counts, self.age + n)


def cache_scores(sequences: Sequences, decay: float, before: Cached | None = None) -> FloatArray:
    """Log p of every target under the cache alone, nats, (sequences.n_tokens,).

    -inf for a token that is not in the cache, NaN where the cache is empty. `before` is the cache
    at the beginning, if the sequences continue one document.
    """
    targets = sequences.targets.astype(np.int64)
    n = len(targets)
    position = np.arange(n)
    lengths = np.array([len(inputs) for inputs, _ in sequences.streams()], np.int64)
    sequence = np.repeat(np.arange(len(lengths)), lengths)
    age = position - np.repeat(np.cumsum(lengths) - lengths, lengths)
    # Occurrences of one token in one sequence become neighbours, in the order of the text.
    key = sequence * (int(targets.max(initial=0)) + 1) + targets
    order = np.argsort(key, kind="stable")
    again = np.zeros(n, np.bool_)
    again[1:] = key[order][1:] == key[order][:-1]
    gap = np.diff(position[order], prepend=0)
    # after[j] = 1 + decay^gap[j] after[j-1] within a run of one token: an inclusive scan whose
    # reach doubles at every step.
    factor = np.where(again, decay ** np.where(again, gap, 0).astype(np.float64), 0.0)
    after = np.ones(n)
    first = np.zeros(n)  # a token's first occurrence finds what `before` holds
    if before is not None:
        here = order[~again]
        first[~again] = before.counts[targets[here]] * decay ** here.astype(np.float64)
        after += decay * first
        age = age + before.age
    reach, span = factor.copy(), 1
    while span < n and reach.max() > 1e-17:
        after[span:] += reach[span:] * after[:-span]
        reach[span:] *= reach[:-span].copy()
        reach[:span] = 0.0
        span *= 2
    count = np.zeros(n)
    count[order] = first
    count[order[1:]] += np.where(again[1:], factor[1:] * after[:-1], 0.0) / decay
    total = age if decay == 1 else (1 - decay**age) / (1 - decay)
    with np.errstate(divide="ignore", invalid="ignore"):
        scores: FloatArray = np.log(count) - np.log(total)
    scores[age == 0] = np.nan
    return scores
