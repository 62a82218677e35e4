"""`langmodels lessons`: list the notebooks of the course, or copy them."""

import argparse
from importlib.util import find_spec

from rich.console import Console

from langmodels.cli.files import OutputFolder
from langmodels.cli.options import add_json_option
from langmodels.cli.output import facts_table, print_json
from langmodels.teaching.lessons import copy_lessons, lessons

EPILOG = """\
examples:
  langmodels lessons
  langmodels lessons my-lessons

Jupyter notebooks (pip install notebook), an hour of class each, with exercises that check answers.
They need no network. Existing files that were changed are not overwritten.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "folder",
        nargs="?",
        type=OutputFolder,
        metavar="DIR",
        help="folder to copy the lessons to (default: list them)",
    )
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """List the lessons, or copy them."""
    found = lessons()
    copies = copy_lessons(args.folder) if args.folder is not None else []
    if args.json:
        files = map(str, copies or [lesson.file for lesson in found])
        print_json([{"title": x.title, "file": file} for x, file in zip(found, files, strict=True)])
        return None
    console.print(facts_table({lesson.file.name: lesson.title for lesson in found}))
    if copies:
        console.print(f"copied to {args.folder}", markup=False, highlight=False)
        first = "" if find_spec("notebook") else "pip install notebook, then: "
        console.print(f'{first}jupyter notebook "{copies[0]}"', markup=False, soft_wrap=True)
    return None
