"""Reference data of the n-gram tests: Alice, and what KenLM's lmplz and query make of it."""

import lzma
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from langmodels.ngram import NGramModel
from langmodels.text.corpus import Corpus
from langmodels.text.tokenization import WhitespaceTokenizer

DATA = Path(__file__).parent / "data"
KENLM3 = DATA / "alice.kenlm3.arpa.xz"
"""`lmplz -o 3 --discount_fallback` on the training text."""


@dataclass
class Scored:
    """A held-out sentence as KenLM scores it: log10 p, of each token too, and n-gram lengths."""

    total: float
    tokens: list[float]
    lengths: list[int]
    n_oov: int
    sentence: str


def unpacked(name: str) -> str:
    return lzma.decompress((DATA / name).read_bytes()).decode()


@cache
def scored(order: int) -> list[Scored]:
    rows = [line.split("\t") for line in unpacked(f"alice.kenlm{order}.scores.tsv.xz").splitlines()]
    return [
        Scored(float(r[0]), [*map(float, r[3].split())], [*map(int, r[4].split())], int(r[2]), r[5])
        for r in rows[1:]
    ]


@cache
def alice() -> Corpus:
    return Corpus.from_text(unpacked("alice.train.txt.xz"), WhitespaceTokenizer())


@cache
def held_out() -> Corpus:
    text = "\n".join(s.sentence for s in scored(3))
    return Corpus.from_text(text, WhitespaceTokenizer(), vocabulary=alice().vocabulary)


@cache
def trained(order: int) -> NGramModel:
    return NGramModel(order).fit(alice())


def sum_error(model: NGramModel, corpus: Corpus, n_sequences: int = 4) -> float:
    """How far from one the distributions along some sequences sum, at most."""
    worst = 0.0
    for ids in list(corpus.sequences())[:n_sequences]:
        state = model.start()
        for token in ids.tolist():
            worst = max(worst, abs(float(np.exp(model.log_distribution(state)).sum()) - 1))
            state = model.advance(state, token)
    return worst
