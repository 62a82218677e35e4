"""A decoder-only Transformer: embedding, blocks of attention and feed-forward layers, output."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from langmodels.arrays import Array, BoolArray, FloatArray, IntArray
from langmodels.checks import Expected
from langmodels.errors import UsageError, check_whole
from langmodels.neural.layers.adaptive import check_cutoffs, make_output
from langmodels.neural.layers.base import Dropout, Embedding, Generator, Layer
from langmodels.neural.layers.kv_cache import KVCache
from langmodels.neural.layers.normalization import NORMS
from langmodels.neural.layers.position_wise import ACTIVATIONS
from langmodels.neural.layers.self_attention import SelfAttention
from langmodels.neural.network import SequenceNetwork
from langmodels.neural.training.batches import Chunk

POSITIONS = ("rotary", "learned")

_ELEMENTS_A_THREAD = 32_768  # elements (B, window, C) of a batch that make one more thread worth it


@dataclass(frozen=True)
class TransformerShape:
    """The sizes and variants of a Transformer.

    Args:
        vocabulary: V, the number of token types.
        width: C, the width of the residual stream.
        heads: attention heads per block.
        layers: number of blocks.
        window: positions that a block attends to, the current one included.
        positions: one of `POSITIONS`.
        norm: one of `NORMS`.
        activation: one of `ACTIVATIONS`.
        inner: units of the feed-forward layers; None: the default of the activation.
        bias: whether linear layers have biases.
        tied: whether the output matrix is the embedding (Press and Wolf 2017).
        dropout: rate on the embedded input, and on the output of attention and feed-forward layers.
        cutoffs: frequency ranks that divide the classes of an adaptive softmax; (): a full softmax.

    Raises UsageError for invalid values.
    """

    vocabulary: int
    width: int
    heads: int
    layers: int
    window: int
    positions: str = "rotary"
    norm: str = "rms"
    activation: str = "swiglu"
    inner: int | None = None
    bias: bool = False
    tied: bool = True
    dropout: float = 0.0
    cutoffs: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        sizes = {name: getattr(self, name) for name in ("width", "heads", "layers", "window")}
        sizes["inner"] = 1 if self.inner is None else self.inner
        check_whole(**sizes)
        for name, size in sizes.items():
            if size < 1:
                raise UsageError(f"{name} must be at least 1, not {size}.")
        for name, known in (("positions", POSITIONS), ("norm", NORMS), ("activation", ACTIVATIONS)):
            if getattr(self, name) not in known:
                choices = ", ".join(known)
                raise UsageError(f"{name} must be one of {choices}, not {getattr(self, name)!r}.")
        if self.width % self.heads:
            raise UsageError(f"A width of {self.width} cannot be divided into {self.heads} heads.")
        if self.positions == "rotary" and self.width // self.heads % 2:
            raise UsageError("Rotary positions need heads of even width; choose fewer heads.")
        if not 0 <= self.dropout < 1:
            raise UsageError("Dropout rates must be at least 0 and below 1.")
        if self.tied and self.cutoffs:
            raise UsageError("Weights cannot be tied with an adaptive softmax.")
        check_cutoffs(self.cutoffs, self.vocabulary)


class Block(Layer):
    """x += attention(norm1(x)), then x += feed_forward(norm2(x)): pre-norm (Xiong et al. 2020)."""

    def __init__(self, shape: TransformerShape) -> None:
        norm, feed_forward = NORMS[shape.norm], ACTIVATIONS[shape.activation]
        inner = shape.inner or feed_forward.default_inner(shape.width)
        self.norm1 = norm(shape.width)
        self.attention = SelfAttention(
            shape.width,
            shape.heads,
            shape.window,
            rotary=shape.positions == "rotary",
            bias=shape.bias,
        )
        self.dropout1 = Dropout(shape.dropout)
        self.norm2 = norm(shape.width)
        self.feed_forward = feed_forward(shape.width, inner, bias=shape.bias)
        self.dropout2 = Dropout(shape.dropout)
        # 2 layers outputs are added to the residual stream; scaled by 1/sqrt(2 layers), their sum
        # does not grow with depth (Radford et al. 2019, section 2.3).
        self.attention.out.gain = self.feed_forward.down.gain = (2 * shape.layers) ** -0.5
        super().__init__(
            parts={
                "norm1": self.norm1,
                "attention": self.attention,
                "norm2": self.norm2,
                "units": self.feed_forward,  # the name in model files
            }
        )

    def forward(
        self, x: Array, cache: KVCache, first: IntArray, rng: Generator | None, since: int = 0
    ) -> Array:
        """Update x (B, T, C) in place from step `since` on, and return that part, (B, T - since,
        C).

        `cache`, `first` and `since` are as in `SelfAttention.forward`.
        """
        y = self.attention.forward(self.norm1.forward(x), cache, first, since)
        x = x[:, since:]
        x += self.dropout1.forward(y, rng)
        y = self.feed_forward.forward(self.norm2.forward(x))
        x += self.dropout2.forward(y, rng)
        return x

    def backward(self, dx: Array) -> None:
        """Replace the gradient of the output, dx (B, T, C), by that of the input, in place."""
        d = self.dropout2.backward(dx.copy() if self.dropout2.active else dx)
        dx += self.norm2.backward(self.feed_forward.backward(d))
        d = self.dropout1.backward(dx.copy() if self.dropout1.active else dx)
        dx += self.norm1.backward(self.attention.backward(d))


@dataclass(frozen=True, eq=False)
class TransformerState:
    """The KV cache of each block, and the input (B, C) of the output layer after the last token."""

    caches: Sequence[KVCache]
    top: Array


class TransformerNetwork(SequenceNetwork[TransformerState]):
    """p(x_{t+1} | x_1 .. x_t) = softmax(norm(blocks(embedding(x_1 .. x_t)))_t W + b)."""

    def __init__(self, shape: TransformerShape, dtype: str = "float32") -> None:
        self.shape = shape
        super().__init__(dtype)

    def _build(self) -> dict[str, Layer]:
        shape = self.shape
        self.embedding = Embedding(shape.vocabulary, shape.width, tied=shape.tied, unit_rows=True)
        self.positions = Embedding(shape.window, shape.width, unit_rows=True)
        self.dropout = Dropout(shape.dropout)
        self.blocks = [Block(shape) for _ in range(shape.layers)]
        self.norm = NORMS[shape.norm](shape.width)
        tied = self.embedding if shape.tied else None
        self.output = make_output(shape.width, shape.vocabulary, shape.cutoffs, tied=tied)
        return {
            "embedding": self.embedding,
            **({"positions": self.positions} if shape.positions == "learned" else {}),
            **{f"block.{k}": block for k, block in enumerate(self.blocks)},
            "norm": self.norm,
            "output": self.output,
        }

    def forward(
        self,
        inputs: Array,
        states: TransformerState | None = None,
        *,
        keep: Array | None = None,
        rng: Generator | None = None,
        since: int = 0,
    ) -> Array:
        """See `SequenceNetwork`; (T - since, B, C), without the outputs of steps before `since`."""
        steps, batch = inputs.shape
        caches = (states or self.zero_states(batch)).caches
        first = _sequence_starts(caches[0], keep, steps, batch)
        x = self.embedding.forward(np.ascontiguousarray(inputs.T))
        if self.shape.positions == "learned":
            x += self.positions.forward(self._position_ids(caches[0].position, first))
        x = self.dropout.forward(x, rng)
        for block, cache in zip(self.blocks, caches, strict=True):
            x = block.forward(x, cache, first, rng, since if block is self.blocks[-1] else 0)
        self._h = np.ascontiguousarray(self.norm.forward(x).swapaxes(0, 1))
        return self._h

    def backward(self, dy: Array) -> None:
        """See `SequenceNetwork`."""
        dx = self.norm.backward(np.ascontiguousarray(dy.swapaxes(0, 1)))
        for block in reversed(self.blocks):
            block.backward(dx)
        dx = self.dropout.backward(dx)
        if self.shape.positions == "learned":
            self.positions.backward(dx)
        self.embedding.backward(dx)

    def _position_ids(self, position: int, first: IntArray) -> Array:
        """The learned position of each step, (B, T): its distance from the start of its sequence.

        `position` is that of the first step, and `first` (B, T) as in `SelfAttention.forward`.
        """
        ids: Array = np.arange(position, position + first.shape[1]) - first
        if ids.max() >= self.shape.window:
            raise ValueError(f"there are only {self.shape.window} learned positions")
        return ids

    def attention(self, inputs: Array) -> FloatArray:
        """The attention weights of each block for tokens (T,), (layers, heads, T, T); rows sum to
        one.
        """
        self.forward(inputs[:, None])
        maps = np.stack([block.attention.weights()[0] for block in self.blocks])
        return maps.astype(np.float64)

    # States ---------------------------------------------------------------------------------

    def zero_states(self, batch: int) -> TransformerState:
        """See `SequenceNetwork`: empty caches."""
        empty = [KVCache.empty(batch)] * self.shape.layers
        return TransformerState(empty, np.zeros((batch, self.shape.width), self.dtype))

    @property
    def final_states(self) -> TransformerState:
        """See `SequenceNetwork`."""
        return TransformerState([b.attention.cache for b in self.blocks], self._h[-1].copy())

    def top(self, states: TransformerState) -> Array:
        """See `SequenceNetwork`."""
        return states.top

    def _to_arrays(self, states: TransformerState) -> dict[str, Array]:
        one = states.caches[0]
        pairs = {f"pairs.{k}": cache.pairs for k, cache in enumerate(states.caches)}
        place = {"position": np.array([one.position]), "first": one.first}
        return {**pairs, **place, "top": states.top}

    def expected_carried(self, batch: Chunk) -> dict[str, Expected]:
        """See `Network`; the length of the caches depends on how many tokens were read."""
        rows, width, dtype = batch.inputs.shape[1], self.shape.width, self.dtype.name
        pairs = Expected(dtype, (rows, "positions remembered", 2, width), finite=True)
        return {
            **{f"pairs.{k}": pairs for k in range(self.shape.layers)},
            "position": Expected("int32 int64", (1,), low=0),
            "first": Expected("int32", (rows,), low=0),
            "top": Expected(dtype, (rows, width), finite=True),
        }

    def _from_arrays(self, arrays: Mapping[str, Array]) -> TransformerState:
        first, position = np.array(arrays["first"]), int(arrays["position"][0])
        pairs = (arrays[f"pairs.{k}"] for k in range(self.shape.layers))
        caches = [KVCache.of(some, position, first) for some in pairs]
        return TransformerState(caches, np.array(arrays["top"]))

    # Training -------------------------------------------------------------------------------

    def loss(self, batch: Chunk, scale: float, rng: Generator | None) -> float:
        """See `Network`; with learned positions every chunk starts without a cache."""
        if self.shape.positions == "learned":
            self._states = None
        return super().loss(batch, scale, rng)

    def decayed(self) -> BoolArray:
        """See `Network`: matrices, but not biases and gains of normalisation layers."""
        sizes = [(a.size, a.ndim > 1) for _, a in self.parameters.items()]
        return np.repeat([flag for _, flag in sizes], [size for size, _ in sizes])

    def shards(self, batch: int, threads: int) -> int:
        """See `Network`."""
        worth = batch * self.shape.window * self.shape.width // _ELEMENTS_A_THREAD
        return max(1, min(threads, batch, worth))


def _sequence_starts(cache: KVCache, keep: Array | None, steps: int, batch: int) -> IntArray:
    """The position at which the sequence of each step started, (B, T), counted as in `KVCache`."""
    first = np.repeat(cache.first[:, None], steps, axis=1)
    if keep is not None:
        here = np.arange(cache.position, cache.position + steps, dtype=np.int32)
        begun = np.where(keep.T, np.int32(-1), here)
        np.maximum(first, np.maximum.accumulate(begun, axis=1), out=first)
    return first
