"""Models in EleutherAI's evaluation harness: requests against scores, and one small local task."""

import json
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import langmodels

pytestmark = pytest.mark.skipif(find_spec("lm_eval") is None, reason="needs lm_eval")

TEXT = "the cat sat on the mat\nthe dog sat on the log\nthe cat saw the dog\n" * 3


def model(level: str) -> langmodels.LanguageModel:
    corpus = langmodels.Corpus.from_text(TEXT, langmodels.make_tokenizer(level))
    return langmodels.make_model("witten-bell:order=3").fit(corpus)


def harnessed(fitted: langmodels.LanguageModel) -> Any:
    """A model as the harness takes it."""
    from langmodels.compat.lm_eval import HarnessModel  # imports the harness, for seconds

    return HarnessModel(fitted)


def ask(*arguments: object) -> list[SimpleNamespace]:
    return [SimpleNamespace(args=arguments)]


@pytest.mark.parametrize("level", ["word", "char"])
def test_requests_get_the_scores_of_the_model(level: str) -> None:
    fitted = model(level)
    harness = harnessed(fitted)
    whole, context = (fitted.token_scores(t) for t in ("the cat sat", "the cat"))
    n = len(fitted.encode("the cat"))
    want = whole[n : len(fitted.encode("the cat sat"))].sum()
    before = "it rains\n" if level == "word" else ""
    [(found, greedy)] = harness.loglikelihood(ask(before + "the cat", " sat"))
    assert found == pytest.approx(want)
    best = fitted.predict("the cat", 1)[0][0]
    assert greedy is (best == "sat") or level == "char"
    [text] = harness.loglikelihood_rolling(ask("the cat"))
    assert text == pytest.approx(context[:n].sum())
    [(all_of_it, _)] = harness.loglikelihood(ask("", "the cat"))
    assert all_of_it == pytest.approx(text)


@pytest.mark.parametrize(
    ("level", "context", "continuation", "n"),
    [
        ("word", "the ca", "t sat on", 3),  # a word begun in the context
        ("word", "the cat ", "sat", 1),
        ("word", "the cat", "\n\nthe dog", 3),  # the end of the line, and the next one
        ("word", "it rains\n", "the cat", 2),
        ("word", "the cat", "", 0),
        ("char", "the cat ", "sat", 3),
        ("bpe:vocab=280", "the cat ", "sat on", 2),  # pieces hold the blanks before words
    ],
)
def test_what_belongs_to_a_continuation(
    level: str, context: str, continuation: str, n: int
) -> None:
    fitted = model(level)
    sequences = fitted.sequences_of(
        [line for line in (context + continuation).split("\n") if line]
        if fitted.vocabulary.ends
        else [context + continuation]
    )
    scores = fitted.score_sequences(sequences)
    scores = scores[: len(scores) - fitted.vocabulary.ends]
    [(found, _)] = harnessed(fitted).loglikelihood(ask(context, continuation))
    assert found == pytest.approx(scores[len(scores) - n :].sum())


def test_blank_lines_are_none() -> None:
    harness = harnessed(model("word"))
    [want, found] = harness.loglikelihood_rolling(
        ask("the cat sat\nthe dog\n") + ask("the cat sat\n\n \nthe dog\n")
    )
    assert found == want


def test_generation_ends_where_it_should() -> None:
    harness = harnessed(model("char"))
    [text] = harness.generate_until(ask("the c", {"until": ["\n"], "max_gen_toks": 40}))
    assert text.startswith("at s")
    assert "\n" not in text


@pytest.mark.slow
def test_the_harness_runs_a_local_task(tmp_path: Path) -> None:
    items = [{"q": "the cat sat on the", "good": "mat", "bad": "saw"} for _ in range(4)]
    (tmp_path / "items.json").write_text(json.dumps(items), encoding="utf-8")
    task = {
        "task": "mat",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "items.json")}},
        "output_type": "multiple_choice",
        "test_split": "test",
        "doc_to_text": "{{q}}",
        "doc_to_choice": ["mat", "saw"],
        "doc_to_target": 0,
    }
    import lm_eval
    from lm_eval.tasks import TaskManager

    found = lm_eval.simple_evaluate(
        model=harnessed(model("word")),
        tasks=[task],
        bootstrap_iters=0,
        num_fewshot=0,
        task_manager=TaskManager(include_defaults=False),  # else thousands of files are read
    )
    assert np.isclose(found["results"]["mat"]["acc,none"], 1.0)
