"""Bad input: one sentence, an exit status, no traceback, and earlier files stay whole."""

import contextlib
import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import langmodels
from langmodels.cli.main import INTERRUPTED, main
from langmodels.cli.streams import BROKEN_PIPE
from langmodels.registry import MODELS
from langmodels.tensors import open_arrays, save_arrays

TEXT = "the cat sat on the mat .\nthe dog sat on the log .\na cat ran .\n" * 4

# A small model of each kind of file.
FAMILIES = {
    "unigram": "unigram",
    "ngram": "mkn",
    "full-context": "full-context",
    "lstm": "lstm:hidden=8:epochs=1",
    "cache": "cache:order=2",
    "mixture": "mixture:order=2:hidden=4:epochs=1",
}

Fail = Callable[..., str]


@pytest.fixture
def fail(capsys: pytest.CaptureFixture[str]) -> Fail:
    """Run a command line that must fail with this status; return its one line of complaint."""

    def call(status: int, *arguments: Any) -> str:
        assert main([str(a) for a in arguments]) == status
        lines = capsys.readouterr().err.splitlines()
        expected = ("langmodels: warning: ", "epoch ")  # the latter while a network learns
        complaints = [line for line in lines if not line.startswith(expected)]
        assert len(complaints) == 1, lines
        assert complaints[0].startswith("langmodels: error: ")
        assert "this should not happen" not in complaints[0]
        return complaints[0]

    return call


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text and a small model of each family."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "text.txt").write_text(TEXT)
    for name, model in FAMILIES.items():
        arguments = ["--corpus", folder / "text.txt", "--model", model]
        with contextlib.redirect_stdout(io.StringIO()):
            assert main(["train", *map(str, arguments), "-o", str(folder / f"{name}.lm")]) == 0
    return folder


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXT)


@pytest.fixture
def earlier(tmp_path: Path) -> Iterator[Path]:
    """A file that a failing command was told to write to: it must stay, and stay alone."""
    path = tmp_path / "earlier.lm"
    path.write_bytes(b"earlier contents")
    before = {p.name for p in tmp_path.iterdir()}
    yield path
    assert path.read_bytes() == b"earlier contents"
    assert {p.name for p in tmp_path.iterdir() if p.name.startswith(".")} <= before


# The command line ------------------------------------------------------------------------------


def test_names_that_mean_nothing(fail: Fail, models: Path) -> None:
    assert "did you mean train?" in fail(2, "trian")
    assert "choose from" in fail(2, "frobnicate")
    train = ("train", "--corpus", "text.txt", "-o", "x.lm")
    assert "kneser-ney" in fail(2, *train, "--model", "kneser-nay")
    assert "char" in fail(2, *train, "--level", "chars")
    assert "article" in fail(2, *train, "--clean", "articel")
    assert "contiguous" in fail(2, *train, "--split", "randomly")
    assert "wonderland.txt" in fail(1, "train", "--corpus", "wonderlnd.txt", "-o", "x.lm")
    assert "utf-8" in fail(2, *train, "--encoding", "klingon")
    assert "kneser-ney" in fail(2, *train, "--smoothing", "kneser-nay")
    assert "--model" in fail(2, *train, "--smoothing", "unigram")
    assert "no option 'color'" in fail(2, *train, "--model", "mkn:color=red")
    assert "whole number, not 'three'" in fail(2, *train, "--model", "mkn:order=three")
    assert "did you mean markov?" in fail(2, "corpora", "--get", "synthetic:markof")
    assert "mkn" in fail(1, "predict", "mkm", "the")
    assert "no model file" in fail(1, "predict", "missing.lm", "the")
    assert not Path("x.lm").exists()


def test_options_that_make_no_sense(fail: Fail, models: Path) -> None:
    train = ("train", "--corpus", "text.txt", "-o", "x.lm")
    assert "--corpus" in fail(2, "train", "-o", "x.lm")
    assert "--output" in fail(2, "train", "--corpus", "text.txt")
    for options in (
        ["--order", "three"],
        ["--order", "0"],
        ["--order", "-2"],
        ["--order", "1000000"],
        ["--model", "unigram", "--order", "3"],
        ["--model", "mkn:order"],
        ["--model", "mkn:order=3.5"],
        ["--model", "mkn:order=true"],
        ["--model", "mkn:min_counts=1+2.5"],
        ["--model", "katz:cutoff=2.5"],
        ["--model", "jelinek-mercer:max_iterations=2.5"],
        ["--model", "rnn:hidden=8.5"],
        ["--model", "rnn:epochs=1.5"],
        ["--pattern", "[a-z]*"],
        ["--pattern", r"\s+|\w+"],
        ["--model", "mkn:order=2", "--order", "3"],
        ["--model", "mkn", "--smoothing", "katz"],
        ["--min-count", "0"],
        ["--vocab-size", "0"],
        ["--vocab-size", "-1"],
        ["--level", "bpe:vocab=300", "--vocab-size", "20"],
        ["--level", "unigram:vocab=300", "--min-count", "2"],
        ["--fractions", "1,1"],
        ["--fractions", "0.5,0.5,0.5"],
        ["--fractions", "1.2,-0.1,-0.1"],
        ["--level", "char", "--pattern", "x"],
        ["--pattern", "("],
        ["--width", "2"],
        ["--test", "text.txt"],
        ["--split", "lines", "--validation", "text.txt"],
        ["--fractions", "nan,nan,nan"],
        ["--seed", "-1"],
        ["--nonsense"],
    ):
        fail(2, *train, *options)
    model = models / "ngram.lm"
    for command in (
        ["score", model, "--file", "text.txt", "a sentence"],
        ["score", model, "--unit", "furlongs", "the"],
        ["evaluate", model],
        ["evaluate", model, "--corpus", "text.txt", "--split", "lines"],
        ["evaluate", model, "--corpus", "text.txt", "--part", "most"],
        ["predict", model, "the", "-k", "0"],
        ["predict", model, "the", "--token", "two words"],
        ["sample", model, "--seed", "-1"],
        ["sample", model, "--temperature", "-1"],
        ["sample", model, "--temperature", "nan"],
        ["sample", model, "--top-p", "0"],
        ["sample", model, "--top-k", "0"],
        ["sample", model, "--number", "0"],
        ["sample", model, "--beam", "0"],
        ["sample", model, "--beam", "2", "--number", "3"],
        ["sample", model, "--beam", "2", "--unk"],
        ["attention", f"{model},{model}", "the"],
        ["sample", model, "--seed=--"],
        ["sample", model, "--beam", "3", "--greedy"],
        ["sample", model, "--greedy", "--temperature", "0.5"],
        ["sample", model, "--max-tokens", "-5"],
        ["explain", model, ""],
        ["fill", model, "the ___", "--output", "x.lm"],
        ["corpora", "--output", "x.txt"],
        ["corpora", "--get", "synthetic:nothing"],
    ):
        fail(2, *command)
    assert not Path("x.lm").exists()


def test_where_nothing_can_be_written_no_work_is_done(
    fail: Fail, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")  # else that is what is said

    def work(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("langmodels.models.model.Model.adopt", work)
    for command in (
        ["train", "--corpus", "text.txt", "-o", "nowhere/x.lm"],
        ["train", "--corpus", "text.txt", "-o", "x.lm", "--checkpoint", "nowhere/x"],
        ["article", "--corpus", "text.txt", "-o", "nowhere/x.lm"],
        ["fill", "mkn", "a ___", "--corpus", "text.txt", "-o", "nowhere/x.lm"],
        ["recall", "--plot", "nowhere/x.png"],
        ["gradients", "--corpus", "text.txt", "--plot", "nowhere/x.png"],
        ["translate", "nowhere/x.lm", "--task", "numbers", "--train"],
        ["mix", models / "ngram.lm", models / "ngram.lm", "-o", "nowhere/x.lm"],
    ):
        assert "no folder nowhere" in fail(1, *command)


# Texts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["word", "char", "byte", "whitespace", "symbols"])
def test_an_empty_corpus_is_refused(fail: Fail, earlier: Path, level: str) -> None:
    for content in ("", "\n\n\n" if level not in ("char", "byte") else ""):
        Path("empty.txt").write_text(content)
        line = fail(1, "train", "--corpus", "empty.txt", "--level", level, "-o", earlier)
        assert "empty" in line


def test_an_empty_corpus_to_evaluate(fail: Fail, models: Path) -> None:
    Path("empty.txt").write_text("\n")
    assert "empty" in fail(1, "evaluate", models / "ngram.lm", "--corpus", "empty.txt")


@pytest.mark.parametrize("name", MODELS)
def test_one_token_and_a_vocabulary_of_one(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Little to learn from, but a text: a model comes of it that gives probabilities."""
    for text in ("word", "word word word\n"):
        Path("one.txt").write_text(text)
        assert main(["train", "--corpus", "one.txt", "--model", name, "-o", "one.lm"]) == 0
        capsys.readouterr()
        assert main(["predict", "one.lm", "--json"]) == 0
        (found,) = json.loads(capsys.readouterr().out)
        total = sum(c["prob"] for c in found["candidates"])
        assert total == pytest.approx(1.0, abs=1e-4) or not found["is_distribution"]
        assert main(["score", "one.lm", "word", "other words", ""]) == 0
        capsys.readouterr()
    assert main(["train", "--corpus", "one.txt", "--vocab-size", "1", "-o", "v.lm"]) == 0


def test_one_token_cannot_be_divided(fail: Fail, earlier: Path) -> None:
    Path("one.txt").write_text("word")
    line = fail(1, "train", "--corpus", "one.txt", "--split", "contiguous", "-o", earlier)
    assert "too small" in line


def test_an_order_larger_than_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    Path("short.txt").write_text("a b\n")
    for name in ("mkn", "kneser-ney", "witten-bell", "mle", "katz", "stupid-backoff"):
        status = main(
            ["train", "--corpus", "short.txt", "--model", name, "--order", "9", "-o", "m.lm"]
        )
        assert status == 0, capsys.readouterr().err
        assert main(["score", "m.lm", "a b"]) == 0


def test_bytes_that_are_no_text_are_refused_with_their_offset(
    fail: Fail, earlier: Path, models: Path
) -> None:
    Path("latin.txt").write_bytes("caf\xe9 noir\n".encode("latin-1") * 10)
    line = fail(1, "train", "--corpus", "latin.txt", "-o", earlier)
    assert "offset 3" in line
    assert "--encoding latin-1" in line
    assert main(["train", "--corpus", "latin.txt", "--encoding", "latin-1", "-o", "m.lm"]) == 0
    strict = ["--errors", "strict"]
    assert "offset 3" in fail(1, "score", models / "ngram.lm", "--file", "latin.txt", *strict)
    assert "offset 3" in fail(1, "evaluate", models / "ngram.lm", "--corpus", "latin.txt")


@pytest.mark.parametrize("level", ["word", "char", "byte", "whitespace", "symbols"])
def test_nul_characters_are_refused_with_their_place(
    fail: Fail, earlier: Path, models: Path, level: str
) -> None:
    Path("nul.txt").write_bytes(b"abc\0def \0 g\n" * 5)
    line = fail(1, "train", "--corpus", "nul.txt", "--level", level, "-o", earlier)
    assert "character 4 is NUL" in line
    assert "utf-16" in line
    fail(1, "evaluate", models / "ngram.lm", "--corpus", "nul.txt")


def test_nul_characters_can_be_scored(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One bad line among millions is no reason to stop."""
    Path("nul.txt").write_bytes(b"the cat\nthe \0 cat\nthe dog\n")
    assert main(["score", str(models / "ngram.lm"), "--file", "nul.txt"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert main(["explain", str(models / "ngram.lm"), "the \0"]) == 2
    assert "NUL" in capsys.readouterr().err


def test_a_line_of_two_million_characters_is_trained_on_and_scored(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for level, text in (("word", "word " * 400_000), ("char", "abcde" * 400_000)):
        Path("long.txt").write_text(text)
        assert main(["train", "--corpus", "long.txt", "--level", level, "-o", "long.lm"]) == 0
        assert main(["score", "long.lm", "--file", "long.txt"]) == 0
        printed = capsys.readouterr().out.splitlines()
        tokens = 400_001 if level == "word" else 2_000_000
        assert printed[-1].split("\t")[1] == str(tokens)


# Files -----------------------------------------------------------------------------------------


def test_missing_files_and_folders(fail: Fail, models: Path, tmp_path: Path) -> None:
    model = models / "ngram.lm"
    (tmp_path / "folder").mkdir()
    assert "folder without files" in fail(1, "train", "--corpus", "folder", "-o", "x.lm")
    assert "folder" in fail(1, "train", "--corpus", "text.txt", "-o", "folder")
    assert "no folder" in fail(1, "train", "--corpus", "text.txt", "-o", "nowhere/x.lm")
    assert "directory" in fail(1, "score", "folder", "the")
    assert "missing.lm" in fail(1, "score", "missing.lm", "the")
    assert "missing.lm" in fail(1, "info", "missing.lm")
    assert "no file and no corpus called 'missing.txt'" in fail(
        1, "score", model, "--file", "missing.txt"
    )
    (tmp_path / "tale.lm").touch()
    assert f"did you mean {tmp_path / 'tale.lm'}?" in fail(1, "score", tmp_path / "tael.lm", "the")
    # What the folder is called makes no file in it a likely one.
    assert "check the path" in fail(1, "score", tmp_path / "qqqqqq.z", "the")
    assert "folder" in fail(1, "score", model, "--file", "folder")
    assert "folder" in fail(1, "corpora", "--get", "wonderland.txt", "--output", "folder")


def test_a_missing_file_has_one_status_whatever_it_is(fail: Fail, models: Path) -> None:
    model = models / "ngram.lm"
    for name in ("missing", "missing.lm", "no/missing.txt", "missing.arpa", "missing.txt.gz"):
        for command in (
            ["score", name, "the"],
            ["info", name],
            ["predict", name, "the"],
            ["sample", name],
            ["evaluate", name, "--corpus", "text.txt"],
            ["evaluate", model, "--corpus", name],
            ["explain", name, "the"],
            ["fill", name, "the ___"],
            ["convert", name, "x.lm"],
            ["mix", name, model, "-o", "x.lm"],
            ["prune", name, "--threshold", "0.1", "-o", "x.lm"],
            ["rescore", name],
            ["rescore", model, "--nbest", name],
            ["score", model, "--file", name],
            ["train", "--corpus", name, "-o", "x.lm"],
            ["train", "--corpus", "text.txt", "--validation", name, "-o", "x.lm"],
            ["compare", "--corpus", name],
            ["compare", "--corpus", "text.txt", "--models", f"unigram,{name}.lm"],
            ["compress", name],
            ["filter", name, "text.txt", "--output", "kept", "--keep", "0.5"],
            ["surprisal", name, "--corpus", "text.txt"],
            ["scale", "--corpus", name],
            ["article", "--corpus", name],
            ["gradients", "--corpus", name],
            ["gradients", "--model", name],
            ["corpora", "--get", name],
            ["translate", name, "one"],
        ):
            assert "missing" in fail(1, *command)


@pytest.mark.parametrize("family", FAMILIES)
def test_truncated_and_foreign_model_files(fail: Fail, models: Path, family: str) -> None:
    data = (models / f"{family}.lm").read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    for content in (
        b"",
        b"short",
        data[:100],
        data[: len(data) // 2],
        data[:-1],
        b"\xff" * 8 + data[8:],  # a header of 2**64 - 1 bytes
        (1 << 40).to_bytes(8, "little") + data[8:],
        data[:8] + b"x" * (header - 8) + data[header:],
        data[:8] + b"[" * (header - 8) + data[header:],
        (2).to_bytes(8, "little") + b"[]" + data[header:],
        (2).to_bytes(8, "little") + b"{}" + data[header:],
        TEXT.encode(),
        os.urandom(4096),
    ):
        Path("bad.lm").write_bytes(content)
        for command in ("info", "score", "explain"):
            arguments = [] if command == "info" else ["the cat"]
            assert "bad.lm" in fail(1, command, "bad.lm", *arguments)


def uses(path: Path) -> list[int]:
    """Exit statuses of commands that between them use all of a model.

    Of two where the file cannot be opened: all others open it the same way.
    """
    statuses = [
        main(["info", str(path)]),
        main(["score", str(path), "the cat sat", "on the log"]),
    ]
    if statuses == [1, 1]:
        return statuses
    return [
        *statuses,
        main(["evaluate", str(path), "--corpus", "text.txt"]),
        main(["sample", str(path), "the", "--max-tokens", "20"]),
        main(["explain", str(path), "the dog sat on"]),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_hostile_metadata_is_refused_in_a_sentence(
    models: Path, family: str, capsys: pytest.CaptureFixture[str]
) -> None:
    metadata, arrays = open_arrays(models / f"{family}.lm")
    config = json.loads(metadata["config"])
    changed: list[dict[str, str]] = [
        {"format": "other"},
        {"format_version": "99"},
        {"kind": "../../etc/passwd"},
        {"kind": ""},
        {"tokenizer": "{}"},
        {"tokenizer": '{"level": "word", "pattern": "("}'},
        {"tokenizer": '{"level": "word", "nonsense": 1}'},
        {"tokenizer": "[" * 100_000},
        {"config": "not json"},
        {"config": "[]"},
        {"config": "null"},
        {"config": "{}"} if config else {"config": "3"},
    ]
    for key in config:
        for value in (None, -1, 10**12, "x", [], {"a": 1}):
            changed.append({"config": json.dumps({**config, key: value})})
    for change in changed:
        save_arrays("bad.lm", arrays, {**metadata, **change})
        statuses = uses(Path("bad.lm"))
        printed = capsys.readouterr().err
        assert set(statuses) <= {0, 1, 2}
        assert "Traceback" not in printed
        if "config" not in change or change["config"] in ("not json", "[]", "null", "3"):
            assert statuses == [1, 1] or "tokenizer" in change


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_hostile_arrays_never_crash(
    models: Path, family: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Arrays missing, of other shapes and types, and full of nonsense: never a crash."""
    metadata, arrays = open_arrays(models / f"{family}.lm")
    rng = np.random.default_rng(0)
    for name, array in arrays.items():
        noise = np.frombuffer(rng.bytes(array.nbytes), array.dtype).reshape(array.shape)
        for change in (
            None,
            array[:0],
            array[:-1],
            np.concatenate([array, array]),
            array.reshape(1, -1),
            array.astype(np.float64) if array.dtype.kind in "iu" else np.zeros(array.shape, "i4"),
            np.zeros(array.shape, np.uint8),
            np.full_like(array, 100),
            noise,
            *([np.full_like(array, -1)] if array.dtype.kind == "i" else []),
            *([np.full_like(array, np.nan)] if array.dtype.kind == "f" else []),
        ):
            bad = {**arrays, name: change} if change is not None else dict(arrays)
            if change is None:
                del bad[name]
            save_arrays("bad.lm", bad, metadata)
            statuses = uses(Path("bad.lm"))
            assert set(statuses) <= {0, 1, 2}
            assert "Traceback" not in capsys.readouterr().err


# The world -------------------------------------------------------------------------------------


def test_a_full_disk_is_reported_and_leaves_the_earlier_file(
    fail: Fail, earlier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    line = fail(1, "train", "--corpus", "text.txt", "-o", earlier)
    assert "No space left" in line
    fail(1, "corpora", "--get", "wonderland.txt", "--output", earlier)


def test_want_of_memory_is_reported_in_a_sentence(
    fail: Fail, earlier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("langmodels.cli.train.load_training", greedy)
    assert "memory" in fail(1, "train", "--corpus", "text.txt", "-o", earlier)


def test_an_unforeseen_error_is_a_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr("langmodels.cli.train.load_training", broken)
    assert main(["train", "--corpus", "text.txt", "-o", "x.lm"]) == 1
    assert "nobody thought of this" in capsys.readouterr().err
    monkeypatch.setenv("LANGMODELS_TRACEBACK", "1")
    with pytest.raises(RuntimeError):
        main(["train", "--corpus", "text.txt", "-o", "x.lm"])


def start(*arguments: Any, **options: Any) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "langmodels", *map(str, arguments)]
    package = Path(langmodels.__file__).resolve().parents[1]  # the one that is tested here
    environment = {**os.environ, "PYTHONPATH": str(package)}
    return subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, **options)


@pytest.fixture
def heeds_interrupts() -> Iterator[None]:
    """A shell starts what runs in the background with Ctrl-C ignored, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


posix = pytest.mark.skipif(os.name != "posix", reason="signals and devices of POSIX")


def interrupt(process: "subprocess.Popen[bytes]") -> None:
    # Python can miss a signal that comes just before it blocks in a read; a person would try again.
    for _ in range(10):
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(3)
            return


@posix
@pytest.mark.usefixtures("heeds_interrupts")
def test_control_c_ends_a_command_with_status_130(earlier: Path) -> None:
    with start("train", "--corpus", "-", "-o", earlier, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        # More than a pipe holds: once it is written, the command is reading.
        process.stdin.write(b"a line of text\n" * 100_000)
        process.stdin.flush()
        interrupt(process)
        assert process.returncode == INTERRUPTED
        assert process.stderr.read() == b"langmodels: error: interrupted.\n"


@posix
@pytest.mark.parametrize(
    "arguments",
    [
        ("article", "--corpus", "text.txt"),
        ("recall", "--models", "lstm:hidden=8", "--lag", "5", "--length", "300"),
        ("gradients", "--train", "2", "--corpus", "text.txt"),
        ("fill", "bidirectional-gru:hidden=8", "the ___ sat", "--corpus", "text.txt"),
        ("translate", "new.lm", "--task", "numbers?size=200", "--train"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_control_c_ends_a_command_that_trains(
    fail: Fail, models: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    def press(*_: Any) -> str:
        signal.raise_signal(signal.SIGINT)
        return ""

    monkeypatch.setattr("langmodels.neural.training.trainer.Trainer._note", press)
    assert "interrupted" in fail(INTERRUPTED, *arguments)
    assert not Path("new.lm").exists()


@posix
def test_control_c_while_a_network_learns(
    fail: Fail, models: Path, earlier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press(*_: Any) -> str:
        signal.raise_signal(signal.SIGINT)
        return ""

    monkeypatch.setattr("langmodels.neural.training.trainer.Trainer._note", press)
    train = ("train", "--corpus", "text.txt", "--model", "lstm:hidden=8:epochs=9", "-o")
    assert "as it was before" in fail(INTERRUPTED, *train, earlier)
    assert main([*train, "new.lm"]) == INTERRUPTED
    assert main(["score", "new.lm", "the cat"]) == 0
    fail(INTERRUPTED, "predict", "lstm:hidden=8", "the", "--corpus", "text.txt")


@posix
@pytest.mark.parametrize("budget", ["quick", "60s"])
def test_control_c_leaves_lines_of_what_is_finished(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], budget: str
) -> None:
    """With a budget of time it comes while speeds are measured."""

    def press(*_: Any) -> str:
        signal.raise_signal(signal.SIGINT)
        return ""

    Path("text.txt").write_text(TEXT * 20)
    monkeypatch.setattr("langmodels.neural.training.trainer.Trainer._note", press)
    line = ["compare", "--corpus", "text.txt", "--models", "unigram,mkn,lstm:hidden=8"]
    assert main([*line, "--no-cache", "--jobs", "1", "--budget", budget, "--json-lines"]) == (
        INTERRUPTED
    )
    *finished, whole = map(json.loads, capsys.readouterr().out.splitlines())
    assert [model["label"] for model in finished] == ["unigram", "modified-kneser-ney"]
    assert whole["unfinished"] == ["lstm hidden=8"]
    assert sorted(whole["models"], key=str) == sorted(finished, key=str)


@posix
def test_a_reader_that_goes_away(models: Path) -> None:
    for options in ([], ["--json"]):
        with start(
            "score", models / "ngram.lm", "the cat", *options, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert process.wait(30) == BROKEN_PIPE
            assert process.stderr.read() == b""


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs /dev/full")
def test_a_device_is_written_to_and_not_replaced(
    fail: Fail, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Path, "replace")  # a failure here must not cost anybody the device
    assert "No space left" in fail(1, "train", "--corpus", "text.txt", "-o", "/dev/full")
    assert Path("/dev/full").is_char_device()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_standard_output_on_a_full_disk(models: Path) -> None:
    with (
        Path("/dev/full").open("wb") as full,
        start("score", models / "ngram.lm", "the cat", stdout=full) as process,
    ):
        assert process.stderr is not None
        assert process.wait(30) == 1
        line = process.stderr.read().decode()
    assert line.startswith("langmodels: error: ")
    assert line.count("\n") == 1
    assert "No space left" in line


def test_warnings_of_numpy_are_not_for_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: Any) -> None:
        np.array([1e308]) * 10
        warnings.warn("this is for you", UserWarning, stacklevel=2)

    monkeypatch.setattr("langmodels.cli.corpora.run", run)
    with warnings.catch_warnings():
        warnings.resetwarnings()
        assert main(["corpora"]) == 0
    assert capsys.readouterr().err == "langmodels: warning: this is for you\n"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("compare", "mine.txt"), "; give the text by --corpus, models by --models (commas"),
        (("train", "mine.txt", "-o", "m.lm"), "; give the text by --corpus, a model by --model "),
        (("score", "m.lm", "--sumary"), "; did you mean --summary? "),
        (("train", "--model", "rnn", "-o", "m.lm", "--epochs", "3"), "--model lstm:epochs=VALUE "),
        (("filter", "m.lm", "a.txt", "-o", "kept", "--keep", "9%"), "--keep: needs a number, not "),
        (("generate", "m.lm"), "there is no command 'generate'; did you mean sample?"),
        (("compare", "--csv"), ": --csv (see"),
        (("predict", "m.lm", "a", "b"), ": b (see"),
    ],
)
def test_what_an_unknown_argument_may_have_meant(
    fail: Fail, arguments: tuple[str, ...], hint: str
) -> None:
    assert hint in fail(2, *arguments)


def test_a_text_in_the_place_of_a_model(fail: Fail, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text(TEXT)
    assert "`langmodels train` makes one" in fail(1, "info", tmp_path / "mine.txt")


def test_a_name_in_the_place_of_a_finished_model(fail: Fail) -> None:
    assert "langmodels train --model mkn:order=2 " in fail(1, "info", "mkn:order=2")


def test_no_output_is_called_by_a_dash(fail: Fail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert "'-' is none" in fail(2, "count", "--corpus", "wonderland.txt", "--output", "-")
    assert "'-' is none" in fail(2, "filter", "m.lm", "a.txt", "--keep", "0.5", "--output", "-")


@pytest.mark.parametrize("command", [("help",), ("help", "score")])
def test_help_is_a_word_as_well(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(list(command)) == 0
    asked = capsys.readouterr().out
    assert main([*command[1:], "--help"]) == 0
    assert asked == capsys.readouterr().out


# Options for nothing ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "unused"),
    [
        ("predict ngram.lm the --corpus text.txt --lower", "--corpus and --lower"),
        ("predict mkn:order=2 the --corpus text.txt --lower --seed 3", ""),
        ("fill ngram.lm --blanks 3 --corpus text.txt -k 4", "-k"),
        ("rescore ngram.lm --nbest text.txt --level char --seed 3", "--seed and --level"),
        ("info ngram.lm --vocabulary --arrays", "--arrays"),
        ("mix ngram.lm ngram.lm -o o.lm --lower --level char --errors ignore", "--errors, --lower"),
        ("compare --models unigram --corpus text.txt --carry --lower --fractions .7,.2,.1", ""),
        ("train --corpus text.txt --model mkn --keep-counts --min-count 1 -o o.lm", ""),
        ("count --corpus text.txt --table --seed 0", ""),  # what is so anyway
    ],
)
def test_options_for_nothing_are_said(command: str, unused: str, models: Path) -> None:
    Path("ngram.lm").symlink_to(models / "ngram.lm")
    with contextlib.redirect_stderr(io.StringIO()) as err:
        assert main(command.split()) == 0
    said = [line for line in err.getvalue().splitlines() if line.endswith("had no effect here.")]
    assert len(said) == bool(unused)
    assert all(line.startswith(f"langmodels: warning: {unused}") for line in said)


def test_bytes_that_are_no_text_cost_documents_alone(fail: Fail, models: Path) -> None:
    documents = Path("documents.jsonl")
    documents.write_text('{"text": "the cat"}\n')
    said = fail(2, "score", models / "ngram.lm", "--file", documents, "--errors", "ignore")
    assert "--errors is for lines" in said
