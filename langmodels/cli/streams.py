"""Standard output and standard error: UTF-8 in files, escaped on terminals, with errors
reported.
"""

import errno
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TextIO, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from langmodels.errors import LangmodelsError
from langmodels.formatting import printable

BROKEN_PIPE = 141  # exit status after SIGPIPE, as shells have it


class SafeConsole(Console):
    """Rich's console, with control characters of text escaped, and broken pipes raised as
    errors.
    """

    def __init__(self, *, stderr: bool = False, **options: Any) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Rich's rendering, with control characters made visible."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else printable(segment.text)
            yield segment if text is segment.text else Segment(text, segment.style)

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError, where Rich would exit."""
        raise BrokenPipeError


def write(text: str) -> None:
    """Write to standard output: unchanged to files and pipes, escaped on a terminal."""
    sys.stdout.write(printable(text) if sys.stdout.isatty() else text)


def flush() -> None:
    """Flush standard output."""
    sys.stdout.flush()


def complain(kind: str, message: str) -> None:
    """Print a line on standard error: `langmodels: kind: message`."""
    print(
        f"langmodels: {kind}: {printable(' '.join(message.split()))}", file=sys.stderr, flush=True
    )


class _Tolerant:
    """Standard error, of which write errors (a full disk, a closed pipe) are ignored."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


@contextmanager
def prepared() -> Iterator[None]:
    """Set up the standard streams for one command.

    In files and pipes they are UTF-8 whatever the locale; characters that a terminal cannot show
    become question marks. Raises LangmodelsError if standard output is closed, since a file opened
    later would take its place.
    """
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - as long as the program
    if sys.stdout is None:
        raise LangmodelsError("Standard output is closed; send it to a file or to /dev/null.")
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):
            terminal = stream.isatty()
            cast(Any, stream).reconfigure(
                encoding=stream.encoding if terminal else "utf-8", errors="replace"
            )
    before = sys.stderr
    sys.stderr = cast(TextIO, _Tolerant(before))
    try:
        yield
    finally:
        sys.stderr = before


def is_broken_pipe(error: OSError) -> bool:
    """Whether an error means that the reader of standard output is gone."""
    # On Windows a closed pipe comes to EINVAL.
    return isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL)


def finish(status: int) -> int:
    """Flush the streams, and return the resulting exit status.

    Write errors are reported here and the data dropped: otherwise the interpreter would try again
    at exit, and report an exception of its own.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        if is_broken_pipe(error):
            status = status or BROKEN_PIPE
        elif status == 0:
            complain("error", f"cannot write standard output: {error.strerror or error}.")
            status = 1
        _abandon(sys.stdout)
    except ValueError:  # closed by whoever called
        pass
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except (OSError, ValueError):
        _abandon(sys.stderr)
    return status


def _abandon(stream: IO[str]) -> None:
    """Discard what a stream still holds."""
    with suppress(OSError, ValueError, AttributeError), Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())
