"""Neural language models: layers, training and models, forward and backward by hand in NumPy."""

from langmodels.neural.feedforward import FeedForwardModel
from langmodels.neural.options import TrainingOptions
from langmodels.neural.recurrent import GRUModel, LSTMModel, RecurrentModel, RNNModel

__all__ = [
    "FeedForwardModel",
    "GRUModel",
    "LSTMModel",
    "RNNModel",
    "RecurrentModel",
    "TrainingOptions",
]
