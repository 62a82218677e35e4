"""N-gram models over arrays: counting, smoothing, look-up."""

from langmodels.ngram.counting import NGramCounts, count_ngrams
from langmodels.ngram.discounts import SmoothingWarning
from langmodels.ngram.methods import SMOOTHINGS, make_smoothing
from langmodels.ngram.model import NGramModel
from langmodels.ngram.smoothing import Smoothing
from langmodels.ngram.tables import NGramTables

__all__ = [
    "SMOOTHINGS",
    "NGramCounts",
    "NGramModel",
    "NGramTables",
    "Smoothing",
    "SmoothingWarning",
    "count_ngrams",
    "make_smoothing",
]
