"""Asking n-gram tables word by word: a hash table whose place for a word is one addition away.

A compiled tool spends most of a query waiting for memory; Python spends it on its own steps. So a
look-up here is made of as few of them as can be: an addition, reading a number, comparing it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from langmodels.arrays import IntArray
from langmodels.ngram.automaton import ROOT, Automaton
from langmodels.ngram.tables import NGramTables
from langmodels.text.vocabulary import Vocabulary

_PLACES = 3
"""Places for each n-gram: the fewer are taken, the fewer are tried."""
_TRIED = 40
"""Places tried for an n-gram at most. Codes of 32 bits are enough for so many."""
_FREE = 0
_NGRAM = np.dtype([("code", np.int32), ("log_prob", np.float32), ("following", np.int32)])
_CONTEXT = np.dtype([("backoff", np.float32), ("link", np.int32)])

MOST = 1 << 24
"""N-grams that are put into such a table at most, 60 bytes each."""


class WordTable:
    """The n-grams of tables as an automaton, whose nodes are found by hashing.

    Contexts have labels, the empty one 0, and words have codes, which are negative. Both are drawn
    at random, so that their sums spread over the places of the table. The n-gram of a word after a
    context lies at the place `label + code`, counted from the end where that is negative, or at
    the first one below that was free. There stands the word's code, less the number of `places`
    for each step down: where another number stands, there is another n-gram, and where 0 stands,
    there is none. See `step` for how it is asked.

    As in ARPA files, `<s>` as a word has log p = 0. The tables must not charge for contexts that
    are not stored (`unseen_backoff`), and have `MOST` n-grams at most.
    """

    def __init__(self, tables: NGramTables) -> None:
        automaton = Automaton(tables)
        words, contexts = automaton.words, automaton.contexts
        self.places = _PLACES * len(words) + 2 * _TRIED
        """How many places there are."""
        parents = np.repeat(np.arange(len(contexts) - 1), np.diff(contexts["start"]))
        placed, seed = None, 0
        while placed is None:
            rng = np.random.default_rng(seed)
            # Going down from the lowest sum must not leave the table.
            codes = -1 - _distinct(rng, self.places - _TRIED, tables.vocabulary_size)
            labels = 1 + _distinct(rng, self.places - 1, len(contexts) - 1)
            labels[ROOT] = 0
            placed = self._place(codes[words[1:]], labels[parents])
            seed += 1
        column, at = placed
        ngrams = np.empty(self.places, _NGRAM)
        ngrams["code"] = column
        ngrams["log_prob"][at] = automaton.ngrams["log_prob"][1:]
        ngrams["following"][at] = labels[automaton.ngrams["following"][1:]]
        by_label = np.zeros(self.places, _CONTEXT)
        by_label["backoff"][labels] = contexts["backoff"][:-1]
        by_label["link"][labels] = labels[contexts["link"][:-1]]
        lengths = np.zeros(self.places, np.int8)
        lengths[at] = np.repeat(np.arange(1, tables.order + 1), tables.sizes)
        # Python reads plain numbers from memory views, several times faster than from arrays.
        columns: dict[str, Any] = {name: ngrams[name].data for name in _NGRAM.names or ()}
        columns |= {name: by_label[name].data for name in _CONTEXT.names or ()}
        self.codes: list[int] = codes.tolist()
        """The code of each word."""
        self.code: memoryview[int] = columns["code"]
        """What stands at each place."""
        self.log_prob: memoryview[float] = columns["log_prob"]
        """Of each n-gram, nats, by place."""
        self.following: memoryview[int] = columns["following"]
        """The label of the context after each n-gram, by place."""
        self.link: memoryview[int] = columns["link"]
        """The longest shorter context of each one, by label."""
        self.backoff: memoryview[float] = columns["backoff"]
        """The log factor of going to it, nats."""
        self.lengths: memoryview[int] = lengths.data
        """How long each n-gram is, by place."""
        self.start = self.step()(ROOT, self.codes[Vocabulary.bos_id])[1]
        """The label of the context at the beginning of a sequence."""

    def _place(self, codes: IntArray, labels: IntArray) -> tuple[IntArray, IntArray] | None:
        """Put n-grams, given by the codes of words and the labels of contexts, into the table.

        Returns the column of codes, (places,), and the place of each n-gram; None where one needs
        too many steps.
        """
        column = np.full(self.places, _FREE, np.int32)
        codes, at = codes.copy(), (codes + labels) % self.places
        todo = np.arange(len(codes))
        for _ in range(_TRIED):
            free = todo[column[at[todo]] == _FREE]
            column[at[free]] = codes[free]
            # Of several for one place, one has it: their codes differ.
            todo = todo[column[at[todo]] != codes[todo]]
            if not len(todo):
                return column, at
            at[todo] = (at[todo] - 1) % self.places
            codes[todo] -= self.places
        return None

    def step(self) -> Callable[[int, int], tuple[float, int, int]]:
        """A function of a context's label and a word's code.

        It gives log p in nats, the label of the context after the word, and the length of the
        n-gram found. Who asks for millions writes its loop out: a call takes as long as a look-up.
        """
        codes, log_prob, following = self.code, self.log_prob, self.following
        backoff, link = self.backoff, self.link
        lengths, places = self.lengths, self.places

        def step(context: int, word: int) -> tuple[float, int, int]:
            log_p, code, at = 0.0, word, context + word
            while (there := codes[at]) != code:
                if there:
                    at, code = at - 1, code - places
                else:
                    log_p += backoff[context]
                    context = link[context]
                    at, code = context + word, word
            return log_p + log_prob[at], following[at], lengths[at]

        return step


def _distinct(rng: np.random.Generator, below: int, n: int) -> IntArray:
    """Different numbers from 0 on, in no order, (n,): one of each of n intervals."""
    width = below // n
    numbers = rng.permutation(np.arange(0, n * width, width, dtype=np.int32))
    numbers += rng.integers(0, width, n, np.int32)
    return numbers
