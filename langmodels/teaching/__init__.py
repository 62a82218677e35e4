"""Explanations and demonstrations: what models do with a sentence, as data to print or plot."""

from langmodels.teaching.chain_rule import ChainRule, Step, chain_rule
from langmodels.teaching.prediction import Prediction, RankedToken, predict_next

__all__ = ["ChainRule", "Prediction", "RankedToken", "Step", "chain_rule", "predict_next"]
