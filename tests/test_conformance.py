"""What every registered model must do: the contract of `LanguageModel`, on words and characters."""

import copy
import math
import multiprocessing
import os
import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

import langmodels
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.files import pack, unpack
from langmodels.neural.encoder_decoder.model import EncoderDecoderModel
from langmodels.ngram import NGramModel
from langmodels.presets import Setting
from langmodels.registry import MODELS, make_model
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.parallel_corpus import ParallelCorpus
from langmodels.text.sequences import Sequences

TEXT = """the cat sat on the mat
the dog sat on the log
a cat and a dog ran
the mat was on the log and the cat was on the mat
who sat on the cat ?
no dog sat on a cat , said the cat
and the dog ran and ran and ran
the log was a mat to the dog
a dog is a dog and a cat is a cat
the cat ran to the dog and the dog ran to the cat
"""
HELD_OUT = "the cat ran on the zebra\nzebras , said the dog\nno mat\n"
LEVELS = ("word", "char")
CONDITIONAL = "encoder-decoder"  # not registered, since it learns from pairs
CASES = [*((name, level) for name in MODELS for level in LEVELS), (CONDITIONAL, "word")]

# Texts this small never have the counts of counts that discounts are estimated from.
pytestmark = pytest.mark.filterwarnings("ignore::langmodels.ngram.SmoothingWarning")


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def fitted(request: pytest.FixtureRequest) -> tuple[LanguageModel[Any], Corpus, str, str]:
    name, level = request.param
    train, held_out = corpora(level)
    return fit(name, level, train, held_out), held_out, name, level


def corpora(level: str) -> tuple[Corpus, Corpus]:
    # Two tokens of each kind at least, so that rare ones have become <unk> at word level.
    train = Corpus.from_text(TEXT, make_tokenizer(level), min_count=2 if level == "word" else 1)
    test = Corpus.from_text(HELD_OUT, train.tokenizer, vocabulary=train.vocabulary)
    return train, test


def fit(name: str, level: str, train: Corpus, validation: Corpus) -> LanguageModel[Any]:
    if name == CONDITIONAL:
        model = EncoderDecoderModel(hidden=16, attention="luong", epochs=2, seed=7)
        return model.fit(*map(copying, (train, validation)))
    setting = Setting(level=level, order=3, seed=7, budget="quick")
    return make_model(name, setting).fit(train, validation)


def copying(corpus: Corpus) -> ParallelCorpus:
    """Pairs of the same sequence on both sides."""
    same = {f.name: getattr(corpus, f.name) for f in fields(corpus)}
    return ParallelCorpus(**same, source=corpus)


def states(model: LanguageModel[Any], corpus: Corpus) -> list[Any]:
    found = []
    for ids in list(corpus.sequences())[:2]:
        state = model.start()
        found.append(state)
        for token in ids.tolist()[:25]:
            state = model.advance(state, token)
            found.append(state)
    return found


def test_distributions_sum_to_one_and_never_predict_the_beginning(fitted: Any) -> None:
    model, corpus, *_ = fitted
    for state in states(model, corpus):
        log_p = model.log_distribution(state)
        assert log_p.shape == (len(model.vocabulary),)
        assert log_p.dtype == np.float64
        assert not np.isnan(log_p).any()
        assert log_p[model.vocabulary.bos_id] == -np.inf
        if model.is_distribution:
            assert np.exp(log_p).sum() == pytest.approx(1.0, abs=rounding(model))


def rounding(model: LanguageModel[Any]) -> float:
    """How far a distribution may sum from 1: n-gram tables are float32, all else is float64."""
    return 1e-6 if any(name.endswith("log_prob") for name in model.arrays()) else 1e-9


def test_distributions_of_arpa_files_sum_to_one(fitted: Any, tmp_path: Any) -> None:
    model, corpus, *_ = fitted
    if not (isinstance(model, NGramModel) and model.is_distribution):
        pytest.skip("no back-off model of probabilities")
    model.save_arpa(tmp_path / "model.arpa")
    read = NGramModel.from_arpa(tmp_path / "model.arpa")
    # Six decimals of log10, of the probability and of each weight that leads to it.
    allowed = rounding(model) + model.order * 0.5e-6 * math.log(10)
    for state in states(read, corpus):
        log_p = read.log_distribution(state)
        assert np.exp(log_p).sum() == pytest.approx(1.0, abs=allowed)


def test_one_probability_agrees_with_the_distribution(fitted: Any) -> None:
    model, corpus, *_ = fitted
    for state in states(model, corpus)[::5]:
        log_p = model.log_distribution(state)
        for token in [0, *range(model.vocabulary.n_special, len(model.vocabulary), 4)]:
            assert model.log_prob_next(state, token) == pytest.approx(log_p[token], abs=1e-5)


def test_score_is_the_chain_rule(fitted: Any) -> None:
    model, corpus, *_ = fitted
    tokens = model.vocabulary.decode(next(corpus.sequences())[:20])
    scores = model.token_scores(tokens)
    ended = [*tokens, "</s>"] if model.vocabulary.ends else tokens
    chain = [model.log_prob(t, context=ended[:i]) for i, t in enumerate(ended)]
    assert scores == pytest.approx(chain, abs=1e-5)
    assert model.score(tokens) == pytest.approx(sum(chain), abs=1e-4)
    assert model.prob(ended[1], ended[:1]) == pytest.approx(math.exp(chain[1]), rel=1e-4)


def test_scoring_a_corpus_equals_the_plain_loop(fitted: Any) -> None:
    model, corpus, *_ = fitted
    ids = Sequences(corpus.ids, corpus.offsets)  # the loop cannot read unknown words
    slow = LanguageModel.score_sequences(model, ids)
    assert model.score_sequences(ids) == pytest.approx(slow, abs=1e-4)
    fast = model.score_corpus(corpus)
    assert fast.shape == (corpus.n_tokens,)
    judged = model.normalized().score_corpus(corpus)
    expected = math.exp(-judged.mean()) if np.isfinite(judged).all() else math.inf
    assert model.is_distribution == np.array_equal(judged, fast)
    assert model.perplexity(corpus) == pytest.approx(expected)


def test_blocks_of_a_text_are_scored_as_the_whole_is(
    fitted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, corpus, *_ = fitted
    monkeypatch.setattr(langmodels.models.base, "_TOGETHER", 60)
    for text in (corpus, corpus.carried()):
        blocks = list(model.score_blocks(text))
        assert np.array_equal(np.concatenate([targets for targets, _ in blocks]), text.targets)
        found = np.concatenate([scores for _, scores in blocks])
        assert found == pytest.approx(model.score_corpus(text), abs=1e-5)
        if model.slides:
            assert max(len(targets) for targets, _ in blocks) <= 60


def test_whole_distributions_equal_the_plain_loop(fitted: Any) -> None:
    model, corpus, *_ = fitted
    ids = Sequences(corpus.ids, corpus.offsets)
    for sequences in (ids, ids.carried()):
        wanted = np.arange(sequences.n_tokens) % 3 > 0
        state_of = [state for state, _ in model.walk(sequences)]
        read = sequences if model.remembers else ids
        fresh = read.begins_afresh[read.is_input]
        places = [0]
        for afresh in fresh[1:]:
            places.append(0 if afresh else places[-1] + 1)
        used = [model.used_in(s, n) for s, n in zip(state_of, places, strict=True)]
        assert model.contexts_used(sequences).tolist() == used

        def measure(log_p: Any, targets: Any) -> Any:
            at_target = np.exp(log_p[np.arange(len(targets)), targets])
            return np.stack([at_target, (np.exp(log_p) ** 2).sum(axis=1)], axis=1)

        found = model.from_distributions(sequences, measure, 2, wanted)
        expected = [
            measure(model.log_distribution(state)[None], np.array([target]))[0]
            for state, target in zip(state_of, sequences.targets, strict=True)
        ]
        assert found[~wanted].tolist() == [[0, 0]] * int((~wanted).sum())
        assert np.allclose(found[wanted], np.array(expected)[wanted], rtol=1e-4, atol=1e-7)


def test_states_may_go_to_another_process(fitted: Any) -> None:
    model, corpus, *_ = fitted
    *_, state = states(model, corpus)
    ahead = model.advance(state, 0)
    for copied in (pickle.loads(pickle.dumps(state)), copy.deepcopy(state)):
        assert np.array_equal(model.log_distribution(copied), model.log_distribution(state))
        going_on = model.log_distribution(model.advance(copied, 0))
        assert np.allclose(going_on, model.log_distribution(ahead), rtol=0, atol=1e-5)


def test_states_are_values(fitted: Any) -> None:
    model, corpus, *_ = fitted
    first, second = (int(t) for t in next(corpus.sequences())[:2])
    state = model.state([first])
    before = model.log_distribution(state).copy()
    model.advance(state, second)
    one = model.log_distribution(model.advance(state, second))
    model.advance(model.advance(state, 0), 0)
    assert np.array_equal(model.log_distribution(state), before)
    assert np.array_equal(model.log_distribution(model.advance(state, second)), one)
    # What a model returns is the caller's: writing into it changes nothing.
    model.log_distribution(state)[:] = 0.0
    assert np.array_equal(model.log_distribution(state), before)


def test_save_and_load_are_exact(fitted: Any, tmp_path: Any) -> None:
    model, corpus, *_ = fitted
    model.save(tmp_path / "model.lm")
    loaded = langmodels.load(tmp_path / "model.lm")
    assert type(loaded) is type(model)
    assert loaded.vocabulary == model.vocabulary
    assert loaded.tokenizer == model.tokenizer
    assert loaded.n_parameters == model.n_parameters
    assert loaded.context_length == model.context_length
    assert np.array_equal(loaded.score_corpus(corpus), model.score_corpus(corpus))
    assert loaded.sample(seed=3, max_tokens=10) == model.sample(seed=3, max_tokens=10)
    loaded.save(tmp_path / "again.lm")
    assert (tmp_path / "again.lm").read_bytes() == (tmp_path / "model.lm").read_bytes()


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ProcessPoolExecutor]:
    """Another process, which knows nothing of this one."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        yield pool


def test_pickled_and_copied_models_are_the_same(
    fitted: Any, tmp_path: Any, elsewhere: ProcessPoolExecutor
) -> None:
    model, corpus, name, level = fitted
    model.predict("the")  # used
    path = tmp_path / "model.lm"
    model.save(path)
    loaded = langmodels.load(path)
    score = model.score("the cat")
    assert elsewhere.submit(type(model).score, model, "the cat").result() == score
    assert elsewhere.submit(type(model).score, loaded, "the cat").result() == score
    for original in (model, loaded, langmodels.load(path, mmap=False)):
        for twin in (copy.deepcopy(original), copy.copy(original)):
            assert type(twin) is type(model)
            assert twin.get_params().keys() == model.get_params().keys()
            assert np.array_equal(twin.score_corpus(corpus), model.score_corpus(corpus))
    # What was mapped is handed on by its path, as long as that holds this very model.
    by_path = pickle.dumps(loaded)
    assert b"model.lm" in by_path
    assert len(by_path) < 1000
    assert pickle.loads(by_path).score("the cat") == score
    data = path.read_bytes()
    path.write_bytes(data)
    os.utime(path, (0, 0))
    assert b"model.lm" not in pickle.dumps(loaded)
    with pytest.raises(LangmodelsError, match=r"model\.lm .* but the file has changed"):
        pickle.loads(by_path)
    if name != CONDITIONAL:  # one that has learnt nothing yet
        fresh = make_model(name, Setting(level=level, budget="quick"))
        for twin in (pickle.loads(pickle.dumps(fresh)), copy.deepcopy(fresh)):
            assert twin.get_params().keys() == fresh.get_params().keys()
            assert not twin.is_fitted


def test_a_model_changed_since_it_was_opened_is_not_handed_on_by_path(tmp_path: Any) -> None:
    train, held_out = corpora("word")
    for name in ("mixture", "lstm"):
        fit(name, "word", train, held_out).save(tmp_path / "model.lm")
        model: Any = langmodels.load(tmp_path / "model.lm")
        if name == "mixture":
            model.fit_weights(train)
        else:
            model.network.parameters["output.bias"][:] += np.arange(len(model.vocabulary))
            model.network.refresh()
        twin = pickle.loads(pickle.dumps(model))
        assert twin.score("the cat") == model.score("the cat")
        assert twin.score("the cat") != langmodels.load(tmp_path / "model.lm").score("the cat")


def damages(array: Any) -> Iterator[Any]:
    """An array as it must not be."""
    yield array.astype(np.float16)
    yield array[None]
    yield np.append(array.reshape(-1), array.reshape(-1)[:1])
    if array.dtype.kind == "f":
        for value in (np.nan, np.inf, 1e30):
            damaged = array.copy()
            damaged.reshape(-1)[-1] = value
            yield damaged
    if array.dtype.kind == "i":
        for value in (-1, 2**31 - 1):
            damaged = array.copy()
            damaged.reshape(-1)[0] = value
            yield damaged


def test_damaged_arrays_are_named(fitted: Any) -> None:
    model, *_ = fitted
    metadata, arrays = pack(model)
    for name, array in arrays.items():
        if array.size == 0:
            continue
        for damaged in damages(array):
            with pytest.raises(LangmodelsError, match=r"^The file.* damaged"):
                unpack(metadata, {**arrays, name: damaged})
        with pytest.raises(LangmodelsError, match="is missing"):
            unpack(metadata, {n: a for n, a in arrays.items() if n != name})


def test_truncated_files_are_refused(fitted: Any, tmp_path: Any) -> None:
    model, *_ = fitted
    path = tmp_path / "model.lm"
    model.save(path)
    data = path.read_bytes()
    for length in (0, 4, 50, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(LangmodelsError, match=r"model\.lm"):
            langmodels.load(path)


def test_fitting_again_with_the_seed_gives_the_same_model(fitted: Any) -> None:
    model, corpus, name, level = fitted
    train, held_out = corpora(level)
    again = fit(name, level, train, held_out)
    assert np.array_equal(again.score_corpus(corpus), model.score_corpus(corpus))


def test_samples_are_tokens_of_the_vocabulary_and_the_same_for_a_seed(fitted: Any) -> None:
    model, *_ = fitted
    assert model.sample(seed=1, max_tokens=12) == model.sample(seed=1, max_tokens=12)
    options: list[dict[str, Any]] = [
        {"greedy": True},
        {"temperature": 0.5},
        {"top_k": 3},
        {"top_p": 0.8},
        {"prompt": "the cat"},
    ]
    for option in options:
        tokens = model.sample(seed=2, max_tokens=8, **option)
        assert len(tokens) <= 8
        assert all(t in model.vocabulary for t in tokens)
        assert not {"<s>", "</s>"} & set(tokens)
    assert model.sample(greedy=True, max_tokens=5) == model.sample(top_k=1, seed=9, max_tokens=5)


def test_beam_search_is_at_least_as_probable_as_greedy(fitted: Any) -> None:
    model, *_ = fitted
    found = model.complete("the", max_tokens=4, width=6)
    assert found == sorted(found, key=lambda f: -f[1])
    for tokens, log_p in found[:2]:
        prompt = model.vocabulary.decode(model.encode("the"))
        chain = sum(model.log_prob(t, context=[*prompt, *tokens[:i]]) for i, t in enumerate(tokens))
        if model.vocabulary.ends and len(tokens) < 4:
            chain += model.log_prob("</s>", context=[*prompt, *tokens])
        assert log_p == pytest.approx(chain, abs=1e-4)


def test_predictions_are_the_most_probable_tokens_in_order(fitted: Any) -> None:
    model, *_ = fitted
    best = model.predict("the", k=5)
    assert [p for _, p in best] == sorted((p for _, p in best), reverse=True)
    assert best[0][1] == pytest.approx(model.distribution("the").max())
    assert "<s>" not in dict(model.predict("the", k=1000))


def test_parameters_and_context_lengths_are_possible(fitted: Any) -> None:
    model, *_ = fitted
    longest, used = model.context_length, model.context_used("the cat sat")
    assert model.n_parameters > 0
    assert longest is None or longest >= 0
    assert 0 <= used <= len(model.encode("the cat sat"))
    assert longest is None or used <= longest


@pytest.mark.parametrize("token", [10**9, -1, 2.5, "x"])
def test_what_is_no_token_is_neither_read_nor_scored(fitted: Any, token: Any) -> None:
    model = fitted[0]
    for ask in (model.advance, model.log_prob_next):
        with pytest.raises(UsageError):
            ask(model.start(), token)


def test_tokens_and_options_that_are_none_are_refused(fitted: Any) -> None:
    model, _, _, level = fitted
    for call in (
        lambda: model.prob("<s>"),
        lambda: model.prob(len(model.vocabulary)),
        lambda: model.score([-1]),
        lambda: model.score(["<s>"]),
        lambda: model.prob("the cat sat"),
        lambda: model.sample(temperature=-1),
        lambda: model.sample(top_p=0.0),
        lambda: model.predict("the", k=0),
    ):
        with pytest.raises(UsageError):
            call()
    other = Corpus.from_text("quite another text", make_tokenizer(level))
    with pytest.raises(UsageError):
        model.score_corpus(other)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_has_learnt_nothing_says_so(name: str, tmp_path: Any) -> None:
    model = make_model(name)
    corpus = Corpus.from_text("the cat", make_tokenizer("word"))
    for call in (
        lambda: model.prob("the"),
        lambda: model.sample(),
        lambda: model.score("the cat"),
        lambda: model.score_corpus(corpus),
        lambda: model.save(tmp_path / "model"),
    ):
        with pytest.raises(UsageError, match="fit"):
            call()


def test_an_empty_sequence_has_a_score(fitted: Any) -> None:
    model, *_ = fitted
    if model.vocabulary.ends:
        assert model.score("") == pytest.approx(model.log_prob("</s>"))
    else:
        assert model.score("") == 0.0


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", MODELS)
def test_texts_of_a_token_or_two_give_distributions(name: str, level: str) -> None:
    for text in ("a", "a a a a", "ab\nab\n"):
        corpus = Corpus.from_text(text, make_tokenizer(level))
        model = fit(name, level, corpus, corpus)
        p = model.distribution()
        if model.is_distribution:
            assert p.sum() == pytest.approx(1.0, abs=rounding(model))
        assert not np.isnan(model.score_corpus(corpus)).any()


def test_carried_state_equals_the_plain_loop_and_ends_with_a_document(fitted: Any) -> None:
    """Over the sequences of a document the fast path equals the plain loop, and forgets between."""
    model, corpus, *_ = fitted
    corpus = replace(corpus, unknown=None)  # by whose letters states are reached in other ways
    plain = LanguageModel.score_sequences(model, corpus.carried())
    carried = model.score_sequences(corpus.carried())
    np.testing.assert_allclose(carried, plain, rtol=1e-4, atol=1e-5)
    alone = model.score_corpus(corpus)
    first = int(corpus.lengths[0])
    np.testing.assert_allclose(carried[:first], alone[:first], rtol=1e-4, atol=1e-5)
    apart = replace(corpus, documents=np.arange(corpus.n_sequences + 1), carry=True)
    np.testing.assert_allclose(model.score_sequences(apart), alone, rtol=1e-4, atol=1e-5)


def test_documents_scored_in_parts_score_as_wholes(fitted: Any) -> None:
    """What a model remembers of some sequences is all that it needs for the next ones."""
    model, *_ = fitted
    sequences = model.sequences_of((TEXT + HELD_OUT).splitlines() * 3).carried()
    whole = model.score_sequences(sequences)
    memory, parts, begin = None, [], 0
    for end in (1, 2, 20, 21, sequences.n_sequences):
        scores, memory = model.score_on(sequences.between(begin, end), memory)
        parts.append(scores)
        begin = end
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-4, atol=1e-5)
    if not model.remembers:
        assert memory is None
        alone = model.score_sequences(replace(sequences, carry=False))
        np.testing.assert_allclose(alone, whole, rtol=1e-4, atol=1e-5)
