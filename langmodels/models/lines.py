"""Scoring text line by line, many lines at a time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from langmodels.arguments import checked
from langmodels.arrays import BoolArray, FloatArray, IndexArray, IntArray
from langmodels.models.base import LanguageModel
from langmodels.text.lines import split_lines
from langmodels.text.sequences import Sequences
from langmodels.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class LineScores:
    """Scores of n consecutive lines, each scored as one sequence.

    `log_probs` (N,), in nats, are of the targets of `sequences`, all lines in order; `</s>` is
    among them if the model predicts it.
    """

    lines: list[str]
    sequences: Sequences
    log_probs: FloatArray

    @property
    def targets(self) -> IntArray:
        """The predicted token ids, (N,)."""
        return self.sequences.targets

    @property
    def n_tokens(self) -> IndexArray:
        """The number of predicted tokens of each line, (n,)."""
        return self.sequences.lengths

    @property
    def totals(self) -> FloatArray:
        """Log p of each line in nats, (n,)."""
        return self.sequences.sums(self.log_probs)

    @property
    def n_oov(self) -> IndexArray:
        """The number of out-of-vocabulary tokens of each line, (n,)."""
        return self.sequences.sums(self._oov.astype(np.float64)).astype(np.int64)

    @property
    def oov_log_prob(self) -> float:
        """The sum of log p of the out-of-vocabulary tokens, in nats."""
        return float(self.log_probs[self._oov].sum())

    def line(self, i: int) -> tuple[IntArray, FloatArray]:
        """Targets of line `i`, and their log p in nats."""
        begin, end = self.sequences.offsets[i : i + 2].tolist()
        return self.sequences.ids[begin + 1 : end], self.log_probs[begin - i : end - i - 1]

    @property
    def _oov(self) -> BoolArray:
        oov: BoolArray = self.targets == Vocabulary.unk_id
        return oov


@checked
def score_lines(
    model: LanguageModel[Any], chunks: Iterable[str], *, carry: bool = False
) -> Iterator[LineScores]:
    """Score every line of a text that comes in pieces, blank lines as empty sequences.

    The lines of a piece are one batch, so larger pieces are faster. With `carry` all lines are one
    document, through which the model's state is carried.
    """
    score = CarriedLines(model).score if carry else partial(score_batch, model)
    yield from map(score, split_lines(chunks))


def score_batch(
    model: LanguageModel[Any], lines: list[str], *, bos: bool = True, eos: bool = True
) -> LineScores:
    """Score lines in one batch, each as one sequence.

    Without `bos` a line starts from an empty context in place of `<s>`; without `eos` the `</s>` at
    its end is not predicted. Raises UsageError where `bos` is false and the model is no n-gram
    model.
    """
    sequences = _sequences(model, lines, eos)
    score = model.scores if bos else model.scores_from_nothing
    return LineScores(lines, sequences, score(sequences))


def _sequences(model: LanguageModel[Any], lines: list[str], eos: bool) -> Sequences:
    sequences = model.sequences_of(lines)
    if not eos and model.vocabulary.eos_id is not None:
        sequences = sequences.without_ends(model.vocabulary.eos_id)
    return sequences


class CarriedLines:
    """Scores lines batch by batch, and carries the model's state through each document.

    Without `eos` the `</s>` at the end of each line is not predicted.
    """

    def __init__(self, model: LanguageModel[Any], *, eos: bool = True) -> None:
        self._model, self._eos = model, eos
        self._memory: Any = None

    def score(self, lines: list[str], begins: Sequence[int] | IndexArray = ()) -> LineScores:
        """Score the next lines. `begins`: indices of the lines at which a document begins, rising.

        As in a corpus, a line without tokens is not part of a document: it is scored without a
        context from before, and the state is carried past it.
        """
        model = self._model
        sequences = _sequences(model, lines, self._eos)
        if not model.remembers:
            return LineScores(lines, sequences, model.scores(sequences))
        inside, kept = sequences.without_empty(ends=self._eos and model.vocabulary.ends)
        first = np.unique(np.searchsorted(np.flatnonzero(kept), np.asarray(begins, np.int64)))
        scores = np.empty(sequences.n_tokens)
        is_inside = np.repeat(kept, sequences.lengths)
        scores[is_inside] = np.concatenate(list(self._parts(inside, first)))
        if not is_inside.all():
            nothing = [np.empty(0, np.int32)] * int(np.count_nonzero(~kept))
            scores[~is_inside] = model.scores(Sequences.bounded(nothing, model.vocabulary))
        return LineScores(lines, sequences, scores)

    def _parts(self, sequences: Sequences, first: IndexArray) -> Iterator[FloatArray]:
        """Yields the scores of the rest of the open document, of whole documents, and of the start
        of the next.
        """
        n = sequences.n_sequences
        before, last = (int(first[0]), int(first[-1])) if len(first) else (n, n)
        yield self._go_on(sequences.between(0, before))
        if not len(first):
            return
        if before < last:
            part = sequences.between(before, last)
            yield self._model.scores(replace(part, documents=first - before, carry=True))
        self._memory = None
        yield self._go_on(sequences.between(last, n))

    def _go_on(self, sequences: Sequences) -> FloatArray:
        if sequences.n_sequences == 0:
            return np.empty(0)
        scores, self._memory = self._model.scores_on(sequences.carried(), self._memory)
        return scores
