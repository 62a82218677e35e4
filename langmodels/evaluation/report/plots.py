"""The plots of a report: a function for each, and their registry.

They use matplotlib; models differ by colour, marker and dash pattern.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from langmodels.evaluation.results import LevelResult, ModelResult, Results
from langmodels.teaching.pictures import COLOURS, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#010203"  # replaced by the colour of the page's text
_MARKERS = "osD^vPX"
_DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
_SHOWN = len(COLOURS)

Plot = Callable[["Axes", Results], str | None]
"""A function that draws on axes and returns a caption, or None if the plot does not apply."""


def _finite(results: Results) -> list[ModelResult]:
    return [m for m in results.models if math.isfinite(m.bits_per_character)]


def _called(results: Results, model: ModelResult) -> str:
    return f"{model.label} ({model.level})" if len(results.levels) > 1 else model.label


def _drawn(results: Results, model: ModelResult) -> str:
    """The label for matplotlib; long names are shortened in the middle."""
    name = _called(results, model)
    return written(name if len(name) <= 44 else f"{name[:30]}…{name[-13:]}")


def _styled(
    results: Results, models: Sequence[ModelResult]
) -> Iterator[tuple[ModelResult, dict[str, Any]]]:
    """The models that fit into a line plot, best first, with a style that is the same in all
    plots.
    """
    for model in models[:_SHOWN]:
        i = results.models.index(model)
        yield (
            model,
            {
                "color": COLOURS[i % _SHOWN],
                "marker": _MARKERS[(i + i // _SHOWN) % _SHOWN],
                "linestyle": _DASHES[(i + 2 * (i // _SHOWN)) % _SHOWN],
            },
        )


def _room(results: Results) -> str:
    left_out = len(_finite(results)) - _SHOWN
    return f" The best {_SHOWN} models." if left_out > 0 else ""


def _labelled(axes: "Axes", x: str, y: str) -> None:
    """Label the axes, and add the legend."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color=INK, alpha=0.15)
    _legend(axes)


def _legend(axes: "Axes") -> None:
    figure = axes.get_figure()
    if figure is not None and axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=2)


def _log(axes: "Axes", which: str, ticks: Sequence[float] = ()) -> None:
    """Make axis "x" or "y" logarithmic, with plain numbers as tick labels."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    low, high = axis.get_view_interval()
    steps: tuple[float, ...] = (1.0, 2.0, 5.0) if high / low < 300 else (1.0,)
    if high / low < 8:
        steps = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
    axis.set_major_locator(FixedLocator(ticks) if ticks else LogLocator(subs=steps))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))


def _short(value: float) -> str:
    """A number in short form: 1 500 000 as 1.5M, 0.002 as 0.002."""
    for unit, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= scale:
            return f"{value / scale:g}{unit}"
    return f"{value:g}"


def _limit(axes: "Axes", results: Results, *, vertical: bool = False) -> None:
    if results.limit is not None:
        line = axes.axvline if vertical else axes.axhline
        name = "a bound on the limit" if results.limit.is_bound else "the limit"
        line(results.limit.bits, color=INK, linestyle=":", linewidth=1.2, label=name)


def quality(axes: "Axes", results: Results) -> str | None:
    """Bits per character with intervals, the best model on top."""
    models = _finite(results)[::-1]
    for y, m in enumerate(models):
        low, high = m.interval or (m.bits_per_character, m.bits_per_character)
        axes.plot([low, high], [y, y], color=COLOURS[0], linewidth=3, alpha=0.45)
        axes.plot(m.bits_per_character, y, "o", color=COLOURS[0])
    _limit(axes, results, vertical=True)
    axes.set_yticks(range(len(models)), [_drawn(results, m) for m in models])
    axes.set_xlabel(f"bits per {results.per} (fewer is better)")
    axes.grid(axis="x", color=INK, alpha=0.15)
    infinite = len(results.models) - len(models)
    left_out = f" {infinite} with infinite loss left out." if infinite else ""
    what = "a lower bound of the" if results.limit and results.limit.is_bound else "the"
    dotted = f" Dotted: {what} entropy of the source." if results.limit else ""
    return f"Quality with 95 % intervals.{left_out}{dotted}" if models else None


def _number(axes: "Axes", drawn: Sequence[tuple[int, float, float]]) -> None:
    """Write numbers at points (number, x, y), moved apart so that none hides another."""
    if not drawn:
        return
    limits = axes.get_xlim(), axes.get_ylim()
    places = axes.transData.transform([(x, y) for _, x, y in drawn])
    apart = 13 * axes.figure.dpi / 72  # the discs of numbers are 11 points wide
    rank = np.arange(len(drawn))
    above = np.sign(np.subtract.outer(rank, rank))
    for _ in range(100):
        between = places[:, None] - places
        distance = np.hypot(*between.transpose(2, 0, 1))
        np.fill_diagonal(distance, np.inf)
        if distance.min() >= 0.98 * apart:
            break
        # Coincident points are moved apart in the order of their ranks.
        between[..., 1] += np.where(distance < 1e-6, above, 0)
        push = np.clip(apart - distance, 0, None) / np.maximum(distance, 1)
        places += 0.5 * (push[..., None] * between).sum(axis=1)
    inverse = axes.transData.inverted()
    for (number, x, y), place in zip(drawn, places, strict=True):
        colour = COLOURS[(number - 1) % _SHOWN]
        at = inverse.transform(place)
        axes.plot([x, at[0]], [y, at[1]], "-", color=colour, linewidth=0.8)
        axes.plot(at[0], at[1], "o", color=colour, markersize=11, alpha=0.85, clip_on=False)
        axes.text(at[0], at[1], str(number), ha="center", va="center_baseline",
                  fontsize=7, color="white", weight="bold")  # fmt: skip
    axes.set(xlim=limits[0], ylim=limits[1])


def _scatter(axes: "Axes", results: Results, values: list[float], label: str) -> str | None:
    """Bits per character against a cost; models are numbered by rank."""
    models = _finite(results)
    drawn: list[tuple[int, float, float]] = []
    for rank, (m, x) in enumerate(zip(models, values, strict=True), 1):
        if x > 0 and m.bits_per_character > 0:  # a log axis has no zero
            colour = COLOURS[(rank - 1) % _SHOWN]
            axes.plot(x, m.bits_per_character, "o", color=colour, markersize=3)
            drawn.append((rank, x, m.bits_per_character))
    if drawn:
        if results.limit is not None and results.limit.bits > 0:
            _limit(axes, results)
        _log(axes, "x")
        _log(axes, "y")
    _number(axes, drawn)
    axes.set_xlabel(label)
    axes.set_ylabel(f"bits per {results.per}")
    axes.grid(color=INK, alpha=0.15)
    names = (f"{rank} {_called(results, m)}" for rank, m in enumerate(models, 1))
    return f"{', '.join(names)}." if drawn else None


def quality_and_time(axes: "Axes", results: Results) -> str | None:
    """Bits per character against seconds of training."""
    seconds = [m.timing.full.seconds for m in _finite(results)]
    return _scatter(axes, results, seconds, "training time, seconds")


def quality_and_size(axes: "Axes", results: Results) -> str | None:
    """Bits per character against bytes of the model."""
    return _scatter(axes, results, [m.size for m in _finite(results)], "model size, bytes")


def growth_of_quality(axes: "Axes", results: Results) -> str | None:
    """Bits per character against the size of the training text."""
    models = [m for m in _finite(results) if len(m.growth) > 1]
    for m, look in _styled(results, models):
        x = _characters(results, m)
        y = [g.bits_per_character for g in m.growth]
        axes.plot(x, y, label=_drawn(results, m), **look)
    _limit(axes, results)
    _log(axes, "x")
    _labelled(axes, "characters of training text", f"bits per {results.per}")
    return f"Learning curves.{_room(results)}" if models else None


def growth_of_time(axes: "Axes", results: Results) -> str | None:
    """Seconds of training against the size of the training text, on log axes."""
    models = [m for m in _finite(results) if len(m.timing.growth) > 1]
    for m, look in _styled(results, models):
        y = [c.seconds for c in m.timing.growth]
        axes.plot(_characters(results, m), y, label=_drawn(results, m), **look)
    _log(axes, "x")
    _log(axes, "y")
    _labelled(axes, "characters of training text", "training time, seconds")
    return f"Training time.{_room(results)}" if models else None


def _characters(results: Results, model: ModelResult) -> list[float]:
    total = results.text.characters[0]
    return [total * g.tokens / model.growth[-1].tokens for g in model.growth]


def steps(axes: "Axes", results: Results) -> str | None:
    """The time of a step against the length of the context."""
    models = [m for m in _finite(results) if len(m.timing.steps) > 1]
    for m, look in _styled(results, models):
        lengths, seconds = zip(*sorted(m.timing.steps.items()), strict=True)
        axes.plot(lengths, [1e6 * s for s in seconds], label=_drawn(results, m), **look)
    _log(axes, "x", sorted({n for m in models for n in m.timing.steps}))
    _log(axes, "y")
    _labelled(axes, "tokens of context", "µs for one more token")
    return f"Cost of a step.{_room(results)}" if models else None


def training(axes: "Axes", results: Results) -> str | None:
    """Validation loss by epoch, for models with a training history."""
    from matplotlib.ticker import MaxNLocator

    curves = {
        m.label + m.level: [h["validation"] for h in m.history if h["validation"] is not None]
        for m in results.models
    }
    models = [m for m in results.models if len(curves[m.label + m.level]) > 1]
    for m, look in _styled(results, models):
        losses = [loss / math.log(2) for loss in curves[m.label + m.level]]
        axes.plot(range(1, len(losses) + 1), losses, label=_drawn(results, m), **look)
    if all(results.by_character(m.level) for m in models):
        _limit(axes, results)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _labelled(axes, "epoch", "validation loss, bits per token")
    first = ", with the first seed" if any(len(m.seeds) > 1 for m in models) else ""
    return f"Training of the neural models{first}." if models else None


def bands(axes: "Axes", results: Results) -> str | None:
    """Loss by position in the line or text, at the level of the best model."""
    level = _first_level(results)
    name = next((n for n in level.groups if n.startswith("position")), None) if level else None
    if level is None or name is None:
        return None
    labels = [_in_thousands(label) for label in level.groups[name][0]]
    models = [m for m in _finite(results) if m.level == level.level]
    for m, look in _styled(results, models):
        axes.plot(labels, m.bands[name], label=_drawn(results, m), **look)
    if results.by_character(level.level):
        _limit(axes, results)
    _labelled(axes, f"{name}, {level.unit}s", f"bits per {level.unit}")
    return f"Loss by {name}.{_room(results)}"


def _in_thousands(label: str) -> str:
    """A band's label with shortened numbers, so that neighbours do not overlap.

    >>> _in_thousands("1,001-10,000")
    '1k-10k'
    """
    return re.sub(r"(\d+),\d{3}", r"\1k", label)


def _first_level(results: Results) -> LevelResult | None:
    models = _finite(results)
    return next((lv for lv in results.levels if models and lv.level == models[0].level), None)


def calibration(axes: "Axes", results: Results) -> str | None:
    """Observed frequency against predicted probability, by band."""
    models = _finite(results)
    axes.plot([1e-4, 1], [1e-4, 1], color=INK, linewidth=0.8, linestyle=":")
    for m, look in _styled(results, models):
        shown = [b for b in m.calibration.bands if b.n and b.observed > 0 and b.predicted > 1e-4]
        axes.plot([b.predicted for b in shown], [b.observed for b in shown],
                  label=_drawn(results, m), **look)  # fmt: skip
    _log(axes, "x")
    _log(axes, "y")
    _labelled(axes, "predicted probability", "observed frequency")
    note = " On the dotted line, what gets probability p happens in a share p of the cases."
    return f"Calibration.{_room(results)}{note}" if models else None


def _fixed(results: Results) -> float:
    return 3.7


def _per_model(results: Results) -> float:
    return 0.9 + 0.24 * len(_finite(results))


PLOTS: dict[str, tuple[Plot, Callable[[Results], float]]] = {
    "quality": (quality, _per_model),
    "quality and time": (quality_and_time, _fixed),
    "quality and size": (quality_and_size, _fixed),
    "growth of quality": (growth_of_quality, _fixed),
    "growth of time": (growth_of_time, _fixed),
    "steps": (steps, _fixed),
    "training": (training, _fixed),
    "bands": (bands, _fixed),
    "calibration": (calibration, _fixed),
}
"""Plots by name, each with its height in inches."""
