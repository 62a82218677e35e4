"""Filling blanks: the interface, its evaluation, and language models put to the task."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import regex

from langmodels.arguments import Seed, checked
from langmodels.arrays import FloatArray, IndexArray, IntArray
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.model import Model
from langmodels.models.scores import perplexity_at
from langmodels.text.corpus import AnyText, Corpus
from langmodels.text.reading import Reading, Text, WithReading
from langmodels.text.sequences import Sequences
from langmodels.text.vocabulary import Vocabulary

_BLANK = regex.compile(r"_{2,}")
_REACH = 256  # tokens of context on each side of a blank


@dataclass(frozen=True, eq=False)
class Blank:
    """A blank in a sequence: the ids to its left and right, without boundary tokens, and the id
    that was there.
    """

    left: IntArray
    right: IntArray
    answer: int = Vocabulary.unk_id


@dataclass(frozen=True)
class Filling:
    """One way to fill the blanks of a text: a token for each, their joint log p in nats, and the
    text.
    """

    tokens: tuple[str, ...]
    log_prob: float
    text: str

    @property
    def prob(self) -> float:
        """The joint probability."""
        return math.exp(self.log_prob)


def split_at_blanks(text: str) -> list[str]:
    """The parts of a text before, between and after its blanks. Raises UsageError without one."""
    parts: list[str] = _BLANK.split(text)
    if len(parts) < 2:
        raise UsageError("There is no blank in the text; write one as three underscores: ___.")
    return parts


class Cloze(WithReading, ABC):
    """The interface of whatever gives a distribution over the tokens that could fill a blank.

    `<s>` and `</s>` never fill a blank: their probability is zero.
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
        """Log p in nats of every token but `</s>`, each blanked in turn, in corpus order, (N,)."""
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

        This is not the log probability of the sequence, but can rank sequences (Salazar et al.
        2020, "Masked Language Model Scoring", equation 1).
        """
        corpus = Corpus.of(self.reading.sequences([sequence]), self.reading)
        return float(self.score_blanks(corpus).sum())

    @checked
    def fill(self, text: str, k: int = 10, *, width: int = 16) -> list[Filling]:
        """The `k` most probable ways to fill the blanks of a text, best first.

        A blank is written as two or more underscores; it stands for one token. Several are filled
        jointly by a beam search of at least `width`, from left to right: each is conditioned on the
        tokens chosen for the blanks before it, with `<unk>` in those after it, and the joint
        probability is the product. `<unk>` is never an answer. Raises UsageError for a text without
        a blank.

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
        """The `keep` best extensions of the beam by a token for the blank at `place`."""
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
    """A trained model for filling blanks; it assigns no probability to whole sequences."""

    @abstractmethod
    def fit(self, corpus: AnyText, validation: AnyText | None = None) -> Self:
        """Learn from a corpus; `validation` is for early stopping. Returns self."""


class FillingModel(Cloze):
    """A left-to-right language model put to filling blanks.

    With `candidates` = 0 it uses the left context alone: p(token | left), renormalised without
    `</s>`. Otherwise the `candidates` most probable tokens given the left context are each put into
    the blank and the whole sequence is scored: their total probability is redistributed among them
    in proportion to p(left token right), and all other tokens keep p(token | left). With as many
    candidates as tokens in the vocabulary this is Bayes' rule. Where all probability is that of
    `</s>`, p(token | left) is 0/0 and the uniform distribution over the other tokens is used.
    """

    @checked
    def __init__(self, model: LanguageModel[Any], candidates: int = 0) -> None:
        if candidates < 0:
            raise UsageError(f"candidates must be 0 or more, not {candidates}.")
        self.model, self.candidates = model.normalized(), candidates

    @property
    def reading(self) -> Reading:
        """The reading of the language model."""
        return self.model.reading

    def blank_distributions(self, blanks: Sequence[Blank]) -> FloatArray:
        """See `Cloze`."""
        return np.stack([self._distribution(blank) for blank in blanks])

    def _distribution(self, blank: Blank) -> FloatArray:
        log_p = np.array(self.model.log_distribution(self._state(blank.left)), np.float64)
        ids = self.vocabulary.bos_id, self.vocabulary.eos_id
        boundaries = [id for id in ids if id is not None]
        log_p[boundaries] = -np.inf
        if not np.isfinite(log_p).any():
            log_p[:] = 0.0
            log_p[boundaries] = -np.inf
        log_p -= log_p.max()
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
        """Log p in nats of the right context (and `</s>`) after each of `tokens` in the blank,
        (n,).
        """
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
    """Indices into `corpus.ids` of all tokens but the boundaries, (N,): those that could be
    blanked.
    """
    inside = corpus.ids != Vocabulary.bos_id
    if corpus.vocabulary.eos_id is not None:
        inside &= corpus.ids != corpus.vocabulary.eos_id
    return np.flatnonzero(inside)


def choose_blanks(corpus: Corpus, n: int, seed: int = 0, *, reach: int = _REACH) -> list[Blank]:
    """At most `n` in-vocabulary tokens of a corpus as blanks, drawn at random: at most one per
    sequence as long as there are enough sequences.

    A blank has at most `reach` tokens on each side.

    Raises LangmodelsError for a corpus without an in-vocabulary token.
    """
    known = positions(corpus)
    known = known[corpus.ids[known] != Vocabulary.unk_id]
    if not len(known):
        raise LangmodelsError("There is no known token in the text to be left blank.")
    order = np.random.default_rng(seed).permutation(known)
    sequence = np.searchsorted(corpus.offsets, order, side="right")
    # Draw in rounds, in each of which a sequence gives at most one token: the k-th token drawn from
    # a sequence belongs to round k.
    by_sequence = np.argsort(sequence, kind="stable")
    sorted_sequence = sequence[by_sequence]
    first = np.searchsorted(sorted_sequence, sorted_sequence)
    rounds = np.empty(len(order), np.int64)
    rounds[by_sequence] = np.arange(len(order)) - first
    chosen = order[np.argsort(rounds, kind="stable")[:n]]
    return list(_blanks_at(corpus, np.sort(chosen), reach))


def all_blanks(corpus: Corpus) -> Iterable[Blank]:
    """Each token of a corpus but the boundaries as a blank, in corpus order."""
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
    """How well n blanks were filled: `log_probs` (n,) of the right tokens in nats, and their
    `ranks` (n,).

    A rank of 1 means that the right token is the most probable one; ties have the mean rank.
    """

    log_probs: FloatArray
    ranks: FloatArray

    @property
    def accuracy(self) -> float:
        """The share of blanks whose right token has rank 1."""
        return float((self.ranks == 1).mean())

    @property
    def reciprocal_rank(self) -> float:
        """The mean reciprocal rank."""
        return float((1 / self.ranks).mean())

    @property
    def perplexity(self) -> float:
        """The perplexity of the right tokens."""
        return perplexity_at(-float(self.log_probs.mean()))


@checked
def evaluate_blanks(cloze: Cloze, blanks: Sequence[Blank]) -> BlankScores:
    """Fill blanks, and compare with the tokens that were there."""
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
    models: Mapping[str, Cloze], corpus: Corpus, n: int = 500, seed: Seed = 0
) -> dict[str, BlankScores]:
    """The scores of every model, by name, on the same random blanks, at most `n` of them.

    Raises UsageError for a model whose vocabulary is not that of the corpus.
    """
    for name, model in models.items():
        if model.vocabulary != corpus.vocabulary:
            raise UsageError(f"The vocabulary of {name} is not that of the text.")
    blanks = choose_blanks(corpus, n, seed)
    return {name: evaluate_blanks(model, blanks) for name, model in models.items()}
