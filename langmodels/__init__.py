"""Statistical language models, from n-grams to neural networks, behind one interface.

>>> import langmodels
>>> model = langmodels.NGramModel(order=2, smoothing="witten_bell").fit("a rose is a rose")
>>> model.prob("rose", context="is a") > model.prob("is", context="is a")
True

What stands here is what most people need. It is imported when it is first used, so that `import
langmodels` costs next to nothing, and the command can answer Ctrl-C before anything else.
"""

from langmodels.faces import importing
from langmodels.kinds import FINDERS, OPENERS

TYPE_CHECKING = False  # type checkers take it for true; `typing` need not be imported for it

if TYPE_CHECKING:
    from typing import Any

    from langmodels.datasets import Source as Source
    from langmodels.datasets import find_source as find_source
    from langmodels.datasets import list_sources as list_sources
    from langmodels.datasets import read_text as read_text
    from langmodels.errors import LangmodelsError as LangmodelsError
    from langmodels.errors import UsageError as UsageError
    from langmodels.evaluation import Comparison as Comparison
    from langmodels.evaluation import Evaluation as Evaluation
    from langmodels.evaluation import compare as compare
    from langmodels.evaluation import evaluate as evaluate
    from langmodels.evaluation import scale as scale
    from langmodels.evaluation import surprisal_table as surprisal_table
    from langmodels.evaluation import word_surprisals as word_surprisals
    from langmodels.evaluation.report import write_report as write_report
    from langmodels.execution import executor as executor
    from langmodels.filtering import FilterReport as FilterReport
    from langmodels.filtering import Rule as Rule
    from langmodels.filtering import filter_documents as filter_documents
    from langmodels.fullcontext import FullContextModel as FullContextModel
    from langmodels.models.base import LanguageModel as LanguageModel
    from langmodels.models.blanks import ClozeModel as ClozeModel
    from langmodels.models.blanks import FillingModel as FillingModel
    from langmodels.models.blanks import evaluate_blanks as evaluate_blanks
    from langmodels.models.cache import CacheModel as CacheModel
    from langmodels.models.densities import sample_series as sample_series
    from langmodels.models.lines import score_lines as score_lines
    from langmodels.models.mixture import MixtureModel as MixtureModel
    from langmodels.models.model import Model as Model
    from langmodels.models.nbest import Hypothesis as Hypothesis
    from langmodels.models.nbest import read_nbest as read_nbest
    from langmodels.models.nbest import rescore as rescore
    from langmodels.models.texts import TextScore as TextScore
    from langmodels.models.texts import TextScores as TextScores
    from langmodels.models.texts import score_column as score_column
    from langmodels.models.texts import score_documents as score_documents
    from langmodels.models.texts import score_texts as score_texts
    from langmodels.models.unigram import UnigramModel as UnigramModel
    from langmodels.neural import BidirectionalModel as BidirectionalModel
    from langmodels.neural import CharacterAwareModel as CharacterAwareModel
    from langmodels.neural import ConvolutionalRecurrentModel as ConvolutionalRecurrentModel
    from langmodels.neural import DynamicModel as DynamicModel
    from langmodels.neural import EncoderDecoderModel as EncoderDecoderModel
    from langmodels.neural import FeedForwardModel as FeedForwardModel
    from langmodels.neural import GRUModel as GRUModel
    from langmodels.neural import LSTMModel as LSTMModel
    from langmodels.neural import MinGRUModel as MinGRUModel
    from langmodels.neural import RecurrentModel as RecurrentModel
    from langmodels.neural import RNNModel as RNNModel
    from langmodels.neural.transformer.model import TransformerModel as TransformerModel
    from langmodels.ngram import NGramModel as NGramModel
    from langmodels.ngram import adapt as adapt
    from langmodels.ngram import merge as merge
    from langmodels.ngram import prune as prune
    from langmodels.ngram import quantize as quantize
    from langmodels.ngram import restrict as restrict
    from langmodels.ngram.classes import ClassModel as ClassModel
    from langmodels.ngram.kenlm.model import KenLMModel as KenLMModel
    from langmodels.presets import Setting as Setting
    from langmodels.pretrained import PretrainedModel as PretrainedModel
    from langmodels.progress import show_progress as show_progress
    from langmodels.registry import CLOZE_MODELS as CLOZE_MODELS
    from langmodels.registry import MODELS as MODELS
    from langmodels.registry import PAIR_MODELS as PAIR_MODELS
    from langmodels.registry import ModelSpec as ModelSpec
    from langmodels.registry import info as info
    from langmodels.registry import load as load
    from langmodels.registry import load_any as load_any
    from langmodels.registry import make_cloze_model as make_cloze_model
    from langmodels.registry import make_model as make_model
    from langmodels.teaching.chain_rule import chain_rule as chain_rule
    from langmodels.text.corpus import Corpus as Corpus
    from langmodels.text.levels import make_tokenizer as make_tokenizer
    from langmodels.text.parallel_corpus import ParallelCorpus as ParallelCorpus
    from langmodels.text.reading import Reading as Reading
    from langmodels.text.sequences import Sequences as Sequences
    from langmodels.text.series import SeriesTokenizer as SeriesTokenizer
    from langmodels.text.splits import Splits as Splits
    from langmodels.text.tokenization import Tokenizer as Tokenizer
    from langmodels.text.vocabulary import Vocabulary as Vocabulary

__version__ = "0.2.0"

_MODULES = {
    "datasets": ("Source", "find_source", "list_sources", "read_text"),
    "errors": ("LangmodelsError", "UsageError"),
    "evaluation": (
        "Comparison",
        "Evaluation",
        "compare",
        "evaluate",
        "scale",
        "surprisal_table",
        "word_surprisals",
    ),
    "evaluation.report": ("write_report",),
    "execution": ("executor",),
    "filtering": ("FilterReport", "Rule", "filter_documents"),
    "fullcontext": ("FullContextModel",),
    "models.base": ("LanguageModel",),
    "models.blanks": ("ClozeModel", "FillingModel", "evaluate_blanks"),
    "models.cache": ("CacheModel",),
    "models.densities": ("sample_series",),
    "models.lines": ("score_lines",),
    "models.mixture": ("MixtureModel",),
    "models.model": ("Model",),
    "models.nbest": ("Hypothesis", "read_nbest", "rescore"),
    "models.texts": ("TextScore", "TextScores", "score_column", "score_documents", "score_texts"),
    "models.unigram": ("UnigramModel",),
    "neural": (
        "BidirectionalModel",
        "CharacterAwareModel",
        "ConvolutionalRecurrentModel",
        "DynamicModel",
        "EncoderDecoderModel",
        "FeedForwardModel",
        "GRUModel",
        "LSTMModel",
        "MinGRUModel",
        "RNNModel",
        "RecurrentModel",
    ),
    "neural.transformer.model": ("TransformerModel",),
    "ngram": ("NGramModel", "adapt", "merge", "prune", "quantize", "restrict"),
    "ngram.classes": ("ClassModel",),
    "ngram.kenlm.model": ("KenLMModel",),
    "presets": ("Setting",),
    "progress": ("show_progress",),
    "pretrained": ("PretrainedModel",),
    "registry": (
        "CLOZE_MODELS",
        "MODELS",
        "PAIR_MODELS",
        "ModelSpec",
        "info",
        "load",
        "load_any",
        "make_cloze_model",
        "make_model",
    ),
    "teaching.chain_rule": ("chain_rule",),
    "text.corpus": ("Corpus",),
    "text.levels": ("make_tokenizer",),
    "text.parallel_corpus": ("ParallelCorpus",),
    "text.reading": ("Reading",),
    "text.sequences": ("Sequences",),
    "text.series": ("SeriesTokenizer",),
    "text.splits": ("Splits",),
    "text.tokenization": ("Tokenizer",),
    "text.vocabulary": ("Vocabulary",),
}
"""The public names by module, imported at their first use (PEP 562); as the imports above."""

__all__ = sorted(name for names in _MODULES.values() for name in names)

__getattr__ = importing(__name__, _MODULES, globals())


def _import_registry() -> None:
    """Import the registry, so that files may hold models of any kind."""
    import langmodels.registry  # noqa: F401


def _open(path: "Any") -> "Any":
    """The text of a file in any format."""
    from langmodels.datasets.sources import open_path

    return open_path(path)


FINDERS.append(_import_registry)
OPENERS.append(_open)


def __dir__() -> list[str]:
    return [*__all__, "__doc__", "__version__"]
