"""Scoring long text with a recurrent network, in many pieces at once, with the same result.

A recurrence is sequential, but a trained network forgets: from two different initial states it
arrives at the same state after a while. So all pieces of a long sequence are first run in one batch
from a zero state. Then each is rerun from the final state of the piece before, until its state
equals that of the first run, from where on all scores are known. If a piece ends before that, the
next one is rerun in turn. The result is that of a sequential run up to the rounding of single
precision, whether the network forgets or not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from langmodels.arrays import BoolArray, FloatArray, IntArray
from langmodels.neural.layers.base import rows
from langmodels.neural.layers.softmax import Scoring, log_prob
from langmodels.neural.recurrent.network import RecurrentNetwork, States
from langmodels.threads import Workers, cpu_count

_COLUMNS = 64  # pieces per thread of one long sequence
_WIDTHS = 32, 128  # fewest and most pieces in a batch, if there are enough
_STEPS = 128  # tokens between comparisons of states
_BLOCK = 32  # batches whose pieces are in memory at once
_SAME = 1e-6  # tolerance for equal states: absolute, above 1 relative


@dataclass(eq=False)
class _Piece:
    """A piece of a sequence, and its `marks`: the states after every `_STEPS` tokens.

    `states` are those before the first piece of a sequence, None for zero ones. `kept`: whether all
    marks must be valid in the end.
    """

    inputs: IntArray
    targets: IntArray
    wanted: BoolArray
    scores: FloatArray
    previous: "_Piece | None"
    last: bool
    states: States | None = None
    kept: bool = False
    marks: list[States] = field(default_factory=list)
    merged: bool = False


def score_pieces(
    network: RecurrentNetwork,
    sequences: Sequence[tuple[IntArray, IntArray]],
    scoring: Scoring = log_prob,
    numbers: tuple[int, ...] = (),
    wanted: BoolArray | None = None,
) -> FloatArray:
    """Log p of every target in nats, (n_tokens,), sequence after sequence, each from a zero state.

    `sequences` are inputs and targets of equal length. Another `scoring` returns (n_tokens,
    *numbers) instead, with zeros for targets that are not `wanted`.
    """
    n = sum(len(inputs) for inputs, _ in sequences)
    result = np.empty((n, *numbers))
    wanted = np.ones(n, np.bool_) if wanted is None else wanted
    threads = _threads(n)
    _run_all(network, _cut(sequences, result, wanted, _COLUMNS * threads), threads, scoring)
    return result


def score_stretch(
    network: RecurrentNetwork, inputs: IntArray, targets: IntArray, states: States | None
) -> tuple[FloatArray, States]:
    """Log p of n >= 1 targets in nats, (n,), given inputs (n,) read from `states` on (None: zero),
    and the states after all inputs.
    """
    result = np.empty(len(inputs))
    threads = _threads(len(inputs))
    pieces = _cut([(inputs, targets)], result, np.ones(len(inputs), np.bool_), _COLUMNS * threads)
    pieces[0].states = states
    end = pieces[-1]
    end.kept = True
    _run_all(network, pieces, threads, log_prob)
    # A piece shorter than a whole number of steps has no mark at its end.
    whole = len(end.inputs) // _STEPS
    states = end.marks[whole - 1] if whole else _start(end)
    if len(end.inputs) % _STEPS:
        network.forward(end.inputs[whole * _STEPS :, None], states)
        states = network.final_states
    assert states is not None
    return result, states


def _threads(n: int) -> int:
    """The number of threads for n tokens."""
    return min(cpu_count(), max(1, n // (8 * _STEPS)))


def _run_all(
    network: RecurrentNetwork, pieces: list[_Piece], threads: int, scoring: Scoring
) -> None:
    replicas = [network, *(network.replica() for _ in range(threads - 1))]
    for replica in replicas[1:]:
        replica.refresh()
    size = _COLUMNS * threads * _BLOCK
    with Workers(threads) as workers:
        for begin in range(0, len(pieces), size):
            block = pieces[begin : begin + size]
            _settle(replicas, workers, block, scoring)
            for piece in block:
                if not piece.kept:
                    del piece.marks[:-1]
                    piece.previous = None


def _cut(
    sequences: Sequence[tuple[IntArray, IntArray]],
    result: FloatArray,
    wanted: BoolArray,
    columns: int,
) -> list[_Piece]:
    """Cut long sequences into pieces of nearly equal length, multiples of `_STEPS`."""
    length = min(32, max(2, -(-len(result) // (columns * _STEPS)))) * _STEPS
    pieces: list[_Piece] = []
    offset = 0
    for inputs, targets in sequences:
        previous = None
        for begin in range(0, len(inputs), length):
            part = slice(begin, min(begin + length, len(inputs)))
            here = slice(offset + part.start, offset + part.stop)
            last = part.stop == len(inputs)
            previous = _Piece(
                inputs[part], targets[part], wanted[here], result[here], previous, last
            )
            pieces.append(previous)
        offset += len(inputs)
    return pieces


def _settle(
    replicas: list[RecurrentNetwork], workers: Workers, block: list[_Piece], scoring: Scoring
) -> None:
    """Run pieces until each has been run from the final state of the one before."""
    inside = set(map(id, block))
    pending = block
    again = [p for p in block if p.previous is not None and id(p.previous) in inside]
    while pending:
        pending = sorted(pending, key=lambda p: -len(p.inputs))
        fewest, most = _WIDTHS
        width = min(most, max(fewest, -(-len(pending) // workers.n)))
        groups = [pending[k : k + width] for k in range(0, len(pending), width)]
        starts = [[_start(piece) for piece in group] for group in groups]
        shares = [slice(k, None, workers.n) for k in range(min(workers.n, len(groups)))]

        def run(
            k: int,
            shares: list[slice] = shares,
            groups: list[list[_Piece]] = groups,
            starts: list[list[States | None]] = starts,
        ) -> None:
            for group, start in zip(groups[shares[k]], starts[shares[k]], strict=True):
                _run(replicas[k], group, start, scoring)

        workers.map(run, range(len(shares)))
        moved = {id(p) for p in pending if not p.merged}
        pending = [p for p in again if id(p.previous) in moved]


def _start(piece: _Piece) -> States | None:
    previous = piece.previous
    return previous.marks[-1] if previous is not None and previous.marks else piece.states


def _run(
    network: RecurrentNetwork,
    group: list[_Piece],
    starts: list[States | None],
    scoring: Scoring,
) -> None:
    """Score pieces in one batch, the longest first, each until it ends or merges with its earlier
    run.
    """
    states: States = [
        tuple(
            np.concatenate([zero if s is None else s[k][j] for s in starts])
            for j, zero in enumerate(zeros)
        )
        for k, zeros in enumerate(network.zero_states(1))
    ]
    begin = 0
    while group:
        states = _advance(network, group, states, begin, scoring)
        begin += _STEPS
        going = [k for k, p in enumerate(group) if not p.merged and len(p.inputs) > begin]
        group = [group[k] for k in going]
        states = [tuple(a[going] for a in state) for state in states]


def _advance(
    network: RecurrentNetwork, group: list[_Piece], states: States, begin: int, scoring: Scoring
) -> States:
    """Score up to `_STEPS` tokens of every piece from `begin` on; record marks and merging."""
    steps = min(_STEPS, len(group[0].inputs) - begin)
    inputs = np.zeros((steps, len(group)), np.int32)
    targets = np.zeros((steps, len(group)), np.int32)
    valid = np.zeros((steps, len(group)), np.bool_)
    for column, piece in enumerate(group):
        part = piece.inputs[begin : begin + steps]
        inputs[: len(part), column] = part
        targets[: len(part), column] = piece.targets[begin : begin + steps]
        valid[: len(part), column] = piece.wanted[begin : begin + steps]
    h = network.forward(inputs, states)
    states = network.final_states
    scores = np.zeros((*valid.shape, *group[0].scores.shape[1:]))
    if valid.any():
        scores[valid] = scoring(network.output, rows(h)[valid.ravel()], targets[valid])
    for column, piece in enumerate(group):
        scored = piece.scores[begin : begin + steps]
        scored[...] = scores[: len(scored), column]
        if piece.last and piece.previous is None and not piece.kept:
            continue
        now = [tuple(a[column : column + 1] for a in state) for state in states]
        mark = begin // _STEPS
        if mark < len(piece.marks):
            piece.merged = _close(piece.marks[mark], now)
            piece.marks[mark] = now
        else:
            piece.marks.append(now)
    return states


def _close(one: States, other: States) -> bool:
    return all(
        # LSTM cells may be large, and are then rounded more coarsely than values within (-1, 1).
        bool((np.abs(a - b) <= _SAME * np.maximum(1, np.abs(a))).all())
        for x, y in zip(one, other, strict=True)
        for a, b in zip(x, y, strict=True)
    )
