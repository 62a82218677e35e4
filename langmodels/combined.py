"""Models made of models of several families, by name."""

from typing import Any

from langmodels.models.cache import CacheModel
from langmodels.models.mixture import MixtureModel
from langmodels.neural.dynamic import DynamicModel
from langmodels.neural.recurrent.model import LSTMModel
from langmodels.ngram.model import NGramModel
from langmodels.settings import forwards


@forwards(LSTMModel)
def mixture(*, order: int = 4, **recurrent: Any) -> MixtureModel:
    """The counting model and the network that complement each other best.

    Args:
        order: of the n-gram model; all other options are those of the LSTM.
    """
    return MixtureModel([NGramModel(order=order), LSTMModel(**recurrent)])


@forwards(CacheModel, without=("base",))
def cache(*, order: int = 4, **options: Any) -> CacheModel:
    """The best model of counts, and a cache.

    Args:
        order: of the n-gram model.
    """
    return CacheModel(NGramModel(order=order), **options)


@forwards(LSTMModel)
def dynamic(
    *, rate: float | None = None, decay: float = 0.003, every: int = 20, **recurrent: Any
) -> DynamicModel:
    """An LSTM that goes on learning while it reads.

    Args:
        rate: of learning while reading, 0 or more; none: chosen on the validation text.
        decay: what part of its way back every weight goes at each of these steps, 0 to below 1.
        every: tokens between two of these steps.
    """
    return DynamicModel(LSTMModel(**recurrent), rate=rate, decay=decay, every=every)
