"""Subwords learnt on the training text, and pieces of sentencepiece models."""

import base64
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import langmodels
from langmodels.errors import LangmodelsError, UsageError
from langmodels.evaluation.characters import text_costs
from langmodels.ngram import NGramModel
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.pieces import PiecesTokenizer
from langmodels.text.splits import Splits
from langmodels.text.streams import TextStream
from langmodels.text.subwords import BPETokenizer, UnigramTokenizer
from langmodels.text.tokenization import Tokenizer

TALE = (
    "The heron stood in the water, and the hen sat under the old tree.\n" * 12 + "Ένα παιδί\n" * 3
)


@pytest.fixture(scope="module", params=["bpe", "unigram"])
def learnt(request: Any) -> Tokenizer:
    pytest.importorskip("tokenizers")
    return make_tokenizer(f"{request.param}:vocab=300").fit(TALE)


def test_pieces_are_learnt_on_the_training_text(learnt: Tokenizer) -> None:
    tokens = learnt.tokenize("the heron, the hen\n")
    assert len(tokens) < 16
    assert "".join(tokens) == "the heron, the hen\n"
    assert learnt.types is not None
    assert len(learnt.types) <= 300
    assert learnt.fit("something else") is learnt


@given(st.text(st.characters(exclude_categories=["Cs"])))
@settings(max_examples=60)
def test_nothing_is_lost_or_unknown(learnt: Tokenizer, text: str) -> None:
    tokens = learnt.tokenize(text)
    assert learnt.detokenize(tokens) == text
    assert learnt.types is not None
    assert set(tokens) <= set(learnt.types)
    ends = learnt.token_ends(text)
    assert len(ends) == len(tokens)
    assert (np.diff(ends, prepend=0) >= 0).all()
    assert not len(ends) or ends[-1] == len(text)


@given(
    st.lists(
        st.sampled_from(["the ", "hen", "\n", " ", "  ", "é", "\t", "s's", "tree."]), max_size=30
    )
)
@settings(max_examples=60)
def test_pieces_do_not_depend_on_where_a_text_is_cut(learnt: Tokenizer, parts: list[str]) -> None:
    text = "".join(parts)
    for end in range(len(text) + 1):
        cut = learnt.safe_cut(text[:end])
        assert [*learnt.tokenize(text[:cut]), *learnt.tokenize(text[cut:])] == learnt.tokenize(text)


def test_models_of_pieces(learnt: Tokenizer, tmp_path: Path) -> None:
    """Every piece has a probability, seen or not; files keep the pieces."""
    corpus = Corpus.from_text(TALE, learnt)
    assert corpus.n_oov == 0
    model = NGramModel(order=3).fit(corpus)
    assert model.score("漢字 – never seen") > -math.inf
    assert model.distribution("the ").sum() == pytest.approx(1, abs=1e-6)
    model.save(tmp_path / "pieces.lm")
    loaded = langmodels.load(tmp_path / "pieces.lm")
    assert loaded.score("the heron 漢") == model.score("the heron 漢")
    assert loaded.sample_text("the", seed=3) == model.sample_text("the", seed=3)
    with pytest.raises(UsageError, match=r"--level pieces:file=my/tokenizer\.json"):
        make_tokenizer("bpe:file=my/tokenizer.json")
    with pytest.raises(UsageError, match=r"--level sentencepiece:file=my\.model"):
        make_tokenizer("unigram:file=my.model")
    with pytest.raises(UsageError, match="more than"):
        make_tokenizer("bpe:vocab=10")
    with pytest.raises(UsageError, match="fit"):
        make_tokenizer("bpe").tokenize("a")
    with pytest.raises(LangmodelsError):
        make_tokenizer("bpe", model="{}").tokenize("a")


def test_splits_learn_pieces_on_the_training_part() -> None:
    pytest.importorskip("tokenizers")
    splits = Splits.from_text(TALE + "zyzzyva " * 40, "bpe:vocab=280", fractions=(0.6, 0.2, 0.2))
    assert not any("zyz" in piece for piece in splits.train.tokenizer.types or ())
    assert splits.test.n_oov == 0
    assert splits.test.tokenizer is splits.train.tokenizer


def test_models_of_sentencepiece(tmp_path: Path) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TALE.splitlines()), model_writer=file, vocab_size=34,
        character_coverage=1.0, minloglevel=2,
    )  # fmt: skip
    path = tmp_path / "tale.model"
    path.write_bytes(file.getvalue())
    tokenizer = make_tokenizer(f"sentencepiece:file={path}")
    direct = sentencepiece.SentencePieceProcessor(model_file=str(path))
    line = "the heron in the old tree"
    assert tokenizer.tokenize(line) == direct.encode(line, out_type=str)
    assert tokenizer.detokenize(tokenizer.tokenize(line)) == line
    assert tokenizer.tokenize_lines("the\n\nhen") == [
        *tokenizer.tokenize("the"), "\n", "\n", *tokenizer.tokenize("hen")
    ]  # fmt: skip
    model = NGramModel(order=2, smoothing="witten_bell").fit(Corpus.from_text(TALE, tokenizer))
    model.save(tmp_path / "m.lm")
    path.unlink()  # the pieces are in the model's file
    assert langmodels.load(tmp_path / "m.lm").score(line) == model.score(line)
    with pytest.raises(UsageError, match="file=NAME"):
        make_tokenizer("sentencepiece")
    with pytest.raises(LangmodelsError, match=r"nowhere\.model"):
        make_tokenizer("sentencepiece:file=nowhere.model")
    piece = next(token for token in tokenizer.types if token[0] == "▁" and token[1:]).encode()
    path.write_bytes(file.getvalue().replace(piece, piece[:1] + b"_" + piece[2:]))
    with pytest.raises(LangmodelsError, match="not a sentencepiece model"):
        Corpus.from_text(TALE, make_tokenizer(f"sentencepiece:file={path}"))


def sentencepiece_model(text: str, **options: Any) -> Tokenizer:
    sentencepiece = pytest.importorskip("sentencepiece")
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text.splitlines()), model_writer=file,
        hard_vocab_limit=False, minloglevel=2, **{"vocab_size": 40, **options},
    )  # fmt: skip
    return make_tokenizer("sentencepiece", model=base64.b64encode(file.getvalue()).decode())


def test_a_text_that_pieces_change_is_paid_for() -> None:
    """Its blanks, compatibility characters, blank lines and unknown characters."""
    tokenizer = sentencepiece_model(TALE)
    same = "the heron stood in the water\nthe hen sat\n"
    other = "\nthe  heron ﬁne in 漢 water \n\n\n\tthe hen sat\n"
    paid = {}
    for text in (same, other):
        splits = Splits.from_parts((TALE, TALE, text), tokenizer)
        costs = text_costs(splits)
        assert costs.ends[-1] == costs.length == len(text)
        assert (np.diff(costs.ends) >= 0).all()
        paid[text] = costs.parts["changes"]
    assert paid[same] < 2
    characters = 9  # two blanks, a ligature, a character, three line ends, two blanks
    assert paid[other] > characters * math.log(2)


def test_single_bytes_of_a_character_change_nothing() -> None:
    tokenizer = sentencepiece_model(TALE, byte_fallback=True, vocab_size=320)
    text = "the hen 漢字\n漢 sat\n"
    assert "<0xE6>" in tokenizer.tokenize_lines(text)
    costs = text_costs(Splits.from_parts((TALE, TALE, text), tokenizer))
    spelled = 3 * math.log(0x110000)  # three characters that were never seen
    assert costs.parts["changes"] < spelled / 2


def test_a_tokenizer_that_does_not_keep_the_bytes(tmp_path: Path) -> None:
    """WordPiece whose pieces are ASCII would pass for one of bytes; lengths are not cut."""
    tokenizers = pytest.importorskip("tokenizers")
    pieces = {piece: i for i, piece in enumerate(("[UNK]", "the", "hen", "##s", "##e", "##n", "h"))}
    cut = tokenizers.Tokenizer(tokenizers.models.WordPiece(pieces, unk_token="[UNK]"))
    cut.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    cut.decoder = tokenizers.decoders.WordPiece()
    cut.enable_truncation(2)
    cut.enable_padding(length=9)
    cut.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(LangmodelsError, match=r"--level pieces:file=tokenizer\.json"):
        BPETokenizer(model=cut.to_str()).tokenize("the hen")
    tokenizer = make_tokenizer(f"pieces:file={tmp_path / 'tokenizer.json'}")
    assert tokenizer.tokenize("the hens then") == ["the", "hen", "##s", "the", "##n"]
    assert [tokenizer.reads(piece) for piece in ("the", "##s", "ox")] == [" the", "s", "ox"]
    text = "the hens\nthe ox\n"
    splits = Splits.from_parts((text * 9, text, text), tokenizer)
    costs = text_costs(splits)
    assert costs.ends.tolist() == [3, 7, 8, 12, 16]
    assert costs.extra[-1] > costs.extra[:4].sum()  # the ox is unknown, and spelled


@pytest.mark.parametrize("kind", ["bytes", "words", "whole"])
def test_the_text_of_any_tokenizer_comes_in_parts(kind: str) -> None:
    """Where it can be cut, a text is; where a blank is put before every part, it is not."""
    tokenizers = pytest.importorskip("tokenizers")
    if kind == "words":
        pieces = {piece: i for i, piece in enumerate(("[UNK]", "the", "hen", "##s", "heron"))}
        cut = tokenizers.Tokenizer(tokenizers.models.WordPiece(pieces, unk_token="[UNK]"))
        cut.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    else:
        cut = tokenizers.Tokenizer(tokenizers.models.BPE())
        if kind == "bytes":
            cut.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        else:
            cut.normalizer = tokenizers.normalizers.Prepend("_")
        alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
        trainer = tokenizers.trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet)
        cut.train_from_iterator([TALE], trainer)
    tokenizer = PiecesTokenizer(model=cut.to_str())
    text = TALE * 6
    whole = tokenizer.tokenize(text)
    assert (tokenizer.safe_cut(text) > 0) == (kind != "whole")
    parts = TextStream([text[i : i + 1700] for i in range(0, len(text), 1700)])
    corpus = Corpus.from_text(parts, tokenizer)
    assert corpus.vocabulary.decode(corpus.ids[1:].tolist()) == [
        token if token in corpus.vocabulary else "<unk>" for token in whole
    ]


def test_pieces_that_do_not_fit_together_are_refused() -> None:
    pytest.importorskip("tokenizers")
    model = json.loads(BPETokenizer(vocab=280).fit("the cat sat " * 20).model or "")
    vocab = model["model"]["vocab"]
    vocab[next(iter(vocab))] = 100_000
    with pytest.raises(LangmodelsError, match="has the number 100000"):
        BPETokenizer(vocab=280, model=json.dumps(model)).tokenize("the cat")
    model = json.loads(UnigramTokenizer(vocab=280).fit("the cat sat " * 20).model or "")
    model["model"]["vocab"] = model["model"]["vocab"][-5:]
    model["model"]["unk_id"] = None
    with pytest.raises(LangmodelsError, match="cannot cut a text"):
        UnigramTokenizer(vocab=280, model=json.dumps(model)).tokenize("the cat")


@pytest.mark.parametrize(("number", "size"), [(9, 10), (1 << 30, 0)])
def test_pieces_whose_numbers_leave_gaps(number: int, size: int) -> None:
    pytest.importorskip("tokenizers")
    model = {"type": "WordLevel", "vocab": {"red": 0, "fox": number, "?": 1}, "unk_token": "?"}
    tokenizer = PiecesTokenizer(
        model=json.dumps({"model": model, "pre_tokenizer": {"type": "Whitespace"}})
    )
    if size:
        assert len(tokenizer.types) == size
        assert tokenizer.tokenize("red fox hen") == ["red", "fox", "hen"]
    else:
        with pytest.raises(LangmodelsError, match="fewer than 4,194,304 pieces"):
            tokenizer.tokenize("red fox")
