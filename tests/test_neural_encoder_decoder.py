"""The encoder-decoder: gradients, masks, decoding, and a task that it learns."""

import itertools

import numpy as np
import pytest
from neural_checks import bind, check_layer, check_network, numerical_gradient

import langmodels
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.decoding import beam_search
from langmodels.neural.encoder_decoder.model import EncoderDecoderModel
from langmodels.neural.encoder_decoder.pairs import PairBatcher, PairBatches, Sources
from langmodels.neural.layers.attention import Attention
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.parallel_corpus import ParallelCorpus

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", ["luong", "bahdanau"])
def test_attention_gradients_equal_finite_differences(kind, masked):
    layer = bind(Attention(kind, 3, 2))
    h, memory = RNG.standard_normal((4, 2, 3)), RNG.standard_normal((5, 2, 2))
    mask = None
    if masked:
        mask = np.ones((5, 2), bool)
        mask[:2, 1] = False

    def forward() -> np.ndarray:
        return layer.forward(h, memory, mask)

    check_layer(layer, forward, layer.backward)
    np.testing.assert_allclose(layer.weights.sum(axis=2), 1)
    if masked:
        assert (layer.weights[1, :, :2] == 0).all()
    weights = RNG.standard_normal(forward().shape)
    dh, d_memory = layer.backward(weights.copy())
    for array, gradient in ((h, dh.copy()), (memory, d_memory.copy())):
        numeric = numerical_gradient(lambda: float((weights * forward()).sum()), array)
        np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-7)


PAIRS = [("ab", "xy"), ("abcab", "y"), ("c", "yxxyx"), ("bca", ""), ("cab", "xxy"), ("", "y")]


def pairs_corpus(pairs=PAIRS, like=None) -> ParallelCorpus:
    return ParallelCorpus.from_pairs(pairs, like=like)


def small_model(corpus: ParallelCorpus, **options) -> EncoderDecoderModel:
    """An untrained model in double precision."""
    plain = {"attention": None, "bidirectional": False, "dtype": "float64"}
    model = EncoderDecoderModel(**{"hidden": 4, "layers": 2, "embedding": 3, **plain, **options})
    model.adopt(corpus)
    model._network = model.make_network(len(corpus.vocabulary))
    model._network.initialise(1)
    return model


VARIANTS = [
    {"cell": "rnn"},
    {"cell": "lstm", "attention": "luong"},
    {"cell": "gru", "attention": "bahdanau", "reverse": True},
    {"cell": "gru", "bidirectional": True},
    {"cell": "lstm", "bidirectional": True, "attention": "luong", "reverse": True},
]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_network_gradients_equal_finite_differences(options):
    corpus = pairs_corpus()
    model = small_model(corpus, **options)
    # Once with tokens looked up, once (more tokens than types) through the mapped table.
    check_network(model.network, PairBatcher(corpus, reverse=model.reverse).batch(np.array([2])))
    batch = PairBatcher(corpus, reverse=model.reverse).batch(np.arange(len(PAIRS)))
    assert batch.source.begin.any()
    assert not batch.valid.all()  # there is padding on both sides
    check_network(model.network, batch)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_scores_of_batches_pairs_and_steps_agree(options):
    corpus = pairs_corpus()
    model = small_model(corpus, **options)
    together = model.score_corpus(corpus)
    assert together.shape == (corpus.n_tokens,)
    alone = [model.token_scores(target, given=source) for source, target in PAIRS]
    np.testing.assert_allclose(np.concatenate(alone), together, atol=1e-10)
    source, target = PAIRS[2]
    assert model.score(target, given=source) == pytest.approx(alone[2].sum())
    view = model.given(source)
    chain = [view.log_prob(t, target[:i]) for i, t in enumerate([*target, "</s>"])]
    np.testing.assert_allclose(chain, alone[2], atol=1e-10)
    first = model.log_distribution(model.start(source))
    assert np.exp(first).sum() == pytest.approx(1)
    assert first[model.vocabulary.bos_id] == -np.inf
    assert np.abs(first[3:] - model.log_distribution(model.start("a"))[3:]).max() > 1e-6


def test_states_are_immutable():
    corpus = pairs_corpus()
    model = small_model(corpus, attention="luong")
    state = model.start("abc")
    before = model.log_distribution(state)
    other = model.advance(model.start("b"), 3)
    model.advance(state, 4)
    model.log_distribution(other)
    assert np.array_equal(model.log_distribution(state), before)


def test_every_pair_is_in_one_batch_per_epoch():
    corpus = pairs_corpus(PAIRS * 7)
    batches = PairBatches(corpus, 5, n_shards=2)
    epochs = [list(batches.epoch(n)) for n in (0, 0, 1)]
    assert [len(e) for e in epochs] == [batches.n_batches] * 3
    seen = []
    for epoch in epochs:
        columns = []
        for batch in itertools.chain(*epoch):
            for b in range(len(batch.source.begin)):
                source = batch.source.tokens[batch.source.begin[b] :, b]
                target = batch.targets[batch.valid[:, b], b]
                columns.append((source.tolist(), target.tolist()))
        seen.append(columns)
    assert seen[0] == seen[1]
    truth = sorted(
        (corpus.source.ids[a:b].tolist(), corpus.ids[c + 1 : d].tolist())
        for a, b, c, d in zip(
            corpus.source.offsets[:-1], corpus.source.offsets[1:],
            corpus.offsets[:-1], corpus.offsets[1:], strict=True,
        )
    )  # fmt: skip
    assert all(sorted(columns) == truth for columns in seen)


def test_reverse_reads_sources_backwards():
    forward = Sources.of([np.array([3, 4, 5]), np.array([6])])
    backward = Sources.of([np.array([3, 4, 5]), np.array([6])], reverse=True)
    assert forward.tokens[:, 0].tolist() == backward.tokens[::-1, 0].tolist() == [3, 4, 5]
    assert forward.begin.tolist() == backward.begin.tolist() == [0, 2]
    assert forward.mask.sum() == 4
    corpus = pairs_corpus()
    a, b = (PairBatcher(corpus, reverse=r).batch(np.array([0, 1])).source for r in (False, True))
    begin = int(a.begin[0])
    assert a.tokens[begin:, 0].tolist() == b.tokens[begin:, 0].tolist()[::-1]


REVERSAL = ["".join(p) for n in (1, 2, 3, 4) for p in itertools.product("abcd", repeat=n)]


@pytest.fixture(scope="module")
def reversing() -> tuple[EncoderDecoderModel, ParallelCorpus, ParallelCorpus]:
    """Words to be spelled backwards, in capital letters."""
    order = np.random.default_rng(1).permutation(len(REVERSAL))
    pairs = [(REVERSAL[i], REVERSAL[i][::-1].upper()) for i in order]
    train = pairs_corpus(pairs[:280])
    test = pairs_corpus(pairs[280:], like=train)
    model = EncoderDecoderModel(
        hidden=32, embedding=16, attention="luong", bidirectional=True,
        epochs=30, batch_size=20, learning_rate=0.01, threads=1,
    )  # fmt: skip
    return model.fit(train, test), train, test


def test_learns_to_spell_backwards(reversing):
    model, _, test = reversing
    sources = ["".join(test.source.vocabulary.decode(ids)) for ids in test.source.sequences()]
    for width in (1, 4):
        found = ["".join(tokens) for tokens in model.translate(sources, width=width)]
        right = np.mean([f == s[::-1].upper() for f, s in zip(found, sources, strict=True)])
        assert right > 0.9
    assert model.perplexity(test) < 1.2
    assert "".join(model.sample(given="abc", greedy=True)) == "CBA"
    assert "".join(model.given("abc").complete(width=4)[0][0]) == "CBA"
    weights = model.attention_weights("abcd", "DCBA")
    assert weights.shape == (5, 6)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)


def test_batched_beam_search_equals_that_of_language_models(reversing):
    trained, train, _ = reversing
    for model in (trained, small_model(train, attention="luong", hidden=6)):
        sources = ["a", "dcba", "bb", "abc"]
        for width in (1, 3):
            found = model.search(sources, width=width, max_tokens=6)
            for source, hypotheses in zip(sources, found, strict=True):
                state = model.start(source)
                plain = beam_search(model, state, width=width, max_tokens=6)
                assert hypotheses[0].ids == plain[0].ids
                assert hypotheses[0].log_prob == pytest.approx(plain[0].log_prob, abs=1e-4)
                for h in hypotheses:
                    if h.ended:
                        ids = np.array(h.ids, np.int32)
                        score = model.score(ids if len(ids) else (), given=source)
                        assert h.log_prob == pytest.approx(score, abs=1e-4)


def test_a_loaded_model_gives_the_same_scores(reversing, tmp_path):
    model, _, test = reversing
    model.save(tmp_path / "m.lm")
    loaded = EncoderDecoderModel.load(tmp_path / "m.lm")
    assert np.array_equal(loaded.score_corpus(test), model.score_corpus(test))
    assert loaded.source_reading == model.source_reading
    assert loaded.translate(["abca"]) == model.translate(["abca"])
    loaded.save(tmp_path / "again.lm")
    assert (tmp_path / "again.lm").read_bytes() == (tmp_path / "m.lm").read_bytes()
    assert isinstance(langmodels.registry.load(tmp_path / "m.lm"), EncoderDecoderModel)


def test_training_with_two_threads_is_deterministic():
    corpus = pairs_corpus(PAIRS * 10)
    options = {
        "hidden": 8,
        "epochs": 2,
        "batch_size": 16,
        "threads": 2,
        "dropout": 0.2,
        "input_dropout": 0.1,
    }
    one, two = (EncoderDecoderModel(**options).fit(corpus) for _ in range(2))
    assert np.array_equal(one.network.parameters.flat, two.network.parameters.flat)


def test_a_corpus_without_sources_is_scored_given_the_source_of_the_model():
    corpus = pairs_corpus()
    model = small_model(corpus).given("ab")
    plain = Corpus.from_sequences([["x"], ["y", "x"]], corpus.tokenizer, corpus.vocabulary)
    slow = LanguageModel.score_sequences(model, plain)
    np.testing.assert_allclose(model.score_corpus(plain), slow)
    assert slow[:2] == pytest.approx(model.token_scores("x", given="ab"))


def test_scored_in_parts_pairs_keep_their_sources(monkeypatch):
    corpus = pairs_corpus()
    model = small_model(corpus)
    monkeypatch.setattr("langmodels.models.base._TOGETHER", 4)
    parts = [scores for _, scores in model.score_blocks(corpus)]
    np.testing.assert_allclose(np.concatenate(parts), model.score_corpus(corpus))


def test_the_head_of_a_parallel_corpus_keeps_pairs_together():
    head = pairs_corpus().head(7)
    assert 1 <= head.n_sequences < len(PAIRS)
    assert head.source.n_sequences == head.n_sequences
    assert small_model(pairs_corpus()).score_corpus(head).shape == (head.n_tokens,)


def test_invalid_settings_raise_usage_errors():
    corpus = pairs_corpus()
    model = small_model(corpus)
    with pytest.raises(UsageError, match="pairs"):
        EncoderDecoderModel().fit(Corpus.from_text("a b", make_tokenizer("word")))
    with pytest.raises(UsageError, match="attention"):
        model.attention_weights("a", "x")
    with pytest.raises(UsageError, match="magic"):
        EncoderDecoderModel(attention="magic")
    with pytest.raises(UsageError):
        EncoderDecoderModel(cell="transistor")
    with pytest.raises(UsageError):
        model.search(["a"], width=0)
    with pytest.raises(UsageError, match="ids"):
        model.given([99])
    with pytest.raises(UsageError, match="vocabular"):
        model.score_corpus(pairs_corpus([("q", "xy"), ("r", "xxyy")]))
    with pytest.raises(LangmodelsError, match="no pairs"):
        pairs_corpus([])
