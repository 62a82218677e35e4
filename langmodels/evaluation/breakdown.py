"""Breakdowns of the loss by position, word frequency and matched n-gram length; disagreements."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from langmodels.arrays import FloatArray, IndexArray
from langmodels.evaluation.contexts import match_lengths
from langmodels.text.corpus import Corpus
from langmodels.text.splits import Splits
from langmodels.text.vocabulary import EOS, Vocabulary

LONGEST_MATCH = 8
UNKNOWN = "unknown"
"""The label of the group of unknown tokens."""
_SHOWN_WORDS, _SHOWN_SYMBOLS = 8, 40


@dataclass(frozen=True, eq=False)
class Grouping:
    """A partition of the test targets: `labels` of the groups, and the `group` (n,) of each
    target.
    """

    name: str
    labels: list[str]
    group: IndexArray

    @property
    def counts(self) -> list[int]:
        """The number of targets in each group."""
        return [int(n) for n in np.bincount(self.group, minlength=len(self.labels))]

    def means(self, bits: FloatArray) -> list[float]:
        """The mean of `bits` (n,) in each group; NaN for an empty one."""
        totals = np.bincount(self.group, weights=bits, minlength=len(self.labels))
        with np.errstate(invalid="ignore", divide="ignore"):
            return [float(m) for m in totals / np.array(self.counts)]


def groupings(splits: Splits) -> list[Grouping]:
    """All groupings by which losses are broken down, without empty groups."""
    found = [
        _by_match(splits),
        _by_frequency(splits),
        _by_position(splits.test),
        _by_oov(splits.test),
    ]
    return [_compact(g) for g in found if np.unique(g.group).size > 1]


def _compact(grouping: Grouping) -> Grouping:
    used, group = np.unique(grouping.group, return_inverse=True)
    return Grouping(grouping.name, [grouping.labels[i] for i in used.tolist()], group)


def _by_match(splits: Splits) -> Grouping:
    length = match_lengths(splits.train, splits.test, LONGEST_MATCH)
    labels = [str(n) for n in range(LONGEST_MATCH)] + [f"{LONGEST_MATCH}+"]
    return Grouping("longest n-gram seen in training", labels, length)


def _by_frequency(splits: Splits) -> Grouping:
    """By the token's count in training; unknown tokens are a group of their own."""
    counts = splits.train.id_counts()
    edges = [0, 1, 2, 10, 100, 1000, 10_000, 100_000]
    targets = splits.test.targets
    found = _banded("occurrences in training", counts[targets], edges)
    group = np.where(targets == Vocabulary.unk_id, len(found.labels), found.group)
    return Grouping(found.name, [*found.labels, UNKNOWN], group)


def _by_position(test: Corpus) -> Grouping:
    """By position in the line: in the sequence, or in a stream of characters since the newline.

    In a stream without newlines, by position in the text.
    """
    before = np.concatenate([[np.int32(-1)], test.ids[:-1]])
    begins = before == Vocabulary.bos_id
    newlines = "\n" in test.vocabulary
    if not test.vocabulary.ends and newlines:
        begins |= before == test.vocabulary.id("\n")
    begins = begins[test.ids != Vocabulary.bos_id]
    index = np.arange(len(begins))
    offset = index - np.maximum.accumulate(np.where(begins, index, 0)) + 1
    if test.vocabulary.ends or newlines:
        return _banded("position in the line", offset, [1, 2, 3, 4, 6, 11, 21, 51])
    return _banded("position in the text", offset, [1, 11, 101, 1001, 10_001, 100_001])


def _by_oov(test: Corpus) -> Grouping:
    unknown = (test.targets == Vocabulary.unk_id).astype(np.int64)
    return Grouping("whether it is known", ["known", UNKNOWN], unknown)


def _banded(name: str, values: IndexArray, edges: Sequence[int]) -> Grouping:
    labels = [(f"{a:,}" if b == a + 1 else f"{a:,}-{b - 1:,}") for a, b in pairwise(edges)]
    labels.append(f"{edges[-1]:,}+")
    group = np.searchsorted(np.asarray(edges), values, side="right") - 1
    return Grouping(name, labels, np.maximum(group, 0))


@dataclass(frozen=True)
class Disagreement:
    """A test token with different costs under two models: its context, and the bits of each."""

    context: str
    token: str
    bits: tuple[float, float]


def disagreements(
    test: Corpus, first: FloatArray, second: FloatArray, k: int = 5
) -> list[Disagreement]:
    """The tokens on which two models differ most: `k` cheaper for the first, and `k` for the
    second.

    `first` and `second` are the bits of every target, (n,). Each token type occurs at most once per
    side. Targets with infinite cost are left out.
    """
    targets = test.targets
    difference = np.where(np.isfinite(first) & np.isfinite(second), first - second, 0.0)
    shown = _SHOWN_WORDS if test.vocabulary.ends else _SHOWN_SYMBOLS
    found: list[Disagreement] = []
    for side in (difference, -difference):
        seen: set[int] = set()
        for i in np.argsort(side, kind="stable")[: 50 * k].tolist():
            token = int(targets[i])
            if side[i] >= 0 or len(seen) == k:
                break
            if token not in seen:
                seen.add(token)
                context = test.vocabulary.decode(targets[max(0, i - shown) : i].tolist())
                context = ["\n" if t == EOS else t for t in context]
                found.append(
                    Disagreement(
                        test.tokenizer.detokenize(context),
                        test.vocabulary.token(token),
                        (float(first[i]), float(second[i])),
                    )
                )
    return found


def bits(scores: FloatArray) -> FloatArray:
    """The surprisal -log2 p of tokens, in bits, from log p in nats."""
    costs: FloatArray = -scores / math.log(2)
    return costs
