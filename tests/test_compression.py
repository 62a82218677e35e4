"""Arithmetic coding: sizes are cross-entropies, files come back, and nothing wrong is written."""

import math
import random
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import langmodels
from langmodels.arrays import FloatArray
from langmodels.cli.main import main
from langmodels.compression import compress, decompress
from langmodels.compression.arithmetic import Decoder, Encoder, Listed, Sizes, Table
from langmodels.compression.codec import byte_model
from langmodels.errors import LangmodelsError, UsageError
from langmodels.evaluation.compressors import compressed_sizes
from langmodels.fullcontext.growing import GrowingTree
from langmodels.models.base import LanguageModel
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer

TALE = langmodels.find_source("wonderland.txt").read()
TRAIN, PART = TALE[:20_000], TALE[20_000:21_000]
ODD = "\r\n ŞŠŞ «ß»\u00a0 \t x\x00y\x01\x02 <s> a <unk> z</s>\n\n end".encode() + b"\xff\xfe\x80"


def fitted(name: str, level: str, cleaning: str = "none") -> LanguageModel[Any]:
    corpus = Corpus.from_text(TRAIN, make_tokenizer(level), min_count=2, cleaning=cleaning)
    return langmodels.make_model(name).fit(corpus)


def sizes_of(p: FloatArray, *, listed: bool, never: int) -> Sizes:
    if listed:
        return Listed(((s, float(p[s])) for s in range(len(p)) if s != never), len(p))
    with np.errstate(divide="ignore"):
        return Table(np.log(p), never)


@pytest.mark.parametrize("listed", [False, True])
def test_symbols_come_back_from_the_fewest_bytes(listed: bool) -> None:
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.full(300, 0.05))
    symbols = [int(s) for s in rng.choice(300, 700, p=p) if s != 1]
    symbols += [0, 299, int(np.argmin(np.where(np.arange(300) == 1, 1, p)))]  # 32 bits if need be
    p[1] = 0
    encoder, ideal = Encoder(), 0.0
    for symbol in symbols:
        assert encoder.write(sizes_of(p, listed=listed, never=1), symbol) == pytest.approx(
            p[symbol], rel=1e-12, abs=0
        )
        sizes = sizes_of(p, listed=listed, never=1)
        begin, end, _ = sizes.of(symbol)
        ideal -= math.log2((end - begin) / sizes.total)
    data = encoder.finish()
    decoder = Decoder(data)
    assert [decoder.read(sizes_of(p, listed=listed, never=1)) for _ in symbols] == symbols
    assert ideal <= 8 * len(data) <= ideal + 16


def test_carries_run_through_bytes_that_are_full() -> None:
    sizes = Table(np.log([1 - 2**-31, 2**-31, 1e-300]), 2)  # almost certain, and the last of all
    for n in range(0, 40, 3):
        encoder = Encoder()
        symbols = [1] * n + [0] * 3 + [1]
        for symbol in symbols:
            encoder.write(sizes, symbol)
        decoder = Decoder(encoder.finish())
        assert [decoder.read(sizes) for _ in symbols] == symbols


@pytest.mark.parametrize(
    ("name", "level", "cleaning"),
    [
        ("mkn:order=3", "word", "none"),
        ("unigram", "word", "lower"),
        ("mle:order=2", "char", "none"),
        ("witten-bell:order=3", "char", "lower"),
        ("witten-bell:order=3", "byte", "none"),
        ("stupid-backoff", "whitespace", "none"),
        ("cache:order=2", "word", "none"),
        ("adaptive", "word", "none"),
        ("unigram", "symbols", "none"),
        ("rnn:hidden=8:epochs=1", "word", "none"),
        ("unigram", "symbols:width=3", "none"),  # these two cannot be undone
        ("unigram", "word", "article"),
    ],
)
@pytest.mark.filterwarnings("ignore::langmodels.ngram.SmoothingWarning")
def test_any_bytes_come_back_by_any_model(name: str, level: str, cleaning: str) -> None:
    model = fitted(name, level, cleaning)
    for data in (PART[:300].encode() + ODD, PART[:150].encode(), b""):
        found = compress(data, model, carry=name != "unigram")
        assert decompress(found.data, model) == data
        if math.isfinite(found.bits):
            assert 0 < 8 * len(found.data) - found.bits < 8 * 32 + 16
        lost = level == "symbols:width=3" or cleaning == "article"
        assert found.by_bytes == (lost and data != b"")


def test_the_size_is_the_cross_entropy() -> None:
    model = fitted("mkn:order=3", "char")
    corpus = Corpus.read_by(model.reading, PART)
    entropy = -model.score_corpus(corpus).sum() / np.log(2)
    found = compress(PART.encode(), model)
    assert found.residue_bits == 0
    assert found.bits == pytest.approx(entropy, rel=1e-6)
    header = 8 + 8 + 4 + 1 + 4
    assert abs(8 * (len(found.data) - header) - entropy) < 64


def test_what_is_not_right_is_said_before_anything_is_written(tmp_path: Path) -> None:
    data = PART[:400].encode()
    model, other = fitted("unigram", "word"), fitted("mkn:order=2", "word")
    for packed, right in ((compress(data).data, None), (compress(data, model).data, model)):
        rng = random.Random(2)
        for _ in range(20):
            damaged = bytearray(packed)
            damaged[rng.randrange(4, len(packed))] ^= 1 << rng.randrange(8)
            with pytest.raises(LangmodelsError, match="damaged"):
                decompress(bytes(damaged), right)
        with pytest.raises(LangmodelsError, match="damaged"):
            decompress(packed[:-1], right)
    # Sequences without end, and a text that goes on after its file, behind right checksums.
    for at, number in ((22, b"\xff\xff\xff\xff\xff\x7f"), (23, b"\xff\x7f")):
        body = compress(data).data[8:]
        body = body[: at - 8] + number + body[at - 8 + (1 if at == 22 else 2) :]
        sealed = compress(data).data[:4] + zlib.crc32(body).to_bytes(4, "big") + body
        with pytest.raises(LangmodelsError, match="damaged"):
            decompress(sealed)
    with pytest.raises(UsageError, match="another model"):
        decompress(packed, other)
    with pytest.raises(UsageError, match="give it by --model"):
        decompress(packed)
    with pytest.raises(LangmodelsError, match="was not written by"):
        decompress(b"\x1f\x8b" + packed)
    # The same model, which now rounds otherwise.
    model.log_distribution = lambda state: np.log(  # type: ignore[method-assign]
        np.full(len(model.vocabulary), 1 / len(model.vocabulary))
    )
    with pytest.raises(LangmodelsError, match="other probabilities here"):
        decompress(packed, model)


def test_a_file_survives_the_commands_and_damage_overwrites_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, packed, again = (str(tmp_path / n) for n in ("a.txt", "a.lmz", "b.txt"))
    Path(plain).write_bytes(PART.encode())
    assert main(["compress", plain, "--output", packed]) == 0
    shown = capsys.readouterr().out
    assert f"{len(Path(packed).read_bytes()):,}" in shown
    assert all(f"{size:,}" in shown for size in compressed_sizes(PART.encode()).values())
    assert main(["decompress", packed, "--output", again]) == 0
    assert Path(again).read_bytes() == Path(plain).read_bytes()
    Path(again).write_text("earlier")
    Path(packed).write_bytes(Path(packed).read_bytes()[:-2])
    assert main(["decompress", packed, "--output", again]) == 1
    assert Path(again).read_text() == "earlier"
    assert main(["decompress", packed, "--output", packed]) == 2


@given(st.binary(max_size=200))
@settings(max_examples=25)
def test_any_bytes_come_back_from_nothing(data: bytes) -> None:
    assert decompress(compress(data).data) == data


def counts_of(text: str) -> tuple[Any, ...]:
    """What a tree predicts after a text, by itself."""
    tree = GrowingTree(30)
    tree.begin(0)
    for symbol in text.encode():
        tree.push(symbol)
    return dict(tree.outcomes()), tree.unseen(), tree.n_counts, tree.matched


def test_what_is_taken_back_was_never_read() -> None:
    tree = GrowingTree(30)
    tree.begin(0)
    rng = random.Random(3)
    read = ""
    for _ in range(600):
        if read and rng.random() < 0.4:
            for _ in range(min(len(read), rng.randrange(1, 6))):
                read = read[:-1]
                tree.pop()
        else:
            read += rng.choice("aaabc")
            tree.push(ord(read[-1]))
    listed, unseen, *counts = counts_of(read)
    found = dict(tree.outcomes())
    assert list(found) == list(listed)  # decoders need the same order
    assert found == pytest.approx(listed, rel=1e-12)
    assert tree.unseen() == pytest.approx(unseen, rel=1e-12)
    assert [tree.n_counts, tree.matched] == counts


def test_the_longest_context_is_found_again() -> None:
    for text, matched in (("abcab", 2), ("aaaa", 3), ("abc", 0), ("xabcyabc", 3), ("a" * 60, 39)):
        assert counts_of(text)[3] == matched


def test_the_adaptive_model_learns_what_it_reads() -> None:
    """A second copy costs next to nothing; what a sequence taught is gone with it."""
    data = PART[:600].encode()
    once, twice = len(compress(data).data), len(compress(data + data).data)
    assert twice < once + 60
    model = byte_model()
    ids = model.encode(data.decode("latin-1"))
    two = model.sequences_of([ids, ids])
    first, second = two.sums(model.score_sequences(two))
    assert first == pytest.approx(second, rel=1e-12)
    first, second = two.sums(model.score_sequences(two.carried()))
    assert second > first / 10
    state = model.state(ids)
    early = model.state(ids[:5])
    before = model.log_distribution(early)
    model.log_distribution(state)
    assert np.array_equal(model.log_distribution(early), before)


def test_an_adaptive_model_lists_what_its_distribution_has() -> None:
    """One by one, each token once, with the same probability as in the whole distribution."""
    model = byte_model()
    state = model.state(model.encode(PART[:500]))
    listed = dict(model.outcomes(state))
    assert len(listed) == len(model.vocabulary) - 1
    log_p = model.log_distribution(state)
    assert sum(listed.values()) == pytest.approx(1)
    for token in listed:
        assert math.log(listed[token]) == pytest.approx(log_p[token], rel=1e-12)
        assert model.log_prob_next(state, token) == pytest.approx(log_p[token], rel=1e-12)
