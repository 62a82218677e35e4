"""The commands for n-gram models: convert, prune, mix, rescore, and what train has for them."""

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import langmodels
from langmodels.cli.main import main
from langmodels.models.mixture import MixtureModel
from langmodels.ngram import NGramModel, QuantizedNGramModel

TEXT = "".join(
    f"the {animal} {verb} on the {thing} .\n"
    for animal in ("cat", "dog", "heron", "boat")
    for verb in ("sat", "slept", "stood")
    for thing in ("mat", "log", "gate", "stair", "lock")
)
OTHER = "the heron dived off the gate and swam .\nthe heron swam on .\n" * 6

Run = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: Any) -> str:
        assert main([str(a) for a in arguments]) in (1, 2)
        return capsys.readouterr().err

    return call


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ngram")
    for name, text in (("text.txt", TEXT), ("other.txt", OTHER), ("dev.txt", OTHER[:60] + TEXT)):
        (folder / name).write_text(text)
    for name, text, level in (
        ("one.lm", "text.txt", "whitespace"),
        ("two.lm", "other.txt", "whitespace"),
        ("char.lm", "text.txt", "char"),
    ):
        arguments = ["train", "--corpus", folder / text, "--level", level, "--order", 3]
        assert main([*map(str, arguments), "--output", str(folder / name), "--json"]) == 0
    return folder


@pytest.fixture(autouse=True)
def in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def test_convert_there_and_back(run: Run) -> None:
    model = langmodels.load("one.lm")
    for name in ("c.arpa", "c.arpa.gz", "c.arpa.xz"):
        run("convert", "one.lm", name)
        run("convert", name, "back.lm")
        back = langmodels.load("back.lm", mmap=False)  # Windows does not replace a mapped file
        assert isinstance(back, NGramModel)
        assert back.score("the cat sat") == pytest.approx(model.score("the cat sat"), abs=1e-4)
    assert "\n\\data\\\nngram 1=" in Path("c.arpa").read_text()
    assert gzip.decompress(Path("c.arpa.gz").read_bytes()) == Path("c.arpa").read_bytes()
    run("convert", "char.lm", "char.arpa")
    run("convert", "char.arpa", "back.lm", "--level", "char")
    assert langmodels.load("back.lm").vocabulary == langmodels.load("char.lm").vocabulary
    report = json.loads(run("convert", "c.arpa", "q.lm", "--quantize", "--json"))
    assert report["ngrams"] == model.ngram_counts
    assert isinstance(langmodels.load("q.lm"), QuantizedNGramModel)


def test_arpa_files_are_used_like_model_files(run: Run) -> None:
    run("convert", "one.lm", "one.arpa.gz")
    one, two = (run("score", name, "the cat sat") for name in ("one.lm", "one.arpa.gz"))
    assert one == two
    assert json.loads(run("info", "one.arpa.gz", "--json"))["ngrams"][0] == 18
    assert isinstance(langmodels.load("one.arpa.gz"), NGramModel)


def test_prune_leaves_at_most_so_many_ngrams(run: Run) -> None:
    before = langmodels.load("one.lm").ngram_counts
    report = json.loads(run("prune", "one.lm", "--max-ngrams", 40, "--output", "p.lm", "--json"))
    assert report["ngrams_before"] == before
    assert sum(report["ngrams"]) <= 40
    assert langmodels.load("p.lm").ngram_counts == report["ngrams"]
    run("convert", "one.lm", "one.arpa")
    shown = run("prune", "one.arpa", "--threshold", "1e-3", "--output", "p.arpa")
    assert "before" in shown
    assert "after" in shown
    assert sum(NGramModel.from_arpa("p.arpa").ngram_counts) < sum(before)


def test_mix_by_weights_and_on_held_out_text(run: Run) -> None:
    run("train", "--corpus", "text.txt", "--level", "whitespace", "--order", 1, "-o", "uni.lm")
    run("mix", "one.lm", "uni.lm", "--weights", "3,1", "--output", "mixed.lm")
    mixed = langmodels.load("mixed.lm", mmap=False)
    assert isinstance(mixed, MixtureModel)
    assert mixed.weights.tolist() == [0.75, 0.25]
    parts = [langmodels.load(name).prob("cat", "the") for name in ("one.lm", "uni.lm")]
    assert mixed.prob("cat", "the") == pytest.approx(0.75 * parts[0] + 0.25 * parts[1])
    command = ("mix", "one.lm", "uni.lm", "--held-out", "dev.txt", "--output", "mixed.lm")
    report = json.loads(run(*command, "--json"))
    assert sum(report["weights"].values()) == pytest.approx(1)
    assert report["held_out_perplexity"] < 20
    assert "held out" in run(*command)


def test_mix_merges_and_adapts(run: Run) -> None:
    run("mix", "one.lm", "two.lm", "--merge", "--held-out", "dev.txt", "--output", "m.arpa")
    merged = NGramModel.from_arpa("m.arpa")
    assert {"boat", "dived"} <= set(merged.vocabulary.tokens)
    run("mix", "m.arpa", "two.lm", "--merge", "--output", "m.lm", "--quantize")
    shown = run("mix", "one.lm", "--adapt", "other.txt", "--output", "adapted.lm")
    assert "other.txt" in shown
    adapted, large = langmodels.load("adapted.lm"), langmodels.load("one.lm")
    assert adapted.score("the heron swam on .") > large.score("the heron swam on .")


def test_mix_refuses_models_that_do_not_fit(refused: Run) -> None:
    assert "--merge" in refused("mix", "one.lm", "two.lm", "--output", "x.lm")
    assert "--merge" in refused("mix", "one.lm", "one.lm", "--output", "x.arpa")
    assert "0.7,0.3" in refused("mix", "one.lm", "--weights", "a,b", "--output", "x.lm")
    assert "one model" in refused("mix", "one.lm", "two.lm", "--adapt", "dev.txt", "-o", "x.lm")
    assert "streams" in refused("mix", "one.lm", "char.lm", "--merge", "--output", "x.lm")
    assert "folder" in refused("mix", "one.lm", "--output", "nowhere/x.lm")
    assert not Path("x.lm").exists()


NBEST = """0 ||| the heron sad on the log . ||| LM0= -1 ||| -1.0
0 ||| the heron sat on the log . ||| LM0= -1 ||| -1.5
0 ||| heron the sat log on . ||| LM0= -1 ||| -1.2
1 ||| the boat on slept ||| x ||| -2
1 ||| the boat slept on ||| x ||| -2.5
"""


def test_rescore_moses_lists(run: Run) -> None:
    Path("nbest.txt").write_text(NBEST)
    best = run("rescore", "one.lm", "--nbest", "nbest.txt", "--best").splitlines()
    assert best == ["0 ||| the heron sat on the log .", "1 ||| the boat slept on"]
    rows = [r.split(" ||| ") for r in run("rescore", "one.lm", "--nbest", "nbest.txt").splitlines()]
    assert [r[0] for r in rows] == ["0", "0", "0", "1", "1"]
    model = langmodels.load("one.lm")
    for row in rows:
        log_p, total = float(row[-2]), float(row[-1])
        assert log_p == pytest.approx(model.score(row[1]), abs=1e-5)
        assert total == pytest.approx(float(row[3]) + log_p, abs=1e-5)
    options = ("--nbest", "nbest.txt", "--weight", 0, "--length-bonus", 2, "--json")
    lists = json.loads(run("rescore", "one.lm", *options))
    assert [h["total"] for h in lists[0]] == [13.0, 12.5, 10.8]
    ten = json.loads(run("rescore", "one.lm", "--nbest", "nbest.txt", "--unit", "log10", "--json"))
    found = {h["hypothesis"]: h["log_prob"] for group in ten for h in group}
    expected = model.score("the boat slept on") / math.log(10)
    assert found["the boat slept on"] == pytest.approx(expected)


def test_rescore_plain_lists(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("plain.txt").write_text("the sat cat\nthe cat sat\n\nlog the\nthe log\n")
    run("convert", "one.lm", "one.arpa")
    best = run("rescore", "one.arpa", "--nbest", "plain.txt", "--best")
    assert best == "the cat sat\nthe log\n"
    rows = run("rescore", "one.arpa", "--nbest", "plain.txt").split("\n\n")
    assert [len(row.splitlines()) for row in rows] == [2, 2]
    Path("one.arpa").rename("srilm.lm")  # a name that says nothing
    assert run("rescore", "srilm.lm", "--nbest", "plain.txt", "--best") == best
    assert json.loads(run("info", "srilm.lm", "--json"))["kind"] == "ngram"


def test_rescore_says_what_is_wrong(refused: Run) -> None:
    Path("bad.txt").write_text("0 ||| the cat ||| -1\n0 ||| the dog ||| minus one\n")
    assert "Line 2" in refused("rescore", "one.lm", "--nbest", "bad.txt")
    Path("bad.txt").write_text("0 ||| the cat ||| nan\n")
    assert "Line 1" in refused("rescore", "one.lm", "--nbest", "bad.txt")


def test_train_prunes_by_count_and_quantizes(run: Run, refused: Run) -> None:
    text = ("train", "--corpus", "other.txt", "--order", 3)
    run(*text, "--output", "all.lm")
    run(*text, "--prune", 0, 0, 6, "--quantize", "--output", "few.lm")
    whole, few = langmodels.load("all.lm"), langmodels.load("few.lm")
    assert isinstance(few, QuantizedNGramModel)
    assert few.ngram_counts[1] == whole.ngram_counts[1]
    assert 0 < few.ngram_counts[2] < whole.ngram_counts[2]
    run(*text, "--output", "all.arpa.gz")
    assert NGramModel.from_arpa("all.arpa.gz").ngram_counts == whole.ngram_counts
    assert "n-gram" in refused(*text, "--model", "unigram", "--prune", 0, 1, "--output", "x.lm")
    assert "0 0 1" in refused(*text, "--prune", 1, 0, "--output", "x.lm")


def test_what_cannot_be_done_is_said(run: Run, refused: Run) -> None:
    run("train", "--corpus", "text.txt", "--model", "stupid-backoff", "--order", 2, "-o", "sb.lm")
    assert "Stupid backoff" in refused("prune", "sb.lm", "--threshold", "1e-6", "-o", "x.lm")
    assert "There is no file" in refused("convert", "missing.arpa", "x.lm")
    assert "not an ARPA file" in refused("convert", "text.txt", "x.lm")
    assert "FullContextModel" in refused("convert", _full_context(run), "x.lm")
    assert "threshold" in refused("prune", "one.lm", "--threshold", "-1", "-o", "x.lm")
    assert "unigrams" in refused("prune", "one.lm", "--max-ngrams", 3, "-o", "x.lm")
    assert not Path("x.lm").exists()


def _full_context(run: Run) -> str:
    run("train", "--corpus", "text.txt", "--model", "full-context", "--output", "fc.lm")
    return "fc.lm"
