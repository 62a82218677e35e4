"""What reaches standard output and standard error: all of it, as UTF-8, and nothing raw."""

import importlib
import io
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import langmodels
from langmodels.cli.main import COMMANDS, INTERRUPTED, main
from langmodels.cli.streams import BROKEN_PIPE, SafeConsole
from langmodels.formatting import printable, visible

TEXT = "der Hund bellt\ndie Katze schläft\nder Hund schläft\n" * 4
HOSTILE = "der \x1b[31m \x9b2J \x1b]0;title\x07 \u202eexe\u2066 Hund"

posix = pytest.mark.skipif(os.name != "posix", reason="descriptors and devices of POSIX")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("streams")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    path = folder / "m.lm"
    assert main(["train", "--corpus", str(folder / "text.txt"), "-o", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def hostile(model: Path) -> Path:
    """A text that would steer a terminal; beside it `hostile.lm`, a model of it."""
    text, path = model.parent / "hostile.txt", model.parent / "hostile.lm"
    text.write_text(f"{HOSTILE}\n" * 9, encoding="utf-8")
    train = ["train", "--corpus", str(text), "--level", "whitespace", "-o", str(path)]
    assert main(train) == 0
    return text


def environment(**variables: str) -> dict[str, str]:
    """An environment as users have it: nothing is set that hides what buffers hide."""
    package = Path(langmodels.__file__).resolve().parents[1]
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(package), **variables}


def run(*arguments: Any, **options: Any) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", "langmodels", *map(str, arguments)]
    options.setdefault("env", environment())
    return subprocess.run(command, check=False, timeout=120, **options)


def one_line(printed: bytes) -> str:
    line = printed.decode()
    assert line.startswith("langmodels: error: "), line
    assert line.count("\n") == 1, line
    return line


# Nothing is lost in silence --------------------------------------------------------------------


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", [False, True])
def test_standard_output_on_a_full_disk(model: Path, unbuffered: bool) -> None:
    variables = {"PYTHONUNBUFFERED": "1"} if unbuffered else {}
    for arguments in (["score", model, "der Hund"], ["score", "--help"]):
        with Path("/dev/full").open("wb") as full:
            ended = run(*arguments, stdout=full, stderr=-1, env=environment(**variables))
        assert ended.returncode == 1
        assert "No space left" in one_line(ended.stderr)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", [*COMMANDS, None])
def test_help_that_cannot_be_written_is_an_error(
    command: str | None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(["--help"] if command is None else [command, "--help"]) == 1
    assert "No space left" in capfd.readouterr().err


@posix
def test_closed_streams_are_reported_or_ignored(model: Path) -> None:
    line = f"exec {sys.executable} -m langmodels score {model} 'der Hund'"
    ended = subprocess.run(["sh", "-c", f"{line} >&-"], capture_output=True, env=environment())
    assert ended.returncode == 1
    assert "tandard output is closed" in one_line(ended.stderr)
    ended = subprocess.run(["sh", "-c", f"{line} 2>&-"], capture_output=True, env=environment())
    assert ended.returncode == 0
    assert "der Hund" in ended.stdout.decode()


@posix
def test_a_reader_that_goes_away_before_the_end(model: Path) -> None:
    for arguments in (["--help"], ["score", model, "--file", "-"]):
        process = subprocess.Popen(
            [sys.executable, "-m", "langmodels", *map(str, arguments)],
            stdin=-1,
            stdout=-1,
            stderr=-1,
            env=environment(),
        )
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, errors = process.communicate(TEXT.encode() * 1000)
        assert process.returncode == BROKEN_PIPE
        assert b"Error" not in errors


# UTF-8 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["cp1252", "ascii", "utf-16"])
def test_files_and_pipes_are_utf_8_whatever_the_locale(model: Path, variable: str) -> None:
    nbest = "0 ||| Приве́т Hund ||| -1\n0 ||| der Hund schläft ||| -2\n"
    settings = environment(PYTHONIOENCODING=variable, PYTHONUTF8="0", LC_ALL="C")
    ended = run("rescore", model, input=nbest.encode(), stdout=-1, env=settings)
    assert ended.returncode == 0
    assert "schläft" in ended.stdout.decode("utf-8")
    assert "Приве́т" in ended.stdout.decode("utf-8")


# Nothing raw -----------------------------------------------------------------------------------


def is_harmless(printed: str) -> bool:
    """Whether only Rich's own colours and cursor movements steer the terminal."""
    rest = re.sub(r"\x1b\[[0-9;]*m|\x1b\[\?25[hl]|\x1b\[[0-9]*[AK]", "", printed)
    steering = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
    return not re.search(steering, rest.replace("\r", ""))


@posix
@pytest.mark.parametrize(
    "arguments",
    [
        ["score", "m.lm", HOSTILE, "--tokens"],
        ["score", "m.lm", "--file", "hostile.txt", "--tokens"],
        ["score", "m.lm", HOSTILE, "--json"],
        ["predict", "m.lm", HOSTILE],
        ["explain", "m.lm", HOSTILE],
        ["rescore", "m.lm", "--nbest", "hostile.txt"],
        ["sample", "hostile.lm"],
        ["info", "hostile.lm"],
        ["info", "no\x1b[31m.lm"],
        ["info", "no\u202eml.txt"],
        ["train", "--corpus", "hostile.txt", "--level", "whitespace", "-o", "x\x1b]0;.lm"],
        ["\x1b[31m"],
    ],
    ids=lambda a: " ".join(a)[:20].replace("\x1b", "^"),
)
def test_text_tokens_and_names_cannot_steer_a_terminal(
    model: Path, hostile: Path, tmp_path: Path, arguments: list[str]
) -> None:
    import pty

    for file in (hostile, hostile.with_suffix(".lm"), model):
        shutil.copy(file, tmp_path)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "langmodels", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
        env=environment(TERM="xterm"),
        cwd=tmp_path,
    )
    os.close(slave)
    printed = b""
    while True:
        try:
            read = os.read(master, 65536)
        except OSError:  # what the end of a terminal comes to
            break
        if not read:
            break
        printed += read
    os.close(master)
    process.wait(60)
    assert printed
    assert is_harmless(printed.decode()), printed


def test_a_console_shows_control_characters() -> None:
    screen = io.StringIO()
    SafeConsole(file=screen, force_terminal=True, width=100).print(HOSTILE)
    assert is_harmless(screen.getvalue())
    assert "\\x1b]0;title" in screen.getvalue()
    assert "\\u202eexe\\u2066" in screen.getvalue()
    assert not is_harmless(HOSTILE)


def test_marks_and_joiners_of_real_text_stay_as_they_are() -> None:
    for text in ("\u200fשלום\u200e abc", "\u061cسلام", "می\u200cخواهم", "क्\u200dष"):
        assert printable(text) == text
    assert visible("می\u200cخواهم") == "می\u200cخواهم"
    assert visible("\u200c") == "\\u200c"  # a token of its own, of which nothing would be seen
    assert visible("a\u202eb\U000e0041") == "a\\u202eb\\U000e0041"


def test_only_one_module_writes() -> None:
    """What prints past it would print raw."""
    folder = Path(langmodels.__file__).parent / "cli"
    for path in folder.glob("*.py"):
        source = path.read_text(encoding="utf-8")
        if path.name not in ("streams.py", "main.py"):
            assert not re.search(
                r"(?<![\w.])print\(|sys\.std(out|err)\.write|[^\w]Console\(", source
            ), path


def test_json_is_harmless_and_the_same(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(model), HOSTILE, "--json"]) == 0
    printed = capsys.readouterr().out
    assert is_harmless(printed)
    assert json.loads(printed)["text"] == HOSTILE


# As it comes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [["--jobs", "1"], ["--jobs", "2"], ["--carry"]])
def test_a_line_is_scored_before_the_next_one_is_written(
    model: Path, tmp_path: Path, options: list[str]
) -> None:
    """Whoever writes a line can wait for its score."""
    if "--carry" in options:
        model = shutil.copy(model, tmp_path / "cache.lm")
        cache = langmodels.CacheModel(langmodels.load(model, mmap=False), weight=0.3)
        cache.save(model)
    command = [sys.executable, "-m", "langmodels", "score", str(model), "-q", *options]
    before: list[str] = []
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, env=environment()) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in ("der Hund", "die Katze", "der Hund"):
            process.stdin.write(f"{line}\n".encode())
            process.stdin.flush()
            log_p = float(process.stdout.readline().split(b"\t")[0])  # hangs, if it does not come
            before = [*before, line] if "--carry" in options else [line]
            *_, expected = langmodels.score_lines(
                langmodels.load(model), ["\n".join(before)], carry=True
            )
            assert log_p == pytest.approx(expected.totals[-1] / math.log(10), abs=1e-3)
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait() == 0


# Ctrl-C ----------------------------------------------------------------------------------------


@posix
def test_control_c_at_any_moment_of_the_beginning(model: Path, tmp_path: Path) -> None:
    """One line and 130, be it while the libraries are read."""
    text = tmp_path / "text.txt"
    text.write_text(TEXT * 50, encoding="utf-8")
    code = (
        "import os, signal, sys, langmodels.__main__ as m\n"
        "signal.signal(signal.SIGINT, m._end)\n"  # as its main does first of all
        "os.write(1, b'.'); sys.exit(m.main())"
    )
    for k in range(8):
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                code,
                "compare",
                "--corpus",
                str(text),
                "--jobs",
                "1",
                "--no-cache",
            ],
            stdout=-1,
            stderr=-1,
            env=environment(),
        )
        assert process.stdout is not None
        assert process.stdout.read(1) == b"."
        time.sleep(0.1 * k)
        process.send_signal(signal.SIGINT)
        printed = process.communicate(timeout=60)[1]
        told = (b"warning", b"trained in")  # models that were finished before
        lines = [line for line in printed.splitlines() if not any(t in line for t in told)]
        # Where a library's code was interrupted, Python ends by the signal, which shells call 130.
        assert process.returncode in (INTERRUPTED, -signal.SIGINT), (k, printed)
        assert len(lines) <= 1, printed
        assert b"Traceback" not in printed


@posix
def test_little_is_imported_before_ctrl_c_is_answered() -> None:
    """What comes before is Python's own start, in which nobody can answer."""
    script = (
        "import sys\nbefore = set(sys.modules)\nimport langmodels.__main__\n"
        "print(*sorted(set(sys.modules) - before - {'langmodels', 'langmodels.__main__'}))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(langmodels.__file__).parents[1])},
    )
    assert set(ran.stdout.decode().split()) <= {
        *("signal", "enum", "types", "functools", "collections", "itertools", "keyword"),
        *("operator", "reprlib", "_collections", "_functools", "_operator", "_signal"),
        *("langmodels.faces", "langmodels.kinds"),
    }


def test_an_error_that_ctrl_c_became_counts_as_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def press(*_: Any) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("numpy could not be loaded") from None

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr("langmodels.cli.corpora.run", press)
    try:
        assert main(["corpora"]) == INTERRUPTED
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == "langmodels: error: interrupted.\n"


def test_control_c_in_a_callback_is_not_passed_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Thing:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def press(*_: Any) -> None:
        Thing()
        for _ in range(6000):
            time.sleep(0.01)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    hook = sys.unraisablehook
    monkeypatch.setattr("langmodels.cli.corpora.run", press)
    try:
        assert main(["corpora"]) == INTERRUPTED
        assert sys.unraisablehook is hook
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == "langmodels: error: interrupted.\n"


def test_commands_run_outside_the_main_thread(capsys: pytest.CaptureFixture[str]) -> None:
    statuses: list[int] = []
    thread = threading.Thread(target=lambda: statuses.append(main(["corpora", "--json"])))
    thread.start()
    thread.join()
    assert statuses == [0]


def test_control_c_while_a_module_is_imported_is_not_passed_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "deaf_module.py").write_text(
        "import signal\n"
        "try:\n    signal.raise_signal(signal.SIGINT)\n"
        "except BaseException as error:\n    raise AssertionError from error\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    def load(*_: Any) -> None:
        importlib.import_module("deaf_module")
        for _ in range(6000):
            time.sleep(0.01)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr("langmodels.cli.corpora.run", load)
    try:
        assert main(["corpora"]) == INTERRUPTED
        assert "deaf_module" in sys.modules, "it was imported whole before"
    finally:
        signal.signal(signal.SIGINT, before)
        sys.modules.pop("deaf_module", None)
    assert capsys.readouterr().err == "langmodels: error: interrupted.\n"
