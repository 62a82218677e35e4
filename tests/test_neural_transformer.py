"""The Transformer: its layers, its states, and agreement with PyTorch."""

from pathlib import Path

import numpy as np
import pytest
from neural_checks import bind, check_layer, check_network

from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.neural.layers.kv_cache import KVCache
from langmodels.neural.layers.normalization import NORMS
from langmodels.neural.layers.position_wise import ACTIVATIONS
from langmodels.neural.layers.self_attention import SelfAttention
from langmodels.neural.training.batches import Chunk
from langmodels.neural.training.optimizers import make_optimizer
from langmodels.neural.transformer import scoring
from langmodels.neural.transformer.model import TransformerModel
from langmodels.neural.transformer.network import TransformerNetwork, TransformerShape
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer

DATA = Path(__file__).parent / "data"
GPT2 = {"positions": "learned", "norm": "layer", "activation": "gelu", "bias": True}
STYLES = {"llama": {}, "gpt2": GPT2}
styles = pytest.mark.parametrize("style", STYLES)


def network(style: str, **options) -> TransformerNetwork:
    sizes = {"vocabulary": 11, "width": 12, "heads": 3, "layers": 2, "window": 5, **options}
    made = TransformerNetwork(TransformerShape(**STYLES[style], **sizes), "float64")
    made.initialise(1)
    return made


def chunk(steps: int, batch: int, *, keep=None, fresh=True, seed=0) -> Chunk:
    ids = np.random.default_rng(seed).integers(2, 11, (2, steps, batch)).astype(np.int32)
    return Chunk(ids[0], ids[1], keep, fresh)


# Agreement with PyTorch ---------------------------------------------------------------------


def named(z, kind: str, layers: int, gpt2: bool) -> dict[str, np.ndarray]:
    """The arrays of a reference file under the names they have here."""

    def get(name: str) -> np.ndarray:
        return z[f"{kind}/{name}"]

    found = {"embedding.weight": get("token_embedding")}
    if gpt2:
        found["positions.weight"] = get("position_embedding")
    else:
        found["output.weight"] = get("output.weight").T
    for part in ("weight", "bias") if gpt2 else ("weight",):
        for k in range(layers):
            there, here = f"block{k}", f"block.{k}"
            names = [f"{there}.attention.{n}.{part}" for n in ("query", "key", "value")]
            found[f"{here}.attention.qkv.{part}"] = np.concatenate([*map(get, names)], axis=-1)
            found[f"{here}.attention.out.{part}"] = get(f"{there}.attention.projection.{part}")
            names = [f"{there}.mlp.{n}.{part}" for n in (("up",) if gpt2 else ("gate", "up"))]
            found[f"{here}.units.up.{part}"] = np.concatenate([*map(get, names)], axis=-1)
            found[f"{here}.units.down.{part}"] = get(f"{there}.mlp.down.{part}")
            for n in ("norm1", "norm2"):
                found[f"{here}.{n}.{part}"] = get(f"{there}.{n}.{part}")
        found[f"norm.{part}"] = get(f"norm.{part}")
    return found


@styles
def test_outputs_and_gradients_equal_pytorch(style: str) -> None:
    z = np.load(DATA / f"torch_transformer_{style}.npz")
    (vocabulary, width), gpt2 = z["weight/token_embedding"].shape, style == "gpt2"
    shape = TransformerShape(
        vocabulary=vocabulary,
        width=width,
        heads=int(z["heads"]),
        layers=int(z["layers"]),
        window=9,
        inner=48 if gpt2 else 36,
        tied=gpt2,
        **STYLES[style],
    )
    net = TransformerNetwork(shape, "float64")
    net.output.excluded = []  # PyTorch gives <s> a probability, too
    weights = named(z, "weight", shape.layers, gpt2)
    assert {*net.parameters.arrays} - {*weights} == {"output.bias"}
    for name, array in weights.items():
        net.parameters[name][...] = array
    net.refresh()
    inputs, targets = z["inputs"].astype(np.int32), z["targets"].astype(np.int32)
    total = net.loss(Chunk(inputs, targets, None, True), 1 / targets.size, None)
    assert total / targets.size == pytest.approx(float(z["loss"]), abs=1e-12)
    logits = z["logits"] - z["logits"].max(axis=2, keepdims=True)
    expected = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
    found = net.output.log_distribution(net.forward(inputs).reshape(-1, width))
    assert found == pytest.approx(expected.reshape(found.shape), abs=1e-9)
    for name, gradient in named(z, "gradient", shape.layers, gpt2).items():
        np.testing.assert_allclose(net.gradients[name], gradient, rtol=0, atol=1e-9, err_msg=name)


# Gradients ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NORMS)
def test_norm_gradients_equal_finite_differences(name: str) -> None:
    layer = bind(NORMS[name](6))
    x = np.random.default_rng(0).standard_normal((4, 3, 6))
    for array in layer.values.values():
        array += np.random.default_rng(1).standard_normal(array.shape)
    check_layer(layer, lambda: layer.forward(x), layer.backward)
    check_input(layer.forward, layer.backward, x)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_feed_forward_gradients_equal_finite_differences(name: str, bias: bool) -> None:
    layer = bind(ACTIVATIONS[name](4, 5, bias=bias))
    x = np.random.default_rng(0).standard_normal((3, 2, 4))
    check_layer(layer, lambda: layer.forward(x), layer.backward)
    check_input(layer.forward, layer.backward, x)


@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("before", [0, 2])
def test_attention_gradients_equal_finite_differences(rotary: bool, before: int) -> None:
    layer = bind(SelfAttention(8, 2, 4, rotary=rotary, bias=True))
    rng = np.random.default_rng(0)
    cache = KVCache.empty(2)
    if before:
        cache = cache.extended(rng.standard_normal((2, before, 2, 8)), cache.first)
    first = np.array([[0] * 6, [0, 0, before + 2, before + 2, before + 2, before + 2]], np.int32)
    x = rng.standard_normal((2, 6, 8))
    check_layer(layer, lambda: layer.forward(x, cache, first), layer.backward)
    check_input(lambda x: layer.forward(x, cache, first), layer.backward, x)


def check_input(forward, backward, x: np.ndarray) -> None:
    """The gradient with respect to the input, along a direction at random."""
    rng = np.random.default_rng(4)
    weights, direction = rng.standard_normal((2, *x.shape))
    forward(x)
    analytic = (backward(weights.copy()) * direction).sum()
    above = (weights * forward(x + 1e-6 * direction)).sum()
    below = (weights * forward(x - 1e-6 * direction)).sum()
    assert analytic == pytest.approx((above - below) / 2e-6, rel=1e-6)


@styles
def test_network_gradients_equal_finite_differences(style: str) -> None:
    check_network(network(style), chunk(5, 2))


def test_gradients_with_an_adaptive_softmax() -> None:
    check_network(network("llama", tied=False, cutoffs=(4, 7)), chunk(5, 2))
    with pytest.raises(UsageError, match="cannot be tied with an adaptive"):
        network("llama", cutoffs=(4,))


@styles
def test_gradients_where_sequences_start_within_a_chunk(style: str) -> None:
    keep = np.ones((5, 2), np.bool_)
    keep[0, 0] = keep[2, 1] = keep[4, 1] = False
    check_network(network(style, tied=False), chunk(5, 2, keep=keep))


def test_gradients_with_the_cache_of_the_chunk_before() -> None:
    net = network("llama")
    before = chunk(7, 2, seed=1)
    net.loss(before, 1.0, None)
    states = net.final_states

    def restart() -> None:
        # No gradient flows into what is remembered: it stays as it was.
        net._states = states

    check_network(net, chunk(6, 2, fresh=False), restart=restart)


def test_block_size_does_not_change_attention(monkeypatch) -> None:
    from langmodels.neural.layers import self_attention

    batch = chunk(30, 3)
    net = network("llama", window=12)
    expected = net.loss(batch, 1.0, None), net.gradients.flat.copy()
    monkeypatch.setattr(self_attention, "_QUERIES", 7)
    monkeypatch.setattr(self_attention, "_BLOCK", 1)
    assert net.loss(batch, 1.0, None) == pytest.approx(expected[0], abs=1e-10)
    np.testing.assert_allclose(net.gradients.flat, expected[1], rtol=0, atol=1e-10)


def test_maxima_are_subtracted_only_from_scores_that_overflow(monkeypatch) -> None:
    """The result is the same either way."""
    from langmodels.neural.layers import self_attention

    batch = chunk(30, 3)
    net = network("llama", window=12)
    expected = net.loss(batch, 1.0, None), net.gradients.flat.copy()
    assert net.blocks[0].attention._shifts == [None]
    monkeypatch.setattr(self_attention, "_LARGEST", 1.0)
    assert net.loss(batch, 1.0, None) == pytest.approx(expected[0], abs=1e-10)
    assert net.blocks[0].attention._shifts[0] is not None
    np.testing.assert_allclose(net.gradients.flat, expected[1], rtol=0, atol=1e-10)
    monkeypatch.undo()
    net.parameters["block.0.attention.qkv.weight"][...] *= 100
    assert np.isfinite(net.loss(batch, 1.0, None))
    assert np.isfinite(net.gradients.flat).all()
    assert net.blocks[0].attention._shifts[0] is not None
    ids = batch.inputs[:5, 0]
    assert net.attention(ids).sum(axis=3) == pytest.approx(np.ones((2, 3, 5)))


# States -------------------------------------------------------------------------------------


def outputs(net: TransformerNetwork, ids: np.ndarray, sizes: list[int], keep=None) -> np.ndarray:
    """What the network gives for a text that is read in chunks of these sizes."""
    states, found, begin = net.zero_states(ids.shape[1]), [], 0
    for size in sizes:
        part = slice(begin, begin + size)
        found.append(
            net.forward(ids[part], states, keep=None if keep is None else keep[part]).copy()
        )
        states, begin = net.final_states, begin + size
    return np.concatenate([*found])


@pytest.mark.parametrize("begun", [False, True])
def test_outputs_do_not_depend_on_how_a_text_is_cut_into_chunks(begun: bool) -> None:
    net = network("llama")
    ids = chunk(24, 3).inputs
    keep = np.random.default_rng(3).random(ids.shape) < 0.8 if begun else None
    whole = outputs(net, ids, [24], keep).copy()
    for sizes in ([1] * 24, [7, 1, 1, 15], [2, 20, 2], [12, 12]):
        np.testing.assert_allclose(outputs(net, ids, sizes, keep), whole, rtol=0, atol=1e-12)


def test_each_layer_extends_the_context_by_its_window() -> None:
    net = network("llama")  # two layers with windows of five: nine tokens
    ids = chunk(20, 1).inputs
    one = net.forward(ids).copy()
    other = ids.copy()
    other[5] = other[5] % 9 + 2
    changed = np.abs(net.forward(other) - one).max(axis=(1, 2)) > 1e-12
    assert np.flatnonzero(changed).tolist() == list(range(5, 5 + 9))


def test_rotary_outputs_depend_on_distances_only() -> None:
    net = network("llama")
    ids = chunk(40, 1).inputs
    ids[30:39] = ids[10:19]
    h = net.forward(ids)
    np.testing.assert_allclose(h[38], h[18], rtol=0, atol=1e-12)


def test_a_kv_cache_is_immutable_and_seldom_copied() -> None:
    rng = np.random.default_rng(0)
    cache, buffers, written = KVCache.empty(1), set(), []
    for _ in range(200):
        pairs = rng.standard_normal((1, 1, 2, 4))
        before = cache.pairs.copy() if len(cache) else None
        longer = cache.extended(pairs, cache.first)
        other = cache.extended(-pairs, cache.first)  # another way on from the same state
        assert np.array_equal(longer.pairs[:, -1:], pairs)
        assert np.array_equal(other.pairs[:, -1:], -pairs)
        if before is not None:
            assert np.array_equal(cache.pairs, before)
            assert np.array_equal(longer.pairs[:, :-1], before)
        cache = longer.last(15)
        written.append(pairs)
        buffers.add(id(cache.buffer))
        assert cache.position == len(written)
        assert np.array_equal(cache.pairs, np.concatenate(written[-15:], axis=1))
    assert len(buffers) <= 200 // 15 + 1


# The model ----------------------------------------------------------------------------------

TEXT = "the cat sat on the mat and the dog sat on the log, said the cat to the dog. " * 6


def model(style: str, **options) -> TransformerModel:
    small = {"width": 16, "heads": 2, "layers": 2, "window": 6, "epochs": 1, "steps": 6}
    plain = {"batch_size": 4, "dropout": 0.0}
    return TransformerModel(**{**STYLES[style], **small, **plain, **options})


def corpus(text: str = TEXT, vocabulary=None) -> Corpus:
    return Corpus.from_text(text, make_tokenizer("char"), vocabulary=vocabulary)


@styles
@pytest.mark.parametrize("window", [1, 2, 7])
def test_batched_scores_of_a_long_text_equal_stepping(style: str, window: int, monkeypatch) -> None:
    monkeypatch.setattr(scoring, "_STEPS", 9)
    monkeypatch.setattr(scoring, "_PIECE", 2)
    text = corpus()
    fitted = model(style, window=window, dtype="float64").fit(text)
    slow = LanguageModel.score_sequences(fitted, text)
    np.testing.assert_allclose(fitted.score_corpus(text), slow, rtol=0, atol=1e-10)


@styles
def test_batched_scores_of_many_sequences_equal_stepping(style: str) -> None:
    lines = Corpus.from_text(TEXT.replace("the", "\nthe"), make_tokenizer("word"))
    fitted = model(style, dtype="float64").fit(lines)
    slow = LanguageModel.score_sequences(fitted, lines)
    np.testing.assert_allclose(fitted.score_corpus(lines), slow, rtol=0, atol=1e-10)


def test_a_new_window_of_learned_positions_starts_with_half_of_the_last() -> None:
    fitted = model("gpt2", dtype="float64").fit(corpus())
    ids = fitted.encode("the cat sat").tolist()
    tokens = [fitted.vocabulary.bos_id, *ids]
    lengths = []
    state = fitted.start()
    for k, token in enumerate(ids, start=2):
        state = fitted.advance(state, token)
        lengths.append(len(state.tokens))
        h = fitted.network.forward(np.array(tokens[k - lengths[-1] : k])[:, None])[-1]
        np.testing.assert_allclose(state.network.top, h, rtol=0, atol=1e-12)
    assert lengths == [2, 3, 4, 5, 6, 4, 5, 6, 4, 5, 6]
    used = [fitted.context_used(ids[:k]) for k in range(1, len(ids) + 1)]
    assert used == [1, 2, 3, 4, 5, 4, 5, 6, 4, 5, 6]  # without `<s>`
    sequences = fitted.sequences_of([ids])
    assert fitted.contexts_used(sequences).tolist() == [0, *used[:-1]]


def test_training_updates_every_learned_position() -> None:
    """However short the chunks of other networks are; without decay nothing else moves a weight."""
    fitted, fresh = (model("gpt2", steps=2, l2=0.0) for _ in range(2))
    text = corpus()
    trained = fitted.fit(text).network.parameters["positions.weight"]
    first = fresh.untrained(text).network.parameters["positions.weight"]
    assert len(first) == fitted.window
    assert (trained != first).any(axis=1).all()
    many = model("gpt2", batch_size=500, l2=0.0).fit(text).network.parameters["positions.weight"]
    assert (many != first).any(axis=1).all()


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"positions": "learned", "steps": 3}, (6, 2)),
        ({"positions": "learned", "steps": 12}, (6, 4)),
        ({"shuffled": True, "steps": 3}, (6, 2)),
        ({"shuffled": True, "steps": 12}, (12, 3)),  # as many as make equal batches
        ({"shuffled": True, "steps": 1, "batch_size": 2}, (6, 1)),
        ({"steps": 3}, (3, 4)),  # which looks back into the chunk before
    ],
)
def test_independent_chunks_are_at_least_as_long_as_the_window(
    options: dict[str, object], shape: tuple[int, int]
) -> None:
    (first,) = next(iter(model("llama", **options).make_batches(corpus(), 1).epoch(0)))
    assert first.inputs.shape == shape


@styles
def test_resumed_training_gives_the_same_weights(style: str, tmp_path) -> None:
    text = corpus()
    options = {"epochs": 3, "dropout": 0.1, "threads": 1}
    whole = model(style, **options).fit(text)

    class StopError(Exception):
        pass

    def stop(epoch) -> None:
        if epoch.number == 1:
            raise StopError

    path = str(tmp_path / "run.checkpoint")
    with pytest.raises(StopError):
        model(style, **options).fit(text, checkpoint=path, after_epoch=stop)
    again = model(style, **options).fit(text, checkpoint=path)
    assert np.array_equal(again.network.parameters.flat, whole.network.parameters.flat)


def test_carried_states_are_restored_exactly() -> None:
    net, twin = network("llama"), network("llama")
    first, second = chunk(7, 2), chunk(4, 2, fresh=False, seed=1)
    net.loss(first, 1.0, None)
    twin.restore_carried(net.carried())
    assert twin.loss(second, 1.0, None) == net.loss(second, 1.0, None)
    assert np.array_equal(twin.gradients.flat, net.gradients.flat)


def test_training_fits_a_repetitive_text() -> None:
    text = corpus()
    fitted = model("llama", epochs=12, learning_rate=0.02).fit(text)
    assert fitted.perplexity(text) < 3
    assert model("gpt2", epochs=12, learning_rate=0.02).fit(text).perplexity(text) < 3


def test_two_threads_train_as_one_does() -> None:
    text = corpus()
    one, two = (model("llama", threads=n, dtype="float64", batch_size=6).fit(text) for n in (1, 2))
    assert two.perplexity(text) == pytest.approx(one.perplexity(text), rel=1e-6)


def test_only_matrices_decay() -> None:
    net = network("gpt2")
    optimizer = make_optimizer(
        "adamw", net.parameters.flat.size, net.dtype, 0.5, decayed=net.decayed()
    )
    before = {name: array.copy() for name, array in net.parameters.items()}
    net.gradients.flat.fill(0)
    optimizer.step(net.parameters.flat, net.gradients.flat, 0.1)
    for name, array in net.parameters.items():
        factor = 0.95 if array.ndim > 1 else 1.0
        np.testing.assert_allclose(array, factor * before[name], err_msg=name)


def test_attention_weights_are_causal_and_sum_to_one() -> None:
    fitted = model("llama").fit(corpus())
    maps = fitted.attention("cat")
    assert maps.shape == (2, 2, 4, 4)
    np.testing.assert_allclose(maps.sum(axis=3), 1, rtol=1e-5)
    assert (np.triu(maps, 1) == 0).all()


def test_attention_weights_of_a_long_text_equal_stepping() -> None:
    text = "the cat sat on"
    fitted = model("llama").fit(corpus())
    maps = fitted.attention(text)
    assert maps.shape == (2, 2, 15, 15)
    np.testing.assert_allclose(maps.sum(axis=3), 1, rtol=1e-5)
    for at in (3, 8, 14):
        state = fitted.state(text[: at - 1]).network
        fitted.network.forward(np.array([[fitted.vocabulary.id(text[at - 1])]]), state)
        for k, block in enumerate(fitted.network.blocks):
            (step,) = block.attention.weights()[0].swapaxes(0, 1)
            seen = maps[k, :, at, at + 1 - step.shape[1] : at + 1]
            np.testing.assert_allclose(seen, step, atol=1e-5)
            assert maps[k, :, at, : at + 1 - step.shape[1]].max(initial=0) == 0
    learned = model("gpt2").fit(corpus())
    assert learned.attention(text).shape == (2, 2, 6, 6)
    assert learned.attention(text[:-1]).shape == (2, 2, 5, 5)  # a window begins anew


@pytest.mark.parametrize(
    "options",
    [
        {"width": 10, "heads": 3},
        {"width": 6, "heads": 2},
        {"heads": 0},
        {"window": 0},
        {"positions": "absolute"},
        {"norm": "batch"},
        {"activation": "relu"},
        {"dropout": 1.0},
        {"layers": 1.5},
    ],
)
def test_invalid_settings_raise_usage_errors(options: dict) -> None:
    with pytest.raises(UsageError):
        TransformerModel(**options)
