"""Neural language models: layers, training and models, forward and backward by hand in NumPy."""

from langmodels.neural.bidirectional.model import BidirectionalModel
from langmodels.neural.dynamic import DynamicModel
from langmodels.neural.encoder_decoder.model import EncoderDecoderModel
from langmodels.neural.feedforward import FeedForwardModel
from langmodels.neural.recurrent.character_aware import CharacterAwareModel
from langmodels.neural.recurrent.convolutional import ConvolutionalRecurrentModel
from langmodels.neural.recurrent.model import (
    GRUModel,
    LSTMModel,
    MinGRUModel,
    RecurrentModel,
    RNNModel,
)
from langmodels.neural.training.options import TrainingOptions
from langmodels.neural.transformer.model import TransformerModel

__all__ = [
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
    "TrainingOptions",
    "TransformerModel",
]
