"""Models explained: what they do with a sentence, as data that can be printed or plotted."""

from langmodels.teaching.chain_rule import ChainRule, Step, chain_rule
from langmodels.teaching.prediction import Candidate, Prediction, predict_next

__all__ = ["Candidate", "ChainRule", "Prediction", "Step", "chain_rule", "predict_next"]
