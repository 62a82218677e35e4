"""The convolutional recurrent language model (CRNN): causal convolution, then recurrent layers."""

from collections.abc import Sequence
from typing import Any

from langmodels.neural.layers.base import Dropout, Layer
from langmodels.neural.layers.convolution import CausalConvolution
from langmodels.neural.recurrent.model import RecurrentModel
from langmodels.neural.recurrent.network import RecurrentNetwork, RecurrentShape
from langmodels.neural.training.options import whole_numbers
from langmodels.settings import forwards


class ConvolutionalRecurrentNetwork(RecurrentNetwork):
    """A recurrent network over a causal convolution of the embedded input.

    The convolution is the lowest of the layers in `recurrent`; its state is its last inputs.
    """

    def __init__(
        self,
        shape: RecurrentShape,
        dtype: str = "float32",
        *,
        widths: tuple[int, ...] = (3,),
        channels: int = 128,
        activation: str = "relu",
        pooling: int = 1,
    ) -> None:
        self._convolution = (widths, channels, activation, pooling)
        super().__init__(shape, dtype)

    def _build(self) -> dict[str, Layer]:
        layers = super()._build()
        widths, channels, activation, pooling = self._convolution
        # Below the recurrent layers, without dropout in between; the lowest of these has other
        # inputs then.
        assert self.embedding is not None
        self.convolution = CausalConvolution(
            self.embedding.shapes["weight"][1],
            widths,
            channels,
            activation=activation,
            pooling=pooling,
        )
        self.recurrent[0] = self._make_cell(self.convolution.outputs)
        layers["recurrent.0"] = self.recurrent[0]
        self.recurrent.insert(0, self.convolution)
        self.dropouts.insert(0, Dropout(0.0))
        return {**layers, "convolution": self.convolution}


class ConvolutionalRecurrentModel(RecurrentModel):
    """A CRNN: p(x_{t+1}) from a recurrent network over a causal convolution of the embedded text.

    A filter of width w sees the current token and the w - 1 tokens before it.

    Args:
        widths: widths of the filters, in tokens.
        channels: number of filters of each width.
        activation: activation of the convolution: relu or tanh.
        pooling: number of last positions over which the output of a filter is max-pooled; 1: none.
    """

    kind = "crnn"

    @forwards(without=("one_hot",))
    def __init__(
        self,
        *,
        widths: int | Sequence[int] = (1, 2, 3),
        channels: int = 64,
        activation: str = "relu",
        pooling: int = 1,
        **options: Any,
    ) -> None:
        self.widths, self.channels = whole_numbers(widths), channels
        self.activation, self.pooling = activation, pooling
        CausalConvolution(1, self.widths, channels, activation=activation, pooling=pooling)
        super().__init__(**options)

    def make_network(self, vocabulary: int) -> ConvolutionalRecurrentNetwork:
        return ConvolutionalRecurrentNetwork(
            self._shape(vocabulary),
            self.dtype,
            widths=self.widths,
            channels=self.channels,
            activation=self.activation,
            pooling=self.pooling,
        )
