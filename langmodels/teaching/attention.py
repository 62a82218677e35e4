"""What a Transformer looks at: how much each token attends to each before it, layer by layer."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from langmodels.arrays import FloatArray
from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.neural.transformer.model import TransformerModel
from langmodels.teaching.pictures import picture, written
from langmodels.text.reading import Text

_LABELLED = 40  # tokens at most that are written at a picture's axes


@dataclass(frozen=True)
class Attention:
    """How much each of T tokens looked at each when it was read: `weights` (layers, heads, T, T).

    `tokens` begin with `<s>`, unless the text is longer than the model's window: then they are its
    last ones. Rows of weights sum to one; nothing looks ahead.
    """

    model: str
    tokens: tuple[str, ...]
    weights: FloatArray

    @property
    def by_layer(self) -> FloatArray:
        """The mean over the heads, (layers, T, T)."""
        mean: FloatArray = self.weights.mean(axis=1)
        return mean

    def most(self, layer: int, step: int, k: int) -> list[tuple[int, float]]:
        """The k positions that a step looked at most in a layer, with their shares."""
        row = self.by_layer[layer, step, : step + 1]
        return [(int(i), float(row[i])) for i in np.argsort(-row, kind="stable")[:k]]

    def records(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "model": self.model,
            "tokens": list(self.tokens),
            "weights": self.weights.tolist(),
        }


def attention_of(model: LanguageModel[Any], text: Text, name: str) -> Attention:
    """What a model looks at in a text. Raises UsageError where it is no Transformer."""
    if not isinstance(model, TransformerModel):
        raise UsageError(f"{name} has no attention to show; a transformer has.")
    weights = model.attention(text)
    tokens = ["<s>", *model.vocabulary.decode(model.encode(text))]
    return Attention(name, tuple(tokens[-weights.shape[-1] :]), weights)


def plot_attention(attention: Attention, path: str | os.PathLike[str]) -> None:
    """Draw one map a layer, the mean over its heads, into a file.

    Raises what `pictures.picture` raises.
    """
    layers, tokens = attention.by_layer, attention.tokens
    with picture(path, len(layers)) as axes:
        for k, (axis, weights) in enumerate(zip(axes, layers, strict=True)):
            axis.imshow(weights, cmap="Blues", vmin=0)
            axis.set(title=f"layer {k + 1}", xlabel="looked at", ylabel="read" if k == 0 else "")
            axis.grid(False)
            axis.spines[:].set_visible(False)
            if len(tokens) <= _LABELLED:
                shown = [written(token) for token in tokens]
                axis.set_xticks(range(len(tokens)), shown, rotation=90, fontsize="small")
                axis.set_yticks(range(len(tokens)), shown, fontsize="small")
