"""Relative-entropy pruning: drop the n-grams whose probability backing off gives almost as well."""

import numpy as np

from langmodels.arguments import checked
from langmodels.arrays import BoolArray, FloatArray, IntArray
from langmodels.errors import LangmodelsError, UsageError
from langmodels.ngram.building import select
from langmodels.ngram.model import NGramModel
from langmodels.ngram.tables import NGramTables
from langmodels.ngram.trie import child_sums, parents_of, suffixes_of
from langmodels.text.vocabulary import Vocabulary


@checked
def prune(
    model: NGramModel, threshold: float | None = None, *, max_ngrams: int | None = None
) -> NGramModel:
    """A smaller model, without the n-grams that change its distributions least.

    With `threshold`, an n-gram is dropped if that raises the perplexity, on text drawn from the
    model itself, by a factor of less than 1 + `threshold`. With `max_ngrams`, the n-grams that
    matter least are dropped until at most so many are left. Back-off weights are recomputed, so
    that every distribution sums to one. Stolcke 1998, "Entropy-based Pruning of Backoff Language
    Models", equations 5 to 7.

    Prefixes and suffixes of kept n-grams are kept, so that every tool can read the result, and so
    are all unigrams.

    Raises UsageError unless exactly one of the two limits is given and in range, and for a model
    whose scores are not probabilities.
    """
    if (threshold is None) == (max_ngrams is None):
        raise UsageError("Give either a threshold or a number of n-grams to prune to.")
    if threshold is not None and not threshold >= 0:
        raise UsageError(f"The threshold of pruning must be 0 or more, not {threshold}.")
    if not model.is_distribution or model.tables.unseen_backoff:
        raise UsageError("Stupid backoff cannot be pruned: its scores are not probabilities.")
    tables = model.tables
    if max_ngrams is not None and max_ngrams < tables.vocabulary_size:
        raise UsageError(
            f"The model has {tables.vocabulary_size} unigrams, which all stay; "
            f"it cannot be pruned to {max_ngrams} n-grams."
        )
    needed = importance(tables, model.vocabulary.eos_id)
    if threshold is None:
        rest = np.concatenate([np.empty(0), *needed[1:]])
        n_kept = int(max_ngrams or 0) - tables.vocabulary_size
        # The lowest importance that is kept; of several equal ones at the limit none is.
        limit = (
            np.partition(rest, len(rest) - n_kept - 1)[-n_kept - 1] if n_kept < len(rest) else -1
        )
        keep = [values > limit for values in needed]
    else:
        limit = np.log1p(threshold)
        keep = [values >= limit for values in needed]
    keep[0][:] = True
    pruned = _without(tables, keep)
    smaller = NGramModel.from_tables(pruned, model.reading, smoothing=model.smoothing)
    smaller.fitted = model.fitted
    return smaller


def importance(tables: NGramTables, eos_id: int | None = 2) -> list[FloatArray]:
    """By order, (n_k,): the cost in nats per token of dropping each n-gram.

    It is the relative entropy between the models with and without the n-gram, and at least the cost
    of every n-gram of which it is prefix or suffix. Infinite for unigrams.
    """
    suffixes = suffixes_of(tables)
    cost: list[FloatArray] = [np.full(tables.vocabulary_size, np.inf)]
    history = tables.log_prob[0].astype(np.float64)
    # p(<s>) = p(</s>), as sentences begin as often as they end; a stream begins once.
    rarest = history[np.isfinite(history)].min()
    history[Vocabulary.bos_id] = rarest if eos_id is None else history[eos_id]
    for k in range(2, tables.order + 1):
        parents = parents_of(tables, k)
        log_p = tables.log_prob[k - 1].astype(np.float64)
        lower = _lower(tables, k, suffixes[k - 1])
        backoff = tables.backoff[k - 2].astype(np.float64)
        p, p_lower = np.exp(log_p), np.exp(lower)
        left = np.maximum(1 - child_sums(tables, k, p), 1e-12)[parents]
        left_lower = np.maximum(1 - child_sums(tables, k, p_lower), 1e-12)[parents]
        new_backoff = np.log(left + p) - np.log(left_lower + p_lower)
        with np.errstate(invalid="ignore"):
            loss = p * (log_p - lower - new_backoff)
            # Without probability left to back off with, the back-off weight does not matter.
            rest = np.where(left > 1e-9, left * (backoff[parents] - new_backoff), 0.0)
        loss = np.exp(history[parents]) * (np.where(p > 0, loss, 0.0) + rest)
        # Rounding can make a loss of zero negative.
        cost.append(np.maximum(loss, 0.0))
        history = history[parents] + log_p
    for k in range(tables.order, 2, -1):
        np.maximum.at(cost[k - 2], parents_of(tables, k), cost[k - 1])
        known = suffixes[k - 1] >= 0
        np.maximum.at(cost[k - 2], suffixes[k - 1][known], cost[k - 1][known])
    return cost


def _lower(tables: NGramTables, order: int, suffixes: IntArray) -> FloatArray:
    """(n_k,) log p in nats of the last word of each k-gram, given its context without the first
    word.
    """
    known = suffixes >= 0
    if not known.all():
        raise LangmodelsError("The model lacks the suffix of an n-gram that it has.")
    return tables.log_prob[order - 2][suffixes].astype(np.float64)


def _without(tables: NGramTables, keep: list[BoolArray]) -> NGramTables:
    """The tables of the n-grams in `keep`, with new back-off weights for contexts that lost some.

    Prefixes and suffixes of kept n-grams must be kept.
    """
    smaller = select(tables, keep)
    backoff = smaller.backoff
    suffixes = suffixes_of(smaller)
    for k in range(2, tables.order + 1):
        before = np.diff(tables.child_start[k - 2])[keep[k - 2]]
        changed = np.diff(smaller.child_start[k - 2]) != before
        weights = normalizing_backoff(smaller, k, suffixes[k - 1])
        backoff[k - 2] = np.where(changed, weights, backoff[k - 2]).astype(np.float32)
    return smaller


def normalizing_backoff(tables: NGramTables, order: int, suffixes: IntArray) -> FloatArray:
    """(n_{k-1},) the back-off weights in nats with which the distributions after (k-1)-grams sum to
    one.

    alpha(h) = (1 - sum p(w | h)) / (1 - sum p(w | h')), both sums over the w stored after h. Zero
    (a factor of one) for contexts without stored n-grams.
    """
    left = 1 - child_sums(tables, order, np.exp(tables.log_prob[order - 1].astype(np.float64)))
    lower = np.exp(_lower(tables, order, suffixes))
    left_lower = 1 - child_sums(tables, order, lower)
    # If every word is stored after a context, no probability is left to back off with.
    nothing = (left <= 1e-9) | (left_lower <= 1e-9)
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = np.log(left) - np.log(left_lower)
    childless = np.diff(tables.child_start[order - 2]) == 0
    result: FloatArray = np.where(nothing, -99 * np.log(10), weights)
    result[childless] = 0.0
    return result
