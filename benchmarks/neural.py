"""Speed of the neural engine, against PyTorch on the CPU where that is installed.

    python benchmarks/neural.py [--quick] [--threads 2] [--output benchmarks/results/neural.md]

Both run in one process, by turns, with at most so many threads. A training step is forward,
backward, clipping by norm and Adam's update, on random tokens. What counts is the ratio.
"""

import argparse
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from neural_parts.common import OneBatch, by_turns, figures, torch
from neural_parts.transformer import transformer_inference, transformer_training

from langmodels.neural.recurrent.network import RecurrentNetwork, RecurrentShape
from langmodels.neural.recurrent.scoring import score_pieces
from langmodels.neural.training.options import TrainingOptions
from langmodels.neural.training.trainer import Trainer
from langmodels.threads import Workers

CELLS = ("lstm", "gru", "rnn")
SHAPES = (
    # batch, steps, hidden, embedding, vocabulary, layers
    (32, 64, 128, 64, 65, 1),
    (64, 64, 256, 128, 65, 2),
    (20, 35, 200, 200, 10_000, 2),
    (32, 35, 512, 512, 10_000, 2),
    (128, 10, 128, 57, 57, 1),
)
SEQUENCES = 250  # side by side in batch scoring


def ours(cell: str, shape: tuple[int, ...], threads: int) -> tuple[Callable[[], Any], Workers]:
    """One training step of this library, and the threads to be entered for it."""
    batch, steps, hidden, embedding, vocabulary, layers = shape
    network = RecurrentNetwork(RecurrentShape(cell, vocabulary, hidden, layers, embedding))
    network.initialise(0)
    data = OneBatch(batch, steps, vocabulary, network.shards(batch, threads))
    options = TrainingOptions(learning_rate=1e-3, clip_norm=5.0, schedule="constant")
    trainer = Trainer(network, data, options)
    workers = Workers(data.n_shards)
    return lambda: trainer.one_step(data.shards, workers), workers


def peer(cell: str, shape: tuple[int, ...]) -> Callable[[], None]:
    """The same in PyTorch: nn.Embedding, nn.RNN/LSTM/GRU, nn.Linear."""
    batch, steps, hidden, embedding, vocabulary, layers = shape
    embed = torch.nn.Embedding(vocabulary, embedding)
    recurrent = getattr(torch.nn, cell.upper())(embedding, hidden, layers)
    linear = torch.nn.Linear(hidden, vocabulary)
    parameters = [*embed.parameters(), *recurrent.parameters(), *linear.parameters()]
    optimizer = torch.optim.Adam(parameters, 1e-3)
    x, y = torch.randint(0, vocabulary, (2, steps, batch))

    def step() -> None:
        optimizer.zero_grad()
        logits = linear(recurrent(embed(x))[0])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()

    return step


def training(threads: int, seconds: float, cells: tuple[str, ...]) -> list[str]:
    """The table of training steps."""
    lines = [
        "| cell | batch, steps, hidden, embedding, vocabulary, layers | langmodels | PyTorch | "
        "PyTorch / langmodels |",
        "| --- | --- | --- | --- | --- |",
    ]
    for cell in cells:
        for shape in SHAPES:
            step, workers = ours(cell, shape, threads)
            functions = [step] if torch is None else [step, peer(cell, shape)]
            with workers:
                result = by_turns(functions, seconds)
            lines.append(f"| {cell} | {', '.join(map(str, shape))} | {figures(result)} |")
            print(lines[-1], flush=True)
    return lines


def inference(seconds: float, cells: tuple[str, ...]) -> list[str]:
    """Scoring 20,000 tokens, as one stream and as a batch of sequences, and one step at a time."""
    lines = [
        "| cell | task (256 units, 65 types) | langmodels | PyTorch | PyTorch / langmodels |",
        "| --- | --- | --- | --- | --- |",
    ]
    for cell in cells:
        network = RecurrentNetwork(RecurrentShape(cell, 65, 256, 1, 128))
        network.initialise(0)
        ids = np.random.default_rng(0).integers(2, 65, 20_001).astype(np.int32)
        states = network.zero_states(1)

        def score(network: RecurrentNetwork = network, ids: Any = ids) -> Any:
            return score_pieces(network, [(ids[:-1], ids[1:])])

        def batch(network: RecurrentNetwork = network, ids: Any = ids) -> Any:
            sequences = ids[:-1].reshape(SEQUENCES, -1), ids[1:].reshape(SEQUENCES, -1)
            return score_pieces(network, list(zip(*sequences, strict=True)))

        def step(network: RecurrentNetwork = network, states: Any = states) -> Any:
            network.forward(np.array([[3]]), states)
            return network.output.log_distribution(network.top(network.final_states))

        tasks = [
            ("score one stream of 20,000", score),
            (f"score {SEQUENCES} sequences of {20_000 // SEQUENCES}", batch),
            ("one symbol: advance and distribution", step),
        ]
        rivals = _torch_inference(cell, ids) if torch is not None else [None] * len(tasks)
        for (name, mine), theirs in zip(tasks, rivals, strict=True):
            result = by_turns([mine] if theirs is None else [mine, theirs], seconds)
            lines.append(f"| {cell} | {name} | {figures(result, 3)} |")
            print(lines[-1], flush=True)
    return lines


def _torch_inference(cell: str, ids: Any) -> list[Callable[[], Any]]:
    embed, linear = torch.nn.Embedding(65, 128), torch.nn.Linear(256, 65)
    recurrent = getattr(torch.nn, cell.upper())(128, 256)
    x, y = torch.tensor(ids[:-1]).long()[:, None], torch.tensor(ids[1:]).long()
    one = torch.tensor([[3]])
    state = torch.zeros(1, 1, 256)
    first = (state, state) if cell == "lstm" else state

    @torch.no_grad()
    def score() -> Any:
        logits = linear(recurrent(embed(x))[0]).flatten(0, 1)
        return torch.nn.functional.cross_entropy(logits, y, reduction="none")

    xs, ys = x.reshape(SEQUENCES, -1).T, y.reshape(SEQUENCES, -1).T

    @torch.no_grad()
    def batch() -> Any:
        logits = linear(recurrent(embed(xs))[0]).flatten(0, 1)
        return torch.nn.functional.cross_entropy(logits, ys.flatten(), reduction="none")

    @torch.no_grad()
    def step() -> Any:
        h, _ = recurrent(embed(one), first)
        return torch.log_softmax(linear(h), -1)

    return [score, batch, step]


def main() -> None:
    """Run the benchmarks and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="half a second a figure")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=CELLS)
    parser.add_argument("--output", type=Path, default=None)
    arguments = parser.parse_args()
    seconds = 0.5 if arguments.quick else 3.0
    if torch is not None:
        torch.set_num_threads(arguments.threads)
    cells = tuple(arguments.cells)
    version = torch.__version__ if torch is not None else "not installed"
    text = [
        "# Speed of the neural engine",
        "",
        f"Medians; at most {arguments.threads} threads each; NumPy {np.__version__}, "
        f"PyTorch {version}, Python {platform.python_version()}, {os.cpu_count()} processors "
        f"({platform.machine()}). Made by `python benchmarks/neural.py`.",
        "",
        "## One training step",
        "",
        "Forward, backward, clipping by norm, Adam; float32, random tokens.",
        "",
        *training(arguments.threads, seconds, cells),
        "",
        "## Scoring and sampling",
        "",
        *inference(seconds, cells),
        "",
        "## Transformers: one training step",
        "",
        "Learned positions, LayerNorm, GELU, biases, tied output; AdamW. PyTorch with "
        "`scaled_dot_product_attention`.",
        "",
        *transformer_training(arguments.threads, seconds),
        "",
        "## Transformers: scoring and sampling",
        "",
        *transformer_inference(seconds),
        "",
    ]
    if arguments.output is not None:
        arguments.output.write_text("\n".join(text))


if __name__ == "__main__":
    main()
