"""The most probable next tokens after a context."""

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from langmodels.arguments import checked
from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.decoding import Decoding
from langmodels.notebooks import bar, escaped, table
from langmodels.teaching.chain_rule import context_seen, separator, undefined
from langmodels.teaching.pictures import Bars, draw_bars
from langmodels.text.vocabulary import Vocabulary

_GIVEN = 6  # tokens of a context that are written below a picture


@dataclass(frozen=True)
class RankedToken:
    """A possible next token, with its probability and its rank among all tokens.

    The rank is one more than the number of more probable tokens, so that equally probable tokens
    have equal ranks. A token that is not in the vocabulary (`known` is false) has the probability
    and rank of `<unk>`.
    """

    rank: int
    token: str
    prob: float
    known: bool = True


@dataclass(frozen=True)
class Prediction:
    """A model's distribution of the next token after a context.

    `context`: the tokens of the context; `unknown`: those that are not in the vocabulary; `used`:
    those that the model takes into account. `candidates`: the most probable next tokens. `asked`:
    the token that was asked for, if any. `entropy`: of the distribution in bits; 2 to its power is
    the number of equally probable tokens that would be as hard to guess. `separator`: what is put
    between tokens in a row. `note`: a caution about the probabilities, if there is one. All
    probabilities are those at `temperature`. Where `is_distribution` is false they are scores that
    do not sum to one, and the entropy is that of their shares.
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
    temperature: float = 1.0

    def _repr_html_(self) -> str:
        """For notebooks: a table with a bar for each token."""
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
        if not self.is_distribution:
            caption = f"{self.model}: score(x | {used}); scores do not sum to one"
        note = f"<p>{escaped(self.note)}</p>" if self.note else ""
        value = "p" if self.is_distribution else "score"
        return table(("rank", "x", value, ""), rows, caption) + note

    def records(self) -> dict[str, Any]:
        """As plain data for JSON."""
        record = asdict(self)
        del record["separator"]
        return record


@checked
def predict_next(
    model: LanguageModel[Any],
    context: str = "",
    k: int = 10,
    token: str | None = None,
    name: str = "",
    *,
    temperature: float = 1.0,
) -> Prediction:
    """The `k` most probable next tokens after a context, and the probability of `token`.

    `temperature` divides the log probabilities, which are then normalised again: below 1 probable
    tokens become more probable, above 1 the distribution becomes flatter.

    Raises UsageError for a `k` or a temperature that is not positive, and for a `token` that is
    more than one token.
    """
    if k < 1:
        raise UsageError(f"Ask for at least one prediction, not {k}.")
    if not (temperature > 0 and math.isfinite(temperature)):
        raise UsageError(f"The temperature must be above 0, not {temperature}.")
    tokens = tuple(model.tokenize(context))
    state = model.state(list(tokens))
    log_p = model.log_distribution(state)
    if temperature == 1:
        p = np.exp(log_p)
    else:
        p = Decoding(temperature, unk=True).probabilities(log_p)
    ranked = p.copy()
    ranked[Vocabulary.bos_id] = -1.0  # behind everything else of probability zero
    best = np.argsort(-ranked, kind="stable")[: min(k, model.vocabulary.n_predictable)]
    ranks = 1 + np.searchsorted(-ranked[best], -ranked[best])
    candidates = tuple(
        RankedToken(rank, model.vocabulary.token(i), float(p[i]))
        for rank, i in zip(ranks.tolist(), best.tolist(), strict=True)
    )
    asked = None
    if token is not None:
        i = model._token_id(token)
        rank = int(np.count_nonzero(p > p[i])) + 1
        asked = RankedToken(rank, token, float(p[i]), known=token in model.vocabulary)
    normalised = model.is_distribution or temperature != 1
    positive = p[p > 0] if normalised else p[p > 0] / p.sum()
    return Prediction(
        model=name or model.kind,
        context=tokens,
        unknown=tuple(t for t in dict.fromkeys(tokens) if t not in model.vocabulary),
        used=context_seen(model, state, tokens),
        candidates=candidates,
        asked=asked,
        entropy=-float((positive * np.log2(positive)).sum()) + 0.0,  # no "-0.0"
        separator=separator(model.tokenizer),
        is_distribution=normalised,
        note=undefined(model, state, len(tokens)),
        temperature=temperature,
    )


def plot_predictions(predictions: Sequence[Prediction], path: str | os.PathLike[str]) -> None:
    """Draw the bars of several predictions side by side into a file.

    Raises what `pictures.picture` raises.
    """
    panels = []
    warm = any(found.temperature != 1 for found in predictions)
    for found in predictions:
        shown = [*found.candidates, *([found.asked] if found.asked else [])]
        at = f", temperature {found.temperature:g}" if warm else ""
        given = found.separator.join(found.used[-_GIVEN:]) or "nothing"
        marked = len(found.candidates) if found.asked else None
        shares = [(token.token, token.prob) for token in shown]
        value = "p" if found.is_distribution else "score"
        panels.append(Bars(f"{found.model}{at}", f"{value}(x | {given})", shares, marked))
    draw_bars(panels, path)
