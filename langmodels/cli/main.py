"""The `langmodels` command: finds the command module, runs it, turns errors into sentences."""

import argparse
import difflib
import errno
import importlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, Protocol, cast

from rich.console import Console

from langmodels import __version__, progress
from langmodels.errors import LangmodelsError, UsageError

COMMANDS = (
    "compare",
    "scale",
    "train",
    "score",
    "evaluate",
    "predict",
    "fill",
    "translate",
    "sample",
    "explain",
    "attention",
    "article",
    "gradients",
    "recall",
    "mix",
    "prune",
    "rescore",
    "convert",
    "count",
    "info",
    "models",
    "corpora",
)
"""The commands, in the order in which the help lists them: one module of this package each."""

INTERRUPTED = 130  # what shells report for a program ended by Ctrl-C
BROKEN_PIPE = 141  # and for one whose reader went away

TRACEBACK = "LANGMODELS_TRACEBACK"
"""Environment variable that lets unforeseen errors through as Python shows them."""


class Command(Protocol):
    """What a command module offers."""

    NAME: str
    HELP: str
    EPILOG: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""

    def run(self, args: argparse.Namespace, console: Console) -> int | None:
        """Do the work, print to `console`; return an exit status, None for success."""


class _Console(Console):
    """Rich's console, but a reader that goes away is an error like any other."""

    def on_broken_pipe(self) -> None:
        """Rich would end the program here."""
        raise BrokenPipeError


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line, like every other error."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].lower()}{message[1:]} (see `{self.prog} --help`)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status.

    0 is success, 2 a command line that makes no sense, 1 any other error, 130 Ctrl-C. Errors are
    one line on standard error.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    errors = Console(stderr=True, highlight=False, markup=False)
    try:
        with _warnings_as_lines():
            progress.enable(errors)
            status = _run(arguments)
            sys.stdout.flush()  # here, so that a full disk or a closed pipe is noticed here
            return status
    except LangmodelsError as error:
        return _fail(str(error), error.exit_status)
    except KeyboardInterrupt as end:
        return _fail(str(end) or "interrupted.", INTERRUPTED)
    except MemoryError:
        return _fail(
            "there is not enough memory for this; try a shorter text, a lower order or a smaller "
            "vocabulary (--vocab-size).",
            1,
        )
    except BrokenPipeError:
        return _leave_quietly()
    except OSError as error:
        if error.errno == errno.EINVAL and os.name == "nt":
            return _leave_quietly()  # what a closed pipe comes to on Windows
        where = f" ({error.filename})" if error.filename else ""
        return _fail(f"the system reports: {error.strerror or error}{where}.", 1)
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return _fail(
            f"this should not happen: {what}. If a model file was read, it may be damaged; "
            f"otherwise set {TRACEBACK}=1 to see where it happened, and report it.",
            1,
        )
    finally:
        progress.enable(None)


def _run(arguments: list[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):
            # A terminal that cannot show a character gets a question mark, not a crash.
            cast(Any, stream).reconfigure(errors="replace")
    try:
        position = next((i for i, a in enumerate(arguments) if not a.startswith("-")), None)
        if "--version" in arguments[:position]:
            print(f"langmodels {__version__}")
            return 0
        if position is None:
            overview = _overview()
            overview.parse_args(arguments)
            overview.print_help()
            return 0
        if position:
            _overview().parse_args(arguments[:position])
        module = command(_check_name(arguments[position]))
        parser = command_parser(module.NAME)
        # Intermixed, so that options may stand between a command's arguments.
        args = parser.parse_intermixed_args(arguments[position + 1 :])
    except SystemExit as end:  # --help and --version
        return int(end.code or 0)
    return module.run(args, _Console(highlight=False, markup=False)) or 0


def command(name: str) -> Command:
    """The module of a command, one of `COMMANDS`."""
    return cast(Command, importlib.import_module(f"langmodels.cli.{name}"))


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of a command, one of `COMMANDS`."""
    module = command(name)
    parser = _Parser(prog=f"langmodels {name}", **_texts(module))
    module.configure(parser)
    return parser


def _overview() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="langmodels",
        description="Statistical language models, from n-grams to neural networks: "
        "estimate, query, sample and compare them.",
        epilog="`langmodels COMMAND --help` explains a command and gives examples.\n"
        "First steps:\n  langmodels compare --corpus wonderland.txt\n"
        "  langmodels explain unigram,mkn 'She looked at the heron.'",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    for name in COMMANDS:
        module = command(name)
        commands.add_parser(name, help=module.HELP, **_texts(module))
    return parser


def _texts(module: Command) -> dict[str, Any]:
    return {
        "description": f"{module.HELP[:1].upper()}{module.HELP[1:]}.",
        "epilog": module.EPILOG,
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "allow_abbrev": False,
    }


def _check_name(name: str) -> str:
    if name in COMMANDS:
        return name
    near = difflib.get_close_matches(name, COMMANDS, n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(COMMANDS)}."
    raise UsageError(f"there is no command {name!r}; {hint}")


def _fail(message: str, status: int) -> int:
    line = " ".join(message.split())
    with suppress(OSError):
        print(f"langmodels: error: {line}", file=sys.stderr, flush=True)
    return status


def _leave_quietly() -> int:
    # The interpreter flushes standard output once more as it ends; that must not fail either.
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        line = " ".join(str(message).split())
        print(f"langmodels: warning: {line}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
