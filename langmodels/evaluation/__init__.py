"""Comparing models fairly: the same text, the same split, every character paid for."""

from langmodels.evaluation.comparison import Comparison, compare
from langmodels.evaluation.finished import Evaluation, evaluate
from langmodels.evaluation.scaling import scale
from langmodels.evaluation.surprisal import WordSurprisals, word_surprisals

__all__ = [
    "Comparison",
    "Evaluation",
    "WordSurprisals",
    "compare",
    "evaluate",
    "scale",
    "word_surprisals",
]
