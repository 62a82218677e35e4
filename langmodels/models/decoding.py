"""Decoding: choosing tokens from a model's distributions, the same for every model."""

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from langmodels.arguments import check_fields
from langmodels.arrays import FloatArray
from langmodels.errors import UsageError
from langmodels.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from langmodels.models.base import LanguageModel


@dataclass(frozen=True)
class Decoding:
    """How the next token is chosen from p(next | context).

    `temperature` divides the log probabilities: below 1 sharper, above 1 flatter, 0 greedy. `top_k`
    keeps the k most probable tokens; `top_p` keeps the smallest set of most probable tokens whose
    probabilities sum to at least `top_p` (nucleus sampling: Holtzman et al. 2020, "The Curious Case
    of Neural Text Degeneration", section 3.1). The rest is renormalised. `unk` allows `<unk>` to be
    drawn.

    Raises UsageError for values outside their range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    unk: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if not (self.temperature >= 0 and math.isfinite(self.temperature)):
            raise UsageError(f"The temperature must be 0 or more, not {self.temperature}.")
        if self.top_k is not None and self.top_k < 1:
            raise UsageError(f"top_k must be at least 1, not {self.top_k}.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise UsageError(f"top_p must be above 0 and at most 1, not {self.top_p}.")

    @property
    def plain(self) -> bool:
        """Whether the distribution is left as it is."""
        return self.temperature == 1 and self.top_k is None and self.top_p in (None, 1)

    def probabilities(self, log_p: FloatArray) -> FloatArray:
        """The distribution that tokens are drawn from, (V,), summing to 1.

        `log_p` is the model's distribution in nats, (V,). If every other token has probability
        zero, `<unk>` is allowed.
        """
        log_p = np.array(log_p, np.float64)
        if not self.unk and np.count_nonzero(np.isfinite(log_p)) > 1:
            log_p[Vocabulary.unk_id] = -np.inf
        if self.temperature == 0:
            p = np.zeros(len(log_p))
            p[int(np.argmax(log_p))] = 1.0
            return p
        if self.top_k is not None and self.top_k < len(log_p):
            least = np.partition(log_p, -self.top_k)[-self.top_k]
            kept = np.flatnonzero(log_p > least)
            equal = np.flatnonzero(log_p == least)[: self.top_k - len(kept)]
            kept = np.append(kept, equal)  # ties go to the lowest ids, as in argmax
            best = log_p[kept]
            log_p[:] = -np.inf
            log_p[kept] = best
        log_p -= log_p.max()
        if self.temperature != 1:
            log_p /= self.temperature
        p = np.exp(log_p)
        p /= p.sum()
        if self.top_p is not None and self.top_p < 1:
            order = np.argsort(-p, kind="stable")
            before = np.cumsum(p[order]) - p[order]
            p[order[before >= self.top_p]] = 0.0
            p /= p.sum()
        return p

    def choose(self, log_p: FloatArray, rng: np.random.Generator) -> int:
        """Draw one token id."""
        if self.temperature == 0:
            return int(np.argmax(self.probabilities(log_p)))
        cumulative = np.cumsum(self.probabilities(log_p))
        # Rounding can leave the sum a little off 1; scaling keeps the last token from taking it.
        return int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))


@functools.cache
def plain_decoding(unk: bool) -> Decoding:
    """The decoding that leaves the distribution as it is, made once: every token drawn asks."""
    return Decoding(unk=unk)


def generate(
    model: "LanguageModel[Any]",
    state: Any,
    decoding: Decoding,
    rng: np.random.Generator,
    max_tokens: int,
) -> Iterator[int]:
    """Yield token ids that continue from `state`, until `</s>` (not yielded) or `max_tokens`."""
    end = model.vocabulary.eos_id
    for _ in range(max_tokens):
        if decoding.plain:
            token = model.sample_next(state, rng, unk=decoding.unk)
        else:
            token = decoding.choose(model.log_distribution(state), rng)
        if token == end:
            return
        yield token
        state = model.advance(state, token)


@dataclass(frozen=True)
class Hypothesis:
    """A continuation found by beam search: its ids (without `</s>`), its log p in nats, and whether
    it ended with `</s>`.
    """

    ids: tuple[int, ...]
    log_prob: float
    ended: bool


def beam_search(
    model: "LanguageModel[Any]", state: Any, *, width: int, max_tokens: int, unk: bool = False
) -> list[Hypothesis]:
    """The most probable continuations of at most `max_tokens` tokens that a beam of `width` finds.

    Hypotheses that reached `</s>` compete with the unfinished ones by total log probability. The
    search stops when no unfinished one could still win. Best first, at most `width`. Raises
    UsageError for a width or length below one.
    """
    if width < 1 or max_tokens < 1:
        raise UsageError("Beam search needs a width and a number of tokens of at least 1.")
    end = model.vocabulary.eos_id
    beam: list[tuple[Hypothesis, Any]] = [(Hypothesis((), 0.0, False), state)]
    finished: list[Hypothesis] = []
    for _ in range(max_tokens):
        scores = np.stack([h.log_prob + model.log_distribution(s) for h, s in beam])
        if not unk:
            scores[:, Vocabulary.unk_id] = -np.inf
        flat = scores.ravel()
        best = (
            np.argpartition(-flat, width - 1)[:width] if width < flat.size else np.arange(flat.size)
        )
        best = best[np.argsort(-flat[best], kind="stable")]
        extended: list[tuple[Hypothesis, Any]] = []
        for index in best.tolist():
            score = float(flat[index])
            if score == -math.inf:
                continue
            (parent, parent_state), token = beam[index // scores.shape[1]], index % scores.shape[1]
            if token == end:
                finished.append(Hypothesis(parent.ids, score, True))
            else:
                hypothesis = Hypothesis((*parent.ids, token), score, False)
                extended.append((hypothesis, model.advance(parent_state, token)))
        finished = sorted(finished, key=lambda h: -h.log_prob)[:width]
        beam = extended
        if not beam or (len(finished) == width and finished[-1].log_prob >= beam[0][0].log_prob):
            break
    return sorted([*finished, *(h for h, _ in beam)], key=lambda h: -h.log_prob)[:width]
