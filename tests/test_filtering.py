"""Filtering: the documents that are kept are those that the definition says, byte for byte."""

import gzip
import json
import math
import ntpath
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import langmodels
from langmodels.cli.main import main
from langmodels.datasets.documents import Request
from langmodels.datasets.shards import stretches
from langmodels.errors import LangmodelsError, UsageError
from langmodels.filtering import pieces, quantiles, running, tasks
from langmodels.filtering.rules import Rule
from langmodels.models.texts import FIGURES

WORDS = ["red", "fox", "ran", "hen", "sat", "a", "the", "on"]
Run = Callable[..., dict[str, Any]]


def make_documents(n: int, seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        {
            "id": f"{seed}.{i}",
            "text": "\n".join(" ".join(rng.choice(WORDS, rng.integers(0, 5))) for _ in range(3)),
            "lang": str(rng.choice(["en", "fr"])),
        }
        for i in range(n)
    ]


DOCUMENTS = {"a.jsonl": make_documents(60, 1), "deep/b.jsonl.gz": make_documents(25, 2)}
BAD = b'nonsense\n{"text": 7}\n{"text": " \\n ", "lang": "de"}\n'


def bits(model: Any, text: str) -> float:
    """The definition of a score."""
    lines = [line for line in text.split("\n") if line.strip()]
    tokens = sum(len(line.split()) + 1 for line in lines)
    return -sum(map(model.score, lines)) / math.log(2) / tokens if tokens else math.nan


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filter")
    texts = {"m": "red fox ran\nred hen ran\na fox sat\n", "general": "the hen sat on a hen\na a\n"}
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)
        train = ["train", "-q", "--level", "whitespace", "--model", "witten-bell:order=2"]
        corpus = ["--corpus", str(folder / f"{name}.txt"), "-o", str(folder / f"{name}.lm")]
        assert main([*train, *corpus]) == 0
    for name, documents in DOCUMENTS.items():
        path = folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = "".join(json.dumps(d) + "\n" for d in documents).encode() + BAD
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder


@pytest.fixture
def run(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Filter the collection into a folder, `out` of the test unless it is said; the report."""
    monkeypatch.chdir(folder)

    def call(*options: Any, inputs: Any = ("in",), status: int = 0) -> dict[str, Any]:
        arguments = ["filter", "m.lm", *inputs, "-o", tmp_path / "out", "--json", "-q", *options]
        assert main([str(a) for a in arguments]) == status
        report: dict[str, Any] = json.loads(capsys.readouterr().out or "{}")
        return report

    return call


def written(path: Path) -> list[dict[str, Any]]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return list(map(json.loads, data.splitlines()))


def expected(score: Callable[[str], float]) -> dict[str, float]:
    """The scores of the documents that have one, by id."""
    scores = {d["id"]: score(d["text"]) for some in DOCUMENTS.values() for d in some}
    return {name: value for name, value in scores.items() if not math.isnan(value)}


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_best_share_of_all_files_is_kept(run: Run, tmp_path: Path, jobs: int) -> None:
    report = run("--keep", "0.3", "--jobs", jobs)
    model = langmodels.load("m.lm")
    scores = expected(lambda text: bits(model, text))
    limit = sorted(scores.values())[math.ceil(0.3 * len(scores)) - 1]
    kept = {name for name, score in scores.items() if score <= limit + 1e-12}
    found = {name: written(tmp_path / "out" / name) for name in DOCUMENTS}
    assert {d["id"] for some in found.values() for d in some} == kept
    for name, some in found.items():  # in their order, with their fields
        sources = [d for d in DOCUMENTS[name] if d["id"] in kept]
        assert [{k: v for k, v in d.items() if k not in FIGURES} for d in some] == sources
        for document in some:
            assert math.log2(document["perplexity"]) == pytest.approx(scores[document["id"]])
    assert report["groups"][0]["thresholds"] == [pytest.approx(limit)]
    assert [part["documents"] for part in report["parts"]] == [len(kept), len(scores) - len(kept)]
    assert report["documents"] == len(scores)
    assert sum(map(sum, report["histogram"])) == len(scores)
    lines = (tmp_path / "out" / "bad.jsonl").read_text().splitlines()
    reasons = [json.loads(line)["reason"] for line in lines]
    assert reasons.count("is no JSON value") == 2
    assert reasons.count("has no text in the field 'text'") == 2
    assert len(reasons) == report["bad"] == 85 - len(scores) + 6
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert f">{len(kept)}<" in page


@pytest.mark.parametrize(
    "options", [("--keep", "0.3"), ("--buckets", "3", "--by", "lang"), ("--max-bits", "2")]
)
def test_a_large_file_in_pieces_gives_what_it_gives_whole(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setattr(pieces, "SMALLEST", 900)
    lines = [json.dumps(d).encode() for d in make_documents(60, 3)]
    lines[7:7] = BAD.splitlines()
    lines[40:40] = [b"", *BAD.splitlines()]
    source = tmp_path / "one.jsonl"
    source.write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines))  # the last line has no end
    reports = []
    for jobs in (1, 2):
        reports.append(run(*options, "--jobs", jobs, inputs=[source]))
        (tmp_path / "out").rename(tmp_path / str(jobs))
    assert reports[0] == reports[1]
    names = [
        sorted(str(p.relative_to(tmp_path / jobs)) for p in (tmp_path / jobs).rglob("*"))
        for jobs in "12"
    ]
    assert names[0] == names[1], "pieces are gone"
    for name in ("one.jsonl", "bad.jsonl", "scores/one.jsonl.scores"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    (tmp_path / "2").rename(tmp_path / "out")
    again = run(*options, "--jobs", 2, inputs=[source])
    assert again["skipped"] == 1


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_was_scored_in_pieces_is_taken_up_by_any_number_of_workers(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: str
) -> None:
    monkeypatch.setattr(pieces, "SMALLEST", 900)
    source = tmp_path / "one.jsonl"
    source.write_text("".join(json.dumps(d) + "\n" for d in make_documents(60, 3)))
    expected = run("--keep", "0.3", inputs=[source])
    kept = (tmp_path / "out" / "one.jsonl").read_bytes()
    (tmp_path / "out").rename(tmp_path / "whole")

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("langmodels.filtering.running._thresholds", interrupted)
        run("--keep", "0.3", "--jobs", "2", inputs=[source], status=130)
    left = sorted((tmp_path / "out" / "scores").iterdir())
    assert any(".2-of-" in path.name for path in left)
    (tmp_path / "out" / "scores" / "one.jsonl.1-of-99.part").write_text("of an earlier version")
    assert run("--keep", "0.3", "--jobs", jobs, inputs=[source]) == expected
    assert (tmp_path / "out" / "one.jsonl").read_bytes() == kept
    names = [
        {str(path.relative_to(tmp_path / folder)) for path in (tmp_path / folder).rglob("*")}
        for folder in ("out", "whole")
    ]
    assert names[0] == names[1]


def test_stretches_of_a_file_are_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    lines = [b"word " * (i % 7) + b"end\n" for i in range(300)]
    path.write_bytes(b"".join(lines))
    found = stretches(Request(str(path)), 5, 100)
    assert len(found) == 5
    for begin, end, first in found:
        cut = path.read_bytes()[begin:end]
        assert cut.splitlines(keepends=True) == lines[first - 1 : first - 1 + cut.count(b"\n")]
    assert b"".join(path.read_bytes()[a:b] for a, b, _ in found) == b"".join(lines)
    packed = tmp_path / "packed.txt"
    packed.write_bytes(gzip.compress(path.read_bytes() * 50))
    assert stretches(Request(str(packed)), 5, 100) == []
    assert stretches(Request(str(path)), 5, 10_000) == []


def test_groups_have_thresholds_of_their_own(run: Run, tmp_path: Path) -> None:
    report = run("--buckets", "3", "--by", "lang")
    model = langmodels.load("m.lm")
    found = [d for name in DOCUMENTS for d in written(tmp_path / "out" / name)]
    assert {d["bucket"] for d in found} == {"head", "middle", "tail"}
    for group in report["groups"]:
        mine = [d for d in found if d["lang"] == group["name"]]
        scores = sorted(bits(model, d["text"]) for d in mine)
        ends = [scores[math.ceil(len(scores) * i / 3) - 1] for i in (1, 2)]
        assert group["thresholds"] == pytest.approx(ends)
        for document in mine:
            part = sum(bits(model, document["text"]) > end + 1e-9 for end in ends)
            assert document["bucket"] == ("head", "middle", "tail")[part]


def test_the_score_against_a_general_model_is_the_difference_of_cross_entropies(
    run: Run, tmp_path: Path
) -> None:
    run("--against", "general.lm", "--max-bits", "-0.5", "--per", "character")
    model, general = langmodels.load("m.lm"), langmodels.load("general.lm")

    def per_character(text: str) -> float:
        lines = [line for line in text.split("\n") if line.strip()]
        difference = sum(general.score(x) - model.score(x) for x in lines)
        return difference / math.log(2) / (len(text) + (not text.endswith("\n")))

    scores = {k: v for k, v in expected(per_character).items() if v <= -0.5 and v != 0}
    found = [d for name in DOCUMENTS for d in written(tmp_path / "out" / name)]
    assert {d["id"] for d in found} == set(scores)
    assert all(d["difference"] == pytest.approx(scores[d["id"]]) for d in found)


def test_a_second_run_repeats_nothing_that_is_finished(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run("--keep", "0.3")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.jsonl*")}
    del before[tmp_path / "out" / "bad.jsonl"]

    def never(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(tasks, "score_texts", never)  # neither is another rule scored anew
    again = run("--keep", "0.3")
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert (first.pop("skipped"), again.pop("skipped")) == (0, 2)
    assert again == first
    (tmp_path / "out" / "a.jsonl").unlink()
    assert run("--keep", "0.3")["skipped"] == 1
    assert len(written(tmp_path / "out" / "a.jsonl")) > 0
    assert run("--max-perplexity", "4")["parts"][0]["documents"] > 0


@pytest.mark.skipif(os.name != "posix", reason="Windows does not replace a mapped file")
def test_a_model_that_was_trained_anew_scores_anew(tmp_path: Path) -> None:
    """A process that opened the file before, as workers of a cluster have, opens it again."""
    path, texts = tmp_path / "m.lm", ["red fox", "a hen sat on a hen"]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    for number, training in enumerate(("red fox ran\n", "the hen sat on a hen\na a a\n")):
        model = langmodels.NGramModel(order=2, smoothing="witten_bell").fit(training)
        model.save(path)
        out = tmp_path / str(number)
        langmodels.filter_documents([str(tmp_path / "in.jsonl")], out, path, Rule(at_most=100))
        found = [row["perplexity"] for row in written(out / "in.jsonl")]
        assert found == pytest.approx(langmodels.score_column(texts, model).tolist())


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9])
def test_damaged_scores_are_computed_again(share: float, run: Run, tmp_path: Path) -> None:
    first = run("--keep", "0.3", "--by", "lang")
    texts = {p: p.read_bytes() for p in (tmp_path / "out").rglob("?.jsonl*") if p.is_file()}
    texts = {p: data for p, data in texts.items() if "scores" not in p.parts}
    assert len(texts) == 2
    kept = [p for p in (tmp_path / "out" / "scores").rglob("*") if p.is_file()]
    assert {p.suffix for p in kept} == {".scores", ".bad", ".json", ".done"}
    for path in kept:
        data = bytearray(path.read_bytes())
        if path.suffix == ".bad" or not data:  # a list for people, of which nothing else is made
            continue
        data[int(share * len(data))] ^= 4
        path.write_bytes(data)
        again = run("--keep", "0.3", "--by", "lang")
        assert {**again, "skipped": 0} == {**first, "skipped": 0}
        assert {p: p.read_bytes() for p in texts} == texts


def test_a_broken_file_is_named_and_the_others_are_finished(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    whole = (folder / "in" / "deep" / "b.jsonl.gz").read_bytes()
    (tmp_path / "torn.jsonl.gz").write_bytes(whole[:-20])
    (tmp_path / "fine.jsonl").write_text('{"text": "red fox"}\n')
    report = run("--max-perplexity", "1e9", inputs=(tmp_path / "*.jsonl*",), status=1)
    assert list(report["failed"]) == [str(tmp_path / "torn.jsonl.gz")]
    names = sorted(path.name for path in (tmp_path / "out").glob("*.jsonl*"))
    assert names == ["bad.jsonl", "fine.jsonl"]


def test_names_in_the_output_from_two_disks_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = SimpleNamespace(sep="\\", path=ntpath)
    monkeypatch.setattr("langmodels.filtering.running.os", windows)
    for drive, names in (("C:", ["x.jsonl", "b/y.jsonl"]), ("D:", ["D/x.jsonl", "C/a/b/y.jsonl"])):
        folder = f"{drive}\\a\\" if drive == "C:" else f"{drive}\\"
        requests = [Request(f"{folder}x.jsonl"), Request("C:\\a\\b\\y.jsonl")]
        assert [paths.name for paths in running._paths(requests, "out")] == names


def test_names_of_what_stands_beside_documents_are_refused(run: Run, tmp_path: Path) -> None:
    """In capitals, too: they are one on some file systems."""
    (tmp_path / "Bad.jsonl").write_text('{"text": "red fox"}\n')
    run("--keep", "0.3", inputs=(tmp_path / "Bad.jsonl",), status=2)
    (tmp_path / "Bad.jsonl").rename(tmp_path / "bad.jsonl.txt")
    run("--keep", "0.3", inputs=(tmp_path / "bad.jsonl.txt",))


@pytest.mark.parametrize("fine", [True, False])
def test_where_no_report_can_be_written_files_that_failed_are_named(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fine: bool,
) -> None:
    (tmp_path / "torn.jsonl.gz").write_bytes(gzip.compress(b'{"text": "a"}')[:-9])
    if fine:
        (tmp_path / "fine.jsonl").write_text('{"text": "red fox", "lang": "en"}\n')

    def full(*_: object) -> None:
        raise LangmodelsError("No space left.")

    monkeypatch.chdir(folder)
    monkeypatch.setattr("langmodels.cli.filter.write_page", full)
    inputs = str(tmp_path / "*.jsonl*")
    rule = ["--keep", "0.5", "--by", "lang"]
    assert main(["filter", "m.lm", inputs, "-o", str(tmp_path / "out"), *rule]) == 1
    printed = capsys.readouterr()
    assert "torn.jsonl.gz" in printed.err
    assert "No space left." in printed.err
    assert "has the field" not in printed.err  # no more than that is known of torn files
    assert f"files   {int(fine)}" in printed.out


def test_documents_in_a_store_are_filtered_as_those_in_a_folder(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    fsspec = pytest.importorskip("fsspec")
    run("--keep", "0.3")
    store = fsspec.filesystem("memory")
    for name in DOCUMENTS:
        store.pipe(f"/filter/in/{name}", (folder / "in" / name).read_bytes())
    for where in ("memory://filter/out", (tmp_path / "stored").as_uri()):
        arguments = ["filter", "m.lm", "memory://filter/in", "-o", where, "--keep", "0.3", "-q"]
        assert main(arguments) == 0
        for name in (*DOCUMENTS, "report.html"):
            with fsspec.open(f"{where}/{name}") as file:
                found = file.read()
            if name in DOCUMENTS:
                assert found == (tmp_path / "out" / name).read_bytes()
    assert not [path for path in store.find("/filter") if path.endswith(".part")]


def test_lines_of_plain_text_are_documents(run: Run, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_bytes(b"red fox ran\n\nzebra zebra\nbad \xff\na fox ran")
    report = run("--keep", "0.5", inputs=(tmp_path / "lines.txt",))
    assert (tmp_path / "out" / "lines.txt").read_bytes() == b"red fox ran\na fox ran\n"
    assert report["bad"] == 1
    run("--buckets", "3", inputs=(tmp_path / "lines.txt",), status=2)
    (tmp_path / "table.csv").write_text("id,text\n1,red fox ran\n2,a fox ran\n")
    with pytest.warns(UserWarning, match="each line is a document"):
        langmodels.filter_documents(
            tmp_path / "table.csv", tmp_path / "rows", "m.lm", Rule(keep=0.5)
        )


def test_names_mean_in_python_what_they_do_on_the_command_line(
    folder: Path, tmp_path: Path
) -> None:
    model = folder / "m.lm"
    (tmp_path / "in").mkdir()
    for name in "ab":
        line = f'{{"body": "red fox {name}", "text": ""}}\n'
        (tmp_path / "in" / f"{name}.jsonl").write_text(line)
    for i, names in enumerate((f"{tmp_path}/in?text=body", [f"{tmp_path}/in/*.jsonl?text=body"])):
        report = langmodels.filter_documents(names, tmp_path / f"out{i}", model, Rule(at_most=99.0))
        assert (report.files, report.documents, report.bad) == (2, 2, 0)
    with pytest.raises(LangmodelsError, match="There is no file"):
        langmodels.filter_documents(
            [tmp_path / "c.jsonl"], tmp_path / "x", model, Rule(at_most=99.0)
        )


def test_rows_of_parquet_are_kept_unchanged_with_new_columns(run: Run, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    rows = make_documents(30, 3)
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
    run("--keep", "0.2", inputs=(tmp_path / "rows.parquet",))
    table = parquet.read_table(tmp_path / "out" / "rows.parquet")
    assert table.column_names == ["id", "text", "lang", *FIGURES]
    kept = table.drop_columns(list(FIGURES)).to_pylist()
    assert kept == [row for row in rows if row["id"] in {k["id"] for k in kept}]
    model = langmodels.load("m.lm")
    worst = max(bits(model, row["text"]) for row in kept)
    rest = [bits(model, row["text"]) for row in rows if row not in kept]
    assert 0 < len(kept) < len(rows)
    assert all(math.isnan(score) or score > worst for score in rest)
    run("--max-bits", "-1", "--as-is", inputs=(tmp_path / "rows.parquet",))
    table = parquet.read_table(tmp_path / "out" / "rows.parquet")
    assert (table.column_names, table.num_rows) == (["id", "text", "lang"], 0)


def test_nothing_is_replaced_that_was_not_made_here(run: Run, folder: Path) -> None:
    before = (folder / "in" / "a.jsonl").read_bytes()
    assert main(["filter", "m.lm", "in/a.jsonl", "-o", "in", "--keep", "0.5"]) == 2
    assert (folder / "in" / "a.jsonl").read_bytes() == before
    for rule in ({}, {"keep": 1.5}, {"buckets": 1}, {"keep": 0.5, "buckets": 3}):
        with pytest.raises(UsageError):
            Rule(**rule)


def test_carriage_returns_of_windows_are_not_scored(run: Run, folder: Path, tmp_path: Path) -> None:
    """They are written as they were, and scored as `score` does it."""
    train = ["train", "-q", "--corpus", "m.txt", "--level", "char", "--model", "unigram"]
    assert main([*train, "-o", str(tmp_path / "c.lm")]) == 0
    for name, end in (("unix.txt", b"\n"), ("windows.txt", b"\r\n")):
        (tmp_path / name).write_bytes(b"red fox" + end + b"a hen" + end)
    for name, end in (("unix.txt", b"\n"), ("windows.txt", b"\r\n")):
        out = tmp_path / name.removesuffix(".txt")
        arguments = [tmp_path / "c.lm", tmp_path / name, "-o", out, "--max-bits", "99", "-q"]
        assert main(["filter", *map(str, arguments)]) == 0
        assert (out / name).read_bytes() == b"red fox" + end + b"a hen" + end
        report = json.loads((out / "report.json").read_text())
        assert report["parts"][0]["characters"] == report["parts"][0]["tokens"] == 12
    edges = [
        json.loads((tmp_path / n / "report.json").read_text())["edges"] for n in ("unix", "windows")
    ]
    assert edges[0] == edges[1]


def test_documents_impossible_under_both_models_have_no_score(run: Run, tmp_path: Path) -> None:
    train = ["train", "-q", "--level", "whitespace", "--model", "mle:order=2", "--corpus", "m.txt"]
    assert main([*train, "-o", str(tmp_path / "mle.lm")]) == 0
    (tmp_path / "d.jsonl").write_text(
        '{"text": "hen hen"}\n{"text": "red fox ran"}\n{"text": ""}\n'
    )
    model = str(tmp_path / "mle.lm")
    arguments = ["filter", model, str(tmp_path / "d.jsonl"), "--against", model, "--max-bits", "9"]
    assert main([*arguments, "-o", str(tmp_path / "out"), "-q"]) == 0
    bad = [json.loads(line) for line in (tmp_path / "out" / "bad.jsonl").read_text().splitlines()]
    assert [(b["document"], b["reason"]) for b in bad] == [
        (1, "is impossible under both models"),
        (3, "has no tokens"),
    ]


def test_thresholds_of_thousands_of_groups_are_exact(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    """As many as there are sites on the web: neither time nor memory is a table for each."""
    documents = [
        {"text": " ".join(WORDS[: 1 + (7 * i + i // 3000) % 8]), "site": f"{i % 3000}"}
        for i in range(6000)
    ]
    lines = "".join(json.dumps(d) + "\n" for d in documents)
    (tmp_path / "sites.jsonl").write_text(lines)
    report = run("--keep", "0.5", "--by", "site", inputs=(tmp_path / "sites.jsonl",))
    assert (report["documents"], len(report["groups"])) == (6000, 3000)
    model = langmodels.load("m.lm")
    scores = {text: bits(model, text) for text in {str(d["text"]) for d in documents}}
    kept = [
        d
        for i, d in enumerate(documents)
        if scores[str(d["text"])] <= scores[str(documents[(i + 3000) % 6000]["text"])]
    ]
    out = (tmp_path / "out" / "sites.jsonl").read_text().splitlines()
    assert [(d["text"], d["site"]) for d in map(json.loads, out)] == [
        (d["text"], d["site"]) for d in kept
    ]


@pytest.mark.parametrize("held", [1, 300, 10_000])
def test_quantiles_are_exact(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantiles, "_HELD", held)
    monkeypatch.setattr(quantiles, "_COUNTED", 3)
    rng = np.random.default_rng(5)
    numbers = np.concatenate(
        [
            rng.normal(0, 1e3, 500),
            rng.integers(-3, 3, 300) / 2,
            [np.inf, -np.inf, 0.0, -0.0, 1e-300],
        ]
    )
    groups = rng.choice(5, len(numbers), p=[0.5, 0.2, 0.2, 0.07, 0.03])

    def parts() -> Iterator[tuple[Any, Any]]:
        for piece in np.array_split(np.arange(len(numbers)), 7):
            yield numbers[piece], groups[piece]

    sizes = np.bincount(groups)
    ranks = [[1, 7, int(n) // 2, int(n)] for n in sizes]
    ranks[1] = []
    found = quantiles.order_statistics(parts, ranks)
    for group, some in enumerate(ranks):
        mine = np.sort(numbers[groups == group])
        assert found[group] == [mine[rank - 1] for rank in some]
