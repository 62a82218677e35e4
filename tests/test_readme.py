"""The README is true: its commands run, its Python runs, its links and names exist."""

import argparse
import contextlib
import io
import re
import shlex
import shutil
from pathlib import Path

import pytest

from langmodels.cli.main import main
from langmodels.datasets import find_source
from langmodels.datasets.tasks import TASKS
from langmodels.evaluation.candidates import make_candidates
from langmodels.presets import Setting
from langmodels.registry import CLOZE_MODELS, MODELS

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"

pytestmark = pytest.mark.skipif(not README.exists(), reason="the README is not installed")

# Not run here: what has tests of its own and takes long, and what needs a network or a large text.
ELSEWHERE = ("compare", "scale", "article", "gradients")
NEEDS = ("gutenberg", "--checkpoint", "cutoffs=2000:")


def text() -> str:
    return README.read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    lines = re.findall(r"^(?:\$ )?langmodels (.+)$", text(), re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def test_every_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "corpora", tmp_path / "corpora")
    tale = (ROOT / "corpora" / "wonderland.txt").read_text(encoding="utf-8")
    for name in ("train", "valid", "test", "mine"):  # stand for the reader's own
        (tmp_path / f"{name}.txt").write_text(tale[:1000], encoding="utf-8")
    assert len(commands()) > 10
    for arguments in commands():
        if arguments[0] in ELSEWHERE or any(need in a for need in NEEDS for a in arguments):
            continue
        output, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            status = main(arguments)
        assert status == 0, (arguments, errors.getvalue())
        assert output.getvalue(), arguments


def test_the_outputs_are_those_of_the_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`.ci/readme` writes them anew."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    blocks = re.findall(r"```console\n\$ langmodels (.+)\n([^`]*)```", text())
    assert len(blocks) >= 2
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["train", "--corpus", "wonderland.txt", "--output", "tale.lm"]) == 0
    for command, shown in blocks:
        if command.startswith(ELSEWHERE):
            continue
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            assert main(shlex.split(command)) == 0
        assert _words(output.getvalue()) == _words(shown), command


def _words(output: str) -> list[str]:
    return output.split()


def test_the_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", text(), re.DOTALL)
    exec(compile(block, "README.md", "exec"), {})
    assert (tmp_path / "tale.lm").exists()


def test_every_model_is_in_the_table() -> None:
    rows = re.findall(r"^\| (`[^|]*`.*?) \|", text(), re.MULTILINE)
    named = set(re.findall(r"`([^`]+)`", " ".join(rows)))
    known = {*MODELS, *CLOZE_MODELS, "encoder-decoder"}
    assert known <= named <= {*known, *MODELS.aliases}


def commands_in_tables() -> list[list[str]]:
    """Commands that take too long to be run here, and options of `compare`, as rows have them."""
    rows = "\n".join(re.findall(r"^\|.*$", text(), re.MULTILINE))
    whole = re.findall(r"`langmodels ([^`]+)`", rows)
    options = [f"compare --budget quick {found}" for found in re.findall(r"`(--[^`]+)`", rows)]
    return [shlex.split(command) for command in (*whole, *options)]


def test_commands_in_tables_make_sense(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read, and what they name exists."""
    seen = []

    def note(args: argparse.Namespace, console: object) -> None:
        seen.append(args)
        if getattr(args, "corpus", None):
            find_source(args.corpus)
        if getattr(args, "task", None):
            assert args.task in TASKS
        if getattr(args, "models", None):
            assert make_candidates(args.models.split(","), ["word"], Setting())

    for name in ("compare", "translate"):
        monkeypatch.setattr(f"langmodels.cli.{name}.run", note)
    for arguments in commands_in_tables():
        assert main(arguments) == 0
    assert len(seen) == len(commands_in_tables()) > 6


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", text()):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


def test_what_stands_between_fences_is_code() -> None:
    """Every block is closed before the next one opens, and no prose has slipped into one."""
    language = None
    for number, line in enumerate(text().splitlines(), 1):
        if line.startswith("```"):
            opens, language = language is None, line[3:] if language is None else None
            assert opens == bool(line[3:]), f"line {number} opens or closes the wrong block"
        else:
            assert language is None or not re.match(r"#{2,} |\| |- |`langmodels", line), number
    assert language is None
