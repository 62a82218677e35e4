"""Recurrent layers by name: Elman network, LSTM and GRU, one file each."""

from langmodels.errors import UsageError
from langmodels.neural.layers.cells.base import Recurrent, State
from langmodels.neural.layers.cells.elman import Elman
from langmodels.neural.layers.cells.gru import GRU
from langmodels.neural.layers.cells.lstm import LSTM

__all__ = ["CELLS", "GRU", "LSTM", "Elman", "Recurrent", "State", "make_cell"]

CELLS: dict[str, type[Recurrent]] = {"rnn": Elman, "lstm": LSTM, "gru": GRU}


def make_cell(name: str, inputs: int, hidden: int) -> Recurrent:
    """A recurrent layer by name. Raises UsageError for an unknown one."""
    if name not in CELLS:
        raise UsageError(f"There is no cell {name!r}; choose one of {', '.join(CELLS)}.")
    return CELLS[name](inputs, hidden)
