"""Neural language models: training, scoring, storage, checkpoints, early stopping, failures."""

import _thread
import math
import signal
import threading

import numpy as np
import pytest
from neural_checks import numerical_gradient

from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.mixture import MixtureModel
from langmodels.neural import (
    FeedForwardModel,
    GRUModel,
    LSTMModel,
    RNNModel,
    TransformerModel,
)
from langmodels.neural.feedforward import FeedForwardNetwork, FeedForwardShape
from langmodels.neural.layers import adaptive
from langmodels.neural.layers.adaptive import AdaptiveSoftmax
from langmodels.neural.recurrent import scoring
from langmodels.neural.recurrent.network import RecurrentNetwork, RecurrentShape
from langmodels.neural.training.batches import Chunk, StreamBatches, WindowBatches, Windows
from langmodels.neural.training.schedules import Schedule
from langmodels.neural.training.trainer import Trainer
from langmodels.neural.training.unknown import RareAsUnknown, seen_once
from langmodels.ngram import NGramModel
from langmodels.registry import make_model
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.threads import Workers

LINES = "\n".join(
    f"the {a} {v} the {b}"
    for a in ("cat", "dog", "rat")
    for v in ("saw", "bit")
    for b in ("cow", "cat")
)
SMALL = {"hidden": 12, "epochs": 2, "batch_size": 4, "steps": 8}


def corpus(level: str, text: str = LINES, like: Corpus | None = None) -> Corpus:
    vocabulary = None if like is None else like.vocabulary
    return Corpus.from_text(text, make_tokenizer(level), vocabulary=vocabulary)


# Whole networks by finite differences -------------------------------------------------------

SHAPES = {
    "rnn": {"cell": "rnn", "embedding": 2},
    "relu": {"cell": "relu-rnn", "embedding": 2},
    "lstm-two-layers-dropout": {"cell": "lstm", "embedding": 2, "layers": 2, "dropout": 0.4},
    "lstm-tied": {"cell": "lstm", "embedding": 3, "tied": True},
    "lstm-tied-input-dropout": {
        "cell": "lstm",
        "embedding": 3,
        "tied": True,
        "input_dropout": 0.3,
        "shared_dropout": True,
    },
    "gru-weight-dropout": {"cell": "gru", "embedding": 2, "weight_dropout": 0.4},
    "rnn-weight-dropout": {"cell": "rnn", "embedding": 2, "weight_dropout": 0.4},
    "gru-one-hot": {"cell": "gru", "layers": 2},
    "gru-adaptive": {"cell": "gru", "embedding": 2, "cutoffs": (3, 5)},
}


def check_network(network, chunk: Chunk, seeds) -> None:
    network.initialise(0)
    rng = np.random.default_rng(5)
    flat = network.parameters.flat
    flat += rng.normal(0, 0.3, flat.shape)

    def loss():
        network.refresh()
        return 0.7 * network.loss(chunk, 0.7, np.random.default_rng(seeds))

    loss()
    expected = network.gradients.flat.copy()
    np.testing.assert_allclose(expected, numerical_gradient(loss, flat), atol=2e-7)


@pytest.mark.parametrize("last_only", [False, True])
@pytest.mark.parametrize("name", SHAPES)
def test_recurrent_network_gradients_equal_finite_differences(name, last_only):
    rng = np.random.default_rng(0)
    inputs, targets = rng.integers(0, 7, (2, 4, 2))
    targets[targets == 1] = 2  # <s> is never a target
    keep = np.ones((4, 2), bool)
    keep[2, 1] = False
    network = RecurrentNetwork(RecurrentShape(vocabulary=7, hidden=3, **SHAPES[name]), "float64")
    chunk = Chunk(inputs, targets[-1:] if last_only else targets, keep, True)
    check_network(network, chunk, 3)


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("cutoffs", [(), (3,)])
def test_feed_forward_network_gradients_equal_finite_differences(direct, cutoffs):
    rng = np.random.default_rng(0)
    shape = FeedForwardShape(7, 3, 2, 4, direct=direct, dropout=0.3, cutoffs=cutoffs)
    network = FeedForwardNetwork(shape, "float64")
    inputs, targets = rng.integers(2, 7, (3, 5)), rng.integers(2, 7, (1, 5))
    check_network(network, Chunk(inputs, targets, None, True), 3)


def test_gradients_of_shards_on_replicas_sum_to_those_of_the_batch():
    network = RecurrentNetwork(RecurrentShape("lstm", 7, 5, embedding=4), "float64")
    network.initialise(0)
    rng = np.random.default_rng(0)
    whole = Chunk(rng.integers(0, 7, (6, 4)), rng.integers(2, 7, (6, 4)), None, True)
    loss = network.loss(whole, 0.1, None)
    expected = network.gradients.flat.copy()
    twin = network.replica()
    assert twin.parameters is network.parameters
    twin.refresh()
    halves = (
        network.loss(whole.part(slice(0, 1)), 0.1, None),
        twin.loss(whole.part(slice(1, 4)), 0.1, None),
    )
    assert sum(halves) == pytest.approx(loss)
    np.testing.assert_allclose(network.gradients.flat + twin.gradients.flat, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("batch", "hidden", "vocabulary", "expected"),
    [(32, 128, 65, 1), (64, 256, 65, 2), (20, 200, 10_000, 2), (6, 512, 65, 1), (64, 512, 65, 2)],
)
def test_large_networks_and_batches_get_more_threads(batch, hidden, vocabulary, expected):
    """One thread where calls in the loop over time are short, and for a few sequences."""
    network = RecurrentNetwork(RecurrentShape("lstm", vocabulary, hidden, embedding=4))
    assert network.shards(batch, 2) == expected
    assert network.shards(batch, 1) == 1


def test_adaptive_softmax_is_exactly_normalised():
    layer = AdaptiveSoftmax(4, 50, (10, 30), excluded=1)
    rng = np.random.default_rng(0)
    layer.bind(
        {k: rng.normal(size=s) for k, s in layer.shapes.items()},
        {k: np.zeros(s) for k, s in layer.shapes.items()},
    )
    h = rng.normal(size=(6, 4))
    log_p = layer.log_distribution(h)
    assert log_p.shape == (6, 50)
    assert (log_p[:, 1] == -np.inf).all()
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1, atol=1e-12)
    targets = np.array([0, 9, 10, 29, 30, 49])
    np.testing.assert_allclose(layer.log_prob(h, targets), log_p[np.arange(6), targets])
    with pytest.raises(UsageError, match="Cutoffs"):
        AdaptiveSoftmax(4, 50, (30, 10), excluded=1)


# Batches ------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["char", "word"])
def test_stream_batches_cover_the_text_in_order(level):
    """Inputs and targets are what follows what; all tokens occur, but for the stated remainder."""
    text = corpus(level)
    batches = StreamBatches(text, 3, 7, n_shards=2)
    v = len(text.vocabulary)
    pairs = text.ids[:-1] * v + text.ids[1:]
    chunks = list(batches.epoch(0))
    assert len(chunks) == batches.n_batches
    seen = np.concatenate([(c.inputs * v + c.targets).ravel() for parts in chunks for c in parts])
    assert len(text.targets) - 2 <= len(seen) <= len(text.targets)
    assert set(seen) <= set(pairs)
    for parts in chunks:
        for c in parts:
            begins = c.inputs == text.vocabulary.bos_id
            np.testing.assert_array_equal(
                begins, np.zeros_like(begins) if c.keep is None else ~c.keep
            )
    again = list(batches.epoch(0))
    np.testing.assert_array_equal(again[1][0].inputs, chunks[1][0].inputs)


@pytest.mark.parametrize(("level", "batch", "steps"), [("char", 3, 12), ("word", 4, 7)])
def test_shuffled_chunks_cover_the_text_without_overlap(level, batch, steps):
    """Each is a stretch of the text, no place comes twice, and another epoch cuts elsewhere."""
    rng = np.random.default_rng(0)
    lines = [" ".join(rng.choice(list("abcdefghijklmnop"), 9)) for _ in range(30)]
    text = corpus(level, "\n".join(lines))
    batches = StreamBatches(text, batch, steps, n_shards=2, shuffled=True)
    n = len(text.targets)
    around = np.concatenate([np.flatnonzero(text.is_input)] * 2)  # the stream goes round
    stretches = {tuple(text.ids[around[k : k + steps]]): k for k in range(n)}
    assert len(stretches) == n  # so that a stretch says where it is from
    cut = []
    for number in (0, 1):
        chunks = [chunk for parts in batches.epoch(number) for chunk in parts]
        assert len(chunks) == 2 * batches.n_batches
        begins = [stretches[tuple(column)] for chunk in chunks for column in chunk.inputs.T]
        places = (np.array(begins)[:, None] + np.arange(steps)) % n
        assert len(np.unique(places)) == places.size > n - steps * (batches.n_batches + 1)
        assert begins != sorted(begins)
        cut.append({begin % steps for begin in begins})
        for chunk in chunks:
            assert chunk.fresh
            for inputs, targets in zip(chunk.inputs.T, chunk.targets.T, strict=True):
                at = around[stretches[tuple(inputs)] :][:steps]
                np.testing.assert_array_equal(targets, text.ids[at + 1])
            begun = chunk.inputs == text.vocabulary.bos_id
            np.testing.assert_array_equal(
                begun, np.zeros_like(begun) if chunk.keep is None else ~chunk.keep
            )
    assert cut[0] != cut[1]
    again = [chunk.inputs for parts in batches.epoch(1) for chunk in parts]
    assert all(np.array_equal(a, c.inputs) for a, c in zip(again, chunks, strict=True))


def test_a_text_shorter_than_its_chunks_can_be_shuffled():
    text = corpus("char", "ab")
    ((chunk,),) = StreamBatches(text, 8, 100, n_shards=2, shuffled=True).epoch(0)
    assert chunk.inputs.shape == chunk.targets.shape == (len(text.targets), 1)


def test_windows_hold_the_tokens_before_each_target():
    text = corpus("word", "a b c\nd")
    windows = Windows(text, 2)
    chunk = windows.chunk(np.arange(len(windows)))
    tokens = text.vocabulary.tokens
    rows = [
        (tokens[a], tokens[b], tokens[c])
        for a, b, c in zip(*chunk.inputs, chunk.targets[0], strict=True)
    ]
    assert rows == [
        ("<s>", "<s>", "a"),
        ("<s>", "a", "b"),
        ("a", "b", "c"),
        ("b", "c", "</s>"),
        ("<s>", "<s>", "d"),
        ("<s>", "d", "</s>"),
    ]
    batches = WindowBatches(text, 4, 2, n_shards=2)
    targets = [c.targets for parts in batches.epoch(0) for c in parts]
    assert sorted(np.concatenate(targets, axis=1)[0]) == sorted(text.targets)


# Models -------------------------------------------------------------------------------------

MODELS = {
    "rnn": lambda **o: RNNModel(**SMALL | o),
    "relu": lambda **o: RNNModel(relu=True, **SMALL | o),
    "lstm": lambda **o: LSTMModel(
        layers=2, dropout=0.2, weight_dropout=0.2, tied=True, **SMALL | o
    ),
    "gru": lambda **o: GRUModel(one_hot=True, **SMALL | o),
    "lstm-adaptive": lambda **o: LSTMModel(cutoffs=(5,), embedding=6, **SMALL | o),
    "window": lambda **o: RNNModel(window=3, one_hot=True, optimizer="rmsprop", **SMALL | o),
    "feed-forward": lambda **o: FeedForwardModel(order=3, embedding=5, direct=True, **SMALL | o),
}


@pytest.mark.parametrize("level", ["char", "word"])
@pytest.mark.parametrize("name", MODELS)
def test_batched_scores_equal_stepping_and_saving_is_exact(name, level, tmp_path):
    text = corpus(level)
    model = MODELS[name]().fit(text, text)
    fast = model.score_corpus(text)
    np.testing.assert_allclose(
        fast, LanguageModel.score_sequences(model, text), rtol=1e-5, atol=1e-5
    )
    assert np.exp(model.log_distribution(model.state("the"))).sum() == pytest.approx(1, abs=1e-12)
    model.save(tmp_path / "m.lm")
    loaded = type(model).load(tmp_path / "m.lm")
    np.testing.assert_array_equal(loaded.score_corpus(text), fast)
    assert loaded.history == model.history
    assert loaded.n_parameters == model.n_parameters > 0


@pytest.mark.parametrize("kind", [RNNModel, LSTMModel, GRUModel, FeedForwardModel])
def test_every_model_learns_an_alternation(kind):
    text = corpus("char", "ab" * 300)
    model = kind(hidden=16, epochs=15, learning_rate=0.02, batch_size=8, steps=10).fit(text)
    assert model.prob("b", "aba") > 0.95
    assert model.sample_text("a", max_tokens=6, greedy=True) == "bababa"


def test_only_a_recurrent_model_learns_a_dependency_over_four_tokens():
    """First and last symbol of each line agree; an LSTM learns it, four tokens away."""
    rng = np.random.default_rng(0)
    lines = "\n".join(f"{s} - - - - {s}" for s in rng.choice(["x", "y"], 400))
    text = corpus("word", lines)
    lstm = LSTMModel(hidden=16, epochs=20, batch_size=16, steps=14, dropout=0.0).fit(text)
    near = FeedForwardModel(order=4, hidden=16, embedding=4, epochs=3, learning_rate=0.01).fit(text)
    for s in "xy":
        assert lstm.prob(s, [s, "-", "-", "-", "-"]) > 0.9
    assert near.prob("x", ["x", "-", "-", "-", "-"]) < 0.7


@pytest.mark.parametrize("recurrent", [LSTMModel, GRUModel, RNNModel])
def test_scores_in_pieces_equal_stepping(recurrent):
    rng = np.random.default_rng(0)
    text = corpus("char", "".join(rng.choice(list("abcd "), 3000)))
    model = recurrent(hidden=8, epochs=1, batch_size=8).fit(text)
    np.testing.assert_allclose(
        model.score_corpus(text), LanguageModel.score_sequences(model, text), atol=2e-5
    )


def test_scores_in_pieces_equal_stepping_for_a_network_that_never_forgets():
    """The state counts symbols for ever, so that no two runs of a piece converge."""
    text = corpus("char", "ab" * 1000)
    model = RNNModel(hidden=2, one_hot=True, relu=True, epochs=1).fit(text)
    values = model.network.parameters
    values["recurrent.0.input"][...] = 0
    values["recurrent.0.input"][2:, 0] = 1e-3
    values["recurrent.0.hidden"][...] = np.eye(2)
    values["recurrent.0.bias"][...] = 0
    model.network.refresh()
    fast = model.score_corpus(text)
    np.testing.assert_allclose(fast, LanguageModel.score_sequences(model, text), atol=1e-5)
    assert abs(fast[1] - fast[-1]) > 1e-3  # the count does matter


def test_runs_of_a_piece_converge_although_cells_are_large(monkeypatch):
    """Cells near 100 are rounded to 1e-5: two runs of a piece hardly ever get closer than that."""
    rng = np.random.default_rng(0)
    text = corpus("char", "".join(rng.choice(list("abcd "), 40_000)))
    model = LSTMModel(hidden=64, epochs=1).fit(text.head(200))
    values = model.network.parameters
    values["recurrent.0.input"][...] = rng.normal(0, 0.3, values["recurrent.0.input"].shape)
    values["recurrent.0.hidden"][...] = rng.normal(0, 0.1, values["recurrent.0.hidden"].shape)
    values["recurrent.0.bias"][...] = np.repeat([5.0, 3.2, 5.0, 0.0], 64)
    model.network.refresh()
    runs = []
    advance = scoring._advance
    monkeypatch.setattr(scoring, "_advance", lambda *args: runs.append(1) or advance(*args))
    fast = model.score_corpus(text)
    assert len(runs) < 70
    short = text.head(5000)
    np.testing.assert_allclose(fast[:5000], LanguageModel.score_sequences(model, short), atol=2e-5)


def test_weights_are_tied_by_default_if_shapes_agree_and_the_vocabulary_is_large():
    text = corpus("char")

    def tied(**options):
        return GRUModel(tied=None, **options).untrained(text).network.shape.tied

    assert tied(hidden=3)
    assert not tied(hidden=len(text.vocabulary))
    assert not tied(hidden=3, embedding=4)
    assert not tied(hidden=3, one_hot=True)
    assert not tied(hidden=3, cutoffs=(4,))


@pytest.mark.parametrize("kind", [GRUModel, FeedForwardModel, TransformerModel])
def test_large_vocabularies_have_an_adaptive_softmax(kind, monkeypatch):
    text = corpus("word")
    size = {"width": 8} if kind is TransformerModel else {"hidden": 3}
    small = kind(**size, epochs=1).fit(text)
    assert not small.network.shape.cutoffs
    monkeypatch.setattr(adaptive, "_FULL", len(text.vocabulary) - 1)
    monkeypatch.setattr(adaptive, "_CUTOFFS", (3, 5))
    model = kind(**size).untrained(text)
    assert isinstance(model.network.output, AdaptiveSoftmax)
    assert not kind(**size, cutoffs=()).untrained(text).network.shape.cutoffs
    assert not kind(**size, epochs=1).fit(text, init=small).network.shape.cutoffs
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adaptive, "_FULL", 10_000)
        again = kind.restore(model.config(), model.arrays(), model.reading)
    assert again.network.shape.cutoffs == (3, 5), "a file says which"
    np.testing.assert_allclose(
        again.score_corpus(text), LanguageModel.score_sequences(again, text), atol=2e-5
    )
    if kind is not FeedForwardModel:
        assert not model.network.shape.tied
        assert kind(**size, tied=True).untrained(text).network.shape.tied


@pytest.mark.parametrize("cutoffs", [(), (4,)])
def test_new_words_start_with_equal_probabilities(cutoffs):
    text = corpus("word")
    sizes = {**SMALL, "embedding": 3, "cutoffs": cutoffs}
    init = GRUModel(**sizes).fit(text)
    more = Corpus.extending(text.reading, "the zebra saw a gnu\n")
    model = GRUModel(**sizes | {"epochs": 1, "learning_rate": 1e-20}).fit(more, init=init)
    p = model.distribution("the")
    known = len(text.vocabulary)
    assert len(p) > known + 1
    assert p[known:] == pytest.approx(p[known], rel=1e-6)
    before = init.distribution("the")
    if cutoffs:  # between the words of the rarest class
        assert before[4:].min() / 2 < p[known] < before[4:].max()
    else:
        assert p[known] == pytest.approx(p[text.vocabulary.unk_id], rel=1e-6)
    np.testing.assert_allclose(p[:known].argsort()[-3:], before.argsort()[-3:])


def test_every_sequence_starts_from_a_zero_state():
    text = corpus("word")
    model = LSTMModel(**SMALL).fit(text)
    twice = corpus("word", "the cat saw\nthe cat saw", like=text)
    scores = model.score_corpus(twice)
    np.testing.assert_allclose(scores[:4], scores[4:], atol=1e-6)


def test_the_seed_determines_the_weights():
    text = corpus("char")
    one, two, three = (
        LSTMModel(**SMALL, dropout=0.3, seed=s, threads=2).fit(text).network.parameters.flat
        for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert (one != three).any()


def test_early_stopping_keeps_the_best_weights():
    text, other = corpus("char", "abcd" * 50), None
    other = corpus("char", "dcba" * 30, like=text)
    model = RNNModel(
        hidden=16, epochs=40, patience=2, learning_rate=0.01, batch_size=4, schedule="constant"
    ).fit(text, other)
    history = model.history
    assert history.stopped == "early"
    assert len(history.epochs) == history.best_epoch + 3 < 40
    assert model.cross_entropy(other) == pytest.approx(history.best_loss)


def test_a_validation_loss_of_nan_is_never_the_best(monkeypatch):
    losses = iter([math.nan, 3.0, 2.0, 2.5])
    monkeypatch.setattr(RNNModel, "_validation_loss", lambda *_: next(losses, 1.0))
    text = corpus("char", "abcd" * 50)
    history = RNNModel(hidden=4, epochs=4).fit(text, text).history
    assert (history.best_epoch, history.best_loss) == (2, 2.0)


def test_weight_averaging_changes_the_weights_kept():
    text = corpus("char")
    plain = GRUModel(**SMALL, schedule="constant").fit(text).network.parameters.flat
    averaged = GRUModel(**SMALL, schedule="constant", average=0.9).fit(text)
    assert (averaged.network.parameters.flat != plain).any()
    assert np.isfinite(averaged.score_corpus(text)).all()


@pytest.mark.parametrize(
    ("kind", "own"),
    [
        (LSTMModel, {"hidden": 8, "steps": 10}),
        (LSTMModel, {"hidden": 8, "steps": 10, "shuffled": True}),
        (TransformerModel, {"width": 8, "heads": 2, "steps": 10, "shuffled": True}),
        (FeedForwardModel, {"hidden": 8}),
    ],
)
def test_resuming_a_killed_run_gives_the_same_weights(kind, own, tmp_path, monkeypatch):
    """Killed in the middle of the second epoch, after a checkpoint some steps before."""
    text = corpus("char", LINES * 3)
    options = {
        "epochs": 3,
        "batch_size": 8,
        "dropout": 0.2,
        "average": 0.9,
        "threads": 2,
        "schedule": "plateau",
        **own,
    }
    expected = kind(**options).fit(text, text)
    path = tmp_path / "run.ckpt"
    step, count = Trainer._step, 0
    batches = expected.make_batches(text, 2).n_batches

    def killed(self, shards, workers):
        nonlocal count
        count += 1
        if count == batches + batches // 2:
            raise SystemError
        step(self, shards, workers)

    monkeypatch.setattr(Trainer, "_step", killed)
    with pytest.raises(SystemError):
        kind(**options).fit(text, text, checkpoint=str(path), checkpoint_seconds=0)
    monkeypatch.undo()
    resumed = kind(**options).fit(text, text, checkpoint=str(path))
    np.testing.assert_array_equal(resumed.network.parameters.flat, expected.network.parameters.flat)
    losses = [(e.train_loss, e.validation_loss) for e in resumed.history.epochs]
    assert losses == [(e.train_loss, e.validation_loss) for e in expected.history.epochs]
    with pytest.raises(LangmodelsError, match="other settings"):
        kind(**{**options, "dropout": 0.3}).fit(text, checkpoint=str(path))


def test_training_by_tokens_ends_at_the_step_that_reaches_them(tmp_path):
    text = corpus("char", LINES * 3)
    options = {"hidden": 6, "batch_size": 4, "steps": 10}
    whole = GRUModel(**options, epochs=2).fit(text, text)
    same = GRUModel(**options, tokens=2 * text.n_tokens).fit(text, text)
    np.testing.assert_array_equal(same.network.parameters.flat, whole.network.parameters.flat)
    path = str(tmp_path / "part.ckpt")
    part = GRUModel(**options, tokens=text.n_tokens * 3 // 2).fit(text, text, checkpoint=path)
    first, second = part.history.epochs
    assert 0 < second.learning_rate < first.learning_rate / 10, "the schedule ends with the tokens"
    assert second.validation_loss is not None
    again = GRUModel(**options, tokens=text.n_tokens * 3 // 2).fit(text, text, checkpoint=path)
    np.testing.assert_array_equal(again.network.parameters.flat, part.network.parameters.flat)
    assert len(GRUModel(**options, tokens=1).fit(text).history.epochs) == 1


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    text = corpus("char")
    model = RNNModel(**SMALL).fit(text)
    model.save(tmp_path / "model")
    with pytest.raises(LangmodelsError, match="not a checkpoint"):
        RNNModel(**SMALL).fit(text, checkpoint=str(tmp_path / "model"))


@pytest.mark.parametrize("clip", [{"clip_norm": 0.01}, {"clip_norm": None, "clip_value": 1e-3}])
def test_clipping_bounds_the_gradient(clip):
    """Plain gradient descent at rate 1 moves the weights by the clipped gradient itself."""
    text = corpus("char")
    model = GRUModel(**SMALL, optimizer="sgd", learning_rate=1.0, schedule="constant", **clip)
    model.untrained(text)
    batches = model.make_batches(text, 1)
    trainer = Trainer(model.network, batches, model.options)
    before = trainer.weights.copy()
    with Workers(1) as workers:
        trainer.one_step(next(batches.epoch(0)), workers)
    moved = np.abs(trainer.weights - before)
    assert trainer.gradient_norm > 0.05
    if clip["clip_norm"]:
        assert np.linalg.norm(moved) == pytest.approx(0.01, rel=1e-3)
    else:
        assert moved.max() == pytest.approx(1e-3, rel=1e-3)


def test_divergence_raises_an_error_with_step_and_norm():
    text = corpus("char")
    model = RNNModel(
        hidden=8, relu=True, optimizer="sgd", learning_rate=1e4, clip_norm=None, epochs=30
    )
    with pytest.raises(LangmodelsError, match=r"step \d+: .*norm of the gradient"):
        model.fit(text)


def test_ctrl_c_ends_training_with_the_best_weights():
    text = corpus("char", "ab" * 500)
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    model = RNNModel(hidden=8, epochs=100_000).fit(text, text)
    timer.join()
    assert model.history.stopped == "interrupted"
    assert len(model.history.epochs) < 100_000
    assert model.cross_entropy(text) == pytest.approx(model.history.best_loss)


@pytest.mark.parametrize(
    "options",
    [
        {"hidden": 0},
        {"dropout": 1.0},
        {"weight_dropout": 1.0},
        {"optimizer": "nope"},
        {"schedule": "nope"},
        {"tied": True, "embedding": 3},
        {"tied": True, "one_hot": True},
        {"window": 0},
        {"dtype": "float16"},
        {"epochs": 0},
        {"learning_rate": 0.0},
        {"clip_norm": 1.0, "clip_value": 1.0},
        {"average": 1.0},
        {"cutoffs": (5, 3)},
        {"tokens": 0},
    ],
)
def test_impossible_settings_are_usage_errors(options):
    with pytest.raises(UsageError):
        LSTMModel(**options)


def test_texts_of_one_or_two_tokens_can_be_trained_on():
    for text in ("a", "ab"):
        for kind in (LSTMModel, FeedForwardModel):
            tiny = corpus("char", text)
            assert np.isfinite(kind(hidden=4, epochs=1).fit(tiny).score_corpus(tiny)).all()


def test_schedules_give_the_learning_rates_worked_out_by_hand():
    constant = Schedule("constant", 100, 10, warmup=4)
    assert [constant.rate(s) for s in (0, 1, 3, 4, 99)] == [0.25, 0.5, 1, 1, 1]
    cosine = Schedule("cosine", 100, 10)
    assert [cosine.rate(s) for s in (0, 50, 100)] == pytest.approx([1, 0.5, 0])
    step = Schedule("step", 100, 10, factor=0.5, every=2)
    assert [step.rate(s) for s in (0, 19, 20, 45)] == [1, 1, 0.5, 0.25]
    plateau = Schedule("plateau", 100, 10, factor=0.1, every=2)
    for loss in (3.0, 2.0, 2.0, 2.0):
        plateau.observe(loss)
    assert plateau.rate(50) == pytest.approx(0.1)
    cooldown = Schedule("cooldown", 100, 10, warmup=4, final=0.2)
    assert [cooldown.rate(s) for s in (0, 4, 70)] == [0.25, 1, 1]
    assert cooldown.rate(85) == pytest.approx(0.2 + 0.8 * (1 - 0.5**0.5))
    assert cooldown.rate(100) == pytest.approx(0.2)
    longer = Schedule("cooldown", 400, 10, warmup=4, final=0.2)
    assert [longer.rate(s) for s in range(70)] == [cooldown.rate(s) for s in range(70)]


def test_options_in_a_model_name_may_be_lists() -> None:
    assert make_model("lstm:cutoffs=2000+8000").cutoffs == (2000, 8000)  # type: ignore[attr-defined]
    assert make_model("feed-forward:cutoffs=50").cutoffs == (50,)  # type: ignore[attr-defined]
    assert make_model("crnn:widths=2+3").widths == (2, 3)  # type: ignore[attr-defined]


# What must not go wrong silently ------------------------------------------------------------


@pytest.mark.parametrize("name", ["lstm", "feed-forward", "dynamic", "crnn", "char-cnn-lstm"])
def test_a_model_can_be_used_from_several_threads(name):
    text = corpus("word")
    options = {k: v for k, v in SMALL.items() if k != "hidden"}
    model = make_model(f"{name}:hidden=16:dropout=0.0", **options).fit(text)
    sentence = "the cat saw the cow"
    expected = model.token_scores(sentence)
    wrong = []

    def ask() -> None:
        for _ in range(30):
            if not np.allclose(model.token_scores(sentence), expected, atol=1e-5):
                wrong.append(sentence)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_model_is_not_fitted_after_failed_training():
    text = corpus("word")
    model = LSTMModel(**SMALL, learning_rate=1e38, optimizer="sgd", clip_norm=None, l2=1.0)
    mixture = MixtureModel([NGramModel(2, "witten_bell"), model])
    for _ in range(2):
        with pytest.raises(LangmodelsError, match="diverged"):
            mixture.fit(text, text)
    assert not model.is_fitted


def test_words_seen_once_are_unk_in_training_if_the_text_has_no_unk():
    words = [f"w{i}" for i in range(25)]
    text = Corpus.from_text(" ".join(["a b c"] * 40 + words), make_tokenizer("whitespace"))
    once = {text.vocabulary.id(w) for w in words}
    assert set(seen_once(text).tolist()) == once
    plain = StreamBatches(text, 4, 8)
    batches = RareAsUnknown(plain, text, seed=3)
    assert (batches.n_batches, batches.n_shards) == (plain.n_batches, plain.n_shards)
    stood_in = []
    for number in (0, 1):
        read = list(batches.epoch(number))
        replaced = set()
        for (given,), (chunk,) in zip(plain.epoch(number), read, strict=True):
            for before, after in ((given.inputs, chunk.inputs), (given.targets, chunk.targets)):
                changed = before != after
                assert not after[changed].any()  # 0 is <unk>
                replaced |= set(before[changed].tolist())
        assert len(replaced) == 3  # of 25, one in ten
        assert replaced < once
        assert all(
            np.array_equal(a[0].targets, b[0].targets)
            for a, b in zip(read, batches.epoch(number), strict=True)
        )
        stood_in.append(replaced)
    assert not stood_in[0] & stood_in[1]
    # Where training has unknown words, they are enough.
    assert not len(seen_once(Corpus.from_text("a a b", make_tokenizer("whitespace"), min_count=2)))


@pytest.mark.parametrize("make", [LSTMModel, FeedForwardModel])
def test_unk_is_about_as_probable_as_a_rare_word(make):
    words = " ".join(f"the cat w{i} sat on the mat ." for i in range(60))
    text = Corpus.from_text(words, make_tokenizer("whitespace"))
    model = make(hidden=16, epochs=12, learning_rate=0.02, batch_size=8).fit(text)
    # One epoch has six unknown words among the 60 after "cat".
    assert 1.0 < -model.log_prob("zebra", "the cat") < 4.0


class Growing(RNNModel):
    """An RNN whose state grows by a tenth at every step: little within the chunks of training."""

    def make_network(self, vocabulary: int) -> RecurrentNetwork:
        network = super().make_network(vocabulary)
        first_values = network.initialise

        def initialise(seed: int) -> None:
            first_values(seed)
            network.parameters["recurrent.0.hidden"][...] = 1.1 * np.eye(self.hidden)
            network.parameters["recurrent.0.input"][...] = np.abs(
                network.parameters["recurrent.0.input"]
            )
            network.parameters["recurrent.0.bias"][...] = 1.0
            network.refresh()

        network.initialise = initialise
        return network


@pytest.mark.parametrize(
    "model",
    [
        FeedForwardModel(hidden=2, epochs=1, learning_rate=1e30, batch_size=5000),
        Growing(hidden=4, epochs=1, relu=True, learning_rate=1e-30, steps=16, batch_size=64),
    ],
    ids=["diverging in the last step", "growing without end"],
)
def test_a_network_that_diverges_on_long_text_is_not_fitted(model):
    text = Corpus.from_text("abcdefgh hgfedcba " * 150, make_tokenizer("char"))
    with pytest.raises(LangmodelsError, match="training text"):
        model.fit(text)
    assert not model.is_fitted


def test_a_checkpoint_is_refused_for_other_texts(tmp_path):
    text, other = corpus("word"), corpus("word", "the cow saw the rat")
    path = str(tmp_path / "run.ckpt")
    RNNModel(**SMALL).fit(text, text, checkpoint=path)
    twin = corpus("word", LINES.replace("cat", "cot"))
    np.testing.assert_array_equal(twin.ids, text.ids)
    for train, validation, what in (
        (text, corpus("word", "the cow saw the rat", like=text), "validation text"),
        (text, None, "validation text"),
        (other, other, "training text"),
        (twin, twin, "vocabulary"),
    ):
        with pytest.raises(LangmodelsError, match=what):
            RNNModel(**SMALL).fit(train, validation, checkpoint=path)
    with pytest.raises(LangmodelsError, match="threads=1 there, 2 here"):
        RNNModel(**SMALL, threads=2).fit(text, text, checkpoint=path)


def test_settings_of_a_wrong_type_are_refused():
    for options in (
        {"window": 2.5},
        {"dropout": float("nan")},
        {"decay_factor": -3.0},
        {"l2": float("nan")},
        {"learning_rate": float("inf")},
        {"cutoffs": 3.5},
        {"hidden": 8.5},
        {"epochs": True},
    ):
        with pytest.raises(UsageError):
            LSTMModel(**options)


def test_an_empty_validation_text_is_refused():
    text = corpus("word")
    empty = Corpus.from_sequences([], text.tokenizer, text.vocabulary)
    with pytest.raises(LangmodelsError, match="validation text is empty"):
        LSTMModel(**SMALL).fit(text, empty)


def test_ids_outside_the_vocabulary_are_refused():
    text = corpus("word")
    for kind in (LSTMModel, FeedForwardModel):
        model = kind(**{k: v for k, v in SMALL.items() if k != "steps"}).untrained(text)
        for token in (-1, len(model.vocabulary)):
            with pytest.raises(UsageError, match="whole numbers from 0 to"):
                model.advance(model.start(), token)
            with pytest.raises(UsageError, match="whole numbers from 0 to"):
                model.log_prob_next(model.start(), token)


def test_ctrl_c_after_the_last_step_raises_keyboard_interrupt() -> None:
    corpus = Corpus.from_text("abcd" * 40, "char")
    model = GRUModel(hidden=4, epochs=1, batch_size=4, steps=8)
    with pytest.raises(KeyboardInterrupt):
        model.fit(corpus, after_epoch=lambda _: signal.raise_signal(signal.SIGINT))
