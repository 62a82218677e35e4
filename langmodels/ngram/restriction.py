"""Restricting the vocabulary of n-gram models: to a list of words, or by closing it."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from langmodels.arguments import checked
from langmodels.arrays import BoolArray, FloatArray, IntArray
from langmodels.errors import UsageError
from langmodels.ngram.building import tables_from_ngrams
from langmodels.ngram.model import NGramModel
from langmodels.ngram.tables import Float32Array, NGramTables
from langmodels.ngram.trie import child_sums, ngram_words, parents_of, suffixes_of
from langmodels.text.vocabulary import BOS, EOS, UNK, Vocabulary

_LEAST = 1e-12
"""A lower bound on sums of probabilities, against rounding."""


@checked
def restrict(model: NGramModel, words: Iterable[str], *, unnormalized: bool = False) -> NGramModel:
    """A model whose vocabulary is reduced to the words in a list.

    N-grams of these words, `<unk>`, `<s>` and `</s>` keep their probabilities and back-off weights,
    so that the probability of text in these words is unchanged. In every context `<unk>` receives
    the probability of all words removed: distributions still sum to one, at the price of an n-gram
    with `<unk>` for every context that lost some.

    With `unnormalized`, as in KenLM's `filter`, `<unk>` is unchanged and distributions sum to less
    than one.

    Raises UsageError if the model knows none of the words, or its scores are not probabilities.
    """
    kept = _kept(model.vocabulary, words)
    if not unnormalized and (not model.is_distribution or model.tables.unseen_backoff):
        raise UsageError(
            "The probabilities of the model do not sum to one, so that nothing can be said of what "
            "is left out; restrict it unnormalized (--unnormalized)."
        )
    tables = _with_suffixes(model.tables)
    gains = None if unnormalized else _unknown(tables, kept)
    vocabulary = Vocabulary(
        (t for t, k in zip(model.vocabulary.tokens, kept.tolist(), strict=True) if k),
        ends=model.vocabulary.ends,
    )
    smaller = NGramModel.from_tables(
        _restricted(tables, kept, gains),
        replace(model.reading, vocabulary=vocabulary),
        smoothing="given",
    )
    smaller.is_distribution = not unnormalized  # type: ignore[misc]
    return smaller


def _kept(vocabulary: Vocabulary, words: Iterable[str]) -> BoolArray:
    """(V,) which tokens are kept."""
    ids = {vocabulary.id(word) for word in words if word not in (UNK, BOS, EOS)}
    ids -= {Vocabulary.unk_id}
    if not ids:
        raise UsageError("The model knows none of the words in the list.")
    kept = np.zeros(len(vocabulary), np.bool_)
    kept[: vocabulary.n_special] = True
    kept[list(ids)] = True
    return kept


@checked
def close(model: NGramModel) -> NGramModel:
    """The model of a closed vocabulary: `<unk>` has probability zero after every context.

    Other words are renormalised to p(w | c) / (1 - p(<unk> | c)). Raises UsageError if the scores
    of the model are not probabilities, or p(<unk> | c) is 1 for some context.
    """
    if not model.is_distribution or model.tables.unseen_backoff:
        raise UsageError(
            "A vocabulary can be closed only in a model whose scores are probabilities."
        )
    tables = _with_suffixes(model.tables)
    suffixes = suffixes_of(tables)
    unk = np.exp(tables.log_prob[0][[Vocabulary.unk_id]].astype(np.float64))
    contexts = np.zeros(len(tables.words[0]), np.int32)
    log_prob: list[Float32Array] = []
    backoff: list[Float32Array] = []
    for k in range(1, tables.order + 1):
        # `unk` is p(<unk> | c) of each context c of k - 1 words, `contexts` the context of each
        # k-gram.
        rest = _rest(unk)
        log_p = tables.log_prob[k - 1] - rest[contexts]
        log_p[tables.words[k - 1] == Vocabulary.unk_id] = -np.inf
        log_prob.append(np.minimum(log_p, 0).astype(np.float32))
        if k == tables.order:
            break
        nodes = np.arange(len(tables.words[k - 1]))
        weight = tables.backoff[k - 1].astype(np.float64)
        shorter = np.zeros(len(nodes), np.int32) if k == 1 else suffixes[k - 1]
        longer = np.exp(weight) * unk[shorter]
        there = tables.find(k + 1, nodes, np.full(len(nodes), Vocabulary.unk_id, np.int32))
        longer[there >= 0] = np.exp(tables.log_prob[k][there[there >= 0]].astype(np.float64))
        backoff.append((weight + rest[shorter] - _rest(longer)).astype(np.float32))
        unk, contexts = longer, parents_of(tables, k + 1)
    return NGramModel.from_tables(
        replace(tables, log_prob=log_prob, backoff=backoff), model.reading, smoothing="given"
    )


def _rest(unk: FloatArray) -> FloatArray:
    """Log(1 - p(<unk> | c)) of contexts, (n,), from `unk`, their p(<unk> | c)."""
    if (unk >= 1).any():
        raise UsageError(
            "The vocabulary cannot be closed: after some contexts nothing but <unk> was seen; use "
            "a smoothing method."
        )
    return np.log1p(-unk)


def _with_suffixes(tables: NGramTables) -> NGramTables:
    """The tables, completed by the suffixes of all n-grams, which pruning may have dropped."""
    if all((s >= 0).all() for s in suffixes_of(tables)):
        return tables
    rows = [ngram_words(tables, k, slice(None)) for k in range(1, tables.order + 1)]
    return tables_from_ngrams(rows, tables.log_prob, tables.backoff, tables.vocabulary_size)


Gains = list[tuple[IntArray, FloatArray]]
"""By length of contexts: the contexts that need an n-gram for `<unk>`, and its log p."""


def _unknown(tables: NGramTables, kept: BoolArray) -> Gains:
    """The n-grams for `<unk>` that stand for all words left out.

    The probability left out after context c is m(c) = sum over w left out and stored after c of
    (p(w | c) - b(c) p(w | c')) + b(c) m(c'), with the back-off weight b. If no such w is stored,
    backing off gives it without an n-gram.
    """
    out = ~kept
    out[Vocabulary.unk_id] = True
    suffixes = suffixes_of(tables)
    p = np.exp(tables.log_prob[0].astype(np.float64))
    # A zero must stay zero, and not become the lower bound.
    positive = np.array([(p[out] > 0).any()])
    mass = np.array([p[out].sum()])
    gains: Gains = [(np.zeros(1, np.int32), _at_least(mass, positive))]
    for k in range(2, tables.order + 1):
        lower, p = p, np.exp(tables.log_prob[k - 1].astype(np.float64))
        weight = np.exp(tables.backoff[k - 2].astype(np.float64))
        here = out[tables.words[k - 1]]
        parents = parents_of(tables, k)
        gain = np.where(here, p - weight[parents] * lower[suffixes[k - 1]], 0.0)
        shorter = np.zeros(len(weight), np.int32) if k == 2 else suffixes[k - 2]
        mass = child_sums(tables, k, gain) + weight * mass[shorter]
        stored = child_sums(tables, k, (here & (p > 0)).astype(np.float64)) > 0
        positive = stored | ((weight > 0) & positive[shorter])
        some = np.flatnonzero(child_sums(tables, k, here.astype(np.float64)) > 0)
        gains.append((some.astype(np.int32), _at_least(mass, positive)[some]))
    return gains


def _at_least(mass: FloatArray, positive: BoolArray) -> FloatArray:
    return np.where(positive, np.clip(mass, _LEAST, 1.0), 0.0)


def _restricted(tables: NGramTables, kept: BoolArray, gains: Gains | None) -> NGramTables:
    """The tables of the n-grams in kept tokens, plus those of `gains`."""
    numbers = np.cumsum(kept, dtype=np.int32) - 1
    rows: list[IntArray] = []
    log_prob: list[Float32Array] = []
    backoff: list[Float32Array] = []
    contexts = np.empty((1, 0), np.int32)
    for k in range(1, tables.order + 1):
        ngrams = ngram_words(tables, k, slice(None))
        log_p = tables.log_prob[k - 1].astype(np.float64)
        new, new_log_p = np.empty((0, k), np.int32), np.empty(0)
        if gains is not None:
            where, p = gains[k - 1]
            unk = np.full(len(where), Vocabulary.unk_id, np.int32)
            there = unk if k == 1 else tables.find(k, where, unk)
            with np.errstate(divide="ignore"):
                gained = np.log(p)
            log_p[there[there >= 0]] = gained[there >= 0]
            new = np.column_stack([contexts[where], unk])[there < 0]
            sound = kept[new].all(axis=1)
            new, new_log_p = new[sound], gained[there < 0][sound]
        stays = kept[ngrams].all(axis=1)
        rows.append(numbers[np.concatenate([ngrams[stays], new])])
        log_prob.append(np.concatenate([log_p[stays], new_log_p]).astype(np.float32))
        if k < tables.order:
            weights = np.zeros(len(new), np.float32)  # the new n-grams have no children
            backoff.append(np.concatenate([tables.backoff[k - 1][stays], weights]))
        contexts = ngrams
    smaller = tables_from_ngrams(rows, log_prob, backoff, int(kept.sum()))
    return replace(smaller, unseen_backoff=tables.unseen_backoff)
