"""`langmodels score`: log probabilities of sentences, from arguments, a file or standard input."""

import argparse
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from langmodels.cli import streams
from langmodels.cli.files import InputFile, TextName
from langmodels.cli.options import add_carry_option, add_errors_option, add_json_option, text_of
from langmodels.cli.output import (
    UNIT_LABELS,
    UNITS,
    facts_table,
    format_log,
    format_log_probability,
    format_perplexity,
    make_table,
    visible,
)
from langmodels.errors import UsageError
from langmodels.interchange import cell, json_text
from langmodels.models.base import LanguageModel
from langmodels.models.lines import LineScores, score_batch, score_lines
from langmodels.registry import load
from langmodels.text.vocabulary import Vocabulary

EPILOG = """\
examples:
  langmodels score tale.lm "The heron said nothing." "Nothing said the heron."
  langmodels score tale.lm --tokens "The heron said nothing."
  langmodels score tale.lm --file sentences.txt.gz > scores.tsv
  langmodels score tale.lm --summary < sentences.txt

From a file or standard input, one line is one sentence, and one tab-separated line is printed for
each: log p, number of tokens, number of unknown tokens, perplexity. What is infinite is "Infinity"
there, as in JSON, and what does not exist is empty. The totals follow on standard error. Where
sentences have an end, the end is predicted too and counts as a token.

A line ends at a line feed, or a carriage return and a line feed, and nowhere else; every line in is
one line out, blank ones too (the end alone), but blank lines have no part in the totals. Bytes that
are no text cost their own line alone: they are read as the replacement character, and counted.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", type=InputFile, metavar="MODEL", help="a model file")
    parser.add_argument("sentences", nargs="*", metavar="SENTENCE", help="what to score")
    parser.add_argument(
        "--file",
        type=TextName,
        metavar="NAME",
        help="score the lines of a text, named as for --corpus elsewhere",
    )
    parser.add_argument("--encoding", default="utf-8", help="encoding of the file (default: utf-8)")
    add_errors_option(parser, default="replace")
    parser.add_argument("--tokens", action="store_true", help="show every token")
    parser.add_argument("--summary", action="store_true", help="show the totals only")
    parser.add_argument(
        "--unit", choices=list(UNITS), default="log10", help="unit of log p (default: log10)"
    )
    add_carry_option(parser)
    add_json_option(parser)


@dataclass
class Totals:
    """Sums over all sentences. Blank lines, where a line is a sentence, are none."""

    sentences: int = 0
    blank: int = 0
    tokens: int = 0
    oov: int = 0
    log_prob: float = 0.0
    oov_log_prob: float = 0.0

    def add(self, scores: LineScores, *, ends: bool) -> None:
        """Add a batch; `ends`: whether its sentences have ends."""
        blank = np.array([ends and not line.strip() for line in scores.lines])
        self.sentences += int((~blank).sum())
        self.blank += int(blank.sum())
        self.tokens += int(scores.n_tokens[~blank].sum())
        self.oov += int(scores.n_oov.sum())
        self.log_prob += float(scores.totals[~blank].sum())
        self.oov_log_prob += scores.oov_log_prob

    def report(self, nats: float) -> dict[str, Any]:
        """The totals, log p in units of `nats` nats."""
        known = self.log_prob - self.oov_log_prob
        return {
            "sentences": self.sentences,
            "blank": self.blank,
            "tokens": self.tokens,
            "oov": self.oov,
            "log_prob": self.log_prob / nats,
            "perplexity": _perplexity(self.log_prob, self.tokens),
            "perplexity_without_oov": _perplexity(known, self.tokens - self.oov),
        }


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Score, print each sentence and the totals."""
    if args.sentences and args.file:
        raise UsageError("Give sentences or --file, not both.")
    model = load(args.model)
    nats = UNITS[args.unit]
    totals = Totals()
    batches = _batches(args, model, totals)
    if args.json:
        _print_json(batches, model, args, totals)
    elif args.sentences and not args.summary:
        for scores in batches:
            _print_table(scores, model, args, console)
    else:
        for scores in batches:
            if not args.summary:
                _print_lines(scores, model, args)
        where = console if args.summary else streams.SafeConsole(stderr=True)
        _print_totals(totals.report(nats), args.unit, model, where)
    return None


def _batches(
    args: argparse.Namespace, model: LanguageModel[Any], totals: Totals
) -> Iterator[LineScores]:
    batches: Iterable[LineScores]
    if args.sentences:
        batches = [score_batch(model, args.sentences, carry=args.carry)]
    else:
        chunks = text_of(args, args.file or "-").open()
        batches = score_lines(model, chunks, carry=args.carry)
    for scores in batches:
        totals.add(scores, ends=model.vocabulary.ends)
        yield scores


def _print_table(
    scores: LineScores, model: LanguageModel[Any], args: argparse.Namespace, console: Console
) -> None:
    nats, label = UNITS[args.unit], UNIT_LABELS[args.unit]
    if args.tokens:
        for i, line in enumerate(scores.lines):
            table = make_table("token", "p", label, "", left=("token", ""), title=line)
            for target, log_p in zip(*scores.line(i), strict=True):
                note = "unknown" if target == Vocabulary.unk_id else ""
                token = Text(visible(model.vocabulary.token(int(target))))
                p = format_log_probability(float(log_p))
                table.add_row(token, p, format_log(float(log_p) / nats), note)
            console.print(table)
    table = make_table("sentence", label, "tokens", "OOV", "perplexity", left=("sentence",))
    for line, log_p, n, oov in _rows(scores):
        perplexity = format_perplexity(_perplexity(log_p, n))
        table.add_row(Text(line), format_log(log_p / nats), f"{n:,}", f"{oov:,}", perplexity)
    console.print(table)
    if not model.is_distribution:
        console.print(_NO_DISTRIBUTION)


_NO_DISTRIBUTION = "This model gives scores that do not sum to one, not probabilities."


def _rows(scores: LineScores) -> Iterator[tuple[str, float, int, int]]:
    return zip(
        scores.lines,
        scores.totals.tolist(),
        scores.n_tokens.tolist(),
        scores.n_oov.tolist(),
        strict=True,
    )


def _print_lines(scores: LineScores, model: LanguageModel[Any], args: argparse.Namespace) -> None:
    nats = UNITS[args.unit]
    out = []
    for i, (_, log_p, n, oov) in enumerate(_rows(scores)):
        out.append(f"{cell(log_p / nats, 4)}\t{n}\t{oov}\t{cell(_perplexity(log_p, n), 4)}\n")
        if args.tokens:
            out += [
                f"\t{model.vocabulary.token(target)}\t{cell(log_p / nats, 4)}\n"
                for target, log_p in zip(*(a.tolist() for a in scores.line(i)), strict=True)
            ]
    streams.write("".join(out))


def _print_totals(
    report: dict[str, Any], unit: str, model: LanguageModel[Any], console: Console
) -> None:
    rows = {
        "sentences": f"{report['sentences']:,}"
        + (f"; {report['blank']:,} blank lines beside them" if report["blank"] else ""),
        "tokens": f"{report['tokens']:,}, of them {report['oov']:,} unknown",
        "total": f"{format_log(report['log_prob'])} ({UNIT_LABELS[unit]})",
        "perplexity": f"{format_perplexity(report['perplexity'])}"
        + (
            f" ({format_perplexity(report['perplexity_without_oov'])} without the unknown tokens)"
            if report["oov"]
            else ""
        ),
    }
    if not model.is_distribution:
        rows["note"] = _NO_DISTRIBUTION
    console.print(facts_table(rows))


def _print_json(
    batches: Iterable[LineScores],
    model: LanguageModel[Any],
    args: argparse.Namespace,
    totals: Totals,
) -> None:
    """One JSON document, written while it is computed."""
    nats = UNITS[args.unit]
    before = "\n"
    streams.write(f'{{"unit": "{args.unit}", "sentences": [')
    for scores in batches:
        out = []
        for i, (line, log_p, n, oov) in enumerate(_rows(scores)):
            entry: dict[str, Any] = {
                "text": line,
                "log_prob": log_p / nats,
                "tokens": n,
                "oov": oov,
                "perplexity": _perplexity(log_p, n),
            }
            if args.tokens:
                targets, log_probs = scores.line(i)
                entry["scores"] = [
                    [token, log_p / nats]
                    for token, log_p in zip(
                        model.vocabulary.decode(targets), log_probs.tolist(), strict=True
                    )
                ]
            out.append(before + json_text(entry))
            before = ",\n"
        if not args.summary:
            streams.write("".join(out))
    total = json_text(totals.report(nats))
    streams.write(
        f'\n], "total": {total}, "is_distribution": {json_text(model.is_distribution)}}}\n'
    )


def _perplexity(log_prob: float, n_tokens: int) -> float:
    """The perplexity of `n_tokens` tokens with a total log p in nats; not a number for none."""
    if n_tokens == 0:
        return math.nan
    loss = -log_prob / n_tokens
    return math.exp(loss) if loss < 700 else math.inf
