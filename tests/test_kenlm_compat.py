"""The stand-in for KenLM's Python module, beside KenLM's own figures and a decoder made for it."""

import copy
import itertools
import math
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ngram_data import KENLM3, held_out, scored, trained

from langmodels.compat import kenlm
from langmodels.ngram import NGramModel, prune, wordwise
from langmodels.ngram.automaton import ROOT
from langmodels.ngram.tables import NGramTables
from langmodels.ngram.wordwise import WordTable
from langmodels.text.vocabulary import Vocabulary

LOG10 = math.log(10)


@pytest.fixture(scope="module")
def model() -> kenlm.Model:
    return kenlm.Model(str(KENLM3))


@pytest.fixture(scope="module")
def model5(tmp_path_factory: Any) -> kenlm.Model:
    path = tmp_path_factory.mktemp("kenlm") / "alice.lm"
    trained(5).save(path)
    return kenlm.Model(path)


@pytest.mark.parametrize("order", [3, 5])
def test_sentences_score_as_in_kenlm(order: int, model: kenlm.Model, model5: kenlm.Model) -> None:
    tested = model if order == 3 else model5
    assert tested.order == order
    for expected in scored(order):
        found = list(tested.full_scores(expected.sentence))
        assert [p for p, _, _ in found] == pytest.approx(expected.tokens, abs=1e-5)
        assert [n for _, n, _ in found] == expected.lengths
        assert sum(oov for _, _, oov in found) == expected.n_oov
        assert tested.score(expected.sentence) == pytest.approx(expected.total, abs=1e-4)
        perplexity = 10 ** (-expected.total / len(expected.tokens))
        assert tested.perplexity(expected.sentence) == pytest.approx(perplexity, rel=1e-4)


def test_boundaries_can_be_left_out(model: kenlm.Model) -> None:
    sentence = "alice was beginning"
    whole = [p for p, _, _ in model.full_scores(sentence)]
    assert model.score(sentence, eos=False) == pytest.approx(sum(whole[:-1]))
    assert model.score(sentence, bos=False) != pytest.approx(sum(whole))
    assert len(list(model.full_scores(sentence, bos=False, eos=False))) == 3
    assert model.score("", bos=False, eos=False) == 0.0
    assert model.score("") == pytest.approx(-4.749047, abs=1e-5)  # p(</s> | <s>), from KenLM
    assert model.score("alice </s>", eos=False) == pytest.approx(model.score("alice"))


def test_single_queries_are_the_chain(model: kenlm.Model) -> None:
    for expected in scored(3)[:20]:
        state, out = kenlm.State(), kenlm.State()
        model.BeginSentenceWrite(state)
        words = [*expected.sentence.split(), "</s>"]
        for word, p, length in zip(words, expected.tokens, expected.lengths, strict=True):
            full = model.BaseFullScore(state, word, out)
            assert full.log_prob == pytest.approx(p, abs=1e-5)
            assert full.ngram_length == length
            assert full.oov is (word not in model)
            again = kenlm.State()
            assert model.BaseScore(state, word, again) == full.log_prob
            assert again == out
            state, out = out, state


def test_unknown_words_score_as_in_kenlm(model: kenlm.Model) -> None:
    state, out, null = kenlm.State(), kenlm.State(), kenlm.State()
    model.BeginSentenceWrite(state)
    model.NullContextWrite(null)
    found = model.BaseFullScore(state, "zyxw", out)
    assert found.oov is True
    assert found.ngram_length == 1
    assert found.log_prob == pytest.approx(-5.144592, abs=1e-5)  # KenLM's
    assert out == null
    assert model.BaseScore(null, "</s>", out) == pytest.approx(-3.7391, abs=1e-5)
    assert model.BaseScore(null, "<s>", out) == 0.0
    assert "alice" in model
    assert b"alice" in model
    assert "</s>" in model
    assert "<s>" in model
    assert "zyxw" not in model
    assert "<unk>" not in model


def test_states_are_values(model: kenlm.Model) -> None:
    begin, null, out = kenlm.State(), kenlm.State(), kenlm.State()
    model.BeginSentenceWrite(begin)
    model.NullContextWrite(null)
    assert begin != null
    assert (begin < null) != (null < begin)
    model.BaseScore(begin, "alice", out)
    for made in (copy.copy(out), copy.deepcopy(out), pickle.loads(pickle.dumps(out))):
        assert made == out
        assert hash(made) == hash(out)
        assert made is not out
    assert len({begin, null, out, copy.copy(out)}) == 3
    kept = copy.copy(out)
    model.BaseScore(out, "was", out)  # in place
    assert out != kept


def test_equal_states_continue_equally(model: kenlm.Model) -> None:
    seen: dict[kenlm.State, list[float]] = {}
    words = ["alice", "the", "rabbit", "zyxw", "said", "march", "hare"]
    for history in itertools.product(words, repeat=2):
        state, out = kenlm.State(), kenlm.State()
        model.NullContextWrite(state)
        for word in history:
            model.BaseScore(state, word, out)
            state, out = out, kenlm.State()
        scores = [model.BaseScore(state, w, out) for w in ("the", "said", ",", "hare", "</s>")]
        assert seen.setdefault(state, scores) == scores
    assert len(seen) < len(words) ** 2


def test_what_else_the_module_offers(model: kenlm.Model, tmp_path: Path) -> None:
    config = kenlm.Config()
    config.load_method = kenlm.LoadMethod.LAZY
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    config.show_progress = False
    again = kenlm.LanguageModel(str(KENLM3).encode(), config)
    assert again.score("alice") == model.score("alice") == model.score(b"alice")
    assert model.path == str(KENLM3.resolve()).encode() or model.path.endswith(b".arpa.xz")
    assert repr(model) == "<Model from b'alice.kenlm3.arpa.xz'>"
    assert pickle.loads(pickle.dumps(model)).score("alice") == model.score("alice")
    assert model.score("alice\u00a0was") != model.score("alice was")  # as KenLM splits
    for content in (b"mmap lm http://kheafield.com/code format version 5\n", b"text", None):
        path = tmp_path / "broken"
        if content is None:
            path = tmp_path / "missing"
        else:
            path.write_bytes(content)
        with pytest.raises(OSError, match="Cannot read model"):
            kenlm.Model(str(path))


def test_scores_equal_those_of_the_kenlm_module(tmp_path: Path) -> None:
    original = pytest.importorskip("kenlm")
    trained(3).save_arpa(tmp_path / "own.arpa")
    theirs = original.Model(str(tmp_path / "own.arpa"))
    ours = kenlm.Model(tmp_path / "own.arpa")
    rng = np.random.default_rng(5)
    words = [*trained(3).vocabulary.tokens[3:400], "zyxw", "<unk>", "</s>"]
    for n in (0, 1, 2, 5, 30):
        for bos, eos in itertools.product((True, False), repeat=2):
            sentence = " ".join(rng.choice(words, n).tolist())
            assert ours.score(sentence, bos=bos, eos=eos) == pytest.approx(
                theirs.score(sentence, bos=bos, eos=eos), abs=1e-4
            )
            mine = [x[1:] for x in ours.full_scores(sentence, bos, eos)]
            assert mine == [x[1:] for x in theirs.full_scores(sentence, bos, eos)]
        assert ours.perplexity(sentence) == pytest.approx(theirs.perplexity(sentence), rel=1e-4)


@pytest.mark.filterwarnings("ignore")
def test_a_decoder_made_for_kenlm_runs_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pyctcdecode imports kenlm; given ours, it prefers what the model of Alice finds likely."""
    monkeypatch.setitem(sys.modules, "kenlm", kenlm)
    for name in [m for m in sys.modules if m.partition(".")[0] == "pyctcdecode"]:
        monkeypatch.delitem(sys.modules, name)
    pyctcdecode = pytest.importorskip("pyctcdecode")
    trained(3).save_arpa(tmp_path / "alice.arpa")
    trained(3).save(tmp_path / "alice.lm")
    labels = [" ", *"abcdefghijklmnopqrstuvwxyz'", ""]
    words = trained(3).vocabulary.tokens[3:]
    heard = "the mark hare said to alice"
    # Evidence for "the march hare", slightly weaker than for "the mark hare".
    frames = []
    for spoken, other in zip(
        "the_mark__hare_said_to_alice", "the_march_hare_said_to_alice", strict=True
    ):
        p = np.full(len(labels), 1e-3)
        for letter, weight in ((spoken, 0.55), (other, 0.45)):
            p[labels.index(" " if letter == "_" else letter)] += weight
        blank = np.full(len(labels), 1e-3)
        blank[-1] = 1
        frames += [np.log(p / p.sum()), np.log(blank / blank.sum())]
    logits = np.array(frames)
    plain = pyctcdecode.build_ctcdecoder(labels)
    assert plain.decode(logits).replace("  ", " ") == heard
    for file in ("alice.arpa", "alice.lm"):
        decoder = pyctcdecode.build_ctcdecoder(
            labels, str(tmp_path / file), unigrams=words, alpha=0.8, beta=1.0
        )
        assert decoder.decode(logits) == "the march hare said to alice"
        beams = decoder.decode_beams(logits, beam_width=20)
        assert beams[0][0] == "the march hare said to alice"
        states = beams[0][1]
        assert isinstance(states, kenlm.State)


BOUNDARY = r"""\data\
ngram 1=9
ngram 2=10

\1-grams:
-1.20412	<unk>	0
0	<s>	-0.30103
-0.7891467	</s>	0
-0.9488475	red	-0.30103
-0.7891467	fox	-0.30103
-0.7891467	ran	-0.30103
-0.9488475	hen	-0.30103
-0.9488475	a	-0.30103
-0.9488475	sat	-0.30103

\2-grams:
-0.4093996	<s> red
-0.6518575	<s> a
-0.4798441	red fox
-0.5139239	red hen
-0.4798441	fox ran
-0.5139239	fox sat
-0.235637	ran </s>
-0.235637	hen ran
-0.235637	a fox
-0.235637	sat </s>

\end\
"""


@pytest.fixture(params=["table", "steps"])
def boundary(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> kenlm.Model:
    if request.param == "steps":
        monkeypatch.setattr(kenlm, "MOST", 0)
    (tmp_path / "boundary.arpa").write_text(BOUNDARY)
    return kenlm.Model(tmp_path / "boundary.arpa")


def test_boundaries_in_a_sentence_are_words(boundary: kenlm.Model) -> None:
    """KenLM charges the back-off weight of `<s>` for a second one."""
    sentence = "<s> red fox ran </s>"
    assert boundary.score(sentence) == pytest.approx(-2.694901, abs=1e-5)
    assert boundary.score(sentence, bos=False, eos=False) == pytest.approx(-1.604725, abs=1e-5)
    scores = [p for p, _, _ in boundary.full_scores(sentence)]
    assert scores == pytest.approx(
        [-0.30103, -0.4093996, -0.4798441, -0.4798441, -0.235637, -0.7891467], abs=1e-5
    )
    begin, null, out = kenlm.State(), kenlm.State(), kenlm.State()
    boundary.BeginSentenceWrite(begin)
    assert boundary.BaseScore(begin, "<s>", out) == pytest.approx(-0.30103, abs=1e-5)
    assert out == begin
    assert boundary.BaseFullScore(begin, "<s>", out)[:2] == (pytest.approx(-0.30103, abs=1e-5), 1)
    assert boundary.BaseScore(null, "<s>", out) == 0.0
    assert out == begin


def test_wrong_types_are_type_errors(boundary: kenlm.Model) -> None:
    state = kenlm.State()
    calls: list[Callable[[Any], Any]] = [
        boundary.score,
        boundary.full_scores,
        boundary.perplexity,
        lambda wrong: boundary.BaseScore(state, wrong, state),
        lambda wrong: boundary.BaseScore(wrong, "red", state),
        lambda wrong: boundary.BaseScore(state, "red", wrong),
        lambda wrong: boundary.BaseFullScore(wrong, "red", state),
        lambda wrong: boundary.BaseFullScore(state, "red", wrong),
        boundary.BeginSentenceWrite,
        boundary.NullContextWrite,
        boundary.__contains__,
        lambda wrong: state < wrong,
    ]
    for call in calls:
        for wrong in (3, None, ["red"], 1.5, bytearray(b"red")):
            with pytest.raises(TypeError):
                call(wrong)


def test_a_word_table_says_what_the_tables_say(
    model: kenlm.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    pruned = prune(trained(5), max_ngrams=6000)
    for tables in (trained(5).tables, pruned.tables):
        table = WordTable(tables)
        step = table.step()
        for ids in itertools.islice(held_out().sequences(), 30):
            state, context = tables.start(), step(ROOT, table.codes[Vocabulary.bos_id])[1]
            for word in ids.tolist():
                log_p, length, state = tables.step(state, word)
                found, context, found_length = step(context, table.codes[word])
                assert found == pytest.approx(log_p, abs=1e-6)
                assert found_length == length
    monkeypatch.setattr(kenlm, "MOST", 0)
    by_tables = kenlm.Model(str(KENLM3))
    for expected in scored(3):
        ours, others = (list(m.full_scores(expected.sentence)) for m in (model, by_tables))
        assert [p for p, _, _ in ours] == pytest.approx([p for p, _, _ in others])
        assert [rest for _, *rest in ours] == [rest for _, *rest in others]
        assert by_tables.score(expected.sentence) == pytest.approx(model.score(expected.sentence))
    long = " ".join(expected.sentence for expected in scored(3))
    assert model.score(long) == pytest.approx(sum(p for p, _, _ in model.full_scores(long)))
    monkeypatch.setattr(kenlm, "_LONG", 1 << 20)
    assert model.score(long) == pytest.approx(by_tables.score(long))


def test_steps_are_forgotten_when_there_are_many(
    model: kenlm.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentences = [expected.sentence for expected in scored(3)]
    scores = [model.score(s) for s in sentences]
    monkeypatch.setattr(kenlm, "_KNOWN", 7)
    monkeypatch.setattr(kenlm, "MOST", 0)
    again = kenlm.Model(str(KENLM3))
    assert [again.score(s) for s in sentences] == pytest.approx(scores)
    walk = again._walk
    assert isinstance(walk, kenlm._StepsWalk)
    assert len(walk) <= 7


@pytest.mark.parametrize("most", [0, 1 << 24])
def test_many_sentences_at_once(
    model: kenlm.Model, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(kenlm, "MOST", most)
    tested = kenlm.Model(str(KENLM3))
    sentences = ["alice was zyxw", "", b"the march hare", "</s> alice", "the"]
    for bos, eos in itertools.product((True, False), repeat=2):
        singly = [model.score(s, bos, eos) for s in sentences]
        assert tested.score_many(sentences, bos, eos) == pytest.approx(singly)
    assert tested.score_many(["<s> alice", "the"])[0] == pytest.approx(model.score("<s> alice"))
    assert tested.score_many([]).shape == (0,)


@pytest.mark.parametrize("tried", [1, 64])
def test_few_letters_in_long_ngrams_find_their_places(
    monkeypatch: pytest.MonkeyPatch, tried: int
) -> None:
    """N-grams that are permutations of one another; with one try, rows have to be divided."""
    rng = np.random.default_rng(3)
    text = "\n".join(" ".join(rng.choice(["a", "b"], 40)) for _ in range(60))
    monkeypatch.setattr(wordwise, "_TRIED", tried)
    agree(NGramModel(9, "witten_bell").fit(text).tables, rng.integers(2, 5, 500))
    tables = trained(5).tables
    agree(tables, rng.integers(0, tables.vocabulary_size, 500))


def agree(tables: NGramTables, ids: Any) -> None:
    """A word table says the same as the tables, of words one after another."""
    table = WordTable(tables)
    step = table.step()
    state, context = tables.start(), table.start
    for word in ids.tolist():
        if word == Vocabulary.bos_id:
            state, context = tables.start(), table.start
            continue
        log_p, length, state = tables.step(state, word)
        found, context, found_length = step(context, table.codes[word])
        assert (found, found_length) == (pytest.approx(log_p, abs=1e-6), length)


@settings(max_examples=40, deadline=None)
@given(
    lines=st.lists(st.text("abcdef ", max_size=20), min_size=1, max_size=20),
    order=st.integers(1, 6),
    tried=st.sampled_from([1, 64]),
    most=st.sampled_from([None, 8, 30]),
)
def test_word_tables_of_any_text(
    lines: list[str], order: int, tried: int, most: int | None
) -> None:
    model = NGramModel(order, "witten_bell").fit(
        "\n".join([" ".join(line) for line in lines] + ["a"])
    )
    if most is not None and order > 1:
        model = prune(model, max_ngrams=most + model.tables.vocabulary_size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wordwise, "_TRIED", tried)
        rng = np.random.default_rng(0)
        agree(model.tables, rng.integers(0, model.tables.vocabulary_size, 200))


def test_states_need_not_be_written_first(model: kenlm.Model) -> None:
    """A new one is the empty context, whatever is asked of it first."""
    null, out = kenlm.State(), kenlm.State()
    model.NullContextWrite(null)
    assert model.BaseScore(kenlm.State(), "alice", out) == model.BaseScore(null, "alice", out)
    full = model.BaseFullScore(null, "alice", out)
    assert model.BaseFullScore(kenlm.State(), "alice", out) == full
    assert isinstance(full, kenlm.FullScoreReturn)
    assert (
        kenlm.State()
        == null
        == copy.copy(kenlm.State())
        == pickle.loads(pickle.dumps(kenlm.State()))
    )
    assert hash(kenlm.State()) == hash(null)
    assert kenlm.State() < out
    with pytest.raises(TypeError, match="a State is needed"):
        model.BaseScore(kenlm.State(), "alice", 3)  # type: ignore[arg-type]


def test_a_call_of_a_subclass_is_its_own(model: kenlm.Model) -> None:
    class Counting(kenlm.Model):
        asked = 0

        def BaseScore(self, in_state: Any, word: Any, out_state: Any) -> float:
            self.asked += 1
            return super().BaseScore(in_state, word, out_state)

    counting, state, out = Counting(str(KENLM3)), kenlm.State(), kenlm.State()
    for word in ("alice", "was"):
        assert counting.BaseScore(state, word, out) == model.BaseScore(state, word, out)
    assert counting.asked == 2
