"""Downloads that can be interrupted and resumed; a file appears whole or not at all."""

import itertools
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, cast

from langmodels import __version__
from langmodels.errors import LangmodelsError
from langmodels.progress import Meter, track
from langmodels.storage import CACHE_VARIABLE

_USER_AGENT = f"langmodels/{__version__} (Python urllib)"
_BLOCK = 64 << 10  # bytes read at a time
_PAUSE = 0.5  # seconds before the second attempt; doubled for each further one without success
_REQUESTS = 100  # for one file, however well they go
_LARGEST = 4 << 30  # bytes


class NotFoundError(LangmodelsError):
    """The server has no such file."""


class _Unfinished(LangmodelsError):
    """The server sent only part of the file, or nothing."""


class _NetworkError(Exception):
    """The server could not be reached, or stopped answering; another attempt may succeed."""

    def __init__(self, cause: Exception) -> None:
        reason = getattr(cause, "reason", cause)  # that of an URLError is what it wraps
        super().__init__(getattr(reason, "strerror", None) or str(reason) or type(reason).__name__)


def download(
    url: str,
    target: Path,
    *,
    check: Callable[[Path], None] | None = None,
    attempts: int = 3,
    timeout: float = 30.0,
    largest: int = _LARGEST,
) -> None:
    """Fetch `url` into the file `target`, whose folder is created if it is missing.

    Until the file is complete, what has arrived is in `target` + ".part"; a later attempt, or a
    later run, asks for the rest, if the server can confirm (by ETag or date, in If-Range) that the
    file has not changed. `check` is called with the complete file before it gets its name, and
    refuses it by raising an exception; the file is then deleted, as is one that no later attempt
    could continue. `timeout`: seconds without data; `largest`: bytes.

    Raises NotFoundError where the server has no such file, and LangmodelsError where it cannot be
    reached, refuses, redirects to other than http or https, sends more than `largest`, or breaks
    off `attempts` times in a row without new data, or where the file cannot be written.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise LangmodelsError(f"Cannot download {url}: its address must begin with http or https.")
    part = _Part(target.with_name(target.name + ".part"))
    host = urllib.parse.urlsplit(url).netloc
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with track(f"Downloading {target.name}") as meter:
            failures = 0
            for request in itertools.count(1):
                before = part.size()
                try:
                    if _fetch(url, part, timeout, largest, meter):
                        break
                    problem = "the connection broke off"
                except _NetworkError as error:
                    problem = str(error)
                except urllib.error.HTTPError as error:
                    error.close()
                    problem = f"{error.code} {error.reason}"
                    if error.code == 416:  # our part is not the beginning of the server's file
                        part.delete()
                    elif error.code in (404, 410):
                        raise NotFoundError(f"{host} has no file {url}.") from error
                    elif error.code < 500 and error.code not in (408, 425, 429):
                        raise LangmodelsError(f"{host} refuses {url}: {problem}.") from error
                # As long as something new arrives, it is worth going on.
                failures = 0 if part.size() > before else failures + 1
                if failures >= attempts or request >= _REQUESTS:
                    later = ", it will go on where it stopped" if part.is_resumable() else ""
                    raise _Unfinished(
                        f"Cannot download from {host} ({problem}); check the network and try "
                        f"again{later}."
                    )
                time.sleep(_PAUSE * 2 ** max(failures - 1, 0))
        if check is not None:
            check(part.path)
        part.path.replace(target)
        part.delete()  # its tag
    except LangmodelsError as error:
        if not (isinstance(error, _Unfinished) and part.is_resumable()):
            part.delete()
        raise
    except KeyboardInterrupt:
        if not part.is_resumable():
            part.delete()
        raise
    except OSError as error:
        raise LangmodelsError(
            f"Cannot write {target}: {error.strerror or error}; set {CACHE_VARIABLE} to a folder "
            "with room that you may write to."
        ) from error


@dataclass(frozen=True)
class _Part:
    """An unfinished file, and beside it the server's tag of this version (ETag or date)."""

    path: Path

    @property
    def _tag_path(self) -> Path:
        return self.path.with_name(self.path.name + ".tag")

    def size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def tag(self) -> str:
        try:
            return self._tag_path.read_text("ascii").strip()
        except (FileNotFoundError, ValueError):
            return ""

    def is_resumable(self) -> bool:
        """Whether a later attempt can continue it."""
        return self.size() > 0 and self.tag() != ""

    def begin(self, tag: str) -> None:
        """Start again with an empty file of this version."""
        self.delete()
        if tag:
            self._tag_path.write_text(tag, "ascii")

    def delete(self) -> None:
        for path in (self.path, self._tag_path):
            with suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https only; the base class follows them to ftp as well."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if urllib.parse.urlsplit(newurl).scheme not in ("http", "https"):
            raise LangmodelsError(
                f"{req.host} redirects to {newurl[:200]}, which is neither http nor https."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_opener = urllib.request.build_opener(_Redirects)


def _fetch(url: str, part: _Part, timeout: float, largest: int, meter: Meter) -> bool:
    """Make one request, append the answer to `part`, and return whether the file is complete."""
    headers = {"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"}
    held, tag = part.size(), part.tag()
    if held and tag:
        headers |= {"Range": f"bytes={held}-", "If-Range": tag}
    request = urllib.request.Request(url, headers=headers)
    try:
        opened = cast(HTTPResponse, _opener.open(request, timeout=timeout))
    except urllib.error.HTTPError:
        raise
    except (OSError, HTTPException) as error:
        raise _NetworkError(error) from error
    with opened as response:
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
        if response.status == 206 and span and int(span[1]) == held:
            total: int | None = int(span[2])
        elif response.status == 206:
            part.delete()  # not the range asked for; the next attempt asks for everything
            return False
        else:
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdigit() else None
            part.begin(_tag_of(response))
            held = 0
        meter.advance(held - meter.completed, _note(held, total))
        if total is not None and total > largest:
            raise _too_large(url, largest)
        with part.path.open("ab") as file:
            for block in _blocks(response):
                file.write(block)
                held += len(block)
                if held > largest:
                    raise _too_large(url, largest)
                meter.advance(len(block), _note(held, total))
            file.flush()
            os.fsync(file.fileno())
    if total is not None and held > total:
        part.delete()
    return total is None or held == total


def _too_large(url: str, largest: int) -> LangmodelsError:
    return LangmodelsError(f"{url} is larger than {largest / 1e6:,.0f} MB; it was not kept.")


def _blocks(response: HTTPResponse) -> Iterator[bytes]:
    """The body of a response; an OSError here is one of the network, not of the disk."""
    try:
        while block := response.read(_BLOCK):
            yield block
    except (OSError, HTTPException) as error:
        raise _NetworkError(error) from error


def _tag_of(response: HTTPResponse) -> str:
    """The response's value for If-Range: a strong ETag, else the date, else empty."""
    tag = response.headers.get("ETag", "")
    tag = tag if tag.startswith('"') else response.headers.get("Last-Modified", "")
    return tag if tag.isascii() else ""


def _note(held: int, total: int | None) -> str:
    of = "" if total is None else f" of {total / 1e6:.1f}"
    return f"{held / 1e6:.1f}{of} MB"
