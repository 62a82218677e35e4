"""Scoring long text with a Transformer as a batch of overlapping pieces.

A prediction depends on a bounded number of tokens, as many as the windows of all layers reach back.
So a long sequence is cut into pieces that are run in one batch. Each begins with that many tokens
of the piece before, which are read again and not scored; the scores are those of one sequential
run. With learned positions the pieces are the windows themselves.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from langmodels.arrays import BoolArray, FloatArray, IntArray
from langmodels.neural.layers.base import rows
from langmodels.neural.layers.softmax import LOG_PROB, Scoring
from langmodels.neural.transformer.network import TransformerNetwork
from langmodels.threads import Workers, cpu_count

_STEPS = 256  # tokens of a piece per call of the network
_AT_ONCE = 2048  # tokens of a whole batch per call of the network
_PIECE = 8  # scored tokens of a piece per token that is read again: reading again costs 1/8


@dataclass(frozen=True, eq=False)
class _Piece:
    """Inputs (n,); for the last k of them the targets (k,), and `scores`, a view of the result.

    `wanted` (k,) is false where no score is needed.
    """

    inputs: IntArray
    targets: IntArray
    wanted: BoolArray
    scores: FloatArray


def stride_of(window: int) -> int:
    """The distance between the starts of windows of learned positions: half a window."""
    return max(1, window // 2)


def score_pieces(
    network: TransformerNetwork,
    sequences: Sequence[tuple[IntArray, IntArray]],
    scoring: Scoring = LOG_PROB,
    wanted: BoolArray | None = None,
) -> FloatArray:
    """Log p of every target in nats, (n_tokens,), in the order of the sequences.

    Args:
        network: the network.
        sequences: inputs and targets of each sequence, of equal length; each starts from an empty
            cache.
        scoring: what to compute for each target, if not log p; the result is (n_tokens, *numbers).
        wanted: (n_tokens,), false at targets whose result may be zeros.
    """
    result = np.empty((sum(len(inputs) for inputs, _ in sequences), *scoring.numbers))
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


def score_continuation(
    network: TransformerNetwork, inputs: IntArray, targets: IntArray, before: IntArray | None
) -> tuple[FloatArray, IntArray]:
    """Log p of targets in nats, (n,), for inputs (n,) that continue the inputs `before` (m,).

    Also returns the last inputs on which later predictions depend, the next call's `before`.
    """
    seen = np.empty(0, np.int32) if before is None else before
    inputs = np.concatenate([seen, inputs])
    targets = np.concatenate([np.zeros_like(seen), targets])
    wanted = np.arange(len(inputs)) >= len(seen)
    scores = score_pieces(network, [(inputs, targets)], wanted=wanted)[len(seen) :]
    reach, stride = _reach(network)
    begin = max(0, len(inputs) - reach)
    if network.shape.positions == "learned":  # from the start of the current window
        begin = begin // stride * stride if len(inputs) >= network.shape.window else 0
    return scores, inputs[begin:]


def _reach(network: TransformerNetwork) -> tuple[int, int]:
    """The number of tokens at the beginning of a piece that are read again, and the least number of
    tokens that are scored after them.
    """
    shape = network.shape
    if shape.positions == "learned":
        stride = stride_of(shape.window)
        return shape.window - stride, stride  # a window keeps the last tokens of the one before
    before = shape.layers * (shape.window - 1)
    return before, max(_PIECE * before, _STEPS)


def _cut(
    network: TransformerNetwork,
    sequences: Sequence[tuple[IntArray, IntArray]],
    result: FloatArray,
    wanted: BoolArray,
    threads: int,
) -> Iterator[_Piece]:
    """Cut the sequences into pieces, at most about four per thread with rotary positions."""
    before, stride = _reach(network)
    if network.shape.positions != "learned":
        stride = max(stride, -(-len(result) // (4 * threads)))
    offset = 0
    for inputs, targets in sequences:
        n = len(inputs)
        # The first piece has no tokens before it, and is scored from its start.
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
    """Group pieces, sorted by length, into batches of about `_AT_ONCE` tokens per call."""
    begin = 0
    while begin < len(pieces):
        steps = min(_STEPS, len(pieces[begin].inputs))
        size = max(1, min(_AT_ONCE // steps, -(-len(pieces) // threads)))
        yield pieces[begin : begin + size]
        begin += size


def _run(network: TransformerNetwork, group: Sequence[_Piece], scoring: Scoring) -> None:
    """Run a batch of pieces, the longest first, and write their scores."""
    longest = len(group[0].inputs)
    inputs = np.zeros((longest, len(group)), np.int32)
    targets, scored = np.zeros_like(inputs), np.zeros(inputs.shape, np.bool_)
    scores = np.zeros((*inputs.shape, *scoring.numbers))
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
        # Of steps before the first scored one, the last block needs only keys and values.
        needed = np.flatnonzero(chosen.any(axis=1))
        since = int(needed[0]) if len(needed) else len(chosen) - 1
        h = rows(network.forward(inputs[begin : begin + steps], states, since=since))
        states = network.final_states
        chosen, part = chosen[since:], slice(begin + since, begin + steps)
        if chosen.any():
            found = scoring.values(network.output, h[chosen.ravel()], targets[part][chosen])
            scores[part][chosen] = found
    for column, piece in enumerate(group):
        end = len(piece.inputs)
        piece.scores[...] = scores[end - len(piece.scores) : end, column]
