"""Vanishing and exploding gradients, drawn."""

import os
from collections.abc import Mapping

import numpy as np

from langmodels.models.base import FloatArray
from langmodels.neural.diagnostics import NormCourse
from langmodels.teaching.pictures import LINES, picture

Courses = Mapping[str, Mapping[str, NormCourse]]
"""By network, then with clipping or without."""


def plot_gradients(
    by_lag: Mapping[str, FloatArray], courses: Courses, path: str | os.PathLike[str]
) -> None:
    """Draw gradients by lag (shares of that at lag 0), and norms step by step, into a file.

    `by_lag`: norms (lags,) by network. Raises what `pictures.picture` raises.
    """
    with picture(path, 2 if courses else 1) as axes:
        for k, (name, norms) in enumerate(by_lag.items()):
            axes[0].plot(norms / norms[0], LINES[k % len(LINES)], markersize=3, label=name)
        axes[0].set(xlabel="lag, tokens", ylabel="gradient, share of that at lag 0", yscale="log")
        axes[0].legend()
        for k, (name, ways) in enumerate(courses.items()):
            for way, course in ways.items():
                steps = 1 + np.arange(len(course.norms))
                stroke = "-" if way == "clipped" else ":"
                axes[1].plot(steps, course.norms, stroke, color=f"C{k}", label=f"{name}, {way}")
                if course.diverged:
                    axes[1].plot(steps[-1:], course.norms[-1:], "x", color=f"C{k}")
        if courses:
            axes[1].set(xlabel="step", ylabel="norm of the gradient", yscale="log")
            axes[1].set_title("x: went astray", fontsize="small", loc="right")
            axes[1].legend(fontsize="small")
