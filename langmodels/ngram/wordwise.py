"""Fast queries word by word: the n-grams as an automaton in a double array.

A compiled tool spends most of a query waiting for memory, Python in its interpreter. So a look-up
here takes as few Python operations as possible: an addition, an item read, a comparison.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from langmodels.arrays import Array, BoolArray, IndexArray, IntArray
from langmodels.ngram.automaton import ROOT, Automaton
from langmodels.ngram.tables import NGramTables
from langmodels.text.vocabulary import Vocabulary

_PLACES = 2
"""Places per n-gram: with more free places a row is placed in fewer attempts."""
_SPARE = 64
"""Additional places, for the smallest tables."""
_TRIED = 64
"""Labels tried for a row before it is divided."""
_FREE = -1
_NGRAM = np.dtype([("code", np.int32), ("log_prob", np.float32), ("following", np.int32)])
_CONTEXT = np.dtype([("backoff", np.float32), ("link", np.int32)])

MOST = 1 << 24
"""The most n-grams that are put into such a table, at 42 bytes each."""


class WordTable:
    """The n-grams of tables as an automaton with its transitions in a double array.

    Contexts have labels, 0 for the empty one, and words have codes. The n-gram of a word after a
    context is stored at place `label + code` (Aoe 1989, "An efficient digital search algorithm by
    using a double-array structure"), together with the code: if another code stands there, or none,
    the n-gram is not stored. See `step` for the look-up.

    As in ARPA files, the unigram `<s>` has log p = 0. The tables must have no `unseen_backoff`, and
    at most `MOST` n-grams.
    """

    def __init__(self, tables: NGramTables) -> None:
        automaton = Automaton(tables)
        words, contexts = automaton.words[1:], automaton.contexts
        rng = np.random.default_rng(0)
        codes = rng.permutation(np.arange(tables.vocabulary_size, dtype=np.int32))
        rows = _Rows(codes[words], contexts["start"] - 1, contexts["backoff"][:-1] != 0, rng)
        at, labels = rows.places, rows.labels
        ngrams = np.zeros(len(rows.taken), _NGRAM)
        ngrams["code"] = _FREE
        ngrams["code"][at] = codes[words]
        ngrams["log_prob"][at] = automaton.ngrams["log_prob"][1:]
        ngrams["following"][at] = labels[automaton.ngrams["following"][1:]]
        by_label = np.zeros(len(rows.used), _CONTEXT)
        # The last part of a divided row has the back-off weight and link of the row.
        last = rows.last[rows.labelled]
        by_label["backoff"][last] = contexts["backoff"][:-1][rows.labelled]
        by_label["link"][last] = labels[contexts["link"][:-1][rows.labelled]]
        for part, rest in rows.rests:
            by_label["link"][part] = rest
        lengths = np.zeros(len(ngrams), np.int8)
        lengths[at] = np.repeat(np.arange(1, tables.order + 1), tables.sizes)
        # Python reads items of memory views several times faster than those of arrays.
        columns: dict[str, Any] = {name: ngrams[name].data for name in _NGRAM.names or ()}
        columns |= {name: by_label[name].data for name in _CONTEXT.names or ()}
        self.codes: list[int] = codes.tolist()
        """By word id, the code of each word."""
        self.code: memoryview[int] = columns["code"]
        """By place, the code stored there; `_FREE` for none."""
        self.log_prob: memoryview[float] = columns["log_prob"]
        """By place, the log p of the n-gram in nats."""
        self.following: memoryview[int] = columns["following"]
        """By place, the label of the context after the n-gram."""
        self.link: memoryview[int] = columns["link"]
        """By label, the label of the next shorter context."""
        self.backoff: memoryview[float] = columns["backoff"]
        """By label, the log of the factor for backing off to it, in nats."""
        self.lengths: memoryview[int] = lengths.data
        """By place, the length of the n-gram."""
        self.start = self.step()(ROOT, self.codes[Vocabulary.bos_id])[1]
        """The label of the context at the beginning of a sequence."""

    def step(self) -> Callable[[int, int], tuple[float, int, int]]:
        """A function (label of a context, code of a word) -> (log p, label of the next context,
        length).

        Log p is in nats, and the length is that of the n-gram found. For millions of queries,
        inline its loop: a call takes as long as a look-up.
        """
        codes, log_prob, following = self.code, self.log_prob, self.following
        backoff, link, lengths = self.backoff, self.link, self.lengths

        def step(context: int, word: int) -> tuple[float, int, int]:
            log_p = 0.0
            while codes[at := context + word] != word:
                log_p += backoff[context]
                context = link[context]
            return log_p + log_prob[at], following[at], lengths[at]

        return step


class _Rows:
    """The rows of a sparse matrix, overlaid in one array so that no two entries collide.

    A row is a context, its columns are the codes of the words after it, its label the offset at
    which it is placed. The longest rows are placed first, at random labels, until all entries fall
    on free places. A row for which no label was found is divided: the entries that fall on free
    places are placed, the others become a row of their own, linked from it.
    """

    def __init__(
        self, codes: IntArray, starts: IntArray, needed: BoolArray, rng: np.random.Generator
    ) -> None:
        """Place the entries `codes`, of which those of row i start at `starts[i]`.

        Rows that are `needed` get labels even without entries. The first row, which has all
        columns, gets label 0.
        """
        self._codes, self._starts, self._rng = codes, starts, rng
        sizes = np.diff(starts)
        size, n_labels = len(codes), _PLACES * len(codes) + _SPARE
        self.taken = np.zeros(n_labels + sizes[0], np.bool_)
        """By place, whether an entry is there."""
        self.used = np.zeros(n_labels, np.bool_)
        """By label, whether it is in use."""
        self.places = np.zeros(size, np.int32)
        """(entries,) the place of each entry."""
        self.labels = np.zeros(len(sizes), np.int32)
        """(rows,) the label of each row that is `labelled`."""
        self.labelled = np.flatnonzero((sizes > 0) | needed)
        self.last = self.labels
        """The labels of their last parts."""
        self.rests: list[tuple[int, int]] = []
        """The labels of a part and of what comes next."""
        self._claims = np.zeros(len(self.taken), np.int32)
        self.used[0] = True
        self._enter(np.arange(sizes[0]), codes[: sizes[0]])
        divided: dict[int, int] = {}
        powers = np.frexp(sizes[self.labelled])[1]
        powers[0] = -1
        for power in range(int(powers.max()), 0, -1):
            rows = self.labelled[powers == power]
            for row in (self._try(rows) if power > 1 else self._fill(rows)).tolist():
                divided[row] = self._divide(row)
        rest = self.labelled[powers == 0]
        self.labels[rest] = rng.permutation(np.flatnonzero(~self.used))[: len(rest)]
        if divided:
            self.last = self.labels.copy()
            self.last[list(divided)] = list(divided.values())

    def _try(self, rows: IndexArray) -> IndexArray:
        """Place rows at random labels; returns those for which none was found."""
        for _ in range(_TRIED):
            if not len(rows):
                break
            first = self._starts[rows]
            sizes = self._starts[rows + 1] - first
            owners = np.repeat(np.arange(len(rows)), sizes)
            entries = np.arange(len(owners)) + (first - np.cumsum(sizes) + sizes)[owners]
            labels = self._draw(len(rows))
            at = self._codes[entries] + labels[owners]
            # Of several rows for one place, one gets it.
            self._claims[at] = owners
            bad = self.taken[at]
            bad |= self._claims[at] != owners
            fails = np.zeros(len(rows), np.bool_)
            fails[owners[bad]] = True
            laid = self._give(rows, labels, fails)
            chosen = laid[owners]
            self._enter(entries[chosen], at[chosen])
            rows = rows[~laid]
        return rows

    def _fill(self, rows: IndexArray) -> IndexArray:
        """Place rows of one entry at free places; returns those for which none was found."""
        free = self._rng.permutation(np.flatnonzero(~self.taken))
        while len(rows) and len(free):
            at, free, rest = free[: len(rows)], free[len(rows) :], rows[len(free) :]
            rows = rows[: len(at)]
            entries = self._starts[rows]
            labels = at - self._codes[entries]
            fails = (labels < 0) | (labels >= len(self.used))
            labels[fails] = 0
            laid = self._give(rows, labels, fails)
            self._enter(entries[laid], at[laid])
            rows = np.concatenate([rows[~laid], rest])
        return rows

    def _give(self, rows: IndexArray, labels: Array, fails: BoolArray) -> BoolArray:
        """Assign labels to rows, except those in `fails`; returns which rows got one."""
        numbers = np.arange(len(rows))
        self._claims[labels] = numbers
        laid: BoolArray = ~(fails | self.used[labels] | (self._claims[labels] != numbers))
        self.labels[rows[laid]] = labels[laid]
        self.used[labels[laid]] = True
        return laid

    def _enter(self, entries: Array, at: Array) -> None:
        self.taken[at] = True
        self.places[entries] = at

    def _draw(self, n: int) -> IntArray:
        return self._rng.integers(0, len(self.used), n, np.int32)

    def _divide(self, row: int) -> int:
        """Place a row in parts; returns the label of the last one."""
        entries = np.arange(self._starts[row], self._starts[row + 1])
        part = -1
        while len(entries):
            labels = self._draw(_TRIED)
            labels = labels[~self.used[labels]]
            meets = self.taken[self._codes[entries, None] + labels]
            best = int(meets.sum(0).argmin()) if len(labels) else 0
            if not len(labels) or meets[:, best].all():
                continue
            label = int(labels[best])
            free = ~meets[:, best]
            self.used[label] = True
            self._enter(entries[free], self._codes[entries[free]] + label)
            entries = entries[~free]
            if part < 0:
                self.labels[row] = label
            else:
                self.rests.append((part, label))
            part = label
        return part
