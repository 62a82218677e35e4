"""What the package says of itself, in several files, is one thing."""

import re
import tomllib
from pathlib import Path

import pytest

import langmodels

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").exists(), reason="the project's files are not installed"
)


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_one_version() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^## (\d+\.\d+\.\d+)", changes, re.MULTILINE)[0] == langmodels.__version__
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [langmodels.__version__]


def test_all_is_what_is_light() -> None:
    extras = project()["optional-dependencies"]
    (names,) = re.findall(r"^langmodels\[(.*)\]$", extras["all"][0])
    heavy, tools = {"cluster", "huggingface"}, {"docs", "test", "dev"}
    assert set(names.split(",")) == extras.keys() - heavy - tools - {"all"}


def test_wheels_hold_the_package() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert settings["hatch"]["build"]["targets"]["wheel"]["packages"] == ["langmodels"]


def test_whole_numbers_have_64_bits_everywhere() -> None:
    """Before NumPy 2 they have 32 on Windows."""
    assert "numpy>=2.0; sys_platform == 'win32'" in project()["dependencies"]


@pytest.mark.parametrize("name", ["numpy", "scipy"])
def test_the_lowest_versions_have_a_number(name: str) -> None:
    """`.ci/run` installs just these."""
    assert [d for d in project()["dependencies"] if re.fullmatch(rf"{name}>=\d+(\.\d+)+", d)]


def test_the_hosted_checks_run_the_commands_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    commands = re.findall(r"^ *(?:- )?run: (.+)$", workflow, re.MULTILINE)
    assert {c for c in commands if c != "bash .ci/run"} <= set(readme.splitlines())
    assert len(commands) == 3
