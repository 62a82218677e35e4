"""N-gram models in array code: counting, smoothing, look-up, files."""

from langmodels.ngram.classes import ClassModel
from langmodels.ngram.counting import NGramCounts, count_ngrams
from langmodels.ngram.discounts import SmoothingWarning
from langmodels.ngram.merging import adapt, merge
from langmodels.ngram.methods import SMOOTHINGS, make_smoothing
from langmodels.ngram.model import NGramModel
from langmodels.ngram.partitions.running import fitted_within
from langmodels.ngram.pruning import prune
from langmodels.ngram.quantization import QuantizedNGramModel, quantize
from langmodels.ngram.restriction import close, restrict
from langmodels.ngram.smoothing import Smoothing
from langmodels.ngram.tables import NGramTables

__all__ = [
    "SMOOTHINGS",
    "ClassModel",
    "NGramCounts",
    "NGramModel",
    "NGramTables",
    "QuantizedNGramModel",
    "Smoothing",
    "SmoothingWarning",
    "adapt",
    "close",
    "count_ngrams",
    "fitted_within",
    "make_smoothing",
    "merge",
    "prune",
    "quantize",
    "restrict",
]
