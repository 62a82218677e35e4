"""Filling blanks: the interface, its evaluation, and language models put to the task."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import regex

from langmodels.arguments import checked
from langmodels.arrays import FloatArray, IndexArray, IntArray
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.model import Model
from langmodels.text.corpus import AnyText, Corpus
from langmodels.text.reading import Reading, Text, WithReading
from langmodels.text.sequences import Sequences
from langmodels.text.vocabulary import Vocabulary

_BLANK = regex.compile(r"_{2,}")
_REACH = 256  # tokens on each side of a blank that are looked at


@dataclass(frozen=True, eq=False)
class Blank:
    """A place in a sequence: ids before it, ids after it, no boundaries; and what stood there."""

    left: IntArray
    right: IntArray
    answer: int = Vocabulary.unk_id


@dataclass(frozen=True)
class Filling:
    """A token for every blank, their joint log probability in nats, and the text with them."""

    tokens: tuple[str, ...]
    log_prob: float
    text: str

    @property
    def prob(self) -> float:
        """The joint probability."""
        return math.exp(self.log_prob)


def split_at_blanks(text: str) -> list[str]:
    """What stands before, between and after blanks. Raises UsageError where there is none."""
    parts: list[str] = _BLANK.split(text)
    if len(parts) < 2:
        raise UsageError("There is no blank in the text; write one as three underscores: ___.")
    return parts


class Cloze(WithReading, ABC):
    """Whatever gives a distribution over the tokens that could fill a blank.

    Boundaries never fill one, so `<s>` and `</s>` have probability zero.
    """

    @property
    @abstractmethod
    def reading(self) -> Reading:
        """How text is read."""

    @abstractmethod
    def blank_distributions(self, blanks: Sequence[Blank]) -> FloatArray:
        """Log p of every token at every blank in nats, (len(blanks), V)."""

    @checked
    def score_blanks(self, corpus: Corpus) -> FloatArray:
        """Log p of every token but `</s>`, each left blank in turn, in nats and corpus order."""
        scores = np.empty(len(positions(corpus)))
        every = list(all_blanks(corpus))
        for begin in range(0, len(every), 256):
            part = every[begin : begin + 256]
            answers = [blank.answer for blank in part]
            log_p = self.blank_distributions(part)
            scores[begin : begin + len(part)] = log_p[np.arange(len(part)), answers]
        return scores

    def pseudo_log_likelihood(self, sequence: Text) -> float:
        """Sum of log p(token | all others) over a sequence, in nats.

        It is not a probability of the sequence, but ranks sequences (Salazar et al. 2020, "Masked
        Language Model Scoring", equation 1).
        """
        corpus = Corpus.of(self.reading.sequences([sequence]), self.reading)
        return float(self.score_blanks(corpus).sum())

    @checked
    @checked
    def fill(self, text: str, k: int = 10, *, width: int = 16) -> list[Filling]:
        """The `k` most probable ways to fill the blanks of a text, best first.

        A blank is written as two or more underscores; it stands for one token. Several are filled
        jointly by a beam search of at least `width` from left to right: each is given what fills
        those before it, while those after it are read as `<unk>`; the probability is the product.
        `<unk>` is never an answer. Raises UsageError where there is no blank.

        >>> import langmodels
        >>> text = "the cat sat and the dog ran"
        >>> corpus = langmodels.Corpus.from_text(text, langmodels.make_tokenizer("word"))
        >>> model = langmodels.NGramModel(order=2, smoothing="witten_bell").fit(corpus)
        >>> blanks = langmodels.FillingModel(model)
        >>> sorted(filling.text for filling in blanks.fill("the ___ sat", k=2))
        ['the cat sat', 'the dog sat']
        """
        if k < 1 or width < 1:
            raise UsageError("Ask for at least one way to fill the blanks.")
        parts = split_at_blanks(text)
        ids: list[int] = []
        places: list[int] = []
        for i, part in enumerate(parts):
            if i:
                places.append(len(ids))
                ids.append(Vocabulary.unk_id)
            ids += self.reading.encode(part).tolist()
        beam: list[tuple[float, list[int]]] = [(0.0, ids)]
        for i, place in enumerate(places):
            keep = k if i + 1 == len(places) else max(k, width)
            beam = self._extend(beam, place, keep)
        return [self._filling(parts, places, filled, score) for score, filled in beam]

    def _extend(
        self, beam: list[tuple[float, list[int]]], place: int, keep: int
    ) -> list[tuple[float, list[int]]]:
        """The best ways to fill one more blank."""
        blanks = [
            Blank(np.array(ids[:place], np.int32), np.array(ids[place + 1 :], np.int32))
            for _, ids in beam
        ]
        scores = self.blank_distributions(blanks) + np.array([score for score, _ in beam])[:, None]
        scores[:, Vocabulary.unk_id] = -np.inf
        size = scores.shape[1]
        found = []
        for index in np.argsort(-scores, axis=None, kind="stable")[:keep].tolist():
            score, ids = float(scores.flat[index]), beam[index // size][1]
            if score > -math.inf:
                found.append((score, [*ids[:place], index % size, *ids[place + 1 :]]))
        return found

    def _filling(
        self, parts: list[str], places: list[int], ids: list[int], score: float
    ) -> Filling:
        tokens = self.vocabulary.decode([ids[place] for place in places])
        pieces = [parts[0]]
        for token, part in zip(tokens, parts[1:], strict=True):
            pieces += [token, part]
        return Filling(tuple(tokens), score, "".join(pieces))


class ClozeModel(Model, Cloze):
    """A model made for filling blanks, which gives sequences no probability of their own."""

    @abstractmethod
    def fit(self, corpus: AnyText, validation: AnyText | None = None) -> Self:
        """Learn from a corpus; `validation` is for early stopping. Returns self."""


class FillingModel(Cloze):
    """A one-directional language model that fills blanks.

    With `candidates` = 0 it goes by the left context alone: p(token | left), `</s>` left out. Else
    it scores the whole sequence with each of so many of the most probable tokens in the blank,
    p(token | left, right) being proportional to p(left token right): what the left context gives
    to those candidates is shared among them by that rule, the others keep what they have. With as
    many candidates as the vocabulary has tokens this is Bayes' rule.
    """

    @checked
    def __init__(self, model: LanguageModel[Any], candidates: int = 0) -> None:
        if candidates < 0:
            raise UsageError(f"candidates must be 0 or more, not {candidates}.")
        self.model, self.candidates = model.normalized(), candidates

    @property
    def reading(self) -> Reading:
        """That of the language model."""
        return self.model.reading

    def blank_distributions(self, blanks: Sequence[Blank]) -> FloatArray:
        """See `Cloze`."""
        return np.stack([self._distribution(blank) for blank in blanks])

    def _distribution(self, blank: Blank) -> FloatArray:
        log_p = np.array(self.model.log_distribution(self._state(blank.left)), np.float64)
        if self.vocabulary.eos_id is not None:
            log_p[self.vocabulary.eos_id] = -np.inf
        log_p -= np.log(np.exp(log_p).sum())
        if not self.candidates:
            return log_p
        possible = np.flatnonzero(np.isfinite(log_p))
        best = possible[np.argsort(-log_p[possible], kind="stable")[: self.candidates]]
        joint = log_p[best] + self._continuations(blank, best)
        if not np.isfinite(joint).any():
            return log_p
        mass = np.log(np.exp(log_p[best]).sum())
        joint -= joint.max()
        log_p[best] = mass + joint - np.log(np.exp(joint).sum())
        return log_p

    def _state(self, left: IntArray) -> Any:
        state = self.model.start()
        for token in left.tolist():
            state = self.model.advance(state, token)
        return state

    def _continuations(self, blank: Blank, tokens: IndexArray) -> FloatArray:
        """Log p of what follows the blank, the end included, after each token in it."""
        end = self.vocabulary.eos_id
        tail = blank.right if end is None else np.append(blank.right, np.int32(end))
        if not len(tail):
            return np.zeros(len(tokens))
        before = np.r_[np.int32(self.vocabulary.bos_id), blank.left]
        rows = np.empty((len(tokens), len(before) + 1 + len(tail)), np.int32)
        rows[:, : len(before)] = before
        rows[:, len(before)] = tokens
        rows[:, len(before) + 1 :] = tail
        scores = self.model.scores(Sequences.rows(rows)).reshape(len(rows), -1)
        following: FloatArray = scores[:, len(before) :].sum(axis=1)
        return following


# Blanks from a corpus ---------------------------------------------------------------------------


def positions(corpus: Corpus) -> IndexArray:
    """Where in `corpus.ids` tokens stand that could be left blank: all but the boundaries."""
    inside = corpus.ids != Vocabulary.bos_id
    if corpus.vocabulary.eos_id is not None:
        inside &= corpus.ids != corpus.vocabulary.eos_id
    return np.flatnonzero(inside)


def choose_blanks(corpus: Corpus, n: int, seed: int = 0, *, reach: int = _REACH) -> list[Blank]:
    """At most `n` known tokens of a corpus, drawn at random, one a sequence while there are enough.

    A blank has at most `reach` tokens on each side.

    Raises LangmodelsError where the corpus has none.
    """
    known = positions(corpus)
    known = known[corpus.ids[known] != Vocabulary.unk_id]
    if not len(known):
        raise LangmodelsError("There is no known token in the text to be left blank.")
    order = np.random.default_rng(seed).permutation(known)
    sequence = np.searchsorted(corpus.offsets, order, side="right")
    # Round by round, each sequence gives one: how often it has come before decides the round.
    by_sequence = np.argsort(sequence, kind="stable")
    sorted_sequence = sequence[by_sequence]
    first = np.searchsorted(sorted_sequence, sorted_sequence)
    rounds = np.empty(len(order), np.int64)
    rounds[by_sequence] = np.arange(len(order)) - first
    chosen = order[np.argsort(rounds, kind="stable")[:n]]
    return list(_blanks_at(corpus, np.sort(chosen), reach))


def all_blanks(corpus: Corpus) -> Iterable[Blank]:
    """Every token of a corpus, but the boundaries, as a blank."""
    return _blanks_at(corpus, positions(corpus))


def _blanks_at(corpus: Corpus, places: IndexArray, reach: int = _REACH) -> Iterable[Blank]:
    sequence = np.searchsorted(corpus.offsets, places, side="right") - 1
    begins = corpus.offsets[sequence] + 1
    ends = corpus.offsets[sequence + 1] - int(corpus.vocabulary.ends)
    for place, begin, end in zip(places.tolist(), begins.tolist(), ends.tolist(), strict=True):
        yield Blank(
            corpus.ids[max(begin, place - reach) : place],
            corpus.ids[place + 1 : min(end, place + 1 + reach)],
            int(corpus.ids[place]),
        )


# Evaluation -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BlankScores:
    """How well blanks were filled: `log_probs` (n,) of the right tokens in nats, `ranks` (n,).

    The rank of the right token is 1 where it is the most probable one; among equally probable ones
    it is the middle rank.
    """

    log_probs: FloatArray
    ranks: FloatArray

    @property
    def accuracy(self) -> float:
        """How often the right token comes first."""
        return float((self.ranks == 1).mean())

    @property
    def reciprocal_rank(self) -> float:
        """Mean of 1 / rank."""
        return float((1 / self.ranks).mean())

    @property
    def perplexity(self) -> float:
        """Perplexity of the right token."""
        loss = -float(self.log_probs.mean())
        return math.exp(loss) if loss < 700 else math.inf


@checked
def evaluate_blanks(cloze: Cloze, blanks: Sequence[Blank]) -> BlankScores:
    """Fill blanks and compare with what stood there."""
    log_probs, ranks = np.empty(len(blanks)), np.empty(len(blanks))
    for begin in range(0, len(blanks), 256):
        part = blanks[begin : begin + 256]
        log_p = cloze.blank_distributions(part)
        right = log_p[np.arange(len(part)), [blank.answer for blank in part]]
        above = (log_p > right[:, None]).sum(axis=1)
        equal = (log_p == right[:, None]).sum(axis=1)
        log_probs[begin : begin + len(part)] = right
        ranks[begin : begin + len(part)] = above + (equal + 1) / 2
    return BlankScores(log_probs, ranks)


def compare_on_blanks(
    models: Mapping[str, Cloze], corpus: Corpus, n: int = 500, seed: int = 0
) -> dict[str, BlankScores]:
    """The same blanks, at most `n` of them, filled by every model.

    Raises UsageError where a model has another vocabulary than the corpus.
    """
    for name, model in models.items():
        if model.vocabulary != corpus.vocabulary:
            raise UsageError(f"The vocabulary of {name} is not that of the text.")
    blanks = choose_blanks(corpus, n, seed)
    return {name: evaluate_blanks(model, blanks) for name, model in models.items()}
