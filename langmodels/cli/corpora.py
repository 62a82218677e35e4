"""`langmodels corpora`: list the corpora with names, or fetch one."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby

from rich.console import Console
from rich.text import Text

from langmodels.cli.files import OutputFile, TextName
from langmodels.cli.options import add_json_option
from langmodels.cli.output import facts_table, make_table, print_json
from langmodels.datasets import Source, find_source, list_sources
from langmodels.errors import UsageError
from langmodels.storage import atomic_write

EPILOG = """\
examples:
  langmodels corpora
  langmodels corpora --get gutenberg:11
  langmodels corpora --get "synthetic:markov?order=2" --output markov.txt

Every --corpus option takes one of these names as well as the path of a file. A book is downloaded
once and kept.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--get", type=TextName, metavar="NAME", help="fetch this corpus and describe it"
    )
    parser.add_argument(
        "--output", "-o", type=OutputFile, metavar="FILE", help="write its text to a file (UTF-8)"
    )
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """List the corpora, or fetch one."""
    if args.get is not None:
        _get(args, console)
        return None
    if args.output is not None:
        raise UsageError("--output needs --get: which corpus is to be written?")
    listings = list_sources()
    if args.json:
        print_json([asdict(listing) for listing in listings])
        return None
    for kind, group in groupby(listings, key=lambda listing: listing.kind):
        table = make_table("name", "what it is", left=("name", "what it is"), title=kind)
        for listing in group:
            style = "" if listing.available else "dim"
            table.add_row(Text(listing.name, style), Text(listing.description, style))
        console.print(table)
    if not all(listing.available for listing in listings):
        console.print("Books are downloaded when they are first used.")
    return None


def _get(args: argparse.Namespace, console: Console) -> None:
    source = find_source(args.get)
    characters = lines = 0

    def counted() -> Iterator[str]:
        nonlocal characters, lines
        for chunk in source.open():
            characters += len(chunk)
            lines += chunk.count("\n")
            yield chunk

    if args.output is None:
        for _ in counted():
            pass
    else:
        with atomic_write(args.output) as file:
            for chunk in counted():
                # Lone surrogates, which JSON strings may contain, cannot be written as UTF-8.
                whole = chunk.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
                file.write(whole.encode())
    report = {
        "name": source.name,
        "description": source.description,
        "characters": characters,
        "lines": lines,
        "level": source.level,
        "entropy_bits_per_character": source.entropy_bits,
        "entropy_is_bound": source.entropy_is_bound,
        "output": args.output,
    }
    if args.json:
        print_json(report)
        return
    rows = {"text": source.description, "size": f"{characters:,} characters, {lines:,} lines"}
    if source.entropy_bits is not None:
        rows["entropy"] = _entropy(source)
    if source.level is not None:
        rows["made for"] = f"--level {source.level}"
    if args.output is not None:
        rows["written to"] = args.output
    console.print(facts_table(rows, title=source.name))


def _entropy(source: Source) -> str:
    least = "at least " if source.entropy_is_bound else ""
    note = f" ({source.entropy_note})" if source.entropy_note else ""
    return f"{least}{source.entropy_bits:.4f} bits per character{note}"
