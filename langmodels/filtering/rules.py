"""Rules for what is kept: thresholds on the scores of documents, given or as quantiles."""

import math
from dataclasses import dataclass

import numpy as np

from langmodels.arguments import check_fields
from langmodels.arrays import BoolArray, FloatArray, IndexArray
from langmodels.errors import UsageError


@dataclass(frozen=True)
class Rule:
    """How documents are chosen by their scores, in bits; lower ones are better.

    Exactly one of three is given: `at_most`, the highest score that is kept; `keep`, the share of
    documents that is kept, the best ones; `buckets`, the number of parts of equal size, from the
    best to the worst, into which all documents are sorted.
    """

    at_most: float | None = None
    keep: float | None = None
    buckets: int | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if sum(value is not None for value in (self.at_most, self.keep, self.buckets)) != 1:
            raise UsageError(
                "Give one of three: a limit, the share to keep, or a number of buckets."
            )
        if self.at_most is not None and math.isnan(self.at_most):
            raise UsageError("The limit of scores must be a number, not NaN.")
        if self.keep is not None and not 0 < self.keep < 1:
            raise UsageError(f"The share to keep must lie between 0 and 1, not {self.keep:g}.")
        if self.buckets is not None and not 2 <= self.buckets <= 100:
            raise UsageError(f"The number of buckets must be 2 to 100, not {self.buckets}.")

    @property
    def names(self) -> list[str]:
        """The names of the parts into which documents are sorted, from the best to the worst."""
        if self.buckets is None:
            return ["kept", "left out"]
        if self.buckets == 3:
            return ["head", "middle", "tail"]  # as CCNet calls them
        return [str(i + 1) for i in range(self.buckets)]

    @property
    def thresholds(self) -> list[float] | None:
        """The highest score of each part but the last, where the rule itself gives it."""
        return None if self.at_most is None else [self.at_most]

    def ranks(self, n: int) -> list[int]:
        """The ranks, counted from 1, of those of n documents whose scores are the thresholds."""
        if self.keep is not None:
            shares = [self.keep]
        else:
            parts = self.buckets or 1
            shares = [i / parts for i in range(1, parts)]
        return [min(n, max(1, math.ceil(share * n - 1e-9))) for share in shares]

    def parts(self, scores: FloatArray, thresholds: FloatArray) -> IndexArray:
        """The part of each document, (n,), from its score, (n,), and its thresholds, (n, parts-1).

        Documents of the same score are in the same part.
        """
        parts: IndexArray = (scores[:, None] > thresholds).sum(axis=1)
        return parts

    def kept(self, parts: IndexArray) -> BoolArray:
        """Mask of the documents that are written, (n,), from the part of each."""
        if self.buckets is not None:
            return np.ones(len(parts), np.bool_)
        kept: BoolArray = parts == 0
        return kept
