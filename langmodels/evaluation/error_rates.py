"""Error rates of sequences against references, by edit distance."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from langmodels.arrays import IndexArray
from langmodels.errors import UsageError

_BATCH = 4096  # pairs at a time: bounds memory


def edit_distances(
    hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[str]]
) -> IndexArray:
    """The Levenshtein distance of each hypothesis from its reference, (n,).

    The fewest insertions, deletions and substitutions of tokens that turn one into the other
    (Wagner & Fischer 1974), for all pairs in parallel. Raises UsageError unless there are as many
    references as hypotheses.
    """
    _check_numbers(hypotheses, references)
    found = np.zeros(len(hypotheses), np.int64)
    for begin in range(0, len(hypotheses), _BATCH):
        batch = slice(begin, begin + _BATCH)
        found[batch] = _distances(hypotheses[batch], references[batch])
    return found


def _check_numbers(hypotheses: Sequence[Any], references: Sequence[Any]) -> None:
    if len(hypotheses) != len(references):
        raise UsageError(
            f"{len(hypotheses)} hypotheses cannot be compared with {len(references)} references."
        )


def _distances(
    hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[str]]
) -> IndexArray:
    ids: dict[str, int] = {}
    left, left_lengths = _padded(hypotheses, ids)
    right, right_lengths = _padded(references, ids)
    rows = np.arange(len(left))
    columns = np.arange(right.shape[1] + 1)
    # distances[p, j]: from the first i tokens of hypothesis p to the first j of its reference.
    distances = np.tile(columns, (len(left), 1))
    found = distances[rows, right_lengths]
    for i in range(left.shape[1]):
        substituted = distances[:, :-1] + (left[:, i, None] != right)
        after = distances + 1  # deletion
        np.minimum(after[:, 1:], substituted, out=after[:, 1:])
        # An insertion costs one per column: a running minimum of the distance minus the column.
        distances = np.minimum.accumulate(after - columns, axis=1) + columns
        ended = left_lengths == i + 1
        found[ended] = distances[rows, right_lengths][ended]
    return found


def _padded(
    sequences: Sequence[Sequence[str]], ids: dict[str, int]
) -> tuple[IndexArray, IndexArray]:
    """The token ids of sequences, padded, (n, longest), and their lengths, (n,); `ids` is extended
    by new tokens.
    """
    lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
    table = np.full((len(sequences), int(lengths.max(initial=0))), -1, np.int64)
    for row, sequence in zip(table, sequences, strict=True):
        row[: len(sequence)] = [ids.setdefault(token, len(ids)) for token in sequence]
    return table, lengths


def token_error_rate(
    hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> float:
    """The token error rate: edits to the nearest reference of each item, over the tokens of these
    references.

    `references` has a list of acceptable sequences for each hypothesis; of equally near ones the
    first counts. Raises UsageError for an item without references.
    """
    distances, lengths = _nearest(hypotheses, references)
    return float(distances.sum() / max(lengths.sum(), 1))


def sequence_error_rate(
    hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> float:
    """The share of hypotheses that equal none of their references; see `token_error_rate`."""
    wrong = _nearest(hypotheses, references)[0] > 0
    return float(wrong.mean()) if len(wrong) else 0.0


def _nearest(
    hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> tuple[IndexArray, IndexArray]:
    """The distance from the nearest reference, and the length of that reference, (n,) each."""
    _check_numbers(hypotheses, references)
    counts = np.fromiter(map(len, references), np.int64, len(references))
    if not counts.all():
        raise UsageError("Every item needs at least one reference.")
    if not len(counts):
        return counts, counts
    repeated = [h for h, n in zip(hypotheses, counts.tolist(), strict=True) for _ in range(n)]
    flat = [reference for variants in references for reference in variants]
    distances = edit_distances(repeated, flat)
    lengths = np.fromiter(map(len, flat), np.int64, len(flat))
    starts = np.cumsum(counts) - counts
    item = np.repeat(np.arange(len(counts)), counts)
    first = np.lexsort((np.arange(len(flat)), distances, item))[starts]
    return distances[first], lengths[first]
