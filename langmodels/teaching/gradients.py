"""Inside a network: vanishing and exploding gradients, activations of gates, and plots of them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from langmodels.arguments import Seed, checked
from langmodels.arrays import Array, FloatArray
from langmodels.errors import LangmodelsError, UsageError
from langmodels.neural.base import NeuralModel
from langmodels.neural.recurrent.model import RecurrentModel
from langmodels.neural.recurrent.network import RecurrentNetwork
from langmodels.neural.training.batches import Windows
from langmodels.neural.training.trainer import Trainer
from langmodels.teaching.pictures import LINES, picture
from langmodels.text.corpus import Corpus
from langmodels.text.reading import Text
from langmodels.threads import Workers


@checked
def gradient_by_lag(
    model: RecurrentModel, corpus: Corpus, *, lags: int = 50, samples: int = 64, seed: Seed = 0
) -> FloatArray:
    """How strongly the loss at one position depends on the hidden states before it.

    Returns the norm of dL_T/dh_{T-lag} for every layer and lag from 0 on, (layers, lags), averaged
    over `samples` random positions T of the corpus. Where it dies away the gradient vanishes: what
    lies further back cannot be learnt from (Hochreiter 1991; Bengio, Simard and Frasconi 1994). The
    model may be trained or not (`untrained`). Raises UsageError for fewer than one lag or sample,
    and for a corpus in another vocabulary.
    """
    if lags < 1 or samples < 1:
        raise UsageError("Ask for at least one lag and one sample.")
    if corpus.vocabulary != model.vocabulary:
        raise UsageError("The corpus must be encoded with the vocabulary of the model.")
    windows = Windows(corpus, lags)
    rng = np.random.default_rng(seed)
    full = np.flatnonzero(windows.complete)
    if not len(full):
        raise LangmodelsError(
            f"No sequence of the text is longer than {lags} tokens; ask for fewer."
        )
    chunk = windows.chunk(rng.choice(full, samples))
    network: RecurrentNetwork = model.network.replica()
    network.refresh()
    h = network.forward(chunk.inputs)
    _, dh = network.output.loss(h[-1], chunk.targets[0], 1.0)
    dy = np.zeros_like(h)
    dy[-1] = dh
    norms = []
    for layer in reversed(network.recurrent):
        below = layer.backward(dy)
        norms.append(np.sqrt(np.square(dy, dtype=np.float64).sum(axis=2)).mean(axis=1)[::-1])
        dy = below
    return np.stack(norms[::-1])


@dataclass(frozen=True)
class NormCourse:
    """Loss (nats a token) and norm of the gradient before clipping at each step, (steps,) each.

    If training diverged, there are fewer steps, and `diverged` says why. `clip_norm`: the norm that
    longer gradients were clipped to.
    """

    losses: FloatArray
    norms: FloatArray
    diverged: str = ""
    clip_norm: float | None = None

    @property
    def applied(self) -> FloatArray:
        """Norms of the gradients after clipping, (steps,)."""
        return self.norms if self.clip_norm is None else np.minimum(self.norms, self.clip_norm)


@checked
def gradient_norm_course(
    model: NeuralModel[Any, Any], corpus: Corpus, *, steps: int, clip_norm: float | None
) -> NormCourse:
    """Train a fresh copy of a model for some steps, and record the norm of its gradient.

    A recurrent network's gradient can grow exponentially with the number of steps it is propagated
    through; clipping bounds the step that follows (Pascanu, Mikolov and Bengio 2013). `clip_norm`:
    None for no clipping. The model itself is not changed; all other settings are its own, but its
    schedule is extended if its epochs have fewer steps.
    """
    network = model.make_network(len(corpus.vocabulary))
    network.initialise(model.options.seed)
    batches = model.make_batches(corpus, 1)
    epochs = max(model.options.epochs, -(-steps // batches.n_batches))
    options = replace(
        model.options, epochs=epochs, tokens=None, clip_norm=clip_norm, clip_value=None
    )
    trainer = Trainer(network, batches, options)
    losses: list[float] = []
    norms: list[float] = []
    diverged = ""
    with Workers(1) as workers:
        epoch = 0
        while len(norms) < steps and not diverged:
            for shards in batches.epoch(epoch):
                try:
                    losses.append(trainer.one_step(shards, workers))
                except LangmodelsError as error:
                    diverged = str(error)
                    break
                norms.append(trainer.gradient_norm)
                if len(norms) == steps:
                    break
            epoch += 1
    return NormCourse(np.array(losses), np.array(norms), diverged, clip_norm)


@checked
def gate_activations(model: RecurrentModel, text: Text) -> list[dict[str, NDArray[np.float32]]]:
    """The activations of all gates and states over a text: for each layer, arrays (T, H) by name.

    Row t is the layer's activation after token t; `<s>` has no row. An LSTM has input, forget and
    output gates, candidate, cell and hidden; a GRU reset and update gates, candidate and hidden; an
    RNN hidden. The text is read as the beginning of a sequence.
    """
    ids = model.encode(text)
    if not len(ids):
        raise UsageError("The text is empty; there is nothing to look at.")
    inputs = np.concatenate([[model.vocabulary.bos_id], ids])[:, None]
    network: RecurrentNetwork = model.network.replica()
    network.refresh()
    network.forward(inputs)
    return [
        {name: _squeezed(a) for name, a in layer.activations().items()}
        for layer in network.recurrent
    ]


def _squeezed(array: Array) -> Array:
    return array[1:, 0]


_BEYOND = 1e4
"""Norms above this are not drawn; a note on the plot gives the largest."""

Courses = Mapping[str, Mapping[str, NormCourse]]
"""By network, then by "clipped" or "not clipped"."""


def plot_gradients(
    by_lag: Mapping[str, FloatArray], courses: Courses, path: str | os.PathLike[str]
) -> None:
    """Draw gradients by lag (relative to lag 0), and norms step by step, into a file.

    `by_lag`: norms (lags,) by network. Raises what `pictures.picture` raises.
    """
    with picture(path, 3 if courses else 1) as axes:
        for k, (name, norms) in enumerate(by_lag.items()):
            axes[0].plot(norms / norms[0], LINES[k % len(LINES)], markersize=3, label=name)
        axes[0].set(
            title="how far back a loss is felt",
            xlabel="lag, tokens",
            ylabel="gradient, share of that at lag 0",
            yscale="log",
        )
        axes[0].legend(fontsize="small")
        if not courses:
            return
        highest = 0.0
        for k, (name, ways) in enumerate(courses.items()):
            for way, course in ways.items():
                steps = 1 + np.arange(len(course.norms))
                stroke = "-" if way == "clipped" else ":"
                highest = max(highest, float(course.norms.max(initial=0)))
                for axis, drawn in ((axes[1], course.norms), (axes[2], course.applied)):
                    axis.plot(steps, drawn, stroke, color=f"C{k}", linewidth=1.4)
                    if course.diverged:
                        axis.plot(steps[-1:], drawn[-1:], "x", color=f"C{k}", markersize=9)
            axes[2].plot([], [], color=f"C{k}", label=name)
        axes[1].set(title="gradients as they come (x: diverged)", ylabel="norm")
        axes[2].set(title="as the steps are taken", ylabel="norm after clipping")
        for axis in axes[1:]:
            axis.set(xlabel="step", yscale="log")
        if highest > _BEYOND:  # one explosion would press all other lines to the floor
            axes[1].set_ylim(top=_BEYOND)
            note = f"up to {highest:.0e}, beyond the frame"
            axes[1].text(0.98, 0.97, note, ha="right", va="top", transform=axes[1].transAxes)
        for label, stroke in (("clipped", "-"), ("not clipped", ":")):
            axes[1].plot([], [], stroke, color="#50565e", label=label)
        axes[1].legend(fontsize="small", loc="upper right", bbox_to_anchor=(1, 0.93))
        axes[2].legend(fontsize="small", loc="upper right")
