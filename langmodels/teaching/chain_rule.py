"""A sentence through the chain rule: p(x1, x2, x3, ...) = p(x1) p(x2 | x1) p(x3 | x1, x2) ..."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from langmodels import notebooks
from langmodels.arguments import checked
from langmodels.errors import UsageError
from langmodels.fullcontext import FullContextModel
from langmodels.models.base import LanguageModel
from langmodels.models.scores import perplexity_at
from langmodels.ngram import NGramModel
from langmodels.teaching.pictures import LINES, picture, written
from langmodels.text.tokenization import Tokenizer
from langmodels.text.vocabulary import BOS, EOS

S = TypeVar("S")


@dataclass(frozen=True)
class Step:
    """One factor of the chain rule.

    `context`: all tokens before `token`. `used`: the last of them, which the model takes into
    account; with `<s>` before them if it also sees the beginning of the sequence. `known`: whether
    `token` is in the vocabulary. `log_prob`: log p(token | used) in nats. `running`: the sum of all
    log probabilities so far.
    """

    token: str
    known: bool
    context: tuple[str, ...]
    used: tuple[str, ...]
    log_prob: float
    running: float

    @property
    def prob(self) -> float:
        """p(token | used)."""
        return math.exp(self.log_prob)


@dataclass(frozen=True)
class ChainRule:
    """The chain rule of one model for one sequence: a step for each token, `</s>` included.

    `separator`: what is put between tokens that are shown in a row. `note`: a caution about the
    factors, if there is one.
    """

    model: str
    steps: tuple[Step, ...]
    separator: str = " "
    is_distribution: bool = True
    note: str = ""

    @property
    def tokens(self) -> tuple[str, ...]:
        """The predicted tokens in order."""
        return tuple(step.token for step in self.steps)

    @property
    def log_prob(self) -> float:
        """Log p of the whole sequence in nats: the logarithm of the product."""
        return self.steps[-1].running

    @property
    def perplexity(self) -> float:
        """The inverse of the geometric mean of the factors."""
        return perplexity_at(-self.log_prob / len(self.steps))

    def _repr_html_(self) -> str:
        """For notebooks: the text coloured by surprisal, and a row for each factor."""
        bits = [-step.log_prob / math.log(2) for step in self.steps]
        text = self.separator.join(
            notebooks.coloured(step.token, b, f"{b:.2f} bits")
            for step, b in zip(self.steps, bits, strict=True)
        )
        rows = (
            (
                notebooks.escaped(step.token),
                notebooks.escaped(self.separator.join(step.used) or "nothing"),
                f"{step.prob:.4g}",
                f"{b:.2f}",
                f"{-step.running / math.log(2):.2f}",
            )
            for step, b in zip(self.steps, bits, strict=True)
        )
        head = ("x", "given", "p(x | given)", "bits", "bits so far")
        caption = f"{self.model}: perplexity {self.perplexity:.2f}"
        note = f"<p>{notebooks.escaped(self.note)}</p>" if self.note else ""
        return f"<p>{text}</p>{notebooks.table(head, rows, caption)}{note}"

    def records(self) -> dict[str, Any]:
        """Plain data for JSON; log probabilities are in nats."""
        return {
            "model": self.model,
            "unit": "nats",
            "log_prob": self.log_prob,
            "perplexity": self.perplexity,
            "is_distribution": self.is_distribution,
            "note": self.note,
            "steps": [
                {
                    "token": step.token,
                    "known": step.known,
                    "context": list(step.context),
                    "used": list(step.used),
                    "prob": step.prob,
                    "log_prob": step.log_prob,
                    "running": step.running,
                }
                for step in self.steps
            ],
        }


@checked
def chain_rule(model: LanguageModel[Any], text: str, name: str = "") -> ChainRule:
    """Decompose the probability of a text, read as one sequence, by the chain rule.

    Raises UsageError where the text has no tokens.
    """
    tokens = list(model.tokenize(text))
    if not tokens:
        raise UsageError("The sentence is empty; give at least one word.")
    scores = model.token_scores(tokens).tolist()
    predicted = [*tokens, EOS] if model.vocabulary.ends else tokens
    ids = model.encode(tokens).tolist()
    state = model.start()
    steps: list[Step] = []
    running, note = 0.0, "" if model.is_distribution else "The scores do not sum to one."
    for i, (token, log_prob) in enumerate(zip(predicted, scores, strict=True)):
        running += log_prob
        context = tuple(tokens[:i])
        known = token in model.vocabulary
        used = context_seen(model, state, context)
        steps.append(Step(token, known, context, used, log_prob, running))
        note = note or undefined(model, state, i)
        if i + 1 < len(predicted):
            state = model.advance(state, ids[i])
    return ChainRule(
        name or model.kind,
        tuple(steps),
        separator(model.tokenizer),
        model.is_distribution,
        note,
    )


def plot_chain_rules(chains: Sequence[ChainRule], path: str | os.PathLike[str]) -> None:
    """Draw the surprisal of every token into a file: models with the same tokens in one panel.

    Raises what `pictures.picture` raises.
    """
    panels = list({chain.tokens: chain for chain in chains})
    with picture(path, len(panels)) as axes:
        for axis, tokens in zip(axes, panels, strict=True):
            alike = [chain for chain in chains if chain.tokens == tokens]
            top = max(
                (-s.log_prob for c in alike for s in c.steps if s.log_prob > -math.inf), default=1
            )
            for k, chain in enumerate(alike):
                nats = np.array([-step.log_prob for step in chain.steps])
                endless = np.isinf(nats)
                bits = np.where(endless, 1.15 * top, nats) / math.log(2)
                line = LINES[k % len(LINES)]
                axis.plot(bits, line, color=f"C{k}", markersize=4, label=written(chain.model))
                axis.plot(np.flatnonzero(endless), bits[endless], "x", color=f"C{k}", markersize=9)
            labels = [written(token) for token in tokens]
            if len(tokens) > 8:
                axis.set_xticks(range(len(tokens)), labels, rotation=90)
            else:
                axis.set_xticks(
                    range(len(tokens)), labels, rotation=30, ha="right", rotation_mode="anchor"
                )
            axis.set(ylabel="surprisal, bits (x: infinite)")
            axis.set_ylim(bottom=0)
            axis.legend(fontsize="small")


def undefined(model: LanguageModel[S], state: S, length: int) -> str:
    """The model's caveat if it has not seen the context of `length` tokens, else empty."""
    reach = length if model.context_length is None else model.context_length
    return model.caveat if model.used_in(state, length) < min(length, reach) else ""


def context_seen(model: LanguageModel[S], state: S, context: tuple[str, ...]) -> tuple[str, ...]:
    """The tokens of a context that the model takes into account, with `<s>` if it sees it.

    `state`: the model's state after the context.
    """
    used = model.used_in(state, len(context))
    if used < len(context):
        return context[len(context) - used :]
    return (BOS, *context) if _sees_beginning(model, state, len(context)) else context


def _sees_beginning(model: LanguageModel[Any], state: Any, length: int) -> bool:
    # These models match more tokens than the context has if they match <s>, too.
    if isinstance(model, NGramModel):
        return len(state) > length
    if isinstance(model, FullContextModel):
        return bool(state.length > length)
    return model.context_length is None or model.context_length > length


def separator(tokenizer: Tokenizer) -> str:
    """What is put between tokens in a row: nothing between characters, a space between words."""
    return "" if tokenizer.detokenize(["a", "b"]) == "ab" else " "
