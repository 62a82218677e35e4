"""The commands, called as the shell calls them."""

import contextlib
import gzip
import io
import json
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import langmodels
from langmodels.cli.completion import SHELLS
from langmodels.cli.main import COMMANDS, main
from langmodels.datasets import read_text
from langmodels.datasets.sources import shipped_folder
from langmodels.registry import load

TEXT = "".join(
    f"the {animal} {verb} on the {thing} .\n"
    for animal in ("cat", "dog", "heron", "boat")
    for verb in ("sat", "slept", "stood")
    for thing in ("mat", "log", "gate", "stair", "lock")
)

Run = Callable[..., str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text and two models of it."""
    folder = tmp_path_factory.mktemp("cli")
    text = folder / "text.txt"
    text.write_text(TEXT)
    for level, model in (("word", "word.lm"), ("char", "char.lm")):
        arguments = ["--corpus", text, "--level", level, "--order", 3, "--output", folder / model]
        with contextlib.redirect_stdout(io.StringIO()):
            assert main(["train", *map(str, arguments)]) == 0
    return folder


@pytest.fixture(autouse=True)
def in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def test_the_overview_lists_every_command(run: Run) -> None:
    for arguments in ([], ["--help"]):
        overview = run(*arguments)
        assert all(name in overview for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_examples(run: Run, name: str) -> None:
    text = run(name, "--help")
    assert f"usage: langmodels {name}" in text
    assert "examples:" in text
    assert f"\n  langmodels {name}" in text
    assert "--json" in text
    assert max(map(len, text.splitlines())) <= 110


def test_several_reports_of_one_comparison(run: Run) -> None:
    reports = ["tables.tex", "rows.csv", "results.json"]
    line = ["compare", "--corpus", "text.txt", "--models", "unigram", "--no-cache", "--report"]
    shown = run(*line, *reports)
    assert all(
        f"Report written to {name}." in shown and Path(name).stat().st_size for name in reports
    )


def test_version_is_printed(run: Run) -> None:
    assert run("--version").strip() == f"langmodels {langmodels.__version__}"


def test_train_reports_and_writes(run: Run, tmp_path: Path) -> None:
    shown = run("train", "--corpus", "text.txt", "--output", tmp_path / "a.lm")
    assert "modified-kneser-ney" in shown
    report = json.loads(
        run("train", "--corpus", "text.txt", "--output", tmp_path / "b.lm", "--json")
    )
    assert report["tokens"] == 60 * 8
    assert report["types"] == 15
    assert report["bytes"] == (tmp_path / "b.lm").stat().st_size
    assert (tmp_path / "a.lm").read_bytes() == (tmp_path / "b.lm").read_bytes()


def test_train_takes_models_by_name_option_and_smoothing(run: Run, tmp_path: Path) -> None:
    def train(*options: Any) -> Any:
        run("train", "--corpus", "text.txt", "--output", tmp_path / "m.lm", *options)
        return load(tmp_path / "m.lm", mmap=False)  # Windows does not replace a mapped file

    assert train("--model", "unigram").kind == "unigram"
    assert train("--model", "kn:order=2").order == 2
    model = train("--smoothing", "witten-bell", "--order", "2")
    assert (model.order, model.smoothing.name) == (2, "witten_bell")
    assert train("--level", "char").tokenizer.level == "char"
    assert train("--lower").tokenizer.lower
    assert len(train("--vocab-size", "5").vocabulary) == 5 + 3
    assert "cat" not in train("--min-count", "16").vocabulary


def test_train_holds_out_on_request(run: Run, tmp_path: Path) -> None:
    whole = json.loads(run("train", "--corpus", "text.txt", "-o", tmp_path / "m.lm", "--json"))
    options = ["--corpus", "text.txt", "--split", "lines", "--seed", "3"]
    part = json.loads(run("train", *options, "-o", tmp_path / "m.lm", "--json"))
    assert part["tokens"] == whole["tokens"] * 8 // 10
    assert math.isfinite(part["validation_perplexity"])
    measured = json.loads(run("evaluate", tmp_path / "m.lm", *options, "--part", "test", "--json"))
    assert measured["tokens"] == whole["tokens"] // 10
    validation = json.loads(
        run("evaluate", tmp_path / "m.lm", *options, "--part", "validation", "--json")
    )
    assert validation["perplexity"] == pytest.approx(part["validation_perplexity"])


def test_train_with_validation_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "held.txt").write_text("the cat sat on the gate .\n")
    report = json.loads(
        run(
            *("train", "--corpus", "text.txt", "--model", "jelinek-mercer:order=2", "--json"),
            *("--validation", tmp_path / "held.txt", "--output", tmp_path / "m.lm"),
        )
    )
    assert report["tokens"] == 480
    assert report["validation_perplexity"] > 1


def test_the_text_may_be_compressed_or_come_from_standard_input(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gzip.open(tmp_path / "text.txt.gz", "wt") as file:
        file.write(TEXT)
    run("train", "--corpus", tmp_path / "text.txt.gz", "--order", 3, "-o", tmp_path / "gz.lm")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    run("train", "--corpus", "-", "--order", 3, "-o", tmp_path / "stdin.lm")
    for name in ("gz.lm", "stdin.lm"):
        assert (tmp_path / name).read_bytes() == Path("word.lm").read_bytes()


SENTENCES = ["the cat sat on the log .", "the zebra sat", "the"]


def test_score_agrees_with_the_model(run: Run) -> None:
    model = load("word.lm")
    ask = ["score", "word.lm", *SENTENCES, "--json", "--unit", "nats"]
    for sentence, line in zip(SENTENCES, run(*ask).splitlines(), strict=True):
        entry = json.loads(line)
        assert entry["text"] == sentence
        assert entry["log_prob"] == pytest.approx(model.score(sentence))
        assert entry["tokens"] == len(sentence.split()) + 1
        assert entry["oov"] == sentence.count("zebra")
        assert entry["perplexity"] == pytest.approx(math.exp(-entry["log_prob"] / entry["tokens"]))
        bits = -entry["log_prob"] / math.log(2) / (len(sentence) + 1)
        assert entry["bits_per_character"] == pytest.approx(bits)
    total = json.loads(run(*ask, "--summary"))
    assert total["sentences"] == 3
    assert total["oov"] == 1
    assert total["log_prob"] == pytest.approx(sum(map(model.score, SENTENCES)))
    zebra = model.log_prob("zebra", "the")
    known = (total["log_prob"] - zebra) / (total["tokens"] - 1)
    assert total["perplexity_without_oov"] == pytest.approx(math.exp(-known))


@pytest.mark.parametrize("unit", [("log10", 10.0), ("bits", 2.0), ("nats", math.e)])
def test_the_unit_is_the_base_of_log_probabilities(run: Run, unit: tuple[str, float]) -> None:
    name, base = unit
    found = json.loads(run("score", "word.lm", "the cat", "--json", "--unit", name, "--tokens"))
    p = math.exp(load("word.lm").score("the cat"))
    assert base ** found["log_prob"] == pytest.approx(p)
    tokens = found["scores"]
    assert [t for t, _ in tokens] == ["the", "cat", "</s>"]
    assert math.prod(base**s for _, s in tokens) == pytest.approx(p)


@pytest.mark.parametrize("model", ["word.lm", "char.lm"])
def test_scoring_a_file_is_scoring_its_lines(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path, model: str
) -> None:
    lines = ["the cat sat", "", "   ", "a zebra !", "the", *TEXT.splitlines()[:5], ""]
    (tmp_path / "lines.txt").write_text("\n".join([*lines, "no end of line"]))
    expected = [load(model).score(line) for line in [*lines, "no end of line"]]
    printed = run("score", model, "--file", tmp_path / "lines.txt", "--unit", "nats")
    rows = [line.split("\t") for line in printed.splitlines()]
    assert [float(row[0]) for row in rows] == pytest.approx(expected, abs=1e-3)
    printed = run("score", model, "--file", tmp_path / "lines.txt", "--json")
    found = list(map(json.loads, printed.splitlines()))
    assert [entry["text"] for entry in found] == [*lines, "no end of line"]
    assert [entry["id"] for entry in found] == list(range(1, len(found) + 1))


def test_score_shows_tokens_and_totals(run: Run) -> None:
    shown = run("score", "word.lm", "--tokens", "the zebra sat")
    assert "unknown" in shown
    assert "</s>" in shown
    shown = run("score", "word.lm", "--summary", "the zebra sat")
    assert "without the unknown" in shown
    assert "zebra" not in shown


def test_score_of_the_impossible_is_minus_infinity(run: Run, tmp_path: Path) -> None:
    run("train", "--corpus", "text.txt", "--model", "mle", "-o", tmp_path / "mle.lm")
    shown = run("score", tmp_path / "mle.lm", "cat cat cat")
    assert "-inf" in shown
    assert " infinite" in shown
    Path("cats.txt").write_text("cat cat cat\n")
    lines = run("score", tmp_path / "mle.lm", "--file", "cats.txt", "--tokens").splitlines()
    assert lines[0] == "-Infinity\t4\t0\tInfinity"
    assert "\tcat\t-Infinity" in lines
    found = json.loads(run("score", tmp_path / "mle.lm", "cat cat cat", "--json"))
    assert found["log_prob"] == "-Infinity"
    shown = run("evaluate", tmp_path / "mle.lm", "--corpus", "wonderland.txt")
    assert "tokens have probability zero" in shown
    assert "infinite bits per token" in shown
    assert "0/0" in shown  # what stands in after contexts that were never seen


def test_evaluate_agrees_with_the_model(run: Run) -> None:
    found = json.loads(run("evaluate", "word.lm", "--corpus", "text.txt", "--json"))
    model = load("word.lm")
    corpus = langmodels.Corpus.from_text(TEXT, model.tokenizer, vocabulary=model.vocabulary)
    assert found["perplexity"] == pytest.approx(model.perplexity(corpus))
    assert found["bits_per_token"] == pytest.approx(math.log2(found["perplexity"]))
    bits = found["bits_per_token"] * corpus.n_tokens / len(TEXT)
    assert found["bits_per_character"] == pytest.approx(bits)
    assert found["oov_tokens"] == 0
    shown = run("evaluate", "word.lm", "--corpus", "wonderland.txt")
    assert "perplexity" in shown
    assert "without the unknown" in shown
    assert "not in it: spelling, spacing" in shown
    assert "not in it" not in run("evaluate", "char.lm", "--corpus", "text.txt")


def test_evaluate_divides_scores_by_their_sum(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "scores.lm"
    run("train", "--corpus", "text.txt", "--model", "stupid-backoff:order=2", "-o", path)
    found = json.loads(run("evaluate", path, "--corpus", "text.txt", "--json"))
    model = load(path)
    losses = []
    for line in filter(str.strip, TEXT.splitlines()):
        state = model.start()
        for token in [*model.encode(line).tolist(), model.vocabulary.eos_id]:
            scores = np.exp(model.log_distribution(state))
            losses.append(-math.log(scores[token] / scores.sum()))
            state = model.advance(state, token)
    assert found["perplexity"] == pytest.approx(math.exp(np.mean(losses)), rel=1e-4)
    shown = run("explain", path, "the cat")
    assert "score of the whole" in shown
    assert "do not sum to one" in shown


def test_blank_lines_are_counted_apart(run: Run, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("the cat\n\n \nthe dog\n")
    shown = run("score", "word.lm", "--summary", "--file", tmp_path / "lines.txt")
    assert "2; 2 blank lines beside them" in shown


def test_brackets_in_a_text_are_no_markup(run: Run) -> None:
    assert "The [/i] cat [b]sat" in run("score", "word.lm", "--tokens", "The [/i] cat [b]sat")


@pytest.mark.parametrize("level", ["char", "byte", "whitespace", "word"])
def test_a_model_reads_as_its_text_was_cleaned(run: Run, tmp_path: Path, level: str) -> None:
    path = tmp_path / "lower.lm"
    run("train", "--corpus", "text.txt", "--level", level, "--lower", "-o", path)
    (tmp_path / "loud.txt").write_text(TEXT.upper())
    loud, quiet = (
        json.loads(run("score", path, text, "--summary", "--json"))
        for text in ("The CAT", "the cat")
    )
    assert loud == quiet
    assert loud["oov"] == 0
    found = json.loads(run("evaluate", path, "--corpus", tmp_path / "loud.txt", "--json"))
    assert found["oov_tokens"] == 0
    shown = (run("predict", path, context).splitlines()[2:] for context in ("THE CAT", "the cat"))
    assert next(shown) == next(shown)
    run("prune", path, "--threshold", "1e-9", "-o", tmp_path / "pruned.lm")
    assert '"oov": 0' in run("score", tmp_path / "pruned.lm", "The CAT", "--json")


def test_boundary_marks_inside_a_text_are_unknown_words(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "spaces.lm"
    run("train", "--corpus", "text.txt", "--level", "whitespace", "--order", 3, "-o", path)
    for command in ("predict", "explain"):
        assert "<unk>" in run(command, path, "the <s> the", "--json")
    assert json.loads(run("score", path, "the </s> <s> the", "--json"))["oov"] == 2
    assert json.loads(run("score", path, "<s> the </s>", "--json"))["oov"] == 0
    model = load(path)
    assert model.score("the <s> the") == model.score("the zebra the")
    assert model.score("<s> the </s>") == model.score("the")
    for tokens in (["<s>", "the"], ["the", "</s>"]):
        with pytest.raises(langmodels.UsageError, match="by itself"):
            model.score(tokens)


def test_a_long_sentence_is_not_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "char.lm", "a" * 3000]) == 2
    assert "3,000 tokens" in capsys.readouterr().err


def test_zero_over_zero_is_explained(run: Run) -> None:
    shown = run("explain", "full-context-mle", "zebra the cat", "--corpus", "text.txt")
    assert "0/0" in shown
    assert "0/0" not in run(
        "explain", "full-context-mle", TEXT.split("\n")[0], "--corpus", "text.txt"
    )


def test_predict_shows_the_most_probable_tokens_and_the_context_used(run: Run) -> None:
    (found,) = json.loads(run("predict", "word.lm", "the cat", "-k", "3", "--json"))
    assert [(c["token"], c["prob"]) for c in found["candidates"]] == load("word.lm").predict(
        "the cat", 3
    )
    shown = run("predict", "word.lm", "so the cat sat on the", "-k", "2", "--token", "zebra")
    assert "p(x | so the cat sat on the)" in shown
    assert "p(x | on the)" in shown
    assert "zebra" in shown
    assert "zebra is not in the vocabulary" in shown
    assert "so" in shown.split("not in the vocabulary,")[1]


def test_predict_trains_what_is_named(run: Run) -> None:
    shown = run("predict", "unigram,mkn:order=2", "the", "--corpus", "text.txt", "-k", "3")
    assert "unigram" in shown
    assert "mkn:order=2" in shown


def test_samples_begin_with_the_prompt_and_are_the_same_for_a_seed(run: Run) -> None:
    first = run("sample", "word.lm", "the cat", "--seed", "1", "-n", "3", "--max-tokens", "8")
    assert first == run(
        "sample", "word.lm", "the cat", "--seed", "1", "-n", "3", "--max-tokens", "8"
    )
    assert all(line.startswith("the cat") for line in first.splitlines())
    assert len(first.splitlines()) == 3
    (found,) = json.loads(run("sample", "char.lm", "the", "-m", "5", "--greedy", "--json"))
    assert found["text"] == "the" + "".join(found["tokens"])
    assert found["tokens"] == load("char.lm").sample("the", greedy=True, max_tokens=5)


def test_beam_search_prints_what_complete_finds(run: Run) -> None:
    found = json.loads(
        run("sample", "word.lm", "the cat", "--beam", "4", "-n", "2", "-m", "3", "--json")
    )
    expected = load("word.lm").complete("the cat", max_tokens=3, width=4)[:2]
    assert [(f["tokens"], f["log_prob"]) for f in found] == expected
    assert "p = " in run("sample", "word.lm", "the cat", "--beam", "4", "-m", "3")


def test_explain_multiplies_to_the_score(run: Run) -> None:
    (found,) = json.loads(run("explain", "word.lm", "the zebra sat", "--json"))
    assert found["log_prob"] == pytest.approx(load("word.lm").score("the zebra sat"))
    assert [s["token"] for s in found["steps"]] == ["the", "zebra", "sat", "</s>"]
    shown = run("explain", "word.lm", "the zebra sat")
    for text in ("p(the | <s>)", "p(sat)", "zebra*", "read as <unk>", "perplexity"):
        assert text in shown


def test_explain_puts_models_side_by_side(run: Run) -> None:
    models = "word.lm,unigram,mkn:order=2,full-context"
    shown = run("explain", models, "the cat sat", "--corpus", "text.txt")
    assert all(name in shown for name in ("unigram", "mkn:order=2", "full-context", "word"))
    assert max(map(len, shown.splitlines())) <= 80
    # Models with different tokens cannot share their rows.
    shown = run("explain", "word.lm,char.lm", "the")
    assert shown.count("perplexity") == 2


def test_explain_fits_eighty_columns(run: Run) -> None:
    sentence = " ".join(TEXT.split()[:40])
    for models in ("word.lm", "char.lm", "unigram,mkn,full-context"):
        shown = run("explain", models, sentence, "--corpus", "text.txt")
        assert max(map(len, shown.splitlines())) <= 80


def test_info_shows_sizes_and_arrays_of_a_model_file(run: Run) -> None:
    found = json.loads(run("info", "word.lm", "--json"))
    assert found["ngrams"][0] == found["vocabulary"] == 15 + 3
    assert found["context_length"] == 2
    assert found["bytes"] == Path("word.lm").stat().st_size
    shown = run("info", "word.lm", "--arrays")
    assert "of order 3" in shown
    assert "vocabulary.text" in shown


def test_corpora_are_listed_and_fetched(run: Run, tmp_path: Path) -> None:
    names = [listing["name"] for listing in json.loads(run("corpora", "--json"))]
    assert "wonderland.txt" in names
    shown = run("corpora")
    assert all(name in shown for name in names)
    run("corpora", "--get", "wonderland.txt", "--output", tmp_path / "tale.txt")
    assert read_text(tmp_path / "tale.txt") == read_text(shipped_folder() / "wonderland.txt")
    found = json.loads(run("corpora", "--get", "synthetic:markov?length=1000", "--json"))
    assert found["characters"] == 1000
    assert found["entropy_bits_per_character"] > 0


def test_no_colour_in_a_pipe(run: Run) -> None:
    for arguments in (
        ["predict", "word.lm", "the"],
        ["explain", "word.lm", "the cat"],
        ["score", "word.lm", "the cat"],
        ["sample", "word.lm", "the cat", "-m", "3"],
    ):
        assert "\x1b" not in run(*arguments)


def test_markup_in_a_text_is_shown_as_it_is(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("[red] [/red] [bold] [link=x] :smile:\n" * 3)
    run(
        *("train", "--corpus", tmp_path / "t.txt", "--level", "whitespace"),
        *("--order", "2", "--output", tmp_path / "m.lm"),
    )
    for command in ("explain", "score", "predict", "sample"):
        assert "[/red]" in run(command, tmp_path / "m.lm", "[red] [/red]")
    assert "[bold]" in run("info", tmp_path / "m.lm")


def test_a_terminal_without_unicode(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    terminal = io.TextIOWrapper(buffer, encoding="ascii")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdout", terminal)
    assert main(["predict", "word.lm", "the"]) == 0
    assert b"####" in buffer.getvalue()


def test_all_commands_give_the_same_figures_with_carried_state(run: Run, tmp_path: Path) -> None:
    """The same figures from every command where lines belong together, and tables say so."""
    path = tmp_path / "cache.lm"
    model = "cache:order=2:decay=0.9:weight=0.3"
    run("train", "--corpus", "text.txt", "--model", model, "--carry", "-o", path)
    reports = [
        json.loads(run("evaluate", path, "--corpus", "text.txt", *carry, "--json"))
        for carry in ((), ("--carry",))
    ]
    assert reports[0]["perplexity"] != reports[1]["perplexity"]
    for carry, report in zip(((), ("--carry",)), reports, strict=True):
        total = json.loads(run("score", path, "--file", "text.txt", *carry, "--summary", "--json"))
        assert total["perplexity"] == pytest.approx(report["perplexity"])
    shown = run("compare", "--corpus", "text.txt", "--models", model, "--carry", "--no-cache")
    assert "State is carried over the lines" in shown


def test_quiet_prints_no_progress_and_verbose_prints_times(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = ["train", "--corpus", "text.txt", "--model", "rnn:hidden=4:epochs=1", "-o", "rnn.lm"]
    said = {}
    for arguments in (train, [*train, "-q"], ["--quiet", *train], [*train, "-v"], ["-v", *train]):
        assert main(arguments) == 0
        said[" ".join(arguments)] = capsys.readouterr().err
    usual, quiet, before, verbose, first = said.values()
    assert usual.startswith("epoch 1 of 1")
    assert quiet == before == ""
    for text in (verbose, first):
        assert "epoch 1 of 1" in text
        assert re.search(r"^train: [0-9.]+ s$", text, re.MULTILINE)
    assert main([*train, "-q", "-v"]) == 2
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_for_completion_have_all_commands(run: Run, shell: str) -> None:
    pytest.importorskip("shtab")
    script = run("--print-completion", shell)
    assert all(name in script for name in COMMANDS)
    assert "held-out" in script
    assert run(f"--print-completion={shell}") == script


def test_completion_that_cannot_be(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["--print-completion", "elvish"]) == 2
    assert "bash" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["--print-completion", "bash"]) == 1
    assert "pip install" in capsys.readouterr().err
