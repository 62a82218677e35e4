"""Lines in and lines out: blank ones, odd separators, bytes that are no text, n-best lists."""

import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from langmodels.cli.main import command_parser, main
from langmodels.cli.texts import load_splits
from langmodels.datasets import read_chunks, read_text
from langmodels.errors import LangmodelsError
from langmodels.registry import make_model
from langmodels.text.corpus import Corpus

PLAIN = "red fox ran\nred hen ran\na fox sat\n"
Run = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line that must succeed; return what it printed."""

    def call(*arguments: Any) -> str:
        status = main([str(a) for a in arguments])
        printed = capsys.readouterr()
        assert status == 0, printed.err
        run_errors.append(printed.err)
        return printed.out

    return call


run_errors: list[str] = []


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_errors.clear()
    Path("plain.txt").write_text(PLAIN)
    train = ["train", "--corpus", "plain.txt", "--level", "whitespace", "--order", "2", "-q"]
    with warnings.catch_warnings():
        assert main([*train, "-o", "m.lm"]) == 0


def test_blank_lines_count_the_same_everywhere(run: Run) -> None:
    """One perplexity, KenLM's for the sentences alone."""
    Path("blank.txt").write_bytes(b"red fox ran\r\n\r\n   \r\nred hen ran\r\n\r\na fox sat")
    evaluated = json.loads(run("evaluate", "m.lm", "--corpus", "blank.txt", "--json"))
    totals = json.loads(run("score", "m.lm", "--file", "blank.txt", "--summary", "--json"))
    assert evaluated["perplexity"] == pytest.approx(2.4342, abs=1e-4)
    assert totals["perplexity"] == pytest.approx(evaluated["perplexity"])
    assert (totals["sentences"], totals["blank"], totals["tokens"]) == (3, 3, 12)
    assert "3 blank lines" in run("score", "m.lm", "--file", "blank.txt", "--summary")
    assert len(run("score", "m.lm", "--file", "blank.txt").splitlines()) == 6


def test_a_dash_is_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(PLAIN.encode()), "utf-8"))
    assert run("score", "m.lm", "-") == run("score", "m.lm", "--file", "plain.txt")


def test_rows_of_several_lines_are_noticed(run: Run) -> None:
    """A score a line is not a score a row."""
    Path("rows.csv").write_text('id,body\n1,red fox\n2,"red hen\nran"\n3,\n')
    assert len(run("score", "m.lm", "--file", "rows.csv?text=body").splitlines()) == 4
    assert "1 rows of rows.csv?text=body go on over line ends" in run_errors[-1]
    run("score", "m.lm", "--file", "rows.csv?text=body", "--summary")
    run("score", "m.lm", "--file", "plain.txt")
    assert not any("go on" in errors for errors in run_errors[-2:])


def test_sentences_of_several_lines_are_noticed(run: Run) -> None:
    """As an argument a text is one sequence; its lines are several."""
    one, lines = (
        json.loads(run("score", "m.lm", "--json", *given).splitlines()[0])
        for given in (["red fox ran\nred hen ran"], ["--file", "plain.txt"])
    )
    assert (one["tokens"], lines["tokens"]) == (7, 4)
    assert ["line ends" in errors for errors in run_errors[-2:]] == [True, False]
    run("score", "m.lm", "red fox ran\n")
    assert "line ends" not in run_errors[-1]


def test_lines_of_marks_alone_are_blank(run: Run) -> None:
    Path("marks.txt").write_text("<s> red fox ran </s>\n<s> </s>\na fox sat\n")
    evaluated = json.loads(run("evaluate", "m.lm", "--corpus", "marks.txt", "--json"))
    totals = json.loads(run("score", "m.lm", "--file", "marks.txt", "--summary", "--json"))
    assert (totals["sentences"], totals["blank"]) == (evaluated["sequences"], 1) == (2, 1)
    assert totals["perplexity"] == pytest.approx(evaluated["perplexity"])
    Path("marks.jsonl").write_text(json.dumps({"text": Path("marks.txt").read_text()}) + "\n")
    found = json.loads(run("score", "m.lm", "--file", "marks.jsonl", "--summary", "--json"))
    assert found["bits_per_character"] == pytest.approx(evaluated["bits_per_character"])
    line = json.loads(run("score", "m.lm", "<s> red fox ran </s>", "--json"))
    same = json.loads(run("score", "m.lm", "red fox ran ", "--json"))
    assert line["bits_per_character"] == same["bits_per_character"]


@pytest.mark.parametrize("model", ["cache:order=2:decay=0.9:weight=0.3", "rnn:hidden=4:epochs=1"])
def test_state_goes_past_blank_lines_and_not_over_documents(run: Run, model: str) -> None:
    """The same figures from every command: a blank line is none, and a file is a document."""
    level = ["--level", "whitespace", "-q"]
    run("train", "--corpus", "plain.txt", "--model", model, *level, "-o", "c.lm")
    Path("blank.txt").write_text("\nred fox ran\n\n\nred hen ran\n\n")
    Path("other.txt").write_text("red fox\n\nfox fox red")
    names = "blank.txt,other.txt"
    evaluated = json.loads(run("evaluate", "c.lm", "--corpus", names, "--carry", "--json"))
    totals = json.loads(run("score", "c.lm", "--file", names, "--carry", "--summary", "--json"))
    assert totals["perplexity"] == pytest.approx(evaluated["perplexity"], rel=1e-6)
    assert (totals["sentences"], totals["blank"]) == (4, 5)
    scored = run("score", "c.lm", "--file", names, "--carry", "--unit", "nats").splitlines()
    alone = run("score", "c.lm", "", "--unit", "nats", "--json")
    ends = {line.split("\t")[0] for i, line in enumerate(scored) if i in (0, 2, 3, 5, 7)}
    assert ends == {f"{json.loads(alone)['log_prob']:.4f}"}
    documents = [Path(name).read_text() for name in names.split(",")]
    Path("d.jsonl").write_text("".join(json.dumps({"text": d}) + "\n" for d in documents))
    found = json.loads(run("score", "c.lm", "--file", "d.jsonl", "--carry", "--summary", "--json"))
    assert found["log_prob"] == pytest.approx(totals["log_prob"], rel=1e-6)
    run("score", "c.lm", "--file", "other.txt", "--carry", "--no-eos")


def test_a_line_out_for_every_line_in(run: Run) -> None:
    separators = "red fox\u2028ran\nred\rhen ran\r\na fox\x0csat\x85down\n\x1c\x1d\x1e\n"
    Path("odd.txt").write_bytes(separators.encode())
    scored = run("score", "m.lm", "--file", "odd.txt").splitlines()
    assert len(scored) == 4
    assert scored[1].split("\t")[1] == "4"  # a carriage return is white space
    lines = [line for line in separators.replace("\r\n", "\n").split("\n") if line.strip()]
    nbest = "".join(f"{i} ||| {line} ||| -1\n" for i, line in enumerate(lines))
    Path("nbest.txt").write_bytes(nbest.encode())
    assert run("rescore", "m.lm", "--nbest", "nbest.txt").count("\n") == 3


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
def test_line_ends_are_read_alike_however_chunks_are_cut(tmp_path: Path, chunk: int) -> None:
    path = tmp_path / "ends.txt"
    path.write_bytes("\ufeffa\r\nb\rc\n\r\r\nd\r".encode())
    assert "".join(read_chunks(path, chunk=chunk)) == "a\nb\rc\n\r\nd\r"


@pytest.mark.parametrize("chunk", [1, 5, 100])
def test_bytes_that_are_no_text_can_be_replaced_and_are_counted(chunk: int) -> None:
    Path("bad.txt").write_bytes(b"red fox\nred h\xffen \xc3\nran \xe2\x80\n")
    for errors, text in (
        ("replace", "red fox\nred h\ufffden \ufffd\nran \ufffd\n"),
        ("ignore", "red fox\nred hen \nran \n"),
    ):
        with pytest.warns(UserWarning, match="at 3 places"):
            assert "".join(read_chunks("bad.txt", chunk=chunk, errors=errors)) == text
    with pytest.raises(LangmodelsError, match="--errors replace"):
        read_text("bad.txt")
    with pytest.raises(LangmodelsError, match="strict, replace"):
        list(read_chunks("bad.txt", errors="surrogateescape"))


def test_one_bad_byte_loses_no_other_line(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.txt").write_bytes(b"red fox ran\nred h\xffen ran\na fox sat\n")
    lines = run("score", "m.lm", "--file", "bad.txt").splitlines()
    whole = run("score", "m.lm", "--file", "plain.txt").splitlines()
    assert lines[::2] == whole[::2]
    assert lines[1].split("\t")[2] == "1"
    assert "at 1 place; what stood there was read as U+FFFD" in run_errors[0]
    assert main(["train", "--corpus", "bad.txt", "-o", "b.lm"]) == 1
    assert main(["train", "--corpus", "bad.txt", "--errors", "ignore", "-o", "b.lm"]) == 0


def test_the_encoding_that_is_proposed_reads_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    for data, guess in ((b"dog\x92s tail\n", "cp1252"), (b"caf\xe9\n", "latin-1")):
        Path("text.txt").write_bytes(data)
        assert main(["train", "--corpus", "text.txt", "-o", "x.lm"]) == 1
        assert f"--encoding {guess}" in capsys.readouterr().err
        assert read_text("text.txt", guess) == data.decode(guess)


@pytest.mark.parametrize(
    ("encoding", "complaint"),
    [("utf-16", "utf-16"), ("utf-32", "utf-32"), ("punycode", "punycode"), ("undefined", "")],
)
def test_encodings_that_refuse_a_whole_text(
    encoding: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    train = ["train", "--corpus", "plain.txt", "--encoding", encoding, "-o", "x.lm"]
    assert main(train) in (1, 2)
    error = capsys.readouterr().err
    assert complaint in error
    assert "should not happen" not in error


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero")
def test_files_that_never_end_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (
        ["train", "--corpus", "/dev/zero", "-o", "x.lm"],
        ["train", "--corpus", "/dev/urandom", "-o", "x.lm"],
        ["score", "m.lm", "--file", "/dev/zero"],
        ["rescore", "m.lm", "--nbest", "/dev/zero"],
        ["evaluate", "m.lm", "--corpus", "/dev/zero"],
        ["score", "/dev/zero", "red"],
        ["convert", "/dev/zero", "x.lm"],
        ["prune", "/dev/zero", "--threshold", "1", "-o", "x.lm"],
        ["info", "/dev/zero"],
        ["compress", "/dev/zero", "--output", "x.z"],
        ["decompress", "/dev/zero", "--output", "x.txt"],
    ):
        assert main(command) == 1, command
        assert "should not happen" not in capsys.readouterr().err


def test_lines_that_are_too_long_are_refused(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("langmodels.text.lines.LONGEST_LINE", 100)
    Path("long.txt").write_text("red fox\n" + "x" * 101)
    Path("other.lm").write_bytes(Path("m.lm").read_bytes())
    for command in (["score", "m.lm", "--file"], ["rescore", "m.lm", "--nbest"]):
        assert main([*command, "long.txt"]) == 1
        assert "Line 2 has more than 100 characters" in capsys.readouterr().err
    # In running text a line may be long, but no word and nothing that is cleaned as a whole.
    for command in (
        ["evaluate", "m.lm", "--corpus", "long.txt"],
        ["train", "--corpus", "long.txt", "-o", "new.lm"],
        ["train", "--corpus", "long.txt", "--level", "char", "--clean", "nfc", "-o", "new.lm"],
        ["count", "--corpus", "long.txt", "-o", "new.gz"],
        ["train", "--corpus", "plain.txt", "--vocabulary", "long.txt", "-o", "new.lm"],
        ["train", "--corpus", "long.txt", "--level", "symbols", "-o", "new.lm"],
        ["train", "--corpus", "long.txt", "--split", "contiguous", "-o", "new.lm"],
        ["evaluate", "m.lm", "--corpus", "long.txt", "--part", "test"],
        ["evaluate", "m.lm", "other.lm", "--corpus", "long.txt"],
        ["surprisal", "m.lm", "--corpus", "long.txt"],
        ["compare", "--corpus", "long.txt", "--models", "unigram", "--no-cache"],
        ["scale", "--corpus", "long.txt", "--models", "unigram"],
    ):
        assert main(command) == 1, command
        assert "has more than 100 characters" in capsys.readouterr().err
    assert main(["train", "--corpus", "long.txt", "--level", "char", "-o", "new.lm", "-q"]) == 0


# Lists -----------------------------------------------------------------------------------------


def test_the_best_keep_their_ids(run: Run) -> None:
    Path("nbest.txt").write_text("7 ||| fox red ||| 0\n7 ||| red fox ||| 0\n8 ||| a fox ||| 0\n")
    best = run("rescore", "m.lm", "--nbest", "nbest.txt", "--best")
    assert best == "7 ||| red fox\n8 ||| a fox\n"
    Path("nbest.txt").write_text("fox red\nred fox\n\na fox\n")
    assert run("rescore", "m.lm", "--nbest", "nbest.txt", "--best") == "red fox\na fox\n"


def test_nbest_lists_in_json_are_rescored(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    records = [{"id": 7, "hypothesis": "fox red", "score": 0}, {"id": 7, "text": "red fox"}]
    Path("nbest.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    assert run("rescore", "m.lm", "--nbest", "nbest.jsonl", "--best") == "7 ||| red fox\n"
    Path("nbest.jsonl").write_text('{"hypothesis": "red fox", "score": -1234567.25}')
    fields = run("rescore", "m.lm", "--nbest", "nbest.jsonl", "--weight", "0").split(" ||| ")
    assert (fields[2], float(fields[-1])) == ("-1234567.25", -1234567.25)
    for line in (
        '["red fox", "fox red"]',
        '{"words": ["red", "fox"]}',
        '{"text": "a", "score": "x"}',
    ):
        Path("nbest.jsonl").write_text(line)
        assert main(["rescore", "m.lm", "--nbest", "nbest.jsonl"]) == 1
        assert "Line 1 of the list" in capsys.readouterr().err
    Path("nbest.jsonl").write_text("{red fox\n")
    assert run("rescore", "m.lm", "--nbest", "nbest.jsonl").startswith("{red fox |||")


# What is said ------------------------------------------------------------------------------------


def test_an_unknown_token_that_is_asked_for_is_marked(run: Run) -> None:
    printed = run("predict", "m.lm", "red", "--token", "xylophone")
    assert "xylophone*" in printed
    assert "not in the vocabulary" in printed
    (found,) = json.loads(run("predict", "m.lm", "red", "--token", "xylophone", "--json"))
    assert found["asked"]["known"] is False
    (found,) = json.loads(run("predict", "m.lm", "red", "--token", "fox", "--json"))
    assert found["asked"]["known"] is True
    assert "*" not in run("predict", "m.lm", "red", "--token", "fox")


def test_texts_with_line_ends_are_parted(run: Run) -> None:
    train = ["train", "--corpus", "plain.txt", "--level", "char", "--order", "3", "-o", "c.lm"]
    run(*train)
    printed = run("sample", "c.lm", "-n", "3", "-m", "60")
    assert printed.count("\n---\n") == 2
    assert "---" not in run("sample", "m.lm", "-n", "3")
    first = run("sample", "c.lm", "-m", "60")
    assert json.loads(run("sample", "c.lm", "-m", "60", "--json"))[0]["text"] + "\n" == first


def test_literal_unknowns_are_not_called_rare(run: Run) -> None:
    Path("marked.txt").write_text("red <unk> ran\nred hen ran\nred fox\n")
    train = ["train", "--corpus", "marked.txt", "--level", "whitespace", "-o", "x.lm"]
    assert "1 literally <unk>" in " ".join(run(*train).split())
    assert "of them <unk>" in " ".join(run(*train, "--min-count", "2").split())


def test_models_that_read_differently_are_mixed_with_a_warning(run: Run) -> None:
    train = ["train", "--corpus", "plain.txt", "--order", "2", "--min-count", "1"]
    run(*train, "--level", "word", "-o", "w.lm")
    run(*train, "--level", "word", "--lower", "-o", "l.lm")
    run_errors.clear()
    printed = json.loads(run("mix", "w.lm", "l.lm", "-o", "x.lm", "--json"))
    assert "read text in different ways" in run_errors[0]
    assert "; " in run_errors[0].partition("(")[2].partition("); the mixture")[0]  # both are told
    printed = json.loads(run("mix", "w.lm", "w.lm", "-o", "x.lm", "--json"))
    assert "different" not in run_errors[1]
    assert printed["weights"] == {"w.lm": 0.5, "w.lm (2)": 0.5}


def test_gates_are_not_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")  # else that is what is said
    assert main(["gradients", "--gates", "red", "--plot", "x.png"]) == 2
    assert "--plot" in capsys.readouterr().err
    assert not Path("x.png").exists()


def test_validation_text_that_is_cut_from_the_rest_is_the_rest() -> None:
    """In the middle of a line, which does not become two."""
    Path("long.txt").write_text("ab" * 60)
    arguments = ["--corpus", "long.txt", "--test", "plain.txt", "--level", "char"]
    parser = command_parser("compare")
    splits, _ = load_splits(parser.parse_args(arguments))
    assert splits.validation.text is not None
    assert (splits.train.text or "") + splits.validation.text == "ab" * 60
    for name in ("one.txt", "two.txt", "three.txt"):
        Path(name).write_text("red fox ran\n" * 9 + "a hen " * 9)
    arguments[1] = "one.txt,two.txt,three.txt"
    splits, _ = load_splits(parser.parse_args(arguments))
    whole = (splits.train.text or "") + (splits.validation.text or "")
    assert whole == "\n".join(Path(name).read_text() for name in arguments[1].split(","))
    starts = splits.validation.document_starts
    assert starts is None or starts[-1] == len(splits.validation.text or "")


def test_tokens_that_are_white_space_stay_in_their_column(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Every line of a token has three columns, whatever the token is."""
    text = "a\tb\n" * 9
    model = make_model("witten-bell:order=2").fit(Corpus.from_text(text, "char"))
    model.save(tmp_path / "m.lm")
    (tmp_path / "text.txt").write_text("a\tb a\n")
    file = str(tmp_path / "text.txt")
    assert main(["score", str(tmp_path / "m.lm"), "--file", file, "--tokens"]) == 0
    _, *tokens = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[1] for line in tokens] == ["a", "⇥", "b", "<unk>", "a"]
    assert {line.count("\t") for line in tokens} == {2}


def test_a_sentence_of_several_lines_is_noticed(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """In one line, as other warnings are, whichever process might have scored it."""
    make_model("witten-bell:order=2").fit("a b\nb a\n").save(tmp_path / "m.lm")
    assert main(["score", str(tmp_path / "m.lm"), "a\nb", "--jobs", "2"]) == 0
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("langmodels: warning: A sequence holds line ends")
