"""The bidirectional layer and the cloze model: PyTorch's figures, no leaks, blanks filled."""

from pathlib import Path

import numpy as np
import pytest
from neural_checks import bind, check_layer, check_network, numerical_gradient

from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.blanks import (
    Blank,
    FillingModel,
    all_blanks,
    choose_blanks,
    compare_on_blanks,
    evaluate_blanks,
    positions,
)
from langmodels.neural.bidirectional.model import BidirectionalModel
from langmodels.neural.bidirectional.network import (
    BidirectionalNetwork,
    BidirectionalShape,
)
from langmodels.neural.bidirectional.segments import (
    BoundedSequences,
    SegmentBatches,
    scoring_segments,
)
from langmodels.neural.layers.bidirectional import Bidirectional
from langmodels.neural.layers.softmax import Softmax
from langmodels.ngram import NGramModel
from langmodels.registry import load
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer

DATA = Path(__file__).parent / "data"
RNG = np.random.default_rng(0)
CELLS = ["rnn", "lstm", "gru"]


def torch_parameters(kind: str, z, what: str, layer: int) -> dict[str, np.ndarray]:
    """The arrays of one bidirectional PyTorch layer under our names."""
    found = {}
    for direction, suffix in (("forward", ""), ("backward", "_reverse")):
        get = {
            n: z[f"{what}.rnn.{n}_l{layer}{suffix}"]
            for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
        found[f"{direction}.input"] = get["weight_ih"].T
        found[f"{direction}.hidden"] = get["weight_hh"].T
        bias = get["bias_ih"] + get["bias_hh"] if what == "param" else get["bias_ih"]
        if kind == "gru":
            width = len(bias) // 3
            bias = np.r_[bias[: 2 * width], get["bias_ih"][2 * width :]]
            found[f"{direction}.hidden_bias"] = get["bias_hh"][2 * width :]
        found[f"{direction}.bias"] = bias
    return found


@pytest.mark.parametrize("kind", CELLS)
def test_two_bidirectional_layers_equal_pytorch(kind):
    z = np.load(DATA / f"torch_{kind}_bidirectional.npz")
    tokens, targets = z["tokens"], z["targets"]
    hidden = z["param.rnn.weight_hh_l0"].shape[1]
    layers = []
    for k in range(2):
        parameters = torch_parameters(kind, z, "param", k)
        layer = bind(Bidirectional(kind, len(parameters["forward.input"]), hidden))
        for name, array in parameters.items():
            layer.values[name][...] = array
        layer.refresh()
        layers.append(layer)
    output = bind(Softmax(2 * hidden, len(z["param.output.bias"])))
    output.values["weight"][...] = z["param.output.weight"]
    output.values["bias"][...] = z["param.output.bias"]

    h = z["param.embedding.weight"][tokens]
    for layer in layers:
        h = layer.forward(h)
    np.testing.assert_allclose(h, z["hidden_states"], rtol=0, atol=1e-9)
    loss, dh = output.loss(h.reshape(-1, 2 * hidden), targets.ravel(), 1 / targets.size)
    assert loss / targets.size == pytest.approx(float(z["loss_mean_nats"]), abs=1e-9)
    d = dh.reshape(h.shape)
    for k in (1, 0):
        d = layers[k].backward(d)
        for name, array in torch_parameters(kind, z, "grad", k).items():
            np.testing.assert_allclose(layers[k].gradients[name], array, rtol=0, atol=1e-9)
    embedding = np.zeros_like(z["param.embedding.weight"])
    np.add.at(embedding, tokens, d)
    np.testing.assert_allclose(embedding, z["grad.embedding.weight"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", CELLS)
def test_gradients_with_padding_at_either_end(kind):
    layer = bind(Bidirectional(kind, 2, 3))
    x = RNG.standard_normal((5, 3, 2))
    keep, keep_back = np.ones((5, 3), bool), np.ones((5, 3), bool)
    keep[2, 1] = keep_back[3, 2] = keep_back[1, 0] = False

    def forward() -> np.ndarray:
        return layer.forward(x, keep=keep, keep_back=keep_back)

    check_layer(layer, forward, layer.backward)
    weights = RNG.standard_normal(forward().shape)
    dx = layer.backward(weights.copy()).copy()
    numeric = numerical_gradient(lambda: float((weights * forward()).sum()), x)
    np.testing.assert_allclose(dx, numeric, rtol=1e-6, atol=1e-7)


WORDS = """the cat sat on the mat
a dog ran
the dog sat on a log and the cat ran to it
on
it ran and ran and ran and ran and ran and ran and ran
"""


def corpus_of(level: str, text: str = WORDS, vocabulary=None) -> Corpus:
    return Corpus.from_text(text, make_tokenizer(level), vocabulary=vocabulary)


def small_model(cell: str, corpus: Corpus, **options) -> BidirectionalModel:
    """An untrained model in double precision."""
    model = BidirectionalModel(
        cell=cell, hidden=5, layers=2, embedding=4, merged=6, dtype="float64", **options
    )
    model.adopt(corpus)
    model._network = model.make_network(len(corpus.vocabulary))
    model._network.initialise(1)
    return model


@pytest.mark.parametrize("cell", CELLS)
def test_network_gradients_equal_finite_differences(cell):
    corpus = corpus_of("word")
    model = small_model(cell, corpus)
    (batch,) = next(SegmentBatches(corpus, 20, 6).epoch(0))
    assert len(set(batch.lengths.tolist())) > 1  # there is padding
    check_network(model.network, batch)


@pytest.mark.parametrize("level", ["word", "char"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_blank_depends_on_all_tokens_but_its_own(cell, level):
    corpus = corpus_of(level)
    model = small_model(cell, corpus)
    ids = next(corpus.sequences())[:12]

    def distributions(ids: np.ndarray) -> np.ndarray:
        tokens = corpus.vocabulary.decode(ids)
        one = Corpus.from_sequences([tokens], corpus.tokenizer, corpus.vocabulary)
        sequences = BoundedSequences(one)
        ((_, segments),) = scoring_segments(sequences, 512, 256, 1000)
        return model.network.log_distribution(segments)

    before = distributions(ids)
    lowest = corpus.vocabulary.n_special
    for t in range(len(ids)):
        changed = ids.copy()
        changed[t] = lowest + (changed[t] - lowest + 3) % (len(corpus.vocabulary) - lowest)
        after = distributions(changed)
        np.testing.assert_array_equal(after[t], before[t])
        for other in {t - 1, t + 1} & set(range(len(ids))):
            assert np.nanmax(np.abs(np.exp(after[other]) - np.exp(before[other]))) > 1e-9


@pytest.mark.parametrize("level", ["word", "char"])
def test_scores_of_a_corpus_of_blanks_and_of_sequences_agree(level):
    corpus = corpus_of(level)
    model = small_model("gru", corpus)
    fast = model.score_blanks(corpus)
    assert len(fast) == len(positions(corpus))
    blanks = list(all_blanks(corpus))
    assert [b.answer for b in blanks] == corpus.ids[positions(corpus)].tolist()
    log_p = model.blank_distributions(blanks)
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1)
    assert (log_p[:, corpus.vocabulary.bos_id] == -np.inf).all()
    if corpus.vocabulary.ends:
        assert (log_p[:, corpus.vocabulary.eos_id] == -np.inf).all()
    slow = log_p[np.arange(len(blanks)), [b.answer for b in blanks]]
    np.testing.assert_allclose(fast, slow, atol=1e-10)
    sums = [model.pseudo_log_likelihood(ids) for ids in corpus.sequences()]
    assert sum(sums) == pytest.approx(fast.sum())


@pytest.mark.parametrize("steps", [1, 4, 100])
@pytest.mark.parametrize("level", ["word", "char"])
def test_every_token_is_predicted_once_per_epoch(level, steps):
    corpus = corpus_of(level)
    batches = SegmentBatches(corpus, 3, steps, n_shards=2)
    epochs = [list(batches.epoch(n)) for n in (0, 0, 1)]
    found = [np.concatenate([s.answers for b in epoch for s in b]) for epoch in epochs]
    assert [len(epoch) for epoch in epochs] == [batches.n_batches] * 3
    np.testing.assert_array_equal(found[0], found[1])
    truth = np.bincount(corpus.ids[positions(corpus)], minlength=len(corpus.vocabulary))
    for tokens in found:
        np.testing.assert_array_equal(np.bincount(tokens, minlength=len(truth)), truth)


AGREEING = ["the cat is here and it purrs", "the dog is here and it barks"] * 150


@pytest.fixture(scope="module")
def agreeing() -> tuple[BidirectionalModel, Corpus]:
    """A model of a text in which only the words after a blank say what is in it."""
    corpus = corpus_of("word", "\n".join(AGREEING))
    model = BidirectionalModel(
        hidden=24, epochs=12, batch_size=20, steps=64, learning_rate=0.02, dropout=0.0, threads=1
    )
    return model.fit(corpus, corpus), corpus


def test_the_right_context_determines_the_answer(agreeing):
    model, corpus = agreeing
    best = model.fill("the ___ is here and it barks", k=2)
    assert [f.tokens for f in best] == [("dog",), ("cat",)]
    assert best[0].prob > 0.95
    assert best[0].text == "the dog is here and it barks"
    ngram = NGramModel(order=4, smoothing="witten_bell").fit(corpus)
    results = compare_on_blanks(
        {"both": model, "left": FillingModel(ngram), "rescored": FillingModel(ngram, 50)},
        corpus,
        n=300,
    )
    assert results["both"].accuracy > 0.99
    assert results["both"].perplexity < 1.05 < results["left"].perplexity
    # A model of four words cannot carry the animal over to the verb, from whichever side.
    assert results["left"].perplexity > 1.1
    assert results["rescored"].perplexity > 1.1
    assert results["both"].reciprocal_rank > results["left"].reciprocal_rank


def test_several_blanks_are_filled_jointly(agreeing):
    model, _ = agreeing
    best = model.fill("the ___ is here and it ___", k=3)
    assert {f.tokens for f in best[:2]} == {("dog", "barks"), ("cat", "purrs")}
    assert sum(f.prob for f in best[:2]) > 0.9
    one = model.fill("the ___ is here and it barks", k=1)[0]
    two = model.fill("the ___ ___ here and it barks", k=1)[0]
    assert two.tokens == ("dog", "is")
    assert two.log_prob <= one.log_prob


def test_a_loaded_model_gives_the_same_scores(agreeing, tmp_path):
    model, corpus = agreeing
    model.save(tmp_path / "m.lm")
    loaded = BidirectionalModel.load(tmp_path / "m.lm")
    assert np.array_equal(loaded.score_blanks(corpus), model.score_blanks(corpus))
    assert loaded.history == model.history
    with pytest.raises(LangmodelsError, match="fill"):
        load(tmp_path / "m.lm")


def test_resumed_training_gives_the_same_weights(tmp_path, monkeypatch):
    corpus = corpus_of("char", WORDS * 4)
    options = {"hidden": 6, "epochs": 3, "batch_size": 4, "steps": 10, "threads": 2}
    straight = BidirectionalModel(**options).fit(corpus)
    path = str(tmp_path / "run.ckpt")
    from langmodels.neural.training import trainer as training

    saves = []
    original = training.Checkpoint.keep

    def die_after_second(self, state):
        original(self, state)
        saves.append(1)
        if len(saves) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(training.Checkpoint, "keep", die_after_second)
    with pytest.raises(KeyboardInterrupt):
        BidirectionalModel(**options).fit(corpus, checkpoint=path)
    resumed = BidirectionalModel(**options).fit(corpus, checkpoint=path)
    assert np.array_equal(resumed.network.parameters.flat, straight.network.parameters.flat)


def test_rescoring_all_candidates_is_bayes_rule():
    """Rescoring every token is p(w | left, right) by the chain rule, computed directly here."""
    corpus = corpus_of("word")
    model = NGramModel(order=3, smoothing="witten_bell").fit(corpus)
    rescoring = FillingModel(model, 1000)
    for blank in choose_blanks(corpus, 5):
        tokens = range(len(corpus.vocabulary))
        allowed = [t for t in tokens if t not in (1, 2)]
        joint = np.full(len(tokens), -np.inf)
        for t in allowed:
            joint[t] = model.score(np.r_[blank.left, t, blank.right].astype(np.int32))
        expected = np.exp(joint - joint.max())
        expected /= expected.sum()
        found = np.exp(rescoring.blank_distributions([blank])[0])
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_left_context_alone_renormalises_without_the_end():
    corpus = corpus_of("word")
    model = NGramModel(order=3, smoothing="witten_bell").fit(corpus)
    blank = choose_blanks(corpus, 1)[0]
    found = np.exp(FillingModel(model).blank_distributions([blank])[0])
    p = np.exp(model.log_distribution(model.state(blank.left)))
    p[2] = 0
    np.testing.assert_allclose(found, p / p.sum(), atol=1e-12)


@pytest.mark.parametrize("candidates", [0, 5])
def test_a_blank_at_which_only_the_end_is_possible_has_a_distribution(candidates: int) -> None:
    """After "b" nothing but the end was ever seen: 0/0 once it is left out."""
    corpus = Corpus.from_text("a b\nc b\n" * 3)
    model = NGramModel(order=2, smoothing="mle").fit(corpus)
    a, b = corpus.vocabulary.encode(["a", "b"])
    blank = Blank(np.array([b], np.int32), np.array([b], np.int32), int(a))
    found = FillingModel(model, candidates)
    p = np.exp(found.blank_distributions([blank])[0])
    assert p[[1, 2]].sum() == 0
    assert p.sum() == pytest.approx(1)
    if not candidates:
        np.testing.assert_allclose(p[[0, *range(3, len(p))]], 1 / (len(p) - 2))
    figures = evaluate_blanks(found, [blank])
    assert figures.ranks[0] >= 1
    assert np.isfinite(figures.log_probs).all()


def test_rescoring_a_few_candidates_keeps_all_other_probabilities():
    corpus = corpus_of("word")
    model = NGramModel(order=3, smoothing="witten_bell").fit(corpus)
    blanks = choose_blanks(corpus, 4)
    left = FillingModel(model).blank_distributions(blanks)
    few = FillingModel(model, 3).blank_distributions(blanks)
    np.testing.assert_allclose(np.exp(few).sum(axis=1), 1)
    best = np.argsort(-left, axis=1, kind="stable")
    for row, order, before in zip(few, best, left, strict=True):
        np.testing.assert_array_equal(row[order[3:]], before[order[3:]])
        assert np.exp(row[order[:3]]).sum() == pytest.approx(np.exp(before[order[:3]]).sum())


def test_blanks_are_spread_over_sequences():
    corpus = corpus_of("word")
    blanks = choose_blanks(corpus, 5, seed=4)
    lengths = sorted(len(b.left) + 1 + len(b.right) for b in blanks)
    assert lengths == sorted(len(ids) for ids in corpus.sequences())
    assert len(choose_blanks(corpus, 1000)) == len(positions(corpus))
    again = choose_blanks(corpus, 5, seed=4)
    assert [b.answer for b in again] == [b.answer for b in blanks]


def test_tokens_of_equal_probability_have_their_mean_rank():
    class Uniform(FillingModel):
        def blank_distributions(self, blanks):
            return np.log(np.full((len(blanks), len(self.vocabulary)), 1 / len(self.vocabulary)))

    corpus = corpus_of("word")
    model = Uniform(NGramModel(order=2, smoothing="witten_bell").fit(corpus))
    scores = evaluate_blanks(model, choose_blanks(corpus, 4))
    size = len(corpus.vocabulary)
    assert scores.ranks.tolist() == [(size + 1) / 2] * 4
    assert scores.accuracy == 0
    assert scores.perplexity == pytest.approx(size)


def test_texts_without_blanks_and_invalid_options_raise_usage_errors(agreeing):
    model, _ = agreeing
    with pytest.raises(UsageError, match="no blank"):
        model.fill("the dog is here")
    with pytest.raises(UsageError):
        model.fill("the ___", k=0)
    with pytest.raises(UsageError, match="transistor"):
        BidirectionalModel(cell="transistor")
    other = corpus_of("word", "to be or not to be")
    with pytest.raises(UsageError, match="vocabulary"):
        compare_on_blanks({"m": model}, other)
    with pytest.raises(UsageError):
        BidirectionalShape("lstm", 5, (1,), 0, 1, 1, 1)
    assert BidirectionalNetwork(BidirectionalShape("rnn", 5, (1,), 2, 1, 2, 2)).parameters
