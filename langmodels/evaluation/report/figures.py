"""Plots as figures: inline SVG for a page, or files.

They need matplotlib, which is optional. Text and axes have the colour of the page's text, so that
plots are legible on light and dark backgrounds.
"""

import io
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from html import escape
from importlib.util import find_spec
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from langmodels.errors import LangmodelsError, UsageError
from langmodels.evaluation.report import plots
from langmodels.evaluation.results import Results
from langmodels.names import nearest
from langmodels.storage import atomic_write
from langmodels.teaching.fonts import fit_fonts, quiet_about_glyphs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MISSING = "The plots need matplotlib: pip install 'langmodels[report]'."
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.edgecolor": plots.INK,
    "axes.labelcolor": plots.INK,
    "text.color": plots.INK,
    "xtick.color": plots.INK,
    "ytick.color": plots.INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
}


def draw(results: Results) -> tuple[dict[str, str], str]:
    """All plots that apply as <figure> elements by name, and a message if matplotlib is missing."""
    if find_spec("matplotlib") is None:
        return {}, MISSING
    return {
        name: f"<figure>{_svg(figure, name)}<figcaption>{escape(caption)}</figcaption></figure>"
        for name, figure, caption in _figures(results)
    }, ""


def save_figures(results: Results, folder: str | os.PathLike[str]) -> list[Path]:
    """Write each plot that applies as a PDF file; return their paths.

    The folder is created if needed. Raises LangmodelsError without matplotlib.
    """
    if find_spec("matplotlib") is None:
        raise LangmodelsError(MISSING)
    paths = []
    for name, figure, _ in _figures(results):
        path = Path(folder) / f"{name.replace(' ', '-')}.pdf"
        path.parent.mkdir(parents=True, exist_ok=True)
        fit_fonts(figure, "pdf")
        with atomic_write(path) as file, warnings.catch_warnings():
            quiet_about_glyphs()
            figure.savefig(file, format="pdf", metadata={"CreationDate": None})
        paths.append(path)
    return paths


def save_plot(
    results: Results, path: str | os.PathLike[str], names: Sequence[str] = ("quality",)
) -> None:
    """Write plots, named as in `plots.PLOTS`, side by side into one .png, .svg or .pdf.

    Plots that do not apply are left empty. Raises LangmodelsError without matplotlib.
    """
    for name in names:
        if name not in plots.PLOTS:
            raise UsageError(f"There is no plot {name!r}; {nearest(name, plots.PLOTS)}")
    if find_spec("matplotlib") is None:
        raise LangmodelsError(MISSING)
    import matplotlib as mpl
    from matplotlib.figure import Figure

    height = max(plots.PLOTS[name][1](results) for name in names)
    style: Any = {**_STYLE, "svg.hashsalt": "plot"}
    with mpl.rc_context(style):
        figure = Figure(figsize=(4.6 * len(names), height), layout="constrained")
        panels = figure.subfigures(1, len(names), squeeze=False)[0]
        for panel, name in zip(panels, names, strict=True):
            axes = panel.add_subplot()
            caption = plots.PLOTS[name][0](axes, results)
            if caption is None:
                axes.set_axis_off()
            else:
                panel.suptitle("\n".join(wrap(caption, 80)), fontsize=6.5)
        kind = Path(path).suffix.lstrip(".").lower() or "png"
        fit_fonts(figure, kind)
        with atomic_write(path) as file, warnings.catch_warnings():
            quiet_about_glyphs()
            figure.savefig(file, format=kind, dpi=150)


def _figures(results: Results) -> Iterator[tuple[str, "Figure", str]]:
    """Yield all plots that apply: name, figure and caption."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    if not results.models:
        return
    for name, (plot, height) in plots.PLOTS.items():
        style: Any = {**_STYLE, "svg.hashsalt": name}
        with mpl.rc_context(style):
            figure = Figure(figsize=(4.6, height(results)), layout="constrained")
            caption = plot(figure.add_subplot(), results)
            if caption is not None:
                yield name, figure, caption


def _svg(figure: "Figure", name: str) -> str:
    out = io.StringIO()
    with warnings.catch_warnings():
        quiet_about_glyphs()  # drawn with the page's fonts
        figure.savefig(
            out, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :].replace(plots.INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Matplotlib's font list would override the page's.
    svg = re.sub(r"(font: [^;\"]*?[0-9.]+px) [^;\"]*", r"\1 system-ui, sans-serif", svg)
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*" ', r"<svg \1", svg, count=1)
    svg = re.sub(r'<svg ([^>]*?)height="[^"]*" ', r"<svg \1", svg, count=1)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1).strip()
