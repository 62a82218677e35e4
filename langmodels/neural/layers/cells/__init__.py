"""The registry of recurrent layers: Elman network, LSTM, GRU and minimal GRU, one file each."""

from langmodels.names import Registry
from langmodels.neural.layers.cells.base import Recurrent
from langmodels.neural.layers.cells.elman import Elman
from langmodels.neural.layers.cells.gru import GRU
from langmodels.neural.layers.cells.lstm import LSTM
from langmodels.neural.layers.cells.mingru import MinGRU

__all__ = ["CELLS", "GRU", "LSTM", "Elman", "MinGRU", "Recurrent", "make_cell"]

CELLS: Registry[type[Recurrent]] = Registry(
    "cell", {"rnn": Elman, "lstm": LSTM, "gru": GRU, "mingru": MinGRU}, group="langmodels.cells"
)


def make_cell(name: str, inputs: int, hidden: int) -> Recurrent:
    """A recurrent layer by the name of its cell. Raises UsageError for an unknown name."""
    return CELLS.find(name)(inputs, hidden)
