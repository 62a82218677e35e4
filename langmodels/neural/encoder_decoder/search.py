"""Beam search for many sources at once."""

import math
from collections.abc import Sequence

import numpy as np

from langmodels.arrays import Array, IntArray
from langmodels.errors import UsageError
from langmodels.models.decoding import Hypothesis
from langmodels.neural.encoder_decoder.network import Encoded, EncoderDecoderNetwork
from langmodels.neural.encoder_decoder.pairs import Sources
from langmodels.text.vocabulary import Vocabulary

_COLUMNS = 1024  # hypotheses extended at once, in all sources


def translate(
    network: EncoderDecoderNetwork,
    sources: Sequence[IntArray],
    end: int,
    *,
    width: int = 1,
    max_tokens: int = 100,
    reverse: bool = False,
) -> list[list[Hypothesis]]:
    """For every source the most probable targets found by a beam of `width`, best first.

    Width 1 is greedy decoding. `<unk>` is never chosen. Hypotheses that have not ended after
    `max_tokens` are returned unfinished.
    """
    if width < 1 or max_tokens < 1:
        raise UsageError("Beam search needs a width and a number of tokens of at least 1.")
    order = sorted(range(len(sources)), key=lambda i: len(sources[i]))
    found: list[list[Hypothesis]] = [[] for _ in sources]
    size = max(1, _COLUMNS // width)
    for first in range(0, len(order), size):
        part = order[first : first + size]
        batch = Sources.of([sources[i] for i in part], reverse=reverse)
        encoded = network.encode(batch)
        results = _search(network, encoded, end, width, max_tokens)
        for i, hypotheses in zip(part, results, strict=True):
            found[i] = hypotheses
    return found


def _search(
    network: EncoderDecoderNetwork, encoded: Encoded, end: int, width: int, max_tokens: int
) -> list[list[Hypothesis]]:
    n = encoded.memory.shape[1]
    finished: list[list[Hypothesis]] = [[] for _ in range(n)]
    active = np.arange(n)  # sources still searched, with `width` columns each
    encoded = encoded.columns(np.repeat(active, width))
    scores = np.full((n, width), -np.inf)
    scores[:, 0] = 0  # at first all columns of a source are equal
    texts = np.zeros((n, width, 0), np.int32)
    tokens = np.full(n * width, Vocabulary.bos_id, np.int32)
    for step in range(max_tokens):
        log_p, states = network.step(tokens, encoded)
        log_p[:, Vocabulary.unk_id] = -np.inf
        size = log_p.shape[1]
        total = (scores[:, :, None] + log_p.reshape(len(active), width, size)).reshape(
            len(active), -1
        )
        count = min(2 * width, total.shape[1])  # at most `width` of them end
        best = np.argpartition(-total, count - 1, axis=1)[:, :count]
        best_scores = np.take_along_axis(total, best, axis=1)
        rank = np.argsort(-best_scores, axis=1, kind="stable")
        best = np.take_along_axis(best, rank, axis=1)
        best_scores = np.take_along_axis(best_scores, rank, axis=1)
        parent, token = best // size, (best % size).astype(np.int32)
        ending = (token == end) & np.isfinite(best_scores)
        for row, place in np.argwhere(ending[:, :width]).tolist():
            ids = tuple(texts[row, parent[row, place]].tolist())
            finished[active[row]].append(Hypothesis(ids, float(best_scores[row, place]), True))
        # The best unfinished ones go on: a stable sort by "ended" puts them first.
        chosen = np.argsort(token == end, axis=1, kind="stable")[:, :width]
        parent = np.take_along_axis(parent, chosen, axis=1)
        token = np.take_along_axis(token, chosen, axis=1)
        scores = np.take_along_axis(best_scores, chosen, axis=1)
        texts = np.concatenate(
            [np.take_along_axis(texts, parent[:, :, None], axis=1), token[:, :, None]], axis=2
        )
        going = np.array(
            [
                _worst(finished[source], width) < score
                for source, score in zip(active.tolist(), scores[:, 0].tolist(), strict=True)
            ],
            np.bool_,
        )
        if step + 1 == max_tokens:
            _give_up(finished, active[going], texts[going], scores[going])
            break
        if not going.any():
            break
        column = (np.arange(len(active))[:, None] * width + parent)[going].ravel()
        encoded = Encoded(states, encoded.memory, encoded.mask).columns(column)
        active, scores, texts = active[going], scores[going], texts[going]
        tokens = token[going].ravel()
    return [sorted(h, key=lambda h: -h.log_prob)[:width] for h in finished]


def _worst(finished: list[Hypothesis], width: int) -> float:
    """The score that an unfinished hypothesis must exceed to be among the `width` best."""
    if len(finished) < width:
        return -math.inf
    return sorted(h.log_prob for h in finished)[-width]


def _give_up(finished: list[list[Hypothesis]], active: Array, texts: Array, scores: Array) -> None:
    """Add the unfinished hypotheses of sources that are still searched to the results."""
    for source, rows, row_scores in zip(active.tolist(), texts, scores.tolist(), strict=True):
        for ids, score in zip(rows.tolist(), row_scores, strict=True):
            if math.isfinite(score):
                finished[source].append(Hypothesis(tuple(ids), score, False))
