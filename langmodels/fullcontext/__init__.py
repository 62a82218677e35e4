"""Models that condition on the whole history, by suffix arrays and context trees."""

from langmodels.fullcontext.adaptive import AdaptiveModel
from langmodels.fullcontext.model import FullContextModel

__all__ = ["AdaptiveModel", "FullContextModel"]
