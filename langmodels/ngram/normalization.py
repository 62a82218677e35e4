"""Sums of the scores of back-off tables over all words, and renormalising them."""

import numpy as np

from langmodels.arrays import FloatArray
from langmodels.errors import LangmodelsError
from langmodels.ngram.tables import NGramTables
from langmodels.ngram.trie import child_sums, next_suffixes


def context_sums(tables: NGramTables) -> list[FloatArray]:
    """Z(c), the sum over all words w of S(w | c), for every stored context c.

    Returned by the length j of contexts, 0 to N-1: (n_j,), and (1,) for the empty context. Z(c)
    follows from that of c', the context without its first word: Z(c) = sum of S(w | c) over the
    words stored after c + backoff(c) (Z(c') - sum of S(w | c') over these words). Raises
    LangmodelsError where the suffix of an n-gram is not stored.
    """
    scores = np.exp(tables.log_prob[0], dtype=np.float64)
    sums = [scores.sum(keepdims=True)]
    suffixes = np.zeros(tables.vocabulary_size, np.int32)  # ids of the contexts: the empty one
    for k in range(2, tables.order + 1):
        above = next_suffixes(tables, k, suffixes)  # the ids of the n-grams c'w
        if len(above) and above.min() < 0:
            raise LangmodelsError("the tables lack the suffix of an n-gram that they have.")
        rest = sums[-1][suffixes] - child_sums(tables, k, scores[above])
        scores = np.exp(tables.log_prob[k - 1], dtype=np.float64)
        # Rounding may leave a negative rest.
        passed_on = np.exp(tables.backoff[k - 2], dtype=np.float64) * np.maximum(rest, 0)
        sums.append(child_sums(tables, k, scores) + passed_on)
        suffixes = above
    return sums


def normalized(tables: NGramTables) -> NGramTables:
    """Tables whose distribution after every context is proportional to the scores of the given
    ones.
    """
    with np.errstate(divide="ignore"):
        log_z = [np.log(z) for z in context_sums(tables)]
    log_prob = [(tables.log_prob[0] - log_z[0]).astype(np.float32)]
    backoff = []
    suffixes = np.zeros(tables.vocabulary_size, np.int32)
    for k in range(2, tables.order + 1):
        own = np.repeat(log_z[k - 1], np.diff(tables.child_start[k - 2]))
        log_prob.append((tables.log_prob[k - 1] - own).astype(np.float32))
        weight = tables.backoff[k - 2] + log_z[k - 2][suffixes] - log_z[k - 1]
        backoff.append(weight.astype(np.float32))
        suffixes = next_suffixes(tables, k, suffixes)
    return NGramTables(tables.words, tables.child_start, log_prob, backoff)
