"""ARPA files as other tools write them and people keep them: spaces, encodings, names, damage."""

import bz2
import gzip
import lzma
import math
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ngram_data import DATA
from test_arpa import SMALL

import langmodels
from langmodels.errors import FileWarning, LangmodelsError
from langmodels.models.base import LanguageModel
from langmodels.models.lines import score_lines
from langmodels.ngram import NGramModel
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.tokenization import WhitespaceTokenizer

LOG10 = math.log(10)

WHOLE = """\\data\\
ngram 1=5
ngram 2=2

\\1-grams:
-0.69897\t<unk>
0\t<s>\t-0.30103
-0.69897\t</s>
-0.39794\tred\t-0.425969
-0.69897\tfox\t0

\\2-grams:
-0.1549\t<s> red
-0.1549\tred fox

\\end\\
"""


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# Words ---------------------------------------------------------------------------------------


def perplexity(model: NGramModel, path: Path) -> tuple[float, int, int]:
    """Of the lines of a text, with its tokens and unknown ones."""
    scores = list(score_lines(model, [path.read_text()]))
    tokens = sum(int(s.n_tokens.sum()) for s in scores)
    total = sum(float(s.totals.sum()) for s in scores)
    return math.exp(-total / tokens), tokens, sum(int(s.n_oov.sum()) for s in scores)


def test_no_break_spaces_belong_to_words_as_in_kenlm() -> None:
    model = NGramModel.from_arpa(DATA / "no_break_spaces.lmplz.arpa")
    found = perplexity(model, DATA / "no_break_spaces.txt")
    assert found == (pytest.approx(3.1668, abs=5e-5), 29, 0)  # by KenLM's query
    text = (DATA / "no_break_spaces.txt").read_text()
    for times in (1, 3000):  # few words one by one, many by array code
        corpus = Corpus.from_text(text * times, model.tokenizer, vocabulary=model.vocabulary)
        assert (corpus.n_tokens, corpus.n_oov) == (29 * times, 0)


def test_form_feeds_belong_to_words_as_in_kenlm(tmp_path: Path) -> None:
    model = NGramModel.from_arpa(DATA / "form_feeds.lmplz.arpa")
    assert {"page", "\fpage"} <= set(model.vocabulary.tokens)
    score = model.token_scores("page two is long")
    assert math.exp(-score.mean()) == pytest.approx(4.5077, abs=5e-5)  # by KenLM's query
    assert not (model.encode("page two is long") == 0).any()
    # All that was read is written again, and the words of a model file are the same.
    model.save_arpa(tmp_path / "again.arpa")
    model.save(tmp_path / "again.lm")
    for again in (
        NGramModel.from_arpa(tmp_path / "again.arpa"),
        NGramModel.load(tmp_path / "again.lm"),
    ):
        assert again.vocabulary == model.vocabulary
        assert again.tokenizer == model.tokenizer == WhitespaceTokenizer(unicode=False)
        assert np.allclose(again.token_scores("\fpage two is"), model.token_scores("\fpage two is"))


def test_blanks_of_other_tools() -> None:
    tokenizer = WhitespaceTokenizer(unicode=False)
    text = " a\u00a0b\tc\r\n\n\u2003 d\fe\v \n"
    assert tokenizer.tokenize(text) == ["a\u00a0b", "c", "\u2003", "d\fe\v"]
    end = tokenizer.line_end
    assert tokenizer.tokenize_lines(text) == ["a\u00a0b", "c", end, end, "\u2003", "d\fe\v", end]
    assert tokenizer.gaps(text) == [" ", "\t", "\r", "", "", " ", " ", ""]
    assert tokenizer != WhitespaceTokenizer()


def test_byte_pieces_survive(tmp_path: Path) -> None:
    """`<0x0A>` is how white space in a token is written, and the name of a piece elsewhere."""
    snow = "▁snow <0xE2> <0x98> <0x83>"
    text = f"▁hello ▁wor ld <0x0A> {snow}\n▁hello {snow} <0x0A>\n"
    corpus = Corpus.from_text(text, make_tokenizer("whitespace"))
    model = NGramModel(2).fit(corpus)
    assert model.perplexity(corpus) == pytest.approx(2.2513, abs=5e-5)
    path = tmp_path / "pieces.arpa"
    model.save_arpa(path)
    assert "\t<0x0A>\t" in path.read_text()
    for _ in range(2):  # from one ARPA file to the next
        again = NGramModel.from_arpa(path)
        assert again.vocabulary == model.vocabulary
        assert again.perplexity(corpus) == pytest.approx(2.2513, abs=5e-5)
        again.save_arpa(path)
    # Characters have both: escapes, and what looks like them.
    characters = Corpus.from_text("<0x0A>\nto be", make_tokenizer("char"))
    NGramModel(2, "witten_bell").fit(characters).save_arpa(path)
    assert NGramModel.from_arpa(path).vocabulary == characters.vocabulary


def zstandard(data: bytes) -> bytes:
    packed: bytes = pytest.importorskip("zstandard").ZstdCompressor().compress(data)
    return packed


# Encodings and names -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-16-le"]
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, bz2.compress, zstandard])
def test_marks_encodings_and_names(tmp_path: Path, encoding: str, pack: type[bytes]) -> None:
    data = WHOLE.replace("fox", "fóx\U0001f98a").encode(encoding)
    path = write(tmp_path / "model", pack(data))
    model = langmodels.load(path)
    assert model.score("red fóx\U0001f98a") / LOG10 == pytest.approx(
        -0.1549 * 2 - 0.69897, abs=1e-5
    )


def test_what_is_no_utf8_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "x.arpa", WHOLE.replace("fox", "renaré").encode("latin-1"))
    with pytest.warns(FileWarning, match=r"x\.arpa has words that are not UTF-8, 'renar.' for one"):
        langmodels.load(path)
    path = write(
        path, "\ufeff".encode("utf-16-le") + WHOLE.encode("utf-16-le") + b"\x00\xd8\x00\x00"
    )
    with pytest.raises(LangmodelsError, match="UTF-16-LE text is damaged"):
        langmodels.load(path)


# What does not sum to one --------------------------------------------------------------------


def test_sums_are_right_or_are_said(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    langmodels.load(write(tmp_path / "x.arpa", WHOLE))
    assert not recwarn.list
    for old, new, what in (
        ("-0.39794\tred", "-0.3\tred", r"x\.arpa: .* but to 1\.101 after no context at all"),
        (
            "red\t-0.425969",
            "red\t-0.1",
            r"line 9: .* after 1 of 6 contexts, but to 1\.\d+ after 'red'",
        ),
        ("red fox", "red red", r"line 9: .* but to \d\.\d+ after 'red'"),
    ):
        write(tmp_path / "x.arpa", WHOLE.replace(old, new))
        with pytest.warns(FileWarning, match=what):
            langmodels.load(tmp_path / "x.arpa")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "red\t-0.425969",
            "red\t0.9",
            r"line 9: the probability of 'red' after 'red' is 3\.177",
        ),
        ("<s>\t-0.30103", "<s>\t50", "line 7: the back-off weight 50 lifts probabilities above 1"),
        ("<s>\t-0.30103", "<s>\t3e38", r"line 7: the back-off weight 3e\+38 lifts"),
    ],
)
def test_weights_that_lift_above_one(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write(tmp_path / "x.arpa", WHOLE.replace(old, new))
    with pytest.raises(LangmodelsError, match=message):
        langmodels.load(path)


def test_weights_where_they_mean_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "x.arpa", WHOLE.replace("red fox", "red fox\t-0.1"))
    with pytest.warns(FileWarning, match=r"weights at 1 n-grams of the highest order.*line 14"):
        model = langmodels.load(path)
    assert model.score("red fox") / LOG10 == pytest.approx(-0.1549 * 2 - 0.69897, abs=1e-5)
    write(path, WHOLE.replace("red fox", "red fox\tx"))
    with pytest.raises(LangmodelsError, match="line 14: the back-off weight 'x' is not a number"):
        langmodels.load(path)


# Hostile files -------------------------------------------------------------------------------


def hostile(tmp_path: Path) -> dict[str, bytes]:
    orders = range(1, 2001)
    header = "\\data\\\n" + "".join(f"ngram {k}=0\n" for k in orders) + "\n"
    sections = "".join(f"\\{k}-grams:\n\n" for k in orders)
    return {
        "at most 100": (header + sections + "\\end\\\n").encode(),
        "no .data. line": b"\n" * 2_000_000 + WHOLE.encode(),
        "nothing but blank lines": WHOLE.replace("\\2-", "\n" * 50_000_000 + "\\2-").encode(),
        "nothing but blank lines from": WHOLE.replace(
            "ngram 2", "\n" * 9_000_000 + "ngram 2"
        ).encode(),
        "line 15: the line is longer": (WHOLE[:-7] + "-0.1 x" * 9_000_000).encode(),
        "line 3: the line is longer": b"\\data\\\nngram 1=5\n" + b"x" * 50_000_000,
        "such as 'ngram 1=4'": f"\\data\\\nngram 1={'4' * 5000}\n".encode(),
        "header says 999999999999999999": WHOLE.replace("2=2", "2=999999999999999999").encode(),
    }


@pytest.mark.parametrize("message", hostile(Path()))
def test_hostile_files_cost_little_memory(tmp_path: Path, message: str) -> None:
    path = write(tmp_path / "x.arpa.gz", gzip.compress(hostile(tmp_path)[message], 1))
    tracemalloc.start()
    try:
        with pytest.raises(LangmodelsError, match=message.split(":")[-1].strip()):
            langmodels.load(path)
        assert tracemalloc.get_traced_memory()[1] < 200_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_damaged_compressed_files(tmp_path: Path, pack: type[bytes]) -> None:
    whole = pack(WHOLE.encode() * 3)
    path = tmp_path / "lm.packed"
    for at in range(len(whole)):
        for data in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            write(path, data)
            model = opened(path)
            if model is not None:  # what was damaged does not matter
                p = np.exp(model.log_distribution(model.start()))
                assert p.sum() == pytest.approx(1, abs=1e-3)


def opened(path: Path) -> LanguageModel[Any] | None:
    try:
        return langmodels.load(path)
    except LangmodelsError as error:
        if path.name not in str(error):
            raise
        return None


def test_a_small_file_of_old_is_still_read(tmp_path: Path) -> None:
    with pytest.warns(FileWarning, match="do not sum to 1"):
        assert langmodels.load(write(tmp_path / "x", SMALL)).score("a") < 0
