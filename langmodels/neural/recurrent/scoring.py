"""Scoring long text with a recurrent network as a batch of pieces.

A recurrence is sequential, but a trained network forgets: from two different initial states it
reaches the same state after some steps. So a long sequence is cut into pieces, which are all run in
one batch from a zero state. Then each is rerun from the final state of the piece before, until its
state equals that of the first run; from there on its scores are right already. If a piece ends
before, its final state has changed, and the next piece is rerun once more. The scores are those of
a sequential run up to float32 rounding; a network that does not forget only takes longer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from langmodels.arrays import BoolArray, FloatArray, IntArray
from langmodels.neural.layers.base import rows
from langmodels.neural.layers.softmax import LOG_PROB, Scoring
from langmodels.neural.recurrent.network import RecurrentNetwork, States
from langmodels.threads import Workers, cpu_count

_COLUMNS = 64  # pieces per thread into which one long sequence is cut
_MIN_BATCH, _MAX_BATCH = 32, 128  # pieces in a batch, if there are enough
_STEPS = 128  # tokens between comparisons of states
_BLOCK = 32  # batches whose states are in memory at once
_TOLERANCE = 1e-6  # largest difference of equal states, relative for values above 1


@dataclass(eq=False)
class _Piece:
    """A piece of a sequence.

    Attributes:
        inputs: token ids (n,).
        targets: token ids (n,).
        wanted: (n,), false where no score is needed.
        scores: (n, ...), a view of the result.
        previous: the piece before, of the same sequence.
        last: whether it is the last piece of its sequence.
        states: the states before the first piece of a sequence; None: zero.
        kept: whether `snapshots` are needed after scoring.
        snapshots: the states after every `_STEPS` tokens in the latest run.
        converged: whether the latest run ended in a state equal to that of the run before.
    """

    inputs: IntArray
    targets: IntArray
    wanted: BoolArray
    scores: FloatArray
    previous: "_Piece | None"
    last: bool
    states: States | None = None
    kept: bool = False
    snapshots: list[States] = field(default_factory=list)
    converged: bool = False


def score_pieces(
    network: RecurrentNetwork,
    sequences: Sequence[tuple[IntArray, IntArray]],
    scoring: Scoring = LOG_PROB,
    wanted: BoolArray | None = None,
) -> FloatArray:
    """Log p of every target in nats, (n_tokens,), in the order of the sequences.

    Args:
        network: the network.
        sequences: inputs and targets of each sequence, of equal length; each starts from a zero
            state.
        scoring: what to compute for each target, if not log p; the result is (n_tokens, *numbers).
        wanted: (n_tokens,), false at targets whose result may be zeros.
    """
    n = sum(len(inputs) for inputs, _ in sequences)
    result = np.empty((n, *scoring.numbers))
    wanted = np.ones(n, np.bool_) if wanted is None else wanted
    threads = _threads(n)
    _run_all(network, _cut(sequences, result, wanted, _COLUMNS * threads), threads, scoring)
    return result


def score_continuation(
    network: RecurrentNetwork, inputs: IntArray, targets: IntArray, states: States | None
) -> tuple[FloatArray, States]:
    """Log p of n >= 1 targets in nats, (n,), for inputs (n,) that are read from `states` (None:
    zero).

    Also returns the states after the last input, the next call's `states`.
    """
    result = np.empty(len(inputs))
    threads = _threads(len(inputs))
    pieces = _cut([(inputs, targets)], result, np.ones(len(inputs), np.bool_), _COLUMNS * threads)
    pieces[0].states = states
    end = pieces[-1]
    end.kept = True
    _run_all(network, pieces, threads, LOG_PROB)
    # There is no snapshot after the last inputs unless n is a multiple of _STEPS.
    whole = len(end.inputs) // _STEPS
    states = end.snapshots[whole - 1] if whole else _start(end)
    if len(end.inputs) % _STEPS:
        network.forward(end.inputs[whole * _STEPS :, None], states)
        states = network.final_states
    assert states is not None
    return result, states


def _threads(n: int) -> int:
    """The number of threads worth using for n tokens."""
    return min(cpu_count(), max(1, n // (8 * _STEPS)))


def _run_all(
    network: RecurrentNetwork, pieces: list[_Piece], threads: int, scoring: Scoring
) -> None:
    """Score all pieces, a block of them at a time; only final states are kept between blocks."""
    replicas = [network, *(network.replica() for _ in range(threads - 1))]
    for replica in replicas[1:]:
        replica.refresh()
    size = _COLUMNS * threads * _BLOCK
    with Workers(threads) as workers:
        for begin in range(0, len(pieces), size):
            block = pieces[begin : begin + size]
            _run_to_convergence(replicas, workers, block, scoring)
            for piece in block:
                if not piece.kept:
                    del piece.snapshots[:-1]
                    piece.previous = None


def _cut(
    sequences: Sequence[tuple[IntArray, IntArray]],
    result: FloatArray,
    wanted: BoolArray,
    columns: int,
) -> list[_Piece]:
    """Cut sequences into pieces of 2 to 32 times `_STEPS` tokens, about `columns` of them; the last
    piece of a sequence is shorter.
    """
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


def _run_to_convergence(
    replicas: list[RecurrentNetwork], workers: Workers, block: list[_Piece], scoring: Scoring
) -> None:
    """Run pieces until the latest run of each began in the final state of the piece before."""
    inside = set(map(id, block))
    pending = block
    again = [p for p in block if p.previous is not None and id(p.previous) in inside]
    while pending:
        pending = sorted(pending, key=lambda p: -len(p.inputs))
        width = min(_MAX_BATCH, max(_MIN_BATCH, -(-len(pending) // workers.n)))
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
        changed = {id(p) for p in pending if not p.converged}
        pending = [p for p in again if id(p.previous) in changed]


def _start(piece: _Piece) -> States | None:
    """The states from which to run a piece next; None: zero."""
    previous = piece.previous
    return previous.snapshots[-1] if previous is not None and previous.snapshots else piece.states


def _run(
    network: RecurrentNetwork,
    group: list[_Piece],
    starts: list[States | None],
    scoring: Scoring,
) -> None:
    """Score pieces in one batch, the longest first, each until it ends or converges to its run
    before.
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
        going = [k for k, p in enumerate(group) if not p.converged and len(p.inputs) > begin]
        group = [group[k] for k in going]
        states = [tuple(a[going] for a in state) for state in states]


def _advance(
    network: RecurrentNetwork, group: list[_Piece], states: States, begin: int, scoring: Scoring
) -> States:
    """Score up to `_STEPS` tokens of every piece from `begin` on; set snapshots and `converged`.

    `states` are those before these tokens, a row for each piece; returns those after them.
    """
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
    scores = np.zeros((*valid.shape, *scoring.numbers))
    if valid.any():
        scores[valid] = scoring.values(network.output, rows(h)[valid.ravel()], targets[valid])
    for column, piece in enumerate(group):
        scored = piece.scores[begin : begin + steps]
        scored[...] = scores[: len(scored), column]
        if piece.last and piece.previous is None and not piece.kept:
            continue
        now = [tuple(a[column : column + 1] for a in state) for state in states]
        number = begin // _STEPS
        if number < len(piece.snapshots):
            piece.converged = _close(piece.snapshots[number], now)
            piece.snapshots[number] = now
        else:
            piece.snapshots.append(now)
    return states


def _close(one: States, other: States) -> bool:
    """Whether two states are equal up to rounding."""
    return all(
        # LSTM cells may be large, and are then rounded more coarsely than values within (-1, 1).
        bool((np.abs(a - b) <= _TOLERANCE * np.maximum(1, np.abs(a))).all())
        for x, y in zip(one, other, strict=True)
        for a, b in zip(x, y, strict=True)
    )
