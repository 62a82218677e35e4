"""`langmodels score`: log probabilities of sentences, from arguments, a file or standard input."""

import argparse
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from langmodels.arrays import IndexArray
from langmodels.cli import documents, streams
from langmodels.cli.files import InputFile, OutputFile, TextName
from langmodels.cli.options import add_carry_option, add_errors_option, add_json_option
from langmodels.cli.output import (
    UNIT_LABELS,
    UNITS,
    facts_table,
    format_log,
    format_log_probability,
    format_perplexity,
    make_table,
    print_json,
    visible,
)
from langmodels.cli.workers import add_workers_options, workers_of
from langmodels.datasets import find_source
from langmodels.datasets.sources import find_requests
from langmodels.errors import UsageError
from langmodels.execution import executor, mapped
from langmodels.formatting import listed
from langmodels.interchange import cell, json_text
from langmodels.models.base import LanguageModel
from langmodels.models.lines import CarriedLines, LineScores, score_batch
from langmodels.models.texts import AT_ONCE, TextScore, perplexity_of
from langmodels.registry import load
from langmodels.streaming import gathered
from langmodels.text.lines import split_lines
from langmodels.text.vocabulary import Vocabulary

EPILOG = """\
examples:
  langmodels score tale.lm "The heron said nothing." "Nothing said the heron."
  langmodels score tale.lm --tokens "The heron said nothing."
  langmodels score tale.lm --file sentences.txt.gz > scores.tsv
  langmodels score tale.lm --file documents.jsonl > scored.jsonl
  langmodels score tale.lm --file documents.parquet --output scored.parquet --jobs 2
  langmodels score tale.lm --summary < sentences.txt

In a file or standard input, each line is a sentence, and one tab-separated line is printed for it:
log p, number of tokens, number of unknown tokens, perplexity. Infinity is written "Infinity", as in
JSON, and a value that does not exist is empty. The totals follow on standard error. Where sentences
have an end, the end is predicted, too, and counts as a token. With --json, each line printed is a
JSON object.

Text is scored while it arrives: the score of a line is printed when a million characters have come
after it, or half a second later. Lines end at a line feed, with or without a carriage return before
it, and nowhere else. Every input line gives one output line, even a blank one (only its end is
predicted), but blank lines do not count in the totals. Bytes that are no text affect only their own
line: they are read as the replacement character, and counted. With --carry, output is the same
stream of lines, and models that remember earlier lines are run in a single process.

JSON lines and Parquet files hold documents: the output has the same format, and log p, tokens,
unknown tokens, perplexity and bits per character of each document in new columns. Each is scored as
a text by itself: where lines are sequences, log p is the sum over its lines. With --json, each
document becomes an object with its id, the fields that --fields names, and the figures.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", type=InputFile, metavar="MODEL", help="a model file")
    parser.add_argument(
        "sentences",
        nargs="*",
        metavar="SENTENCE",
        help="sentences to score; none, or -, for standard input",
    )
    parser.add_argument(
        "--file",
        type=TextName,
        metavar="NAME",
        help="score the lines of a text, named as for --corpus in other commands",
    )
    parser.add_argument(
        "--output", "-o", type=OutputFile, metavar="FILE", help="file to write scored documents to"
    )
    parser.add_argument(
        "--fields",
        type=lambda text: text.split(","),
        default=[],
        metavar="NAME,...",
        help="with --json: fields of documents to print with their scores",
    )
    add_workers_options(parser)
    parser.add_argument("--encoding", default="utf-8", help="encoding of the file (default: utf-8)")
    add_errors_option(parser, default="replace")
    parser.add_argument("--tokens", action="store_true", help="also show the score of every token")
    parser.add_argument("--summary", action="store_true", help="show only the totals")
    parser.add_argument(
        "--unit", choices=list(UNITS), default="log10", help="unit of log p (default: log10)"
    )
    parser.add_argument(
        "--no-bos",
        action="store_true",
        help="start lines from an empty context instead of <s> (n-gram models)",
    )
    parser.add_argument(
        "--no-eos", action="store_true", help="do not predict the end of a line, </s>"
    )
    add_carry_option(parser)
    add_json_option(parser)


@dataclass
class Totals:
    """Sums over all sentences; blank lines are counted apart."""

    sentences: int = 0
    blank: int = 0
    tokens: int = 0
    ends: int = 0
    oov: int = 0
    log_prob: float = 0.0
    oov_log_prob: float = 0.0

    def add(self, scores: LineScores, *, ends: bool, predicted: bool) -> None:
        """Add a batch; `ends`: whether its sentences have ends, and whether these are predicted."""
        blank = ends & (scores.n_tokens <= int(predicted))  # no tokens, as a corpus has it
        self.sentences += int((~blank).sum())
        self.blank += int(blank.sum())
        self.tokens += int(scores.n_tokens[~blank].sum())
        self.ends += int((~blank).sum()) * (ends and predicted)
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
            "perplexity": perplexity_of(self.log_prob, self.tokens),
            "perplexity_without_oov": perplexity_of(known, self.tokens - self.oov),
            "ppl1": perplexity_of(self.log_prob, self.tokens - self.ends),
            "ppl1_without_oov": perplexity_of(known, self.tokens - self.ends - self.oov),
        }


def run(args: argparse.Namespace, console: Console) -> int | None:
    """Score, print each sentence and the totals."""
    if args.sentences == ["-"]:
        args.sentences = []  # standard input
    if args.sentences and args.file:
        raise UsageError("Give sentences or --file, not both; several files have commas between.")
    if args.carry and args.no_bos:
        raise UsageError("State that is carried over lines is a context: leave out --no-bos.")
    model = load(args.model)
    shards = [] if args.sentences else documents.shards_of(args)
    if shards and (args.no_bos or args.no_eos):
        raise UsageError("Documents are scored with their boundaries; give lines of text.")
    if shards:
        documents.score(shards, model, args, console)
        return None
    if args.output or args.fields:
        option = "--output" if args.output else "--fields"
        raise UsageError(
            f"{option} is for documents: JSON lines or Parquet in --file; scores of lines go to "
            "standard output."
        )
    nats = UNITS[args.unit]
    totals = Totals()
    batches = _batches(args, model, totals)
    for scores in batches:
        if args.summary:
            continue
        if args.json:
            _print_json(scores, model, args, totals)
        elif args.sentences:
            _print_table(scores, model, args, console)
        else:
            _print_lines(scores, model, args)
        streams.flush()
    report = totals.report(nats)
    if args.json and args.summary:
        print_json({"unit": args.unit, **report, "is_distribution": model.is_distribution})
    elif args.summary or not args.sentences:
        where = console if args.summary else streams.SafeConsole(stderr=True)
        _print_totals(report, args.unit, model, where)
    return None


def _batches(
    args: argparse.Namespace, model: LanguageModel[Any], totals: Totals
) -> Iterator[LineScores]:
    for scores in _scores(args, model):
        totals.add(scores, ends=model.vocabulary.ends, predicted=not args.no_eos)
        yield scores


def _scores(args: argparse.Namespace, model: LanguageModel[Any]) -> Iterator[LineScores]:
    batches = _lines(args)
    if args.carry and model.remembers:  # no batch without what was remembered of that before it
        carried = CarriedLines(model, eos=not args.no_eos)
        yield from (carried.score(lines, begins) for lines, begins in batches)
        return
    with workers_of(args) as jobs, executor(1 if args.sentences else jobs) as pool:
        # Sentences of the command line are one batch, which other processes could not share.
        options = {"bos": not args.no_bos, "eos": not args.no_eos}
        yield from mapped(pool, _scored, (lines for lines, _ in batches), model, options)


def _lines(args: argparse.Namespace) -> Iterator[tuple[list[str], IndexArray]]:
    """(sentences that are scored together, indices of those that begin a document)."""
    if args.sentences:
        yield args.sentences, np.zeros(1, np.int64)
        return
    source = find_source(args.file or "-", args.encoding, args.errors, live=True)
    stream = source.open()
    batches = split_lines(map("".join, gathered(stream, len, AT_ONCE)))
    yield from stream.batches(batches)
    requests = find_requests(args.file) if args.file else None
    several = sum(n > 1 for n in stream.lines)
    if several and not args.summary and any(request.text for request in requests or []):
        warnings.warn(
            f"{several:,} rows of {args.file} go on over line ends, and each of their lines has a "
            "score of its own, so that rows and scores are not side by side; JSON lines and "
            "Parquet have a score a document.",
            stacklevel=2,
        )


def _scored(lines: list[str], model: LanguageModel[Any], options: dict[str, bool]) -> LineScores:
    return score_batch(model, lines, **options)


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
        perplexity = format_perplexity(perplexity_of(log_p, n))
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
        out.append(f"{cell(log_p / nats, 4)}\t{n}\t{oov}\t{cell(perplexity_of(log_p, n), 4)}\n")
        if args.tokens:
            out += [
                f"\t{listed(model.vocabulary.token(target))}\t{cell(log_p / nats, 4)}\n"
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
    if report["ppl1"] != report["perplexity"]:
        rows["ppl1"] = format_perplexity(report["ppl1"]) + (
            f" ({format_perplexity(report['ppl1_without_oov'])} without the unknown tokens)"
            if report["oov"]
            else ""
        )
    if not model.is_distribution:
        rows["note"] = _NO_DISTRIBUTION
    console.print(facts_table(rows))


def _print_json(
    scores: LineScores, model: LanguageModel[Any], args: argparse.Namespace, totals: Totals
) -> None:
    """A JSON object a line."""
    nats = UNITS[args.unit]
    first = totals.sentences + totals.blank - len(scores.lines)
    out = []
    for i, (line, log_p, n, oov) in enumerate(_rows(scores)):
        characters = model.reading.characters(line) + model.vocabulary.ends
        score = TextScore(log_p, n, oov, characters)
        entry = {"id": first + i + 1, "text": line, **score.figures(nats)}
        if args.tokens:
            targets, log_probs = scores.line(i)
            tokens = model.vocabulary.decode(targets)
            entry["scores"] = list(zip(tokens, (log_probs / nats).tolist(), strict=True))
        out.append(f"{json_text(entry)}\n")
    streams.write("".join(out))
