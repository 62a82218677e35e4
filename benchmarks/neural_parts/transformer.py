"""Transformers against PyTorch: training steps, scoring, and one step of sampling."""

from collections.abc import Callable
from typing import Any

import numpy as np
from neural_parts.common import OneBatch, by_turns, figures, torch

from langmodels.neural.training.options import TrainingOptions
from langmodels.neural.training.trainer import Trainer
from langmodels.neural.transformer.network import TransformerNetwork, TransformerShape
from langmodels.neural.transformer.scoring import score_pieces
from langmodels.threads import Workers

SHAPES = (
    # batch, steps, width, heads, layers, vocabulary
    (12, 64, 128, 4, 4, 65),
    (32, 128, 256, 8, 4, 65),
    (16, 256, 384, 6, 6, 65),
    (20, 64, 256, 4, 4, 8000),
)
WINDOW, LENGTH = 64, 20_000  # of scoring: each token sees half a window at least


def transformer_training(threads: int, seconds: float) -> list[str]:
    """The table of training steps: forward, backward, clipping by norm, AdamW."""
    lines = [
        "| batch, steps, width, heads, layers, vocabulary | langmodels | PyTorch | "
        "PyTorch / langmodels |",
        "| --- | --- | --- | --- |",
    ]
    for shape in SHAPES:
        step, workers = _ours(shape, threads)
        with workers:
            result = by_turns([step] if torch is None else [step, _peer(shape)], seconds)
        lines.append(f"| {', '.join(map(str, shape))} | {figures(result)} |")
        print(lines[-1], flush=True)
    return lines


def transformer_inference(seconds: float) -> list[str]:
    """Scoring a long text, and one symbol after a full window."""
    lines = [
        "| task (128 wide, 4 heads, 4 layers, 65 types) | langmodels | PyTorch | "
        "PyTorch / langmodels |",
        "| --- | --- | --- | --- |",
    ]
    network = _network((1, WINDOW, 128, 4, 4, 65))
    ids = np.random.default_rng(0).integers(2, 65, LENGTH + 1).astype(np.int32)
    text = [(ids[:-1], ids[1:])]
    # One token short of a full window, so that learned positions have one left.
    network.forward(ids[: WINDOW - 1, None])
    states = network.final_states

    def step() -> Any:
        network.forward(np.array([[3]]), states)
        return network.output.log_distribution(network.final_states.top)

    tasks = [
        (f"score one stream of {LENGTH:,}", lambda: score_pieces(network, text)),
        (f"one symbol after {WINDOW - 1}: advance and distribution", step),
    ]
    rivals = [None] * len(tasks) if torch is None else _torch_inference(ids)
    for (name, mine), theirs in zip(tasks, rivals, strict=True):
        result = by_turns([mine] if theirs is None else [mine, theirs], seconds)
        lines.append(f"| {name} | {figures(result, 3)} |")
        print(lines[-1], flush=True)
    return lines


def _network(shape: tuple[int, ...]) -> TransformerNetwork:
    _, steps, width, heads, layers, vocabulary = shape
    style: dict[str, Any] = {
        "positions": "learned",
        "norm": "layer",
        "activation": "gelu",
        "bias": True,
    }
    network = TransformerNetwork(
        TransformerShape(vocabulary, width, heads, layers, window=steps, **style)
    )
    network.initialise(0)
    return network


def _ours(shape: tuple[int, ...], threads: int) -> tuple[Callable[[], Any], Workers]:
    batch, steps, vocabulary = shape[0], shape[1], shape[-1]
    network = _network(shape)
    data = OneBatch(batch, steps, vocabulary, network.shards(batch, threads))
    options = TrainingOptions(optimizer="adamw", l2=0.1, learning_rate=1e-3, schedule="constant")
    trainer = Trainer(network, data, options)
    workers = Workers(data.n_shards)
    return lambda: trainer.one_step(data.shards, workers), workers


def _peer(shape: tuple[int, ...]) -> Callable[[], None]:
    batch, steps, vocabulary = shape[0], shape[1], shape[-1]
    network = _torch_network(shape)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=0.1)
    x, y = torch.randint(0, vocabulary, (2, batch, steps))

    def step() -> None:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(x).flatten(0, 1), y.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()

    return step


def _torch_inference(ids: Any) -> list[Callable[[], Any]]:
    network = _torch_network((1, WINDOW, 128, 4, 4, 65))
    # The windows that are scored here, too: the first whole, of the others the last half.
    begins = range(0, LENGTH - WINDOW // 2, WINDOW // 2)
    windows = [ids[b : b + WINDOW + 1] for b in begins if b + WINDOW < len(ids)]
    both = torch.tensor(np.stack(windows)).long()
    cache = [torch.zeros(2, 1, 4, WINDOW - 1, 32) for _ in range(4)]

    @torch.no_grad()
    def score() -> Any:
        logits = network(both[:, :-1])[:, WINDOW // 2 :]
        targets = both[:, 1 + WINDOW // 2 :]
        return torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), reduction="none"
        )

    @torch.no_grad()
    def step() -> Any:
        return torch.log_softmax(network(torch.tensor([[3]]), WINDOW - 1, cache), -1)

    return [score, step]


def _torch_network(shape: tuple[int, ...]) -> Any:
    """The same network in PyTorch."""
    nn: Any = torch.nn
    functional = nn.functional
    _, steps, width, heads, layers, vocabulary = shape

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x: Any, cache: Any) -> Any:
            batch, length, _ = x.shape
            qkv = self.qkv(self.norm1(x)).view(batch, length, 3, heads, -1)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)
            if cache is not None:
                k, v = torch.cat([cache, torch.stack([k, v])], dim=3)
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=cache is None)
            x = x + self.out(y.transpose(1, 2).reshape(batch, length, width))
            units = functional.gelu(self.up(self.norm2(x)), approximate="tanh")
            return x + self.down(units)

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(vocabulary, width)
            self.places = nn.Embedding(steps, width)
            self.blocks = nn.ModuleList(Block() for _ in range(layers))
            self.norm = nn.LayerNorm(width)

        def forward(self, x: Any, begin: int = 0, caches: Any = None) -> Any:
            y = self.tokens(x) + self.places(torch.arange(begin, begin + x.shape[1]))
            for block, cache in zip(self.blocks, caches or [None] * layers, strict=True):
                y = block(y, cache)
            return functional.linear(self.norm(y), self.tokens.weight)

    return Network()
