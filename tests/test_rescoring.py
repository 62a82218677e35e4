"""Weights for n-best lists, fitted for the word error rate; lists as Kaldi writes them."""

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from langmodels.cli.main import main
from langmodels.errors import FileWarning, LangmodelsError, UsageError
from langmodels.evaluation.error_rates import token_error_rate
from langmodels.evaluation.rescoring import _Lists, read_references, tune
from langmodels.models.nbest import Hypothesis, read_nbest, rescore, with_costs
from langmodels.registry import make_model

TRAIN = "red fox ran\na red fox sat\nthe old fox ran\nthe red hen sat\n" * 4

pytestmark = pytest.mark.filterwarnings("ignore::langmodels.ngram.SmoothingWarning")


def recognised(n: int) -> tuple[list[list[Hypothesis]], dict[str, str]]:
    """Lists of a recogniser that confuses words, and what was said."""
    rng = random.Random(1)
    said = [line for line in TRAIN.splitlines()[:4] for _ in range(n // 4)]
    lists, references = [], {}
    for i, text in enumerate(said):
        words = text.split()
        hypotheses = [text]
        for _ in range(4):
            wrong = [
                w if rng.random() < 0.6 else rng.choice(["bed", "box", "run", "hat"]) for w in words
            ]
            hypotheses.append(" ".join(wrong[: rng.randrange(1, len(wrong) + 1)]))
        scored = [(rng.gauss(-len(h.split()) / 2, 2.0), h) for h in dict.fromkeys(hypotheses)]
        lists.append([Hypothesis(h, s, f"u{i}", (f"u{i}", h, f"{s:.3f}")) for s, h in scored])
        references[f"u{i}"] = text
    return lists, references


def test_weights_are_fitted_for_the_word_error_rate() -> None:
    lists, references = recognised(40)
    model = make_model("witten-bell:order=2").fit(TRAIN)
    found = tune([model], lists, references)
    words = [[references[some[0].list_id].split()] for some in lists]

    def rate(weight: float, bonus: float) -> float:
        ranked = rescore(model, lists, weight=weight, length_bonus=bonus)
        return token_error_rate([some[0].text.split() for some in ranked], words)

    assert found.before == pytest.approx(rate(0.0, 0.0))
    assert found.tuned == pytest.approx(rate(found.weights[0], found.length_bonus))
    others = [rate(w, b) for w in (0.0, 0.2, 1.0, 5.0) for b in (-2.0, 0.0, 2.0)]
    assert found.oracle <= found.tuned <= min(others)
    assert found.oracle == 0  # what was said is in every list
    assert found.tuned <= found.after < found.before
    assert found.difference == pytest.approx(found.after - found.before)
    assert found.interval[0] < found.difference < found.interval[1] < 0
    assert found.words == sum(len(r.split()) for r in references.values())


def test_a_model_that_is_of_no_use_gets_no_weight() -> None:
    rng = np.random.default_rng(0)
    errors = np.tile(np.arange(4), (30, 1))
    lists = _Lists(
        -errors.astype(np.float64), rng.normal(size=(30, 4, 1)), np.ones((30, 4)), errors,
        np.full(30, 5),
    )  # fmt: skip
    weights, bonus = lists.fit()
    assert lists.chosen(weights, bonus).sum() == 0
    assert weights[0] < 0.5


def test_what_is_impossible_is_tuned_as_it_is_rescored() -> None:
    """Infinity was a large number in fitting, which weights could make small."""
    lists, references = recognised(40)
    lists = [[replace(h, text=h.text.replace("fox", "vixen")) for h in some] for some in lists]
    model = make_model("mle:order=2").fit(TRAIN)
    smoothed = make_model("witten-bell:order=2").fit(TRAIN)
    words = [[references[some[0].list_id].split()] for some in lists]
    for models in ([model], [smoothed, model]):
        found = tune(models, lists, references)
        ranked = rescore(models, lists, weight=found.weights, length_bonus=found.length_bonus)
        first = [some[0].text.split() for some in ranked]
        assert token_error_rate(first, words) == pytest.approx(found.tuned)
        assert found.tuned < found.before


def test_impossible_hypotheses_come_last_in_the_order_of_what_is_left() -> None:
    model = make_model("mle:order=2").fit(TRAIN)
    texts = {"box ran": -3.0, "bed sat": -1.0, "red fox ran": -9.0, "hen hat": -2.0}
    some = [Hypothesis(text, score) for text, score in texts.items()]
    (ranked,) = rescore(model, [some])
    assert [h.score for h in ranked] == [-9.0, -1.0, -2.0, -3.0]
    assert [h.total for h in ranked[1:]] == [-np.inf] * 3
    (ranked,) = rescore([model, model], [some], weight=[1.0, -1.0])
    assert [h.total for h in ranked] == [-9.0, *[-np.inf] * 3]  # were no numbers


def test_each_of_several_models_has_its_weight() -> None:
    """Of two models, one says which words are right, and the other nothing of use."""
    lists, references = recognised(40)
    good = make_model("witten-bell:order=2").fit(TRAIN)
    poor = make_model("unigram").fit("bed box run hat\n" * 9)
    found = tune([good, poor], lists, references)
    assert found.tuned <= tune([good], lists, references).tuned + 0.01
    ranked = rescore([good, poor], lists, weight=found.weights, length_bonus=found.length_bonus)
    words = [[references[some[0].list_id].split()] for some in ranked]
    assert token_error_rate([some[0].text.split() for some in ranked], words) == found.tuned
    assert ranked[0][0].log_probs[0] == pytest.approx(good.score(ranked[0][0].text))
    with pytest.raises(UsageError, match="2 models need as many weights, not 3"):
        rescore([good, poor], lists, weight=[1, 2, 3])


def test_kaldis_lists_are_recognised_or_asked_about() -> None:
    lines = ["utt-a-1 red fox", "utt-a-2 bed fox", "utt-b-1 a hen", "utt-c-1"]
    lists = read_nbest(lines)
    assert [[h.text for h in some] for some in lists] == [["red fox", "bed fox"], ["a hen"], [""]]
    assert [some[0].list_id for some in lists] == ["utt-a", "utt-b", "utt-c"]
    scored = with_costs(lists, ["utt-a-1 3.5", "utt-a-2\t1", "", "utt-b-1  2", "utt-c-1 0"])
    assert [[h.score for h in some] for some in scored] == [[-3.5, -1.0], [-2.0], [0.0]]
    with pytest.raises(LangmodelsError, match="no cost of utt-c-1"):
        with_costs(lists, ["utt-a-1 3.5", "utt-a-2 1", "utt-b-1 2"])
    with pytest.raises(LangmodelsError, match="--lists kaldi or --lists plain"):
        read_nbest([*lines, "a red fox"])
    assert len(read_nbest([*lines, "a red fox"], "plain")[0]) == 5
    with pytest.raises(LangmodelsError, match="Line 5"):
        read_nbest([*lines, "a red fox"], "kaldi")
    with pytest.raises(LangmodelsError, match="not numbered so"):
        read_nbest([*lines, f"a-{'9' * 5000} a red fox"])  # more digits than Python reads
    for plain in (["covid-19 is here", "covid-20 is not"], ["mark-1 and", "so on"], ["one"]):
        assert [h.text for h in read_nbest(plain)[0]] == plain


def test_lists_are_those_of_ids_that_were_given_and_of_blank_lines() -> None:
    """A number of a list without an id was taken for an id that was given."""
    lines = ['{"id": 1, "text": "a"}', "", '{"text": "b"}', '{"text": "c"}', "2 ||| d", "", "e"]
    found = [[h.text for h in some] for some in read_nbest(lines)]
    assert found == [["a"], ["b", "c"], ["d"], ["e"]]


def test_an_id_that_comes_again_is_noticed() -> None:
    with pytest.warns(FileWarning, match="the list 0 stand in several places"):
        found = read_nbest(["0 ||| a", "1 ||| b", "0 ||| c"])
    assert [len(some) for some in found] == [1, 1, 1]


def test_references_are_read_by_name_once_each() -> None:
    assert read_references(["a red fox", "", "b ||| the  hen", "c"]) == {
        "a": "red fox",
        "b": "the  hen",
        "c": "",
    }
    with pytest.raises(LangmodelsError, match="second one for 'a'"):
        read_references(["a x", "a y"])


def test_the_command_tunes_weights_on_lists_with_references(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lists, references = recognised(20)
    nbest, refs, lm = (str(tmp_path / name) for name in ("nbest.txt", "refs.txt", "m.lm"))
    Path(nbest).write_text("".join(f"{' ||| '.join(h.fields)}\n" for some in lists for h in some))
    Path(refs).write_text("".join(f"{name} {text}\n" for name, text in references.items()))
    make_model("witten-bell:order=2").fit(TRAIN).save(lm)
    command = ["rescore", lm, "--nbest", nbest, "--tune", refs]
    assert main([*command, "--json", "--unit", "log10"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["after"] < found["before"]
    assert main([*command, "--unit", "log10"]) == 0
    shown = capsys.readouterr().out
    assert f"--weight {found['weights'][0]:.4g} --length-bonus" in shown
    assert f"{100 * found['before']:.2f} %" in shown
    weights = [f"--weight={found['weights'][0]}", f"--length-bonus={found['length_bonus']}"]
    assert main(["rescore", lm, "--nbest", nbest, "--best", "--unit", "log10", *weights]) == 0
    best = [line.split(" ||| ") for line in capsys.readouterr().out.splitlines()]
    rate = token_error_rate(
        [t.split() for _, t in best], [[references[n].split()] for n, _ in best]
    )
    assert rate == pytest.approx(found["tuned"])
    Path(refs).write_text("u0 red fox ran\n")
    assert main(command) == 1
    assert "no reference for the list 'u1'" in capsys.readouterr().err
