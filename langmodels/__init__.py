"""Statistical language models, from n-grams to neural networks, behind one interface.

>>> import langmodels
>>> corpus = langmodels.Corpus.from_text("a rose is a rose", langmodels.make_tokenizer("word"))
>>> model = langmodels.NGramModel(order=2, smoothing="witten_bell").fit(corpus)
>>> model.prob("rose", context="is a") > model.prob("is", context="is a")
True
"""

from langmodels.errors import LangmodelsError, UsageError
from langmodels.fullcontext import FullContextModel
from langmodels.models.base import LanguageModel
from langmodels.models.blanks import FillingModel
from langmodels.models.cache import CacheModel
from langmodels.models.mixture import MixtureModel
from langmodels.models.unigram import UnigramModel
from langmodels.neural import (
    BidirectionalModel,
    CharacterAwareModel,
    ConvolutionalRecurrentModel,
    DynamicModel,
    EncoderDecoderModel,
    FeedForwardModel,
    GRUModel,
    LSTMModel,
    RNNModel,
)
from langmodels.ngram import NGramModel
from langmodels.presets import Setting
from langmodels.registry import MODELS, load, make_model
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.parallel_corpus import ParallelCorpus
from langmodels.text.series import SeriesTokenizer
from langmodels.text.splits import Splits
from langmodels.text.tokenization import Tokenizer
from langmodels.text.vocabulary import Vocabulary

__version__ = "0.1.0"

__all__ = [
    "MODELS",
    "BidirectionalModel",
    "CacheModel",
    "CharacterAwareModel",
    "ConvolutionalRecurrentModel",
    "Corpus",
    "DynamicModel",
    "EncoderDecoderModel",
    "FeedForwardModel",
    "FillingModel",
    "FullContextModel",
    "GRUModel",
    "LSTMModel",
    "LangmodelsError",
    "LanguageModel",
    "MixtureModel",
    "NGramModel",
    "ParallelCorpus",
    "RNNModel",
    "SeriesTokenizer",
    "Setting",
    "Splits",
    "Tokenizer",
    "UnigramModel",
    "UsageError",
    "Vocabulary",
    "load",
    "make_model",
    "make_tokenizer",
]
