"""N-gram tables as an automaton: one node is the whole context.

A node is the longest suffix of the context that can affect later probabilities. A word is looked up
after it; if it is not found, a link leads to the next shorter context (Aho and Corasick 1975,
"Efficient string matching"). A word takes two look-ups on average whatever the order, where the
states of `NGramTables`, with a node for each length, take one for each length.
"""

import numpy as np

from langmodels.arrays import IntArray
from langmodels.ngram.lookup import find_children
from langmodels.ngram.tables import NGramTables
from langmodels.ngram.trie import parents_of
from langmodels.text.vocabulary import Vocabulary

ROOT = 0
"""The empty context."""
_NGRAM = np.dtype([("log_prob", np.float32), ("following", np.int32)])
_CONTEXT = np.dtype([("start", np.int32), ("link", np.int32), ("backoff", np.float32)])


class Automaton:
    """The n-grams of tables, numbered through: the root, then order after order.

    The tables must have no `unseen_backoff`. Their arrays are copied: 12 bytes per n-gram of order
    N and 24 per other. As in ARPA files, the unigram `<s>` has log p = 0.
    """

    def __init__(self, tables: NGramTables) -> None:
        self.begins: list[int] = (1 + np.cumsum([0, *tables.sizes])).tolist()
        """Node of the first n-gram of each order, and the number of nodes."""
        words = np.concatenate([np.zeros(1, np.int32), *tables.words])
        log_prob = np.concatenate([np.zeros(1, np.float32), *tables.log_prob])
        log_prob[1 + Vocabulary.bos_id] = 0.0
        backoff = np.concatenate([np.zeros(1, np.float32), *tables.backoff])
        begins = [s[:-1] + at for s, at in zip(tables.child_start, self.begins[1:], strict=False)]
        starts = np.concatenate([[1], *begins, self.begins[-1:]]).astype(np.int32)
        links = self._links(tables, starts, words)
        # An n-gram without children whose back-off weight is one need not be a context.
        matters = (backoff != 0) | (starts[1:] > starts[:-1])
        following = np.arange(len(words), dtype=np.int32)
        for k in range(1, tables.order + 1):
            level = slice(self.begins[k - 1], self.begins[k])
            links[level] = following[links[level]]
            if k < tables.order:
                following[level] = np.where(matters[level], following[level], links[level])
            else:
                following[level] = links[level]
        self.words = words
        """The last words of n-grams, (nodes,)."""
        self.ngrams = np.empty(len(words), _NGRAM)
        """`log_prob` of the last word of every n-gram given those before it, nats, and the context
        `following` it, (nodes,)."""
        self.ngrams["log_prob"], self.ngrams["following"] = log_prob, following
        self.contexts = np.zeros(len(starts), _CONTEXT)
        """Of every context, (contexts + 1,): its first child is at `start`, before that of the next
        one stands its last; `link` is the longest shorter context, and going there has the log
        factor `backoff`, nats."""
        self.contexts["start"] = starts
        self.contexts["link"][:-1], self.contexts["backoff"][:-1] = links[: len(backoff)], backoff

    def _links(self, tables: NGramTables, starts: IntArray, words: IntArray) -> IntArray:
        """The node of the longest stored proper suffix of every n-gram, (nodes,)."""
        links = np.zeros(self.begins[-1], np.int32)
        for k in range(2, tables.order + 1):
            level = slice(self.begins[k - 1], self.begins[k])
            last = words[level]
            context: IntArray = links[parents_of(tables, k) + self.begins[k - 2]]
            todo = np.arange(len(last))
            while len(todo):
                found = find_children(starts, words, context, last[todo])
                found[context == ROOT] = last[todo[context == ROOT]] + 1
                links[level][todo] = found
                missing = np.flatnonzero(found < 0)  # the suffix was pruned
                todo, context = todo[missing], links[context[missing]]
        return links
