"""Text files: encodings, compression, standard input, and every way in which they can be wrong."""

import gzip
import io
import lzma
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langmodels.datasets import files, find_source, list_sources, read_chunks, read_text, sources
from langmodels.errors import LangmodelsError, UsageError

TEXT = "Ein Käfer,\nzwei Käfer — dreißig 🪲!\n"


@pytest.fixture
def write(tmp_path):
    def write_file(name: str, data: bytes) -> str:
        path = tmp_path / name
        path.write_bytes(data)
        return str(path)

    return write_file


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress])
def test_reads_plain_gzip_and_xz_in_any_chunks(write, chunk, compress):
    suffix = {bytes: "", gzip.compress: ".gz", lzma.compress: ".xz"}[compress]
    path = write("text.txt" + suffix, compress(TEXT.encode()))
    assert "".join(read_chunks(path, chunk=chunk)) == TEXT


@given(
    st.text(st.sampled_from("a\r\n\u00e9\u20ac\U0001fab2"), max_size=30),
    st.integers(1, 7),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
)
def test_any_text_reads_as_python_decodes_it(tmp_path_factory, text, chunk, encoding):
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(text.encode(encoding))
    expected = path.read_bytes().decode(encoding).replace("\r\n", "\n")
    assert "".join(read_chunks(path, encoding, chunk)) == expected


def test_byte_order_mark_is_dropped_once(write):
    path = write("bom.txt", "\ufeffone\ufefftwo".encode())
    assert read_text(path) == "one\ufefftwo"


def test_pieces_are_bounded(write):
    path = write("long.txt", b"x" * 1000)  # one line, without an end
    assert [len(piece) for piece in read_chunks(path, chunk=300)] == [300, 300, 300, 100]


def test_empty_file_has_no_pieces(write):
    assert list(read_chunks(write("empty.txt", b""))) == []
    assert list(read_chunks(write("empty.txt.gz", gzip.compress(b"")))) == []


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_undecodable_byte_is_named_with_its_offset(write, chunk):
    data = "äöü".encode() + b"abc\xff\xfe rest"
    with pytest.raises(LangmodelsError, match=r"byte 0xff at offset 9 .*--encoding latin-1"):
        "".join(read_chunks(write("bad.txt", data), chunk=chunk))


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_text_cut_inside_a_character(write, chunk):
    path = write("cut.txt", "abc€".encode()[:-1])
    with pytest.raises(LangmodelsError, match="byte 0xe2 at offset 3"):
        "".join(read_chunks(path, chunk=chunk))


def test_utf16_is_recognised_by_its_mark(write):
    with pytest.raises(LangmodelsError, match="--encoding utf-16"):
        read_text(write("wide.txt", TEXT.encode("utf-16")))


def test_other_encodings_are_decoded_and_the_right_one_is_suggested(write):
    assert read_text(write("latin.txt", b"caf\xe9"), "latin-1") == "café"
    with pytest.raises(LangmodelsError, match=r"offset 3 .*--encoding utf-8"):
        read_text(write("latin.txt", b"caf\xe9"), "ascii")


@pytest.mark.parametrize("encoding", ["klingon", "hex", "rot13", "", "undefined", "a\0b"])
def test_an_unknown_encoding_is_refused(write, encoding):
    with pytest.raises(UsageError, match="not a text encoding"):
        read_text(write("text.txt", b"abc"), encoding)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(LangmodelsError, match=r"There is no file .*nowhere\.txt"):
        read_text(tmp_path / "nowhere.txt")
    with pytest.raises(LangmodelsError, match="is a folder"):
        read_text(tmp_path)


def test_a_file_without_permission_is_refused(write, monkeypatch):
    path = write("secret.txt", b"abc")

    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # the superuser may read everything
    with pytest.raises(LangmodelsError, match=r"secret\.txt may not be read"):
        read_text(path)


@pytest.mark.parametrize(("compress", "suffix"), [(gzip.compress, ".gz"), (lzma.compress, ".xz")])
def test_damaged_compressed_files(write, compress, suffix):
    whole = compress(os.urandom(1000).hex().encode())
    with pytest.raises(LangmodelsError, match="is truncated"):
        read_text(write("cut" + suffix, whole[:-20]))
    with pytest.raises(LangmodelsError, match="not a sound compressed file"):
        read_text(write("plain" + suffix, b"just text"))
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    with pytest.raises(LangmodelsError, match="not a sound compressed file"):
        read_text(write("flipped" + suffix, bytes(flipped)))


def test_standard_input_is_decoded_like_a_file(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\r\ntwo\n")))
    assert find_source("-").read() == "one\ntwo\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"ab\xff")))
    with pytest.raises(LangmodelsError, match=r"Standard input is not utf-8 .* offset 2"):
        find_source("-").read()
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(LangmodelsError, match="no standard input"):
        find_source("-").read()


def test_a_path_is_a_source_with_its_encoding(write):
    path = write("latin.txt", b"caf\xe9")
    source = find_source(path, encoding="latin-1")
    assert (source.name, source.read(), source.entropy_bits) == (path, "café", None)


def test_a_path_hides_a_shipped_corpus(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_source("wonderland.txt").read().startswith("The Thirteenth Stair")
    Path("wonderland.txt").write_text("mine")
    assert find_source("wonderland.txt").read() == "mine"


def test_shipped_corpora_of_an_installed_package(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "langmodels"
    (package / "corpora").mkdir(parents=True)
    (package / "corpora" / "tale.txt").write_text("once")
    (package / "corpora" / "README.md").write_text("about")
    # A folder beside an installed package belongs to somebody else.
    (tmp_path / "site-packages" / "corpora").mkdir()
    (tmp_path / "site-packages" / "corpora" / "foreign.txt").write_text("no")
    monkeypatch.setattr(sources, "_FIRST_PARENT", package)
    assert find_source("tale.txt").read() == "once"
    shipped = [listing.name for listing in list_sources() if listing.kind == "shipped"]
    assert shipped == ["tale.txt"]
    (package / "corpora" / "tale.txt").unlink()
    (package / "corpora" / "README.md").unlink()
    (package / "corpora").rmdir()
    assert not [listing for listing in list_sources() if listing.kind == "shipped"]
    with pytest.raises(LangmodelsError):
        find_source("foreign.txt")


def test_wrong_names_get_a_suggestion(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        LangmodelsError, match=r"did you mean wonderland\.txt\?.*langmodels corpora"
    ):
        find_source("wnderland.txt")
    Path("my-notes.txt").write_text("mine")
    with pytest.raises(LangmodelsError, match=r"did you mean my-notes\.txt\?"):
        find_source("my-note.txt")
    with pytest.raises(LangmodelsError, match=r"no corpus called 'qqqqqq'\. "):
        find_source("qqqqqq")
    with pytest.raises(LangmodelsError, match=r"no corpus called '.*/qqqqqq'\. "):
        find_source(str(tmp_path / "qqqqqq"))
    Path("wonderland.txt").write_text("mine")
    with pytest.raises(LangmodelsError, match=r"did you mean wonderland\.txt\? "):
        find_source("wnderland.txt")
    with pytest.raises(UsageError, match="is empty"):
        find_source(" ")
    (tmp_path / "empty").mkdir()
    with pytest.raises(LangmodelsError, match="is a folder without files"):
        find_source("empty")
    for hostile in ("x" * 100_000, "a\0b", "no/such/folder/file.txt"):
        with pytest.raises(LangmodelsError):
            find_source(hostile)


def test_nothing_is_read_before_the_source_is_opened(write, monkeypatch):
    source = find_source(write("text.txt", b"abc"))
    monkeypatch.setattr(files, "open_bytes", lambda path: pytest.fail("opened"))
    chunks = source.open()
    with pytest.raises(pytest.fail.Exception):
        next(iter(chunks))
