"""Vocabularies from files and to files."""

import json
import math
from pathlib import Path

import numpy as np
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


def test_a_printed_vocabulary_comes_back(capsys: pytest.CaptureFixture[str]) -> None:
    """With joiners, soft hyphens and no-break spaces; of characters, blanks by their signs."""
    family = "\U0001f469\u200d\U0001f469\u200d\U0001f467"
    Path("text.txt").write_text(f"red {family} می\u200cروم co\u00adop {'long' * 40}\n" * 2, "utf-8")
    for level in ("word", "char"):
        assert train("--level", level) == 0
        tokens = load("m.lm").vocabulary.tokens
        assert main(["info", "m.lm", "--vocabulary"]) == 0
        Path("words.txt").write_text(capsys.readouterr().out.partition("<unk>")[2], "utf-8")
        assert train("--level", level, "--vocabulary", "words.txt") == 0
        assert load("m.lm").vocabulary.tokens == tokens
        capsys.readouterr()


def test_empty_lists_and_contradictory_options_are_refused() -> None:
    Path("empty.txt").write_text("\n<s>\n")
    assert train("--vocabulary", "empty.txt") == 1
    assert train("--vocabulary", "missing.txt") == 1
    assert train("--vocabulary", "words.txt", "--min-count", "2") == 2
    assert train("--model", "unigram", "--closed") == 2
    assert train("--model", "mle", "--vocabulary", "words.txt", "--closed") == 2
    assert not Path("m.lm").exists()


def test_a_given_vocabulary_is_used_for_a_divided_text(capsys: pytest.CaptureFixture[str]) -> None:
    split = ("--split", "lines", "--fractions", "0.4,0.3,0.3")
    assert train("--vocabulary", "words.txt", *split, "--model", "witten-bell") == 0
    assert load("m.lm").vocabulary.tokens == ["<unk>", "<s>", "</s>", "ran", "fox", "cow"]
    capsys.readouterr()
    arguments = ("evaluate", "m.lm", "--corpus", "text.txt", *split, "--part", "test", "--json")
    assert main(list(arguments)) == 0
    assert json.loads(capsys.readouterr().out)["sequences"] == 1


@pytest.mark.parametrize("smoothing", ["modified-kneser-ney", "witten-bell", "jelinek-mercer"])
def test_closed_vocabularies_renormalise_over_the_known_words(
    smoothing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """p(w | c) / (1 - p(<unk> | c)) after every context; written and read, too."""
    options = ("--vocabulary", "words.txt", "--model", f"{smoothing}:order=3")
    assert main(["train", "--corpus", "text.txt", *options, "-o", "open.lm"]) == 0
    capsys.readouterr()
    assert main(["train", "--corpus", "text.txt", *options, "--closed", "-o", "closed.lm"]) == 0
    assert "closed, p(<unk>) = 0" in " ".join(capsys.readouterr().out.split())
    assert main(["info", "closed.lm"]) == 0
    assert "closed, p(<unk>) = 0" in " ".join(capsys.readouterr().out.split())
    assert main(["convert", "closed.lm", "closed.arpa"]) == 0
    model, closed, arpa = load("open.lm"), load("closed.lm"), load("closed.arpa")
    contexts = ["", "fox", "fox ran", "ran fox", "cow cow", "hen fox", "hen hen", "hen"]
    for context in contexts:
        p = model.distribution(context)
        expected = p / (1 - p[0])
        expected[0] = 0
        np.testing.assert_allclose(closed.distribution(context), expected, atol=1e-6)
        ids = [arpa.vocabulary.id(token) for token in closed.vocabulary.tokens]
        np.testing.assert_allclose(arpa.distribution(context)[ids], expected, atol=1e-6)
    assert closed.score("ran hen") == -math.inf
    assert main(["prune", "open.lm", "--vocabulary", "words.txt", "--closed", "-o", "p.lm"]) == 0
    np.testing.assert_allclose(load("p.lm").distribution("fox"), closed.distribution("fox"), 1e-5)
    assert main(["prune", "open.lm", "--threshold", "1e-3", "--closed", "-o", "p.lm"]) == 2
