"""The `langmodels` command: finds the command module, runs it, turns errors into sentences."""

import _thread
import argparse
import difflib
import importlib
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn, Protocol, cast

from rich.console import Console

from langmodels import __version__, progress
from langmodels.cli import completion, streams
from langmodels.cli.files import check_files
from langmodels.cli.streams import SafeConsole
from langmodels.errors import LangmodelsError, UsageError

COMMANDS = {
    "compare": "train several models on one text and compare them on its held-out part",
    "scale": "measure how time, memory and quality grow with the text, and a step with the context",
    "train": "estimate a model from a text and write it to a file",
    "score": "print log probabilities of sentences and documents",
    "filter": "keep the documents of a collection that a model finds probable",
    "surprisal": "write a table of the surprisal of every word of a text, for reading experiments",
    "evaluate": "measure how well saved models predict a text",
    "predict": "show the most probable next tokens after a context",
    "fill": "show the most probable words for the blanks of a text",
    "translate": "turn sequences into others with an encoder-decoder: numbers in words into digits",
    "sample": "draw text from a model, or find its most probable continuations",
    "explain": "take a sentence through the chain rule, token by token, for one or several models",
    "attention": "show what a transformer attends to in a text, layer by layer",
    "article": "train a character RNN on a cleaned book, generating text after each iteration",
    "gradients": "show why recurrent networks are hard to train: gradients by lag, clipping, gates",
    "recall": "measure how long models remember a cue that must be repeated later",
    "lessons": "list or copy notebooks to work through: from counting to attention, with exercises",
    "play": "open a page in the browser: many models on any text, side by side, to play with",
    "mix": "interpolate models, merge n-gram models into one, or adapt one to a text",
    "prune": "make an n-gram model smaller by leaving out n-grams or words",
    "rescore": "sort n-best lists by the scores of a model",
    "convert": "turn ARPA files into model files and back",
    "compress": "compress a file to the cross-entropy of a model",
    "decompress": "restore a file that `langmodels compress` wrote",
    "count": "count the n-grams of a text",
    "info": "show what is in a model file",
    "cite": "print the works to cite for a comparison or for models, as BibTeX",
    "models": "list the models, or the options of one",
    "corpora": "list the corpora that have a name, or fetch one",
}
"""The commands in the order of the help, with what each does. Each is a module of this package,
which is imported only when it is used.
"""

_SYNONYMS = {
    "complete": "predict",
    "fit": "train",
    "generate": "sample",
    "interpolate": "mix",
    "list": "models",
    "merge": "mix",
    "notebooks": "lessons",
    "perplexity": "evaluate",
    "serve": "play",
    "test": "evaluate",
}
"""Names that people may try, and the commands that they mean."""

INTERRUPTED = 130  # what shells report for a program ended by Ctrl-C

TRACEBACK = "LANGMODELS_TRACEBACK"
"""Environment variable that makes unforeseen errors show Python's traceback."""

Handler = Callable[[int, FrameType | None], object]
"""A signal handler."""


class Command(Protocol):
    """What a command module offers."""

    EPILOG: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""

    def run(self, args: argparse.Namespace, console: Console) -> int | None:
        """Do the work, print to `console`; return an exit status, None for success."""


class _Once(argparse._StoreAction):
    """Stores an option's value, and refuses a second one, which would replace it silently."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if option_string is not None:
            given = vars(namespace).setdefault("_given", set())
            if self.dest in given:
                raise argparse.ArgumentError(self, "given twice; give it once")
            given.add(self.dest)
            if self.nargs is None and values == []:  # from `--option=--`
                raise argparse.ArgumentError(self, "expected one argument")
        super().__call__(parser, namespace, values, option_string)


class _Arguments(argparse.Namespace):
    """Arguments that record in `_seen`, shared with their copies, which of them were used."""

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        vars(self)["_seen"] = set()

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_"):
            vars(self)["_seen"].add(name)
        return super().__getattribute__(name)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, like all errors of the command line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name in (None, "store"):
            self.register("action", name, _Once)

    def error(self, message: str) -> NoReturn:
        for kind, needed in (("int", "a whole number"), ("float", "a number")):
            message = message.replace(f"invalid {kind} value: ", f"needs {needed}, not ")
        what, _, unknown = message.partition("unrecognized arguments: ")
        hint = "" if what else self._hint(unknown.split())
        raise UsageError(f"{message[:1].lower()}{message[1:]}{hint} (see `{self.prog} --help`)")

    def _hint(self, unknown: list[str]) -> str:
        """A hint at what was meant by arguments that the parser does not know; may be empty."""
        known = self._option_string_actions
        models = next((option for option in ("--models", "--model") if option in known), None)
        for option in (word.partition("=")[0] for word in unknown if word.startswith("--")):
            if near := difflib.get_close_matches(option, known, n=1, cutoff=0.75):
                return f"; did you mean {near[0]}?"
            of_model = option[2:].replace("-", "_")
            if models and of_model in (
                "hidden",
                "epochs",
                "learning_rate",
                "batch_size",
                "dropout",
            ):
                return f"; what a model has follows its name: {models} lstm:{of_model}=VALUE"
            return ""
        if self._get_positional_actions() or "--corpus" not in known or not unknown:
            return ""
        others = {
            "--models": ", models by --models (commas between)",
            "--model": ", a model by --model",
        }
        return f"; give the text by --corpus{others.get(models or '', '')}"

    def _print_message(self, message: str, file: Any = None) -> None:
        # The original ignores errors of writing.
        (file or sys.stdout).write(message)


def main(argv: Sequence[str] | None = None, *, early: Handler | None = None) -> int:
    """Run one command line and return its exit status.

    0 is success, 2 a wrong command line, 1 any other error, 130 Ctrl-C, 141 a closed standard
    output. Errors are one line on standard error. `early`: the handler of Ctrl-C up to now; during
    the command, Ctrl-C raises KeyboardInterrupt.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    pressed: list[int] = []
    try:
        with streams.prepared(), _warnings_as_lines():
            try:
                with _counted(pressed, early):
                    status = _run(arguments)
            except (Exception, KeyboardInterrupt) as error:
                status = _failed(error, interrupted=bool(pressed))
            finally:
                progress.enable(None)
            return streams.finish(status)
    except LangmodelsError as error:  # standard output is closed
        return streams.finish(_fail(str(error), error.exit_status))


def _failed(error: BaseException, *, interrupted: bool) -> int:
    """Print what went wrong in one line; return the exit status."""
    if isinstance(error, LangmodelsError):
        return _fail(str(error), error.exit_status)
    if isinstance(error, KeyboardInterrupt):
        return _fail(str(error) or "interrupted.", INTERRUPTED)
    if isinstance(error, MemoryError):
        return _fail(
            "there is not enough memory for this; try a shorter text, a lower order or a smaller "
            "vocabulary (--vocab-size).",
            1,
        )
    if isinstance(error, OSError) and streams.is_broken_pipe(error):
        return streams.BROKEN_PIPE
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return _fail(f"the system reports: {error.strerror or error}{where}.", 1)
    if os.environ.get(TRACEBACK):
        raise error
    if interrupted:  # some libraries turn KeyboardInterrupt into an error of their own
        return _fail("interrupted.", INTERRUPTED)
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return _fail(
        f"this should not happen: {what}. If a model file was read, it may be damaged; "
        f"otherwise set {TRACEBACK}=1 to see where it happened, and report it.",
        1,
    )


def _run(arguments: list[str]) -> int:
    if any("\0" in argument for argument in arguments):
        raise UsageError("An argument has a NUL character in it; no text and no file name has.")
    try:
        asked = completion.asked_for(arguments)
        if asked is not None:
            print(completion.script(_overview(complete=True), asked))
            return 0
        position = next((i for i, a in enumerate(arguments) if not a.startswith("-")), None)
        if "--version" in arguments[:position]:
            print(f"langmodels {__version__}")
            return 0
        if position is None:
            overview = _overview()
            overview.parse_args(arguments)
            overview.print_help()
            return 0
        before, (name, *rest) = arguments[:position], arguments[position:]
        if not {*_QUIET, *_VERBOSE}.issuperset(before):
            _overview().parse_args(before)
        if name == "help":
            if not rest:
                _overview().print_help()
                return 0
            name, rest = rest[0], ["--help"]
        module = command(_check_name(name))
        parser = command_parser(name)
        # Intermixed, so that options may stand between a command's arguments.
        args = parser.parse_intermixed_args([*before, *rest])
    except SystemExit as end:  # --help
        return int(end.code or 0)
    vars(args).pop("_given", None)
    if not args.quiet:
        progress.enable(SafeConsole(stderr=True), verbose=args.verbose)
    check_files(args)
    began = time.perf_counter()
    watched = _Arguments(**vars(args))
    status = module.run(watched, SafeConsole()) or 0
    if args.verbose:
        progress.say(f"{name}: {time.perf_counter() - began:.2f} s")
    if not status:
        _warn_of_unused(parser, watched)
    return status


def _warn_of_unused(parser: argparse.ArgumentParser, args: _Arguments) -> None:
    """Warn of options that were given although the command did not use them."""
    given, seen = vars(args), {*vars(args)["_seen"], "quiet", "verbose"}
    unused = [
        action.option_strings[0]
        for action in parser._actions
        if action.option_strings
        and action.dest not in seen
        and given.get(action.dest, action.default) != action.default
    ]
    if unused:
        *first, last = unused
        names = f"{', '.join(first)} and {last}" if first else last
        warnings.warn(f"{names} had no effect here.", stacklevel=2)


_QUIET, _VERBOSE = ("-q", "--quiet"), ("-v", "--verbose")


def command(name: str) -> Command:
    """The module of a command, one of `COMMANDS`."""
    return cast(Command, importlib.import_module(f"langmodels.cli.{name}"))


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of a command, one of `COMMANDS`."""
    module = command(name)
    parser = _Parser(prog=f"langmodels {name}", **_texts(name, module))
    _configure(parser, module)
    return parser


def _configure(parser: argparse.ArgumentParser, module: Command) -> None:
    module.configure(parser)
    volume = parser.add_mutually_exclusive_group()
    volume.add_argument(
        *_QUIET, action="store_true", help="show no progress on standard error, only warnings"
    )
    volume.add_argument(
        *_VERBOSE, action="store_true", help="say on standard error how long each step took"
    )


def _overview(*, complete: bool = False) -> argparse.ArgumentParser:
    """The parser of the whole command line, with or without the arguments of the commands."""
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
    parser.add_argument(
        completion.OPTION,
        metavar="SHELL",
        help=f"print a script that completes commands and options: {', '.join(completion.SHELLS)}",
    )
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    for name, purpose in COMMANDS.items():
        if complete:
            module = command(name)
            subparser = commands.add_parser(name, help=purpose, **_texts(name, module))
            _configure(subparser, module)
        else:
            commands.add_parser(name, help=purpose)
    return parser


def _texts(name: str, module: Command) -> dict[str, Any]:
    purpose = COMMANDS[name]
    return {
        "description": f"{purpose[:1].upper()}{purpose[1:]}.",
        "epilog": module.EPILOG,
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "allow_abbrev": False,
    }


def _check_name(name: str) -> str:
    if name in COMMANDS:
        return name
    near = (
        [_SYNONYMS[name]] if name in _SYNONYMS else difflib.get_close_matches(name, COMMANDS, n=2)
    )
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(COMMANDS)}."
    raise UsageError(f"there is no command {name!r}; {hint}")


def _fail(message: str, status: int) -> int:
    streams.complain("error", message)
    return status


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        streams.complain("warning", str(message))

    with warnings.catch_warnings():
        # NumPy's warnings of overflows mean nothing to users; their results are checked.
        warnings.simplefilter("ignore", RuntimeWarning, append=True)
        warnings.showwarning = show
        yield


_DEFERRED = 200
"""How often Ctrl-C is put off by a hundredth of a second where it would interrupt an import."""


def _is_importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported, whose code may ignore exceptions, as Cython's does."""
    while frame is not None and frame.f_code is not main.__code__:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


@contextmanager
def _counted(pressed: list[int], early: Handler | None) -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt in this block, and record the presses in `pressed`."""
    ended = threading.Event()

    def again() -> None:
        if not ended.wait(0.01):
            _thread.interrupt_main()

    def press(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        if len(pressed) < _DEFERRED and _is_importing(frame):
            _thread.start_new_thread(again, ())  # which takes no lock of the interrupted code
        else:
            signal.default_int_handler(number, frame)

    def passed_over(what: "sys.UnraisableHookArgs") -> None:
        # Exceptions in callbacks, such as those of weak references, are ignored by Python.
        if issubclass(what.exc_type, KeyboardInterrupt):
            _thread.start_new_thread(again, ())
        else:
            hook(what)

    hook = sys.unraisablehook
    before = signal.getsignal(signal.SIGINT)
    # Leave a handler alone that is not ours; and only the main thread can set one.
    ours = before in (signal.default_int_handler, early)
    if ours and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, press)
        sys.unraisablehook = passed_over
    try:
        yield
    finally:
        ended.set()
        if sys.unraisablehook is passed_over:
            sys.unraisablehook = hook
        if signal.getsignal(signal.SIGINT) is press:
            signal.signal(signal.SIGINT, before)
