"""Making scores of back-off tables into probabilities."""

import numpy as np

from langmodels.ngram.tables import NGramTables
from langmodels.ngram.trie import parents_of, suffixes_of


def normalized(tables: NGramTables) -> NGramTables:
    """Tables of the distribution that is proportional to the given scores, after every context.

    The sum of the scores after a context c follows from that after the shorter c':
    Z(c) = sum of S(w | c) over the words stored after c + backoff(c) (Z(c') - sum of S(w | c') over
    these words). Exact where the suffixes of all n-grams are stored, as smoothing methods do.
    """
    suffixes = suffixes_of(tables)
    log_prob, backoff = [], []
    with np.errstate(divide="ignore"):
        scores = np.exp(tables.log_prob[0], dtype=np.float64)
        log_z = np.log(scores.sum(keepdims=True))  # of the one empty context
        log_prob.append((tables.log_prob[0] - log_z).astype(np.float32))
        for k in range(2, tables.order + 1):
            parents = parents_of(tables, k)
            n_contexts = len(tables.words[k - 2])
            shorter = suffixes[k - 2] if k > 2 else np.zeros(n_contexts, np.int32)
            lower = scores[suffixes[k - 1]]
            scores = np.exp(tables.log_prob[k - 1], dtype=np.float64)
            weight = tables.backoff[k - 2].astype(np.float64)
            rest = np.exp(log_z[shorter]) - np.bincount(parents, lower, n_contexts)
            z = np.bincount(parents, scores, n_contexts) + np.exp(weight) * np.maximum(rest, 0)
            log_lower, log_z = log_z, np.log(z)
            log_prob.append((tables.log_prob[k - 1] - log_z[parents]).astype(np.float32))
            backoff.append((weight + log_lower[shorter] - log_z).astype(np.float32))
    return NGramTables(tables.words, tables.child_start, log_prob, backoff)
