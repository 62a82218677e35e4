"""Recurrent layers by name: Elman network, LSTM and GRU, one file each."""

from langmodels.neural.layers.cells.base import Recurrent, State
from langmodels.neural.layers.cells.elman import Elman
from langmodels.neural.layers.cells.gru import GRU
from langmodels.neural.layers.cells.lstm import LSTM

__all__ = ["CELLS", "GRU", "LSTM", "Elman", "Recurrent", "State"]

CELLS: dict[str, type[Recurrent]] = {"rnn": Elman, "lstm": LSTM, "gru": GRU}
