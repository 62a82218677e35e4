"""Pictures in files, drawn with matplotlib."""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langmodels.errors import LangmodelsError, UsageError
from langmodels.formatting import visible
from langmodels.storage import atomic_write
from langmodels.teaching.fonts import fit_fonts, quiet_about_glyphs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#2f7fc1", "#e08a1e", "#23a07a", "#d1495b", "#9a6fc4", "#8a9a1f", "#c46aa5")
"""Colours that the colour-blind can distinguish; the report's plots have the same."""
STYLE: Any = {
    "axes.prop_cycle": f"cycler('color', {list(COLOURS)})",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a8f96",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#e3e5e8",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "svg.fonttype": "none",
}
LINES = ("o-", "s--", "D:", "^-", "v--")
"""Styles of curves, so that equal curves on top of each other can all be seen."""


@contextmanager
def picture(
    path: str | os.PathLike[str], panels: int = 1, *, height: float = 4.2
) -> Iterator[list["Axes"]]:
    """Axes side by side to draw on; the picture is written to `path` when the block ends.

    `path` ends in .png, .svg or .pdf; `height` is in inches. Raises LangmodelsError if matplotlib
    is missing, UsageError for another ending.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise LangmodelsError(
            "Pictures need matplotlib; run pip install 'langmodels[report]'."
        ) from error
    figure = Figure(figsize=(7 if panels == 1 else 5 * panels, height), layout="constrained")
    FigureCanvasAgg(figure)
    kind = Path(path).suffix.lstrip(".").lower() or "png"
    if kind not in figure.canvas.get_supported_filetypes():
        raise UsageError(f"A picture cannot be written as {Path(path).suffix}; use .png or .svg.")
    with rc_context(STYLE):
        yield [figure.add_subplot(1, panels, k + 1) for k in range(panels)]
        fit_fonts(figure, kind)
        with atomic_write(path) as file, warnings.catch_warnings():
            quiet_about_glyphs()
            figure.savefig(file, format=kind, dpi=150)


@dataclass(frozen=True)
class Bars:
    """A panel of bars: (label, share) of each; the bar `marked` has another colour.

    `title` is above the panel, `about` below it.
    """

    title: str
    about: str
    shares: Sequence[tuple[str, float]]
    marked: int | None = None


def draw_bars(panels: Sequence[Bars], path: str | os.PathLike[str]) -> None:
    """Draw panels of bars side by side into a file, all to the same scale.

    Raises what `picture` raises.
    """
    rows = max(len(panel.shares) for panel in panels)
    top = max((share for panel in panels for _, share in panel.shares), default=1) or 1
    with picture(path, len(panels), height=max(2.5, 0.3 * rows + 1.2)) as axes:
        for k, (axis, panel) in enumerate(zip(axes, panels, strict=True)):
            places = range(len(panel.shares))
            mine, others = f"C{k % len(COLOURS)}", "#50565e"
            colours = [others if i == panel.marked else mine for i in places]
            bars = axis.barh(places, [share for _, share in panel.shares], color=colours)
            axis.bar_label(bars, [f"{share:.3g}" for _, share in panel.shares], padding=3)
            axis.set_yticks(places, [written(label) for label, _ in panel.shares])
            axis.invert_yaxis()
            axis.grid(False)
            axis.grid(True, axis="x")
            axis.tick_params(axis="y", length=0)
            axis.set(title=written(panel.title), xlabel=written(panel.about), xlim=(0, 1.14 * top))


def written(text: str) -> str:
    """A text as a label: control characters are made visible, and $ does not begin a formula."""
    shown = visible(text, space=" ").replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown  # legends leave out labels with _
