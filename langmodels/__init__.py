"""Statistical language models, from n-grams to neural networks, behind one interface."""

from langmodels.corpus import Corpus
from langmodels.errors import LangmodelsError, UsageError
from langmodels.model import LanguageModel
from langmodels.tokenization import Tokenizer, make_tokenizer
from langmodels.vocabulary import Vocabulary

__version__ = "0.1.0"

__all__ = [
    "Corpus",
    "LangmodelsError",
    "LanguageModel",
    "Tokenizer",
    "UsageError",
    "Vocabulary",
    "make_tokenizer",
]
