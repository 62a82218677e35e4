"""Words and numbers in bytes: array code gives what Python's own functions do."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langmodels.text import indexing
from langmodels.text.byte_fields import (
    WordIndex,
    decimals,
    encode_text,
    space_table,
    split_fields,
    split_lines,
)
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.vocabulary import Vocabulary

SPACES = space_table(b"\t\n\v\f\r ")
LONG = ["a" * n for n in range(1, 40)]


@given(st.binary(max_size=60) | st.text(" \n\tab", max_size=60).map(str.encode))
def test_fields_are_what_bytes_split_gives(text: bytes) -> None:
    fields = split_fields(text, SPACES)
    assert list(fields) == text.split()
    assert [fields[i] for i in range(len(fields))] == text.split()
    assert fields.sizes.tolist() == [len(word) for word in text.split()]


@given(st.text(" \n\tab", max_size=60).map(str.encode))
def test_line_feeds_lie_between_the_words_before_and_after_them(text: bytes) -> None:
    fields, before = split_lines(text, SPACES)
    feeds = [i for i, byte in enumerate(text) if byte == ord("\n")]
    assert list(fields) == text.split()
    assert before.tolist() == [len(text[:i].split()) for i in feeds]


@given(
    st.lists(st.text("abé\u4e2d\0", min_size=1, max_size=20), unique=True, max_size=40),
    st.lists(st.text("abé\u4e2d\0", min_size=1, max_size=20), max_size=40),
)
def test_the_index_knows_its_words_and_no_others(known: list[str], asked: list[str]) -> None:
    ids = {word.encode(): 7 * i for i, word in enumerate(known)}
    words = [word.encode() for word in known + asked]
    found = WordIndex(ids).find(split_fields(b" ".join(words), SPACES))
    assert found.tolist() == [ids.get(word, -1) for word in words]


def test_words_of_any_length_are_told_apart() -> None:
    ids = {word.encode(): i for i, word in enumerate(LONG)}
    asked = [word + end for word in LONG for end in ("", "b")]
    found = WordIndex(ids).find(split_fields(" ".join(asked).encode(), SPACES))
    assert found.tolist() == [ids.get(word.encode(), -1) for word in asked]


def test_a_large_index_finds_every_word() -> None:
    words = [f"w{i:x}".encode() for i in range(50_000)]
    index = WordIndex({word: i for i, word in enumerate(words)})
    order = np.random.default_rng(1).permutation(len(words))
    found = index.find(split_fields(b" ".join(words[i] for i in order.tolist()), SPACES))
    assert (found == order).all()


PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)", re.ASCII)


@given(st.lists(st.text("0123456789.+-e", min_size=1, max_size=22), min_size=1, max_size=20))
def test_decimals_are_what_float_reads(texts: list[str]) -> None:
    values = decimals(split_fields(" ".join(texts).encode(), SPACES))
    for text, value in zip(texts, values.tolist(), strict=True):
        if len(text) <= 18 and PLAIN.fullmatch(text):
            assert value == pytest.approx(float(text), rel=1e-15)
        else:
            assert math.isnan(value)


@given(st.text("ab \n\u00e9\u3000\u00a0\x1c\u2028<s/>", max_size=80))
def test_many_words_are_read_as_few_are(text: str) -> None:
    """The first piece of a text goes through a dictionary, those that follow through an index."""
    tokenizer = make_tokenizer("whitespace")
    pieces = ["a b\n", text + "\n", text + "\nb a\n"]
    read = Corpus.from_text(pieces, tokenizer)
    whole = Corpus.from_text("".join(pieces), tokenizer)
    assert read.vocabulary == whole.vocabulary
    assert read.ids.tolist() == whole.ids.tolist()
    assert read.offsets.tolist() == whole.offsets.tolist()


def test_many_words_have_the_ids_of_a_given_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = make_tokenizer("whitespace")
    vocabulary = Vocabulary(["a", "\u00e9t\u00e9", "averyveryverylongword", "\udc80"])
    text = "a \u00e9t\u00e9\u00a0a b </s> <s>\n\n\udc80 averyveryverylongword\x1fa\n"
    few = Corpus.from_text(text, tokenizer, vocabulary=vocabulary)
    monkeypatch.setattr(indexing, "_MANY", 0)
    many = Corpus.from_text(text, tokenizer, vocabulary=vocabulary)
    assert many.ids.tolist() == few.ids.tolist() == [1, 3, 4, 3, 0, 0, 0, 2, 1, 6, 5, 3, 2]
    assert encode_text("\udc80") == b"\xed\xb2\x80"
