"""Neural language models in NumPy: layers with hand-written gradients, training, and the models."""

from typing import TYPE_CHECKING

from langmodels.faces import importing

if TYPE_CHECKING:
    from langmodels.neural.bidirectional.model import BidirectionalModel as BidirectionalModel
    from langmodels.neural.dynamic import DynamicModel as DynamicModel
    from langmodels.neural.encoder_decoder.model import EncoderDecoderModel as EncoderDecoderModel
    from langmodels.neural.feedforward import FeedForwardModel as FeedForwardModel
    from langmodels.neural.recurrent.character_aware import (
        CharacterAwareModel as CharacterAwareModel,
    )
    from langmodels.neural.recurrent.convolutional import (
        ConvolutionalRecurrentModel as ConvolutionalRecurrentModel,
    )
    from langmodels.neural.recurrent.model import GRUModel as GRUModel
    from langmodels.neural.recurrent.model import LSTMModel as LSTMModel
    from langmodels.neural.recurrent.model import MinGRUModel as MinGRUModel
    from langmodels.neural.recurrent.model import RecurrentModel as RecurrentModel
    from langmodels.neural.recurrent.model import RNNModel as RNNModel
    from langmodels.neural.training.options import TrainingOptions as TrainingOptions
    from langmodels.neural.transformer.model import TransformerModel as TransformerModel

_MODULES = {
    "bidirectional.model": ("BidirectionalModel",),
    "dynamic": ("DynamicModel",),
    "encoder_decoder.model": ("EncoderDecoderModel",),
    "feedforward": ("FeedForwardModel",),
    "recurrent.character_aware": ("CharacterAwareModel",),
    "recurrent.convolutional": ("ConvolutionalRecurrentModel",),
    "recurrent.model": ("GRUModel", "LSTMModel", "MinGRUModel", "RNNModel", "RecurrentModel"),
    "training.options": ("TrainingOptions",),
    "transformer.model": ("TransformerModel",),
}

__all__ = sorted(name for names in _MODULES.values() for name in names)

__getattr__ = importing(__name__, _MODULES, globals())


def __dir__() -> list[str]:
    return [*__all__, "__doc__"]
