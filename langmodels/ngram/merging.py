"""Merging n-gram models into one, and adapting a large model to a small text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from langmodels.arguments import checked
from langmodels.arrays import Array, BoolArray, FloatArray, IndexArray, IntArray
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.mixture_weights import check_weights, em_weights, log_mean
from langmodels.ngram.model import NGramModel
from langmodels.ngram.pruning import normalizing_backoff
from langmodels.ngram.tables import NGramTables
from langmodels.ngram.trie import next_suffixes, parents_of, starts_of
from langmodels.text.corpus import Corpus
from langmodels.text.tokenization import WhitespaceTokenizer
from langmodels.text.vocabulary import Vocabulary

ADAPTATION = (0.01, 0.99)
"""Bounds of the interpolation weights that `adapt` chooses."""


@checked
def merge(
    models: Sequence[NGramModel],
    weights: Sequence[float] | None = None,
    *,
    validation: Corpus | None = None,
) -> NGramModel:
    """One back-off model that approximates the linear interpolation of several.

    It stores the union of their n-grams, each with its interpolated probability, and back-off
    weights with which every distribution sums to one; Stolcke 2002, "SRILM - an extensible language
    modeling toolkit", section 3.1. The vocabulary is the union: words that a model does not know
    have probability zero in it (its `<unk>` keeps its own).

    `weights`, one per model, are scaled to sum to one; None: fitted by EM to `validation` (in any
    vocabulary), or equal without it.

    Raises UsageError for models that cannot be merged (stupid backoff; some with `</s>` and some
    without; different tokenizers), and for invalid weights.
    """
    if not models:
        raise UsageError("There is nothing to merge: give at least one model.")
    for model in models:
        if not isinstance(model, NGramModel) or model.tables.unseen_backoff:
            raise UsageError("Only n-gram models of probabilities can be merged.")
        if model.vocabulary.ends != models[0].vocabulary.ends:
            raise UsageError("Models of lines and models of streams cannot be merged.")
    # A model from a foreign ARPA file is of pre-tokenized words, and fits any tokenizer.
    cut = [m.tokenizer for m in models if not isinstance(m.tokenizer, WhitespaceTokenizer)]
    if len(set(cut)) > 1:
        ways = " and ".join(map(repr, dict.fromkeys(cut)))
        raise UsageError(f"These models cut text in different ways ({ways}); they do not merge.")
    vocabulary = union_vocabulary([m.vocabulary for m in models])
    if weights is not None:
        shares = check_weights(weights, len(models))
    elif validation is not None:
        shares = _weights(models, validation)
    else:
        shares = check_weights(None, len(models))
    tables = merge_tables(
        [m.tables for m in models],
        [vocabulary_map(m.vocabulary, vocabulary) for m in models],
        len(vocabulary),
        shares,
    )
    reading = replace(models[0].reading, vocabulary=vocabulary)
    merged = NGramModel.from_tables(tables, reading, smoothing="given")
    merged.fitted = {"weights": [shares.tolist()]}
    return merged


@checked
def adapt(
    model: NGramModel,
    corpus: Corpus,
    validation: Corpus | None = None,
    *,
    smoothing: str = "modified_kneser_ney",
) -> NGramModel:
    """A large model adapted to a small text: its merger with a model of that text.

    `corpus` has its own vocabulary, whose words are added. The weight is fitted by EM to
    `validation`; without it to the last tenth of the corpus, using a small model of the rest, after
    which the small model is fitted to the whole corpus. The weight is clipped to `ADAPTATION`,
    since so small a text may suggest forgetting the large model altogether.
    """
    if validation is None:
        part = corpus.head(corpus.n_tokens * 9 // 10)
        validation = _after(corpus, part)
        if validation is None:
            raise LangmodelsError(
                "The text is too small to adapt to: it cannot be divided into a part to learn "
                "from and a part to find the weight on."
            )
        tried = NGramModel(model.order, smoothing).fit(part)
        small = NGramModel(model.order, smoothing).fit(corpus)
    else:
        tried = small = NGramModel(model.order, smoothing).fit(corpus)
    weights = np.clip(_weights([model, tried], validation), *ADAPTATION)
    return merge([model, small], weights.tolist())


def _weights(models: Sequence[NGramModel], validation: Corpus) -> FloatArray:
    """Interpolation weights, (K,), fitted by EM to a text in any vocabulary."""
    vocabulary = union_vocabulary([m.vocabulary for m in models])
    text = in_vocabulary(validation, vocabulary)
    return em_weights(np.stack([score_in(model, text) for model in models]))


def _after(corpus: Corpus, head: Corpus) -> Corpus | None:
    """The sequences of a corpus after its first ones, `head`; None if there are none."""
    start = len(head.ids)
    if start >= len(corpus.ids):
        return None
    ids, offsets = corpus.ids[start:], corpus.offsets[corpus.offsets >= start] - start
    if not corpus.vocabulary.ends and ids[0] != Vocabulary.bos_id:
        ids = np.insert(ids, 0, Vocabulary.bos_id)
        offsets = np.append(0, offsets + 1)
    return replace(corpus, held=ids, offsets=offsets, text=None)


# Vocabularies --------------------------------------------------------------------------------


def union_vocabulary(vocabularies: Sequence[Vocabulary]) -> Vocabulary:
    """The union of vocabularies; tokens of the first keep their ids."""
    if all(v == vocabularies[0] for v in vocabularies[1:]):
        return vocabularies[0]
    tokens = (t for v in vocabularies for t in v.tokens[v.n_special :])
    return Vocabulary(tokens, ends=vocabularies[0].ends)


def vocabulary_map(inner: Vocabulary, outer: Vocabulary) -> IntArray:
    """The id in `outer` of each token of `inner`, (len(inner),); 0 (`<unk>`) for one that it
    lacks.
    """
    ids = outer.encode(inner.tokens)
    ids[: inner.n_special] = np.arange(inner.n_special)
    return ids


def in_vocabulary(corpus: Corpus, vocabulary: Vocabulary) -> Corpus:
    """A corpus re-encoded in another vocabulary, with `<unk>` for tokens that this lacks."""
    if corpus.vocabulary.ends != vocabulary.ends:
        raise UsageError("The text has line ends and the model has not, or the other way round.")
    ids = vocabulary_map(corpus.vocabulary, vocabulary)[corpus.ids]
    return replace(corpus, held=ids, reading=replace(corpus.reading, vocabulary=vocabulary))


def score_in(model: NGramModel, corpus: Corpus) -> FloatArray:
    """Log p of every target in nats, (corpus.n_tokens,); -inf for words that the model does not
    know but the corpus's vocabulary does.
    """
    inner = in_vocabulary(corpus, model.vocabulary)
    scores = model.score_corpus(inner)
    scores[(inner.targets == Vocabulary.unk_id) & (corpus.targets != Vocabulary.unk_id)] = -np.inf
    return scores


# Tables --------------------------------------------------------------------------------------


@dataclass
class _Part:
    """One of the models during the merger, order by order."""

    tables: NGramTables
    new_ids: IndexArray
    """(n_k,) the id in the merged tables of each of the model's k-grams."""
    nodes: IntArray
    """(merged n_k,) the model's id of each merged k-gram; -1 where it has none."""
    log_p: FloatArray
    """(merged n_k,) the model's log p, stored or backed off to, of each merged k-gram."""


def merge_tables(
    tables: Sequence[NGramTables],
    word_maps: Sequence[IntArray],
    vocabulary_size: int,
    weights: FloatArray,
) -> NGramTables:
    """Merged tables; see `merge`.

    `word_maps`: for each model, the id in the merged vocabulary of each of its words.
    """
    parts = []
    for table, words in zip(tables, word_maps, strict=True):
        log_p = np.full(vocabulary_size, -np.inf)
        log_p[words] = table.log_prob[0]
        nodes = np.full(vocabulary_size, -1, np.int32)
        nodes[words] = np.arange(len(words))
        parts.append(_Part(table, words.astype(np.int64), nodes, log_p))
    merged = NGramTables(
        [np.arange(vocabulary_size, dtype=np.int32)],
        [],
        [_mixed(parts, weights)],
        [],
    )
    suffix = np.empty(0, np.int32)
    for k in range(2, max(t.order for t in tables) + 1):
        keys = _union_keys(parts, word_maps, k, vocabulary_size)
        parents = keys // vocabulary_size
        merged.words.append((keys % vocabulary_size).astype(np.int32))
        merged.child_start.append(starts_of(np.bincount(parents, minlength=merged.sizes[k - 2])))
        suffix = next_suffixes(merged, k, suffix)
        # Where no part has any probability to back off with, rounding must not leave some.
        shut = np.ones(merged.sizes[k - 2], np.bool_)
        for part, weight in zip(parts, weights.tolist(), strict=True):
            shut &= (weight == 0) | _is_shut(part, k)
            _extend(part, k, parents, suffix, len(keys))
        merged.log_prob.append(_mixed(parts, weights))
        backoff = np.where(shut, -np.inf, normalizing_backoff(merged, k, suffix))
        merged.backoff.append(backoff.astype(np.float32))
    return merged


def _mixed(parts: Sequence[_Part], weights: FloatArray) -> NDArray[np.float32]:
    return log_mean([part.log_p for part in parts], weights).astype(np.float32)


def _union_keys(
    parts: Sequence[_Part], word_maps: Sequence[IntArray], order: int, vocabulary_size: int
) -> IndexArray:
    """Merged parent * V + word of the n-grams of an order, sorted; leaves each part's `new_ids`."""
    keys: list[IndexArray] = []
    for part, words in zip(parts, word_maps, strict=True):
        if order > part.tables.order:
            keys.append(np.empty(0, np.int64))
            continue
        parents = part.new_ids[parents_of(part.tables, order)]
        keys.append(parents * vocabulary_size + words[part.tables.words[order - 1]])
    union = np.unique(np.concatenate(keys))
    for part, own in zip(parts, keys, strict=True):
        part.new_ids = np.searchsorted(union, own)
    return union


def _is_shut(part: _Part, order: int) -> BoolArray:
    """(merged n_{order-1},) whether a part gives unseen words probability zero after each
    context.
    """
    if order > part.tables.order:
        return np.zeros(len(part.nodes), np.bool_)
    weights = np.append(part.tables.backoff[order - 2], np.float32(0))
    shut: BoolArray = np.isneginf(weights)[part.nodes]  # index -1 reads the appended 0
    return shut


def _extend(part: _Part, order: int, parents: Array, suffix: IntArray, size: int) -> None:
    """Compute a part's `nodes` and `log_p` of an order from those of the order below."""
    context = part.nodes[parents]
    log_p = part.log_p[suffix]
    if order <= part.tables.order:
        weights = np.append(part.tables.backoff[order - 2], np.float32(0))
        log_p = log_p + weights[context]  # index -1 reads the appended 0
        log_p[part.new_ids] = part.tables.log_prob[order - 1]
    part.nodes = np.full(size, -1, np.int32)
    part.nodes[part.new_ids] = np.arange(len(part.new_ids))
    part.log_p = log_p
