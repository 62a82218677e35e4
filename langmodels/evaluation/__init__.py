"""Comparing models fairly: the same text, the same split, every character paid for."""

from langmodels.evaluation.comparison import Comparison, compare
from langmodels.evaluation.scaling import scale

__all__ = ["Comparison", "compare", "scale"]
