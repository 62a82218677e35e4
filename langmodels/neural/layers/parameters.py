"""Named arrays that are views of one flat vector."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import DTypeLike

from langmodels.arrays import Array

Shape = tuple[int, ...]


class Parameters:
    """The arrays of a network by name, all views of one vector, `flat` (n_parameters,).

    Layers use the named arrays; whatever treats all parameters alike (optimizer, gradient norm,
    weight averaging, checkpoints) uses `flat`.
    """

    def __init__(self, shapes: Mapping[str, Shape], dtype: DTypeLike) -> None:
        self.shapes = dict(shapes)
        self.flat: Array = np.zeros(sum(map(math.prod, self.shapes.values())), dtype)
        self.arrays: dict[str, Array] = {}
        begin = 0
        for name, shape in self.shapes.items():
            end = begin + math.prod(shape)
            self.arrays[name] = self.flat[begin:end].reshape(shape)
            begin = end

    def like(self) -> "Parameters":
        """Zero arrays of the same names and shapes."""
        return Parameters(self.shapes, self.flat.dtype)

    def items(self) -> Iterator[tuple[str, Array]]:
        """Pairs of name and array."""
        yield from self.arrays.items()

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]

    def __len__(self) -> int:
        return len(self.arrays)


def under(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays whose names start with "`prefix`.", by the rest of their names."""
    begin = len(prefix) + 1
    return {name[begin:]: a for name, a in arrays.items() if name.startswith(f"{prefix}.")}
