"""The documentation is true: its commands and its Python run, its links and names exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import PAGES, ROOT, Block, Desk, blocks, check_sense, says

from langmodels.cli.main import COMMANDS, command
from langmodels.datasets import documents
from langmodels.evaluation.report import FORMATS
from langmodels.names import _open
from langmodels.neural.layers.cells import CELLS
from langmodels.ngram import SMOOTHINGS
from langmodels.registry import CLOZE_MODELS, MODELS
from langmodels.text.levels import TOKENIZERS

README = ROOT / "README.md"

pytestmark = pytest.mark.skipif(not README.exists(), reason="the pages are not installed")


def names(pages: list[Path]) -> list[str]:
    return [page.relative_to(ROOT).as_posix() for page in pages]


def with_code(pages: list[Path]) -> list[Path]:
    return [page for page in pages if any(b.commands or "py" in b.language for b in of(page))]


def of(page: Path) -> list[Block]:
    return blocks(page.read_text(encoding="utf-8"))


@pytest.fixture
def _as_before() -> Iterator[None]:
    """Take out again what a page registers."""
    registries = (MODELS, SMOOTHINGS, CELLS, TOKENIZERS, FORMATS, documents.FORMATS)
    before = [registry.registered().keys() for registry in registries]
    yield
    for registry, kept in zip(registries, before, strict=True):
        for name in registry.registered().keys() - kept:
            registry.unregister(name)


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize("page", with_code(PAGES), ids=names(with_code(PAGES)))
def test_a_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`.ci/outputs` writes the outputs anew."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    desk = Desk(tmp_path)
    for block in of(page):
        for line, shown in block.commands:
            if not block.is_run:
                check_sense(line)
                continue
            output = desk.run(line)
            assert block.language != "console" or says(output, shown), f"{line}\n{output}"
        if block.is_run:
            desk.execute(block, page.name)


def text() -> str:
    return README.read_text(encoding="utf-8")


def test_the_readme_names_the_models_of_the_comparison() -> None:
    section = text().split("## The models\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*`.*?) \|", section, re.MULTILINE)
    named = set(re.findall(r"`([^`]+)`", " ".join(rows)))
    known = {*MODELS, *CLOZE_MODELS, "encoder-decoder"}
    compared = {name for name, spec in MODELS.items() if spec.compared}
    assert compared <= named <= {*known, *MODELS.aliases}


def test_the_readme_names_every_command() -> None:
    section = text().split("## The commands\n")[1].split("\n## ")[0]
    assert set(COMMANDS) <= set(re.findall(r"`([a-z]+)`", section))


def commands_in_tables() -> list[str]:
    """Commands in rows of tables, and options of `compare` there: what gave the row's figures."""
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    rows = "\n".join(re.findall(r"^\|.*$", pages, re.MULTILINE))
    options = re.findall(r"`(--corpus[^`]+--models [^`]+)`", rows)
    return [
        *re.findall(r"`langmodels (\w+ [^`]+)`", rows),
        *(f"compare --budget quick {found}" for found in options),
    ]


def test_commands_in_tables_make_sense() -> None:
    assert len(commands_in_tables()) > 6
    for line in commands_in_tables():
        check_sense(line)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_of_a_command_make_sense(name: str) -> None:
    text = command(name).EPILOG.replace("\\\n", " ")
    pipes = re.findall(r"^  (?:.* \| )?langmodels (.+)$", text, re.MULTILINE)
    lines = [line.partition(" | ")[0] for line in pipes]
    assert lines, "a command shows examples"
    for line in lines:
        check_sense(line)


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_lead_somewhere(page: Path) -> None:
    """Those of the pages that MkDocs builds are checked by it as well, made pages included."""
    made = ("commands/", "api/", "changelog.md", "contributing.md", "measured/")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http") and not any(folder in target for folder in made):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_what_stands_between_fences_is_code(page: Path) -> None:
    """Every block is closed before the next one opens, and no prose has slipped into one."""
    language = None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            opens, language = language is None, line[3:] if language is None else None
            assert opens == bool(line[3:]), f"line {number} opens or closes the wrong block"
        else:
            assert language is None or not re.match(r"#{2,} |\| |- |`langmodels", line), number
    assert language is None


def test_every_group_of_entry_points_is_named() -> None:
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    named = set(re.findall(r"[`\"](langmodels\.[a-z_]+)[`\"]", page))
    groups = {group for group in _open if group.startswith("langmodels.")}
    assert {"langmodels.models", "langmodels.tasks"} <= groups <= named
