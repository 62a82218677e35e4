"""N-gram tables as an automaton, for asking word by word: one node is the whole context.

A context stands for the longest n-gram at its end that can matter to what comes. A word is looked
for after it, and where it is not found, a link leads to the longest shorter context (Aho and
Corasick 1975, "Efficient string matching"). So a word takes two look-ups on average, whatever the
order, where a state with a node for each length takes one for each of them.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable

import numpy as np

from langmodels.arrays import IntArray
from langmodels.ngram.lookup import find_children
from langmodels.ngram.tables import NGramTables
from langmodels.ngram.trie import parents_of
from langmodels.text.vocabulary import Vocabulary

ROOT = 0
"""The empty context."""


class Automaton:
    """All n-grams of some tables in one row of nodes: the root, then order after order.

    The tables must not charge for contexts that are not stored (`unseen_backoff`). Makes copies of
    their arrays, 12 bytes for each n-gram of order N and 24 for each other. As in ARPA files, `<s>`
    as a word has log p = 0: it costs what backing off to it costs.
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
        # What has no children and charges nothing for backing off is no context.
        matters = (backoff != 0) | (starts[1:] > starts[:-1])
        following = np.arange(len(words), dtype=np.int32)
        for k in range(1, tables.order + 1):
            level = slice(self.begins[k - 1], self.begins[k])
            links[level] = following[links[level]]
            if k < tables.order:
                following[level] = np.where(matters[level], following[level], links[level])
            else:
                following[level] = links[level]
        self.words = words.data
        """The last words of n-grams."""
        self.log_prob = log_prob.data
        """Log p of the last word given those before it, nats."""
        self.following = following.data
        """The context after every n-gram."""
        self.starts = starts.data
        """The first child of every context; before that of the next one stands its last."""
        self.backoff = backoff.data
        """Log factor of going from a context to its link, nats."""
        self.links = links[: len(backoff)].data
        """The longest shorter context of every context."""

    def _links(self, tables: NGramTables, starts: IntArray, words: IntArray) -> IntArray:
        """The longest proper suffix of every n-gram that is stored, (nodes,)."""
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
                missing = np.flatnonzero(found < 0)  # a suffix that was pruned away
                todo, context = todo[missing], links[context[missing]]
        return links

    def stepper(self) -> Callable[[int, int], tuple[float, int]]:
        """A function of a context and a word: log p in nats, and the n-gram that gave it.

        The context after that word is `following` of the n-gram.
        """
        words, log_prob, starts = self.words, self.log_prob, self.starts
        backoff, links = self.backoff, self.links

        def step(context: int, word: int) -> tuple[float, int]:
            log_p = 0.0
            while context:
                end = starts[context + 1]
                at = bisect_left(words, word, starts[context], end)
                if at < end and words[at] == word:
                    return log_p + log_prob[at], at
                log_p += backoff[context]
                context = links[context]
            return log_p + log_prob[word + 1], word + 1

        return step

    def total(self, context: int, tokens: Iterable[int]) -> float:
        """Log p of words one after the other, nats."""
        # The stepper written out: a call for each word would take as long as all the rest.
        words, log_prob, starts = self.words, self.log_prob, self.starts
        backoff, links, following = self.backoff, self.links, self.following
        total = 0.0
        for word in tokens:
            while context:
                end = starts[context + 1]
                at = bisect_left(words, word, starts[context], end)
                if at < end and words[at] == word:
                    break
                total += backoff[context]
                context = links[context]
            else:
                at = word + 1
            total += log_prob[at]
            context = following[at]
        return total

    def length(self, ngram: int) -> int:
        """How many words an n-gram has."""
        return bisect_right(self.begins, ngram)
