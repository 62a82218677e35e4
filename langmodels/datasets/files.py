"""Text files as streams of text: plain, gzip, xz or standard input, in chunks of bounded size."""

import codecs
import gzip
import io
import lzma
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, cast

from langmodels.errors import LangmodelsError, UsageError

CHUNK = 8 << 20  # bytes read at a time

STANDARD_INPUT = "-"


def read_chunks(
    path: str | os.PathLike[str], encoding: str = "utf-8", chunk: int = CHUNK
) -> Iterator[str]:
    r"""Yield the text of a file in pieces that come from `chunk` bytes each (after decompression).

    Names that end in .gz or .xz are decompressed; "-" is standard input. A piece may end anywhere,
    in the middle of a line too, but never inside a character. A byte order mark is dropped, and
    line ends become "\n" as in Python's text mode ("\r\n" and a lone "\r").

    Raises LangmodelsError where the file is missing, a folder, not readable, damaged or truncated
    (gzip, xz), or not text in this encoding; UsageError where the encoding is unknown.
    """
    decoder = _incremental_decoder(encoding)
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    name = "Standard input" if os.fspath(path) == STANDARD_INPUT else os.fspath(path)
    fed = 0  # bytes given to the decoder so far
    first = True
    try:
        with _open_bytes(path) as file:
            while True:
                data = file.read(chunk)
                pending = len(decoder.getstate()[0])
                try:
                    text = decoder.decode(data, final=not data)
                except UnicodeDecodeError as error:
                    offset = fed - pending + error.start
                    raise _undecodable(name, encoding, offset, error) from error
                fed += len(data)
                if first and text:
                    text = text.removeprefix("\ufeff")
                    first = False
                text = newlines.decode(text, final=not data)
                if text:
                    yield text
                if not data:
                    return
    except FileNotFoundError as error:
        raise LangmodelsError(f"There is no file {name}; check the path.") from error
    except IsADirectoryError as error:
        raise LangmodelsError(f"{name} is a folder; give the name of a text file in it.") from error
    except PermissionError as error:
        if Path(name).is_dir():  # what opening a folder comes to on Windows
            raise LangmodelsError(f"{name} is a folder; give the name of a text file.") from error
        raise LangmodelsError(
            f"{name} may not be read by this user; change its permissions or copy it."
        ) from error
    except EOFError as error:
        raise LangmodelsError(
            f"{name} is truncated: its compressed data end too early; fetch or compress it again."
        ) from error
    except (gzip.BadGzipFile, lzma.LZMAError, zlib.error) as error:
        raise LangmodelsError(
            f"{name} is not a sound compressed file ({error}); fetch or compress it again, or "
            "rename it if it is plain text."
        ) from error
    except OSError as error:
        raise LangmodelsError(f"Cannot read {name}: {error.strerror or error}.") from error


def read_text(path: str | os.PathLike[str], encoding: str = "utf-8") -> str:
    """Return the whole text of a file; raises what :func:`read_chunks` raises."""
    return "".join(read_chunks(path, encoding))


def _open_bytes(path: str | os.PathLike[str]) -> AbstractContextManager[IO[bytes]]:
    name = os.fspath(path)
    if name == STANDARD_INPUT:
        buffer = getattr(sys.stdin, "buffer", None)
        if buffer is None:
            raise LangmodelsError("There is no standard input to read here; give a file instead.")
        return nullcontext(cast(IO[bytes], buffer))  # ours to read, not ours to close
    if name.endswith(".gz"):
        return cast(IO[bytes], gzip.open(name, "rb"))
    if name.endswith(".xz"):
        return cast(IO[bytes], lzma.open(name, "rb"))
    return Path(name).open("rb")


def _incremental_decoder(encoding: str) -> codecs.IncrementalDecoder:
    try:
        "".encode(encoding)  # refuses what is a codec but not an encoding of text (hex, zlib)
        return codecs.getincrementaldecoder(encoding)(errors="strict")
    except (LookupError, ValueError, TypeError) as error:
        raise UsageError(
            f"{encoding!r} is not a text encoding known to Python; try utf-8, utf-16, latin-1 or "
            "cp1252."
        ) from error


def _undecodable(
    name: str, encoding: str, offset: int, error: UnicodeDecodeError
) -> LangmodelsError:
    byte = error.object[error.start]
    if error.object.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and offset < 2:
        other = "utf-16"
    else:
        other = "latin-1" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else "utf-8"
    return LangmodelsError(
        f"{name} is not {encoding} text: byte 0x{byte:02x} at offset {offset} cannot be decoded; "
        f"if it is in another encoding, name it, for example with --encoding {other}."
    )
