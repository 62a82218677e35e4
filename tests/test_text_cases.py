"""Small texts that go wrong in tools like this one, from the command line, with the right values.

The values are those of KenLM's programs on the same files, or come from Unicode's rules.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from langmodels.cli.main import main
from langmodels.evaluation.characters import text_costs
from langmodels.registry import load
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.splits import Splits

NAMES = Path(__file__).parent / "data" / "names.txt"
PLAIN = "red fox ran\nred hen ran\na fox sat\n"
Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, status: int = 0, stream: str = "out") -> str:
        assert main(["-q", *arguments]) == status
        output = capsys.readouterr()
        return str(getattr(output, stream))

    return run


def train(run: Run, text: str | bytes, *options: str, name: str = "text.txt") -> dict[str, Any]:
    data = text.encode() if isinstance(text, str) else text
    Path(name).write_bytes(data)
    said = run("train", "--corpus", name, "--order", "2", "-o", "m.lm", "--json", *options)
    found: dict[str, Any] = json.loads(said)
    return found


def score(*sentences: str, model: str = "m.lm") -> list[float]:
    return (load(model).score_many(sentences) / math.log(10)).tolist()


def test_boundary_marks_typed_around_lines(run: Run) -> None:
    marked = "".join(f"<s> {line} </s>\n" for line in PLAIN.splitlines())
    for text in (PLAIN, marked):
        train(run, text, "--level", "whitespace")
        assert score("red fox ran", "<s> red fox ran </s>") == pytest.approx(
            [-1.6047] * 2, abs=5e-5
        )


def test_a_discount_of_nothing_takes_its_default(run: Run) -> None:
    train(run, "".join(f"B {line} E\n" for line in PLAIN.splitlines()), "--level", "whitespace")
    (found,) = score("red fox ran")
    assert -10 < found < 0


def test_lines_of_characters_are_scored_and_sampled_from_their_beginnings(run: Run) -> None:
    """Each is scored and sampled from the beginning of a line, not of the file."""
    options = ("--level", "char", "--lines", "--model", "mkn:order=4", "-o", "n.lm")
    run("train", "--corpus", str(NAMES), *options)
    assert score("zzyx", model="n.lm") == pytest.approx([-2.9897], abs=5e-5)
    sampled = run("sample", "n.lm", "-n", "60").splitlines()
    assert len(sampled) == 60
    assert sum(name.startswith("z") for name in sampled) <= 1
    assert all(name.isalpha() for name in sampled)
    said = run("train", "--corpus", str(NAMES), "--lines", "-o", "w.lm", status=2, stream="err")
    assert "char or byte or symbols" in said


@pytest.mark.parametrize("level", ["char", "byte"])
def test_lines_pay_for_blank_lines(level: str) -> None:
    """Bits per character of lines and of the stream are those of the same text."""
    text = "zoë\nmax\n\n\nana\nëva\n" * 9
    costs = {}
    for lines in (True, False):
        splits = Splits.from_parts((text, text, text), make_tokenizer(level, lines=lines))
        costs[lines] = text_costs(splits)
        assert costs[lines].length == len(text)
        assert len(costs[lines].ends) == splits.test.n_tokens
    assert costs[True].ends[-1] == len(text)
    assert 0 < costs[True].parts["blank lines"] < 40
    assert costs[False].extra.sum() == 0
    tokens = make_tokenizer(level, lines=True)
    assert Corpus.from_text(text, tokens).n_sequences == 36
    assert make_tokenizer(level).config() == {}


def test_composed_and_decomposed_letters(run: Run) -> None:
    train(run, "le café noir\nle café chaud\n", "--min-count", "1", "--normalize", "nfc")
    composed, decomposed = score("le café noir", "le cafe\u0301 noir")
    assert composed == decomposed


def test_a_script_without_blanks(run: Run) -> None:
    Path("zh.txt").write_text("我爱北京天安门\n我爱看书\n", encoding="utf-8")
    said = run("train", "--corpus", "zh.txt", "-o", "zh.lm", stream="err")
    assert "--level char or --level bpe" in said
    assert train(run, Path("zh.txt").read_bytes(), "--level", "char")["tokens"] == 13


@pytest.mark.parametrize("level", ["word", "whitespace"])
def test_boundary_marks_inside_a_line_are_unknown_and_said(run: Run, level: str) -> None:
    Path("text.txt").write_text("red <s> fox ran\nred hen </s> ran\n<s> a fox sat </s>\n")
    options = ("--level", level, "--min-count", "1", "--order", "2", "-o", "m.lm", "--json")
    assert main(["train", "--corpus", "text.txt", *options]) == 0
    model = load("m.lm")
    assert "<" not in model.vocabulary
    assert model.score("red <s> fox ran") == model.score("red zebra fox ran")
    said = run("train", "--corpus", "text.txt", *options, stream="err")
    assert "2 boundary marks (<s> or </s>) are typed inside the lines" in said
    assert "2 boundary marks (<s> or </s>) are typed around the lines" in said
