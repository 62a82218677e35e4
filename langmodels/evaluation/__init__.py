"""Fair comparisons of models: the same text, the same split, every character accounted for."""

from langmodels.evaluation.comparison import Comparison, compare
from langmodels.evaluation.finished import Evaluation, evaluate
from langmodels.evaluation.scaling import scale
from langmodels.evaluation.surprisal import WordSurprisals, word_surprisals
from langmodels.evaluation.word_table import SurprisalTable, surprisal_table

__all__ = [
    "Comparison",
    "Evaluation",
    "SurprisalTable",
    "WordSurprisals",
    "compare",
    "evaluate",
    "scale",
    "surprisal_table",
    "word_surprisals",
]
