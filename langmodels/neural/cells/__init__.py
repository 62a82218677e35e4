"""Recurrent layers by name: Elman network, LSTM and GRU, one file each."""

from langmodels.neural.cells.base import Recurrent, State
from langmodels.neural.cells.elman import Elman
from langmodels.neural.cells.gru import GRU
from langmodels.neural.cells.lstm import LSTM

__all__ = ["CELLS", "GRU", "LSTM", "Elman", "Recurrent", "State"]

CELLS: dict[str, type[Recurrent]] = {"rnn": Elman, "lstm": LSTM, "gru": GRU}
