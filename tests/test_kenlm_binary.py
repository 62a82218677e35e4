"""Binary files of KenLM's, beside KenLM's own figures on them."""

import copy
import lzma
import math
import pickle
import struct
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ngram_data import DATA, KENLM3, scored, unpacked

from langmodels.cli.main import main
from langmodels.compat import kenlm
from langmodels.errors import LangmodelsError
from langmodels.models.lines import score_batch
from langmodels.models.mixture import MixtureModel
from langmodels.models.unigram import UnigramModel
from langmodels.ngram import NGramModel
from langmodels.ngram.kenlm import KenLMModel, trie
from langmodels.registry import load
from langmodels.text.corpus import Corpus

KINDS = ["probing", "trie", "q8b8trie", "a22q8b8trie"]
TRIES = KINDS[1:]
EXACT = KINDS[:2]
LOG10 = math.log(10)


@cache
def content(kind: str) -> bytes:
    return lzma.decompress((DATA / f"alice.kenlm3.{kind}.bin.xz").read_bytes())


@cache
def model_of(kind: str) -> KenLMModel:
    return KenLMModel(np.frombuffer(content(kind), np.uint8))


@cache
def arpa() -> NGramModel:
    return NGramModel.from_arpa(KENLM3)


def totals(kind: str) -> list[float]:
    rows = [line.split("\t") for line in unpacked("alice.kenlm3.bin.scores.tsv.xz").splitlines()]
    return [float(row[rows[0].index(kind)]) for row in rows[1:]][: len(sentences())]


def sentences() -> list[str]:
    return [s.sentence for s in scored(3)]


def write(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / f"{kind}.bin"
    path.write_bytes(content(kind))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_totals_are_those_of_kenlm(kind: str, tmp_path: Path) -> None:
    model = load(write(tmp_path, kind))
    assert isinstance(model, KenLMModel)
    together = score_batch(model, sentences()).totals / LOG10
    assert together == pytest.approx(totals(kind), abs=1e-4)
    one_by_one = [model.score(s) / LOG10 for s in sentences()]
    assert one_by_one == pytest.approx(together, abs=1e-9)
    stand_in = kenlm.Model(tmp_path / f"{kind}.bin")
    assert [stand_in.score(s) for s in sentences()] == pytest.approx(totals(kind), abs=1e-4)


@pytest.mark.parametrize("kind", EXACT)
def test_lengths_and_states_are_those_of_the_arpa_file(kind: str, tmp_path: Path) -> None:
    stand_in = kenlm.Model(write(tmp_path, kind))
    for expected in scored(3):
        found = list(stand_in.full_scores(expected.sentence))
        assert [p for p, _, _ in found] == pytest.approx(expected.tokens, abs=1e-5)
        assert [n for _, n, _ in found] == expected.lengths
        assert sum(oov for _, _, oov in found) == expected.n_oov
        state, out = kenlm.State(), kenlm.State()
        stand_in.BeginSentenceWrite(state)
        for word, p in zip(expected.sentence.split(), expected.tokens, strict=False):
            assert stand_in.BaseScore(state, word, out) == pytest.approx(p, abs=1e-5)
            state, out = out, kenlm.State()


@pytest.mark.parametrize("kind", KINDS)
def test_every_way_of_asking_agrees(kind: str) -> None:
    model = model_of(kind)
    worst = 0.0
    for sentence in sentences()[:5]:
        state = model.start()
        for token in model.encode(sentence).tolist():
            scores = model.log_distribution(state)
            assert scores[1] == -np.inf
            for other in (0, 2, 3, token):
                assert model.log_prob_next(state, other) == pytest.approx(scores[other], abs=1e-12)
            worst = max(worst, abs(float(np.exp(scores).sum()) - 1))
            state = model.advance(state, token)
    if kind in EXACT:
        assert worst < 1e-6
    assert model.is_distribution == (kind in EXACT)
    long = [sentence for sentence in sentences()[:20] for _ in range(20)]
    corpus = Corpus.from_text("\n".join(long), model.tokenizer, vocabulary=model.vocabulary)
    expected = np.concatenate([model.token_scores(sentence) for sentence in long])
    assert model.score_corpus(corpus) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("kind", EXACT)
def test_the_same_model_as_from_the_arpa_file(kind: str) -> None:
    model = model_of(kind)
    assert sorted(model.vocabulary.tokens) == sorted(arpa().vocabulary.tokens)
    assert model.ngram_counts == arpa().ngram_counts
    assert model.tokenizer == arpa().tokenizer
    assert model.context_used("the queen of") == arpa().context_used("the queen of")
    assert [t for t, _ in model.predict("alice was", 5)] == [
        t for t, _ in arpa().predict("alice was", 5)
    ]
    assert model.sample("alice", seed=3)


def test_large_tries_are_read_bit_by_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trie, "_UNPACKED", 0)
    for kind in TRIES:
        model = KenLMModel(np.frombuffer(content(kind), np.uint8))
        assert score_batch(model, sentences()).totals / LOG10 == pytest.approx(
            totals(kind), abs=1e-4
        )
        assert [model.score(s) / LOG10 for s in sentences()[:30]] == pytest.approx(
            totals(kind)[:30], abs=1e-4
        )


@pytest.mark.parametrize("kind", TRIES)
def test_tries_are_listed(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path, kind)
    assert main(["convert", str(path), str(tmp_path / "new.arpa")]) == 0
    assert main(["convert", str(path), str(tmp_path / "new.lm")]) == 0
    for name in ("new.arpa", "new.lm"):
        again = load(tmp_path / name)
        assert score_batch(again, sentences()).totals / LOG10 == pytest.approx(
            totals(kind), abs=1e-4
        )
    again = NGramModel.from_arpa(tmp_path / "new.arpa")
    assert again.ngram_counts == arpa().ngram_counts
    small = str(tmp_path / "small.lm")
    if kind == "trie":
        assert main(["prune", str(path), "--max-ngrams", "9000", "-o", small]) == 0


def test_hash_tables_are_not_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "probing")
    assert main(["convert", str(path), str(tmp_path / "new.arpa")]) == 1
    assert "cannot be listed" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["probing.bin"]
    assert main(["convert", str(path), str(tmp_path / "new.lm"), "--level", "word"]) == 0
    held = load(tmp_path / "new.lm")
    assert held.tokenizer.level == "word"
    assert held.score("alice was here") == load(path).score("alice was here")


@pytest.mark.parametrize("kind", KINDS)
def test_commands_take_them(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write(tmp_path, kind))
    text = tmp_path / "text.txt"
    text.write_text("\n".join(sentences()[:10]))
    for command in (
        ["info", path, "--arrays"],
        ["score", path, "--file", str(text), "--summary"],
        ["evaluate", path, "--corpus", str(text), "--part", "all"],
        ["predict", path, "alice was"],
        ["sample", path, "--max-tokens", "5"],
        ["explain", path, "the queen said"],
    ):
        assert main(command) == 0, capsys.readouterr().err
    capsys.readouterr()


@pytest.mark.parametrize("kind", KINDS)
def test_copies_and_parts_of_other_models(kind: str, tmp_path: Path) -> None:
    model = load(write(tmp_path, kind))
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model_of(kind))):
        assert again.score("alice was") == model.score("alice was")
    model.save(tmp_path / "kept.lm")
    assert load(tmp_path / "kept.lm").score("alice was") == model.score("alice was")
    if model.is_distribution:
        corpus = Corpus.from_text("alice was\n", model.tokenizer, vocabulary=model.vocabulary)
        mixture = MixtureModel([model, UnigramModel().fit(corpus)]).fit(corpus)
        mixture.save(tmp_path / "mixture.lm")
        assert load(tmp_path / "mixture.lm").score("alice") == pytest.approx(mixture.score("alice"))


@pytest.mark.parametrize("kind", TRIES[1:])
def test_quantized_scores_are_renormalised_where_models_are_measured(kind: str) -> None:
    model = model_of(kind).normalized()
    state = model.state("the queen of")
    assert float(np.exp(model.log_distribution(state)).sum()) == pytest.approx(1, abs=1e-5)


# Broken files --------------------------------------------------------------------------------


def refused(data: bytes, tmp_path: Path) -> str:
    path = tmp_path / "broken.bin"
    path.write_bytes(data)
    with pytest.raises(LangmodelsError) as caught:
        load(path)
    message = str(caught.value)
    assert "broken.bin" in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_files_get_a_sentence(kind: str, tmp_path: Path) -> None:
    whole = content(kind)
    for size in (40, 60, 90, 120, 500, len(whole) // 3, len(whole) // 2, len(whole) - 1):
        refused(whole[:size], tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_headers_get_a_sentence(kind: str, tmp_path: Path) -> None:
    whole = content(kind)
    assert "version" in refused(whole.replace(b"version 5", b"version 4"), tmp_path)
    assert "broken off" in refused(
        b"mmap lm http://kheafield.com/code incomplete\n".ljust(56, b"\0") + whole[56:], tmp_path
    )
    for at, form, value in (
        (60, "f", 7.0),
        (88, "B", 0),
        (88, "B", 255),
        (96, "I", 9),
        (100, "B", 0),
        (104, "I", 7),
        (108, "Q", 0),
        (108, "Q", 1 << 40),
        (116, "Q", (1 << 64) - 1),
        (124, "Q", 1 << 30),
    ):
        data = bytearray(whole)
        struct.pack_into(f"<{form}", data, at, value)
        refused(bytes(data), tmp_path)
    if kind == "probing":
        for multiplier in (math.nan, math.inf, -1.0, 0.0, 1e9):
            data = bytearray(whole)
            struct.pack_into("<f", data, 92, multiplier)
            refused(bytes(data), tmp_path)


def test_hash_tables_without_free_places_get_a_sentence(tmp_path: Path) -> None:
    """A walk through them would never end."""
    model = load(write(tmp_path, "probing"))
    assert isinstance(model, KenLMModel)
    (table, *_) = model._store._tables  # type: ignore[union-attr]
    data = bytearray(content("probing"))
    begin = table.__array_interface__["data"][0] - model._data.__array_interface__["data"][0]
    keys = np.ndarray(len(table), "<u8", data, begin, (table.itemsize,))
    keys[keys == 0] = 1
    (tmp_path / "full.bin").write_bytes(data)
    stand_in = kenlm.Model(tmp_path / "full.bin")
    with pytest.raises(LangmodelsError, match="no free places"):
        stand_in.score("alice was")


@pytest.mark.parametrize("kind", KINDS)
def test_changed_bytes_give_a_sentence_or_a_model(kind: str) -> None:
    rng = np.random.default_rng(8)
    whole = np.frombuffer(content(kind), np.uint8)
    text = sentences()[:3]
    for _ in range(40):
        data = whole.copy()
        for at in rng.integers(56, len(data), rng.choice([1, 4, 2000])).tolist():
            data[at] = rng.integers(256)
        try:
            model = KenLMModel(data)
            scores: Any = score_batch(model, text).log_probs
            distribution = model.log_distribution(model.state(text[0]))
        except LangmodelsError:
            continue
        assert not np.isnan(scores).any()
        assert not np.isnan(distribution).any()
