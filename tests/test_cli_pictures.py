"""Pictures on request: each is written whole, and what cannot be drawn is said before the work."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import langmodels
from langmodels.cli.main import main
from langmodels.teaching import fonts
from langmodels.teaching.bigrams import bigram_table
from langmodels.teaching.gradients import NormCourse
from langmodels.teaching.pictures import Bars, draw_bars
from langmodels.teaching.prediction import predict_next

TEXT = "the cat sat on the mat .\nthe dog sat on the cat .\na $5 <b>dog</b> ran .\n" * 4
Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT, encoding="utf-8")

    def run(*arguments: str) -> str:
        assert main(list(arguments)) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "unigram,mkn:order=2", "the", "--token", "dog", "--corpus", "text.txt"],
        ["explain", "unigram,mle:order=2", "the $5 mat .", "--corpus", "text.txt"],
        ["sample", "mkn:order=2", "the", "--temperature", "0.5,1", "--corpus", "text.txt"],
        ["fill", "mkn:order=2", "the ___ sat", "--corpus", "text.txt"],
        ["compare", "--models", "unigram,mle:order=2", "--corpus", "text.txt", "--no-cache"],
        ["scale", "--models", "unigram", "--corpus", "text.txt", "--doublings", "2"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_plot_draws_a_whole_picture(run: Run, arguments: list[str]) -> None:
    pytest.importorskip("matplotlib")
    run(*arguments, "--plot", "picture.svg")
    drawn = Path("picture.svg").read_text(encoding="utf-8")
    assert drawn.rstrip().endswith("</svg>")
    assert not list(Path().glob("*.tmp*"))


def test_what_cannot_be_drawn_is_said_before_the_work(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["predict", "mkn", "the"], ["explain", "mkn", "the"], ["sample", "mkn"]):
        assert main([*command, "--corpus", "missing.txt", "--plot", "picture.gif"]) == 2
        assert "picture.gif" in capsys.readouterr().err


def test_temperature_reshapes_and_one_is_as_it_was(run: Run) -> None:
    model = langmodels.make_model("mkn:order=2").fit(TEXT)
    plain = predict_next(model, "the", 3)
    assert [(c.token, c.prob) for c in plain.candidates] == model.predict("the", 3)
    log_p = model.log_distribution(model.state("the"))
    for t in (0.5, 2.0):
        found = predict_next(model, "the", len(log_p) - 1, temperature=t)
        p = np.exp(log_p / t) / np.exp(log_p / t).sum()
        assert [c.prob for c in found.candidates] == pytest.approx(np.sort(p)[::-1][:-1].tolist())
    sharp, flat = (predict_next(model, "the", temperature=t).entropy for t in (0.5, 2.0))
    assert sharp < plain.entropy < flat


def test_several_models_and_temperatures_are_sampled(run: Run) -> None:
    options = ["--corpus", "text.txt", "-m", "4", "--seed", "3"]
    found = json.loads(
        run("sample", "unigram,mkn:order=2", "the", "--temperatures", "0.5,1", *options, "--json")
    )
    assert [(f["model"], f["temperature"]) for f in found] == [
        ("unigram", 0.5), ("unigram", 1.0), ("mkn:order=2", 0.5), ("mkn:order=2", 1.0),
    ]  # fmt: skip
    (alone,) = json.loads(run("sample", "mkn:order=2", "the", *options, "--json"))
    assert alone["text"] == found[3]["text"]  # company changes nothing
    printed = run("sample", "unigram,mkn:order=2", "the", *options)
    assert printed.splitlines()[::2] == ["unigram", "mkn:order=2"]


def test_counts_and_smoothed_counts_of_bigrams(run: Run) -> None:
    corpus = langmodels.Corpus.from_text(TEXT, "word")
    table = bigram_table(corpus, ["the", "a"], ["cat", "dog", "mat"], ["laplace", "kneser_ney"])
    assert table.counts == ((8, 4, 4), (0, 0, 0))
    assert table.totals == (16, 4)
    v = corpus.vocabulary.n_predictable
    assert table.smoothed["laplace"][0] == pytest.approx(
        [(c + 1) / (16 + v) * 16 for c in (8, 4, 4)]
    )
    model = langmodels.make_model("kneser-ney:order=2").fit(corpus)
    assert table.smoothed["kneser_ney"][1][1] == pytest.approx(4 * model.prob("dog", "a"))
    usual = bigram_table(corpus)
    assert usual.rows[0] == "the"
    assert not any(".," in word for word in (*usual.rows, *usual.columns))
    assert "<td" in table._repr_html_()
    printed = run("count", "--corpus", "text.txt", "--table", "the:cat", "--smoothing", "laplace")
    assert "c* of laplace" in printed


def test_a_table_needs_known_words_and_no_file(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, said in (
        (["--table", "zebra"], "'zebra' is not in the text"),
        (["--table", "--output", "x.counts"], "--output, or ask for a --table"),
        ([], "--output, or ask for a --table"),
        (["--output", "x.counts", "--smoothing", "kn"], "--smoothing is for a --table"),
    ):
        assert main(["count", "--corpus", "text.txt", *arguments]) == 2
        assert said in capsys.readouterr().err


def test_norms_after_clipping() -> None:
    norms = np.array([0.5, 3.0, 1e14])
    assert NormCourse(norms, norms, clip_norm=1.0).applied.tolist() == [0.5, 1.0, 1.0]
    assert NormCourse(norms, norms).applied is norms


def test_pictures_say_which_characters_no_font_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(fonts, "_candidates", lambda missing: iter(()))
    bars = [Bars("model", "p", [("क", 0.5), ("a", 0.5)])]
    with pytest.warns(UserWarning, match=r"No font .* 1 character.*\(क\)") as said:
        draw_bars(bars, tmp_path / "bars.png")
    assert len(said) == 1  # and not once more by matplotlib
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_bars([Bars("model", "p", [("ä", 0.5)])], tmp_path / "other.png")
