"""Decoding text: what becomes of bytes that are no text, and guesses at the right encoding."""

import codecs
import threading
from collections.abc import Callable

from langmodels.errors import LangmodelsError, UsageError

ERRORS = ("strict", "replace", "ignore")
"""What becomes of bytes that are no text: they are refused, read as U+FFFD, or left out."""


class _Mended(threading.local):
    """Counts the places that were no text in all that this thread has decoded."""

    places = 0


_mended = _Mended()


def places_mended() -> int:
    """How many places this thread has replaced or left out so far."""
    return _mended.places


def _mend(instead: str) -> Callable[[UnicodeError], tuple[str, int]]:
    def mend(error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeDecodeError):
            raise error
        _mended.places += 1
        return instead, error.end

    return mend


codecs.register_error("langmodels.replace", _mend("\ufffd"))
codecs.register_error("langmodels.ignore", _mend(""))


def make_decoder(encoding: str, errors: str) -> codecs.IncrementalDecoder:
    """A decoder for a stream. Raises UsageError for an unknown encoding or `errors`."""
    if errors not in ERRORS:
        raise UsageError(f"Errors of encoding are {', '.join(ERRORS)}, not {errors!r}.")
    how = errors if errors == "strict" else f"langmodels.{errors}"
    try:
        "".encode(encoding)  # refuses what is a codec but not an encoding of text (hex, zlib)
        return codecs.getincrementaldecoder(encoding)(errors=how)
    except (LookupError, ValueError, TypeError) as error:
        raise UsageError(
            f"{encoding!r} is not a text encoding known to Python; try utf-8, utf-16, latin-1 or "
            "cp1252."
        ) from error


def undecodable(
    name: str, encoding: str, offset: int, data: bytes, at: int, error: UnicodeError
) -> LangmodelsError:
    """The error to raise for bytes that a strict decoder refused; it suggests another encoding.

    `offset`: position in the file of the first byte refused. `data`: the bytes around it, which
    begin in the file at `at`.
    """
    if isinstance(error, UnicodeDecodeError):
        byte = error.object[error.start]
        what = f"byte 0x{byte:02x} at offset {offset} cannot be decoded"
    else:
        what = str(error).removesuffix(".") or "it cannot be decoded"
    return LangmodelsError(
        f"{name} is not {encoding} text: {what}; if it is in another encoding, name it, for "
        f"example with --encoding {likely_encoding(data, encoding, at)}; --errors replace reads "
        "what is no text as U+FFFD."
    )


def likely_encoding(data: bytes, tried: str, at: int = 0) -> str:
    """An encoding other than `tried` in which bytes can be decoded, found by trying.

    `at`: the position in the file at which the bytes begin.
    """
    if at == 0 and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    wide = utf16_without_mark(data)
    if wide is not None:
        return wide
    name: str = codecs.lookup(tried).name
    # Bytes 0x80 to 0x9f are punctuation in cp1252 (quotes, dashes) and control characters, which no
    # text has, in latin-1; for a text without them the two are the same.
    marks = any(0x80 <= byte <= 0x9F for byte in data)
    candidates: tuple[str, ...] = ("utf-8", "cp1252", "latin-1") if marks else ("utf-8", "latin-1")
    for candidate in candidates:
        try:
            data.decode(candidate)
        except UnicodeDecodeError as error:
            if candidate != "utf-8" or error.end < len(data):
                continue
        if candidate != name:
            return candidate
    return "latin-1"


def utf16_without_mark(data: bytes) -> str | None:
    """The kind of UTF-16 that bytes without a byte order mark look like, or None.

    Every other byte is mostly zero in it.
    """
    even, odd = data[:4096:2], data[1:4096:2]
    if len(odd) < 2:
        return None
    if odd.count(0) > 0.4 * len(odd) and even.count(0) < 0.1 * len(even):
        return "utf-16-le"
    if even.count(0) > 0.4 * len(even) and odd.count(0) < 0.1 * len(odd):
        return "utf-16-be"
    return None
