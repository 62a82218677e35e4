"""Vocabularies from files and to files."""

from pathlib import Path

import pytest

from langmodels.cli.main import main
from langmodels.registry import load

TEXT = "red fox ran\nred hen ran\na fox sat\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT)
    Path("words.txt").write_text("ran\nfox\n\n<unk>\ncow\n")


def train(*options: str) -> int:
    return main(["train", "--corpus", "text.txt", "--order", "2", "-o", "m.lm", *options])


def test_a_model_of_given_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--vocabulary", "words.txt") == 0
    assert "5 others read as <unk>" in " ".join(capsys.readouterr().out.split())
    assert load("m.lm").vocabulary.tokens == ["<unk>", "<s>", "</s>", "ran", "fox", "cow"]
    assert main(["info", "m.lm", "--vocabulary"]) == 0
    printed = capsys.readouterr().out
    assert printed.split("\n") == ["<unk>", "<s>", "</s>", "ran", "fox", "cow", ""]
    Path("again.txt").write_text(printed)
    assert train("--vocabulary", "again.txt") == 0
    assert load("m.lm").vocabulary.tokens == printed.split()


def test_what_cannot_be() -> None:
    Path("empty.txt").write_text("\n<s>\n")
    assert train("--vocabulary", "empty.txt") == 1
    assert train("--vocabulary", "missing.txt") == 1
    assert train("--vocabulary", "words.txt", "--min-count", "2") == 2
    assert train("--vocabulary", "words.txt", "--split", "lines") == 2
    assert not Path("m.lm").exists()
