"""Counts of n-grams as files: written, read, added, estimated from."""

import gzip
import lzma
from pathlib import Path

import numpy as np
import pytest
from ngram_data import alice, held_out, unpacked

from langmodels.cli.main import main
from langmodels.errors import LangmodelsError, UsageError
from langmodels.ngram import NGramModel, count_ngrams
from langmodels.ngram.counts_file import read_counts, write_counts
from langmodels.registry import load
from langmodels.text.corpus import Corpus
from langmodels.text.tokenization import WhitespaceTokenizer

TOKENIZER = WhitespaceTokenizer()


def written(corpus: Corpus, path: Path, order: int = 3) -> Path:
    counts = count_ngrams(corpus.ids, len(corpus.vocabulary), order)
    write_counts(path, counts, corpus.vocabulary)
    return path


def test_files_of_counts_list_ngrams_of_all_orders_with_boundaries(tmp_path: Path) -> None:
    corpus = Corpus.from_text("a b\na b\nb\n", TOKENIZER, min_count=1)
    lines = written(corpus, tmp_path / "c", 2).read_text().splitlines()
    assert lines == sorted(lines, key=lambda line: line.count(" "))
    assert set(lines) == {
        *("<s>\t3", "</s>\t3", "a\t2", "b\t3"),
        *("<s> a\t2", "<s> b\t1", "a b\t2", "b </s>\t3"),
    }


@pytest.mark.parametrize("smoothing", ["modified_kneser_ney", "witten_bell", "katz"])
def test_the_same_model_as_from_the_text(smoothing: str, tmp_path: Path) -> None:
    path = written(alice(), tmp_path / "alice.counts")
    counts = read_counts([path])
    vocabulary = counts.reading.vocabulary
    assert sorted(vocabulary.tokens) == sorted(alice().vocabulary.tokens)
    assert (np.diff(counts.counts.counts[0][vocabulary.n_special :]) <= 0).all()
    model = NGramModel(3, smoothing).fit_counts(counts)
    expected = NGramModel(3, smoothing).fit(alice())
    for ids in list(held_out().sequences())[:30]:
        words = held_out().vocabulary.decode(ids)
        if "<unk>" not in words:
            assert model.score(words) == pytest.approx(expected.score(words), abs=1e-4)
    lower = NGramModel(2, smoothing).fit_counts(counts)
    assert lower.ngram_counts == expected.ngram_counts[:2]


def test_files_are_added_up_and_rare_words_become_unknown(tmp_path: Path) -> None:
    lines = unpacked("alice.train.txt.xz").splitlines(keepends=True)
    halves = []
    for i in range(2):
        half = Corpus.from_text("".join(lines[i::2]), TOKENIZER, min_count=1)
        path = written(half, tmp_path / f"{i}.counts")
        packed = tmp_path / f"{i}.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        halves.append(packed)
    found = read_counts(halves, min_count=2).known()
    vocabulary, counts = found.reading.vocabulary, found.counts
    whole = Corpus.from_text("".join(lines), TOKENIZER, min_count=2)
    assert sorted(vocabulary.tokens) == sorted(whole.vocabulary.tokens)
    expected = count_ngrams(whole.ids, len(whole.vocabulary), 3)
    assert counts.sizes == expected.sizes
    for ours, theirs in zip(counts.counts, expected.counts, strict=True):
        assert np.array_equal(np.sort(ours), np.sort(theirs))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\t1\nb\n", "line 2: an n-gram and its count"),
        ("a\t1\na b\tx\n", "line 2: the line should end in a count"),
        ("a\t-1\n", "line 1: the line should end in a count"),
        ("a\t1\na b\t1\n", "line 2: a word of this n-gram has no count of its own"),
        ("a\t1\nb\t1\na b a\t1\n", "counts of order 2 lack words"),
        ("a b\t1\n", "no counts of 1-grams"),
        ("", "no counts of 1-grams"),
        ("a " * 101 + "1\n", "line 1: an n-gram has at most 100 words"),
        ("a\t1\n" + "a" * 3_000_000, "a line of more than a megabyte"),
    ],
)
def test_what_is_no_file_of_counts(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "c").write_text(text)
    with pytest.raises(LangmodelsError, match=message):
        read_counts([tmp_path / "c"])


def test_what_cannot_be_estimated(tmp_path: Path) -> None:
    counts = read_counts([written(alice().head(400), tmp_path / "c", 2)])
    with pytest.raises(UsageError, match="up to order 2 only"):
        NGramModel(3).fit_counts(counts)
    with pytest.raises(UsageError, match="held-out text"):
        NGramModel(2, "jelinek_mercer").fit_counts(counts)
    with pytest.raises(LangmodelsError, match="There is no file"):
        read_counts([tmp_path / "missing"])


def test_halves_of_surrogate_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON may have them, and so then do the words of a text."""
    monkeypatch.chdir(tmp_path)
    Path("a.jsonl").write_text('{"text": "a \\ud800 b"}\n' * 3)
    cut = ["--corpus", "a.jsonl", "--level", "whitespace", "-q"]
    assert main(["count", *cut, "-o", "a.counts"]) == 0
    assert main(["train", "--counts", "a.counts", "--model", "witten-bell", "-o", "a.lm"]) == 0
    assert main(["convert", "a.lm", "a.fst"]) == 0
    assert main(["corpora", "--get", "a.jsonl", "--output", "a.txt"]) == 0
    assert Path("a.txt").read_text(encoding="utf-8") == "a \ufffd b\n" * 3


def test_training_on_counts_equals_training_on_the_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = unpacked("alice.train.txt.xz")
    lines = text.splitlines(keepends=True)
    Path("a.txt").write_text("".join(lines[:400]))
    Path("b.txt").write_text("".join(lines[400:]))
    Path("all.txt").write_text(text)
    Path("b.txt.xz").write_bytes(lzma.compress(Path("b.txt").read_bytes()))
    for text_file, counts_file in (("a.txt", "a.counts"), ("b.txt.xz", "b.counts.gz")):
        count = ["count", "--corpus", text_file, "--level", "whitespace", "-o", counts_file]
        assert main([*count, "--order", "3"]) == 0
    assert b"alice" in gzip.decompress(Path("b.counts.gz").read_bytes())
    assert main(["train", "--counts", "a.counts,b.counts.gz", "-o", "counted.lm"]) == 0
    whole = ["train", "--corpus", "all.txt", "--level", "whitespace", "--min-count", "1"]
    assert main([*whole, "--order", "3", "-o", "whole.lm"]) == 0
    counted, trained = load("counted.lm"), load("whole.lm")
    assert counted.score("alice was here") == pytest.approx(trained.score("alice was here"))
    assert main(["count", "--corpus", "all.txt", "--order", "3", "-o", "words.counts"]) == 0
    counted_words = ["train", "--counts", "words.counts", "--level", "word", "--lower"]
    assert main([*counted_words, "-o", "words.lm"]) == 0
    assert main([*whole[:3], "--min-count", "1", "--order", "3", "-o", "as_words.lm"]) == 0
    scores = [load(name).score('"alice," was here') for name in ("words.lm", "as_words.lm")]
    assert scores[0] == pytest.approx(scores[1])
    assert load("words.lm").encode("ALICE").tolist() == load("words.lm").encode("alice").tolist()
    assert main([*counted_words[:3], "--level", "char", "-o", "x.lm"]) == 1
    for option in (["--vocab-size", "9"], ["--memory", "1G"], ["--pattern", "a"], ["--carry"]):
        assert main([*counted_words[:3], *option, "-o", "x.lm"]) == 2
    letters = ["--level", "word", "--pattern", "[a-z]+"]
    assert main([*counted_words[:3], *letters, "-o", "letters.lm"]) == 0
    assert list(load("letters.lm").tokenize("alice, was")) == ["alice", "was"]
    assert main(["train", "-o", "x.lm"]) == 2
    assert main(["train", "--counts", "a.counts", "--corpus", "a.txt", "-o", "x.lm"]) == 2
    assert main(["train", "--counts", "a.counts", "--model", "lstm", "-o", "x.lm"]) == 2
    assert main(["count", "--corpus", "a.txt", "--level", "char", "-o", "c.counts"]) == 2
    assert not Path("c.counts").exists()
