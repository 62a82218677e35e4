"""Scoring text with a Transformer, many pieces at once, without changing the result.

What a Transformer has read longer ago than its windows reach, through all layers, it does not see.
So a long sequence is cut into pieces which, run side by side, each begin so much earlier than what
is scored of them; the result is that of one run from the beginning to the end. Where positions are
learned, the pieces are the windows themselves.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from langmodels.arrays import BoolArray, FloatArray, IntArray
from langmodels.neural.layers.base import rows
from langmodels.neural.layers.softmax import Scoring, log_prob
from langmodels.neural.transformer.network import TransformerNetwork
from langmodels.threads import Workers, cpu_count

_STEPS = 256  # tokens of each piece read at once
_AT_ONCE = 2048  # tokens of all pieces read at once by one thread
_PIECE = 8  # a piece is so many times as long as what it reads before it is scored


@dataclass(frozen=True, eq=False)
class _Piece:
    """Inputs, and the targets after the last `len(scores)` of them."""

    inputs: IntArray
    targets: IntArray
    wanted: BoolArray
    scores: FloatArray


def stride_of(window: int) -> int:
    """How far apart windows begin where positions are learned."""
    return max(1, window // 2)


def score_pieces(
    network: TransformerNetwork,
    sequences: Sequence[tuple[IntArray, IntArray]],
    scoring: Scoring = log_prob,
    numbers: tuple[int, ...] = (),
    wanted: BoolArray | None = None,
) -> FloatArray:
    """Log p of every target in nats, one sequence after the other.

    `sequences`: inputs and targets, equally long. With another `scoring` what it gives instead, so
    many `numbers` for each; zeros for what is not `wanted`.
    """
    result = np.empty((sum(len(inputs) for inputs, _ in sequences), *numbers))
    wanted = np.ones(len(result), np.bool_) if wanted is None else wanted
    threads = min(cpu_count(), max(1, len(result) // _STEPS))
    pieces = sorted(_cut(network, sequences, result, wanted, threads), key=lambda p: -len(p.inputs))
    groups = list(_groups(pieces, threads))
    replicas = [network, *(network.replica() for _ in range(threads - 1))]
    for replica in replicas[1:]:
        replica.refresh()
    with Workers(threads) as workers:

        def run(k: int) -> None:
            for group in groups[k::threads]:
                _run(replicas[k], group, scoring)

        workers.map(run, range(threads))
    return result


def score_stretch(
    network: TransformerNetwork, inputs: IntArray, targets: IntArray, before: IntArray | None
) -> tuple[FloatArray, IntArray]:
    """Log p of targets in nats, (n,), after inputs, (n,), that go on from others: those `before`
    that still matter. And those that matter after all of them.
    """
    seen = np.empty(0, np.int32) if before is None else before
    inputs = np.concatenate([seen, inputs])
    targets = np.concatenate([np.zeros_like(seen), targets])
    wanted = np.arange(len(inputs)) >= len(seen)
    scores = score_pieces(network, [(inputs, targets)], wanted=wanted)[len(seen) :]
    reach, stride = _reach(network)
    begin = max(0, len(inputs) - reach)
    if network.shape.positions == "learned":  # where the next window begins
        begin = begin // stride * stride if len(inputs) >= network.shape.window else 0
    return scores, inputs[begin:]


def _reach(network: TransformerNetwork) -> tuple[int, int]:
    """How many tokens before a piece are read again, and how many it has where windows are cut."""
    shape = network.shape
    if shape.positions == "learned":
        stride = stride_of(shape.window)
        return shape.window - stride, stride  # those of a new window that are there already
    before = shape.layers * (shape.window - 1)
    return before, max(_PIECE * before, _STEPS)


def _cut(
    network: TransformerNetwork,
    sequences: Sequence[tuple[IntArray, IntArray]],
    result: FloatArray,
    wanted: BoolArray,
    threads: int,
) -> Iterator[_Piece]:
    before, stride = _reach(network)
    if network.shape.positions != "learned":
        stride = max(stride, -(-len(result) // (4 * threads)))
    offset = 0
    for inputs, targets in sequences:
        n = len(inputs)
        # The first piece has nothing to read before it, and all of it is scored.
        for begin in [0, *range(before + stride, n, stride)] if n else []:
            end = min(n, begin + stride + (0 if begin else before))
            yield _Piece(
                inputs[max(0, begin - before) : end],
                targets[begin:end],
                wanted[offset + begin : offset + end],
                result[offset + begin : offset + end],
            )
        offset += n


def _groups(pieces: Sequence[_Piece], threads: int) -> Iterator[Sequence[_Piece]]:
    """Pieces of about the same length."""
    begin = 0
    while begin < len(pieces):
        steps = min(_STEPS, len(pieces[begin].inputs))
        size = max(1, min(_AT_ONCE // steps, -(-len(pieces) // threads)))
        yield pieces[begin : begin + size]
        begin += size


def _run(network: TransformerNetwork, group: Sequence[_Piece], scoring: Scoring) -> None:
    """Read pieces side by side, the longest first, from their beginnings to their ends."""
    longest = len(group[0].inputs)
    inputs = np.zeros((longest, len(group)), np.int32)
    targets, scored = np.zeros_like(inputs), np.zeros(inputs.shape, np.bool_)
    scores = np.zeros((*inputs.shape, *group[0].scores.shape[1:]))
    for column, piece in enumerate(group):
        end = len(piece.inputs)
        begin = end - len(piece.targets)
        inputs[:end, column] = piece.inputs
        targets[begin:end, column] = piece.targets
        scored[begin:end, column] = piece.wanted
    states = None
    steps = longest if network.shape.positions == "learned" else _STEPS
    for begin in range(0, longest, steps):
        chosen = scored[begin : begin + steps]
        # What is only read shows in the last layer through its keys and values alone.
        needed = np.flatnonzero(chosen.any(axis=1))
        since = int(needed[0]) if len(needed) else len(chosen) - 1
        h = rows(network.forward(inputs[begin : begin + steps], states, since=since))
        states = network.final_states
        chosen, part = chosen[since:], slice(begin + since, begin + steps)
        if chosen.any():
            found = scoring(network.output, h[chosen.ravel()], targets[part][chosen])
            scores[part][chosen] = found
    for column, piece in enumerate(group):
        end = len(piece.inputs)
        piece.scores[...] = scores[end - len(piece.scores) : end, column]
