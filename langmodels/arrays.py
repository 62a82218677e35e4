"""The kinds of arrays that functions of this package take and give."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""Of the model's dtype, or of whatever kind is stored."""

FloatArray = NDArray[np.float64]
"""Log probabilities and other figures."""

IntArray = NDArray[np.int32]
"""Token ids."""

IndexArray = NDArray[np.int64]
"""Positions, offsets and counts."""

BoolArray = NDArray[np.bool_]
"""Masks."""
