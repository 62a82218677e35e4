"""The page's numbers, without a browser: what it answers is what the models say."""

import gzip
import json
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from langmodels.datasets import find_source
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.decoding import Decoding
from langmodels.neural.recurrent.model import RecurrentModel, RNNModel
from langmodels.ngram import NGramModel, prune
from langmodels.playground import Classroom, Limits
from langmodels.playground.actions import answer
from langmodels.playground.fields import Fields
from langmodels.playground.languages import guess_language
from langmodels.playground.panels import training
from langmodels.playground.panels.chain import cell
from langmodels.playground.panels.memory import recall
from langmodels.playground.panels.shannon import estimate, folded, passage
from langmodels.playground.work import Line
from langmodels.registry import make_model
from langmodels.teaching import chain_rule, predict_next
from langmodels.teaching.gradients import gate_activations, gradient_by_lag, gradient_norm_course
from langmodels.text.corpus import Corpus

MODELS = ("unigram", "mle:order=2", "mkn:order=3")
SENTENCE = "She looked at the heron."


@pytest.fixture(scope="module")
def classroom() -> Classroom:
    return Classroom(models=MODELS)


def ask(classroom: Classroom, name: str, /, **fields: Any) -> dict[str, Any]:
    """What a browser would get, through JSON."""
    found: dict[str, Any] = json.loads(json.dumps(answer(classroom, name, fields, "me")))
    return found


def test_next_word_is_what_the_models_predict(classroom: Classroom) -> None:
    found = ask(classroom, "next", context="She looked at the", token="heron", k=4)["models"]
    assert [m["model"] for m in found] == list(MODELS)
    for (name, model), record in zip(classroom.room().ready(), found, strict=True):
        expected = predict_next(model, "She looked at the", 4, "heron", name)
        assert [c["prob"] for c in record["candidates"]] == [c.prob for c in expected.candidates]
        assert expected.asked is not None
        assert record["asked"]["prob"] == expected.asked.prob
        assert [c["chosen"] for c in record["candidates"]] == pytest.approx(
            [c.prob for c in expected.candidates], rel=1e-6
        )
        scores = model.token_scores("She looked at the")[:4]
        assert record["surprisals"] == pytest.approx((-scores / math.log(2)).tolist())


def test_sliders_are_the_decoding(classroom: Classroom) -> None:
    sliders = {"temperature": 0.5, "top_k": 7, "top_p": 0.8}
    found = ask(classroom, "next", context="at the", models=["mkn:order=3"], k=20, **sliders)
    model = classroom.room().model("mkn:order=3")
    p = Decoding(0.5, 7, 0.8, unk=True).probabilities(model.log_distribution(model.state("at the")))
    for c in found["models"][0]["candidates"]:
        assert c["chosen"] == pytest.approx(p[model.vocabulary.id(c["token"])])
    assert found["models"][0]["kept"] == np.count_nonzero(p) <= 7


def test_a_roll_is_a_draw_and_goes_on_as_text_does(classroom: Classroom) -> None:
    question = {"model": "mkn:order=3", "context": "She looked at", "seed": 5}
    first = ask(classroom, "roll", **question)
    assert first == ask(classroom, "roll", **question)
    model = classroom.room().model("mkn:order=3")
    state = model.state("She looked at")
    assert first["token"] == model.vocabulary.token(
        Decoding().choose(model.log_distribution(state), np.random.default_rng(5))
    )
    found = ask(classroom, "next", context="She looked", models=["unigram"])["models"][0]
    assert {c["token"]: c["glue"] for c in found["candidates"]} | {",": "", "the": " "} == {
        c["token"]: c["glue"] for c in found["candidates"]
    }


def test_only_the_line_under_way_is_the_context(classroom: Classroom) -> None:
    one = ask(classroom, "next", context="One.\nShe looked", models=["mkn:order=3"])
    other = ask(classroom, "next", context="She looked", models=["mkn:order=3"])
    assert one == other


def test_the_chain_rule_is_that_of_explain(classroom: Classroom) -> None:
    for record, (name, model) in zip(
        ask(classroom, "chain", sentence=SENTENCE)["models"], classroom.room().ready(), strict=True
    ):
        expected = chain_rule(model, SENTENCE, name)
        assert [step["prob"] for step in record["steps"]] == [s.prob for s in expected.steps]
        assert math.log(record["perplexity"]) == pytest.approx(-expected.log_prob / 7)


def test_a_cell_shows_the_calculation_of_its_factor(classroom: Classroom) -> None:
    for name in MODELS:
        chain = ask(classroom, "chain", sentence=SENTENCE, models=[name])["models"][0]
        for position, step in enumerate(chain["steps"]):
            found = ask(classroom, "cell", sentence=SENTENCE, model=name, position=position)
            assert found["calculation"]["prob"] == pytest.approx(step["prob"], rel=1e-5)
            if name == "unigram":
                continue
            product = math.prod(s.get("prob", s.get("weight")) for s in found["path"])
            assert product == pytest.approx(step["prob"], rel=1e-6, abs=1e-12)
    with pytest.raises(UsageError, match="no such token"):
        ask(classroom, "cell", sentence=SENTENCE, model=name, position=7)


def test_the_lookup_of_a_pruned_model_without_smoothing(classroom: Classroom) -> None:
    """A shorter context leaves nothing to words that never came, the longer one does."""
    corpus = Corpus.from_text(find_source("lighthouse.de.txt").read(), min_count=2)
    pruned = prune(make_model("mle:order=3:backoff=true").fit(corpus), max_ngrams=300)
    for sentence in ("Jeden Abend stieg", "sagte Mina leise"):
        found = cell(pruned, classroom.room(), sentence, 2)
        product = math.prod(s.get("prob", s.get("weight")) for s in found["path"])
        assert product == pytest.approx(found["prob"], rel=1e-6)
        assert product > 0.03


@pytest.mark.parametrize(
    ("name", "fields", "sentence"),
    [
        ("nothing", {}, "no such request"),
        ("next", {"context": 5}, "must be a text"),
        ("next", {"context": "a" * 5000}, "at most 4,000"),
        ("next", {"k": 1e9}, "between 1 and 50"),
        ("next", {"k": 1.5}, "whole number"),
        ("next", {"temperature": math.nan}, "must be a number"),
        ("next", {"models": "unigram"}, "list of"),
        ("next", {"text": "/etc/passwd"}, "not here any more"),
        ("next", {"text": "../wonderland.txt"}, "not here any more"),
        ("next", {"level": "sentencepiece:model=/etc/passwd"}, "The level is one of"),
        ("add", {"name": "/etc/passwd"}, "no model"),
        ("add", {"name": "lstm:hidden=100000"}, "hidden is at most 256"),
        ("add", {"name": "mkn:order=60"}, "order is at most 10"),
        ("chain", {"sentence": " "}, "empty"),
        ("cell", {"model": "lstm", "sentence": "a"}, "not ready"),
    ],
)
def test_what_cannot_be_is_refused(
    classroom: Classroom, name: str, fields: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(LangmodelsError, match=sentence):
        answer(classroom, name, fields, "me")


def test_networks_are_trained_once_and_shared(classroom: Classroom) -> None:
    name = "rnn:hidden=4:epochs=1"
    ask(classroom, "add", name=name)
    ask(classroom, "add", name=name)
    until(lambda: classroom.room().slots[name].status == "ready")
    slots = [m for m in ask(classroom, "room")["models"] if m["name"] == name]
    assert [m["status"] for m in slots] == ["ready"]
    assert ask(classroom, "next", context="She", models=[name])["models"][0]["candidates"]


def test_an_uploaded_text_has_a_room_of_its_own() -> None:
    room = Classroom(models=["mkn:order=2"], limits=Limits(texts=1, upload=4000))
    data = "Привет, мир! Привет, ёж.\n".encode("utf-16") * 1
    text = room.upload("welt.txt", data * 1, "utf-16")
    assert room.text(text.key).read().startswith("Привет")
    text = room.upload("welt.txt", ("hello world\ngood day\n" * 40).encode())
    with pytest.raises(LangmodelsError, match="too small to divide"):
        room.room(room.upload("x", b"one").key)
    with pytest.raises(LangmodelsError, match="not here any more"):
        room.room(text.key)  # there is place for one
    with pytest.raises(LangmodelsError, match="is not utf-8 text: byte 0xff"):
        room.upload("x", b"abc \xff def")
    with pytest.raises(LangmodelsError, match="takes 4,000"):
        room.upload("x", b"a" * 4001)
    text = room.upload("brave.txt", ("hello brave world\ngood day\n" * 40).encode())
    found = answer(room, "next", {"text": text.key, "level": "word", "context": "hello"}, "me")
    assert found["models"][0]["candidates"][0]["token"] == "brave"


def test_texts_longer_than_the_limit_are_cut() -> None:
    room = Classroom(models=[], limits=Limits(text=5000))
    assert len(room.text("wonderland.txt").read()) == 5000


def test_a_path_on_the_command_line_is_not_shown(tmp_path: Any) -> None:
    path = tmp_path / "secret" / "mine.txt"
    path.parent.mkdir()
    path.write_text(find_source("wonderland.txt").read()[:5000])
    room = Classroom(models=["unigram"], source=find_source(str(path)))
    assert "secret" not in json.dumps([answer(room, n, {}, "me") for n in ("start", "room")])


def test_work_is_shared_out_in_turns() -> None:
    line, order, go = Line("test", most=20, each=6), list[str](), threading.Event()
    line.submit("first", lambda: go.wait() and False)
    for k in range(5):
        line.submit("greedy", lambda k=k: order.append(f"greedy {k}") or False)  # type: ignore
    line.submit("modest", lambda: order.append("modest") or False)  # type: ignore[func-returns-value]
    go.set()
    until(lambda: len(order) == 6)
    assert order[:3] == ["greedy 0", "modest", "greedy 1"]
    line.close()


def test_a_piece_of_work_that_is_not_done_waits_for_the_others() -> None:
    line, order, go = Line("test", most=20, each=6), list[str](), threading.Event()

    def long() -> bool:
        order.append("long")
        return order.count("long") < 3

    line.submit("first", lambda: go.wait() and False)
    line.submit("a", long)
    line.submit("b", lambda: order.append("short") or False)  # type: ignore[func-returns-value]
    go.set()
    until(lambda: len(order) == 4)
    assert order == ["long", "short", "long", "long"]
    line.close()


def test_who_has_too_much_waiting_is_told() -> None:
    line, go = Line("test", most=3, each=2), threading.Event()
    begun = threading.Event()
    line.submit("me", lambda: (begun.set(), go.wait())[1] and False)
    begun.wait()
    line.submit("me", lambda: False)
    line.submit("me", lambda: False)
    with pytest.raises(LangmodelsError, match="2 pieces of your work"):
        line.submit("me", lambda: False)
    line.submit("other", lambda: False)
    with pytest.raises(LangmodelsError, match="Too much is waiting"):
        line.submit("third", lambda: False)
    go.set()
    line.close()


def until(done: Any, seconds: float = 240) -> None:
    """Wait for work in the background."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def test_bigrams_are_what_models_of_bigrams_say(classroom: Classroom) -> None:
    found = ask(
        classroom, "counts", rows=["the", "zebra", "looked"], columns=["heron", "at", "<s>"]
    )
    assert (found["rows"], found["columns"]) == (["the", "looked"], ["heron", "at"])
    train = classroom.room().splits.train
    text = "".join(train.text or "").split()
    assert found["counts"][1][1] >= sum(a == "looked" and b == "at" for a, b in pairwise(text)) > 3
    for method in found["methods"]:
        model = NGramModel(2, method["name"]).fit(train, classroom.room().splits.validation)
        for row, first in enumerate(found["rows"]):
            p = np.exp(model.log_distribution((train.vocabulary.id(first),)))
            assert method["probs"][row] == [p[train.vocabulary.id(w)] for w in found["columns"]]
            assert sum(method["probs"][row]) + method["rest"][row] == pytest.approx(1, abs=1e-5)
            assert method["sums"][row] == pytest.approx(1, abs=1e-5)
    zeros = {m["name"]: m["zeros"][0] for m in found["methods"]}
    assert zeros["mle"] == 0
    assert zeros["laplace"] > zeros["kneser_ney"] > zeros["lidstone"] > 0


def test_a_larger_alpha_or_discount_gives_more_to_what_was_never_seen(classroom: Classroom) -> None:
    for option, name, low, high in (
        ("alpha", "lidstone", 0.01, 1.0),
        ("discount", "absolute", 0.2, 0.9),
        ("discount", "kneser_ney", 0.2, 0.9),
    ):
        few, many = (
            next(m for m in ask(classroom, "counts", **{option: x})["methods"] if m["name"] == name)
            for x in (low, high)
        )
        assert all(a < b for a, b in zip(few["zeros"], many["zeros"], strict=True))
        assert many["options"] == {option: high}


def test_a_passage_is_of_the_test_part_and_white_space_is_guessed_once() -> None:
    text = "one  two\n\nthree " * 30
    found = passage(text, seed=3, letters=20)
    assert found.before + found.letters in text
    assert len(found.before) == 120
    assert len(found.asked) == 20
    whole = found.before[-1] + found.letters
    left_out = [c for i, c in enumerate(found.letters) if i not in found.asked]
    assert left_out == [b for a, b in pairwise(whole) if a.isspace() and b.isspace()]
    with pytest.raises(LangmodelsError, match="too short"):
        passage("too short", 0)


def test_models_play_on_the_same_letters(classroom: Classroom) -> None:
    found = ask(classroom, "shannon", seed=4)
    room = classroom.room(level="char")
    assert found["before"] + found["letters"] in (room.splits.test.text or "")
    assert [m["model"] for m in found["models"]] == list(MODELS)
    model = room.model("mkn:order=3")
    record = found["models"][2]
    context = list(found["before"])
    i = 0
    for place, letter in enumerate(found["letters"]):
        if place in found["asked"]:
            p = model.distribution(context)
            alike = [
                float(
                    sum(
                        p[model.vocabulary.id(t)] for t in model.vocabulary.tokens if folded(t) == k
                    )
                )
                for k in found["keys"]
            ]
            right = alike[found["keys"].index(folded(letter))]
            assert record["bits"][i] == pytest.approx(-math.log2(right), rel=1e-6)
            assert record["ranks"][i] == sum(x > right * (1 + 1e-9) for x in alike) + 1
            i += 1
        context.append(letter)
    assert i == len(found["right"]) == 40


def test_bits_from_guesses() -> None:
    always = estimate([1] * 50)
    assert (always["lower"], always["upper"]) == (0, 0)
    even = estimate([1, 2, 3, 4] * 250)  # four letters, equally probable: two bits
    assert even["lower"] == pytest.approx(2)
    assert even["upper"] == pytest.approx(2, abs=0.01)
    shannon = estimate([1] * 79 + [2] * 8 + [3] * 3 + [4] * 2 + [5] * 2 + [7] * 3 + [8, 11, 15])
    assert shannon["first"] == 0.79
    assert 0.5 < shannon["lower"] < 1 < shannon["upper"] < 1.6
    low, high = shannon["interval"]
    assert low < shannon["upper"] < high


def test_the_class_hands_in_its_games(classroom: Classroom) -> None:
    first = answer(classroom, "hand_in", {"text": "x", "ranks": "1 1 2"}, "ann")
    both = answer(classroom, "hand_in", {"text": "x", "ranks": "3 1 1"}, "bob")
    assert (first["games"], both["games"], both["people"], both["letters"]) == (1, 2, 2, 6)
    with pytest.raises(UsageError, match="whole numbers"):
        ask(classroom, "hand_in", ranks="1 x")
    with pytest.raises(UsageError, match="at least 1"):
        ask(classroom, "estimate", ranks="0")


def test_hidden_units_and_attention_are_those_of_the_networks(classroom: Classroom) -> None:
    room = classroom.room()
    for name in ("gru:hidden=6:epochs=1", "transformer:width=16:layers=1:epochs=1:heads=2"):
        ask(classroom, "add", name=name)
        until(lambda name=name: room.slots[name].status == "ready")
    gru, transformer = list(room.slots)[-2:]
    found = ask(classroom, "memory", model=gru, sentence=SENTENCE)["activations"]
    model = room.model(gru)
    assert isinstance(model, RecurrentModel)
    expected = gate_activations(model, SENTENCE)[0]
    assert found["tokens"] == list(model.tokenize(SENTENCE))
    assert {n: np.shape(a) for n, a in found["layers"][0]["gates"].items()} == {
        n: a.shape for n, a in expected.items()
    }
    for name, gate in expected.items():
        assert np.allclose(found["layers"][0]["gates"][name], gate, atol=1e-4)
    weights = np.array(
        ask(classroom, "memory", model=transformer, sentence=SENTENCE)["attention"]["weights"]
    )
    assert weights.shape == (1, 2, 7, 7)
    assert np.allclose(weights.sum(axis=-1), 1, atol=1e-3)
    shares = ask(classroom, "gradients", model=gru)
    assert [norms[0] for norms in shares["trained"] + shares["untrained"]] == [1, 1]
    assert shares["untrained"][0][-1] < shares["untrained"][0][2] < 1
    with pytest.raises(UsageError, match="Only recurrent"):
        ask(classroom, "gradients", model=transformer)
    with pytest.raises(UsageError, match="Only recurrent"):
        ask(classroom, "memory", model="unigram", sentence=SENTENCE)


def test_a_cue_is_recalled_by_those_who_remember() -> None:
    found = recall(length=3000, lag=4)
    assert found["lags"] == [0, 1, 2, 3, 4]
    assert found["accuracy"]["witten-bell:order=5"][0] == 1
    assert found["chance"] == 0.25


def test_work_for_all_is_done_once(classroom: Classroom) -> None:
    done: list[int] = []
    assert classroom.job("x", "me").status == "absent"
    for _ in range(3):
        classroom.job("x", "me", lambda: done.append(1) or 5)  # type: ignore[func-returns-value]
    until(lambda: classroom.job("x", "me").status == "ready")
    assert (done, classroom.job("x", "me").result) == ([1], 5)

    def fail() -> None:
        raise LangmodelsError("no")

    classroom.job("y", "me", fail)
    until(lambda: classroom.job("y", "me").status == "failed")
    assert classroom.job("y", "me").note == "no"


def test_training_live_takes_the_steps_of_training(classroom: Classroom) -> None:
    room = classroom.room()
    fields = Fields({"cell": "gru", "hidden": 8, "rate": 0.01, "clip": 0.5})
    options = training.options_of(fields, 128)
    course = training.Course(room, "me", options)
    while course.step < 2:  # a turn may end after a step where the machine is busy
        assert course.turn()
    record = course.record()
    expected = gradient_norm_course(
        RecurrentModel(**options), room.splits.train, steps=min(course.step, 30), clip_norm=0.5
    )
    n = len(expected.losses)
    assert n > 1
    assert record["losses"][:n] == pytest.approx(expected.losses.tolist())
    assert record["norms"][:n] == pytest.approx(expected.norms.tolist())
    assert record["samples"][0]["step"] == 0
    later = course.record(since=2)
    assert (later["from"], later["losses"]) == (2, record["losses"][2:])


def test_training_stops_goes_on_and_goes_astray(classroom: Classroom) -> None:
    key = ask(classroom, "train", hidden=4)["key"]
    until(lambda: ask(classroom, "course", key=key)["step"] > 0)
    stopped = ask(classroom, "course", key=key, set="stop")
    assert stopped["status"] == "stopped"
    time.sleep(0.4)
    assert ask(classroom, "course", key=key)["step"] - stopped["step"] < 200
    assert ask(classroom, "course", key=key, set="go on")["status"] == "running"
    step = ask(classroom, "course", key=key)["step"]
    until(lambda: ask(classroom, "course", key=key)["step"] > step)
    wild = ask(classroom, "train", cell="relu-rnn", optimizer="sgd", rate=1000.0)["key"]
    until(lambda: ask(classroom, "course", key=wild)["status"] == "failed")
    assert "Training diverged" in ask(classroom, "course", key=wild)["note"]
    with pytest.raises(LangmodelsError, match="not here any more"):
        ask(classroom, "course", key=key)  # one at a time for each person


def test_a_training_is_in_line_once(classroom: Classroom) -> None:
    class Waiting(Line):
        def submit(self, who: str, work: Any) -> None:
            asked.append(work)

    asked: list[Any] = []
    line = Waiting("waiting", most=2, each=2)
    course = training.Course(classroom.room(), "me", training.options_of(Fields({}), 128))
    for _ in range(3):  # stopped and started faster than its turn comes
        course.go_on(line)
        assert course.status == "running"
        course.status = "stopped"
    assert len(asked) == 1
    assert not asked[0]()
    course.go_on(line)
    assert len(asked) == 2


def test_work_that_is_refused_may_be_asked_for_again() -> None:
    classroom = Classroom(models=MODELS[:1], limits=Limits(waiting_each=0))
    for _ in range(2):
        with pytest.raises(LangmodelsError, match="are waiting already"):
            ask(classroom, "compare", begin=True)
    assert ask(classroom, "compare")["status"] == "absent"
    with pytest.raises(LangmodelsError, match="are waiting already"):
        ask(classroom, "train")
    assert not classroom.live


def test_no_models_are_asked_about_where_none_is_named(classroom: Classroom) -> None:
    assert ask(classroom, "next", models=[])["models"] == []
    assert len(ask(classroom, "next")["models"]) == len(classroom.room().ready())


def test_training_that_nobody_looks_at_stops(classroom: Classroom) -> None:
    course = training.Course(classroom.room(), "me", training.options_of(Fields({}), 128))
    course.seen -= 2 * training.UNATTENDED
    assert not course.turn()
    assert (course.status, course.step) == ("stopped", 0)


def test_a_comparison_is_that_of_the_finished_models(classroom: Classroom) -> None:
    room = classroom.room()
    question = {"models": list(MODELS)}
    assert ask(classroom, "compare", **question)["status"] == "absent"
    ask(classroom, "compare", begin=True, **question)
    until(lambda: ask(classroom, "compare", **question)["status"] == "ready")
    found = ask(classroom, "compare", **question)["result"]
    assert [m["model"] for m in found["models"]] == ["mkn:order=3", "unigram", "mle:order=2"]
    for record in found["models"]:
        expected = room.model(record["model"]).perplexity(room.splits.test)
        assert record["perplexity"] == pytest.approx(expected)
    assert found["verdicts"][0].startswith("mkn:order=3 is better than unigram")
    assert b"mkn:order=3" in classroom.reports[found["report"]]


def test_models_from_files_are_shown_in_their_own_tokens() -> None:
    text = find_source("wonderland.txt").read()[:20_000]
    model = NGramModel(3).fit(Corpus.from_text(text, "char"))
    room = Classroom(models=["mkn:order=2"], files=[("letters", model)])
    first, second = ask(room, "next", context="She looke")["models"]
    assert (first["model"], first["separator"], second["separator"]) == ("letters", "", " ")
    assert first["candidates"][0]["prob"] == model.predict("She looke", 1)[0][1]
    chains = ask(room, "chain", sentence=SENTENCE)["models"]
    assert [len(chain["steps"]) for chain in chains] == [len(SENTENCE), 7]
    letters, words = ask(room, "next", context="She", token="heron")["models"]
    assert letters["problem"] == "“heron” is 5 tokens for this model; ask for one."
    assert (letters["asked"], words["asked"]["known"], words["problem"]) == (None, True, "")
    found = ask(room, "cell", sentence=SENTENCE, model="letters", position=5)
    assert found["calculation"] is None  # the text that was counted is not here
    product = math.prod(step.get("prob", step.get("weight")) for step in found["path"])
    assert product == pytest.approx(model.prob("o", list("She l")))


def test_gradients_of_a_model_from_a_file_are_of_its_own_tokens() -> None:
    """The ids of the room's words were read as those of letters."""
    text = find_source("wonderland.txt").read()[:3_000]
    model = RNNModel(hidden=4, epochs=1).fit(Corpus.from_text(text, "char"))
    room = Classroom(models=[], files=[("letters", model)])
    found = ask(room, "gradients", model="letters")["trained"]
    corpus = Corpus.read_by(model.reading, room.room().splits.train.stream())
    norms = gradient_by_lag(model, corpus, lags=20, samples=48)
    assert found == (norms / norms[:, :1]).tolist()
    with pytest.raises(UsageError, match="vocabulary of the model"):
        gradient_by_lag(model, room.room().splits.train)


def test_many_who_enter_a_new_room_at_once_find_it_furnished() -> None:
    room = Classroom(models=["mkn:order=2"])
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: ask(room, "room"), range(16)))
    assert all([m["name"] for m in each["models"]] == ["mkn:order=2"] for each in found)
    assert len({id(room.room()) for _ in range(3)}) == 1


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The heron was not in the garden, and the boy had gone to look for it.", "en"),
        ("Der Reiher ist nicht mit den Kindern auf dem Dach, und das ist gut.", "de"),
        ("Le héron ne dort pas dans la maison, et il est le roi des poissons.", "fr"),
        ("رأى مالك الحزين الضوء وطار", "ar"),
        ("گنجشک پیر از پنجره می‌پرد و چشمه را می‌بیند", "fa"),
        ("हवा ने रोशनी देखी और शांत हो गई।", "hi"),
        ("苍鹭看见了光，就飞回家了。", "zh"),
        ("アオサギは光を見て、家に帰りました。", "ja"),
        ("abcabcabc 123 abcabc", ""),
        ("", ""),
    ],
)
def test_languages_are_guessed(text: str, language: str) -> None:
    assert guess_language(text) == language


def test_files_are_read_as_the_command_line_reads_them(classroom: Classroom) -> None:
    lines = "".join(f'{{"id": {i}, "body": "one heron looked at heron {i}"}}\n' for i in range(50))
    packed = gzip.compress(lines.encode("utf-16"))
    text = classroom.upload("herons.jsonl.gz", packed, "utf-16", field="body")
    assert text.read().startswith("one heron looked at heron 0\none heron")
    sound = "herons.parquet is not a sound Parquet file"
    sound = sound if find_spec("pyarrow") else "Parquet files need the package pyarrow"
    for name, data, said in (
        ("herons.jsonl", lines.encode(), ""),  # the only field that holds texts
        ("herons.tsv", b"a b\tc\n", "Say which field of herons.tsv holds the text"),
        ("herons.txt", lines.encode(), "read as plain text; to read a field of them, say herons"),
        ("herons.txt.xz", b"no such thing", "herons.txt.xz is not a sound compressed file"),
        ("herons.txt", b"caf\xe9 au lait", "herons.txt is not utf-8 text"),
        ("herons.parquet", b"no such thing", sound),
    ):
        try:
            found = classroom.upload(name, data).description
        except LangmodelsError as error:
            found = str(error)
        assert said in found
        assert "/tmp" not in found
