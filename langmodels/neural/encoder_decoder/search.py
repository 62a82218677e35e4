"""Beam search for the most probable targets of many sources at once."""

import math
from collections.abc import Sequence

import numpy as np

from langmodels.arrays import Array, IntArray
from langmodels.errors import UsageError
from langmodels.models.decoding import Hypothesis
from langmodels.neural.encoder_decoder.network import Encoded, EncoderDecoderNetwork
from langmodels.neural.encoder_decoder.pairs import Sources
from langmodels.text.vocabulary import Vocabulary

_COLUMNS = 1024  # hypotheses of all sources in a batch


def beam_search(
    network: EncoderDecoderNetwork,
    sources: Sequence[IntArray],
    end: int,
    *,
    width: int = 1,
    max_tokens: int = 100,
    reverse: bool = False,
) -> list[list[Hypothesis]]:
    """The most probable targets found for each source by a beam of `width`, best first.

    Args:
        network: the network.
        sources: token ids of each source, with boundaries.
        end: the id of `</s>` in the targets.
        width: hypotheses kept per source; 1 is greedy decoding.
        max_tokens: hypotheses that have not ended after so many tokens are returned unfinished.
        reverse: whether the network reads sources backwards.

    Scores are log p, not normalised by length; `<unk>` is never chosen. Raises UsageError unless
    `width` and `max_tokens` are at least 1.
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
    """`beam_search` for n encoded sources; columns k width .. (k + 1) width - 1 are those of the
    k-th active source.
    """
    n = encoded.memory.shape[1]
    finished: list[list[Hypothesis]] = [[] for _ in range(n)]
    active = np.arange(n)  # sources whose search goes on
    encoded = encoded.columns(np.repeat(active, width))
    scores = np.full((n, width), -np.inf)
    scores[:, 0] = 0  # all columns of a source begin with the same hypothesis
    texts = np.zeros((n, width, 0), np.int32)
    tokens = np.full(n * width, Vocabulary.bos_id, np.int32)
    for step in range(max_tokens):
        log_p, states = network.step(tokens, encoded)
        log_p[:, Vocabulary.unk_id] = -np.inf
        size = log_p.shape[1]
        total = (scores[:, :, None] + log_p.reshape(len(active), width, size)).reshape(
            len(active), -1
        )
        count = min(2 * width, total.shape[1])  # at most `width` of them end with `</s>`
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
        # The best unfinished ones are extended: a stable sort by "ended" puts them first.
        chosen = np.argsort(token == end, axis=1, kind="stable")[:, :width]
        parent = np.take_along_axis(parent, chosen, axis=1)
        token = np.take_along_axis(token, chosen, axis=1)
        scores = np.take_along_axis(best_scores, chosen, axis=1)
        texts = np.concatenate(
            [np.take_along_axis(texts, parent[:, :, None], axis=1), token[:, :, None]], axis=2
        )
        going = np.array(
            [
                _threshold(finished[source], width) < score
                for source, score in zip(active.tolist(), scores[:, 0].tolist(), strict=True)
            ],
            np.bool_,
        )
        if step + 1 == max_tokens:
            _add_unfinished(finished, active[going], texts[going], scores[going])
            break
        if not going.any():
            break
        column = (np.arange(len(active))[:, None] * width + parent)[going].ravel()
        encoded = Encoded(states, encoded.memory, encoded.mask).columns(column)
        active, scores, texts = active[going], scores[going], texts[going]
        tokens = token[going].ravel()
    return [sorted(h, key=lambda h: -h.log_prob)[:width] for h in finished]


def _threshold(finished: list[Hypothesis], width: int) -> float:
    """The log p that an unfinished hypothesis must exceed to get among the `width` best."""
    if len(finished) < width:
        return -math.inf
    return sorted(h.log_prob for h in finished)[-width]


def _add_unfinished(
    finished: list[list[Hypothesis]], active: Array, texts: Array, scores: Array
) -> None:
    """Add the unfinished hypotheses of the active sources to the results."""
    for source, rows, row_scores in zip(active.tolist(), texts, scores.tolist(), strict=True):
        for ids, score in zip(rows.tolist(), row_scores, strict=True):
            if math.isfinite(score):
                finished[source].append(Hypothesis(tuple(ids), score, False))
