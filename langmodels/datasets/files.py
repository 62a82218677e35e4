"""Reading text files in pieces of bounded size: plain, compressed, or standard input."""

import gzip
import lzma
import os
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from langmodels.arguments import checked
from langmodels.datasets.encodings import (
    ERRORS,
    make_decoder,
    places_mended,
    undecodable,
    utf16_without_mark,
)
from langmodels.errors import LangmodelsError, unreadable
from langmodels.packed import STANDARD_INPUT, as_it_comes, open_bytes, open_raw

__all__ = ["CHUNK", "ERRORS", "STANDARD_INPUT", "decoded", "read_bytes", "read_chunks", "read_text"]

CHUNK = 8 << 20  # bytes read at a time
LIVE_CHUNK = 1 << 18  # the same where each piece is to go on at once
_AROUND = 1 << 19  # bytes on either side of a bad one from which the encoding is guessed


class Readable(Protocol):
    """A file opened for reading bytes."""

    def read(self, size: int, /) -> bytes: ...


def read_chunks(
    path: str | os.PathLike[str],
    encoding: str = "utf-8",
    chunk: int = CHUNK,
    *,
    errors: str = "strict",
    live: bool = False,
) -> Iterator[str]:
    r"""Yield the text of a file in pieces, each decoded from `chunk` bytes (after decompression).

    Names that end in .gz, .xz, .bz2 or .zst are decompressed; "-" is standard input. A piece may
    end anywhere, in the middle of a line too, but never inside a character. A byte order mark is
    dropped, and "\r\n" becomes "\n"; a lone "\r" stays, which is white space.

    `errors` is one of `ERRORS`; unless bytes that are no text are refused, a warning counts the
    places. `live`: give out what a pipe has so far without waiting for `chunk` bytes.

    Raises LangmodelsError where the file is missing, a folder, not readable, damaged, truncated, or
    not text in this encoding; UsageError where the encoding is unknown.
    """
    name = shown_name(path)
    make_decoder(encoding, errors)  # refuses an unknown encoding before the file is looked for
    with explained(name), open_bytes(os.fspath(path)) as file:
        reader = as_it_comes(file) if live else file
        yield from decoded(reader, name, encoding, chunk, errors=errors)


def decoded(
    file: Readable,
    name: str,
    encoding: str = "utf-8",
    chunk: int = CHUNK,
    *,
    errors: str = "strict",
) -> Iterator[str]:
    """Yield the text of an open binary file as `read_chunks` does; `name` is for messages.

    Raises LangmodelsError where the bytes are no text in this encoding, UsageError where the
    encoding is unknown.
    """
    decoder = make_decoder(encoding, errors)
    fed = mended = 0
    held = ""  # a carriage return that may be half of a line end
    first = True
    while True:
        data = file.read(chunk)
        pending = decoder.getstate()[0]
        before = places_mended()
        try:
            text = decoder.decode(data, final=not data)
        except UnicodeError as error:
            start = getattr(error, "start", 0)
            offset = fed - len(pending) + start
            around = (pending + data)[max(0, start - _AROUND) :][: 2 * _AROUND]
            at = max(offset - _AROUND, fed - len(pending))
            raise undecodable(name, encoding, offset, around, at, error) from error
        mended += places_mended() - before
        fed += len(data)
        if first and text:
            text = text.removeprefix("\ufeff")
            wide = utf16_without_mark(data) if "\0" in text[:1000] else None
            if wide:
                raise LangmodelsError(
                    f"{name} looks like UTF-16 without a mark; say --encoding {wide}."
                )
            first = False
        text = held + text
        held = "\r" if data and text.endswith("\r") else ""
        text = text.removesuffix(held).replace("\r\n", "\n")
        if text:
            yield text
        if not data:
            break
    if mended:
        how = "read as U+FFFD" if errors == "replace" else "left out"
        warnings.warn(
            f"{name} is not {encoding} text at {mended:,} place{'s' * (mended != 1)}; what stood "
            f"there was {how}.",
            stacklevel=2,
        )


def shown_name(path: str | os.PathLike[str]) -> str:
    """The name of a file in messages: "Standard input" for "-"."""
    return "Standard input" if os.fspath(path) == STANDARD_INPUT else os.fspath(path)


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn exceptions raised while a file is read into LangmodelsErrors that name it."""
    try:
        yield
    except FileNotFoundError as error:
        raise unreadable(name, error) from error
    except IsADirectoryError as error:
        raise LangmodelsError(f"{name} is a folder; give the name of a text file in it.") from error
    except PermissionError as error:
        if Path(name).is_dir():  # on Windows, opening a folder raises this
            raise LangmodelsError(f"{name} is a folder; give the name of a text file.") from error
        raise LangmodelsError(
            f"{name} may not be read by this user; change its permissions or copy it."
        ) from error
    except EOFError as error:
        raise LangmodelsError(
            f"{name} is truncated: its compressed data end too early; fetch or compress it again."
        ) from error
    except (gzip.BadGzipFile, lzma.LZMAError, zlib.error) as error:
        raise _unsound(name, error) from error
    except OSError as error:
        if error.strerror is None:  # what bz2 raises
            raise _unsound(name, error) from error
        raise unreadable(name, error) from error


def _unsound(name: str, error: Exception) -> LangmodelsError:
    return LangmodelsError(
        f"{name} is not a sound compressed file ({error}); fetch or compress it again, or rename "
        "it if it is plain text."
    )


@checked
def read_text(path: str | os.PathLike[str], encoding: str = "utf-8", errors: str = "strict") -> str:
    """Return the whole text of a file; raises what :func:`read_chunks` raises."""
    return "".join(read_chunks(path, encoding, errors=errors))


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file, not decompressed; "-" is standard input.

    Raises LangmodelsError where it cannot be read.
    """
    name = os.fspath(path)
    with explained(shown_name(name)):
        if name != STANDARD_INPUT:
            with open_raw(name) as raw:
                return raw.read()
        with open_bytes(name) as file:
            return file.read()
