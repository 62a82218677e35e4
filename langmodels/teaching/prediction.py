"""The most probable next tokens after a context, as a table to read aloud."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from langmodels.models.base import LanguageModel
from langmodels.notebooks import bar, escaped, table
from langmodels.teaching.chain_rule import context_seen, separator, undefined


@dataclass(frozen=True)
class RankedToken:
    """A possible next token: its rank among all of them (from 1) and its probability.

    One that is not `known`, not in the vocabulary, has those of `<unk>`.
    """

    rank: int
    token: str
    prob: float
    known: bool = True


@dataclass(frozen=True)
class Prediction:
    """What a model expects after a context.

    `context` is what was asked, `unknown` what of it the model does not know, `used` what it takes
    into account. `candidates` are the most probable next tokens, `asked` the one asked
    for. `entropy` (bits) says how unsure the model is: 2 to its power is the number of equally
    probable tokens that would be as hard to guess. `separator` stands between tokens in a row;
    `note` is what has to be said of the probabilities.
    """

    model: str
    context: tuple[str, ...]
    unknown: tuple[str, ...]
    used: tuple[str, ...]
    candidates: tuple[RankedToken, ...]
    asked: RankedToken | None
    entropy: float
    separator: str = " "
    is_distribution: bool = True
    note: str = ""

    def _repr_html_(self) -> str:
        """What a notebook shows: a bar a token."""
        shown = [*self.candidates, *([self.asked] if self.asked else [])]
        scale = max((c.prob for c in self.candidates), default=0.0) or 1.0
        rows = (
            (
                str(c.rank),
                escaped(c.token),
                f"{c.prob:.4f}",
                bar(c.prob / scale),
            )
            for c in shown
        )
        used = self.separator.join(self.used) or "nothing"
        caption = f"{self.model}: p(x | {used}), {self.entropy:.2f} bits of entropy"
        note = f"<p>{escaped(self.note)}</p>" if self.note else ""
        return table(("rank", "x", "p", ""), rows, caption) + note

    def records(self) -> dict[str, Any]:
        """As plain data for JSON."""
        record = asdict(self)
        del record["separator"]
        return record


def predict_next(
    model: LanguageModel[Any],
    context: str = "",
    k: int = 10,
    token: str | None = None,
    name: str = "",
) -> Prediction:
    """The `k` most probable next tokens after a context, and what is said of `token`.

    Raises UsageError for a `k` below one, or a `token` that is more than one.
    """
    tokens = tuple(model.tokenize(context))
    state = model.state(list(tokens))
    p = np.exp(model.log_distribution(state))
    candidates = tuple(
        RankedToken(rank, candidate, probability)
        for rank, (candidate, probability) in enumerate(model.predict(list(tokens), k), start=1)
    )
    asked = None
    if token is not None:
        i = model._token_id(token)
        rank = int(np.count_nonzero(p > p[i])) + 1
        asked = RankedToken(rank, token, float(p[i]), known=token in model.vocabulary)
    positive = p[p > 0]
    return Prediction(
        model=name or model.kind,
        context=tokens,
        unknown=tuple(t for t in dict.fromkeys(tokens) if t not in model.vocabulary),
        used=context_seen(model, state, tokens),
        candidates=candidates,
        asked=asked,
        entropy=float(-(positive * np.log(positive)).sum()) / math.log(2),
        separator=separator(model.tokenizer),
        is_distribution=model.is_distribution,
        note=undefined(model, state, len(tokens)),
    )
