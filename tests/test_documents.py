"""Documents: their formats, several files, and what is said of those that cannot be read."""

import bz2
import gzip
import json
import lzma
import os
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import langmodels
from langmodels.cli.main import main
from langmodels.datasets import find_source, read_text
from langmodels.datasets.documents import Request
from langmodels.datasets.paths import find_files
from langmodels.datasets.shards import shard_of
from langmodels.errors import LangmodelsError, UsageError

PLAIN = "red fox ran\nred hen ran\na fox sat\n"
RECORDS = [
    {"content": "red fox ran\nand ran", "url": "https://a.example/1", "stars": 3},
    {"content": "a hen sat", "url": "https://a.example/2", "stars": 5},
]
JSONL = "".join(json.dumps(r) + "\n" for r in RECORDS)
TEXT = "red fox ran\nand ran\na hen sat\n"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str | bytes], str]:
    monkeypatch.chdir(tmp_path)

    def write_file(name: str, data: str | bytes) -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return name

    return write_file


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def zstd(data: bytes) -> bytes:
    compressed: bytes = pytest.importorskip("zstandard").compress(data)
    return compressed


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": zstd,
}


# Compression and encodings ---------------------------------------------------------------------


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_compressed_files_are_read_by_name_and_by_content(write: Any, suffix: str) -> None:
    packed = COMPRESSORS[suffix](PLAIN.encode())
    assert read_text(write(f"text.txt{suffix}", packed)) == PLAIN
    assert read_text(write("text.download", packed)) == PLAIN
    assert read_text(write(f"two{suffix}", packed * 2)) == PLAIN * 2
    assert find_source(write(f"docs.jsonl{suffix}", COMPRESSORS[suffix](JSONL.encode()))).read()
    for broken in (packed[:-9], packed[:10], b"just text"):
        with pytest.raises(LangmodelsError, match=r"truncated|not a sound compressed file"):
            assert read_text(write(f"broken{suffix}", broken)) == "what must not be"


@pytest.mark.parametrize(
    ("start", "kind"), [(b"PK\x03\x04", "zip"), (b"\x04\x22\x4d\x18", "lz4"), (b"PAR1", "Parquet")]
)
def test_files_of_other_kinds_are_named_and_refused(write: Any, start: bytes, kind: str) -> None:
    with pytest.raises(LangmodelsError, match=kind):
        read_text(write("file.txt", start + b"\0" * 100))


@pytest.mark.parametrize(
    ("data", "encoding", "hint"),
    [
        (b"it\x92s a dog\x92s life\n", "utf-8", "cp1252"),
        (b"caf\xe9\n", "utf-8", "latin-1"),
        (b"\x81 caf\xe9\n", "utf-8", "latin-1"),
        ("Käfer\n".encode(), "ascii", "utf-8"),
        ("Käfer".encode("utf-16"), "utf-8", "utf-16"),
        ("a plain text".encode("utf-16-le"), "utf-8", "utf-16-le"),
        ("a plain text".encode("utf-16-be"), "utf-8", "utf-16-be"),
        ("a plain text é".encode("utf-16-le"), "utf-8", "utf-16-le"),
        ("a plain text".encode("utf-16-le"), "utf-16", "utf-16-le"),
    ],
)
def test_the_encoding_is_found_by_trying(write: Any, data: bytes, encoding: str, hint: str) -> None:
    path = write("text.txt", data)
    try:
        text = read_text(path, encoding)
    except LangmodelsError as error:
        assert f"--encoding {hint}" in str(error)  # noqa: PT017 - some decoders guess
        assert "\0" not in read_text(path, hint)
    else:
        assert encoding == "utf-16"
        assert text == "a plain text"


def test_cp1252_reads_as_meant(write: Any) -> None:
    assert read_text(write("t.txt", b"dog\x92s\n"), "cp1252") == "dog\u2019s\n"


def test_bad_bytes_are_replaced_or_ignored_and_counted(write: Any) -> None:
    path = write("text.txt", b"red fox ran\nred h\xffen ran\na fox sat\n")
    for errors, word, done in (
        ("replace", "h\ufffden", r"read as U\+FFFD"),
        ("ignore", "hen", "left out"),
    ):
        with pytest.warns(UserWarning, match=rf"at 1 place; what stood there was {done}"):
            assert find_source(path, errors=errors).read() == PLAIN.replace("hen", word)
    with pytest.raises(LangmodelsError, match="--errors replace"):
        read_text(path)
    with pytest.raises(UsageError, match="strict, replace, ignore"):
        read_text(path, errors="pass")
    assert read_text(write("good.txt", PLAIN), errors="replace") == PLAIN


# Formats ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "?text=content", "?text=content,id=url"])
def test_json_lines_are_documents_with_ids_and_fields(write: Any, query: str) -> None:
    source = find_source(write("docs.jsonl", JSONL) + query)
    assert source.read() == TEXT
    found = list(source.documents())
    assert [d.text for d in found] == [r["content"] for r in RECORDS]
    ids = [r["url"] for r in RECORDS] if "id=" in query else ["docs.jsonl:1", "docs.jsonl:2"]
    assert [d.id for d in found] == ids
    assert [d.fields for d in found] == [{"url": r["url"], "stars": r["stars"]} for r in RECORDS]


def test_rows_of_parquet_are_documents(write: Any) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.Table.from_pylist(RECORDS), write("docs.parquet", b""))
    for query in ("", "?text=content", "?text=content&id=url"):
        source = find_source("docs.parquet" + query)
        assert source.read() == TEXT
        assert [d.fields["stars"] for d in source.documents()] == [3, 5]
    with pytest.raises(LangmodelsError, match="no field 'body'; its fields are content, url, sta"):
        find_source("docs.parquet?text=body").read()
    whole = Path("docs.parquet").read_bytes()
    name = whole.replace(b"content", b"cont\xe5nt")
    for broken in (whole[:100], b"PAR1" + whole[20:], b"", whole[:-40] + b"x" * 36 + b"PAR1", name):
        with pytest.raises(LangmodelsError, match="not a sound Parquet file"):
            find_source(write("broken.parquet", broken)).read()


def test_rows_of_tables_are_documents(write: Any) -> None:
    table = 'id;review\nk1;"red fox, ran\nand ran"\nk2;a hen sat\nk3;\n'
    source = find_source(write("t.csv", table) + "?text=review,id=id")
    assert source.read() == "red fox, ran\nand ran\na hen sat\n\n"
    assert [d.id for d in source.documents()] == ["k1", "k2", "k3"]
    source = find_source(write("t.tsv.gz", gzip.compress(b"a\tb\nx y\t1\n")) + "?text=a")
    assert source.read() == "x y\n"
    assert find_source(write("t.dat", "a|b\nx y|1\n") + "?text=a,delimiter=pipe").read() == "x y\n"
    with pytest.warns(UserWarning, match=r"columns: id, review"):
        assert find_source("t.csv").read() == table  # without a field, the text that it is
    with pytest.raises(UsageError, match=r"t\.csv\?text=COLUMN"):
        find_source("t.csv?")


def test_a_field_is_asked_for_where_several_could_be_the_text(write: Any) -> None:
    lines = '{"title": "a b", "body": "c d", "n": 1}\n'
    with pytest.raises(UsageError, match=r"two\.jsonl\?text=FIELD; its fields are title, body, n"):
        find_source(write("two.jsonl", lines)).read()
    assert find_source(write("t.jsonl", lines.replace("body", "text"))).read() == "c d\n"
    with pytest.raises(UsageError, match="its fields are n"):
        find_source(write("none.jsonl", '{"n": 1}\n')).read()


def test_a_field_called_text_is_the_text(write: Any) -> None:
    """Whatever it holds, and for all commands alike."""
    lines = (
        '{"text": "yes", "comment": "far longer than that"}\n{"text": "no", "comment": "so so"}\n'
    )
    assert find_source(write("t.jsonl", lines)).read() == "yes\nno\n"
    (batch,) = shard_of(Request("t.jsonl")).batches()
    assert batch.texts == ["yes", "no"]


def test_the_first_record_may_lack_the_field(write: Any) -> None:
    write("x.jsonl", '{"n": 1}\n{"body": "a b"}\n{"body": "c"}\n')
    with pytest.warns(UserWarning, match=r"1 records of x\.jsonl have no text in the field 'body'"):
        assert find_source("x.jsonl?text=body").read() == "a b\nc\n"
    write("y.jsonl", '{"n": 1}\n' * 60 + '{"body": "a b"}\n')
    with pytest.raises(LangmodelsError, match="no field 'body'; its fields are n"):
        find_source("y.jsonl?text=body").read()


def test_a_quotation_that_is_never_closed_swallows_nothing(write: Any) -> None:
    write("t.tsv", 'id\tbody\n1\ta hen\n2\t"red\n3\tfox ran\n')
    with pytest.raises(LangmodelsError, match=r"opens a field in line 3 of t\.tsv is never closed"):
        find_source("t.tsv?text=body").read()
    with pytest.raises(LangmodelsError, match=r"line 3 of t\.tsv"):
        find_source("t.tsv?events=body").read()
    write("whole.tsv", 'id\tbody\n\n1\t"red\n""fox"""\n2\n3\ta"b\n4\t"a" hen')
    with pytest.warns(UserWarning, match="1 records of whole"):
        assert find_source("whole.tsv?text=body").read() == 'red\n"fox"\na"b\na hen\n'


def test_rows_that_are_too_long_are_noticed(write: Any) -> None:
    write("t.csv", 'id,body\n1,red fox\n2,"a hen, sat"\n3,a hen, ran\n')
    with pytest.warns(UserWarning, match=r"1 rows of t\.csv have more fields than the first row"):
        assert find_source("t.csv?text=body").read() == "red fox\na hen, sat\na hen\n"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('{"text": "a b"}\n{"text": \n', "Line 2 of x.jsonl is no JSON value"),
        ('{"text": "a b"}\n["a"]\n', "Line 2 of x.jsonl is no JSON object"),
        ('[\n{"text": "a b"}\n]\n', "one JSON value, put each document on a line"),
        ('{"text": "a b"}\n{"text": 3}\n', "Record 2 of x.jsonl has a int in the field 'text'"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_broken_json_lines_get_a_sentence(write: Any, lines: str, message: str) -> None:
    with pytest.raises(LangmodelsError, match=message.replace(".", r"\.")):
        find_source(write("x.jsonl", lines) + "?text=text").read()


def test_records_without_text_are_counted(write: Any) -> None:
    source = find_source(write("x.jsonl", '{"text": "a b"}\n\n{"text": null}\n{"n": 1}\n'))
    with pytest.warns(UserWarning, match=r"2 records of x\.jsonl have no text in the field 'text'"):
        assert source.read() == "a b\n"
    with pytest.raises(LangmodelsError, match="no field 'body'; its fields are text"):
        find_source("x.jsonl?text=body").read()


def test_json_lines_read_as_prose_are_noticed(write: Any) -> None:
    with pytest.warns(UserWarning, match=r"corpus\.txt\?text=FIELD \(fields: content, url, stars"):
        assert find_source(write("corpus.txt", JSONL)).read() == JSONL
    assert find_source("corpus.txt?text=content").read() == TEXT
    with pytest.warns(UserWarning, match=r"t\.csv\?text=COLUMN \(columns: id, review"):
        assert find_source(write("t.csv", "id,review\n1,good\n")).read() == "id,review\n1,good\n"
    for numbers in ("0.5,0.7\n0.9,1\n", "value\n1\n2\n"):  # a series is meant
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert find_source(write("t.csv", numbers)).read() == numbers
    assert find_source(write("braces.txt", "{a}\n{b}\n")).read() == "{a}\n{b}\n"


def test_standard_input_may_be_plain_or_json_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import sys

    for name, given, expected in (("-", PLAIN, PLAIN), ("-?text=content", JSONL, TEXT)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        assert find_source(name).read() == expected


# Several files ---------------------------------------------------------------------------------


def test_several_files_folders_and_patterns(write: Any) -> None:
    write("docs/b.txt", "b without end")
    write("docs/a.txt.gz", gzip.compress(b"a\n"))
    write("docs/c.jsonl", JSONL)
    write("docs/.hidden", "never")
    write("deep/x.txt", "x\n")
    whole = "a\nb without end\n" + TEXT
    assert find_source("docs").read() == whole
    assert find_source("docs/*").read() == whole
    assert find_source("docs/[ab].*").read() == "a\nb without end"
    assert find_source("**/*.txt").read() == "x\nb without end"
    assert find_source("deep/x.txt,docs/c.jsonl").read() == "x\n" + TEXT
    assert find_source("docs,deep").read() == whole + "x\n"
    assert find_source("docs/*.jsonl?text=url").read() == "".join(f"{r['url']}\n" for r in RECORDS)
    assert [d.id for d in find_source("docs").documents()] == [
        "docs/a.txt.gz",
        "docs/b.txt",
        "docs/c.jsonl:1",
        "docs/c.jsonl:2",
    ]
    with pytest.raises(LangmodelsError, match="no file and no corpus"):
        find_source("docs/*.none")
    with pytest.raises(LangmodelsError, match="no file and no corpus"):
        find_source("deep/x.txt,nowhere.txt")


def test_files_are_streamed(write: Any) -> None:
    line = json.dumps({"text": "red fox " * 500}) + "\n"
    path = write("large.jsonl.gz", gzip.compress((line * 8000).encode(), 1))  # 32 MB of text
    tracemalloc.start()
    size = sum(map(len, find_source(path + "?text=text").open()))
    size_of_documents = sum(len(d.text) for d in find_source(path).documents())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size == 8000 * 4001
    assert size_of_documents == 8000 * 4000
    assert peak < 8 * (8 << 20)


def test_commands_take_documents(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write("docs.jsonl", JSONL * 20)
        write("lines.txt", TEXT * 20)
        for corpus in ("docs.jsonl?text=content,id=url", "lines.txt"):
            assert main(["train", "--corpus", corpus, "--order", "2", "-o", "m.lm"]) == 0
            assert main(["evaluate", "m.lm", "--corpus", corpus, "--part", "all", "--json"]) == 0
            assert main(["score", "m.lm", "--file", corpus]) == 0
    lines = capsys.readouterr().out.split("\n")
    assert lines.count(next(x for x in lines if '"perplexity"' in x)) == 2


def test_a_folder_of_all_there_is_is_refused(tmp_path: Path, monkeypatch: Any) -> None:
    for name in ("b.txt", "a/c.txt", "a/.hidden", ".d/e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text")
    found = find_files(str(tmp_path))
    assert found == [str(tmp_path / "a/c.txt"), str(tmp_path / "b.txt")]
    monkeypatch.setattr("langmodels.datasets.paths._MOST", 1)
    with pytest.raises(LangmodelsError, match="more than 1 files"):
        find_files(str(tmp_path))


def test_a_folder_with_one_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def closed(path: Any) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(LangmodelsError, match=r"the folder .*closed: Permission denied"):
        find_files(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("docs.jsonl?text=content", JSONL.encode()),
        ("docs.jsonl.gz?text=content", gzip.compress(JSONL.encode())),
        ("table.csv?text=content", b"id,content\n1,red fox ran\n2,a hen sat\n"),
        ("text.txt.xz", lzma.compress(PLAIN.encode())),
        ("folder", b""),
    ],
)
def test_a_path_is_read_as_the_commands_read_it(write: Any, name: str, data: bytes) -> None:
    """Not the text of the file itself, which is JSON, a table or nothing that can be read."""
    if data:
        write(name.partition("?")[0], data)
    else:
        write("folder/a.txt", "red fox ran\n")
        write("folder/b.jsonl", '{"text": "a hen sat"}\n')
    corpus = langmodels.Corpus.from_text(Path(name))
    read = langmodels.Corpus.from_text(find_source(name).open())
    assert corpus.ids.tolist() == read.ids.tolist()
    assert corpus.vocabulary.tokens == read.vocabulary.tokens
    assert {"red", "fox", "sat"} <= set(corpus.vocabulary.tokens) < {*read.vocabulary.tokens, "x"}
    assert langmodels.UnigramModel().fit(Path(name)).perplexity(corpus) > 1
    for missing in ("nowhere.txt", "synthetic:markov", "wonderland.txt"):  # a corpus, but no file
        with pytest.raises(LangmodelsError, match="There is no file"):
            langmodels.Corpus.from_text(Path(missing))
