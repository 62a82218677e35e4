"""`langmodels rescore`: put n-best lists in the order that a model prefers."""

import argparse
import itertools
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from langmodels.cli import streams
from langmodels.cli.files import InputFile
from langmodels.cli.ngram_files import add_input_options, read_model
from langmodels.cli.options import add_errors_option, add_json_option
from langmodels.cli.output import UNITS, print_json
from langmodels.datasets import read_chunks
from langmodels.errors import LangmodelsError
from langmodels.interchange import cell
from langmodels.models.base import LanguageModel
from langmodels.models.lines import score_batch, split_lines
from langmodels.ngram.arpa import is_arpa_name
from langmodels.registry import load

EPILOG = """\
examples:
  langmodels rescore news.lm --nbest nbest.txt > rescored.txt
  langmodels rescore news.arpa.gz --nbest nbest.txt.gz --weight 0.5 --best
  langmodels rescore news.lm --weight 0.8 --length-bonus 0.5 < nbest.txt

A line of a list is `id ||| hypothesis ||| score`, the score being the last field and others being
allowed between them; or the hypothesis alone, and then a blank line ends each list; or a JSON
object with the fields id, hypothesis and score. The total is score + weight * log p + bonus *
number of words. Each line is printed with log p and the total as two more fields, the best of each
list first.
"""

_MARK = "|||"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "model", type=InputFile, metavar="MODEL", help="a model file or an ARPA file"
    )
    parser.add_argument(
        "--nbest", type=InputFile, default="-", metavar="FILE", help="the lists (default: input)"
    )
    parser.add_argument(
        "--weight", type=float, default=1.0, metavar="W", help="of the model's log p (default: 1)"
    )
    parser.add_argument(
        "--length-bonus", type=float, default=0.0, metavar="B", help="for each word (default: 0)"
    )
    parser.add_argument(
        "--unit", choices=UNITS, default="nats", help="unit of log p (default: nats)"
    )
    parser.add_argument(
        "--best", action="store_true", help="print the best hypotheses only, after their ids"
    )
    parser.add_argument("--encoding", default="utf-8", help="encoding of the lists")
    add_errors_option(parser)
    add_input_options(parser)
    add_json_option(parser)


@dataclass(frozen=True)
class Hypothesis:
    """One line of a list: the fields as they were read, and what the recogniser made of it."""

    list_id: str
    text: str
    score: float
    fields: tuple[str, ...]
    log_prob: float = 0.0
    total: float = 0.0


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Read, score, sort and print."""
    arpa = is_arpa_name(args.model)
    model: LanguageModel[Any] = read_model(args.model, args.level) if arpa else load(args.model)
    read = list(parse(_lines(args)))
    scores = score_batch(model, [h.text for h in read])
    rescored: list[Hypothesis] = []
    for hypothesis, nats in zip(read, scores.totals.tolist(), strict=True):
        log_p = nats / UNITS[args.unit]
        bonus = args.length_bonus * len(model.tokenize(hypothesis.text))
        weighted = args.weight * log_p if args.weight else 0.0  # 0 x infinity would be no number
        total = hypothesis.score + weighted + bonus
        rescored.append(replace(hypothesis, log_prob=log_p, total=total))
    lists = [
        sorted(group, key=lambda h: -h.total)
        for _, group in itertools.groupby(rescored, key=lambda h: h.list_id)
    ]
    if args.json:
        print_json([[_entry(h) for h in (ranked[:1] if args.best else ranked)] for ranked in lists])
        return None
    for i, ranked in enumerate(lists):
        if args.best:
            best = ranked[0]
            labelled = len(best.fields) > 1
            streams.write(f"{best.list_id} {_MARK} " * labelled + f"{best.text}\n")
            continue
        if i and len(ranked[0].fields) == 1:  # no ids: what parts lists is a blank line
            streams.write("\n")
        for h in ranked:
            fields = (*h.fields, cell(h.log_prob, 6), cell(h.total, 6))
            streams.write(f" {_MARK} ".join(fields) + "\n")
    return None


def _entry(h: Hypothesis) -> dict[str, str | float]:
    return {
        "id": h.list_id,
        "hypothesis": h.text,
        "score": h.score,
        "log_prob": h.log_prob,
        "total": h.total,
    }


def _lines(args: argparse.Namespace) -> Iterator[str]:
    for lines in split_lines(read_chunks(args.nbest, args.encoding, errors=args.errors)):
        yield from lines


def parse(lines: Iterable[str]) -> Iterator[Hypothesis]:
    """The hypotheses of lists in either form; those of one list come one after the other.

    Raises LangmodelsError, with the number of the line, for a score that is no number.
    """
    list_number = 0
    for number, line in enumerate(lines, start=1):
        fields = tuple(field.strip() for field in line.split(_MARK))
        if not line.strip():
            list_number += 1
        elif line.lstrip().startswith(("{", "[")) and (record := _record(line)) is not None:
            yield _from_record(record, number, list_number)
        elif len(fields) == 1:
            yield Hypothesis(str(list_number), fields[0], 0.0, fields)
        else:
            score = _score(fields[-1], number) if len(fields) > 2 else 0.0
            yield Hypothesis(fields[0], fields[1], score, fields)


def _score(text: Any, number: int) -> float:
    try:
        score = float(text)
    except (ValueError, TypeError):
        score = math.nan
    if not math.isfinite(score):
        raise LangmodelsError(
            f"Line {number} of the list: the score {text!r} is not a number; "
            f"write id {_MARK} hypothesis {_MARK} score."
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
    return Hypothesis(list_id, text, score, (list_id, text, f"{score:g}"))
