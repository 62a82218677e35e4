"""What a Transformer looks at, printed and drawn."""

import json

import pytest

from langmodels.cli.main import main
from langmodels.neural import TransformerModel
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer

TEXT = "the cat sat on the mat\nthe dog sat on the log\n" * 20


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> str:
    corpus = Corpus.from_text(TEXT, make_tokenizer("word"))
    model = TransformerModel(width=8, heads=2, layers=2, window=5, epochs=1, batch_size=4, steps=6)
    path = str(tmp_path_factory.mktemp("models") / "small.lm")
    model.fit(corpus).save(path)
    return path


def test_a_row_for_every_token(path: str, capsys) -> None:
    assert main(["attention", path, "the cat sat"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split()[0] for line in lines if "%" in line]
    assert rows == ["<s>", "the", "cat", "sat"]
    assert "layer 2" in "".join(lines)


def test_json_has_every_weight(path: str, capsys) -> None:
    assert main(["attention", path, "the cat sat on the mat", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tokens"] == ["<s>", "the", "cat", "sat", "on", "the", "mat"]
    assert len(found["weights"]) == len(found["weights"][0]) == 2
    for rows in found["weights"][1]:
        assert [sum(row) for row in rows] == pytest.approx([1] * 7, abs=1e-5)
        assert rows[6][:2] == [0, 0]  # beyond the window


def test_texts_are_not_too_long(path: str, capsys) -> None:
    assert main(["attention", path, "the cat " * 501]) == 2
    assert "1,000 at most" in capsys.readouterr().err


def test_a_picture(path: str, tmp_path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "attention.png"
    assert main(["attention", path, "the cat sat", "--plot", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_explaining_says_what_was_looked_at(path: str, capsys) -> None:
    assert main(["explain", path, "the cat"]) == 0
    assert "looked at most" in capsys.readouterr().out


def test_other_models_have_none(tmp_path, capsys) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    assert main(["attention", "mkn", "the cat", "--corpus", str(tmp_path / "text.txt")]) == 2
    assert "no attention" in capsys.readouterr().err
