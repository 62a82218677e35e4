"""Scoring text line by line, many lines at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from langmodels.arrays import BoolArray, FloatArray, IndexArray, IntArray
from langmodels.models.base import LanguageModel
from langmodels.text.cleaning import LINEWISE
from langmodels.text.corpus import Corpus
from langmodels.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class LineScores:
    """Scores of n consecutive lines, each taken as a sequence of its own.

    `targets` (N,) int32 and `log_probs` (N,), in nats: what was predicted (`</s>` included where
    the model has ends), all lines one after the other. `offsets` (n+1,): where each line begins in
    them.
    """

    lines: list[str]
    targets: IntArray
    log_probs: FloatArray
    offsets: IndexArray

    @property
    def n_tokens(self) -> IndexArray:
        """Predicted tokens of each line, (n,)."""
        return np.diff(self.offsets)

    @property
    def totals(self) -> FloatArray:
        """Log p of each line in nats, (n,)."""
        return self._by_line(self.log_probs)

    @property
    def n_oov(self) -> IndexArray:
        """Unknown tokens of each line, (n,)."""
        return self._by_line(self._oov.astype(np.float64)).astype(np.int64)

    @property
    def oov_log_prob(self) -> float:
        """What the unknown tokens cost together, in nats."""
        return float(self.log_probs[self._oov].sum())

    def line(self, i: int) -> tuple[IntArray, FloatArray]:
        """Targets and log probabilities of line `i`."""
        part = slice(int(self.offsets[i]), int(self.offsets[i + 1]))
        return self.targets[part], self.log_probs[part]

    @property
    def _oov(self) -> BoolArray:
        oov: BoolArray = self.targets == Vocabulary.unk_id
        return oov

    def _by_line(self, values: FloatArray) -> FloatArray:
        line = np.repeat(np.arange(len(self.lines)), self.n_tokens)
        totals = np.bincount(line, weights=values, minlength=len(self.lines))
        return totals.astype(np.float64, copy=False)


def score_lines(model: LanguageModel[Any], chunks: Iterable[str]) -> Iterator[LineScores]:
    """Score every line of a text that comes in pieces, blank lines as empty sequences.

    Lines are scored as many together as a piece holds, so larger pieces are faster.
    """
    rest = ""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split("\n")
        if lines:
            yield score_batch(model, lines)
    if rest:
        yield score_batch(model, [rest])


def score_batch(model: LanguageModel[Any], lines: list[str]) -> LineScores:
    """Score lines together, each as a sequence of its own."""
    filled = np.array([bool(line.strip()) or not model.vocabulary.ends for line in lines])
    text = [line for line, use in zip(lines, filled.tolist(), strict=True) if use]
    empty = model.token_scores("")
    lengths = np.full(len(lines), len(empty))
    targets, log_probs = np.empty(0, np.int32), np.empty(0)
    if text:
        corpus = _encode(model, text)
        lengths[filled] = np.diff(corpus.offsets) - 1
        targets, log_probs = corpus.targets, model.score_corpus(corpus)
    if len(text) < len(lines) and len(empty):
        in_text = np.repeat(filled, lengths)
        with_blanks = (
            np.full(len(in_text), model.vocabulary.eos_id, np.int32),
            np.empty(len(in_text)),
        )
        with_blanks[0][in_text], with_blanks[1][in_text] = targets, log_probs
        with_blanks[1][~in_text] = empty[0]
        targets, log_probs = with_blanks
    return LineScores(lines, targets, log_probs, np.concatenate([[0], np.cumsum(lengths)]))


def _encode(model: LanguageModel[Any], lines: list[str]) -> Corpus:
    """One sequence a line; lines must not be blank where the model has ends."""
    tokenizer, vocabulary = model.tokenizer, model.vocabulary
    if vocabulary.ends and model.cleaning in LINEWISE:
        corpus = Corpus.from_text(
            "\n".join(lines), tokenizer, vocabulary=vocabulary, cleaning=model.cleaning
        )
        if corpus.n_sequences == len(lines):
            return corpus
    # Streams, and the rare line in which the tokenizer finds no token at all.
    return Corpus.from_sequences(map(model.tokenize, lines), tokenizer, vocabulary)
