"""The catalogue of books and its downloader, against a server on the loopback address."""

import re
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from langmodels.datasets import download as downloading
from langmodels.datasets import find_source, gutenberg, list_sources
from langmodels.datasets.download import NotFoundError, download
from langmodels.errors import LangmodelsError, UsageError
from langmodels.storage import cache_folder

STORY = "".join(f"Chapter {i}\n\nThe café — it was “closed” that day.\n\n" for i in range(4000))
HEADER = "The Project Gutenberg eBook of A Story\n\nThis ebook is for the use of anyone.\n\n"
FOOTER = "\nUpdated editions will replace the previous one.\n"


def book(story: str = STORY) -> str:
    return (
        f"{HEADER}*** START OF THE PROJECT GUTENBERG EBOOK A STORY ***\n\n\n{story}\n"
        f"*** END OF THE PROJECT GUTENBERG EBOOK A STORY ***\n{FOOTER}"
    )


@dataclass
class Server:
    """What the server has and does, and what it was asked."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    etag: str | None = '"first"'
    ranges: bool = True
    cut_after: int | None = None  # bytes of a body after which the connection is dropped
    status: Callable[[int], int] = lambda n: 200  # for the n-th request, from 1
    requests: list[dict[str, str]] = field(default_factory=list)
    sent: int = 0
    redirects: dict[str, str] = field(default_factory=dict)
    tells_length: bool = True


@pytest.fixture
def server(monkeypatch):
    state = Server("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            pass

        def do_GET(self):
            state.requests.append(dict(self.headers))
            status = state.status(len(state.requests))
            if self.path in state.redirects:
                self.send_response(302)
                self.send_header("Location", state.redirects[self.path])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = state.files.get(self.path)
            if body is None or status >= 400:
                self.send_error(404 if body is None else status)
                return
            first = 0
            span = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            if span and state.ranges and self.headers.get("If-Range") == state.etag:
                first = int(span[1])
                if first >= len(body):
                    self.send_error(416)
                    return
            self.send_response(206 if first else 200)
            if first:
                self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
            if state.etag:
                self.send_header("ETag", state.etag)
            if state.tells_length:
                self.send_header("Content-Length", str(len(body) - first))
            else:
                self.close_connection = True
            self.end_headers()
            part = body[first:]
            if state.cut_after is not None and len(part) > state.cut_after:
                part = part[: state.cut_after]
                self.close_connection = True
            state.sent += len(part)
            self.wfile.write(part)

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{http.server_port}"
    monkeypatch.setenv("no_proxy", "*")
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("LANGMODELS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(downloading, "_PAUSE", 0.0)
    return tmp_path / "cache"


@pytest.fixture
def alice(server, monkeypatch) -> Server:
    """The server, with book 11 on it and set as the place where books come from."""
    monkeypatch.setenv("LANGMODELS_GUTENBERG", server.url + "/")
    server.files["/cache/epub/11/pg11.txt"] = ("\ufeff" + book().replace("\n", "\r\n")).encode()
    return server


def leftovers_of_parts(_: Server) -> list[Path]:
    """Unfinished files in the cache."""
    return list(cache_folder().rglob("*.part*"))


def leftovers(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "gutenberg").iterdir())


def test_a_book_is_downloaded_once_and_then_read_from_the_cache(alice, cache):
    source = find_source("gutenberg:11")
    assert "Alice's Adventures in Wonderland" in source.description
    assert not alice.requests  # naming it is not fetching it
    assert source.read() == STORY.strip("\n") + "\n"
    assert leftovers(cache) == ["pg11.txt"]
    assert alice.requests[0]["User-Agent"].startswith("langmodels/")
    # The second time it is read from the cache.
    assert find_source("gutenberg:11").read().startswith("Chapter 0\n")
    assert len(alice.requests) == 1


def test_listing_says_what_is_already_here(alice):
    def here():
        return {entry.name: entry.available for entry in list_sources() if entry.kind == "book"}

    assert len(here()) >= 25
    assert not here()["gutenberg:11"]
    find_source("gutenberg:11").read()
    assert here()["gutenberg:11"]
    assert not here()["gutenberg:1342"]


def test_a_download_that_is_cut_goes_on_where_it_stopped(alice, cache):
    alice.cut_after = 100_000
    size = len(alice.files["/cache/epub/11/pg11.txt"])
    assert size > 200_000
    assert find_source("gutenberg:11").read() == STORY.strip("\n") + "\n"
    assert len(alice.requests) == -(-size // 100_000)
    assert alice.sent == size  # nothing twice
    assert alice.requests[1]["Range"] == "bytes=100000-"
    assert alice.requests[1]["If-Range"] == '"first"'
    assert leftovers(cache) == ["pg11.txt"]


def interrupt(alice, kept: int = 50_000) -> None:
    """Leave a download unfinished, as a killed process does."""
    alice.cut_after = kept
    alice.status = lambda n: 200 if n == 1 else 503
    with pytest.raises(LangmodelsError, match=r"503"):
        find_source("gutenberg:11").read()
    alice.cut_after, alice.status, alice.sent = None, lambda n: 200, 0
    alice.requests.clear()


def test_a_later_run_goes_on_where_the_last_stopped(alice, cache):
    interrupt(alice)
    assert leftovers(cache) == ["pg11.txt.part", "pg11.txt.part.tag"]
    assert find_source("gutenberg:11").read() == STORY.strip("\n") + "\n"
    assert alice.sent == len(alice.files["/cache/epub/11/pg11.txt"]) - 50_000
    assert leftovers(cache) == ["pg11.txt"]


def test_a_changed_file_is_fetched_afresh(alice):
    interrupt(alice)
    alice.etag = '"second"'
    alice.files["/cache/epub/11/pg11.txt"] = book("Another story altogether.\n").encode()
    assert find_source("gutenberg:11").read() == "Another story altogether.\n"


def test_a_server_that_ignores_range(alice):
    interrupt(alice)
    alice.ranges = False
    assert find_source("gutenberg:11").read() == STORY.strip("\n") + "\n"
    assert "Range" in alice.requests[0]


def test_a_server_that_ignores_range_and_cuts_every_time_is_given_up(alice):
    alice.ranges, alice.cut_after = False, 1000
    with pytest.raises(LangmodelsError, match="broke off"):
        find_source("gutenberg:11").read()
    assert len(alice.requests) < 10


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_tag_nothing_is_resumed(alice, etag):
    alice.etag = etag
    interrupt(alice)
    assert find_source("gutenberg:11").read() == STORY.strip("\n") + "\n"
    assert "Range" not in alice.requests[0]

    assert not leftovers_of_parts(alice)


def test_a_part_longer_than_the_file_is_thrown_away(alice, cache):
    interrupt(alice)
    (cache / "gutenberg" / "pg11.txt.part").write_bytes(b"x" * 10_000_000)
    assert find_source("gutenberg:11").read() == STORY.strip("\n") + "\n"


def test_a_missing_book_is_asked_for_once_and_leaves_no_file(alice, cache):
    with pytest.raises(LangmodelsError, match="no plain text of a book 99999"):
        find_source("gutenberg:99999").read()
    assert len(alice.requests) == 1
    assert leftovers(cache) == []


def test_a_refusal_of_the_server_is_not_tried_again(alice):
    alice.status = lambda n: 403
    with pytest.raises(LangmodelsError, match=r"refuses http.*403 Forbidden.*corpora"):
        find_source("gutenberg:11").read()
    assert len(alice.requests) == 1


def test_a_server_in_trouble_is_asked_again(alice):
    alice.status = lambda n: 503 if n < 3 else 200
    assert find_source("gutenberg:11").read() == STORY.strip("\n") + "\n"


def test_without_a_network_other_corpora_are_suggested(monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        port = closed.server_port
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("LANGMODELS_GUTENBERG", f"http://127.0.0.1:{port}")
    with pytest.raises(
        LangmodelsError, match=r"Cannot download from 127.*network.*corpora"
    ) as info:
        find_source("gutenberg:11").read()
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>Please log in to this network</body></html>",
        b"",
        bytes(range(256)) * 10,
        book().encode()[:-60_000],  # as from a server that does not tell the length
        book().encode().replace(b"caf\xc3\xa9", b"caf\xe9"),
    ],
)
def test_what_is_not_a_book_is_not_kept(alice, cache, body):
    alice.files["/cache/epub/11/pg11.txt"] = body
    with pytest.raises(LangmodelsError, match="not a book of Project Gutenberg"):
        find_source("gutenberg:11").read()
    assert leftovers(cache) == []


def test_cache_that_cannot_be_written(alice, cache):
    cache.write_text("a file where a folder should be")
    with pytest.raises(LangmodelsError, match=r"Cannot write .*LANGMODELS_CACHE"):
        find_source("gutenberg:11").read()


def test_a_server_that_gives_little_at_a_time_comes_to_an_end(alice, cache, monkeypatch):
    pauses = []
    monkeypatch.setattr(downloading.time, "sleep", pauses.append)
    monkeypatch.setattr(downloading, "_REQUESTS", 10)
    alice.cut_after = 10
    with pytest.raises(LangmodelsError, match="go on where it stopped"):
        find_source("gutenberg:11").read()
    assert len(alice.requests) == 10
    assert len(pauses) == 9
    assert leftovers(cache) == ["pg11.txt.part", "pg11.txt.part.tag"]


@pytest.mark.parametrize("length", [True, False])
def test_what_is_too_large_is_not_kept(server, tmp_path, length):
    server.files["/big"] = b"x" * 300_000
    server.tells_length = length
    with pytest.raises(LangmodelsError, match="larger than 0 MB"):
        download(f"{server.url}/big", tmp_path / "big", largest=200_000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("elsewhere", ["ftp://127.0.0.1/x", "file:///etc/hostname", "gopher:x"])
def test_only_http_after_a_redirect(server, tmp_path, elsewhere):
    server.redirects["/moved"] = elsewhere
    with pytest.raises(LangmodelsError, match=r"neither http nor https|refuses"):
        download(f"{server.url}/moved", tmp_path / "moved")
    assert list(tmp_path.iterdir()) == []


def test_a_redirect_is_followed(server, tmp_path):
    server.redirects["/moved"] = f"{server.url}/here"
    server.files["/here"] = b"found"
    download(f"{server.url}/moved", tmp_path / "moved")
    assert (tmp_path / "moved").read_bytes() == b"found"


def test_only_http_addresses_are_downloaded(tmp_path):
    with pytest.raises(LangmodelsError, match="must begin with http"):
        download("file:///etc/hostname", tmp_path / "name")


def test_download_reports_missing_files_as_such(server, tmp_path):
    with pytest.raises(NotFoundError):
        download(f"{server.url}/nothing", tmp_path / "nothing")
    server.files["/some"] = b"some"
    download(f"{server.url}/some", tmp_path / "new" / "folder" / "some")
    assert (tmp_path / "new" / "folder" / "some").read_bytes() == b"some"


@pytest.mark.parametrize("name", ["gutenberg:", "gutenberg:alice", "gutenberg:0", "gutenberg:-1"])
def test_names_without_a_book_number_are_refused(name):
    with pytest.raises(UsageError, match="gutenberg:11 for Alice"):
        find_source(name)


def test_books_of_the_catalogue_are_described():
    assert gutenberg.CATALOGUE[11].title == "Alice's Adventures in Wonderland"
    assert find_source("gutenberg:54321").description == "book 54321 of Project Gutenberg"
    for number, (title, author, year) in gutenberg.CATALOGUE.items():
        assert find_source(f"gutenberg:{number}").description == f"{title}, {author}, {year}"


def test_the_cache_folder_follows_the_environment_and_the_system(monkeypatch, cache):
    assert cache_folder() == cache
    monkeypatch.delenv("LANGMODELS_CACHE")
    monkeypatch.setenv("HOME", "/home/alice")
    monkeypatch.setenv("USERPROFILE", "/home/alice")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/xdg")
    assert cache_folder() == Path("/var/xdg/langmodels")
    for ignored in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert cache_folder() == Path("/home/alice/.cache/langmodels")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_folder() == Path("/home/alice/Library/Caches/langmodels")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    assert cache_folder() == Path("/local/langmodels/Cache")


BODY = "CHAPTER I\n\nIt began.\n\nTHE END\n"


@pytest.mark.parametrize(
    "start",
    [
        "*** START OF THE PROJECT GUTENBERG EBOOK 11 ***\n",
        "*** START OF THIS PROJECT GUTENBERG EBOOK ALICE'S ADVENTURES ***\n\n\n",
        "***START OF THE PROJECT GUTENBERG EBOOK ALICE***\n\n",
        "*** START OF THIS PROJECT GUTENBERG ETEXT ALICE ***\n",
        "*** START OF THE PROJECT GUTENBERG EBOOK A VERY LONG TITLE,\nWITH MORE OF IT ***\n",
        "*** START OF THIS PROJECT GUTENBERG EBOOK WITHOUT STARS\n\n",
        "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\n\n\n",
        "*END THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\n\n",
        "*** START OF THE PROJECT GUTENBERG EBOOK 4 ***\n\n*** old header ***\n\n"
        "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\n",
        "*** START OF THE PROJECT GUTENBERG EBOOK X ***\n\n\nProduced by Some and\nothers\n\n\n",
        "*** START OF THIS PROJECT GUTENBERG EBOOK X ***\n\nE-text prepared by Somebody\n\n",
        "*** START OF THIS PROJECT GUTENBERG EBOOK X ***\n\nThis eBook was produced by Them.\n\n",
        "*** START OF THE PROJECT GUTENBERG EBOOK X ***\n\nE-text was created by a machine.\n\n",
        "*** START OF THE PROJECT GUTENBERG EBOOK X ***\n\nProduced by A. B. O'Neil,\n"
        "Zoë de Vries and the Online Distributed Proofreading Team (this\nfile is from scans)\n\n",
    ],
)
@pytest.mark.parametrize(
    "end",
    [
        "*** END OF THE PROJECT GUTENBERG EBOOK 11 ***\n",
        "*** END OF THIS PROJECT GUTENBERG EBOOK ALICE ***\n",
        "***END OF THE PROJECT GUTENBERG EBOOK ALICE***\n",
        "End of Project Gutenberg's Alice, by Lewis Carroll\n\n"
        "*** END OF THIS PROJECT GUTENBERG EBOOK ALICE ***\n",
        "End of the Project Gutenberg EBook of A Very Long Title, with\nMore of It\n\n"
        "*** END OF THIS PROJECT GUTENBERG EBOOK A VERY LONG TITLE ***\n",
        "End of The Project Gutenberg Etext of Alice\n",
        "This is the end of Project Gutenberg's Alice\n",
    ],
)
def test_markers_of_all_years_are_stripped(start, end):
    text = f"{HEADER}{start}{BODY}\n\n{end}{FOOTER}"
    assert gutenberg.strip_boilerplate(text) == BODY


@pytest.mark.parametrize(
    "first",
    [
        "Created by the hand of a master, the clock had never been wrong.",
        "Created by Ada",
        "Produced by Nature in a merry hour, he laughed\nat everything.",
        "Prepared by long years at sea, the captain slept.",
    ],
)
def test_stripping_keeps_a_first_paragraph_of_the_book(first):
    story = f"{first}\n\nIt was late.\n"
    assert gutenberg.strip_boilerplate(book(story)) == story


def test_stripping_keeps_what_only_looks_like_a_marker():
    story = "* * *\n\n*** a row of stars ***\n\nThe end of Project X, produced by hand.\n"
    assert gutenberg.strip_boilerplate(book(story)) == story
    assert gutenberg.strip_boilerplate(story) == story
    assert gutenberg.strip_boilerplate("") == ""
