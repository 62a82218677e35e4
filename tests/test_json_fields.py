"""The fields that `--json` prints are those of docs/json.md: none is missing, none is made up."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pages import ROOT, Desk, blocks

from langmodels.cli.main import COMMANDS

PAGE = ROOT / "docs" / "json.md"
SAME = {"scale"}  # prints what `compare` prints

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the pages are not installed")


def sections() -> dict[str, str]:
    """What the page says of each command."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    parts = re.split(r"^## (\w+)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def documented(section: str) -> list[str]:
    """Regular expressions of the fields in a section's table; `*` stands for any name."""
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    return [re.escape(name).replace(r"\*", r"[^[]+") for name in names]


def fields(value: Any, path: str = "") -> set[str]:
    """The paths to everything in a JSON value: `sentences`, `sentences[]`, `sentences[].text`."""
    found = {path} if path else set()
    if isinstance(value, dict):
        for name, entry in value.items():
            found |= fields(entry, f"{path}.{name}".lstrip("."))
    if isinstance(value, list):
        for entry in value:
            found |= fields(entry, f"{path}[]")
    return found


def printed_fields(command: str, out: str) -> set[str]:
    """The fields of what a command printed; lines before the last are entries of its lists."""
    if "--json-lines" not in command:
        return fields(json.loads(out))
    *entries, whole = map(json.loads, out.splitlines())
    found = fields(whole)
    for entry in entries:
        of = "models[]" if "perplexity" in entry else "cloze[]"
        found |= {f"{of}.{name}" for name in fields(entry)}
    return found


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The fields that the commands of each section print."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("fields")
        patch.chdir(folder)
        desk = Desk(folder)
        dev = [f"{i} ||| {text} ||| -{k}\n" for i in range(6) for k, text in enumerate("ab")]
        Path("dev.txt").write_text("".join(dev))
        Path("dev.ref").write_text("".join(f"{i} a\n" for i in range(6)))
        Path("nbest.txt").write_text("1 ||| The heron. ||| -3\n1 ||| The hen. ||| -2\n")
        Path("nbest.jsonl").write_text('{"id": 1, "hypothesis": "The heron.", "score": -3}\n')
        return {
            name: {
                field
                for block in blocks(section)
                for line, _ in block.commands
                for field in printed_fields(line, desk.run(line))
            }
            for name, section in sections().items()
        }


def test_every_command_has_a_section() -> None:
    assert set(sections()) == set(COMMANDS) - SAME


@pytest.mark.parametrize("name", sections())
def test_what_is_printed_is_documented(name: str, printed: dict[str, set[str]]) -> None:
    """By its own name, or as a part of what is."""
    known = re.compile(f"(?:{'|'.join(documented(sections()[name]))})(?:[.[].*)?")
    inner = {re.sub(r"(\[\]|\.[^.[]*)$", "", field) for field in printed[name]}
    assert {f for f in printed[name] - inner if not known.fullmatch(f)} == set()


@pytest.mark.parametrize("name", sections())
def test_what_is_documented_is_printed(name: str, printed: dict[str, set[str]]) -> None:
    seen = printed[name]
    assert {
        f for f in documented(sections()[name]) if not any(re.fullmatch(f, s) for s in seen)
    } == set()
