"""Models that condition on the whole history."""

from langmodels.fullcontext.model import FullContextModel

__all__ = ["FullContextModel"]
