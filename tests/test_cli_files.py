"""The files of a command line: no input is lost, and what cannot be written is said at once."""

import argparse
import gzip
import importlib.util
import io
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from langmodels.cli import main as command_line
from langmodels.cli.files import InputFile, OutputFile, OutputFolder
from langmodels.cli.main import COMMANDS, main
from langmodels.datasets import read_chunks
from langmodels.errors import LangmodelsError
from langmodels.packed import compressing

TEXT = "the cat sat on the mat .\nthe dog sat on the log .\na cat ran .\n" * 4

Fail = Callable[..., str]


@pytest.fixture
def fail(capsys: pytest.CaptureFixture[str]) -> Fail:
    """Run a command line that must fail with this status; return its one line of complaint."""

    def call(status: int, *arguments: Any) -> str:
        assert main([str(a) for a in arguments]) == status
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("langmodels: error: ")
        return line

    return call


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "text.txt").write_text(TEXT)
    assert main(["train", "--corpus", str(folder / "text.txt"), "-o", str(folder / "m.lm")]) == 0
    return folder / "m.lm"


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT)
    shutil.copy(model, "m.lm")


def parser_of(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    command_line.command(name).configure(parser)
    return parser


NAMES_NO_FILE = {
    "models": {"model", "models", "name"},
    "compare": {"against"},
    "evaluate": {"against"},
    "recall": {"models"},
    "translate": {"model"},
    "train": {"model"},
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_file_of_every_command_is_declared(name: str) -> None:
    for action in parser_of(name)._actions:
        kinds = InputFile | OutputFile | OutputFolder
        declared = isinstance(action.type, type) and issubclass(action.type, kinds)
        files = str(action.metavar).startswith(("FILE", "DIR", "MODEL", "INPUT", "OUTPUT"))
        named = {"corpus", "output", "plot", "report", "model", "models", "file", "checkpoint"}
        if files or action.dest in named:
            assert declared or action.dest in NAMES_NO_FILE.get(name, ()), action.dest


CLASHES = [
    ["train", "--corpus", "text.txt", "-o", "text.txt"],
    ["train", "--corpus", "text.txt?x=1", "-o", "text.txt"],
    ["train", "--corpus", "./text.txt", "-o", "sub/../text.txt"],
    ["train", "--corpus", "text.txt", "-o", "link.txt"],
    ["train", "--corpus", "link.txt", "-o", "text.txt"],
    ["train", "--corpus", "text.txt", "-o", "hard.txt"],
    ["train", "--corpus", "text.txt", "--model", "rnn", "--checkpoint", "text.txt", "-o", "x"],
    ["train", "--corpus", "m.lm", "--validation", "text.txt", "-o", "text.txt"],
    ["compare", "--corpus", "text.txt", "--report", "text.txt"],
    ["scale", "--corpus", "text.txt", "--report", "text.txt"],
    ["compare", "--models", "mkn,m.lm", "--corpus", "text.txt", "--report", "m.lm"],
    ["article", "--corpus", "text.txt", "-o", "text.txt"],
    ["fill", "mkn", "the ___", "--corpus", "text.txt", "-o", "text.txt"],
    ["mix", "m.lm", "m.lm", "-o", "m.lm"],
    ["mix", "m.lm", "--adapt", "text.txt", "-o", "text.txt"],
    ["mix", "m.lm", "m.lm", "--held-out", "text.txt", "-o", "text.txt"],
    ["prune", "m.lm", "--threshold", "0.1", "-o", "m.lm"],
    ["convert", "m.lm", "m.lm"],
    ["corpora", "--get", "text.txt", "-o", "text.txt"],
    ["gradients", "--corpus", "picture.svg", "--plot", "picture.svg"],
    ["translate", "m.lm", "--task", "numbers", "--train", "--checkpoint", "m.lm"],
    ["train", "--corpus", "sub", "-o", "sub/deep/text.txt"],
    ["train", "--corpus", "*.txt", "-o", "text.txt"],
    ["train", "--corpus", "sub, text.txt", "-o", "text.txt"],
    ["train", "--corpus", "sub,text.txt?x=1", "-o", "text.txt"],
]


@pytest.mark.parametrize("arguments", CLASHES, ids=" ".join)
def test_an_output_never_replaces_an_input(fail: Fail, arguments: list[str]) -> None:
    Path("sub/deep").mkdir(parents=True)
    shutil.copy("text.txt", "sub/deep/text.txt")
    shutil.copy("text.txt", "picture.svg")
    Path("link.txt").symlink_to("text.txt")
    Path("hard.txt").hardlink_to("text.txt")
    before = {p: p.read_bytes() for p in Path().rglob("*") if p.is_file()}
    assert "would replace" in fail(2, *arguments)
    assert {p: p.read_bytes() for p in Path().rglob("*") if p.is_file()} == before


def test_two_outputs_are_two_files(fail: Fail) -> None:
    train = ["train", "--corpus", "text.txt", "--model", "rnn"]
    assert "twice" in fail(2, *train, "--checkpoint", "a.lm", "-o", "./a.lm")
    assert main(["train", "--corpus", "text.txt", "-o", os.devnull]) == 0


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="needs /dev/stdout")
def test_a_model_is_not_mixed_with_what_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled(), Path("printed").open("w") as printed:
        saved = os.dup(1)
        os.dup2(printed.fileno(), 1)
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        try:
            for output in ("/dev/stdout", "printed"):
                assert main(["train", "--corpus", "text.txt", "-o", output]) == 2
            assert main(["score", "m.lm", "--file", "printed"]) == 2
        finally:
            os.dup2(saved, 1)
            os.close(saved)
    assert Path("printed").read_bytes() == b""


def test_an_option_given_twice_is_refused(fail: Fail) -> None:
    train = ["train", "--corpus", "text.txt", "-o", "x.lm"]
    assert "--corpus" in fail(2, *train, "--corpus", "m.lm")
    assert "--output" in fail(2, *train, "--output=y.lm")
    assert "twice" in fail(2, "sample", "m.lm", "--seed", "1", "the", "--seed", "1")
    assert not Path("x.lm").exists()


@pytest.mark.skipif(os.name != "posix", reason="names of POSIX")
def test_what_cannot_be_written_is_said_before_the_work(
    fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")  # else that is what is said

    def work(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("langmodels.text.corpus.Corpus.from_text", work)
    train = ["train", "--corpus", "text.txt", "-o"]
    assert "too long" in fail(1, *train, "x" * 300)
    assert "no folder" in fail(1, *train, "nowhere/x.lm")
    assert "is a folder" in fail(1, *train, ".")
    assert "no folder" in fail(1, "compare", "--corpus", "text.txt", "--report", "nowhere/x.html")
    assert "no folder" in fail(1, "corpora", "--get", "text.txt", "-o", "nowhere/x")
    assert "no folder" in fail(1, "convert", "m.lm", "nowhere/x.arpa")
    for command in (["gradients", "--corpus", "text.txt"], ["recall"]):
        assert ".svg" in fail(2, *command, "--plot", "x.txt")
        assert "no folder" in fail(1, *command, "--plot", "nowhere/x.png")


def test_plots_without_matplotlib(fail: Fail, monkeypatch: pytest.MonkeyPatch) -> None:
    def find_spec(name: str) -> Any:
        return None if name == "matplotlib" else importlib.util.find_spec(name)

    monkeypatch.setattr("langmodels.cli.files.find_spec", find_spec)
    assert "pip install" in fail(1, "gradients", "--plot", "x.png")
    assert "pip install" in fail(1, "recall", "--plot", "x.png")


def test_a_full_disk_is_noticed_before_the_work(
    fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*_: object, **__: object) -> None:
        raise AssertionError

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("langmodels.text.corpus.Corpus.from_text", work)
    monkeypatch.setattr(os, "fsync", full)
    train = ["train", "--corpus", "text.txt", "--model", "rnn"]
    assert "No space left" in fail(1, *train, "-o", "x.lm")
    assert not [p for p in Path().iterdir() if "x.lm" in p.name]


def test_counts_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("a\t3\nb\t2\na b\t1\n")
    for names in (f"{tmp_path}/c", f"{tmp_path}/other,{tmp_path}/c"):
        assert main(["train", "--counts", names, "--order", "2", "-o", str(tmp_path / "c")]) == 2
    assert (tmp_path / "c").read_text().startswith("a\t3")


def _pack_tightly(ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip a kind that is not there, and leave zlib-ng aside, which packs less tightly."""
    if ending == ".zst":
        pytest.importorskip("zstandard")
    monkeypatch.setattr("langmodels.packed._gzip_writer", lambda: gzip.GzipFile)


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst"])
def test_a_small_file_that_unpacks_without_end(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _pack_tightly(ending, monkeypatch)
    monkeypatch.setattr("langmodels.packed.MOST_UNPACKED", 1 << 20)
    for times, is_refused in ((1 << 19, True), (1 << 16, False)):
        path = tmp_path / f"text.txt{ending}"
        with path.open("wb") as file, compressing(file, path.name) as stream:
            stream.write(b"the cat\n" * times)
        if is_refused:
            with pytest.raises(LangmodelsError, match="unpacks to more than 250 times its size"):
                sum(map(len, read_chunks(path)))
        else:
            assert sum(map(len, read_chunks(path))) == 8 * times


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst"])
def test_such_a_file_is_refused_before_its_content_is_worked_on(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _pack_tightly(ending, monkeypatch)
    monkeypatch.setattr("langmodels.packed.MOST_UNPACKED", 1 << 24)
    path = tmp_path / f"text.txt{ending}"
    head = np.random.default_rng(0).integers(97, 123, 1 << 15, np.uint8).tobytes()
    for begins in (b"", head):
        with path.open("wb") as file:
            for content in (begins, b"\n" * (1 << 25)):
                with compressing(file, path.name) as stream:
                    stream.write(content)
        handed_on: list[int] = []
        with pytest.raises(LangmodelsError, match="unpacks to more than"):
            handed_on.extend(map(len, read_chunks(path, chunk=1 << 12)))
        assert sum(handed_on) < 1 << 22


def test_what_is_packed_tightly_in_one_place_comes_whole(tmp_path: Path) -> None:
    path = tmp_path / "text.txt.gz"
    head = np.random.default_rng(0).integers(97, 123, 1 << 19, np.uint8).tobytes()
    text = (head + b"\n" * (1 << 22)) * 2 + head
    with path.open("wb") as file, compressing(file, path.name) as stream:
        stream.write(text)
    for chunk in (1 << 10, 1 << 23):
        assert "".join(read_chunks(path, chunk=chunk)).encode() == text
        assert "".join(read_chunks(path, chunk=chunk, live=True)).encode() == text


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        (["predict", "{},mkn:order=2", "the", "--corpus", "text.txt", "--json"], "a,b"),
        (["explain", "{}", "the cat", "--json"], "a,b"),
        (["fill", "{},m.lm", "the ___ sat", "--json"], "a,b.lm"),
        (["compare", "--models", "mkn:order=2,{}", "--corpus", "text.txt", "--json"], "a,b"),
    ],
)
def test_a_comma_may_stand_in_the_name_of_a_model(
    command: list[str], wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("m.lm").rename("a,b.lm")
    shutil.copy("a,b.lm", "m.lm")
    assert main([argument.format("a,b.lm") for argument in command]) == 0
    assert f'"{wanted}"' in capsys.readouterr().out


def test_commas_in_names_of_texts_and_counts(
    capsys: pytest.CaptureFixture[str], fail: Fail
) -> None:
    """One rule for all names with commas between, also where outputs would replace inputs."""
    for name in ("a,b.txt", "c.txt"):
        Path(name).write_text(TEXT)
    count = ["count", "--order", "2", "--output"]
    assert main([*count, "a,b.counts", "--corpus", "a,b.txt,c.txt"]) == 0
    assert main([*count, "c.counts", "--corpus", "c.txt"]) == 0
    train = ["train", "--model", "mkn", "--counts", "a,b.counts,c.counts", "--output"]
    assert main([*train, "d.lm", "--json"]) == 0
    capsys.readouterr()
    assert "a,b.counts" in fail(2, *train, "a,b.counts")
