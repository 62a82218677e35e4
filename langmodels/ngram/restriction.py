"""N-gram models of fewer words: those of a list, with or without the probability of the others."""

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
"""What a sum of probabilities is at least; rounding may leave less."""


@checked
def restrict(model: NGramModel, words: Iterable[str], *, unnormalized: bool = False) -> NGramModel:
    """A model that knows only those of its words that are in a list.

    N-grams of these words, and of `<unk>`, `<s>` and `</s>`, keep their probabilities and back-off
    weights, so that text of these words has the probability that it had. To `<unk>` goes what all
    other words had, in every context: the distributions still sum to one, and there is an n-gram
    more for every context after which something was left out.

    With `unnormalized` there is none, and `<unk>` is as before: the probabilities then sum to less
    than one. This is what KenLM's `filter` does.

    Raises UsageError where none of the words is known, or scores are not probabilities to begin
    with.
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
    """(V,) which tokens stay."""
    ids = {vocabulary.id(word) for word in words if word not in (UNK, BOS, EOS)}
    ids -= {Vocabulary.unk_id}
    if not ids:
        raise UsageError("The model knows none of the words that it is to be restricted to.")
    kept = np.zeros(len(vocabulary), np.bool_)
    kept[: vocabulary.n_special] = True
    kept[list(ids)] = True
    return kept


@checked
def close(model: NGramModel) -> NGramModel:
    """The model of a closed vocabulary: `<unk>` has probability zero after every context.

    What it had goes to the other words in proportion, p(w | c) / (1 - p(<unk> | c)), so that the
    distributions still sum to one. Raises UsageError where scores are not probabilities to begin
    with, or nothing but `<unk>` may follow a context.
    """
    if not model.is_distribution or model.tables.unseen_backoff:
        raise UsageError("A closed vocabulary needs probabilities; this model's scores are none.")
    tables = _with_suffixes(model.tables)
    suffixes = suffixes_of(tables)
    unk = np.exp(tables.log_prob[0][[Vocabulary.unk_id]].astype(np.float64))
    contexts = np.zeros(len(tables.words[0]), np.int32)
    log_prob: list[Float32Array] = []
    backoff: list[Float32Array] = []
    for k in range(1, tables.order + 1):
        # `unk`: its probability after each context of k - 1 words, which `contexts` number.
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
    """Log of what all words but `<unk>` have, after contexts where that has so much, (n,)."""
    if (unk >= 1).any():
        raise UsageError(
            "The vocabulary cannot be closed: after some contexts nothing but <unk> was seen; use "
            "a smoothing method."
        )
    return np.log1p(-unk)


def _with_suffixes(tables: NGramTables) -> NGramTables:
    """The tables with the suffixes of all their n-grams, which pruning may have left out."""
    if all((s >= 0).all() for s in suffixes_of(tables)):
        return tables
    rows = [ngram_words(tables, k, slice(None)) for k in range(1, tables.order + 1)]
    return tables_from_ngrams(rows, tables.log_prob, tables.backoff, tables.vocabulary_size)


Gains = list[tuple[IntArray, FloatArray]]
"""By length of contexts: which of them need an n-gram for `<unk>`, and its probability."""


def _unknown(tables: NGramTables, kept: BoolArray) -> Gains:
    """What `<unk>` has after every context once it stands for all that is left out.

    m(c) = sum over w left out and stored after c of (p(w | c) - b(c) p(w | c')) + b(c) m(c'), with
    the back-off weight b: where nothing is, backing off already gives it.
    """
    out = ~kept
    out[Vocabulary.unk_id] = True
    suffixes = suffixes_of(tables)
    p = np.exp(tables.log_prob[0].astype(np.float64))
    # What is zero is not to become what rounding may leave at least.
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
    """The n-grams of the tokens that stay, and those of `gains`."""
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
            weights = np.zeros(len(new), np.float32)  # nothing follows what is new
            backoff.append(np.concatenate([tables.backoff[k - 1][stays], weights]))
        contexts = ngrams
    smaller = tables_from_ngrams(rows, log_prob, backoff, int(kept.sum()))
    return replace(smaller, unseen_backoff=tables.unseen_backoff)
