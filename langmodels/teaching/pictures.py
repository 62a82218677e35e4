"""Pictures in files, where matplotlib is installed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from langmodels.errors import LangmodelsError, UsageError
from langmodels.storage import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES = ("o-", "s--", "D:", "^-", "v--")
"""Marks and strokes of curves: perfectly equal ones lie on each other, and all are to be seen."""


@contextmanager
def picture(path: str | os.PathLike[str], panels: int = 1) -> Iterator[list["Axes"]]:
    """Axes side by side to draw on, written to `path` (.png, .svg or .pdf) in the end.

    Raises LangmodelsError without matplotlib, UsageError for a file name of another kind.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise LangmodelsError(
            "Pictures need matplotlib; run pip install 'langmodels[report]'."
        ) from error
    figure = Figure(figsize=(7 if panels == 1 else 5 * panels, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    kind = Path(path).suffix.lstrip(".").lower() or "png"
    if kind not in figure.canvas.get_supported_filetypes():
        raise UsageError(f"A picture cannot be written as {Path(path).suffix}; use .png or .svg.")
    yield [figure.add_subplot(1, panels, k + 1) for k in range(panels)]
    with atomic_write(path) as file:
        figure.savefig(file, format=kind, dpi=150)
