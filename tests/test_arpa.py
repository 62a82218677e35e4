"""ARPA files: KenLM's figures, other tools' habits, broken files."""

import bz2
import gzip
import lzma
import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ngram_data import KENLM3, alice, held_out, scored, trained

from langmodels.errors import LangmodelsError, UsageError
from langmodels.ngram import NGramModel, quantize
from langmodels.ngram.arpa import FOREIGN
from langmodels.ngram.building import lexicographic_order, tables_from_ngrams
from langmodels.ngram.opening import open_ngrams
from langmodels.ngram.restriction import close
from langmodels.ngram.trie import ngram_words, suffixes_of
from langmodels.registry import load
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.tokenization import Tokenizer, WhitespaceTokenizer

# Small files are written by hand, and sum to what they may.
pytestmark = pytest.mark.filterwarnings("ignore:.*do not sum to 1:langmodels.errors.FileWarning")

LOG10 = math.log(10)

SMALL = """\\data\\
ngram 1=6
ngram 2=4
ngram 3=1

\\1-grams:
-1.0\t<unk>
-99\t<s>\t-0.3
-0.9\t</s>
-0.8\ta\t-0.2
-0.7\tb\t-0.1
-0.6\tc\t-0.25

\\2-grams:
-0.5\t<s> a\t-0.15
-0.4\ta b\t-0.11
-0.35\tb c
-0.45\tc </s>

\\3-grams:
-0.05\ta b c

\\end\\
"""


def read(tmp_path: Path, text: str | bytes, name: str = "model.arpa") -> NGramModel:
    data = text if isinstance(text, bytes) else text.encode()
    (tmp_path / name).write_bytes(data)
    return NGramModel.from_arpa(tmp_path / name)


def log10(model: NGramModel, token: str, context: str = "") -> float:
    return model.log_prob(token, context) / LOG10


def entries(model: NGramModel) -> dict[tuple[str, ...], tuple[float, float]]:
    """Log10 p and back-off weight of every n-gram."""
    found = {}
    for k in range(1, model.order + 1):
        rows = ngram_words(model.tables, k, slice(None))
        log_p = model.tables.log_prob[k - 1] / LOG10
        weights = model.tables.backoff[k - 1] / LOG10 if k < model.order else np.zeros(len(rows))
        for row, p, weight in zip(rows.tolist(), log_p.tolist(), weights.tolist(), strict=True):
            found[tuple(model.vocabulary.decode(row))] = (p, weight)
    return found


# KenLM ---------------------------------------------------------------------------------------


def test_kenlms_file_scores_as_kenlm_scores() -> None:
    model = NGramModel.from_arpa(KENLM3)
    assert model.ngram_counts == [2508, 13394, 22581]
    for expected in scored(3):
        scores = model.token_scores(expected.sentence) / LOG10
        assert scores == pytest.approx(expected.tokens, abs=1e-5)
        assert model.score(expected.sentence) / LOG10 == pytest.approx(expected.total, abs=1e-4)
    text = Corpus.from_text(
        "\n".join(s.sentence for s in scored(3)), model.tokenizer, vocabulary=model.vocabulary
    )
    _, lengths, unknown = model.full_scores(text)
    assert lengths.tolist() == [n for s in scored(3) for n in s.lengths]
    assert unknown.sum() == sum(s.n_oov for s in scored(3))


@pytest.mark.parametrize("order", [3, 5])
def test_our_own_model_scores_as_kenlms(order: int) -> None:
    scores, lengths, _ = trained(order).full_scores(held_out())
    assert scores / LOG10 == pytest.approx([p for s in scored(order) for p in s.tokens], abs=1e-5)
    assert lengths.tolist() == [n for s in scored(order) for n in s.lengths]


def test_every_probability_and_weight_is_kenlms(tmp_path: Path) -> None:
    trained(3).save_arpa(tmp_path / "own.arpa")
    own, kenlm = entries(NGramModel.from_arpa(tmp_path / "own.arpa")), entries(read_kenlm())
    assert own.keys() == kenlm.keys()
    del own["<s>",], kenlm["<s>",]
    difference = np.array([own[n] for n in own]) - np.array([kenlm[n] for n in own])
    assert np.abs(difference).max() < 1e-5


def read_kenlm() -> NGramModel:
    return NGramModel.from_arpa(KENLM3)


def test_kenlm_reads_what_we_write(tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm")
    trained(3).save_arpa(tmp_path / "own.arpa")
    model = kenlm.Model(str(tmp_path / "own.arpa"))
    for expected in scored(3):
        found = list(model.full_scores(expected.sentence))
        assert [p for p, _, _ in found] == pytest.approx(expected.tokens, abs=1e-4)
        assert [n for _, n, _ in found] == expected.lengths


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".bz2"])
def test_what_is_written_is_read_again(tmp_path: Path, suffix: str) -> None:
    model = trained(2)
    path = tmp_path / f"model.arpa{suffix}"
    model.save_arpa(path)
    again = NGramModel.from_arpa(path)
    assert again.vocabulary == model.vocabulary
    for k in range(2):
        assert np.array_equal(again.tables.words[k], model.tables.words[k])
        assert again.tables.log_prob[k][2:] == pytest.approx(model.tables.log_prob[k][2:], abs=3e-6)
    first = path.read_bytes()
    model.save_arpa(path)
    assert path.read_bytes() == first


# Other tools, and what happens to files ------------------------------------------------------


def test_a_small_file(tmp_path: Path) -> None:
    model = read(tmp_path, SMALL)
    assert log10(model, "c", "a b") == pytest.approx(-0.05)
    assert log10(model, "b", "a b") == pytest.approx(-0.11 - 0.1 - 0.7)
    assert log10(model, "</s>", "a b") == pytest.approx(-0.11 - 0.1 - 0.9)
    assert log10(model, "zzz") == pytest.approx(-0.3 - 1.0)
    assert model.distribution()[model.vocabulary.bos_id] == 0
    assert model.is_distribution


VARIANTS = {
    "CRLF": lambda s: s.replace("\n", "\r\n"),
    "spaces": lambda s: s.replace("\t", "  ").replace("\n", "  \n"),
    "indented": lambda s: s.replace("\n", "\n \t"),
    "header": lambda s: "made by hand\n\n# (c) nobody\n" + s,
    "upper-case": lambda s: s.replace("<unk>", "<UNK>"),
    "counts": lambda s: s.replace("ngram 1=6", "ngram  1 = 6"),
    "blank lines": lambda s: s.replace("\n-0", "\n\n-0"),
    "no last line end": lambda s: s.rstrip("\n"),
    "shuffled": lambda s: s.replace("-0.4\ta b\t-0.11\n", "").replace(
        "\n\\3", "-0.4\ta b\t-0.11\n\n\\3"
    ),
    "weights for all": lambda s: s.replace("b c\n", "b c\t0\n").replace("</s>\n", "</s>\t0\n"),
    "exponents": lambda s: s.replace("-0.05", "-5e-2"),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_mean_the_same(tmp_path: Path, variant: str) -> None:
    expected = read(tmp_path, SMALL)
    model = read(tmp_path, VARIANTS[variant](SMALL))
    assert model.vocabulary == expected.vocabulary
    for tokens in ("a b c", "c b a zzz", "b c b c", ""):
        assert model.token_scores(tokens) == pytest.approx(expected.token_scores(tokens))


def test_packed_files_are_known_by_their_content(tmp_path: Path) -> None:
    for pack in (gzip.compress, lzma.compress, bz2.compress):
        assert read(tmp_path, pack(SMALL.encode()), "model").ngram_counts == [6, 4, 1]


def test_no_unknown_word(tmp_path: Path) -> None:
    text = SMALL.replace("-1.0\t<unk>\n", "").replace("1=6", "1=5")
    assert log10(read(tmp_path, text), "zzz", "b") == pytest.approx(-0.1 - 100)


def test_no_ends_make_a_stream(tmp_path: Path) -> None:
    text = SMALL.replace("-0.9\t</s>\n", "").replace("1=6", "1=5")
    text = text.replace("-0.45\tc </s>\n", "").replace("2=4", "2=3")
    model = read(tmp_path, text)
    assert not model.vocabulary.ends
    assert model.score("a b c") / LOG10 == pytest.approx(-0.5 - 0.55 - 0.05)
    assert len(model.token_scores("a b c")) == 3


def test_positive_back_off_weights(tmp_path: Path) -> None:
    model = read(tmp_path, SMALL.replace("-0.11", "0.11"))
    assert log10(model, "b", "a b") == pytest.approx(0.11 - 0.1 - 0.7)


def test_ngrams_whose_suffix_was_pruned(tmp_path: Path) -> None:
    text = SMALL.replace("-0.35\tb c\n", "").replace("2=4", "2=3")
    model = read(tmp_path, text)
    assert log10(model, "c", "a b") == pytest.approx(-0.05)
    assert log10(model, "c", "b") == pytest.approx(-0.1 - 0.6)
    # As KenLM has it: the missing bigram counts as found.
    scores = [model.score_next(model.state("b"), model.vocabulary.id("c"))]
    assert scores[0][1] == 2
    assert log10(model, "</s>", "a b c") == pytest.approx(-0.45)


def test_ngrams_whose_prefix_was_pruned(tmp_path: Path) -> None:
    text = SMALL.replace("-0.4\ta b\t-0.11\n", "").replace("2=4", "2=3")
    model = read(tmp_path, text)
    assert log10(model, "c", "a b") == pytest.approx(-0.05)
    assert log10(model, "b", "a") == pytest.approx(-0.15 - 0.2 - 0.7)
    assert log10(model, "a", "a b") == pytest.approx(-0.1 - 0.8)


def test_what_a_file_lacks_is_no_ngram_of_the_model(tmp_path: Path) -> None:
    """Neither counted nor written, in model files neither: `a b` and `b c` are only filled in."""
    text = SMALL.replace("-0.4\ta b\t-0.11\n", "").replace("-0.35\tb c\n", "")
    model = read(tmp_path, text.replace("2=4", "2=2"))
    assert model.ngram_counts == [6, 2, 1]
    model.save(tmp_path / "model.lm")
    again = load(tmp_path / "model.lm")
    assert isinstance(again, NGramModel)
    again.save_arpa(tmp_path / "again.arpa")
    lines = (tmp_path / "again.arpa").read_text().splitlines()
    assert [line for line in lines if line.startswith("ngram")] == [
        "ngram 1=6",
        "ngram 2=2",
        "ngram 3=1",
    ]
    assert sum("\t" in line for line in lines) == 9
    assert not any("\ta b\t" in line or "\tb c" in line for line in lines)
    third = NGramModel.from_arpa(tmp_path / "again.arpa")
    for context, token in (("a b", "c"), ("a", "b"), ("b", "c"), ("a b", "a")):
        assert third.log_prob(token, context) == pytest.approx(model.log_prob(token, context))
    # What changes probabilities makes them n-grams like others.
    assert sum(quantize(again).ngram_counts) == 11


def test_damaged_blanks_are_refused(tmp_path: Path) -> None:
    text = SMALL.replace("-0.35\tb c\n", "").replace("2=4", "2=3")
    model = read(tmp_path, text)
    for wrong in ([9], [-1], [0, 0]):
        tables = replace(
            model.tables,
            blanks=[np.empty(0, np.int32), np.array(wrong, np.int32), np.empty(0, np.int32)],
        )
        NGramModel.from_tables(tables, model.reading, smoothing="given").save(tmp_path / "bad.lm")
        with pytest.raises(LangmodelsError, match=r"ngram\.2\.blanks"):
            load(tmp_path / "bad.lm")


def test_predictions_of_the_beginning_are_dropped(tmp_path: Path) -> None:
    text = SMALL.replace("\n\\3-", "-0.2\ta <s>\n\n\\3-").replace("2=4", "2=5")
    model = read(tmp_path, text)
    assert model.ngram_counts == [6, 4, 1]
    assert model.distribution("a")[1] == 0


def test_words_that_are_not_utf8_and_odd_spaces_survive(tmp_path: Path) -> None:
    data = SMALL.encode().replace(b"\tc", b"\t\xe9\xa0").replace(b" c", b" \xe9\xa0")
    data = data.replace(b"\ta", "\t\u00a0x".encode()).replace(b" a", " \u00a0x".encode())
    model = read(tmp_path, data)
    assert "\u00a0x" in model.vocabulary
    model.save_arpa(tmp_path / "again.arpa")
    again = NGramModel.from_arpa(tmp_path / "again.arpa")
    assert again.vocabulary == model.vocabulary
    assert b"\t\xe9\xa0\t" in (tmp_path / "again.arpa").read_bytes()


def test_characters_are_written_and_read(tmp_path: Path) -> None:
    for level in ("char", "byte"):
        tokenizer = make_tokenizer(level)
        text = Corpus.from_text("to be\n<or> not <0x20>\tto be\n", tokenizer)
        model = NGramModel(3, "witten_bell").fit(text)
        model.save_arpa(tmp_path / "c.arpa")
        for known in (tokenizer, None):
            again = NGramModel.from_arpa(tmp_path / "c.arpa", known)
            assert again.vocabulary == model.vocabulary
            assert again.tokenizer == tokenizer
            assert again.score_corpus(text) == pytest.approx(model.score_corpus(text), abs=1e-4)
    assert "<0x20>" in (tmp_path / "c.arpa").read_text()


def test_how_a_text_was_cut_and_cleaned_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "c.arpa.gz"
    for level, options, cleaning in (
        ("word", {"lower": True}, "none"),
        ("whitespace", {}, "lower"),
        ("symbols", {"width": 2, "lines": True}, "none"),
    ):
        text = Corpus.from_text(
            "ToBe Or\nNotTo Be\n", make_tokenizer(level, **options), cleaning=cleaning
        )
        model = NGramModel(2, "witten_bell").fit(text)
        model.save_arpa(path)
        again = NGramModel.from_arpa(path)
        assert again.reading == model.reading
        assert again.score("ToBe Or") == pytest.approx(model.score("ToBe Or"), abs=1e-4)
    # Comments of others are no notes.
    path = tmp_path / "x.arpa"
    for line in ("# langmodels", "# langmodels is great", '# langmodels {"parsec": 1}'):
        path.write_text(f"{line}\n{SMALL}")
        assert NGramModel.from_arpa(path).tokenizer == WhitespaceTokenizer(unicode=False)


@pytest.mark.parametrize(
    "note",
    [
        '{"level": "parsec"}',
        '{"level": ["word"]}',
        '{"level": "word", "cleaning": []}',
        '{"level": "word", "cleaning": "soap"}',
        '{"level": "symbols", "width": 99999999999}',
        '{"level": "symbols", "width": 2.5}',
        '{"level": "word", "case": 1}',
    ],
)
def test_notes_that_make_no_sense_are_refused(tmp_path: Path, note: str) -> None:
    """Read as if they were not there, they would change how text is cut in silence."""
    path = tmp_path / "x.arpa"
    path.write_text(f"# of mine\n# langmodels {note}\n{SMALL}")
    with pytest.raises(LangmodelsError, match=r"x\.arpa, line 2: the note of how its text was cut"):
        NGramModel.from_arpa(path)
    # Who says how the text was cut knows better.
    assert NGramModel.from_arpa(path, make_tokenizer("word")).tokenizer.level == "word"


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_note_may_hold_a_large_tokenizer(tmp_path: Path, suffix: str) -> None:
    """Larger than what is read of a file to see what it is; pieces may be parts of characters."""
    pytest.importorskip("tokenizers")
    text = "".join(map(chr, range(0x4E00, 0x5A00))) * 2
    corpus = Corpus.from_text(text, make_tokenizer("bpe", vocab=3000))
    model = NGramModel(2, "witten_bell").fit(corpus)
    path = tmp_path / f"large.arpa{suffix}"
    model.save_arpa(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = NGramModel.from_arpa(path)
    assert path.suffix == ".gz" or path.read_bytes().index(b"\\data\\") > 1 << 16
    assert again.score(text[5:50]) == pytest.approx(model.score(text[5:50]), abs=1e-3)
    other = path.rename(tmp_path / "large")  # known by what is in it
    assert load(other).score(text[5:50]) == again.score(text[5:50])


def test_kenlm_reads_characters(tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm")
    text = Corpus.from_text("to be or not to be", make_tokenizer("char"))
    model = NGramModel(2, "witten_bell").fit(text)
    model.save_arpa(tmp_path / "c.arpa")
    score = kenlm.Model(str(tmp_path / "c.arpa")).score("t o <0x20> b e", eos=False)
    assert score == pytest.approx(model.score("to be") / LOG10, abs=1e-4)


@pytest.mark.parametrize("smoothing", ["mle", "witten_bell"])
@pytest.mark.parametrize("tokenizer", [make_tokenizer("word"), FOREIGN])
def test_what_is_impossible_stays_so(tmp_path: Path, smoothing: str, tokenizer: Tokenizer) -> None:
    """-99 is a number to other tools; of a file of one's own it is known what it stands for."""
    text = Corpus.from_text("a b\nb a\na c b\n", tokenizer)
    model = close(NGramModel(2, smoothing).fit(text))
    model.save_arpa(tmp_path / "m.arpa")
    written = (tmp_path / "m.arpa").read_text()
    assert "-99\t<unk>" in written
    again = NGramModel.from_arpa(tmp_path / "m.arpa")
    for context in ("", "a", "b", "c", "zzz"):
        expected = model.log_distribution(model.state(context))
        found = again.log_distribution(again.state(context))
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert again.score("a zzz") == -math.inf
    assert NGramModel.from_arpa(tmp_path / "m.arpa", tokenizer).score("a zzz") == -math.inf
    # Without the note it is what KenLM makes of it.
    (tmp_path / "o.arpa").write_text(written.partition("\n")[2])
    other = NGramModel.from_arpa(tmp_path / "o.arpa")
    assert other.tables.log_prob[0][0] / LOG10 == pytest.approx(-99)
    (tmp_path / "o.arpa").write_text(written.partition("\n")[2].replace("-99\t", "-inf\t"))
    assert NGramModel.from_arpa(tmp_path / "o.arpa").log_prob("zzz") == -math.inf


def test_models_without_zeros_have_no_note(tmp_path: Path) -> None:
    """What other tools read as it is meant is written as they write it."""
    NGramModel(2).fit(Corpus.from_text("a b\nb a\n" * 3, FOREIGN)).save_arpa(tmp_path / "m.arpa")
    assert (tmp_path / "m.arpa").read_text().startswith("\\data\\")


def test_stupid_backoff_is_not_written(tmp_path: Path) -> None:
    model = NGramModel(2, "stupid_backoff").fit(alice().head(500))
    if not model.tables.unseen_backoff:
        pytest.skip("the model is normalised")
    with pytest.raises(LangmodelsError, match="Stupid"):
        model.save_arpa(tmp_path / "m.arpa")
    assert list(tmp_path.iterdir()) == []


def test_a_model_from_a_file_is_not_fitted(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="smoothing method"):
        read(tmp_path, SMALL).fit(alice().head(100))


def test_either_kind_of_file_is_opened(tmp_path: Path) -> None:
    model = read(tmp_path, SMALL)
    model.save(tmp_path / "model.lm")
    for name in ("model.arpa", "model.lm"):
        assert open_ngrams(tmp_path / name).score("a b c") == model.score("a b c")
    (tmp_path / "binary").write_bytes(b"mmap lm http://kheafield.com/code format version 5\n\0")
    with pytest.raises(LangmodelsError, match="KenLM"):
        open_ngrams(tmp_path / "binary")


# Broken files --------------------------------------------------------------------------------

BROKEN = [
    ("", "no \\data\\"),
    ("a text\nthat is no model\n", "no \\data\\"),
    ("\\data\\\n", "line 1: 'ngram 1=...' should stand here"),
    ("\\data\\\nngram 2=1\n", "line 2: the count of 1-grams"),
    (SMALL.replace("-0.05", "x"), "line 21: the log probability 'x' is not a number"),
    (SMALL.replace("-0.05", "nan"), "line 21: the log probability 'nan'"),
    (SMALL.replace("-0.05", "0.5"), "line 21: the log probability 0.5 is above 0"),
    (SMALL.replace("-0.11", "-0,11"), "line 16: the back-off weight '-0,11' is not a number"),
    (SMALL.replace("a b c", "a b d"), "line 21: the word 'd' is not among the 1-grams"),
    (SMALL.replace("a b c", "a b c -1 c"), "line 21: a 3-gram is a log probability, 3 words"),
    (SMALL.replace("\t</s>\n", "\n", 1), "line 9: a 1-gram is a log probability, 1 word and"),
    (SMALL.replace("\tc\t", "\tb\t"), "line 12: the word 'b' comes a second time"),
    (SMALL.replace("b c\n", "a b\n"), "the n-gram 'a b' twice"),
    (SMALL.replace("2=4", "2=5"), "line 20: the file has 4 2-grams here (from line 15 on)"),
    (SMALL.replace("\\3-grams:", "\\4-grams:"), "line 20: \\3-grams: should stand here, not"),
    (SMALL.replace("\n\\end\\\n", ""), "should stand here, not the end of the file"),
    (SMALL[: SMALL.index("-0.45")], "the file has 3 2-grams here"),
    (gzip.compress(SMALL.encode())[:60], "Cannot read"),
    (lzma.compress(SMALL.encode())[:60], "Cannot read"),
]


@pytest.mark.parametrize("case", range(len(BROKEN)))
def test_broken_files_are_refused_with_the_line(tmp_path: Path, case: int) -> None:
    text, message = BROKEN[case]
    with pytest.raises(LangmodelsError) as caught:
        read(tmp_path, text, "broken.arpa")
    assert message in str(caught.value)
    assert "broken.arpa" in str(caught.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    for path in (tmp_path / "none.arpa", tmp_path):
        with pytest.raises(LangmodelsError, match=r"There is no file|Cannot read"):
            NGramModel.from_arpa(path)


def test_blocks_are_put_together(tmp_path: Path, monkeypatch: Any) -> None:
    expected = read(tmp_path, SMALL)
    for size in (1, 7, 50, 64):
        monkeypatch.setattr("langmodels.ngram.arpa_lines._READ", size)
        model = read(tmp_path, SMALL)
        assert model.score("a b c a zzz") == pytest.approx(expected.score("a b c a zzz"))
        with pytest.raises(LangmodelsError, match="line 21: the word 'd'"):
            read(tmp_path, SMALL.replace("a b c", "a b d"))


# Building tables -----------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.integers(1, 6), st.integers(0, 60), st.integers(2, 2**20), st.integers(0, 2**32 - 1))
def test_lexicographic_order(k: int, n: int, v: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(max(0, v - 3), v, (n, k)).astype(np.int32)
    place = lexicographic_order(rows, v)
    assert sorted(place.tolist()) == list(range(n))
    assert rows[place].tolist() == sorted(rows.tolist())


@settings(max_examples=60)
@given(st.integers(2, 4), st.integers(0, 25), st.integers(0, 2**32 - 1))
def test_any_ngrams_make_tables_that_back_off(order: int, n: int, seed: int) -> None:
    """Against the recursion on a dictionary, prefixes and suffixes missing at random."""
    rng = np.random.default_rng(seed)
    v = 5
    rows, log_prob, backoff = [np.empty((0, 1), np.int32)], [], []
    log_prob.append(-rng.random(v).astype(np.float32))
    backoff.append(-rng.random(v).astype(np.float32))
    for k in range(2, order + 1):
        rows.append(np.unique(rng.integers(0, v, (n, k)).astype(np.int32), axis=0))
        rng.shuffle(rows[-1])
        log_prob.append(-rng.random(len(rows[-1])).astype(np.float32))
        if k < order:
            backoff.append(-rng.random(len(rows[-1])).astype(np.float32))
    tables = tables_from_ngrams(list(rows), log_prob, backoff, v)
    p = {(w,): float(log_prob[0][w]) for w in range(v)}
    weight = {(w,): float(backoff[0][w]) for w in range(v)}
    for k in range(2, order + 1):
        for i, row in enumerate(rows[k - 1].tolist()):
            p[tuple(row)] = float(log_prob[k - 1][i])
            if k < order:
                weight[tuple(row)] = float(backoff[k - 1][i])

    def expected(ngram: tuple[int, ...]) -> float:
        if ngram in p:
            return p[ngram]
        return weight.get(ngram[:-1], 0.0) + expected(ngram[1:])

    text = rng.integers(0, v, 150).astype(np.int32)  # long enough for array code
    scores, _ = tables.score(text)
    for t in range(len(text)):
        assert scores[t] == pytest.approx(expected(tuple(text[max(0, t - order + 1) : t + 1])))
    state: tuple[int, ...] = ()
    for t, word in enumerate(text.tolist()):
        log_p, length = tables.score_next(state, word)
        assert log_p == pytest.approx(scores[t], abs=1e-5)
        stepped, stepped_length, state_after = tables.step(state, word)
        assert (stepped, stepped_length) == (pytest.approx(log_p, abs=1e-5), length)
        state = tables.advance(state, word)
        assert state_after == state
    assert all((s >= 0).all() for s in suffixes_of(tables))
