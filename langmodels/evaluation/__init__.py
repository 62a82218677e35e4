"""Comparing models fairly: the same text, the same split, every character paid for."""

from langmodels.evaluation.comparison import Comparison, compare

__all__ = ["Comparison", "compare"]
