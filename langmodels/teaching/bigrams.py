"""A table of bigrams: their counts, and their smoothed counts."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from langmodels import notebooks
from langmodels.arguments import checked
from langmodels.arrays import IndexArray
from langmodels.ngram.counting import NGramCounts, count_ngrams
from langmodels.ngram.methods import make_smoothing
from langmodels.ngram.model import NGramModel
from langmodels.text.corpus import Corpus
from langmodels.text.vocabulary import BOS, Vocabulary

ROWS, COLUMNS = 6, 8


@dataclass(frozen=True)
class BigramTable:
    """Bigrams of some first words (rows) and second ones (columns).

    `counts[i][j]`: how often column j came after row i; `totals[i]`: how often any token did.
    `smoothed`: for each method, the smoothed counts c* = p(column | row) times the total of the row
    (Jurafsky and Martin, "Speech and Language Processing", on n-grams).
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    totals: tuple[int, ...]
    smoothed: dict[str, tuple[tuple[float, ...], ...]]

    def records(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return asdict(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        head = ("", *self.columns, "all")
        shown = [
            notebooks.table(
                head,
                (
                    (notebooks.escaped(row), *map(str, counts), str(total))
                    for row, counts, total in zip(self.rows, self.counts, self.totals, strict=True)
                ),
                "c",
            )
        ]
        for name, values in self.smoothed.items():
            rows = (
                (notebooks.escaped(row), *(f"{c:.3g}" for c in line), str(total))
                for row, line, total in zip(self.rows, values, self.totals, strict=True)
            )
            shown.append(notebooks.table(head, rows, f"c* of {name}"))
        return "".join(shown)


@checked
def bigram_table(
    corpus: Corpus,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    smoothings: Sequence[str] = (),
) -> BigramTable:
    """The bigram table of a text; without `rows` or `columns` words are chosen by `choose_words`.

    Raises UsageError for unknown smoothing methods.
    """
    methods = {name: make_smoothing(name) for name in smoothings}
    counts, vocabulary = count_ngrams(corpus.ids, len(corpus.vocabulary), 2), corpus.vocabulary
    firsts, seconds = choose_words(counts, vocabulary, rows, columns)
    picked = [vocabulary.id(token) for token in seconds]
    after = np.stack([counts_after(counts, vocabulary.id(token)) for token in firsts])
    totals = after.sum(axis=1)
    smoothed = {}
    for name, method in methods.items():
        model = NGramModel(2, method).fit(corpus)
        p = [np.exp(model.log_distribution((vocabulary.id(token),)))[picked] for token in firsts]
        starred = np.stack(p) * totals[:, None]
        smoothed[name] = tuple(tuple(line) for line in starred.tolist())
    return BigramTable(
        tuple(firsts),
        tuple(seconds),
        tuple(tuple(line) for line in after[:, picked].tolist()),
        tuple(totals.tolist()),
        smoothed,
    )


def counts_after(counts: NGramCounts, token: int) -> IndexArray:
    """How often each token id came after this one, (V,)."""
    found = np.zeros(len(counts.counts[0]), np.int64)
    part = slice(*counts.child_start[0][token : token + 2].tolist())
    found[counts.words[1][part]] = counts.counts[1][part]
    return found


def choose_words(
    counts: NGramCounts, vocabulary: Vocabulary, rows: Sequence[str], columns: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The first and the second words of a table: those asked for, else frequent ones.

    By default, first words are the most frequent; second words are those that follow these most
    often, and one that never does.
    """
    # Prefer words to punctuation.
    is_word = np.array([any(map(str.isalnum, t)) for t in vocabulary.tokens])
    is_word[: vocabulary.n_special] = False
    if not is_word.any():
        is_word[vocabulary.n_special :] = True
    c = np.where(is_word, counts.counts[0], 0)
    firsts = _known(rows, vocabulary, bos=True) or [
        vocabulary.token(i) for i in np.argsort(-c, kind="stable")[:ROWS].tolist()
    ]
    seconds = _known(columns, vocabulary, bos=False)
    if not seconds:
        after = np.sum([counts_after(counts, vocabulary.id(t)) for t in firsts], axis=0)
        unseen = (after == 0) & (c > 0)
        after[~is_word] = 0
        best = np.argsort(-after, kind="stable")[: COLUMNS - 1].tolist()
        seconds = [vocabulary.token(i) for i in best if after[i]]
        if unseen.any():
            seconds.append(vocabulary.token(int(np.argmax(np.where(unseen, c, -1)))))
    return firsts, seconds


def _known(tokens: Sequence[str], vocabulary: Vocabulary, *, bos: bool) -> list[str]:
    """Those of the tokens that are known, each once; `<s>` only if `bos`."""
    known = dict.fromkeys(t for t in tokens if t in vocabulary)
    return [t for t in known if bos or t != BOS]
