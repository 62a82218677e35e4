"""Scoring text line by line, many lines at a time."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from langmodels.arrays import BoolArray, FloatArray, IndexArray, IntArray
from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.text.lines import split_lines
from langmodels.text.sequences import Sequences
from langmodels.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class LineScores:
    """Scores of n consecutive lines, each taken as a sequence of its own.

    `log_probs` (N,), in nats, are those of the targets of `sequences` (`</s>` included where the
    model has ends), all lines one after the other.
    """

    lines: list[str]
    sequences: Sequences
    log_probs: FloatArray

    @property
    def targets(self) -> IntArray:
        """What was predicted, (N,)."""
        return self.sequences.targets

    @property
    def n_tokens(self) -> IndexArray:
        """Predicted tokens of each line, (n,)."""
        return self.sequences.lengths

    @property
    def totals(self) -> FloatArray:
        """Log p of each line in nats, (n,)."""
        return self.sequences.sums(self.log_probs)

    @property
    def n_oov(self) -> IndexArray:
        """Unknown tokens of each line, (n,)."""
        return self.sequences.sums(self._oov.astype(np.float64)).astype(np.int64)

    @property
    def oov_log_prob(self) -> float:
        """What the unknown tokens cost together, in nats."""
        return float(self.log_probs[self._oov].sum())

    def line(self, i: int) -> tuple[IntArray, FloatArray]:
        """Targets and log probabilities of line `i`."""
        begin, end = self.sequences.offsets[i : i + 2].tolist()
        return self.sequences.ids[begin + 1 : end], self.log_probs[begin - i : end - i - 1]

    @property
    def _oov(self) -> BoolArray:
        oov: BoolArray = self.targets == Vocabulary.unk_id
        return oov


def score_lines(
    model: LanguageModel[Any], chunks: Iterable[str], *, carry: bool = False
) -> Iterator[LineScores]:
    """Score every line of a text that comes in pieces, blank lines as empty sequences.

    Lines are scored as many together as a piece holds, so larger pieces are faster. With `carry`
    the whole text is read first and scored as one document, over which state is carried.
    """
    batches = split_lines(chunks)
    if carry:
        batches = iter([list(itertools.chain.from_iterable(batches))])
    for lines in batches:
        yield score_batch(model, lines, carry=carry)


def score_batch(
    model: LanguageModel[Any],
    lines: list[str],
    *,
    carry: bool = False,
    bos: bool = True,
    eos: bool = True,
    documents: IndexArray | None = None,
) -> LineScores:
    """Score lines together, each as a sequence of its own, or with `carry` as one document.

    Without `bos` a line has no context at its beginning, not even `<s>`; without `eos` its end is
    not predicted. `documents` (D+1,): with which line each of several documents begins over which
    state is carried, and how many lines there are. As in a corpus, lines without tokens are no part
    of a document: state goes past them, and they have none. Raises UsageError for a model that
    cannot do without `<s>`, and for `carry` then.
    """
    sequences = model.sequences_of(lines)
    if not eos and model.vocabulary.eos_id is not None:
        sequences = sequences.without_ends(model.vocabulary.eos_id)
    if carry and not bos:
        raise UsageError("State that is carried over lines is a context: leave out --no-bos.")
    if carry:
        ends = eos and model.vocabulary.ends
        return LineScores(lines, sequences, _carried_scores(model, sequences, ends, documents))
    score = model.scores if bos else model.scores_from_nothing
    return LineScores(lines, sequences, score(sequences))


def _carried_scores(
    model: LanguageModel[Any], sequences: Sequences, ends: bool, documents: IndexArray | None
) -> FloatArray:
    """Log p of every target, (N,), in nats; see `score_batch`. `ends`: whether these are some."""
    inside, kept = sequences.without_empty(ends=ends)
    if documents is not None:
        documents = np.unique(np.searchsorted(np.flatnonzero(kept), documents))
    scores = np.empty(sequences.n_tokens)
    is_inside = np.repeat(kept, sequences.lengths)
    if kept.any():
        scores[is_inside] = model.scores(replace(inside, documents=documents, carry=True))
    if not is_inside.all():
        nothing = [np.empty(0, np.int32)] * int(np.count_nonzero(~kept))
        scores[~is_inside] = model.scores(Sequences.bounded(nothing, model.vocabulary))
    return scores
