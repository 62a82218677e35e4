"""N-best lists: what a recogniser or a translator offers, put in the order that a model prefers."""

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langmodels.errors import LangmodelsError
from langmodels.models.base import LanguageModel
from langmodels.models.lines import score_batch

MARK = "|||"
"""Parts the fields of a line."""


@dataclass(frozen=True)
class Hypothesis:
    """One hypothesis of a list, with the score that it came with.

    `log_prob` is the model's, in nats, and `total` what lists are ordered by; both are set by
    `rescore`. `fields` are those of a line that was read.
    """

    text: str
    score: float = 0.0
    list_id: str = ""
    fields: tuple[str, ...] = ()
    log_prob: float = 0.0
    total: float = 0.0


def rescore(
    model: LanguageModel[Any],
    lists: Iterable[Sequence[Hypothesis | str]],
    *,
    weight: float = 1.0,
    length_bonus: float = 0.0,
) -> list[list[Hypothesis]]:
    r"""N-best lists, each in the order of score + weight * log p + length_bonus * tokens.

    `weight` is of log p in nats. Plain texts are hypotheses whose scores are all the same.

    >>> from langmodels.registry import make_model
    >>> model = make_model("witten-bell:order=2").fit("recognise speech\nwreck a beach\nspeech")
    >>> ((best, _),) = rescore(model, [["wreck a speech", "recognise speech"]])
    >>> best.text
    'recognise speech'
    """
    read = [[h if isinstance(h, Hypothesis) else Hypothesis(h) for h in some] for some in lists]
    flat = [h for some in read for h in some]
    log_probs = iter(score_batch(model, [h.text for h in flat]).totals.tolist())

    def scored(h: Hypothesis) -> Hypothesis:
        log_p = next(log_probs)
        bonus = length_bonus * len(model.tokenize(h.text)) if length_bonus else 0.0
        weighted = weight * log_p if weight else 0.0  # 0 x infinity would be no number
        return replace(h, log_prob=log_p, total=h.score + weighted + bonus)

    return [sorted(map(scored, some), key=lambda h: -h.total) for some in read]


def read_nbest(lines: Iterable[str]) -> list[list[Hypothesis]]:
    """The lists that lines hold: fields with `|||` between, plain texts, or JSON objects.

    Hypotheses of a list come one after the other. Raises LangmodelsError, with the number of the
    line, for a score that is no number.
    """
    return [list(some) for _, some in itertools.groupby(_parsed(lines), lambda h: h.list_id)]


def _parsed(lines: Iterable[str]) -> Iterator[Hypothesis]:
    list_number = 0
    for number, line in enumerate(lines, start=1):
        fields = tuple(field.strip() for field in line.split(MARK))
        if not line.strip():
            list_number += 1
        elif line.lstrip().startswith(("{", "[")) and (record := _record(line)) is not None:
            yield _from_record(record, number, list_number)
        elif len(fields) == 1:
            yield Hypothesis(fields[0], 0.0, str(list_number), fields)
        else:
            score = _score(fields[-1], number) if len(fields) > 2 else 0.0
            yield Hypothesis(fields[1], score, fields[0], fields)


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
    """A line that is a JSON object or array; None where it only looks like one."""
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
    return Hypothesis(text, score, list_id, (list_id, text, f"{score:g}"))
