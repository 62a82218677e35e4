"""N-best lists of a speech recogniser or a translator: reading them, and reranking by a model."""

import itertools
import json
import math
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langmodels.arguments import checked
from langmodels.errors import FileWarning, LangmodelsError, UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.lines import score_batch

MARK = "|||"
"""The separator of fields in a line, as Moses writes it."""


@dataclass(frozen=True)
class Hypothesis:
    """One hypothesis of a list, with its score from the recogniser or translator.

    `rescore` sets `log_probs`, log p under each model in nats, and `total`, by which lists are
    ordered. `fields` are all fields of the line that was read.
    """

    text: str
    score: float = 0.0
    list_id: str = ""
    fields: tuple[str, ...] = ()
    log_probs: tuple[float, ...] = ()
    total: float = 0.0

    @property
    def log_prob(self) -> float:
        """The sum of log p over the models, in nats."""
        return sum(self.log_probs)


@checked
def rescore(
    model: LanguageModel[Any] | Sequence[LanguageModel[Any]],
    lists: Iterable[Sequence[Hypothesis | str]],
    *,
    weight: float | Sequence[float] = 1.0,
    length_bonus: float = 0.0,
) -> list[list[Hypothesis]]:
    r"""N-best lists, each in the order of score + weight * log p + length_bonus * tokens.

    `weight` multiplies log p in nats: one for each model, or one for all. Tokens are counted by the
    first model. A hypothesis of probability zero under any model of positive weight has a total of
    -inf; several of them are ordered by the remaining terms. Plain strings are hypotheses of equal
    scores. Raises UsageError unless there are as many weights as models.

    >>> from langmodels.registry import make_model
    >>> model = make_model("witten-bell:order=2").fit("recognise speech\nwreck a beach\nspeech")
    >>> ((best, _),) = rescore(model, [["wreck a speech", "recognise speech"]])
    >>> best.text
    'recognise speech'
    """
    read = [[h if isinstance(h, Hypothesis) else Hypothesis(h) for h in some] for some in lists]
    flat = [h for some in read for h in some]
    models = [model] if isinstance(model, LanguageModel) else list(model)
    weights = list(weight) if isinstance(weight, Iterable) else [weight] * len(models)
    if len(weights) != len(models):
        raise UsageError(f"{len(models)} models need as many weights, not {len(weights)}.")
    for number in (*weights, length_bonus):
        if not math.isfinite(number):
            raise UsageError(f"Weights and the length bonus are finite numbers, not {number}.")
    for h in flat:
        if math.isnan(h.score):
            raise LangmodelsError(
                f"The score of {h.text!r} is no number; give it one, or leave it out."
            )
    texts = [h.text for h in flat]
    scores = iter(zip(*(score_batch(m, texts).totals.tolist() for m in models), strict=True))

    def scored(h: Hypothesis) -> tuple[Hypothesis, float]:
        """With its total, and beside it what that would be without what is impossible."""
        log_probs = next(scores)
        bonus = length_bonus * len(models[0].tokenize(h.text)) if length_bonus else 0.0
        weighted = [(w, log_p) for w, log_p in zip(weights, log_probs, strict=True) if w]
        rest = h.score + bonus + sum(w * log_p for w, log_p in weighted if log_p > -math.inf)
        infinite = [-math.copysign(math.inf, w) for w, log_p in weighted if log_p == -math.inf]
        return replace(h, log_probs=log_probs, total=min(infinite, default=rest)), rest

    ranked = (sorted(map(scored, some), key=lambda at: (-at[0].total, -at[1])) for some in read)
    return [[h for h, _ in some] for some in ranked]


LISTS = ("auto", "plain", "kaldi")
"""Formats of lines without `|||`, by which `read_nbest` can be told how to read them."""

_KALDI = re.compile(r"(\S+)-(\d{1,9})(?:\s+(.*))?")


@checked
def read_nbest(lines: Iterable[str], kind: str = "auto") -> list[list[Hypothesis]]:
    """N-best lists from lines of fields separated by `|||`, of plain text, or of JSON objects.

    The hypotheses of a list are consecutive; an id that comes back later gives a FileWarning.
    `kind` is "plain" for lines that are hypotheses, "kaldi" for lines `id-n hypothesis` with n = 1,
    2, ...; "auto" recognises Kaldi's by the numbers of all lines. Raises UsageError for another
    `kind`; LangmodelsError, with the number of the line, for a score that is no number, and where
    some lines are numbered and others are not.
    """
    if kind not in LISTS:
        raise UsageError(f"There are no lists {kind!r}, only {', '.join(LISTS)}.")
    read = list(lines)
    if kind == "kaldi" or (kind == "auto" and _is_kaldi(read)):
        parsed: Iterable[_Parsed] = _from_kaldi(read)
    else:
        parsed = _parsed(read)
    found = [(key, [h for _, h in some]) for key, some in itertools.groupby(parsed, lambda p: p[0])]
    often = Counter(key for key, _ in found)
    again = [str(key) for key, n in often.items() if n > 1]
    if again:
        others = f" and of {len(again) - 1:,} others" if len(again) > 1 else ""
        warnings.warn(
            f"Hypotheses of the list {again[0]}{others} stand in several places, and are taken for "
            "lists of their own; put those of a list one after the other.",
            FileWarning,
            stacklevel=2,
        )
    return [some for _, some in found]


_Parsed = tuple[str | int, Hypothesis]
"""The key of a list, given as an id or counted, and one hypothesis of it."""


def _is_kaldi(lines: Sequence[str]) -> bool:
    """Whether lines are numbered as Kaldi numbers hypotheses.

    Raises LangmodelsError where the first list is numbered, and not all others.
    """
    written = [line for line in lines if line.strip()]
    if any(MARK in line or line.lstrip().startswith(("{", "[")) for line in written):
        return False
    base, n = "", 0
    for i, line in enumerate(written):
        found = _KALDI.fullmatch(line.strip())
        number = int(found[2]) if found else 0
        if found and found[1] == base and number == n + 1:
            n = number
        elif found and number == 1:
            base, n = found[1], 1
        elif i < 2:
            return False
        else:
            raise LangmodelsError(
                f"The lists begin as Kaldi's do ({written[0].split()[0]}, ...), but "
                f"{line.strip()[:40]!r} is not numbered so; say --lists kaldi or --lists plain."
            )
    return len(written) > 1


def _from_kaldi(lines: Iterable[str]) -> Iterator[_Parsed]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        found = _KALDI.fullmatch(line.strip())
        if not found:
            raise LangmodelsError(
                f"Line {number} of the list is none of Kaldi's: write id-n and the hypothesis."
            )
        text = found[3] or ""
        yield found[1], Hypothesis(text, 0.0, found[1], (f"{found[1]}-{found[2]}", text))


def with_costs(
    lists: Iterable[Sequence[Hypothesis]], lines: Iterable[str]
) -> list[list[Hypothesis]]:
    """Kaldi lists with scores from lines `id-n cost`: a score is minus the cost.

    Raises LangmodelsError for a malformed line and for a hypothesis without a cost.
    """
    costs: dict[str, float] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            name, *cost = line.split(None, 1)
            costs[name] = -_score(cost[0].strip() if cost else "", number)
    missing = [h.fields[0] for some in lists for h in some if h.fields[0] not in costs]
    if missing:
        raise LangmodelsError(f"There is no cost of {missing[0]} among the scores.")
    return [[replace(h, score=costs[h.fields[0]]) for h in some] for some in lists]


def _parsed(lines: Iterable[str]) -> Iterator[_Parsed]:
    list_number = 0
    for number, line in enumerate(lines, start=1):
        fields = tuple(field.strip() for field in line.split(MARK))
        if not line.strip():
            list_number += 1
        elif line.lstrip().startswith(("{", "[")) and (record := _record(line)) is not None:
            hypothesis = _from_record(record, number, list_number)
            yield hypothesis.list_id if "id" in record else list_number, hypothesis
        elif len(fields) == 1:
            yield list_number, Hypothesis(fields[0], 0.0, str(list_number), fields)
        else:
            score = _score(fields[-1], number) if len(fields) > 2 else 0.0
            yield fields[0], Hypothesis(fields[1], score, fields[0], fields)


def _score(text: Any, number: int) -> float:
    try:
        score = float(text)
    except (ValueError, TypeError):
        score = math.nan
    if not math.isfinite(score):
        raise LangmodelsError(
            f"Line {number} of the list: the score {text!r} is not a number; "
            f"write id {MARK} hypothesis {MARK} score."
        )
    return score


def _record(line: str) -> Any:
    """The JSON object or array in a line; None for a line that is not valid JSON."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _from_record(record: Any, number: int, list_number: int) -> Hypothesis:
    text = record.get("hypothesis", record.get("text")) if isinstance(record, dict) else None
    if not isinstance(text, str):
        raise LangmodelsError(
            f"Line {number} of the list is JSON, but no hypothesis: write one object a line, with "
            "the fields id, hypothesis and score."
        )
    list_id = str(record.get("id", list_number))
    score = _score(record.get("score", 0.0), number)
    text = " ".join(text.split("\n"))
    return Hypothesis(text, score, list_id, (list_id, text, repr(score).removesuffix(".0")))
