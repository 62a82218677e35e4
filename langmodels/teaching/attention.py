"""What a Transformer attends to: the weights of all tokens, layer by layer."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from langmodels.arguments import checked
from langmodels.arrays import FloatArray
from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.neural.transformer.model import TransformerModel
from langmodels.teaching.pictures import picture, written
from langmodels.text.reading import Text

_LABELLED = 40  # most tokens that are written at a picture's axes
_SIZES = {12: "small", 24: "x-small", _LABELLED: "xx-small"}  # font sizes, by number of tokens
_LONGEST = 1000  # most tokens, as there is a weight for each pair of them


@dataclass(frozen=True)
class Attention:
    """How much each of T tokens attends to each token: `weights` (layers, heads, T, T).

    Rows of weights sum to one, and no token attends to later ones. `tokens` begin with `<s>`,
    unless the text is longer than the learned positions of the model: then they are those of its
    last window.
    """

    model: str
    tokens: tuple[str, ...]
    weights: FloatArray

    @property
    def by_layer(self) -> FloatArray:
        """The weights averaged over the heads, (layers, T, T)."""
        mean: FloatArray = self.weights.mean(axis=1)
        return mean

    def most(self, layer: int, step: int, k: int) -> list[tuple[int, float]]:
        """(position, weight) of the k tokens that a step attends to most in a layer."""
        row = self.by_layer[layer, step, : step + 1]
        return [(int(i), float(row[i])) for i in np.argsort(-row, kind="stable")[:k]]

    def records(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "model": self.model,
            "tokens": list(self.tokens),
            "weights": self.weights.tolist(),
        }


@checked
def attention_of(model: LanguageModel[Any], text: Text, name: str) -> Attention:
    """The attention of a model when it reads a text.

    Raises UsageError for a model that is no Transformer, and for more than 1,000 tokens.
    """
    if not isinstance(model, TransformerModel):
        raise UsageError(f"{name} has no attention to show; a transformer has.")
    tokens = ["<s>", *model.vocabulary.decode(model.encode(text))]
    if len(tokens) > _LONGEST + 1:
        raise UsageError(
            f"The text has {len(tokens) - 1:,} tokens; attention is shown for {_LONGEST:,} at most."
        )
    weights = model.attention(text)
    return Attention(name, tuple(tokens[-weights.shape[-1] :]), weights)


def plot_attention(attention: Attention, path: str | os.PathLike[str]) -> None:
    """Draw a map of each layer's attention, averaged over its heads, into a file.

    Raises what `pictures.picture` raises.
    """
    layers, tokens = attention.by_layer, attention.tokens
    size = next((s for most, s in _SIZES.items() if len(tokens) <= most), "")
    with picture(path, len(layers)) as axes:
        from matplotlib.colors import PowerNorm  # `picture` raises if there is no matplotlib

        scale = PowerNorm(0.5, vmin=0, vmax=1)  # shows small weights, as those of many tokens are
        for k, (axis, weights) in enumerate(zip(axes, layers, strict=True)):
            image = axis.imshow(weights, cmap="Blues", norm=scale)
            axis.set(title=f"layer {k + 1}", xlabel="looked at", ylabel="read" if k == 0 else "")
            axis.grid(False)
            axis.spines[:].set_visible(False)
            if size:
                shown = [written(token) for token in tokens]
                axis.set_xticks(range(len(tokens)), shown, rotation=90, fontsize=size)
                axis.set_yticks(range(len(tokens)), shown, fontsize=size)
        figure = axes[0].figure
        figure.suptitle(written(attention.model))
        figure.colorbar(image, ax=axes, label="share, mean over the heads", shrink=0.8)
